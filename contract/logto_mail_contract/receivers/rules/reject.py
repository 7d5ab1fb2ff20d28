"""The rules ``receiver/reject/*``: what a receiver refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import stringify
from ...judging.responses import is_no_crash, is_refused
from ...wire.outcomes import Outcome, Response
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..trial import Expectation, ReceiverTrial

DEPTH = 100_000
"""Levels of nesting that parsers give up on."""


def make_broken_messages(trial: ReceiverTrial) -> dict[str, list[bytes]]:
    """Return bodies that are no message, by what is wrong with them."""

    def message() -> dict[str, Any]:
        return trial.requests.set_recipient(trial.requests.make_typical("SignIn"))

    def put(**changed: Any) -> bytes:
        return stringify({**message(), **changed})

    def leave(name: str) -> bytes:
        return stringify({key: value for key, value in message().items() if key != name})

    return {
        "not-json": [
            b"{",
            b"to=foo%40example.com&type=SignIn",
            stringify(message())[:-2],
            b"\xff\xfe",
            b"<mail/>",
        ],
        "not-an-object": [b"[]", b"null", b'"SignIn"', b"1", b"[" + stringify(message()) + b"]"],
        "broken-to": [leave("to"), put(to=None), put(to=1), put(to={}), put(to=[message()["to"]])],
        "broken-type": [leave("type"), put(type=None), put(type=1), put(type={}), put(type=["SignIn"])],
        "broken-payload": [
            leave("payload"),
            put(payload=None),
            put(payload="x"),
            put(payload=[]),
            put(payload=1),
        ],
        "empty-body": [b""],
        "deep-nesting": [b"[" * DEPTH, b"[" * DEPTH + b"]" * DEPTH, b'{"to":' * DEPTH],
    }


def _is_no_crash_of_method(outcome: Outcome) -> bool:
    """Any response below 500, and 501: the status for a method that a server does not know."""
    return is_no_crash(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _is_refused_method(outcome: Outcome) -> bool:
    return is_refused(outcome) or (isinstance(outcome, Response) and outcome.status == 501)


def _rejects(kind: str, acceptable: Expectation) -> Callable[[ReceiverTrial], None]:
    def rejects(trial: ReceiverTrial) -> None:
        # If an ordinary message crashes too, the mistake in this one is not the cause.
        if trial.baseline_accepted("SignIn", acceptable=is_no_crash):
            for body in make_broken_messages(trial)[kind]:
                trial.expect(acceptable, trial.requests.make_raw_call(body))

    return rejects


for _kind in (
    "not-json",
    "not-an-object",
    "broken-to",
    "broken-type",
    "broken-payload",
    "empty-body",
    "deep-nesting",
):
    check(f"receiver/reject/{_kind}")(_rejects(_kind, is_refused))
    check(f"receiver/reject/{_kind}-is-no-crash")(_rejects(_kind, is_no_crash))


def _rejects_methods(acceptable: Expectation) -> Callable[[ReceiverTrial], None]:
    def rejects(trial: ReceiverTrial) -> None:
        if not trial.baseline_accepted("SignIn", acceptable=is_no_crash):
            return
        call = trial.requests.make_call(trial.requests.make_typical("SignIn"))
        bare = tuple(line for line in call.headers if line[0] not in ("content-length", "content-type"))
        trial.expect(acceptable, replace(call, method="GET", headers=bare, body=b""))
        trial.expect(acceptable, replace(call, method="PUT"))
        trial.expect(acceptable, replace(call, method="DELETE", headers=bare, body=b""))

    return rejects


check("receiver/reject/wrong-method")(_rejects_methods(_is_refused_method))
check("receiver/reject/wrong-method-is-no-crash")(_rejects_methods(_is_no_crash_of_method))
