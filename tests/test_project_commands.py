"""Tests the commands that work on the project: the targets of the Makefile, and what calls them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make here")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make on a copy of the Makefile in a folder."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copyfile(ROOT / name, folder / name)
    if (installed := folder / ".venv" / "installed").parent.exists():
        # Newer than its prerequisites, so that make installs nothing.
        installed.touch()
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))},
        capture_output=True,
        text=True,
        timeout=60,
    )


@needs_make
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("exit 1", "No Python 3.11 or later here; looked for: {python}."),
        ('case "$2" in *ensurepip*) exit 1;; esac', "{python} cannot make a virtual environment"),
    ],
    ids=["too-old", "no-venv"],
)
def test_make_prints_which_python_it_needs(script: str, problem: str, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    result = make(tmp_path, "test", f"PYTHON={python}")
    assert result.returncode == 2
    assert result.stderr.startswith(problem.format(python=python)), result.stderr
    assert not (tmp_path / ".venv").exists()


RECORDER = """#!{python}
import os, pathlib, sys

def parent(process):
    try:
        return int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0

processes = [path for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()]
busy = [path.name for path in processes if parent(path) == os.getppid() and path.name != str(os.getpid())]
with open("calls", "a") as file:
    print(*sys.argv[1:], sep=" ", end="|", file=file)
    print(*busy, file=file)
with open("calls") as file:
    sys.exit(len(file.readlines()) == {failing})
