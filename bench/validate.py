"""Lines a second and peak memory of ``mail-contract validate``, beside ajv-cli and check-jsonschema.

The other two read no lines: each message is a file for them, as many as they read in a minute. Sides that
cannot be installed are left out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _measure import install_apart, judge

from logto_mail_contract import catalogue
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.judging.plausible import generate_plausible
from logto_mail_contract.judging.typical import template_types

if TYPE_CHECKING:
    from collections.abc import Sequence

VALIDATORS = Path(__file__).parent / "validators"
BIN = Path(sys.executable).parent
DIFFERENT = 16_000
LINES = int(os.environ.get("LINES", "1600000"))
MAX_SECONDS = float(os.environ.get("SECONDS", "60"))
FIRST_FILES = 200
MAX_MORE_MEGABYTES = 20
REVISION = catalogue.current_revision()


class Run(NamedTuple):
    """What a process took.

    Attributes:
        seconds: How long it ran.
        megabytes: The most memory that it held.
    """

    seconds: float
    megabytes: float


# In a small process: the peak of a child counts that of the process that started it.
MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
# Kilobytes on Linux, bytes on macOS.
unit = 1024 if sys.platform == "linux" else 1024**2
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit)
"""


def run(command: Sequence[str | Path], folder: Path) -> Run:
    measure = [sys.executable, "-S", "-c", MEASURE, *command]
    printed = subprocess.run(measure, cwd=folder, stdout=subprocess.PIPE, check=True).stdout
    return Run(*map(float, printed.split()))


def print_run(name: str, messages: int, taken: Run) -> None:
    rate = messages / taken.seconds
    print(f"  {name:<44} {messages:>9,} in {taken.seconds:6.1f} s {rate:>9,.0f}/s {taken.megabytes:>6.0f} MB")


def measure_lines(folder: Path, messages: Sequence[bytes]) -> None:
    few, many = folder / "few.ndjson", folder / "many.ndjson"
    lines = b"".join(message + b"\n" for message in messages)
    few.write_bytes(lines)
    with many.open("wb") as file:
        for _ in range(LINES // len(messages)):
            file.write(lines)
    for output in ("text", "json"):
        peaks = []
        for name in (few, many):
            taken = run([BIN / "mail-contract", "validate", "--format", output, name], folder)
            count = len(messages) if name == few else LINES // len(messages) * len(messages)
            print_run(f"mail-contract validate --format {output}", count, taken)
            peaks.append(taken.megabytes)
        judge("MB more for all lines", peaks[1] - peaks[0], MAX_MORE_MEGABYTES, at_most=True)


def measure_files(name: str, command: Sequence[str | Path], folder: Path, *, is_pattern: bool) -> None:
    """Run a validator of files with as many as it reads in the time, and print what it took.

    Args:
        name: Its name.
        command: Its command, without the files.
        folder: The folder of the files.
        is_pattern: Whether it takes a pattern of names, and not each name.
    """
    files = sorted(folder.glob("*.json"))
    count = FIRST_FILES
    while True:
        chosen = folder / f"first-{count}"
        chosen.mkdir(exist_ok=True)
        for file in files[:count]:
            (chosen / file.name).write_bytes(file.read_bytes())
        names = ["*.json"] if is_pattern else sorted(path.name for path in chosen.iterdir())
        taken = run([*command, *names], chosen)
        if count > FIRST_FILES or count >= len(files):
            break
        # What starting takes is small beside it.
        count = min(len(files), max(FIRST_FILES + 1, int(0.8 * MAX_SECONDS * count / taken.seconds)))
    print_run(name, count, taken)


def main() -> None:
    stream = generate_plausible(template_types(), REVISION, "emitted", seed=0)
    messages = [stringify(message) for message in islice(stream, min(DIFFERENT, LINES))]
    print(f"\nMessages judged, {len(messages):,} different ones")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_lines(folder, messages)
        for number, message in enumerate(messages):
            (folder / f"{number:05}.json").write_bytes(message)
        schema = folder / "schema" / "guard.json"
        schema.parent.mkdir()
        schema.write_bytes(stringify(catalogue.schema(REVISION, "guard")))
        if shutil.which("npm"):
            if not (VALIDATORS / "node_modules").is_dir():
                subprocess.run(["npm", "ci", "--prefix", VALIDATORS], check=True, stdout=subprocess.DEVNULL)
            ajv = VALIDATORS / "node_modules" / "ajv-cli" / "dist" / "index.js"
            command: list[str | Path] = [
                "node",
                ajv,
                "validate",
                "--spec=draft2020",
                "--strict=false",
                "-s",
                schema,
                "-d",
            ]
            measure_files("ajv-cli", command, folder, is_pattern=True)
        python = install_apart("check-jsonschema", "check-jsonschema==0.39.0")
        if python is not None:
            checker = python.with_name("check-jsonschema")
            measure_files("check-jsonschema", [checker, "--schemafile", schema], folder, is_pattern=False)


if __name__ == "__main__":
    main()
