"""Compares the contract with the newest packages of Logto on npm.

python -m tools.upstream                      take the newest packages from npm
python -m tools.upstream --packages FOLDER    take those that are installed in a folder

Exit codes: 0 the contract holds, 1 Logto changed, 3 Node, npm or the packages are missing, 4 a fault of ours.
make turns each of the last three into its own 2.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from tests.logto.node import NodeWorker

from .changes import FACTS, Change
from .context import compare_context
from .guard import compare_guard
from .packages import (
    UnavailableError,
    UnreadableError,
    add_workers,
    check_tools,
    install_newest,
    link_packages,
    read_facts,
    read_versions,
)
from .proofs import TESTS, ProofError, run_proofs
from .report import format_report
from .wire import compare_wire

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SECONDS = 115
"""For everything. npm and the tests may use what is left of it."""
HOLDS, CHANGED, UNAVAILABLE, FAULT = 0, 1, 3, 4


def compare(folder: Path) -> list[Change]:
    """Return the differences between the packages in a folder and the contract.

    Raises:
        WorkerError: A worker ended or gave no result.
    """
    add_workers(folder)
    try:
        facts = read_facts(folder)
    except UnreadableError as error:
        return [Change("the packages have another form", str(error), "reads them by facts.mjs", "", (FACTS,))]
    with (
        NodeWorker("guards.mjs", folder=folder) as guards,
        NodeWorker("connector.mjs", folder=folder) as connector,
    ):
        wire = compare_wire(facts, connector)
        return [*compare_guard(facts, guards), *wire, *compare_context(facts)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print the report, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.upstream",
        description="Compare the contract with the newest packages of Logto.",
    )
    parser.add_argument(
        "--packages",
        type=Path,
        metavar="FOLDER",
        help="a folder with installed packages to use in place of those on npm; nothing is written there",
    )
    parser.add_argument(
        "--tests", nargs="*", default=TESTS, metavar="TEST", help="the tests to run with the packages"
    )
    parser.add_argument("--seconds", type=float, default=MAX_SECONDS, help="how long it may take")
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + options.seconds
    try:
        check_tools()
        with tempfile.TemporaryDirectory(prefix="logto-upstream-") as scratch:
            folder = Path(scratch)
            if options.packages is None:
                install_newest(folder)
            else:
                link_packages(options.packages, folder)
            versions = read_versions(folder)
            changes = compare(folder)
            passed = None
            if options.tests:
                try:
                    passed, failures = run_proofs(folder, options.tests, max(0, deadline - time.monotonic()))
                    changes += failures
                except ProofError as error:
                    if not changes:
                        raise
                    print(error, file=sys.stderr)
    except UnavailableError as error:
        print(f"cannot compare: {error}", file=sys.stderr)
        return UNAVAILABLE
    except ProofError as error:
        print(f"the comparison itself failed: {error}", file=sys.stderr)
        return FAULT
    # Python itself would end with 1, which says that Logto changed.
    except Exception:  # noqa: BLE001 - whatever failed here, Logto did not change
        print(f"the comparison itself failed: {traceback.format_exc()}", file=sys.stderr)
        return FAULT
    print(format_report(versions, changes, passed))
    return CHANGED if changes else HOLDS


if __name__ == "__main__":
    sys.exit(main())
