"""Messages with one mistake: every mistake has a name, a rule that fails, and a place."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ..judging.javascript_json import stringify
from ._layer_changes import collect_changes
from ._messages import build_shortest, messages_of
from ._revisions import choose_names, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hypothesis.strategies import DrawFn, SearchStrategy

    from ._changes import Change


@dataclass(frozen=True, slots=True)
class Mutation:
    """A message with one mistake.

    Attributes:
        name: The mistake, a stable slug such as ``code-number``.
        text: The body to post: JSON text, or text that the mistake made invalid.
        message: The value of the text. None if the text is not JSON, is no object, has duplicate keys, or is
            nested too deep.
        rule: The id of the one rule that fails in ``validate``.
        pointer: The JSON pointer of the place, ``""`` for the whole message.
    """

    name: str
    text: str
    message: dict[str, Any] | None
    rule: str
    pointer: str


def mutation_names(
    revision: str | None = None, layer: str = "guard", types: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the name of every mutation of a revision and layer, in a stable order.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Return only mutations of these template types; all when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: The layer has no such template type, or ``types`` is empty.
        TypeError: ``types`` is one text.
    """
    resolved, kinds = resolve(revision, layer, types)
    changes = collect_changes(resolved, layer)
    return tuple(name for name, change in changes.items() if not set(kinds).isdisjoint(change.kinds))


def mutate(
    name: str,
    message: Mapping[str, Any] | None = None,
    revision: str | None = None,
    layer: str = "guard",
) -> Mutation:
    """Make one named mistake in a message.

    Args:
        name: One of ``mutation_names``.
        message: A message that is valid in the layer; it is not changed. When None, the shortest message of
            the first template type that can have the mistake.
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: There is no such mutation, or the message's template type cannot have it.
    """
    resolved, _ = resolve(revision, layer)
    change = collect_changes(resolved, layer).get(name)
    if change is None:
        raise ValueError(
            f"Revision {resolved}, layer {layer}, has no mutation {name!r}; mutation_names() lists them"
        )
    if message is None:
        message = build_shortest(resolved, layer, change.kinds[0])
    elif message.get("type") not in change.kinds:
        raise ValueError(f"The mutation {name!r} needs one of the template types {', '.join(change.kinds)}")
    return _make_mutation(name, change, message, layer)


def _make_mutation(name: str, change: Change, message: Mapping[str, Any], layer: str) -> Mutation:
    rule = f"message/{change.rule if '/' in change.rule else f'{layer}/{change.rule}'}"
    text = stringify(dict(message)).decode()
    if change.write is not None:
        return Mutation(name, change.write(text[:-1]), None, rule, change.pointer)
    copy = json.loads(text)
    if change.edit is not None:
        change.edit(copy)
    return Mutation(name, stringify(copy).decode(), copy, rule, change.pointer)


def mutations(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[Mutation]:
    """Draw messages with one mistake, for which ``validate`` returns one finding.

    A receiver that judges messages by the layer refuses them all.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``.
        types: Template types to draw; all types of the layer when None.
        names: Mutations to draw, some of ``mutation_names``; all when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a mutation is unknown, no type can have the mutation, or ``types`` or
            ``names`` is empty.
        TypeError: ``types`` or ``names`` is one text.
    """
    resolved, kinds = resolve(revision, layer, types)
    chosen = choose_names(names, mutation_names(resolved, layer, kinds), "mutation")
    changes = collect_changes(resolved, layer)
    sources = {
        name: messages_of(resolved, layer, tuple(kind for kind in kinds if kind in changes[name].kinds))
        for name in chosen
    }
    return _draw_mutation(_Sources(resolved, layer, st.sampled_from(chosen), sources))


@dataclass(frozen=True, slots=True)
class _Sources:
    """The mutations to choose from, and the messages that each of them changes."""

    revision: str
    layer: str
    names: SearchStrategy[str] = field(repr=False)
    messages: Mapping[str, SearchStrategy[dict[str, Any]]] = field(repr=False)


@st.composite
def _draw_mutation(draw: DrawFn, sources: _Sources) -> Mutation:
    name = draw(sources.names)
    change = collect_changes(sources.revision, sources.layer)[name]
    return _make_mutation(name, change, draw(sources.messages[name]), sources.layer)
