"""One HTTP request as it came: below WSGI and ASGI, which hide what a contract speaks of.

The order and case of header lines, duplicates among them and wrong framing stay as they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

_READ_OFTEN = ("authorization", "content-encoding", "content-type", "host", "origin", "sec-fetch-site")
_LENGTHS = frozenset(map(len, _READ_OFTEN))


class HeaderLines(tuple[tuple[str, str], ...]):
    """Header lines in order; what is read of them often is computed once, as senders repeat their heads."""

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """The values of the lines that are read often, by their names in lower case."""
        found: dict[str, list[str]] = {}
        for name, value in self:
            if len(name) in _LENGTHS and (known := name.lower()) in _READ_OFTEN:
                found.setdefault(known, []).append(value)
        return found

    @cached_property
    def text(self) -> str:
        """All names and values, a line each."""
        return "\n".join([part for line in self for part in line])


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it came.

    Attributes:
        method: The method, in its own case.
        target: The request target as in the request line.
        headers: The header lines in order, names with their case, with duplicates; a character is one byte
            of the wire (ISO 8859-1).
        body: The body's bytes, freed of chunked coding; as much as came.
        framing: What was wrong with the framing, None where nothing was.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    framing: str | None = None

    def values(self, name: str) -> list[str]:
        """Return the values of every header line with that name, whatever its case."""
        wanted = name.lower()
        if wanted in _READ_OFTEN:
            return list(self.lines.values.get(wanted, ()))
        return [value for header, value in self.headers if header.lower() == wanted]

    @property
    def lines(self) -> HeaderLines:
        """The header lines, with what is read of them often."""
        headers = self.headers
        return headers if isinstance(headers, HeaderLines) else HeaderLines(headers)
