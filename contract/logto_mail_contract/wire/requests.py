"""One HTTP request as it came: below WSGI and ASGI, which hide what a contract speaks of.

The order and case of header lines, duplicates among them and wrong framing stay as they came.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        wanted, size = name.lower(), len(name)
        return [value for header, value in self.headers if len(header) == size and header.lower() == wanted]
