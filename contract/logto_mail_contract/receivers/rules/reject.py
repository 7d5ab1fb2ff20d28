"""The rules ``receiver/reject/*``: what a receiver refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import stringify
from ...judging.responses import format_outcome
from ...wire.outcomes import NoResponse, Response
from ..cases import Batch, batch
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ...wire.outcomes import Outcome
    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

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


def _make_batch(kind: str) -> Batch:
    def make(maker: RequestMaker) -> Iterator[Case]:
        for change in BROKEN_MESSAGES[kind]:
            message = maker.make_typical()
            yield maker.make_raw_case(change(message), message)

    make.__name__ = kind.replace("-", "_")
    # What nests so deep may end the process: then it is known what did.
    return Batch(make, "alone" if kind == "deep-nesting" else "shared")


broken_messages = {kind: _make_batch(kind) for kind in BROKEN_MESSAGES}


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


_BATCHES = {**broken_messages, "wrong-method": wrong_methods}

BROKEN_GROUPS = {chosen.make.__name__ for chosen in _BATCHES.values()}
"""The groups of cases that Logto cannot send."""


@check("receiver/reject/always-responds", batches=tuple(_BATCHES.values()))
def _always_responds(trial: ReceiverTrial) -> None:
    for chosen in _BATCHES.values():
        for exchange in trial.send(chosen):
            outcome = exchange.outcome
            if isinstance(outcome, Response):
                trial.judge(exchange.case.call, passed=True, actual="")
            else:
                trial.expect(_is_framed_badly_or_raised, exchange)
        trial.require_reachable()


def _is_framed_badly_or_raised(outcome: Outcome) -> bool:
    """Whether other rules tell of it; what an application in this process raises is a 500 behind a server."""
    return isinstance(outcome, NoResponse) and (
        outcome.kind in ("garbled", "raised") or (outcome.kind == "cut" and outcome.begun)
    )


def _is_never_taken(outcome: Outcome) -> bool:
    """Whether it is no 2xx and no 3xx."""
    return isinstance(outcome, NoResponse) or not 200 <= outcome.status < 400


def _refuses(chosen: Batch) -> Callable[[ReceiverTrial], None]:
    return lambda trial: trial.expect_each(chosen, _is_never_taken)


def _responds_without_crash(chosen: Batch) -> Callable[[ReceiverTrial], None]:
    def responds_without_crash(trial: ReceiverTrial) -> None:
        for exchange in trial.send(chosen):
            outcome = exchange.outcome
            if isinstance(outcome, Response) or outcome.kind == "raised":
                trial.expect(_is_no_crash, exchange)
            else:
                trial.skip(f"{format_outcome(outcome)}; see receiver/reject/always-responds")
        trial.require_reachable()

    return responds_without_crash


def _is_no_crash(outcome: Outcome) -> bool:
    """Any response below 500, and 501: the status for a method that a server does not know."""
    return isinstance(outcome, Response) and (outcome.status < 500 or outcome.status == 501)


for _kind, _batch in _BATCHES.items():
    check(f"receiver/reject/{_kind}", batches=(_batch,))(_refuses(_batch))
    check(f"receiver/reject/{_kind}-is-no-crash", batches=(_batch,))(_responds_without_crash(_batch))
