"""The list of Logto's releases: one file has it, and every file that names the newest is made from it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.schemas.contract_files import DATA, ROOT, index

if TYPE_CHECKING:
    from pathlib import Path

RELEASES = ROOT / "tools" / "contract_source" / "releases.json"
# They may name a release although it is the newest: history, recordings, versions of other software.
OTHERS = re.compile(
    r"CHANGELOG\.md|constraints\.txt|tools/contract_source/.*|tests/schemas/data/.*|tests/real_logto/.*|.*lock.*\.json"
)


def newest() -> str:
    """Return the newest known release."""
    release: str = index()["revisions"][-1]["releases"][-1]
    return release


def has_release(text: str, release: str) -> bool:
    """Return whether a text names a release, with or without its patch number if that is 0."""
    return (
        re.search(rf"(?<![\d.]){re.escape(release.removesuffix('.0'))}(\.0)?(?![\d]|\.\d)", text) is not None
    )


def find_naming(folder: Path, names: list[str], release: str) -> set[str]:
    """Return the names of the text files below a folder that name a release."""
    found = set()
    for name in names:
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue  # A picture, or a file that is deleted but not yet committed.
        if has_release(text, release):
            found.add(name)
    return found


def list_generated(folder: Path) -> list[str]:
    """Return the names of the files that the generator writes into an empty folder."""
    command = [sys.executable, "-m", "tools.contract_source", "--folder", str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return [line.removeprefix("wrote: ") for line in output.splitlines()]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return the names of the generated files."""
    return list_generated(tmp_path_factory.mktemp("project"))


def test_the_index_has_the_releases_of_the_list() -> None:
    listed = json.loads(RELEASES.read_text(encoding="utf-8"))
    assert {entry["id"]: entry["releases"] for entry in index()["revisions"]} == listed


def test_no_file_names_the_newest_release_by_hand(generated: list[str]) -> None:
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    tracked = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split("\0")
    by_hand = [name for name in tracked if name and not OTHERS.fullmatch(name) and name not in generated]
    assert len(by_hand) > 300
    assert find_naming(ROOT, by_hand, newest()) == set()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Logto v7.8.0.", True),
        ("(7.8)", True),
        ("7.8.", True),
        ("7.8.1", False),
        ("7.80", False),
        ("27.8.0", False),
        ("0.7.8", False),
    ],
)
def test_a_release_is_found_in_a_text(*, text: str, named: bool) -> None:
    assert has_release(text, "7.8.0") is named


def test_a_made_up_release_changes_every_file_that_names_the_newest(
    generated: list[str], tmp_path: Path
) -> None:
    """In a copy, one line in the list and ``make schemas`` are enough."""
    for name in ("tools/contract_source", "schemas", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(DATA, tmp_path / DATA.relative_to(ROOT))
    before = find_naming(ROOT, generated, newest())
    assert {"schemas/index.json", "schemas/openapi.json", "docs/revisions.md"} < before

    releases = tmp_path / RELEASES.relative_to(ROOT)
    listed = json.loads(releases.read_text(encoding="utf-8"))
    listed[index()["current"]].append("1.987.6")
    releases.write_text(json.dumps(listed), encoding="utf-8")
    command = [sys.executable, "-m", "tools.contract_source"]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)

    assert find_naming(tmp_path, generated, "1.987.6") == before
    # What still names the former newest lists all releases, or tells what it changed.
    assert find_naming(tmp_path, generated, newest()) == {"schemas/index.json", "docs/revisions.md"}
    changed = {name for name in generated if (tmp_path / name).read_bytes() != (ROOT / name).read_bytes()}
    assert changed == before
