"""Requests that are broken in one named way, each around a valid message."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hypothesis import strategies as st

from ..judging.javascript_json import stringify
from ..wire.requests import Request
from ._messages import build_shortest, messages_of
from ._revisions import choose_names, resolve

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, slots=True)
class BrokenRequest:
    """A request that no sender may make, with what a receiver that keeps the contract answers.

    Attributes:
        name: What is wrong, a stable slug such as ``content-type-missing``.
        request: The request as a server sees it.
        raw: The bytes to write on a connection. Where ``ends`` is true, the sender has to close its side
            after them: the receiver waits for more.
        status: The status that ``exchange.judge_request`` answers it with: 200 where it only tells the
            finding.
        rule: The id of the broken rule.
        ends: Whether the body ends before its Content-Length says.
    """

    name: str
    request: Request
    raw: bytes
    status: int
    rule: str
    ends: bool = False


@dataclass(slots=True)
class _Draft:
    """A valid request to spoil.

    Attributes:
        method: The method.
        headers: The header lines, without Content-Length.
        body: The body that is written.
        length: The value of Content-Length where it is not the body's; an empty one leaves the header out.
        arrives: The body that a server reads where it is not the one written.
        framing: What a server finds wrong with the framing.
        ends: Whether the body ends too early.
    """

    method: str
    headers: list[tuple[str, str]]
    body: bytes
    length: str | None = None
    arrives: bytes | None = None
    framing: str | None = None
    ends: bool = False

    def set(self, name: str, *values: str) -> None:
        """Replace a header line by as many as there are values."""
        place = next(number for number, (header, _) in enumerate(self.headers) if header == name)
        self.headers[place : place + 1] = [(name, value) for value in values]


def _method(name: str) -> Callable[[_Draft], None]:
    def spoil(draft: _Draft) -> None:
        draft.method = name

    return spoil


def _header(name: str, *values: str) -> Callable[[_Draft], None]:
    return lambda draft: draft.set(name, *values)


def _body(change: Callable[[bytes], bytes]) -> Callable[[_Draft], None]:
    def spoil(draft: _Draft) -> None:
        draft.body = change(draft.body)

    return spoil


def _short_length(draft: _Draft) -> None:
    draft.length = str(len(draft.body) - 1)
    draft.arrives = draft.body[:-1]


def _long_length(draft: _Draft) -> None:
    draft.length = str(len(draft.body) + 1)
    draft.framing = f"Content-Length {len(draft.body) + 1}, but {len(draft.body)} bytes came"
    draft.ends = True


def _no_length(draft: _Draft) -> None:
    draft.length = ""
    draft.arrives = b""


def _two_lengths(draft: _Draft) -> None:
    length = len(draft.body)
    draft.headers.insert(2, ("content-length", str(length + 1)))
    draft.arrives = b""
    draft.framing = f"Content-Length {length + 1} and {length}"


def _word_as_length(draft: _Draft) -> None:
    draft.length = "many"
    draft.arrives = b""
    draft.framing = "Content-Length many"


def _length_and_chunks(draft: _Draft) -> None:
    draft.headers.append(("Transfer-Encoding", "chunked"))
    draft.arrives = b""
    draft.framing = "both Content-Length and Transfer-Encoding"


def _broken_chunk(draft: _Draft) -> None:
    draft.length = ""
    draft.headers.append(("Transfer-Encoding", "chunked"))
    draft.body = b"foo\r\n" + draft.body
    draft.arrives = b""
    draft.framing = "a chunk without a valid size"


_MIB = 1024 * 1024
_Spoilt = tuple[int, str, Callable[[_Draft], None]]
_JSON_RULE, _UTF8_RULE, _DEPTH_RULE = "message/text/json", "message/text/utf-8", "message/text/depth"
_FRAMING_RULE, _TYPE_RULE = "sender/request/framing", "sender/request/content-type"
_OBJECT_RULE = "message/{layer}/object"

_SPOILT: Mapping[str, _Spoilt] = {
    **{
        f"method-{name.lower()}": (405, "sender/request/method", _method(name))
        for name in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")
    },
    "method-lower-case": (405, "sender/request/method", _method("post")),
    "content-type-missing": (415, _TYPE_RULE, _header("content-type")),
    "content-type-empty": (415, _TYPE_RULE, _header("content-type", "")),
    "content-type-text": (415, _TYPE_RULE, _header("content-type", "text/plain")),
    "content-type-form": (415, _TYPE_RULE, _header("content-type", "application/x-www-form-urlencoded")),
    "content-type-multipart": (415, _TYPE_RULE, _header("content-type", "multipart/form-data; boundary=x")),
    "content-type-xml": (415, _TYPE_RULE, _header("content-type", "application/xml")),
    "content-type-twice": (415, _TYPE_RULE, _header("content-type", "application/json", "application/json")),
    "body-empty": (400, _JSON_RULE, _body(lambda _: b"")),
    "body-white-space": (400, _JSON_RULE, _body(lambda _: b" \r\n")),
    "body-cut-off": (400, _JSON_RULE, _body(lambda body: body[: len(body) // 2])),
    "body-without-last-byte": (400, _JSON_RULE, _body(lambda body: body[:-1])),
    "body-twice": (400, _JSON_RULE, _body(lambda body: body + body)),
    "body-form": (400, _JSON_RULE, _body(lambda _: b"to=foo%40example.com&type=SignIn")),
    "body-markup": (400, _JSON_RULE, _body(lambda _: b"<html></html>")),
    "body-nul": (400, _JSON_RULE, _body(lambda body: body + b"\0")),
    "body-byte-order-mark": (400, _UTF8_RULE, _body(lambda body: b"\xef\xbb\xbf" + body)),
    "body-utf-16": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-16"))),
    "body-utf-16-unmarked": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-16-le"))),
    "body-utf-32": (400, _UTF8_RULE, _body(lambda body: body.decode().encode("utf-32"))),
    "body-latin-1": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xe9"}')),
    "body-overlong": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xc0\xbc"}')),
    "body-raw-surrogate": (400, _UTF8_RULE, _body(lambda body: body[:-1] + b',"foo":"\xed\xa0\x80"}')),
    "body-null": (400, _OBJECT_RULE, _body(lambda _: b"null")),
    "body-array": (400, _OBJECT_RULE, _body(lambda body: b"[" + body + b"]")),
    "body-string": (400, _OBJECT_RULE, _body(lambda _: b'"SignIn"')),
    "body-huge-array": (400, _OBJECT_RULE, _body(lambda _: b"[" + b"0," * (_MIB // 2) + b"0]")),
    "body-huge-string": (400, _JSON_RULE, _body(lambda body: body[:-1] + b',"foo":"' + b"x" * _MIB)),
    "body-deep": (200, _DEPTH_RULE, _body(lambda _: b"[" * 100_000 + b"]" * 100_000)),
    "body-deep-open": (200, _DEPTH_RULE, _body(lambda _: b'{"a":' * 100_000)),
    "body-deep-member": (
        200,
        _DEPTH_RULE,
        _body(lambda body: body[:-1] + b',"foo":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    ),
    "body-key-twice": (
        200,
        "sender/body/unique-keys",
        _body(lambda body: b'{"to":"bar@example.org",' + body[1:]),
    ),
    "length-short": (400, _JSON_RULE, _short_length),
    "length-long": (400, _FRAMING_RULE, _long_length),
    "length-missing": (400, _JSON_RULE, _no_length),
    "length-twice": (400, _FRAMING_RULE, _two_lengths),
    "length-word": (400, _FRAMING_RULE, _word_as_length),
    "length-and-chunks": (400, _FRAMING_RULE, _length_and_chunks),
    "chunk-broken": (400, _FRAMING_RULE, _broken_chunk),
}


def _spoilt(authorization: str | None) -> Mapping[str, _Spoilt]:
    """Return the ways in which a request can be broken where that authorization is asked for, or none."""
    if authorization is None:
        return _SPOILT
    right = _as_read(authorization)
    scheme, space, credential = right.partition(" ")
    ways: dict[str, tuple[str, ...]] = {
        "missing": (),
        "empty": ("",),
        "other": (f"{scheme} foo" if space else "foo",),
        "cut": (right[:-1],),
        "extended": (f"{right}x",),
        # As bytes, for a letter outside ASCII has no other case of the same length.
        "other-case": (f"{scheme}{space}{_swapped(credential)}" if space else _swapped(right),),
        "scheme-only": (scheme,),
        "twice": (right, right),
        "wrong-first": ("foo", right),
        "wrong-last": (right, "foo"),
    }
    spoilt = dict(_SPOILT)
    for name, values in ways.items():
        if [value.strip(" \t") for value in values] != [right.strip(" \t")]:
            way = _header("authorization", *values)
            spoilt[f"authorization-{name}"] = (401, "sender/request/authorization", way)
    return spoilt


def _as_read(authorization: str) -> str:
    # The wire has UTF-8, and a header is read as ISO 8859-1.
    return authorization.encode().decode("latin-1")


def _swapped(text: str) -> str:
    return text.encode("latin-1").swapcase().decode("latin-1")


def request_names(authorization: str | None = None) -> tuple[str, ...]:
    """Return the name of every way in which a request can be broken, in a stable order.

    Args:
        authorization: The value that the receiver asks for; those about Authorization are among them only
            where there is one.
    """
    return tuple(_spoilt(authorization))


def break_request(
    name: str,
    message: Mapping[str, Any] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    layer: str = "guard",
) -> BrokenRequest:
    """Break the request that would deliver a message, in one named way.

    Args:
        name: One of ``request_names``.
        message: A valid message; when None, the shortest one of the current revision in the layer.
        url: The endpoint, an http or https URL: for the request line and the Host header.
        authorization: The value that the receiver asks for; no Authorization is sent when None.
        layer: The layer that the receiver's messages are held to: it is named in the rule of a body that is
            no object.

    Raises:
        catalogue.UnknownLayer: The current revision has no such layer, and no message is given.
        ValueError: There is no such way, the URL is no http or https URL with a host and a percent-encoded
            path, or ``authorization`` has a line break.
    """
    spoilt = _spoilt(_one_line(authorization))
    if name not in spoilt:
        raise ValueError(f"There is no broken request {name!r} here. There are: {', '.join(spoilt)}.")
    if message is None:
        revision, kinds = resolve(None, layer)
        message = build_shortest(revision, layer, kinds[0])
    return _broken(name, spoilt[name], stringify(dict(message)), url, authorization, layer)


def http_requests(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[BrokenRequest]:
    """Draw requests that are broken in one way, each around a valid message.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``: what the messages are valid in.
        types: Template types to draw from; all of the layer when None.
        url: The endpoint, an http or https URL: for the request line and the Host header.
        authorization: The value that the receiver asks for; when None, no Authorization is sent and no
            request is broken in that.
        names: Ways to draw from, some of ``request_names``; all of them when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a way that there is not, nothing to draw from, a URL that is no http or
            https URL with a host and a percent-encoded path, or a line break in ``authorization``.
        TypeError: One text in place of several.
    """
    resolved, kinds = resolve(revision, layer, types)
    spoilt = _spoilt(_one_line(authorization))
    chosen = choose_names(names, tuple(spoilt), "broken request")
    _endpoint(url)
    return st.tuples(st.sampled_from(chosen), messages_of(resolved, layer, kinds)).map(
        lambda pair: _broken(pair[0], spoilt[pair[0]], stringify(pair[1]), url, authorization, layer)
    )


def _one_line(authorization: str | None) -> str | None:
    if authorization is not None and ("\r" in authorization or "\n" in authorization):
        raise ValueError("The value of Authorization has a line break")
    return authorization


def _endpoint(url: str) -> tuple[str, str]:
    """Return the Host header and the request target of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"An endpoint is an http or https URL with a host; it was {url!r}")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (target.isascii() and target.isprintable() and " " not in target):
        raise ValueError(f"The path of {url!r} has to be percent-encoded")
    return parts.netloc.rpartition("@")[2], target


