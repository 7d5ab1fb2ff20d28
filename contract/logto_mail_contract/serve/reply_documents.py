"""Scripted replies as JSON documents: reads what is posted to the inbox API, writes what it lists."""

from __future__ import annotations

from math import inf, isfinite
from typing import Any

from ..inbox.matching import Query
from ..masking import format_value
from ..wire.replies import Endless, Garbage, Reply, Reset, ScriptedResponse, scripted_response

MAX_PAUSE_SECONDS = 86_400
"""The longest delay or interval; ``silence`` never responds."""

_SHARED = ("reply", "to", "toCaseInsensitive", "times")
_FIELDS: dict[str, dict[str, tuple[type, ...]]] = {
    "response": {"status": (int,), "body": (str,), "headers": (dict,), "delay": (int, float)},
    "redirect": {"location": (str,), "status": (int,)},
    "reset": {},
    "silence": {},
    "endless": {},
    "garbage": {},
    "drip": {"status": (int,), "body": (str,), "interval": (int, float)},
}


def read(document: Any) -> tuple[Query, Reply, int | None]:
    """Return what a document scripts: for which recipient, the reply, and for how many deliveries.

    Args:
        document: The document, a JSON value.

    Raises:
        ValueError: A member is unknown, or has a value out of bounds.
        TypeError: The document or a member has the wrong JSON type.
    """
    if not isinstance(document, dict):
        raise TypeError(f"A scripted reply is a JSON object; it was {format_value(document)}.")
    kind = document.get("reply", "response")
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise ValueError(f"reply is one of {', '.join(_FIELDS)}; it was {format_value(kind)}.")
    # In JSON, 2.0 is a whole number too.
    document = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in document.items()
    }
    given = {name: value for name, value in document.items() if name not in _SHARED}
    for name, value in given.items():
        types = _FIELDS[kind].get(name)
        if types is None:
            known = ", ".join([*_SHARED, *_FIELDS[kind]])
            raise ValueError(f"A reply of kind {kind} has no {format_value(name)}; it has: {known}.")
        if not isinstance(value, types) or isinstance(value, bool):
            raise TypeError(f"{name} is {_TYPES[types]}; it was {format_value(value)}.")
    to, times = document.get("to"), document.get("times", 1)
    ignore_case = document.get("toCaseInsensitive", False)
    if not isinstance(ignore_case, bool):
        raise TypeError(f"toCaseInsensitive is true or false; it was {format_value(ignore_case)}.")
    if not (to is None or isinstance(to, str)):
        raise TypeError(f"to is an address or null; it was {format_value(to)}.")
    if times is not None and not (isinstance(times, int) and not isinstance(times, bool) and times >= 1):
        raise ValueError(f"times is 1 or more, or null until it is deleted; it was {format_value(times)}.")
    return Query(to, ignore_case=ignore_case and to is not None), _make_reply(kind, given), times


_TYPES: dict[tuple[type, ...], str] = {
    (int,): "a whole number",
    (int, float): "a number",
    (str,): "text",
    (dict,): "an object",
}


def _make_reply(kind: str, given: dict[str, Any]) -> Reply:
    if kind == "reset":
        return Reset()
    if kind == "endless":
        return Endless()
    if kind == "garbage":
        return Garbage(b"\0\1garbage\xff\r\n\r\n")
    if kind == "silence":
        return ScriptedResponse(delay=inf)
    if kind == "redirect":
        if "location" not in given:
            raise ValueError("A redirect has a location.")
        return scripted_response(given.get("status", 307), b"", {"Location": given["location"]})
    delay, interval = given.get("delay", 0), given.get("interval", 0.1)
    if not 0 <= delay <= MAX_PAUSE_SECONDS:
        raise ValueError(f"delay is from 0 to {MAX_PAUSE_SECONDS} seconds; it was {format_value(delay)}.")
    if not 0 < interval <= MAX_PAUSE_SECONDS:
        raise ValueError(
            f"interval is more than 0 and at most {MAX_PAUSE_SECONDS} seconds; "
            f"it was {format_value(interval)}."
        )
    headers = given.get("headers", {})
    for value in headers.values():
        if not isinstance(value, str):
            raise TypeError(f"A header's value is text; it was {format_value(value)}.")
    body = given.get("body", "").encode("utf-8", "replace")
    drip = interval if kind == "drip" else 0.0
    return scripted_response(given.get("status", 200), body, headers, delay=delay, drip=drip)


def write(key: Query, reply: Reply, times: int | None) -> dict[str, Any]:
    """Return the document that scripts a reply.

    Args:
        key: The recipient whose deliveries get it; one that names none for all.
        reply: The reply.
        times: For how many deliveries; None until it is deleted.
    """
    document: dict[str, Any]
    if not isinstance(reply, ScriptedResponse):
        document = {"reply": type(reply).__name__.lower()}
    elif not isfinite(reply.delay):
        document = {"reply": "silence"}
    elif reply.drip:
        document = {
            "reply": "drip",
            "status": reply.status,
            "body": reply.body.decode(),
            "interval": reply.drip,
        }
    elif list(reply.headers) == ["Location"] and not reply.body and not reply.delay:
        document = {"reply": "redirect", "status": reply.status, "location": reply.headers["Location"]}
    else:
        document = {
            "reply": "response",
            "status": reply.status,
            "body": reply.body.decode(),
            "headers": dict(reply.headers),
            "delay": reply.delay,
        }
    case = {"toCaseInsensitive": True} if key.ignore_case else {}
    return {**document, "to": key.to, **case, "times": times}


def measure(key: Query, reply: Reply) -> int:
    """Return how many bytes a script has, but for those that every script has.

    Args:
        key: As for ``write``.
        reply: As for ``write``.
    """
    size = len(key.to or "")
    if isinstance(reply, ScriptedResponse):
        size += len(reply.body) + sum(len(name) + len(value) for name, value in reply.headers.items())
    return size
