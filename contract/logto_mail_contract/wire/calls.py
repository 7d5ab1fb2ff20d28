"""An HTTP request to write, as bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to write.

    Attributes:
        target: The request target: path, and query if any.
        headers: The header lines in order; a value is written as UTF-8, as Node writes it.
        body: The body.
        method: The method.
        scheme: ``http`` or ``https``; the bytes do not show it, and a redirect may change it.
        cuts: After how many bytes, in rising order, the sending pauses so that a new TCP segment begins.
    """

    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    scheme: str = "http"
    cuts: tuple[int, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes of the request."""
        lines = [
            f"{self.method} {self.target} HTTP/1.1",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + self.body

    def replace_body(self, body: bytes) -> Call:
        """Return the request with another body, and its length where a header line says it.

        Args:
            body: The body.
        """
        length = str(len(body))
        headers = tuple(
            (name, length if name.lower() == "content-length" else value) for name, value in self.headers
        )
        return replace(self, headers=headers, body=body)
