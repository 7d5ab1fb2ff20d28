"""The rules ``receiver/respond/*``: how a receiver responds, whatever it responds.

Most of them judge the responses that other rules had, and send only what no other rule sends.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import parse
from ...judging.responses import (
    find_internals,
    find_secrets,
    format_outcome,
    format_redirect,
    is_redirect,
    is_timeout,
)
from ...suite.results import NotApplicable
from ...wire.outcomes import Response
from ..cases import batch
from ..checks import check
from ..lanes import HANGS
from ..requests import INVITATION
from .accept import unknown_types
from .auth import wrong_authorization
from .mail_server import refused_recipients
from .ordinary import ordinary
from .reject import BROKEN_GROUPS, broken_messages, wrong_methods

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...wire.calls import Call
    from ..cases import Case, Exchange
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_MAX_REPEATED = 3
_NUMBERED = re.compile("[0-9]{8}")
"""Late responses whose requests are repeated without company."""

EVERY_KIND = (ordinary, unknown_types, wrong_authorization, *broken_messages.values())
"""Batches to each of which a receiver may respond in a way of its own."""


def list_exchanges(trial: ReceiverTrial) -> list[Exchange]:
    """Return every exchange of the run so far but those of the burst, after one of each kind.

    What a burst does to the times and the connections is for its own rule.
    """
    for chosen in EVERY_KIND:
        if chosen is not wrong_authorization or trial.receiver.authorization:
            trial.send(chosen)
    return [one for one in trial.list_exchanges() if not one.is_burst]


@check("receiver/respond/no-redirect", batches=(ordinary,), requests=1)
def _no_redirect(trial: ReceiverTrial) -> None:
    trial.send(ordinary)
    for exchange in trial.list_exchanges():
        outcome = exchange.outcome
        if exchange.case.mail == "none" or is_timeout(outcome):
            continue
        redirected = is_redirect(outcome) or bool(outcome.redirects)
        actual = ""
        if redirected and not trial.failures:
            first = trial.exchange_directly(exchange.case) if outcome.redirects else outcome
            actual = f"{format_outcome(outcome)}; {format_redirect(first)}"
        trial.judge(exchange.case.call, not redirected, actual or format_outcome(outcome), outcome)
    if not trial.cases:
        trial.skip(HANGS)


@check("receiver/respond/within-limit", batches=EVERY_KIND)
def _within_limit(trial: ReceiverTrial) -> None:
    for exchange in list_exchanges(trial):
        outcome = exchange.outcome
        # What Logto cannot send makes no user wait: receiver/reject/always-responds is about that.
        if exchange.case.group not in BROKEN_GROUPS:
            trial.judge(exchange.case.call, not is_timeout(outcome), format_outcome(outcome), outcome)


@check("receiver/respond/promptly", batches=EVERY_KIND, requests=_MAX_REPEATED)
def _promptly(trial: ReceiverTrial) -> None:
    limit = trial.settings.warn_after
    exchanges = [
        one
        for one in list_exchanges(trial)
        if not is_timeout(one.outcome) and one.case.group not in BROKEN_GROUPS
    ]
    late = [one for one in exchanges if one.outcome.seconds > limit]
    alone = [one for one in late if not one.company]
    if late and not alone:
        # Our own load may have made them wait.
        slowest = sorted(late, key=lambda one: one.outcome.seconds, reverse=True)[:_MAX_REPEATED]
        repeated = [trial.send_case(trial.run.maker.make_again(one.case)) for one in slowest]
        alone = [one for one in repeated if one.outcome.seconds > limit]
    for exchange in [one for one in exchanges if one not in late] + alone:
        actual = f"{format_outcome(exchange.outcome)}, later than {limit:g} s"
        is_late = exchange.outcome.seconds > limit
        trial.judge(exchange.case.call, not is_late, actual, exchange.outcome)
    if not trial.cases:
        trial.skip(HANGS)


# Leaks.


def _without_brotli(case: Case) -> Case:
    """Return a case that is not responded to in an encoding that Python cannot read."""
    headers = tuple((name, value.removesuffix(", br")) for name, value in case.call.headers)
    return replace(case, call=replace(case.call, headers=headers))


@batch()
def provoking(maker: RequestMaker) -> Iterator[Case]:
    """Requests whose errors tempt a receiver to repeat what was in them."""
    for number in range(5):
        message = maker.make_typical()
        to, payload = message["to"], message["payload"]
        changed: dict[str, Any] = (
            {"type": 1},
            {"type": "NewTemplate"},
            {"payload": list(payload.values())},
            {"payload": {name: {"a": value} for name, value in payload.items()}},
            {"to": [to]},
        )[number]
        yield _without_brotli(maker.make_raw_case({**message, **changed}, message))
    invitation = maker.make_typical(INVITATION)
    link = {"href": invitation["payload"]["link"]}
    yield _without_brotli(maker.make_raw_case({**invitation, "payload": {"link": link}}, invitation))
    invitation = maker.make_typical(INVITATION)
    del invitation["type"]
    yield _without_brotli(maker.make_raw_case(invitation, invitation))
    if maker.receiver.authorization:
        message = maker.make_typical()
        wrong = f"{maker.receiver.authorization}canary-credential"
        yield _without_brotli(maker.make_call_case(maker.make_call(message, wrong), message))


_FAILING = (*EVERY_KIND, wrong_methods, provoking, refused_recipients)


def _list_errors(trial: ReceiverTrial) -> list[tuple[Case, Response]]:
    trial.require_accepted(may_be_stopped=True)
    trial.send(provoking)
    trial.send(refused_recipients)
    trial.send(wrong_methods)
    list_exchanges(trial)
    errors = [
        (exchange.case, exchange.outcome)
        for exchange in trial.list_exchanges()
        if isinstance(exchange.outcome, Response) and exchange.outcome.status >= 400
    ]
    if not errors and not trial.not_judged:
        raise NotApplicable("the receiver responded to no request with an error of its own")
    return errors


@check("receiver/respond/error-without-secrets", batches=_FAILING)
def _error_without_secrets(trial: ReceiverTrial) -> None:
    for case, response in _list_errors(trial):
        sent = [value for name, value in case.call.headers if name.lower() == "authorization"]
        # Whoever sends what Logto never will gets back what is known to that sender alone.
        is_possible = _may_come_from_logto(case.call)
        leaks = find_secrets(
            response,
            code=case.code if is_possible and len(case.code) == 6 else "",
            link=_find_mark(case.link) if is_possible else "",
            address=_find_number(case.to) if is_possible else "",
            authorizations=(*sent, trial.receiver.authorization or ""),
        )
        actual = f"{format_outcome(response)}; the body shows {' and '.join(leaks)}"
        trial.judge(case.call, not leaks, actual, response)


def _may_come_from_logto(call: Call) -> bool:
    """Return whether a request is a message of a template type that Logto knows, or may add."""
    if ("content-type", "application/json") not in call.headers:
        return False
    try:
        message = parse(call.body)
    except ValueError:
        return False
    if not isinstance(message, dict) or not isinstance(message.get("payload"), dict):
        return False
    payload = message["payload"]
    texts = (message.get("to"), message.get("type"), payload.get("code", ""), payload.get("link", ""))
    return all(isinstance(text, str) for text in texts)


def _find_number(address: str) -> str:
    """Return the part by which a recipient is recognised; what stands before the @ may be any word."""
    local = address.partition("@")[0]
    return local if _NUMBERED.search(local) else address


def _find_mark(link: str) -> str:
    """Return the part by which a link is recognised, also where it is encoded."""
    return link.rpartition("token=")[2].partition("&")[0] if "token=" in link else ""


@check("receiver/respond/error-without-internals", batches=_FAILING)
def _error_without_internals(trial: ReceiverTrial) -> None:
    for case, response in _list_errors(trial):
        leaks = find_internals(response, case.call.target)
        actual = f"{format_outcome(response)}; the body shows {' and '.join(leaks)}"
        trial.judge(case.call, not leaks, actual, response)


# Over the whole run.


@check("receiver/respond/no-shared-limit", batches=(ordinary,))
def _no_shared_limit(trial: ReceiverTrial) -> None:
    _judge_trouble(trial, is_limit=True)


@check("receiver/respond/keeps-accepting", batches=(ordinary,))
def _keeps_accepting(trial: ReceiverTrial) -> None:
    _judge_trouble(trial, is_limit=False)


def _judge_trouble(trial: ReceiverTrial, *, is_limit: bool) -> None:
    trial.send(ordinary)
    trouble = trial.run.doubts.trouble
    if trouble is not None and trouble.is_limit == is_limit:
        trial.judge(trouble.call, passed=False, actual=trouble.actual)
        return
    trial.require_accepted()
    trial.judge(None, passed=True, actual="")
