"""The outcome of a request: a response, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from .responses import decode_content

if TYPE_CHECKING:
    from .responses import ResponseReader

_REDIRECTS = (300, 301, 302, 303, 304, 307, 308)


@dataclass(frozen=True, slots=True)
class Response:
    """A response.

    Attributes:
        status: The HTTP status.
        headers: The header lines in order, names in lower case.
        body: The body.
        seconds: From the first byte sent to the last byte received.
        faults: What is wrong with the framing of a response that is readable nevertheless.
        redirects: The statuses of the redirects that led to it.
        decoded: The body without its content encoding, where it was decoded while it came; else None.
        secrets: What must not be printed of it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float
    faults: tuple[str, ...] = ()
    redirects: tuple[int, ...] = ()
    decoded: bytes | None = None
    secrets: frozenset[str] = frozenset()

    @classmethod
    def from_reader(cls, reader: ResponseReader, seconds: float) -> Self:
        """Return the response that a reader has read to its end, with the faults of its framing.

        Args:
            reader: The reader; its ``done`` is true.
            seconds: From the first byte sent to the last byte received.
        """
        faults = [format_surplus(reader.surplus)] if reader.surplus else []
        body = decoded = bytes(reader.body)
        if reader.decoder is not None and body:
            if reader.decoder.is_whole:
                decoded = bytes(reader.decoder.content)
            elif reader.length == len(body):
                encoding = next(value for name, value in reader.headers if name == "content-encoding")
                faults.append(f"Content-Encoding {encoding}, and a body that is not")
        return cls(reader.status, tuple(reader.headers), body, seconds, tuple(faults), decoded=decoded)

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with a name, which is given in lower case."""
        return [value for header, value in self.headers if header == name]

    @property
    def content(self) -> bytes:
        """The body without its content encoding, where it can be decoded."""
        if self.decoded is not None:
            return self.decoded
        content = decode_content(self.body, next(iter(self.values("content-encoding")), ""))
        return self.body if content is None else content

    def redirect(self) -> str | None:
        """Return the ``Location`` that the connector would follow; None when it would follow none."""
        if self.status not in _REDIRECTS:
            return None
        return next(iter(self.values("location")), None)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The reason why there is no response.

    Attributes:
        kind: ``unreachable`` (no connection), ``timeout`` (no complete response in time), ``cut`` (the
            connection ended before the response did), ``garbled`` (the receiver sent no HTTP) or ``raised``
            (an application in this process raised an exception, which a server would turn into a 500).
        problem: What happened, for a person to read.
        seconds: From the first byte sent until the request was given up.
        redirects: The statuses of the redirects that were followed before.
        begun: Whether a part of a response arrived.
        secrets: What must not be printed of ``problem``.
    """

    kind: str
    problem: str
    seconds: float
    redirects: tuple[int, ...] = ()
    begun: bool = False
    secrets: frozenset[str] = frozenset()


Outcome = Response | NoResponse


def format_surplus(data: bytes) -> str:
    """Return the fault that bytes are which follow a complete response."""
    return f"{len(data)} bytes after the end of the response"
