"""Pieces of schema that several layers use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .samples import SAMPLE_LINK
from .texts import TYPE, TYPE_MEANINGS, VARIABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..files import Json
    from .revisions import Revision


DIALECT = "https://json-schema.org/draft/2020-12/schema"
LAYER_TITLES = {
    "guard": "what Logto's type allows",
    "emitted": "what Logto really sends",
    "documented": "what Logto's docs promise",
}


def format_identifier(revision: str, layer: str) -> str:
    """Return the ``$id`` of a schema."""
    return f"urn:logto-mail-contract:schema:{revision}:{layer}"


def make_heading(revision: Revision, layer: str, description: str, examples: list[Json]) -> Json:
    """Return the members with which every message schema begins."""
    return {
        "$schema": DIALECT,
        "$id": format_identifier(revision.id, layer),
        "title": f"SendMessageData {revision.id}: {LAYER_TITLES[layer]}",
        "description": description,
        "examples": examples,
    }


def format_releases(revision: Revision) -> str:
    """Return the releases of a revision in words."""
    first, last = revision.releases[0], revision.releases[-1]
    return f"Logto v{first}" if first == last else f"Logto v{first} to v{last}"


def make_text(description: str, *, examples: Sequence[str] = (), **limits: int) -> Json:
    """Return the schema of a string."""
    schema: Json = {"type": "string", "description": description}
    if examples:
        schema["examples"] = list(examples)
    return schema | limits


def make_ref(name: str) -> Json:
    """Return a reference to one of the document's own definitions."""
    return {"$ref": f"#/$defs/{name}"}


def make_requirement(member: str, other: str) -> Json:
    """Return the members of a schema by which an object with ``member`` also has ``other``.

    The empty properties are for Ajv: in strict mode it wants each required member named beside.
    """
    return {
        "if": {"properties": {member: {}}, "required": [member]},
        "then": {"properties": {other: {}}, "required": [other]},
    }


def make_variable(name: str, *examples: str) -> Json:
    """Return the schema of a typed variable: any string."""
    return make_text(VARIABLES[name], examples=examples)


VARIABLE_EXAMPLES = {
    "code": ("031415", "000000"),
    "link": (SAMPLE_LINK,),
    "locale": ("en", "pt-BR"),
    "uiLocales": ("pt-BR de",),
}


def make_typed_variables(names: Iterable[str]) -> Json:
    """Return the properties of the variables that the type ``SendMessageData`` names."""
    return {name: make_variable(name, *VARIABLE_EXAMPLES[name]) for name in names}


def make_type_member(names: Iterable[str]) -> Json:
    """Return the schema of ``type``, each name with its meaning."""
    listed = tuple(names)
    meanings = " ".join(f"{name}: {TYPE_MEANINGS[name]}" for name in listed)
    return {"description": f"{TYPE} {meanings}", "examples": [listed[0]], "enum": [*listed]}


def make_type_branches(branches: dict[str, Json]) -> list[Json]:
    """Return one ``if``/``then`` per template type, flat, so that one mistake is one error."""
    return [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"properties": properties},
        }
        for name, properties in branches.items()
    ]
