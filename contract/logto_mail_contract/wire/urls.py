"""URLs as Node and got read them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

if TYPE_CHECKING:
    from .calls import Call

DEFAULT_PORTS = {"http": 80, "https": 443}


# What the URL standard leaves as it is in a path and in a query, beside letters and digits.
_PATH_SAFE = "/%:@!$&'()*+,;=~|[]^-._"


_QUERY_SAFE = "/?%:@!$&()*+,;=~|[]\\^`{}-._"


_AROUND = "".join(map(chr, range(33)))


_DOT = re.compile(r"\.|%2e", re.IGNORECASE)


def host_header(scheme: str, name: str, port: int | None) -> str:
    """Return the value of ``Host`` for an origin: without a port that is the scheme's own."""
    bracketed = f"[{name}]" if ":" in name else name
    return bracketed if port in (None, DEFAULT_PORTS.get(scheme)) else f"{bracketed}:{port}"


def request_target(path: str, query: str) -> str:
    """Return path and query as the URL standard writes them."""
    segments: list[str] = []
    *parents, last = path.replace("\\", "/").removeprefix("/").split("/")
    for segment in parents:
        dots = _DOT.sub(".", segment)
        if dots == "..":
            del segments[-1:]
        elif dots != ".":
            segments.append(segment)
    dots = _DOT.sub(".", last)
    if dots == "..":
        del segments[-1:]
    segments.append("" if dots in (".", "..") else last)
    target = quote("/" + "/".join(segments), safe=_PATH_SAFE)
    return f"{target}?{quote(query, safe=_QUERY_SAFE)}" if query else target


def split_url(url: str) -> SplitResult:
    """Split a URL as URL parsers do: without what surrounds it, and with both kinds of slash."""
    before, mark, after = url.strip(_AROUND).partition("?")
    return urlsplit(before.replace("\\", "/") + mark + after)


def mask_url(url: str) -> str:
    """Return a URL as it may be printed: user, password and the values in its query are masked."""
    parts = split_url(url)
    _, at, host = parts.netloc.rpartition("@")
    query = []
    for part in parts.query.split("&"):
        name, equals, value = part.partition("=")
        query.append(f"{name}{equals}(masked)" if value else "(masked)" if part and not equals else part)
    return parts._replace(netloc=f"{at and '(masked)@'}{host}", query="&".join(query)).geturl()


def same_origin(call: Call, location: str) -> str | None:
    """Return the request target that a ``Location`` means; None when it leads to another origin.

    Args:
        call: The request that was answered with it.
        location: The value, a character for each byte of the wire.
    """
    host = next(value for name, value in call.headers if name.lower() == "host")
    try:
        location = location.encode("latin-1").decode()
    except UnicodeError:
        return None
    try:
        there = urlsplit(urljoin(f"{call.scheme}://{host}{call.target}", location))
        if there.scheme != call.scheme or host_header(there.scheme, there.hostname or "", there.port) != host:
            return None
    except ValueError:
        return None
    return request_target(there.path, there.query)
