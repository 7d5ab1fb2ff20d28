"""The newest packages of Logto in a scratch folder, beside the Node workers of ``tests/logto``."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.logto.node import WorkerError, lacking

ROOT = Path(__file__).resolve().parents[2]
WORKERS = ROOT / "tests" / "logto"
FACTS = Path(__file__).with_name("facts.mjs")
OLDEST_NODE = 20
MAX_INSTALL_SECONDS = 60
MAX_FACTS_SECONDS = 30

DEPENDENCIES = {
    "kit-newest": "npm:@logto/connector-kit@latest",
    "@logto/connector-http-email": "latest",
    "@logto/schemas": "latest",
}
NEWEST = {
    "name": "logto-mail-contract-upstream",
    "private": True,
    "type": "module",
    "dependencies": DEPENDENCIES,
}


class UnavailableError(Exception):
    """Node, npm or the packages cannot be had here. Its text says what to do."""


class UnreadableError(Exception):
    """The packages do not state what the contract rests on in the known form. Its text is Node's error."""


def check_tools() -> None:
    """Check that Node and npm are here.

    Raises:
        UnavailableError: One is missing, or Node is too old.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise UnavailableError(f"{program} is missing: install Node {OLDEST_NODE} or later, with npm")
    version = subprocess.check_output(["node", "--version"], text=True).strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        raise UnavailableError(f"Node {version} is too old: install Node {OLDEST_NODE} or later")


def install_newest(folder: Path) -> None:
    """Install the newest packages from npm into a folder.

    Raises:
        UnavailableError: npm failed, or took longer than 60 seconds.
    """
    (folder / "package.json").write_text(json.dumps(NEWEST), encoding="utf-8")
    # No script of a package is run. By default npm waits minutes before it gives a registry up.
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=2000"]
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=MAX_INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm took longer than {MAX_INSTALL_SECONDS} s to install") from error
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        said = " | ".join(lines[:3]) or "it printed no error"
        raise UnavailableError(f"npm failed with exit code {result.returncode}: {said}")


def link_packages(source: Path, folder: Path) -> None:
    """Let a folder use the packages that are installed in another one.

    Raises:
        UnavailableError: No packages are installed there.
    """
    reason = lacking(source, str(source))
    if reason is not None:
        raise UnavailableError(reason)
    (folder / "node_modules").symlink_to(source.resolve() / "node_modules")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, folder)


def add_workers(folder: Path) -> None:
    """Copy the Node workers into a folder of packages, so that they import the packages there."""
    for worker in (*WORKERS.glob("*.mjs"), FACTS):
        shutil.copy(worker, folder)


def read_versions(folder: Path) -> dict[str, str]:
    """Return the version of each package that the comparison is about.

    Raises:
        UnavailableError: One is not installed in the folder.
    """
    versions = {}
    for name in DEPENDENCIES:
        manifest = folder / "node_modules" / name / "package.json"
        if not manifest.is_file():
            raise UnavailableError(f"the package {name} is missing: install {', '.join(DEPENDENCIES)}")
        package = json.loads(manifest.read_bytes())
        versions[package["name"]] = package["version"]
    return versions


def read_facts(folder: Path, seconds: float = MAX_FACTS_SECONDS) -> dict[str, Any]:
    """Return what the packages of a folder state: see ``facts.mjs``.

    Args:
        folder: A folder with packages and workers.
        seconds: How long it may take.

    Raises:
        UnreadableError: The packages cannot be loaded, or have another form.
        WorkerError: Node took too long, or was ended by a signal.
    """
    try:
        result = subprocess.run(
            ["node", str(folder / FACTS.name)], capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"{FACTS.name} gave no result within {seconds} s") from error
    if result.returncode < 0:
        raise WorkerError(f"{FACTS.name} was ended by signal {-result.returncode}")
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if "Error" in line]
        raise UnreadableError(errors[0] if errors else result.stderr)
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts
