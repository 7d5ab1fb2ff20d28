"""Runs the tests of ``tests/logto`` with other packages: the guard differential and the wire test."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .changes import Change
from .packages import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TESTS = ("tests/logto/test_guard_differential.py", "tests/logto/test_connector.py")
PASSED, FAILED = 0, 1


class ProofError(Exception):
    """The tests could not be run to their end."""


def run_proofs(folder: Path, tests: Sequence[str], seconds: float) -> tuple[int, list[Change]]:
    """Run tests with the packages of a folder; return how many passed, and a change for each that failed.

    Args:
        folder: A folder with packages and workers.
        tests: Test files, or single tests, from the project's folder.
        seconds: How long they may take.

    Raises:
        ProofError: pytest did not end in time, could not run, or skipped every test.
    """
    results = folder / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if len(tests) > 1:
        command += ["-n", "2", "--dist", "loadfile"]
    environment = {**os.environ, "LOGTO_PACKAGES": str(folder), "CI": "true"}
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environment.pop(name, None)
    try:
        result = subprocess.run(
            [*command, f"--junitxml={results}", *tests],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise ProofError(f"the tests did not end within the {seconds:.0f} s that were left") from error
    if result.returncode not in (PASSED, FAILED):
        raise ProofError(f"pytest ended with exit code {result.returncode}: {result.stdout[-500:]}")
    # Written by pytest just now, so no stranger's XML.
    cases = ElementTree.parse(results).getroot().iter("testcase")  # noqa: S314
    failures: list[Change] = []
    passed = 0
    for case in cases:
        parts = {part.tag: part for part in case}
        problem = parts.get("failure", parts.get("error"))
        if problem is None:
            passed += "skipped" not in parts
            continue
        file = case.attrib["classname"].replace(".", "/") + ".py"
        message = " ".join(problem.attrib.get("message", "").split())
        failures.append(
            Change(f"{file}::{case.attrib['name']}", message[:300], "the test passes", "", (file,))
        )
    if not passed and not failures:
        raise ProofError("every test was skipped, so none shows that the contract holds")
    return passed, failures
