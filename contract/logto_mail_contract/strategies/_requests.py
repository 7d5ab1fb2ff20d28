"""Requests with one named fault, each around a valid message."""

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


@dataclass(frozen=True, slots=True, repr=False)
class BrokenRequest:
    """A request that no sender may make, and the response of a receiver that follows the contract.

    Attributes:
        name: The fault, a stable slug such as ``content-type-missing``.
        request: The request as a server sees it.
        raw: The bytes to write on a connection. If ``ends`` is true, close the sending side after them: the
            receiver waits for more.
        status: The status of the response that ``judge_request`` gives. It is 200 if the fault is only
            reported.
        rule: The id of the rule that fails.
        ends: Whether the body ends before Content-Length is reached.
    """

    name: str
    request: Request
    raw: bytes
    status: int
    rule: str
    ends: bool = False

    def __repr__(self) -> str:
        # Hypothesis and pytest print it whole: leave out what may be long, or secret.
        body = len(self.request.body)
        return (
            f"BrokenRequest(name={self.name!r}, method={self.request.method!r}, body=<{body} bytes>, "
            f"raw=<{len(self.raw)} bytes>, status={self.status}, rule={self.rule!r}, ends={self.ends})"
        )


@dataclass(slots=True)
class _Draft:
    """A valid request, to which a fault is added.

    Attributes:
        method: The method.
        headers: The header lines, without Content-Length.
        body: The body that is written.
        length: The value of Content-Length, if it is not the length of the body. An empty one omits the
            header.
        arrives: The body that a server reads, if it is not the one written.
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
        """Replace a header line by one line for each value."""
        place = next(number for number, (header, _) in enumerate(self.headers) if header == name)
        self.headers[place : place + 1] = [(name, value) for value in values]


def _method(name: str) -> Callable[[_Draft], None]:
    def add_fault(draft: _Draft) -> None:
        draft.method = name

    return add_fault


def _header(name: str, *values: str) -> Callable[[_Draft], None]:
    return lambda draft: draft.set(name, *values)


def _body(change: Callable[[bytes], bytes]) -> Callable[[_Draft], None]:
    def add_fault(draft: _Draft) -> None:
        draft.body = change(draft.body)

    return add_fault


def _cut_off(body: bytes) -> bytes:
    # Between two characters: half a character would break the rule of UTF-8 instead.
    return body[: len(body) // 2].decode(errors="ignore").encode()


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


_Fault = tuple[int, str, Callable[[_Draft], None]]
"""The status of the response, the rule that fails, and what adds the fault to a draft."""

# Large enough for the usual limits, small enough for a draw within Hypothesis' default deadline: the limit of
# body-parser is 100 kB, and encoding/json of Go refuses more than 10,000 levels.
_LARGE_BODY_BYTES = 128 * 1024
_DEEP_LEVELS = 20_000
_JSON_RULE, _UTF8_RULE, _DEPTH_RULE = "message/text/json", "message/text/utf-8", "message/text/depth"
_FRAMING_RULE, _TYPE_RULE = "sender/request/framing", "sender/request/content-type"
_OBJECT_RULE = "message/{layer}/object"

_FAULTS: Mapping[str, _Fault] = {
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
    "body-cut-off": (400, _JSON_RULE, _body(_cut_off)),
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
    "body-huge-array": (400, _OBJECT_RULE, _body(lambda _: b"[" + b"0," * (_LARGE_BODY_BYTES // 2) + b"0]")),
    "body-huge-string": (
        400,
        _JSON_RULE,
        _body(lambda body: body[:-1] + b',"foo":"' + b"x" * _LARGE_BODY_BYTES),
    ),
    "body-deep": (200, _DEPTH_RULE, _body(lambda _: b"[" * _DEEP_LEVELS + b"]" * _DEEP_LEVELS)),
    "body-deep-open": (400, _JSON_RULE, _body(lambda _: b'{"a":' * _DEEP_LEVELS)),
    "body-deep-member": (
        200,
        _DEPTH_RULE,
        _body(lambda body: body[:-1] + b',"foo":' + b"[" * _DEEP_LEVELS + b"]" * _DEEP_LEVELS + b"}"),
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


def _list_faults(authorization: str | None) -> Mapping[str, _Fault]:
    """Return the faults of a request to a receiver with that authorization, or with none."""
    if authorization is None:
        return _FAULTS
    right = _decode_header(authorization)
    scheme, space, credential = right.partition(" ")
    wrong: dict[str, tuple[str, ...]] = {
        "missing": (),
        "empty": ("",),
        "other": (f"{scheme} foo" if space else "foo",),
        "cut": (right[:-1],),
        "extended": (f"{right}x",),
        # Swap bytes: the other case of a letter outside ASCII may have another length.
        "other-case": (f"{scheme}{space}{_swap_case(credential)}" if space else _swap_case(right),),
        "scheme-only": (scheme,),
        "twice": (right, right),
        "wrong-first": ("foo", right),
        "wrong-last": (right, "foo"),
    }
    faults = dict(_FAULTS)
    for name, values in wrong.items():
        if [value.strip(" \t") for value in values] != [right.strip(" \t")]:
            rule = "sender/request/authorization"
            faults[f"authorization-{name}"] = (401, rule, _header("authorization", *values))
    return faults


def _decode_header(authorization: str) -> str:
    # Logto sends UTF-8, and a server reads a header as ISO 8859-1.
    return authorization.encode().decode("latin-1")


def _swap_case(text: str) -> str:
    return text.encode("latin-1").swapcase().decode("latin-1")


def request_names(authorization: str | None = None) -> tuple[str, ...]:
    """Return the name of every fault that a request can have, in a stable order.

    Args:
        authorization: The value that the receiver requires. Without it there are no faults of Authorization.
    """
    return tuple(_list_faults(authorization))


def break_request(
    name: str,
    message: Mapping[str, Any] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    layer: str = "guard",
) -> BrokenRequest:
    """Return the request that would deliver a message, with one named fault.

    Args:
        name: One of ``request_names``.
        message: A valid message; when None, the shortest one of the current revision in the layer.
        url: The endpoint, an http or https URL. It gives the request line and the Host header.
        authorization: The value that the receiver requires; when None, no Authorization is sent.
        layer: The layer by which the receiver judges messages. The rule of a body that is no object names it.

    Raises:
        catalogue.UnknownLayer: The current revision has no such layer, and no message is given.
        ValueError: There is no such fault, the URL is no http or https URL with a host and a percent-encoded
            path, or ``authorization`` has a line break.
    """
    faults = _list_faults(_check_one_line(authorization))
    if name not in faults:
        raise ValueError(f"unknown broken request {name!r}; the known ones: {', '.join(faults)}")
    if message is None:
        revision, kinds = resolve(None, layer)
        message = build_shortest(revision, layer, kinds[0])
    return _make_request(name, faults[name], stringify(dict(message)), url, authorization, layer)


def http_requests(
    revision: str | None = None,
    layer: str = "guard",
    types: Iterable[str] | None = None,
    *,
    url: str = "http://localhost/",
    authorization: str | None = None,
    names: Iterable[str] | None = None,
) -> SearchStrategy[BrokenRequest]:
    """Draw requests with one fault, each around a valid message.

    Args:
        revision: A contract revision or a Logto release; the current revision when None.
        layer: ``guard``, ``emitted`` or ``documented``: what the messages are valid in.
        types: Template types to draw; all of the layer when None.
        url: The endpoint, an http or https URL. It gives the request line and the Host header.
        authorization: The value that the receiver requires. When None, no Authorization is sent, and no
            fault of Authorization is drawn.
        names: Faults to draw, some of ``request_names``; all when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
        ValueError: A template type or a fault is unknown, ``types`` or ``names`` is empty, the URL is no http
            or https URL with a host and a percent-encoded path, or ``authorization`` has a line break.
        TypeError: ``types`` or ``names`` is one text.
    """
    resolved, kinds = resolve(revision, layer, types)
    faults = _list_faults(_check_one_line(authorization))
    chosen = choose_names(names, tuple(faults), "broken request")
    _split_endpoint(url)
    return st.tuples(st.sampled_from(chosen), messages_of(resolved, layer, kinds)).map(
        lambda pair: _make_request(pair[0], faults[pair[0]], stringify(pair[1]), url, authorization, layer)
    )


def _check_one_line(authorization: str | None) -> str | None:
    if authorization is not None and ("\r" in authorization or "\n" in authorization):
        raise ValueError("authorization has a line break, which no header can carry")
    return authorization


def _split_endpoint(url: str) -> tuple[str, str]:
    """Return the Host header and the request target of a URL."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"invalid url {url!r}: expected an http or https URL with a host")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not (target.isascii() and target.isprintable() and " " not in target):
        raise ValueError(f"invalid url {url!r}: percent-encode its path and query")
    return parts.netloc.rpartition("@")[2], target


