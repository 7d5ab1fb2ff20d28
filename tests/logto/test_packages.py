"""The packages that the proof rests on: pinned, from no named host, and never quietly missing."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.logto import node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the folder with nothing installed, that the checks take for the real one."""
    shutil.copy(node.FOLDER / "package-lock.json", tmp_path)
    monkeypatch.setattr(node, "FOLDER", tmp_path)
    return tmp_path


@pytest.fixture
def node_says(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sets the version of Node that the checks find."""

    def say(version: str) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/node")
        monkeypatch.setattr("subprocess.check_output", lambda *_, **__: f"{version}\n")

    return say


def install(folder: Path, **versions: str) -> None:
    """Write what npm writes when it has installed what the lock file says, but for some packages."""
    lock = json.loads((folder / "package-lock.json").read_bytes())
    lock["packages"].pop("")
    for name, version in versions.items():
        lock["packages"][f"node_modules/{name}"]["version"] = version
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / ".package-lock.json").write_text(json.dumps(lock))


def test_versions_are_exact() -> None:
    """Each dependency has one version."""
    dependencies = json.loads((node.FOLDER / "package.json").read_bytes())["dependencies"]
    assert "@logto/connector-http-email" in dependencies
    for version in dependencies.values():
        assert re.fullmatch(r"(npm:@logto/connector-kit@)?\d+\.\d+\.\d+", version)


LOCK_FILES = [
    node.FOLDER / "package-lock.json",
    *(
        node.FOLDER.parents[1] / folder / "package-lock.json"
        for folder in ("bench/servers", "examples/e2e", "examples/receiver_node")
    ),
]


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda file: file.parent.name)
def test_lock_file_names_no_host(lock_file: Path) -> None:
    """Each package has a checksum, and comes from whatever registry npm is told to use.

    npm writes links for donations into a new lock file; take out the members ``funding``.
    """
    text = lock_file.read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    packages.pop("")
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_nothing_lacks(folder: Path, node_says: Callable[[str], None]) -> None:
    """Where Node is and all is installed, nothing is lacking."""
    node_says("v20.0.0")
    install(folder)
    assert node.lacking() is None


def test_lacks_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Node, Node is named and the command that follows."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert re.search(r"need Node 20 or later.*npm ci --prefix tests/logto$", node.lacking() or "")


def test_lacks_a_newer_node(folder: Path, node_says: Callable[[str], None]) -> None:
    """With too old a Node, both versions are named."""
    node_says("v18.20.8")
    install(folder)
    assert re.search(r"need Node 20 or later, not v18\.20\.8", node.lacking() or "")


def test_lacks_packages(folder: Path, node_says: Callable[[str], None]) -> None:
    """Where nothing or something else is installed, the command to run is named."""
    node_says("v22.1.0")
    assert re.search(r"not installed: run: npm ci --prefix tests/logto$", node.lacking() or "")
    install(folder, zod="3.22.0")
    assert re.search(r"other packages .* run: npm ci --prefix tests/logto$", node.lacking() or "")


@pytest.mark.usefixtures("folder")
def test_lacking_skips_but_fails_in_ci(
    node_says: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is lacking skips a test on a developer's machine; in CI nothing may be lacking."""
    node_says("v22.1.0")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="npm ci"):
        node.require_packages()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="npm ci"):
        node.require_packages()