"""


def record_calls(folder: Path, *arguments: str, failing: int = 0) -> tuple[int, list[str], list[list[int]]]:
    """Run make with a Python that only records its calls.

    Returns:
        The exit code, the arguments of each call, and the other processes of the recipe during each call.
    """
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(RECORDER.format(python=sys.executable, failing=failing), encoding="utf-8")
    python.chmod(0o755)
    result = make(folder, *arguments, "NODE_PACKAGES=")
    record = folder / "calls"
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    calls = [line.partition("|") for line in lines]
    return (
        result.returncode,
        [command for command, _, _ in calls],
        [[int(number) for number in busy.split()] for _, _, busy in calls],
    )


@needs_make
def test_coverage_is_measured_apart_and_for_all_tests(tmp_path: Path) -> None:
    for name in ("unit", "coverage"):
        (tmp_path / name).mkdir()
    assert record_calls(tmp_path / "unit", "unit", "ARGS=-k inbox")[1] == ["-m pytest -n 3 -k inbox"]
    coverage = record_calls(tmp_path / "coverage", "coverage", "ARGS=-k inbox")[1]
    assert coverage == ["-m pytest -n 3 --cov --cov-report=term"]


def test_coverage_counts_branches_and_has_a_floor() -> None:
    coverage = PYPROJECT["tool"]["coverage"]
    assert coverage["run"]["branch"] is True
    assert coverage["report"]["fail_under"] > 90


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@needs_make
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes are listed from /proc")
@pytest.mark.parametrize("failing", [0, 3], ids=["passes", "fails"])
def test_soak_runs_three_rounds_beside_busy_processes(failing: int, tmp_path: Path) -> None:
    code, (memory, *commands), (_, *busy) = record_calls(tmp_path, "soak", "ARGS=-k inbox", failing=failing)
    assert code == (2 if failing else 0)
    assert memory == "bench/hostile.py soak"
    assert commands == ["-m pytest -n 2 -k inbox"] * (failing - 1 if failing else 3)
    assert [len(processes) for processes in busy] == [2] * len(commands)
    assert not any(map(is_alive, busy[0]))


@needs_make
def test_pythons_runs_the_tests_on_each_supported_python(tmp_path: Path) -> None:
    result = make(tmp_path, "--dry-run", "pythons", "CI=")
    classifiers = PYPROJECT["project"]["classifiers"]
    supported = [name.rpartition(" ")[2] for name in classifiers if re.search(r"3\.\d+$", name)]
    assert f"for python in {' '.join(f'python{version}' for version in supported)};" in result.stdout


@needs_make
def test_pythons_in_ci_fails_for_a_missing_python(tmp_path: Path) -> None:
    missing = "SUPPORTED_PYTHONS=python-that-does-not-exist"
    assert make(tmp_path, "pythons", missing, "CI=").returncode == 0
    assert make(tmp_path, "pythons", missing, "CI=true").returncode == 2


@needs_make
@pytest.mark.parametrize("lacking", [None, "java", "perl"])
def test_matrix_needs_java_and_perl(
    lacking: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin = tmp_path / "bin"
    bin.mkdir()
    for program, script in (("java", "echo jdk.compiler@17.0.15"), ("perl", "exit 0")):
        text = "exit 1" if program == lacking else script
        (bin / program).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (bin / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")
    code, commands, _ = record_calls(tmp_path, "matrix", "ARGS=--write")
    if lacking:
        assert (code, commands) == (2, [])
    else:
        assert code == 0
        assert commands[0].endswith("-c constraints.txt --group matrix")
        assert commands[1:] == ["-m tests.support.matrix --write"]


@needs_make
def test_help_lists_every_target(tmp_path: Path) -> None:
    named = set(re.findall(r"^make (\w+)", make(tmp_path, "help").stdout, re.MULTILINE))
    assert named == TARGETS - {"help", "install", "node", "go"}


@pytest.mark.parametrize(
    "path", [*WORKFLOWS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name
)
def test_every_target_that_is_named_exists(path: Path) -> None:
    named = re.findall(
        r"(?:^|`|run: )(?:make|\.ci/run) ([a-z ]+?)(?:`| {2}|$| ARGS)",
        path.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert named
    assert {target for targets in named for target in targets.split()} <= TARGETS


def test_every_script_of_the_workflows_exists() -> None:
    steps = [
        step
        for path in WORKFLOWS
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
    ]
    programs = {shlex.split(step["run"])[0] for step in steps if "run" in step}
    scripts = {".ci/run", ".ci/upstream"}
    assert programs == {"make", "docker", *scripts}
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def run_upstream_script(
    folder: Path, *, output: str, code: int, open_issue: str = ""
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run ``.ci/upstream`` with a comparison and a ``gh`` that are scripts; return what ``gh`` was given."""
    programs = {
        ".venv/bin/python": f"cat <<'END'\n{output}\nEND\nexit {code}",
        "bin/gh": f'printf "<%s>" "$@" >> calls; case "$2" in list) printf "%s" "{open_issue}";; esac',
    }
    for name, script in programs.items():
        program = folder / name
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "upstream", folder / ".ci")
    result = subprocess.run(
        [folder / ".ci" / "upstream"],
        env={**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    calls = folder / "calls"
    return result, calls.read_text(encoding="utf-8") if calls.exists() else ""


@pytest.mark.parametrize("code", [0, 3, 4])
def test_only_a_change_upstream_opens_an_issue(code: int, tmp_path: Path) -> None:
    result, calls = run_upstream_script(tmp_path, output="The contract holds.", code=code)
    assert (result.returncode, result.stdout, calls) == (code, "The contract holds.\n", "")


def test_a_crash_of_the_comparison_opens_no_issue(tmp_path: Path) -> None:
    result, calls = run_upstream_script(tmp_path, output="", code=1)
    assert (result.returncode, calls) == (1, "")


def test_a_change_upstream_opens_one_issue(tmp_path: Path) -> None:
    report = 'Logto changed: 1 difference.\n1. "new" `x` $HOME'
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    result, calls = run_upstream_script(tmp_path / "first", output=report, code=1)
    assert result.returncode == 1
    assert "<issue><create><--title><Logto changed upstream><--body>" in calls
    assert f"```\n{report}\n```" in calls
    result, calls = run_upstream_script(tmp_path / "second", output=report, code=1, open_issue="17")
    assert result.returncode == 1
    assert "<issue><edit><17><--body>" in calls
    assert f"```\n{report}\n```" in calls
    assert "<create>" not in calls


def test_the_hooks_run_the_commands_of_lint_and_types() -> None:
    """The hooks use no other repository, and change files instead of only checking the format."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = config["repos"]
    assert repository["repo"] == "local"
    hooks = [hook["entry"].removesuffix(" --force-exclude") for hook in repository["hooks"]]
    recipes = re.findall(r"^\t@\$\(BIN\)/((?:ruff|mypy).*)$", MAKEFILE, re.MULTILINE)
    assert hooks == [f".venv/bin/{recipe.removesuffix(' --check')}" for recipe in recipes]
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}


def test_the_demo_shows_the_code_and_complains_of_nothing() -> None:
    """Without Node its sender is Python code; nothing else differs."""
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"], capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "11 deliveries: 9 valid, 2 invalid." in result.stdout
    assert result.stdout.endswith("  code: 042137\n")