def _broken(
    name: str, spoilt: _Spoilt, body: bytes, url: str, authorization: str | None, layer: str
) -> BrokenRequest:
    status, rule, spoil = spoilt
    host, target = _endpoint(url)
    headers = [("user-agent", "got (https://github.com/sindresorhus/got)")]
    if authorization is not None:
        headers.append(("authorization", _as_read(authorization)))
    headers += [
        ("content-type", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("Host", host),
        ("Connection", "keep-alive"),
    ]
    draft = _Draft("POST", headers, body)
    spoil(draft)
    length = str(len(draft.body)) if draft.length is None else draft.length
    if length:
        place = next(
            number for number, (header, _) in enumerate(draft.headers) if header == "accept-encoding"
        )
        draft.headers.insert(place, ("content-length", length))
    head = [f"{draft.method} {target} HTTP/1.1", *(f"{header}: {value}" for header, value in draft.headers)]
    raw = "\r\n".join([*head, "", ""]).encode("latin-1") + draft.body
    arrived = draft.body if draft.arrives is None else draft.arrives
    # White space around a value is no part of it.
    read = tuple((header, value.strip(" \t")) for header, value in draft.headers)
    request = Request(draft.method, target, read, arrived, draft.framing)
    return BrokenRequest(name, request, raw, status, rule.format(layer=layer), draft.ends)
