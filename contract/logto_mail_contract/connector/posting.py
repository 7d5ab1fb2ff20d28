"""Posts one message, following redirects as got does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..clock import read_monotonic
from ..wire.outcomes import Outcome, Response
from ..wire.urls import resolve_location
from .channel import DEFAULT_TIMEOUT, Channel, UrlTarget
from .encoding import check_authorization, connector_call, encode_body

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from ..wire.calls import Call

MAX_REDIRECTS = 10
"""Redirects that got follows."""


def post(
    url: str,
    message: Mapping[str, Any] | bytes,
    authorization: str | None = None,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    tls: ssl.SSLContext | None = None,
) -> Outcome:
    """Post one message as Logto's connector does, on a connection of its own, and return the outcome.

    Redirects are followed as by ``deliver``.

    Args:
        url: The endpoint, http or https; user and password in it become Basic authorization, which then
            takes the place of ``authorization``, as it does in got.
        message: A message, or the bytes of a body.
        authorization: The value of ``Authorization``; the header is left out when None.
        timeout: Seconds for the whole exchange.
        tls: What to trust for https; the system's authorities when None.

    Raises:
        ValueError: The URL is no http or https URL with a host, or Node refuses ``authorization``.
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

    After 300, 301, 302, 304, 307 and 308 with a ``Location`` it posts again; after 303 it sends a GET.
    It follows only redirects to the same origin: no host gets a request that the caller did not name.

    Args:
        channel: The way to the receiver.
        call: The request.
        timeout: Seconds for all requests together.
    """
    start = read_monotonic()
    statuses: tuple[int, ...] = ()
    while True:
        outcome = channel.exchange(call, max(0.0, start + timeout - read_monotonic()))
        location = outcome.redirect() if isinstance(outcome, Response) else None
        target = None if location is None else resolve_location(call, location)
        if target is None or len(statuses) == MAX_REDIRECTS:
            if not statuses:
                return outcome
            return replace(outcome, redirects=statuses, seconds=read_monotonic() - start)
        assert isinstance(outcome, Response)
        statuses = (*statuses, outcome.status)
        if outcome.status == 303:
            headers = tuple(line for line in call.headers if line[0].lower() != "content-length")
            call = replace(call, method="GET", headers=headers, body=b"")
        call = replace(call, target=target)
