"""Reads facts about a revision from its schemas, and checks what a caller chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_typed_variables(revision: str) -> tuple[str, ...]:
    """Return the variables of the payload that the guard of a contract revision names."""
    schema = catalogue.schema(revision, "guard")
    return tuple(schema["properties"]["payload"]["properties"])


def has_ip(revision: str) -> bool:
    """Return whether a contract revision has the member ``ip``."""
    return "ip" in catalogue.schema(revision, "guard")["properties"]


def read_types(revision: str, layer: str) -> tuple[str, ...]:
    """Return the template types of a layer, in the schema's order."""
    return tuple(catalogue.schema(revision, layer)["properties"]["type"]["enum"])


def resolve(
    revision: str | None, layer: str, types: Iterable[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the chosen contract revision and template types, in the order of the schema.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: The layer has no such template type, or ``types`` is empty.
        TypeError: ``types`` is one text.
    """
    resolved = catalogue.resolve_revision(revision)
    kinds = read_types(resolved, layer)
    if types is None:
        return resolved, kinds
    if isinstance(types, str):
        raise TypeError(f"types must be an iterable of template types: for one of them, [{str(types)!r}]")
    wanted = [str(kind) for kind in types]
    for kind in wanted:
        if kind not in kinds:
            raise ValueError(
                f"Revision {resolved}, layer {layer}, has no template type {kind!r}. "
                f"Its types: {', '.join(kinds)}."
            )
    if not wanted:
        raise ValueError("types is empty, so there is nothing to draw; pass None for every type")
    return resolved, tuple(kind for kind in kinds if kind in wanted)


def choose_names(names: Iterable[str] | None, known: tuple[str, ...], word: str) -> tuple[str, ...]:
    """Return the chosen names in the order of the known ones; ``word`` says what they name.

    Raises:
        ValueError: A name is unknown, or ``names`` is empty.
        TypeError: ``names`` is one text.
    """
    if names is None:
        return known
    if isinstance(names, str):
        raise TypeError(f"names must be an iterable of names: for one of them, [{names!r}]")
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"unknown {word} {name!r}; the known ones: {', '.join(known)}")
    if not wanted:
        raise ValueError(f"names is empty, so there is nothing to draw; pass None for every {word}")
    return tuple(name for name in known if name in wanted)
