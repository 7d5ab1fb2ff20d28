"""The bytes that Logto's HTTP email connector writes.

Source: ``packages/connectors/connector-http-email/src/index.ts`` (v1.35.0) and got 14 on Node, observed with
``@logto/connector-http-email`` 0.4.3; ``tests/logto`` compares the two on the wire.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..judging.javascript_json import stringify
from ..masking import credential_forms
from ..wire.calls import Call
from .channel import Target, UrlTarget

if TYPE_CHECKING:
    from collections.abc import Mapping


def encode_body(message: Mapping[str, Any]) -> bytes:
    """Return the body that the connector writes for a message.

    It has the four known members in the connector's order, and ``ip`` only when it is truthy.

    Args:
        message: A message as ``json.loads`` returns it; other top-level members are dropped.
    """
    body = {name: message[name] for name in ("to", "type", "payload") if name in message}
    if message.get("ip"):
        body["ip"] = message["ip"]
    return stringify(body)


def connector_call(target: Target, body: bytes, authorization: str | None = None) -> Call:
    """Return the request that the connector writes: headers in its order and case.

    Args:
        target: The receiver.
        body: The body.
        authorization: The value of ``Authorization``; the header is left out when None.
    """
    lines = [("user-agent", "got (https://github.com/sindresorhus/got)")]
    if authorization is not None:
        lines.append(("authorization", authorization))
    lines += [
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("accept-encoding", "gzip, deflate, br"),
        ("Host", target.host),
        ("Connection", "keep-alive"),
    ]
    return Call(target.path, tuple(lines), body, scheme=target.scheme)


def list_call_secrets(target: str, *authorizations: str) -> frozenset[str]:
    """Return what must not be printed of a request.

    Args:
        target: The request target; the values of its query may be keys.
        authorizations: Values of ``Authorization``.
    """
    found = {part.partition("=")[2] or part for part in target.partition("?")[2].split("&")}
    found = {unquote(value) for value in found}
    for authorization in authorizations:
        found |= credential_forms(authorization)
    # So short a text appears in many others by chance. A whole credential is masked all the same.
    return frozenset(text for text in found if len(text) > 3 or text in authorizations) - {""}


def encode_request(url: str, body: bytes, authorization: str | None = None) -> bytes:
    """Return the bytes of the request that the connector writes for a URL.

    Args:
        url: The endpoint, http or https; user and password in it become Basic authorization, which then
            takes the place of ``authorization``, as it does in got.
        body: The body.
        authorization: The value of ``Authorization``; the header is left out when None.

    Raises:
        ValueError: The URL is no http or https URL with a host, or Node refuses ``authorization``.
    """
    target = UrlTarget(url)
    return connector_call(target, body, target.authorization or check_authorization(authorization)).encode()


def check_authorization(authorization: str | None) -> str | None:
    """Return a value of ``Authorization`` unchanged if the connector could send it.

    Args:
        authorization: The value, or None.

    Raises:
        ValueError: It has a control character or one beyond ISO 8859-1, which Node refuses.
    """
    if authorization is not None and not re.fullmatch("[\\t\x20-\x7e\x80-\xff]*", authorization):
        raise ValueError(
            "The value of Authorization has a line break, another control character or one beyond U+00FF; "
            "Logto could not send it"
        )
    return authorization
