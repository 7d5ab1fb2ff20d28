"""A request of the inbox API and its response: parameters, errors, and ASGI.

No web framework: the routes are few, and importing one costs half as much time as the start of the command.
"""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl

from ..inbox.matching import Query
from ..masking import format_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PIECE_BYTES = 64 * 1024
"""Bytes of a body that are sent before others have their turn."""

HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
"""The header lines of every response."""

_RFC_3339 = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ](?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)"
    "(?P<zone>[Zz]|[-+ ][0-9]{2}:[0-9]{2})"
)


_NUMBER = re.compile(r"-?[0-9]++(?:\.[0-9]++)?(?:[eE][-+ ]?[0-9]++)?")
_FLAGS = {"0": False, "1": True, "false": False, "true": True}

MAX_CURSOR = 10**15
"""What is below is a whole number of a float too, exactly."""


class Content(NamedTuple):
    """The response to a request."""

    status: int
    type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def to_json(document: Any, status: int = 200) -> Content:
    """Return a document as a response in JSON."""
    return Content(status, "application/json", json.dumps(document).encode())


class Refused(Exception):
    """A request that gets an error as its response."""

    def __init__(self, status: int, error: str, **members: Any) -> None:
        self.content = to_json({"error": error, **members}, status)
        super().__init__(error)


class ApiRequest(NamedTuple):
    """A request of the API.

    Attributes:
        scope: The request's scope in ASGI.
        receive: Receives what follows the request, as in ASGI.
        send: Sends the response, as in ASGI.
        parameters: The parameters of its query.
        groups: What stood in the variable places of its path.
    """

    scope: Scope
    receive: Receive
    send: Send
    parameters: Mapping[str, str]
    groups: tuple[str, ...]

    def header(self, name: bytes) -> bytes | None:
        """Return the value of the first header line with a name in lower case; None where there is none."""
        lines: list[tuple[bytes, bytes]] = self.scope["headers"]
        return next((value for header, value in lines if header == name), None)

    def number(self, name: str, default: float, *, least: float, most: float, whole: bool = False) -> float:
        """Return a parameter that is a number between two bounds.

        Raises:
            Refused: It is not.
        """
        text = self.parameters.get(name)
        if text is None:
            return default
        number = _parse_number(text)
        if number is None or not least <= number <= most or (whole and not number.is_integer()):
            kind = "a whole number" if whole else "a number"
            raise Refused(400, f"{name} is {kind} from {least:g} to {most:g}; it was {format_value(text)}.")
        return number

    def query(self, *, invalid: bool = False, accepted: bool = False) -> Query:
        """Return the query that its parameters are.

        Raises:
            Refused: A parameter has a value that it cannot have.
        """
        return Query(
            to=self.parameters.get("to"),
            type=self.parameters.get("type"),
            since=_parse_time(self.parameters.get("since")),
            after=parse_cursor("after", self.parameters.get("after")),
            invalid=invalid,
            accepted=accepted,
            ignore_case=self._flag("toCaseInsensitive"),
            blank_is_plus=True,
        )

    def _flag(self, name: str) -> bool:
        text = self.parameters.get(name, "0")
        if text not in _FLAGS:
            raise Refused(400, f"{name} is {' or '.join(_FLAGS)}; it was {format_value(text)}.")
        return _FLAGS[text]


def parse_cursor(name: str, text: str | None) -> int | None:
    """Return the id that a parameter or header holds; None where there is none.

    Raises:
        Refused: It is no id.
    """
    if text is None:
        return None
    number = _parse_number(text)
    if number is None or not 0 <= number < MAX_CURSOR or not number.is_integer():
        raise Refused(400, f"{name} is the id of a message; it was {format_value(text)}.")
    return int(number)


def _parse_number(text: str) -> float | None:
    """Return a number in any form of JSON, also with zeros before it; None where it is none."""
    # float() accepts more: 1_0, nan, digits of any script. A plus that a URL did not escape is a blank.
    return float(text.replace(" ", "+")) if _NUMBER.fullmatch(text) else None


def _parse_time(text: str | None) -> float | None:
    if text is None:
        return None
    if found := _RFC_3339.fullmatch(text):
        # In a query, a plus that was not escaped is a space.
        zone = found["zone"].upper().replace(" ", "+")
        # Python reads no leap second. It is the last of a day of UTC.
        time, leap = re.subn("(?<=:59):60", ":59", found["time"])
        with suppress(ValueError):
            moment = datetime.fromisoformat(f"{found['date']}T{time}{zone}").astimezone(UTC)
            if not leap or (moment.hour, moment.minute) == (23, 59):
                return moment.timestamp() + leap
    raise Refused(
        400, f"since is a time as in RFC 3339, for example 2026-01-31T12:00:00Z; it was {format_value(text)}."
    )


def parse_parameters(query: bytes, allowed: tuple[str, ...]) -> dict[str, str]:
    """Return the parameters of a query.

    Raises:
        Refused: One is not allowed or comes twice, or the query cannot be read.
    """
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise Refused(400, "The query is no UTF-8 text with at most 20 parameters.") from None
    parameters = dict(pairs)
    for name in parameters:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise Refused(400, f"There is no parameter {format_value(name)} here; there is: {known}.")
    if len(parameters) < len(pairs):
        raise Refused(400, "The query has a parameter twice.")
    return parameters


def body_part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    """Return the ASGI message that sends a part of a body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


async def send_body(send: Send, body: bytes, *, more: bool = False) -> None:
    """Send a body, or a part of one with more to come, in pieces: a client may read slowly or not at all."""
    for start in range(0, len(body) - PIECE_BYTES, PIECE_BYTES):
        await send(body_part(body[start : start + PIECE_BYTES]))
        # What was written goes to the transport at the end of this turn; the next call waits for the client.
        await asyncio.sleep(0)
    await send(body_part(body[max(0, (len(body) - 1) // PIECE_BYTES * PIECE_BYTES) :], more=more))


async def wait_for_disconnect(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def respond(send: Send, content: Content, *, head_only: bool = False) -> None:
    """Send a response.

    Args:
        send: The ASGI callable that sends.
        content: The response.
        head_only: Whether the body is left out.
    """
    headers = [
        (b"content-type", content.type.encode()),
        (b"content-length", b"%d" % len(content.body)),
        *HEADERS,
        *content.headers,
    ]
    await send({"type": "http.response.start", "status": content.status, "headers": headers})
    await send_body(send, b"" if head_only else content.body)
