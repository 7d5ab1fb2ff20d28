"""The guard layer: what the type ``SendMessageData`` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pieces import format_releases, make_heading, make_text, make_type_member, make_typed_variables
from .revisions import CURRENT
from .samples import SAMPLE_IP, SAMPLE_LINK, make_sample
from .texts import IP, PAYLOAD, TO

if TYPE_CHECKING:
    from ..files import Json
    from .revisions import Revision


def build_guard(revision: Revision) -> Json:
    """Return the guard layer: the verdict of connector-kit's ``sendMessageDataGuard``, exactly."""
    others = (
        "Every other member is a string too."
        if revision.strings_only
        else "Every other member may be any JSON value, null included."
    )
    payload: Json = {
        "title": "Payload",
        "type": "object",
        "description": (
            f"{PAYLOAD} No variable is tied to a template type here: {{}} passes for every type. A named "
            f"variable is absent or a string, possibly empty, and never null. {others}"
        ),
        "examples": [{"code": "031415"}, {"link": SAMPLE_LINK}, {}],
        "properties": make_typed_variables(revision.typed_variables),
    }
    payload["additionalProperties"] = (
        {"type": "string", "description": "Any other variable is a string."}
        if revision.strings_only
        else True
    )
    properties: Json = {
        "to": {
            "type": "string",
            "description": f"{TO} Any string passes here.",
            "examples": ["foo@example.com"],
        },
        "type": make_type_member(revision.template_types),
        "payload": payload,
    }
    if revision.id == CURRENT:
        properties["ip"] = make_text(f"{IP} Any string passes here.", examples=[SAMPLE_IP])
    description = (
        f"One message as {format_releases(revision)} may post it to an HTTP email endpoint. This schema "
        "accepts exactly what sendMessageDataGuard accepts "
        "(packages/toolkit/connector-kit/src/types/passwordless.ts of those releases). It is the widest "
        "layer: judge a receiver by it. Logto itself does not run the guard on what it sends. Unknown "
        "top-level members are tolerated."
    )
    names = [
        name for name in ("SignIn", "OrganizationInvitation", "BindMfa") if name in revision.emitted_types
    ]
    return make_heading(revision, "guard", description, [make_sample(revision, name) for name in names]) | {
        "type": "object",
        "required": ["to", "type", "payload"],
        "properties": properties,
        "additionalProperties": True,
    }
