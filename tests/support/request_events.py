"""What the reader of requests makes of bytes, in any pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logto_mail_contract.wire.request_reader import Received, Refused, RequestReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logto_mail_contract.wire.request_reader import Event, ReadLimits
    from logto_mail_contract.wire.requests import Request


def read_events(
    pieces: Iterable[bytes], limits: ReadLimits | None = None, *, end: str | None = ""
) -> list[Event]:
    """Return the events of a connection.

    Args:
        pieces: What comes, in that order.
        limits: Bounds on a request.
        end: How the connection ends, as for ``RequestReader.end``; it stays open when None.
    """
    reader = RequestReader(limits)
    events: list[Event] = []

    def collect() -> None:
        while (event := reader.next_event()) is not None:
            events.append(event)

    for piece in pieces:
        reader.feed(piece)
        collect()
    if end is not None:
        reader.end(end)
        collect()
    return events


def read_request(data: bytes, limits: ReadLimits | None = None, *, end: str = "") -> Request:
    """Return the first request of a connection, valid or not."""
    for event in read_events([data], limits, end=end):
        if isinstance(event, (Received, Refused)):
            assert event.request is not None, event.problem
            return event.request
    raise AssertionError("there is no request")
