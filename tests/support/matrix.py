"""Runs every generator and validator, and compares the tables of ``docs/tested-tools.md``: ``make matrix``.

python -m tests.support.matrix            exits with 1 if a row differs
python -m tests.support.matrix --write    writes the rows
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.generators import families
from tests.generators.rows import GENERATORS, TABLE_MESSAGES, generator_row
from tests.support.receiver_messages import SENT
from tests.support.tool_tables import PAGE, replace_rows
from tests.validators.rows import VALIDATORS, validator_rows

if TYPE_CHECKING:
    from collections.abc import Sequence


def generator_rows() -> list[str]:
    rows: dict[str, str] = {}
    for family in (*families.CHEAP, *families.HEAVY):
        with tempfile.TemporaryDirectory() as folder:
            results = family(families.Sources(), Path(folder), [*TABLE_MESSAGES, *SENT])
        rows |= {name: generator_row(name, result) for name, result in results.items()}
    return [rows[name] for name in GENERATORS]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="write the rows to the page")
    write = parser.parse_args(arguments).write
    before = PAGE.read_text(encoding="utf-8")
    after = replace_rows("generators", before, generator_rows())
    after = replace_rows("validators", after, [row for v in VALIDATORS for row in validator_rows(v)])
    if write:
        PAGE.write_text(after, encoding="utf-8")
        return 0
    sys.stdout.writelines(
        difflib.unified_diff(before.splitlines(True), after.splitlines(True), "page", "tools")
    )
    if before == after:
        return 0
    sys.stdout.write("The page and the tools differ. Write the page with: make matrix ARGS=--write\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
