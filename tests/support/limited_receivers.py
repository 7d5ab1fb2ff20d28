"""Receivers with limits that all messages share, and receivers that our own load disturbs.

Each is served by ``Served``; none sends a mail.
"""

# Names describe what receivers and methods do. An overriding method keeps the parameters of the original.
# ruff: noqa: ARG002, D101
from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from tests.support.broken_receivers import Good, Refused, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Slow(Good):
    """Needs a while for each response, so that the run sends in parallel."""

    delay = 0.02

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        time.sleep(self.delay)
        return super().respond(request)


# Limits.


class LimitInTotal(Good):
    """Turns every request away after the first ones."""

    requests = 120
    turned_away = Refused(429, "too many requests")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lock = threading.Lock()
        self._left = self.requests

    def check_method(self, request: Request) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise self.turned_away
        super().check_method(request)


class LimitInTotalForAnHour(LimitInTotal):
    turned_away = Refused(429, "too many requests", **{"retry-after": "3600"})


class UnavailableAfterMany(LimitInTotal):
    turned_away = Refused(503, "busy", **{"retry-after": "60"})


class ForbiddenAfterMany(LimitInTotal):
    turned_away = Refused(403, "blocked")


class SlowLimitInTotal(LimitInTotal, Slow):
    """Limits, and is slow enough to be sent to in parallel."""


class SerialLimitInTotal(SlowLimitInTotal):
    """Works on one request at a time."""

    delay = 0.005

    def __init__(self) -> None:
        super().__init__()
        self._turn = threading.Lock()

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with self._turn:
            return super().respond(request)


class LimitPerSecond(Good):
    """A bucket of tokens: one for each request, filled again at a steady rate."""

    per_second = 40.0
    turned_away = Refused(429, "too many requests", **{"retry-after": "1"})

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._lock = threading.Lock()
        self._tokens = self.per_second
        self._filled = time.monotonic()

    def check_method(self, request: Request) -> None:
        with self._lock:
            now = time.monotonic()
            gained = (now - self._filled) * self.per_second
            self._tokens, self._filled = min(self._tokens + gained, self.per_second), now
            if self._tokens < 1:
                raise self.turned_away
            self._tokens -= 1
        super().check_method(request)


class SlowLimitPerSecond(LimitPerSecond, Slow):
    """Limits, and is slow enough to be sent to in parallel."""


class ForbiddenPerSecond(LimitPerSecond):
    turned_away = Refused(403, "slow down")


class LimitPerRecipient(Good):
    """Takes one message to each recipient, and limits nothing that all share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def handle(self, message: Any, request: Request) -> None:
        with self._lock:
            if message["to"] in self._seen:
                raise Refused(429, "wait a minute", **{"retry-after": "60"})
            self._seen.add(message["to"])


class SlowLimitPerRecipient(LimitPerRecipient, Slow):
    """Limits, and is slow enough to be sent to in parallel."""


LIMITED: dict[str, type[Good]] = {
    "in-total": LimitInTotal,
    "for-an-hour": LimitInTotalForAnHour,
    "unavailable": UnavailableAfterMany,
    "forbidden": ForbiddenAfterMany,
    "slow": SlowLimitInTotal,
    "serial": SerialLimitInTotal,
    "per-second": LimitPerSecond,
    "slow-per-second": SlowLimitPerSecond,
    "forbidden-per-second": ForbiddenPerSecond,
}


# Load.


class Crowded(Slow):
    """Turns requests away while it works on as many others as it can."""

    most = 8
    status_when_full = 503

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            is_full = self._active >= self.most
            self._active += not is_full
        if is_full:
            return self.status_when_full, {}, b"busy"
        try:
            return super().respond(request)
        finally:
            with self._lock:
                self._active -= 1


class Crowded20(Crowded):
    most = 20


class Crowded2(Crowded):
    most = 2


class Locked(Crowded):
    """Fails while another request writes to its database."""

    most = 1
    status_when_full = 500


class SlowUnderLoad(Good):
    """Needs the longer the more it works on."""

    step = 0.03

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active = 0

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        with self._lock:
            self._active += 1
            active = self._active
        try:
            time.sleep(self.step * active)
            return super().respond(request)
        finally:
            with self._lock:
                self._active -= 1


class CutsUnderLoad(Crowded):
    """Closes the connection while it works on as many others as it can."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        if status == self.status_when_full:
            raise ConnectionAbortedError
        yield from super().raw(status, headers, body)


STRAINED: dict[str, type[Good]] = {
    "crowded": Crowded,
    "crowded-20": Crowded20,
    "crowded-2": Crowded2,
    "locked": Locked,
    "cuts": CutsUnderLoad,
}


# Receivers that one message breaks.


def is_poison(message: Any) -> bool:
    """Return whether a message is the one that breaks a receiver: its payload has a new variable of null."""
    return message["payload"].get("newVariable", 0) is None


class Poisoned(Good):
    """Fails for every message after a certain one."""

    is_broken = False

    def handle(self, message: Any, request: Request) -> None:
        if self.is_broken or is_poison(message):
            self.is_broken = True
            raise RuntimeError


class SlowPoisoned(Poisoned, Slow):
    """Fails, and is slow enough to be sent to in parallel."""


class Killable(Slow):
    """Stops listening and closes its connections, as a process that ends, once it has read the poison.

    Attributes:
        on_death: Ends the server; set by who serves it.
    """

    def __init__(self) -> None:
        self.on_death: Callable[[], None] = lambda: None
        self._is_dead = False

    def handle(self, message: Any, request: Request) -> None:
        if is_poison(message):
            self._is_dead = True
            self.on_death()

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        if self._is_dead:
            raise ConnectionAbortedError
        yield from super().raw(status, headers, body)


class Restarting(Slow):
    """Closes all connections once it has read the poison, as a process that is started again at once."""

    def __init__(self) -> None:
        self._restarts = 0

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        before = self._restarts
        response = super().respond(request)
        return response if self._restarts == before else (0, {}, b"")

    def handle(self, message: Any, request: Request) -> None:
        if is_poison(message):
            self._restarts += 1

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        if not status:
            raise ConnectionAbortedError
        yield from super().raw(status, headers, body)
