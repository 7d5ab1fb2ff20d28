"""What comes of a request: a response, or the reason that there is none."""

from __future__ import annotations

from dataclasses import dataclass

from .responses import decode_content

_REDIRECTS = (300, 301, 302, 303, 304, 307, 308)


@dataclass(frozen=True, slots=True)
class Response:
    """What an endpoint answered.

    Attributes:
        status: The HTTP status.
        headers: The header lines in order, names in lower case.
        body: The body.
        seconds: From the first byte sent to the last byte received.
        faults: What is wrong with the framing of an answer that can be read nevertheless.
        redirects: The statuses of the redirects that were followed to it.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float
    faults: tuple[str, ...] = ()
    redirects: tuple[int, ...] = ()

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with that name, given in lower case."""
        return [value for header, value in self.headers if header == name]

    @property
    def content(self) -> bytes:
        """The body, freed of its content encoding where that is possible."""
        content = decode_content(self.body, next(iter(self.values("content-encoding")), ""))
        return self.body if content is None else content

    def redirect(self) -> str | None:
        """Return the location that the connector would go on to; None when it would not."""
        if self.status not in _REDIRECTS:
            return None
        return next(iter(self.values("location")), None)


@dataclass(frozen=True, slots=True)
class NoResponse:
    """Why there is no answer.

    Attributes:
        kind: ``unreachable`` (no connection), ``timeout`` (no end of the answer in time), ``cut`` (the
            connection ended before the answer did), ``garbled`` (what came is not HTTP) or ``raised`` (an
            application in this process raised an exception, which a server would answer with 500).
        problem: What happened, for a person to read.
        seconds: From the first byte sent until it was given up.
        redirects: The statuses of the redirects that were followed before.
    """

    kind: str
    problem: str
    seconds: float
    redirects: tuple[int, ...] = ()


Outcome = Response | NoResponse
