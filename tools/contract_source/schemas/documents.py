"""Builds every document under the path that it has below ``schemas/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .documented import build_documented
from .emitted import build_emitted
from .guard import build_guard
from .index import build_index
from .openapi import build_openapi
from .pieces import format_identifier
from .revisions import CURRENT, LAYER_FILES, REVISIONS

if TYPE_CHECKING:
    from ..files import Json

BUILDERS = {"guard": build_guard, "emitted": build_emitted, "documented": build_documented}


def build_documents() -> dict[str, Json]:
    """Return every generated document under its path below ``schemas/``."""
    documents: dict[str, Json] = {"index.json": build_index()}
    for revision in REVISIONS:
        for layer in revision.layers:
            document = BUILDERS[layer](revision)
            documents[f"{revision.id}/{LAYER_FILES[layer]}"] = document
            if revision.id == CURRENT:
                documents[LAYER_FILES[layer]] = document | {"$id": format_identifier("current", layer)}
                if layer == "guard":
                    documents["openapi.json"] = build_openapi(revision)
    return documents