def _make_request(
    name: str, fault: _Fault, body: bytes, url: str, authorization: str | None, layer: str
) -> BrokenRequest:
    status, rule, add_fault = fault
    host, target = _split_endpoint(url)
    headers = [("user-agent", "got (https://github.com/sindresorhus/got)")]
    if authorization is not None:
        headers.append(("authorization", _decode_header(authorization)))
    headers += [
        ("content-type", "application/json"),
        ("accept-encoding", "gzip, deflate, br"),
        ("Host", host),
        ("Connection", "keep-alive"),
    ]
    draft = _Draft("POST", headers, body)
    add_fault(draft)
    length = str(len(draft.body)) if draft.length is None else draft.length
    if length:
        place = next(
            number for number, (header, _) in enumerate(draft.headers) if header == "accept-encoding"
        )
        draft.headers.insert(place, ("content-length", length))
    head = [f"{draft.method} {target} HTTP/1.1", *(f"{header}: {value}" for header, value in draft.headers)]
    raw = "\r\n".join([*head, "", ""]).encode("latin-1") + draft.body
    arrived = draft.body if draft.arrives is None else draft.arrives
    # Servers drop white space around a value.
    read = tuple((header, value.strip(" \t")) for header, value in draft.headers)
    request = Request(draft.method, target, read, arrived, draft.framing)
    return BrokenRequest(name, request, raw, status, rule.format(layer=layer), draft.ends)
