"""Finds and loads the contract in ``schemas/``: revisions, schemas, rules and vectors.

This is the only module that knows the folder.
"""

from __future__ import annotations

from functools import cache

# Type checkers know this name. Importing typing would add a tenth to the start of the command line.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from typing import Any

    from .findings import Rule

LAYERS = ("guard", "emitted", "documented")


class UnknownRevision(ValueError):
    """The catalogue has no such revision or Logto release."""


class UnknownLayer(ValueError):
    """There is no such layer, or the revision does not have it."""


@cache
def folder() -> Traversable:
    """Return the folder ``schemas``, inside the installed package or beside the source root.

    Raises:
        FileNotFoundError: The installation is damaged: neither place has the folder.
    """
    from importlib.resources import files
    from pathlib import Path

    packaged = files("logto_mail_contract") / "schemas"
    if packaged.joinpath("index.json").is_file():
        return packaged
    beside = Path(__file__).parents[2] / "schemas"
    if (beside / "index.json").is_file():
        return beside
    raise FileNotFoundError(
        f"logto-mail-contract is not installed completely: no schemas/index.json in {packaged} or {beside}. "
        "Install it again."
    )


def load(name: str) -> Any:
    """Return the parsed JSON file at ``name``, a path below ``schemas/`` with forward slashes."""
    import json

    return json.loads(folder().joinpath(*name.split("/")).read_text(encoding="utf-8"))


@cache
def index() -> Mapping[str, Any]:
    """Return ``schemas/index.json``: the revisions, oldest first, with their releases and files."""
    document: Mapping[str, Any] = load("index.json")
    return document


@cache
def revisions() -> tuple[str, ...]:
    """Return the ids of the contract revisions, oldest first."""
    return tuple(entry["id"] for entry in index()["revisions"])


def current_revision() -> str:
    """Return the id of the revision of current Logto releases."""
    current: str = index()["current"]
    return current


def newest_release() -> str:
    """Return the newest Logto release that the contract was checked against, without a ``v``."""
    newest: str = index()["revisions"][-1]["releases"][-1]
    return newest


def resolve_revision(name: str | None) -> str:
    """Return the contract revision of a revision id or a Logto release.

    A release between known ones means the nearest known one below. One that is newer than all means the
    current revision; ``explain_newer_release`` says so in words.

    Args:
        name: A revision (``"1.35"``) or a Logto release with two or three numbers, with or without a ``v``
            (``"1.22"``, ``"v1.22.0"``); None means the current revision.

    Raises:
        UnknownRevision: The release is older than all known ones, or ``name`` is no release or no text.
    """
    if name is None:
        return current_revision()
    if not isinstance(name, str):
        raise UnknownRevision(
            f'invalid revision {name!r}: expected text such as "1.35", not {type(name).__name__}'
        )
    if name in revisions():
        return name
    wanted = _read_release(name)
    older = [revision for release, revision in _known_releases() if wanted is not None and release <= wanted]
    if not older:
        raise UnknownRevision(
            f"There is no contract revision {name!r}. Revisions: {', '.join(revisions())}; "
            f"or a Logto release, v{index()['revisions'][0]['releases'][0]} or newer."
        )
    return older[-1]


def explain_newer_release(name: str | None) -> str | None:
    """Return the sentence that a Logto release is newer than the contract; None if it is not.

    Args:
        name: As for ``resolve_revision``; None means the current revision.
    """
    if not isinstance(name, str) or name in revisions():
        return None
    wanted = _read_release(name)
    if wanted is None or wanted <= _known_releases()[-1][0]:
        return None
    return (
        f"Logto v{name.removeprefix('v')} is newer than v{newest_release()}, the newest release that the "
        f"contract was checked against; the current revision {current_revision()} is used"
    )


@cache
def _known_releases() -> tuple[tuple[tuple[int, ...], str], ...]:
    """Return every known release as numbers, oldest first, with its revision."""
    return tuple(
        (tuple(map(int, release.split("."))), entry["id"])
        for entry in index()["revisions"]
        for release in entry["releases"]
    )


def _read_release(name: str) -> tuple[int, ...] | None:
    """Return the three numbers of a release; None if the text is no release."""
    import re

    number = "(0|[1-9][0-9]{0,8})"
    found = re.fullmatch(rf"v?{number}\.{number}(?:\.{number})?", name)
    return None if found is None else tuple(int(part or 0) for part in found.groups())


def schema(revision: str, layer: str) -> Mapping[str, Any]:
    """Return the JSON Schema of a layer of a revision.

    Args:
        revision: A contract revision, not a release.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        UnknownRevision: There is no such revision.
        UnknownLayer: There is no such layer, or that revision does not have it.
    """
    entry = next((entry for entry in index()["revisions"] if entry["id"] == revision), None)
    if entry is None:
        raise UnknownRevision(
            f"There is no schema of revision {revision!r}. Revisions: {', '.join(revisions())}. "
            "For a Logto release, call resolve_revision first."
        )
    if layer not in entry["files"]:
        raise UnknownLayer(
            f"Revision {revision} has no layer {layer!r}. Its layers: {', '.join(entry['files'])}."
            + (f" Only {current_revision()} has 'documented'." if layer == "documented" else "")
        )
    document: Mapping[str, Any] = load(entry["files"][layer])
    return document


@cache
def rules() -> Mapping[str, Rule]:
    """Return every rule of ``schemas/rules.json`` by its id, in the order of the file."""
    from .findings import Rule

    return {
        entry["id"]: Rule(**{**entry, "outcomes": tuple(entry["outcomes"])})
        for entry in load("rules.json")["rules"]
    }
