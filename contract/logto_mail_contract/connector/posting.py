"""Posts one message, following redirects as got does."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..wire.outcomes import Outcome, Response
from ..wire.urls import resolve_location
from .channel import DEFAULT_TIMEOUT, Channel, UrlTarget
from .encoding import check_authorization, connector_call, encode_body

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from ..wire.calls import Call

MAX_REDIRECTS = 10
"""How many redirects got follows."""


def post(
    url: str,
    message: Mapping[str, Any] | bytes,
    authorization: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> Outcome:
    """Post one message on a connection of its own, follow redirects as the connector does, return what comes.

    Args:
        url: The endpoint, as for ``encode_request``.
        message: A message, or the bytes of a body.
        authorization: The value of ``Authorization``; the header is left out when None.
        timeout: Seconds for the whole exchange.
        tls: What to trust for https; the system's authorities when None.

    Raises:
        ValueError: The URL or ``authorization`` cannot be sent.
    """
    target = UrlTarget(url, tls)
    body = message if isinstance(message, bytes) else encode_body(message)
    call = connector_call(target, body, target.authorization or check_authorization(authorization))
    channel = target.open()
    try:
        return deliver(channel, call, timeout)
    finally:
        channel.close()


def deliver(channel: Channel, call: Call, timeout: float) -> Outcome:
    """Send a request and follow redirects as the connector does: got with ``methodRewriting: false``.

    300, 301, 302, 304, 307 and 308 with a ``Location`` are posted again, 303 is got without a body. Only a
    redirect to the same origin is followed: nothing is ever sent to a host that nobody named.

    Args:
        channel: The way to the receiver.
        call: The request.
        timeout: Seconds for the whole.
    """
    start = time.monotonic()
    statuses: tuple[int, ...] = ()
    while True:
        outcome = channel.exchange(call, max(0.0, start + timeout - time.monotonic()))
        location = outcome.redirect() if isinstance(outcome, Response) else None
        onward = None if location is None else resolve_location(call, location)
        if onward is None or len(statuses) == MAX_REDIRECTS:
            if not statuses:
                return outcome
            return replace(outcome, redirects=statuses, seconds=time.monotonic() - start)
        assert isinstance(outcome, Response)
        statuses = (*statuses, outcome.status)
        if outcome.status == 303:
            kept = tuple(line for line in call.headers if line[0].lower() != "content-length")
            call = replace(call, method="GET", headers=kept, body=b"")
        call = replace(call, target=onward)
