"""What the schemas say of a revision, and what a caller of the strategies chose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_typed_variables(revision: str) -> tuple[str, ...]:
    """Return the payload's variables that the type of a contract revision speaks of."""
    schema = catalogue.schema(revision, "guard")
    return tuple(schema["properties"]["payload"]["properties"])


def has_ip(revision: str) -> bool:
    """Tell whether a contract revision has the member ``ip``."""
    return "ip" in catalogue.schema(revision, "guard")["properties"]


def read_types(revision: str, layer: str) -> tuple[str, ...]:
    """Return the template types of a layer, in the schema's order."""
    return tuple(catalogue.schema(revision, layer)["properties"]["type"]["enum"])


def resolve(
    revision: str | None, layer: str, types: Iterable[str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the contract revision and the template types that are meant, in the schema's order."""
    resolved = catalogue.current_revision() if revision is None else catalogue.resolve_revision(revision)
    kinds = read_types(resolved, layer)
    if types is None:
        return resolved, kinds
    if isinstance(types, str):
        raise TypeError(f"types is an iterable of template types: for one of them, [{str(types)!r}]")
    wanted = [str(kind) for kind in types]
    for kind in wanted:
        if kind not in kinds:
            raise ValueError(
                f"Revision {resolved}, layer {layer}, has no template type {kind!r}. "
                f"Its types: {', '.join(kinds)}."
            )
    if not wanted:
        raise ValueError("types is empty, so that there is nothing to draw from; None means every type")
    return resolved, tuple(kind for kind in kinds if kind in wanted)


def choose_names(names: Iterable[str] | None, known: tuple[str, ...], word: str) -> tuple[str, ...]:
    """Return the names that are meant, in the order of those that there are; ``word`` is what they name."""
    if names is None:
        return known
    if isinstance(names, str):
        raise TypeError(f"names is an iterable of names: for one of them, [{names!r}]")
    wanted = tuple(names)
    for name in wanted:
        if name not in known:
            raise ValueError(f"There is no {word} {name!r} here. There are: {', '.join(known)}.")
    if not wanted:
        raise ValueError(f"names is empty, so that there is nothing to draw from; None means every {word}")
    return tuple(name for name in known if name in wanted)
