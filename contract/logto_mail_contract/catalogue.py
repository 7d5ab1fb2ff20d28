"""Finds and loads the contract that ``schemas/`` holds: revisions, schemas, rules and vectors.

This is the only module that knows the folder.
"""

from __future__ import annotations

from functools import cache

# The name is known to type checkers; importing typing would cost the command line a tenth of its start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from typing import Any

    from .findings import Rule

LAYERS = ("guard", "emitted", "documented")


class UnknownRevision(ValueError):
    """A revision or Logto release was asked for that the catalogue does not hold."""


class UnknownLayer(ValueError):
    """A layer was asked for that does not exist, or not for that revision."""


@cache
def folder() -> Traversable:
    """Return the folder ``schemas``: inside the installed package, else beside the source root.

    Raises:
        FileNotFoundError: The installation is damaged, neither place holds the folder.
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
        f"logto-mail-contract is not installed whole: no schemas/index.json in {packaged} nor in {beside}. "
        "Install it again."
    )


def load(name: str) -> Any:
    """Return the parsed JSON file ``name``, a path below ``schemas/`` with forward slashes."""
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
    """Return the id of the revision that current Logto releases speak."""
    current: str = index()["current"]
    return current


def resolve_revision(name: str) -> str:
    """Return the contract revision that ``name`` means.

    Args:
        name: A revision (``"1.35"``) or a Logto release with two or three numbers, with or without a ``v``
            (``"1.38"``, ``"v1.42.0"``).

    Raises:
        UnknownRevision: No release in the catalogue has that name.
    """
    if not isinstance(name, str):
        raise UnknownRevision(f'A revision is text, "1.35" say; it was {name!r}, a {type(name).__name__}.')
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
        f"a Logto release from {revisions()[0]} to {newest} is taken too."
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
