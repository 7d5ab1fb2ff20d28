"""Builds every document under the path that it has below ``schemas/``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .documented import build_documented
from .draft_07 import rewrite_as_draft_07
from .emitted import build_emitted
from .guard import build_guard
from .index import build_index
from .openapi import build_openapi
from .pieces import format_identifier
from .receiver import build_receiver
from .revisions import CURRENT, LAYER_FILES, REVISIONS

if TYPE_CHECKING:
    from ..files import Json

BUILDERS = {"guard": build_guard, "emitted": build_emitted, "documented": build_documented}


def build_documents() -> dict[str, Json]:
    """Return every generated document under its path below ``schemas/``."""
    documents: dict[str, Json] = {"index.json": build_index()}
    for revision in REVISIONS:
        for layer in revision.layers:
            documents[f"{revision.id}/{LAYER_FILES[layer]}"] = BUILDERS[layer](revision)
    current = next(revision for revision in REVISIONS if revision.id == CURRENT)
    for layer in current.layers:
        name = LAYER_FILES[layer]
        documents[name] = documents[f"{CURRENT}/{name}"] | {"$id": format_identifier("current", layer)}
    documents["receiver.schema.json"] = build_receiver(current)
    for name in ("receiver.schema.json", LAYER_FILES["guard"], LAYER_FILES["emitted"]):
        documents[f"draft-07/{name}"] = rewrite_as_draft_07(documents[name])
    documents["openapi.json"] = build_openapi(current)
    return documents
