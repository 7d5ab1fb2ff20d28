"""Tells the requests that a page of another site makes a browser send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .api_request import to_json

if TYPE_CHECKING:
    from ..wire.requests import Request

FOREIGN_PAGE = to_json(
    {
        "error": "A page of another site sent this request: its Origin is not the Host, or its "
        "Sec-Fetch-Site is cross-site. Nothing was recorded or changed."
    },
    403,
)
"""The response to such a request."""

_AUTHORITY = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


def is_foreign(request: Request, *, is_page: bool = False) -> bool:
    """Return whether a page of another site sent a request.

    Its ``Origin`` has a host or port that ``Host`` does not have, or ``Sec-Fetch-Site`` is ``cross-site``.
    The scheme is not compared: a proxy may speak TLS to the browser. Programs send neither header.

    Args:
        request: The request.
        is_page: Whether it asks for the inbox page, which links of other sites may lead to.
    """
    values = request.lines.values
    if "origin" in values and any(
        not _is_origin_of(value, request.values("host")) for value in values["origin"]
    ):
        return True
    if "sec-fetch-site" not in values:
        return False
    is_cross_site = "cross-site" in [value.lower() for value in values["sec-fetch-site"]]
    return is_cross_site and not (is_page and _navigates(request))


def _navigates(request: Request) -> bool:
    return [value.lower() for value in request.values("sec-fetch-mode")] == ["navigate"]


def _is_origin_of(origin: str, hosts: list[str]) -> bool:
    scheme, separator, authority = origin.partition("://")
    if not separator or len(hosts) != 1:
        return False
    default = _DEFAULT_PORTS.get(scheme.lower(), "")
    return _split(authority, default) == _split(hosts[0], default) is not None


def _split(authority: str, default_port: str) -> tuple[str, str] | None:
    found = _AUTHORITY.fullmatch(authority)
    return (found[1].lower(), found[2] or default_port) if found else None
