"""The catalogue: the revisions and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .differences import DIFFERENCES
from .revisions import CURRENT, LAYER_FILES, REVISIONS

if TYPE_CHECKING:
    from ..files import Json


def build_index() -> Json:
    """Return ``index.json``: the revisions, oldest first, and their files."""
    return {
        "$schema": "./index.schema.json",
        "current": CURRENT,
        "layers": {
            "guard": (
                "All that the type SendMessageData allows: the verdict of sendMessageDataGuard. Logto "
                "defines that guard but does not run it on outgoing mail."
            ),
            "emitted": (
                "All that Logto core of these releases really sends, per template type. A part of guard."
            ),
            "documented": (
                "All that docs.logto.io promises per template type, with extra variables. A part of guard; "
                "the current revision only."
            ),
        },
        "revisions": [
            {
                "id": revision.id,
                "releases": [*revision.releases],
                "connectorKit": [*revision.connector_kit],
                "connectorHttpEmail": [*revision.connector_http_email],
                "templateTypes": [*revision.template_types],
                "typedVariables": [*revision.typed_variables],
                "changes": revision.changes,
                "differences": [difference.write() for difference in DIFFERENCES[revision.id]],
                "files": {layer: f"{revision.id}/{LAYER_FILES[layer]}" for layer in revision.layers},
                "vectors": {layer: f"vectors/{revision.id}/{layer}.json" for layer in revision.layers},
            }
            for revision in REVISIONS
        ],
    }
