"""Deliveries as the documents of the inbox API: the summary of a list, and the detail of one."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..inbox.matching import parse_body
from ..judging.javascript_json import stringify
from ..judging.message import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..inbox.recorded import Recorded

_LARGE_BODY_BYTES = 64 * 1024


def summarize(recorded: Recorded) -> dict[str, Any]:
    """Return the members of a delivery that a list shows."""
    document = parse_body(recorded.body)
    message = Message(document if isinstance(document, dict) else {})
    return {
        "id": recorded.id,
        "time": _format_time(recorded.arrived),
        "to": recorded.to,
        "type": recorded.type,
        "code": message.code,
        "link": message.link,
        "locale": message.locale,
        "status": recorded.status,
        "response": recorded.response,
        "valid": recorded.valid,
        "findings": json.loads(recorded.findings or "[]"),
    }


def to_detail(recorded: Recorded) -> bytes:
    """Return the JSON text of a delivery with its request and message."""
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


async def summarize_all(found: Sequence[Recorded]) -> list[dict[str, Any]]:
    """Return the summaries of deliveries, letting the event loop run between large ones."""
    summaries = []
    for recorded in found:
        summaries.append(summarize(recorded))
        if len(recorded.body) > _LARGE_BODY_BYTES:
            # Parsing a thousand of the largest lasts a minute: let the loop serve others meanwhile.
            await asyncio.sleep(0)
    return summaries


def _format_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
