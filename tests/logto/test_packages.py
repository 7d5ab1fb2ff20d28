"""The real Logto packages: pinned, from no named host, and reported when they are missing."""

from __future__ import annotations

import json
import os
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.logto import node

from logto_mail_contract.catalogue import index

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the folder with nothing installed."""
    shutil.copy(node.FOLDER / "package-lock.json", tmp_path)
    return tmp_path


@pytest.fixture
def install_node(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Return a function that puts a Node of some version first on the path."""
    bin = tmp_path_factory.mktemp("bin")

    def install(version: str) -> None:
        program = bin / "node"
        program.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin}{os.pathsep}{os.environ['PATH']}")

    return install


def write_installed_packages(folder: Path, **versions: str) -> None:
    """Write the file that npm writes after an installation, with other versions of some packages."""
    lock = json.loads((folder / "package-lock.json").read_bytes())
    lock["packages"].pop("")
    for name, version in versions.items():
        lock["packages"][f"node_modules/{name}"]["version"] = version
    (folder / "node_modules").mkdir()
    (folder / "node_modules" / ".package-lock.json").write_text(json.dumps(lock))


def test_every_version_is_exact() -> None:
    """Each dependency has one version."""
    dependencies = json.loads((node.FOLDER / "package.json").read_bytes())["dependencies"]
    assert "@logto/connector-http-email" in dependencies
    for version in dependencies.values():
        assert re.fullmatch(r"(npm:@logto/connector-kit@)?\d+\.\d+\.\d+", version)


def test_every_kit_of_the_current_revision_is_pinned() -> None:
    """The guard differential judges with each connector-kit that the catalogue lists."""
    assert list(node.list_kits(node.FOLDER)) == index()["revisions"][-1]["connectorKit"]


LOCK_FILES = [
    node.FOLDER / "package-lock.json",
    *(
        node.FOLDER.parents[1] / folder / "package-lock.json"
        for folder in (
            "bench/servers",
            "examples/e2e",
            "examples/receiver_node",
            "tests/generators",
            "tests/openapi",
            "tests/validators",
        )
    ),
]


@pytest.mark.parametrize("lock_file", LOCK_FILES, ids=lambda file: file.parent.name)
def test_the_lock_file_names_no_host(lock_file: Path) -> None:
    """Each package has a checksum, and npm loads it from any registry that it is configured for.

    npm writes links for donations into a new lock file; remove the members ``funding``.
    """
    text = lock_file.read_text(encoding="utf-8")
    assert "://" not in text
    packages = json.loads(text)["packages"]
    packages.pop("")
    assert packages
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


def test_a_complete_installation_is_accepted(folder: Path, install_node: Callable[[str], None]) -> None:
    """With Node and every package nothing is missing."""
    install_node("v20.0.0")
    write_installed_packages(folder)
    assert node.lacking(folder) is None


def test_a_missing_node_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason names Node and the command to run."""
    monkeypatch.setenv("PATH", "")
    assert re.search(r"need Node 20 or later.*npm ci --prefix tests/logto$", node.lacking() or "")


def test_an_old_node_is_reported(folder: Path, install_node: Callable[[str], None]) -> None:
    """The reason names both versions."""
    install_node("v18.20.8")
    write_installed_packages(folder)
    assert re.search(r"need Node 20 or later, not v18\.20\.8", node.lacking(folder) or "")


def test_missing_or_other_packages_are_reported(folder: Path, install_node: Callable[[str], None]) -> None:
    """The reason names the command to run."""
    install_node("v22.1.0")
    assert re.search(r"not installed: run: npm ci --prefix tests/logto$", node.lacking(folder) or "")
    write_installed_packages(folder, zod="3.22.0")
    assert re.search(r"other packages .* run: npm ci --prefix tests/logto$", node.lacking(folder) or "")


def test_missing_packages_skip_a_test_but_fail_it_in_ci(
    folder: Path, install_node: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test is skipped on a developer's machine and fails in CI."""
    install_node("v22.1.0")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="npm ci"):
        node.require_packages(folder)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="npm ci"):
        node.require_packages(folder)
