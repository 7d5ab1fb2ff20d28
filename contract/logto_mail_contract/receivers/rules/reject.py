"""The rules ``receiver/reject/*``: what a receiver refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import stringify
from ...judging.responses import is_no_crash, is_refused
from ...wire.outcomes import Outcome, Response
from ..cases import Batch, batch
from ..checks import expect_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ..cases import Case
    from ..requests import RequestMaker

DEPTH = 100_000
"""Levels of nesting that parsers give up on."""


def _put(**changed: Any) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    return lambda message: {**message, **changed}


def _leave(name: str) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    return lambda message: {key: value for key, value in message.items() if key != name}


def _constant(body: bytes) -> Callable[[dict[str, Any]], bytes]:
    return lambda _: body


_NO_TEXTS: tuple[Any, ...] = (None, 1, {})
_NO_OBJECTS: tuple[Any, ...] = (None, "x", [], 1)

BROKEN_MESSAGES: dict[str, list[Callable[[dict[str, Any]], bytes | Mapping[str, Any]]]] = {
    "not-json": [
        _constant(b"{"),
        _constant(b"to=foo%40example.com&type=SignIn"),
        # Cut off where all that a mail needs is there.
        lambda message: stringify(message)[:-1],
        _constant(b"\xff\xfe"),
        _constant(b"<mail/>"),
    ],
    "not-an-object": [
        *map(_constant, (b"[]", b"null", b'"SignIn"', b"1")),
        lambda message: b"[" + stringify(message) + b"]",
    ],
    "broken-to": [
        _leave("to"),
        *(_put(to=value) for value in _NO_TEXTS),
        lambda message: {**message, "to": [message["to"]]},
    ],
    "broken-type": [_leave("type"), *(_put(type=value) for value in (*_NO_TEXTS, ["SignIn"]))],
    "broken-payload": [_leave("payload"), *(_put(payload=value) for value in _NO_OBJECTS)],
    "empty-body": [_constant(b"")],
    "deep-nesting": [
        _constant(body) for body in (b"[" * DEPTH, b"[" * DEPTH + b"]" * DEPTH, b'{"to":' * DEPTH)
    ],
}
"""What makes a body that is no message of an ordinary one, by what is wrong with the body."""


def _is_no_crash_of_method(outcome: Outcome) -> bool:
    """Any response below 500, and 501: the status for a method that a server does not know."""
    return is_no_crash(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _is_refused_method(outcome: Outcome) -> bool:
    return is_refused(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _make_batch(kind: str) -> Batch:
    def make(maker: RequestMaker) -> Iterator[Case]:
        for change in BROKEN_MESSAGES[kind]:
            message = maker.make_typical()
            yield maker.make_raw_case(change(message), message)

    make.__name__ = kind.replace("-", "_")
    # What nests so deep may end the process: then it is known what did.
    return Batch(make, "alone" if kind == "deep-nesting" else "shared")


broken_messages = {kind: _make_batch(kind) for kind in BROKEN_MESSAGES}

for _kind, _batch in broken_messages.items():
    expect_each(f"receiver/reject/{_kind}", _batch, is_refused)
    expect_each(f"receiver/reject/{_kind}-is-no-crash", _batch, is_no_crash)


@batch()
def wrong_methods(maker: RequestMaker) -> Iterator[Case]:
    """Requests with other methods than POST."""
    for method in ("GET", "PUT", "DELETE"):
        message = maker.make_typical()
        call = replace(maker.make_case(message).call, method=method)
        if method != "PUT":
            bare = tuple(line for line in call.headers if line[0] not in ("content-length", "content-type"))
            call = replace(call, headers=bare, body=b"")
        yield maker.make_call_case(call, message)


expect_each("receiver/reject/wrong-method", wrong_methods, _is_refused_method)
expect_each("receiver/reject/wrong-method-is-no-crash", wrong_methods, _is_no_crash_of_method)
