"""The rules ``receiver/respond/*``: how a receiver responds, whatever it responds."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...judging.javascript_json import stringify
from ...judging.responses import (
    find_internals,
    find_secrets,
    format_outcome,
    format_redirect,
    is_accepted,
    is_redirect,
    is_timeout,
)
from ...judging.typical import template_types
from ...suite.results import NotApplicable
from ...wire.outcomes import Outcome, Response
from ..checks import check
from .auth import make_wrong_values
from .reject import DEPTH, make_broken_messages

if TYPE_CHECKING:
    from ...connector.channel import Channel
    from ...wire.calls import Call
    from ..trial import ReceiverTrial

_LATE_BYTES = 0.1
"""Seconds in which bytes after the end of a response are still seen."""


def _make_one_of_each(trial: ReceiverTrial) -> list[Call]:
    """Return requests of every kind that a receiver may respond to in a way of its own."""
    calls = [
        trial.requests.make_call(trial.requests.make_typical(type))
        for type in template_types(trial.receiver.revision)
    ]
    calls.append(
        trial.requests.make_call({**trial.requests.make_typical("SignIn"), "type": "NewTemplate"}, layer=None)
    )
    calls += [trial.requests.make_raw_call(bodies[0]) for bodies in make_broken_messages(trial).values()]
    if trial.receiver.authorization:
        wrong, _ = make_wrong_values(trial.receiver.authorization)["wrong-authorization"]
        calls.append(
            trial.requests.make_call_with_authorization(trial.requests.make_typical("SignIn"), wrong)
        )
    return calls


def _exchange_directly(trial: ReceiverTrial, channel: Channel, call: Call) -> Outcome:
    """Send a request and return the very response to it, for example a redirect."""
    return trial.retry_unreachable(lambda: channel.exchange(call, trial.settings.fail_after))


_SILENCE = "no end of the response in time; see receiver/respond/within-limit"


@check("receiver/respond/no-redirect")
def _no_redirect(trial: ReceiverTrial) -> None:
    trial.require_responsive()
    for type in template_types(trial.receiver.revision):
        call = trial.requests.make_call(trial.requests.make_typical(type))
        outcome = _exchange_directly(trial, trial.run.channel, call)
        if is_timeout(outcome):
            trial.skip(_SILENCE)
            return
        actual = f"{format_outcome(outcome)}; {format_redirect(outcome)}"
        trial.judge(call, not is_redirect(outcome), actual, outcome)


@check("receiver/respond/within-limit")
def _within_limit(trial: ReceiverTrial) -> None:
    for call in _make_one_of_each(trial):
        outcome = trial.exchange(call)
        trial.judge(call, not is_timeout(outcome), format_outcome(outcome), outcome)
        if is_timeout(outcome):  # each other one would cost as long
            return


@check("receiver/respond/promptly")
def _promptly(trial: ReceiverTrial) -> None:
    trial.require_responsive()
    for call in _make_one_of_each(trial):
        outcome = trial.exchange(call)
        if is_timeout(outcome):
            trial.skip(_SILENCE)
            return
        late = outcome.seconds > trial.settings.warn_after
        actual = f"{format_outcome(outcome)}, later than {trial.settings.warn_after:g} s"
        trial.judge(call, not late, actual, outcome)
        if late:
            return


@check("receiver/respond/framing", "wire")
def _framing(trial: ReceiverTrial) -> None:
    trial.require_responsive()
    seen: set[int] = set()
    for call in _make_one_of_each(trial):
        trial.run.release_channel()
        with closing(trial.receiver.target.open()) as channel:
            outcome = _exchange_directly(trial, channel, call)
            if isinstance(outcome, Response):
                # Late bytes come with every response of the same kind: wait long for the first alone.
                seconds = _LATE_BYTES if outcome.status not in seen else _LATE_BYTES / 10
                seen.add(outcome.status)
                faults = outcome.faults or channel.late_bytes(seconds)
                trial.judge(call, not faults, f"{format_outcome(outcome)}; {', '.join(faults)}", outcome)
            elif is_timeout(outcome):
                trial.skip(_SILENCE)
                return
            else:
                trial.judge(call, passed=False, actual=format_outcome(outcome), outcome=outcome)


@check("receiver/respond/keep-alive", "wire")
def _keep_alive(trial: ReceiverTrial) -> None:
    trial.require_responsive()
    trial.run.release_channel()
    with closing(trial.receiver.target.open()) as channel:
        alone = _exchange_directly(
            trial, channel, trial.requests.make_call(trial.requests.make_typical("SignIn"))
        )
    for call in _make_one_of_each(trial):
        second = trial.requests.make_call(trial.requests.make_typical("SignIn"))
        with closing(trial.receiver.target.open()) as channel:
            first = _exchange_directly(trial, channel, call)
            if is_timeout(first):
                trial.skip(_SILENCE)
                return
            if not isinstance(first, Response) or first.faults:
                trial.skip(f"{format_outcome(first)}; see receiver/respond/framing")
                continue
            outcome = channel.exchange_again(second, trial.settings.fail_after)
        if outcome is None:
            trial.judge(call, passed=True, actual="")
            continue
        # Any response is not enough: bytes of the first request may have been read as the second.
        passed = isinstance(outcome, Response) and (
            outcome.status == _status(alone) or not is_accepted(alone)
        )
        actual = f"{format_outcome(first)}, and then on the same connection {format_outcome(outcome)}"
        trial.judge(second, passed, actual, outcome)
        if is_timeout(outcome):
            return


def _status(outcome: Outcome) -> int:
    return outcome.status if isinstance(outcome, Response) else 0


def _provoke_errors(trial: ReceiverTrial) -> list[tuple[Call, Response]]:
    """Return the responses of 400 and above to requests that carry what must not come back.

    Raises:
        NotApplicable: There is none.
    """
    trial.require_responsive()
    base = trial.requests.make_typical("SignIn", code=_CANARY_CODE)

    def message(**changed: Any) -> dict[str, Any]:
        return {**base, "to": trial.requests.make_recipient(_CANARY_ADDRESS), **changed}

    def invitation(**changed: Any) -> dict[str, Any]:
        payload = {"link": _CANARY_LINK, **changed}
        return {
            "to": trial.requests.make_recipient(_CANARY_ADDRESS),
            "type": "OrganizationInvitation",
            "payload": payload,
        }

    unset = dict.fromkeys(("avatar", "name", "primaryEmail", "primaryPhone", "username"))
    no_name = {"code": _CANARY_CODE, "locale": "en", "user": {"id": "w13v2u89sxbs", **unset, "profile": {}}}
    bodies = [
        stringify(message(type="NewTemplate")),
        stringify(message(type=1)),
        stringify(message(payload=[_CANARY_CODE])),
        stringify(message(payload={"code": {"a": _CANARY_CODE}})),
        stringify(message(to=[trial.requests.make_recipient(_CANARY_ADDRESS)])),
        stringify(invitation(link={"href": _CANARY_LINK})),
        stringify({key: value for key, value in invitation(x=1).items() if key != "type"}),
        stringify(message())[:-1],
        stringify([message()]),
        b"[" * DEPTH,
        b"",
        # Messages that Logto sends, and that crash receivers: their response reaches a user too.
        stringify(message(payload={"code": _CANARY_CODE})),
        stringify(message(type="UserPermissionValidation", payload=no_name)),
        stringify({**invitation(), "payload": {}}),
        stringify(invitation(organization="mine", inviter=1)),
    ]
    calls = [trial.requests.make_raw_call(body) for body in bodies]
    calls.append(replace(calls[0], method="PUT"))
    if trial.receiver.authorization:
        wrong = f"{trial.receiver.authorization}{_CANARY_CREDENTIAL}"
        calls.append(trial.requests.make_call_with_authorization(message(), wrong))
    errors = []
    for call in calls:
        # Without Brotli, which Python cannot read.
        headers = [(name, value.removesuffix(", br")) for name, value in call.headers]
        outcome = trial.exchange(replace(call, headers=tuple(headers)))
        if is_timeout(outcome):
            trial.skip(_SILENCE)
            break
        if isinstance(outcome, Response) and outcome.status >= 400:
            errors.append((call, outcome))
    if not errors and not trial.not_judged:
        raise NotApplicable("the receiver responded to no request with an error of its own")
    return errors


_CANARY_CODE = "739105"
_CANARY_LINK = "https://app.example.com/join?token=canary-4711"
_CANARY_ADDRESS = "canary-address@example.com"
_CANARY_CREDENTIAL = "canary-credential"


@check("receiver/respond/error-without-secrets")
def _error_without_secrets(trial: ReceiverTrial) -> None:
    for call, response in _provoke_errors(trial):
        leaks = find_secrets(
            response,
            code=_CANARY_CODE,
            link="canary-4711",
            address="canary-address",
            authorizations=(_CANARY_CREDENTIAL, trial.receiver.authorization or ""),
        )
        actual = f"{format_outcome(response)}; the body shows {' and '.join(leaks)}"
        trial.judge(call, not leaks, actual, response)


@check("receiver/respond/error-without-internals")
def _error_without_internals(trial: ReceiverTrial) -> None:
    for call, response in _provoke_errors(trial):
        leaks = find_internals(response, call.target)
        actual = f"{format_outcome(response)}; the body shows {' and '.join(leaks)}"
        trial.judge(call, not leaks, actual, response)
