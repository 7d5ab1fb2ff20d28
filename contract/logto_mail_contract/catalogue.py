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


def resolve_revision(name: str) -> str:
    """Return the contract revision of a revision id or a Logto release.

    Args:
        name: A revision (``"1.35"``) or a Logto release with two or three numbers, with or without a ``v``
            (``"1.38"``, ``"v1.42.0"``).

    Raises:
        UnknownRevision: The catalogue has no such revision or release, or ``name`` is no text.
    """
    if not isinstance(name, str):
        raise UnknownRevision(
            f'invalid revision {name!r}: expected text such as "1.35", not {type(name).__name__}'
        )
    if name in revisions():
        return name
    wanted = name.removeprefix("v")
    for entry in index()["revisions"]:
        if any(wanted in (release, release.rpartition(".")[0]) for release in entry["releases"]):
            revision: str = entry["id"]
            return revision
    newest = index()["revisions"][-1]["releases"][-1]
    raise UnknownRevision(
        f"There is no contract revision {name!r}. Revisions: {', '.join(revisions())}; "
        f"or a Logto release from {revisions()[0]} to {newest}."
    )


def schema(revision: str, layer: str) -> Mapping[str, Any]:
    """Return the JSON Schema of a layer of a revision.

    Args:
        revision: A contract revision, not a release.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        UnknownLayer: There is no such layer, or that revision does not have it.
    """
    entry = next(entry for entry in index()["revisions"] if entry["id"] == revision)
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
