"""The generator: it writes the files in the repository, and ``--check`` reports differences."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.schemas.contract_files import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "tools" / "contract_source"
GENERATED = ("schemas/1.31/emitted.schema.json", "schemas/vectors/1.31/emitted.json", "docs/revisions.md")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the generator as a maintainer would."""
    command = [sys.executable, "-m", "tools.contract_source", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the generated files to damage."""
    for name in ("schemas", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def test_the_files_are_current() -> None:
    """The files in the repository equal those that the generator writes."""
    result = run("--check")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("name", GENERATED)
def test_a_difference_is_reported_and_repaired(name: str, folder: Path) -> None:
    """A changed or missing file is reported with exit code 1; without ``--check`` it is written again."""
    path = folder / name
    good = path.read_bytes()
    path.write_bytes(good + b" ")
    for _ in range(2):
        checked = run("--check", "--folder", str(folder))
        assert (checked.returncode, checked.stdout) == (1, f"differs: {name}\n")
        path.unlink(missing_ok=True)
    written = run("--folder", str(folder))
    assert (written.returncode, written.stdout) == (0, f"wrote: {name}\n")
    assert path.read_bytes() == good
    assert run("--folder", str(folder)).stdout == ""


def imports_schemas(source: str) -> bool:
    """Return whether a module of the vectors imports the tables of the schemas."""
    return any(
        isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "schemas"
        for node in ast.walk(ast.parse(source))
    )


def test_vectors_import_no_table_of_the_schemas() -> None:
    """A slip in a table of the schemas must not repeat itself in the vectors."""
    sources = [path.read_text(encoding="utf-8") for path in (PACKAGE / "vectors").glob("*.py")]
    assert len(sources) > 10
    assert not any(map(imports_schemas, sources))
    assert imports_schemas("from ..schemas.revisions import REVISIONS")
