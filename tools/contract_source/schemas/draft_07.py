"""Rewrites a schema in JSON Schema draft-07, for engines that read no later draft."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .references import move_refs

if TYPE_CHECKING:
    from ..files import Json

DRAFT_07 = "http://json-schema.org/draft-07/schema#"


def rewrite_as_draft_07(schema: Json) -> Json:
    """Return a 2020-12 schema of this project in draft-07, without its ``$id``.

    Draft-07 ignores what stands beside a ``$ref``. The schemas have nothing but a description there.
    """
    moved = move_refs(schema, "#/definitions/{}".format)
    names = {key: key for key in schema if key not in ("$schema", "$id")} | {"$defs": "definitions"}
    return {"$schema": DRAFT_07} | {name: moved[key] for key, name in names.items() if key in moved}
