"""Renders ``docs/revisions.md``: each revision, and each difference from the one before with its witness."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .files import Json

PAGE = "docs/revisions.md"

TITLE = "# Revisions of the contract"
INTRODUCTION = (
    (
        "A contract revision is named after the first Logto release that speaks it. This page lists what "
        "differs from the revision before, so that you see what an upgrade of Logto means for your receiver "
        "or your sender. The list is data too: the member `differences` of "
        "[index.json](../schemas/index.json). `make schemas` writes this page from it."
    ),
    "The layer **guard** is what Logto's type allows. The layer **emitted** is what Logto core really sends.",
    (
        "Each message below is a vector. If a difference may break a receiver, this revision accepts the "
        "message and the revision before refuses it. If it may break a sender, this revision refuses the "
        "message and the revision before accepts it."
    ),
    "A receiver that ignores the types, variables and members that it does not know reads every revision.",
)
KINDS = {
    "type-added": ("the type {name} is new", "Yes, if it refuses a template type that it does not know."),
    "type-removed": ("the type {name} is gone", "Yes, if it sends this type."),
    "member-added": (
        "the member {name} may come",
        "Yes, if it refuses top-level members that it does not know.",
    ),
    "variable-added": (
        "the variable {name} may come",
        "Yes, if it refuses variables that it does not know.",
    ),
    "variable-removed": ("the variable {name} never comes", "Yes, if it sends the variable."),
    "variable-required": ("the variable {name} always comes", "Yes, if it leaves the variable out."),
    "variable-optional": ("the variable {name} may be missing", "Yes, if it needs the variable."),
    "value-widened": ("{name} may have any JSON value", "Yes, if it expects a string."),
    "value-narrowed": ("{name} is always a string", "Yes, if it sends a value of another type."),
}
"""The title of each kind of difference, and when it breaks whom it may break."""


def wrap(text: str) -> str:
    """Return a paragraph in lines of at most 120 characters."""
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def render_page(index: Json, vectors: Mapping[str, list[Json]]) -> str:
    """Return the text of the page.

    Args:
        index: The catalogue.
        vectors: The groups of every vector file, under its path below ``schemas/``.
    """
    blocks = [TITLE, *map(wrap, INTRODUCTION)]
    for revision in index["revisions"]:
        first, last = revision["releases"][0], revision["releases"][-1]
        releases = f"v{first}" if first == last else f"v{first} to v{last}"
        blocks += [f"## {revision['id']}: Logto {releases}", wrap(revision["changes"])]
        for difference in revision["differences"]:
            groups = vectors[revision["vectors"][difference["layer"]]]
            blocks += render_difference(revision["id"], difference, groups)
    return "\n\n".join(blocks) + "\n"


def render_difference(revision: str, difference: Json, groups: list[Json]) -> list[str]:
    """Return the blocks of one difference.

    Args:
        revision: The newer revision.
        difference: The difference as the catalogue has it.
        groups: The vectors of its layer in the newer revision.
    """
    (witness,) = [test for group in groups for test in group["tests"] if test["id"] == difference["witness"]]
    title, condition = KINDS[difference["kind"]]
    beside = f" beside `{difference['beside']}`" if "beside" in difference else ""
    name = "any other variable" if difference["name"] == "*" else f"`{difference['name']}`"
    answers = [
        f"- Does it break my {party}? {condition if party == difference['breaks'] else 'No.'}"
        for party in ("receiver", "sender")
    ]
    types = [wrap(f"In messages of type {', '.join(difference['types'])}.")] if "types" in difference else []
    return [
        f"### {revision}, {difference['layer']}: {title.format(name=name)}{beside}",
        *types,
        "\n".join(answers),
        f"Vector `{witness['id']}`:",
        f"```json\n{json.dumps(witness['data'])}\n```",
    ]
