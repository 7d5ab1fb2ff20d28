"""The endpoint that senders under test are given: it records what arrives, and responds by script."""

from __future__ import annotations

import re
import secrets
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from weakref import WeakValueDictionary

from ..clock import read_monotonic
from ..endpoint.server import MailServer
from ..wire.replies import Reply, ScriptedResponse

if TYPE_CHECKING:
    from types import TracebackType

    from ..endpoint.connection import Connection
    from ..wire.requests import Request
    from .driver import Report

_TOKEN = re.compile(r"/([0-9a-f]{12})(?![0-9a-f])")
_MAX_ARRIVALS = 200

REDIRECTS = (300, 301, 302, 303, 307, 308)
"""The statuses whose ``Location`` Logto's connector follows, apart from 304."""


class Arrival(NamedTuple):
    """One request that arrived.

    Attributes:
        request: The request as it came.
        elsewhere: Whether it came to the other origin of the destination.
        time: When it came, by the monotonic clock.
    """

    request: Request
    elsewhere: bool
    time: float


Script = Callable[[Arrival, int], Reply]
"""Returns the reply to a request, given its number within the attempt, from 0."""


def always(reply: Reply) -> Script:
    """Return a script that responds to every request alike."""
    return lambda arrival, number: reply  # noqa: ARG005 - a Script


ACCEPTED = ScriptedResponse(200, b'{"accepted":true}', {"Content-Type": "application/json"})
"""The response of the fake endpoint to a valid message."""

ACCEPTING = always(ACCEPTED)
"""Accepts every message, as the fake endpoint does."""


class Attempt:
    """One message on its way: what the sender was given, what arrived, what the sender said.

    Args:
        message: The message that is handed to the sender.
        url: The endpoint that is handed to it.
        authorization: The authorization that is handed to it.
        script: What requests are responded to with.
        what: The response in words, for example ``503 with Retry-After``.
        expected: Whether the sender is to report success; None where that is not judged.
        is_generated: Whether the message was generated.

    Attributes:
        arrivals: What arrived, in that order.
        redirects: The target of each request that got a redirect, and the value of its ``Location``.
        unmatched: The problems on its connections with bytes that were no request.
        report: What the sender said; set when it has.
        ended: When it has, by the monotonic clock.
        over: Set when the attempt has ended.
    """

    report: Report
    ended: float

    def __init__(
        self,
        message: Any,
        url: str,
        authorization: str | None,
        script: Script,
        *,
        what: str = "200",
        expected: bool | None = True,
        is_generated: bool = False,
    ) -> None:
        self.message = message
        self.url = url
        self.authorization = authorization
        self.what = what
        self.expected = expected
        self.is_generated = is_generated
        self.arrivals: list[Arrival] = []
        self.redirects: list[tuple[str, str]] = []
        self.unmatched: list[str] = []
        self.over = threading.Event()
        self._script = script
        self._changed = threading.Condition()

    @property
    def requests(self) -> list[Request]:
        """The requests that arrived, wherever they did."""
        return [arrival.request for arrival in self.arrivals]

    def record(self, arrival: Arrival) -> Reply:
        """Record a request and return its reply."""
        with self._changed:
            number = len(self.arrivals)
            if number < _MAX_ARRIVALS:
                self.arrivals.append(arrival)
            self._changed.notify_all()
            # Late requests are accepted, so that a sender which tries for ever ends.
            reply = ScriptedResponse(200) if self.over.is_set() else self._script(arrival, number)
            if (
                isinstance(reply, ScriptedResponse)
                and reply.status in REDIRECTS
                and "Location" in reply.headers
            ):
                self.redirects.append((arrival.request.target, reply.headers["Location"]))
            return reply

    def wait(self, seconds: float) -> None:
        """Wait until something has arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self.arrivals or self.unmatched, seconds)


class _Origin:
    """A server that records whatever comes and responds as the attempt says."""

    def __init__(self, destination: Destination, *, elsewhere: bool, https: bool = False) -> None:
        self.server = MailServer(handler=self, https=https)
        self._destination = destination
        self._elsewhere = elsewhere
        self._attempts = threading.local()

    def deliver(self, request: Request, connection: Connection) -> bool:
        """Record a request and respond to it."""
        attempt = self._destination.find_attempt(request.target)
        if attempt is None:
            ScriptedResponse(200).send(connection)
            return True
        # Each connection has a thread of its own.
        self._attempts.last = attempt
        connection.closing = attempt.over
        attempt.record(Arrival(request, self._elsewhere, read_monotonic())).send(connection)
        return True

    def note_unmatched(self, what: str) -> None:
        """Note what was no request at the attempt that came on that connection before, else at this one."""
        attempt = getattr(self._attempts, "last", None) or self._destination.current
        if attempt is not None:
            attempt.unmatched.append(what)

    def close_connections(self) -> None:
        """Close every connection."""
        for connection in list(self.server.connections):
            connection.close()


class Destination:
    """The endpoint that senders under test are given, a context manager.

    It has two origins, one more over https with a certificate that nobody trusts, and a port that refuses
    connections.

    Attributes:
        current: The attempt under way, or the last one.
    """

    def __init__(self) -> None:
        self.current: Attempt | None = None
        self._origins = [_Origin(self, elsewhere=False), _Origin(self, elsewhere=True)]
        self._untrusted: _Origin | None = None
        self._dead = socket.socket()
        self._tokens = 0
        # The run holds its attempts: what still comes for one of a run that has ended reaches no other.
        self._attempts: WeakValueDictionary[str, Attempt] = WeakValueDictionary()

    def __enter__(self) -> Self:
        try:
            for origin in self._origins:
                origin.server.start()
            # Bound and never listened at: the port stays reserved, and every connection is refused.
            self._dead.bind(("127.0.0.1", 0))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop."""
        for origin in self._origins:
            if origin.server.is_running():
                origin.server.stop()
        self._dead.close()

    @property
    def url(self) -> str:
        """The origin that senders are given."""
        return self._origins[0].server.url

    @property
    def other_url(self) -> str:
        """Another origin, at another port."""
        return self._origins[1].server.url

    @property
    def dead_url(self) -> str:
        """An origin where every connection is refused."""
        return f"http://127.0.0.1:{self._dead.getsockname()[1]}"

    @property
    def untrusted_url(self) -> str:
        """An origin over https whose certificate is of an authority that nobody knows.

        Raises:
            ModuleNotFoundError: trustme is not installed.
        """
        if self._untrusted is None:
            origin = _Origin(self, elsewhere=False, https=True)
            origin.server.start()
            self._origins.append(origin)
            self._untrusted = origin
        return self._untrusted.server.url

    def make_token(self) -> str:
        """Return a new first segment for a path."""
        self._tokens += 1
        return f"{secrets.token_hex(3)}{self._tokens:06x}"

    def expect(self, token: str, attempt: Attempt) -> None:
        """Let requests whose path begins with a token be an attempt's."""
        self._attempts[token] = self.current = attempt

    def find_attempt(self, target: str) -> Attempt | None:
        """Return the attempt that a request belongs to; None for one of a run that has ended."""
        found = _TOKEN.search(target)
        # A request that lost its token belongs to the message under way.
        return self._attempts.get(found[1]) if found else self.current

    def release(self, attempt: Attempt) -> None:
        """End every connection, and accept whatever still comes."""
        attempt.over.set()
        self.close_connections()

    def close_connections(self) -> None:
        """Close every connection."""
        for origin in self._origins:
            origin.close_connections()
