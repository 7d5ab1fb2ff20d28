"""What the plugin costs a pytest run that does not use it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from _measure import alternate, judge, print_medians

# Python must be let to keep what it has compiled, as it does for everybody who uses the plugin.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    "PYTHONHASHSEED": "0",
    "PYTEST_ADDOPTS": "",
}
IMPORT = (
    "import sys, time, pytest; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
)
OTHERS = ["hypothesispytest", "pytest_httpserver", "xdist", "xdist.looponfail", "anyio"]


def import_seconds(module: str) -> float:
    command = [sys.executable, "-c", IMPORT.format(module)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def pytest_command(*, with_plugin: bool) -> list[str]:
    blocked = OTHERS if with_plugin else [*OTHERS, "logto_mail_contract"]
    options = [option for name in blocked for option in ("-p", f"no:{name}")]
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_nothing.py"]


def counter() -> str:
    """Return what can count instructions here: perf, valgrind, or nothing but CPU time."""
    perf = shutil.which("perf")
    if perf:
        probe = subprocess.run([perf, "stat", "-e", "instructions:u", "true"], capture_output=True, text=True)
        if probe.returncode == 0 and "not supported" not in probe.stderr:
            return "perf"
    return "valgrind" if shutil.which("valgrind") else "time"


def cost(command: list[str], folder: Path, how: str) -> float:
    if how == "perf":
        command = ["perf", "stat", "-x", ",", "-e", "instructions:u", *command]
    elif how == "valgrind":
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={os.devnull}", *command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if how == "perf":
        return float(done.stderr.strip().splitlines()[-1].split(",")[0])
    if how == "valgrind":
        found = re.search(r"Collected : (\d+)", done.stderr)
        assert found, done.stderr
        return float(found[1])
    return after.ru_utime - before.ru_utime


def main() -> None:
    for module in ("logto_mail_contract.plugin", "pytest_httpserver.pytest_plugin"):
        import_seconds(module)  # writes what Python caches
    sides = {
        "importing logto_mail_contract.plugin": lambda: import_seconds("logto_mail_contract.plugin") * 1e3,
        "importing pytest_httpserver.pytest_plugin": lambda: (
            import_seconds("pytest_httpserver.pytest_plugin") * 1e3
        ),
    }
    ours, theirs = print_medians(
        "(a) Importing the plugin, pytest being there", alternate(sides, 15), "ms"
    ).values()
    judge("ours / pytest-httpserver's", ours / theirs, 0.1, at_most=True)

    how = counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tests = "".join(f"def test_{number}(tmp_path):\n    assert tmp_path\n\n\n" for number in range(100))
        (folder / "test_nothing.py").write_text(tests)
        commands = {
            "without the entry point": pytest_command(with_plugin=False),
            "with the entry point": pytest_command(with_plugin=True),
        }
        runs = {"perf": 9, "valgrind": 2, "time": 25}[how]
        for command in commands.values():
            cost(command, folder, "time")  # writes what Python caches
        figures = alternate(
            {name: partial(cost, command, folder, how) for name, command in commands.items()},
            runs,
        )
    unit = "s of CPU" if how == "time" else f"instructions ({how})"
    without, with_plugin = print_medians(
        "(a) A pytest run of 100 tests that do not use the fixture", figures, unit
    ).values()
    judge("with / without", with_plugin / without, 1.01, at_most=True)


if __name__ == "__main__":
    main()
