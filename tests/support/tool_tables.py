"""The tables of ``docs/tested-tools.md``: tests make their rows and compare them with the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tested-tools.md"


def render_row(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def rows_on_page(table: str, page: str) -> list[str]:
    """Return the rows of a table without its head; ``table`` is the name in the comment before it."""
    return _table(table, page).group(2).splitlines()


def replace_rows(table: str, page: str, rows: Iterable[str]) -> str:
    """Return the page with other rows in a table."""
    match = _table(table, page)
    return page[: match.start(2)] + "".join(f"{row}\n" for row in rows) + page[match.end(2) :]


def _table(name: str, page: str) -> re.Match[str]:
    match = re.search(rf"(<!-- the table of {name}, .*-->\n\|.*\|\n\| ---.*\|\n)((?:\|.*\|\n)*)", page)
    assert match is not None, f"{PAGE} has no table {name!r}"
    return match


def npm_version(folder: str, package: str) -> str:
    """Return the version of a package that the lock file of a folder of ``tests/`` pins."""
    lock = json.loads((ROOT / "tests" / folder / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"][f"node_modules/{package}"]["version"])


def pypi_version(package: str) -> str:
    """Return the version of a package that ``constraints.txt`` pins."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    match = re.search(rf"^{package}==(.*)$", pins, re.MULTILINE)
    assert match is not None, f"constraints.txt pins no {package}"
    return match.group(1)
