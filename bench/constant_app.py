"""The least that uvicorn can do with a delivery: an ASGI application that reads it and sends a constant."""

from __future__ import annotations

from typing import Any

_BODY = b'{"accepted":true}'
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BODY))],
}


async def app(_: Any, receive: Any, send: Any) -> None:
    """Respond."""
    while (await receive()).get("more_body"):
        pass
    await send(_START)
    await send({"type": "http.response.body", "body": _BODY})
