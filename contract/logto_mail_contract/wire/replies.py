"""Scripted replies: what a fake endpoint sends on demand, well-formed or faulty."""

from __future__ import annotations

import re
import threading
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from math import isfinite
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDLESS_PAUSE_SECONDS = 0.05
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[^\0\r\n\u0100-\U0010ffff]*")


class Wire(Protocol):
    """One connection on which a request waits for its response.

    Attributes:
        head_only: Whether the response has no body.
        keep_alive: Whether the connection stays open behind the response; a reply may set it to False.
    """

    head_only: bool
    keep_alive: bool

    def send(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            OSError: The client has left.
        """

    def pause(self, seconds: float) -> bool:
        """Wait, and return False when the reply is released meanwhile; infinity waits for that alone."""

    def reset(self) -> None:
        """End the connection with a TCP reset."""


@dataclass(frozen=True, slots=True)
class ScriptedResponse:
    """A complete HTTP response, sent after a delay.

    Attributes:
        status: The status, any number of three digits.
        body: The body's bytes.
        headers: Extra header lines by name.
        delay: Seconds before the first byte; infinity never responds.
        drip: Seconds between two bytes of the response; 0 sends it whole.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: float = 0.0

    def send(self, wire: Wire) -> None:
        if self.delay and not wire.pause(self.delay):
            wire.keep_alive = False
            return
        data = self.encode(close=not wire.keep_alive, head_only=wire.head_only)
        if not self.drip:
            wire.send(data)
            return
        for position in range(len(data)):
            # Not behind the last byte: the client has its response, and may use the connection again.
            if position and not wire.pause(self.drip):
                wire.keep_alive = False
                return
            wire.send(data[position : position + 1])

    def encode(self, *, close: bool, head_only: bool = False) -> bytes:
        """Return the bytes of the response.

        Args:
            close: Whether it says that the connection closes.
            head_only: Whether the body is left out, as in a response to HEAD.
        """
        lines = [status_line(self.status), *(f"{name}: {value}" for name, value in self.headers.items())]
        # RFC 9110, 8.6: no Content-Length where there can be no body, unless the script asks for one.
        if (self.body or not (self.status < 200 or self.status in (204, 304))) and not any(
            name.lower() in ("content-length", "transfer-encoding") for name in self.headers
        ):
            lines.append(f"Content-Length: {len(self.body)}")
        if close:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return head if head_only else head + self.body

    def __str__(self) -> str:
        if not isfinite(self.delay):
            return "no response"
        delay = f" after {self.delay:g} s" if self.delay else ""
        return f"{self.status}{delay}{', byte by byte' if self.drip else ''}"


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection ends with a TCP reset, without a response."""

    def send(self, wire: Wire) -> None:
        wire.reset()

    def __str__(self) -> str:
        return "a reset"


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no HTTP, then the end of the connection."""

    data: bytes

    def send(self, wire: Wire) -> None:
        wire.keep_alive = False
        wire.send(self.data)

    def __str__(self) -> str:
        return "garbage"


@dataclass(frozen=True, slots=True)
class Endless:
    """A 200 whose body goes on until the client leaves or the reply is released."""

    def send(self, wire: Wire) -> None:
        wire.keep_alive = False
        wire.send(f"{status_line(200)}\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n".encode())
        while wire.pause(_ENDLESS_PAUSE_SECONDS):
            wire.send(b".")

    def __str__(self) -> str:
        return "a body without end"


Reply = ScriptedResponse | Reset | Garbage | Endless


class Script:
    """The replies that are due: those for a number of requests first, in order, then the standing one.

    It may be used from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: deque[tuple[Reply, int]] = deque()
        self._standing: Reply | None = None

    def add(self, reply: Reply, times: int | None) -> None:
        """Add a reply for the next ``times`` requests, or make it the standing one when that is None.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        if times is not None and times < 1:
            raise ValueError(f"invalid times {times}: expected a number of requests, 1 or more, or None")
        with self._lock:
            if times is None:
                self._standing = reply
            else:
                self._due.append((reply, times))

    def take_next(self) -> Reply | None:
        """Return the reply for one request and use it up; None when nothing is scripted."""
        with self._lock:
            if not self._due:
                return self._standing
            reply, left = self._due.popleft()
            if left > 1:
                self._due.appendleft((reply, left - 1))
            return reply

    def due(self) -> list[tuple[Reply, int | None]]:
        """Return each reply with the number of requests that it is for; None for the standing one."""
        with self._lock:
            standing = [] if self._standing is None else [(self._standing, None)]
            return [*self._due, *standing]

    def reset(self) -> None:
        """Forget every reply."""
        with self._lock:
            self._due.clear()
            self._standing = None


def scripted_response(
    status: int,
    body: str | bytes,
    headers: Mapping[str, str] | None = None,
    *,
    delay: float = 0.0,
    drip: float = 0.0,
) -> ScriptedResponse:
    """Return a response, and check that it can be sent.

    Args:
        status: The status, any number of three digits.
        body: The body; text is sent as UTF-8.
        headers: Extra header lines by name.
        delay: Seconds before the first byte; infinity never responds.
        drip: Seconds between two bytes; 0 sends the response whole.

    Raises:
        ValueError: The status has not three digits, a duration is negative or no number, or a header line has
            characters that no header line can have.
        TypeError: The status is no whole number, or the body is not text or bytes.
    """
    if not isinstance(status, int):
        raise TypeError(f"invalid status {status!r}: expected a whole number")
    if not isinstance(body, (str, bytes)):
        raise TypeError(
            f"invalid body of type {type(body).__name__}: expected text or bytes, for example json.dumps(...)"
        )
    if not 100 <= status <= 999:
        raise ValueError(f"invalid status {status}: expected three digits")
    for value in (delay, drip):
        if not value >= 0:  # NaN is refused too
            raise ValueError(f"invalid delay or interval {value}: expected seconds, 0 or more")
    for name, text in (headers or {}).items():
        if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(text)):
            raise ValueError(f"cannot be sent as a header line: {name!r}: {text!r}")
    return ScriptedResponse(
        status, body.encode() if isinstance(body, str) else body, dict(headers or {}), delay, drip
    )


def status_line(status: int) -> str:
    """Return the status line of a response, with the standard reason where the status has one."""
    try:
        return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP/1.1 {status} "
