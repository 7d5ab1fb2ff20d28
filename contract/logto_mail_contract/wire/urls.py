"""Reads URLs with Ada, the URL parser of Node, so that a request goes where Logto would send it.

``tests/logto/test_url_differential.py`` holds the result to ``new URL`` in Node, and names two points
in which the URL standard changed after Node 22.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

import ada_url

if TYPE_CHECKING:
    from .calls import Call

_BROKEN_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_DEFAULT_PORTS = {"http:": 80, "https:": 443}


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL, as the URL standard normalizes it.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The value of ``Host``: without a port that is the scheme's own.
        address: The name or IP address to connect to, without brackets, and the port.
        target: The request target: path and query, percent-encoded.
        credentials: User and password, percent-decoded; None when the URL has none.
        plain: The whole URL without user and password.
    """

    scheme: str
    host: str
    address: tuple[str, int]
    target: str
    credentials: tuple[str, str] | None
    plain: str

    @classmethod
    def parse(cls, text: str, base: str | None = None) -> Self:
        """Return what a text means.

        Args:
            text: The URL; one relative to ``base`` if that is given.
            base: An absolute URL.

        Raises:
            ValueError: It is no http or https URL with a host, or Node cannot decode user and password.
        """
        url = _parse(text, base)
        credentials = None
        if url.username or url.password:
            credentials = (_decode(url.username), _decode(url.password))
            url.username = url.password = ""
        port = int(url.port) if url.port else _DEFAULT_PORTS[url.protocol]
        return cls(
            scheme=url.protocol.removesuffix(":"),
            host=url.host,
            address=(url.hostname.strip("[]"), port),
            target=url.pathname + url.search,
            credentials=credentials,
            plain=url.href,
        )


def _parse(text: str, base: str | None = None) -> ada_url.URL:
    try:
        url = ada_url.URL(text, base)
    except ValueError:
        url = None
    if url is None or url.protocol not in _DEFAULT_PORTS:
        # Without the text: it may hold a password.
        raise ValueError("An endpoint is an http or https URL with a host, and a port below 65536 if any")
    return url


def _decode(text: str) -> str:
    """Decode as ``decodeURIComponent`` does, with which got reads user and password."""
    try:
        if not _BROKEN_ESCAPE.search(text):
            return unquote(text, errors="strict")
    except UnicodeDecodeError:
        pass
    raise ValueError("User and password in a URL are percent-encoded UTF-8; Logto could not send these")


def mask_url(text: str) -> str:
    """Return a URL as reports may print it: user, password and the values in its query are masked.

    Raises:
        ValueError: It is no http or https URL with a host.
    """
    url = _parse(text)
    user = "(masked)@" if url.username or url.password else ""
    query = []
    for part in url.search.removeprefix("?").split("&"):
        name, equals, value = part.partition("=")
        query.append(f"{name}{equals}(masked)" if value else "(masked)" if part and not equals else part)
    mark = "?" if url.search else ""
    return f"{url.protocol}//{user}{url.host}{url.pathname}{mark}{'&'.join(query)}{url.hash}"


def resolve_location(call: Call, location: str) -> str | None:
    """Return the request target that a ``Location`` means; None when it leads to another origin.

    Args:
        call: The request that it responds to.
        location: The value, a character for each byte of the wire.
    """
    host = next(value for name, value in call.headers if name.lower() == "host")
    try:
        # got reads the bytes as UTF-8, and a byte that is none as U+FFFD.
        text = location.encode("latin-1").decode(errors="replace")
        there = Url.parse(text, f"{call.scheme}://{host}{call.target}")
    except ValueError:
        return None
    return there.target if (there.scheme, there.host) == (call.scheme, host) else None
