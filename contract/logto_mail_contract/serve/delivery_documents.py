"""Deliveries as the documents of the inbox API: the summary of a list, and the detail of one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..inbox.matching import parse_body
from ..judging.javascript_json import stringify

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..inbox.recorded import Recorded


def summarize(recorded: Recorded) -> dict[str, Any]:
    """Return the members of a delivery that a list shows."""
    more = {"moreFindings": recorded.more_findings} if recorded.more_findings else {}
    return {
        "id": recorded.id,
        "time": _format_time(recorded.arrived),
        "to": recorded.to,
        "type": recorded.type,
        "code": recorded.code,
        "link": recorded.link,
        "locale": recorded.locale,
        "status": recorded.status,
        "response": recorded.response,
        "valid": recorded.valid,
        "findings": json.loads(recorded.findings or "[]"),
        **more,
    }


def name_near(near: Sequence[str]) -> dict[str, Any]:
    """Return the member that names other ways to write a recipient; none where there are none."""
    return {"near": list(near)} if near else {}


def to_detail(recorded: Recorded) -> bytes:
    """Return the JSON text of a delivery with its request and message; slow for a large one."""
    members = summarize(recorded) | {
        "method": recorded.method,
        "target": recorded.target,
        "headers": recorded.headers,
        "body": recorded.body.decode("utf-8", "replace"),
        "bodyBase64": base64.b64encode(recorded.body).decode(),
    }
    # Not json.dumps: for 1e999 it writes Infinity, which is no JSON, where JavaScript writes null.
    message = stringify(parse_body(recorded.body))
    return json.dumps(members)[:-1].encode() + b', "message": ' + message + b"}"


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
