"""The rules ``receiver/auth/*``: what a wrong credential meets."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_accepted, is_refused, is_unauthorized
from ...masking import basic_credential
from ...suite.results import NotApplicable
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..trial import ReceiverTrial


def make_wrong_values(authorization: str) -> dict[str, tuple[str, str]]:
    """Return wrong values by the name of their rule, each with how a shell makes it, where it must."""
    scheme, _, credential = authorization.partition(" ")
    wrong = f"{'0' * len(credential or authorization)}x"
    pair = basic_credential(authorization)
    if pair is not None:
        # Many decode base64 leniently, so that text around it changes nothing: change what it decodes to.
        user, _, password = pair.partition(":")
        cut, extended, swapped = pair[:-1], f"{pair}0", f"{user}:{_swap_case(password)}"
        values = [f"{scheme} {base64.b64encode(text.encode()).decode()}" for text in (cut, extended, swapped)]
        shells = ["", "", ""]
    else:
        extra = "1" if authorization.endswith("0") else "0"
        values = [authorization[:-1], authorization + extra]
        values.append(f"{scheme} {_swap_case(credential)}" if credential else _swap_case(scheme))
        letters = "a-zA-Z A-Za-z"
        shells = [
            "${NAME%?}",
            f"${{NAME}}{extra}",
            f'${{NAME%% *}} $(printf %s "${{NAME#* }}" | tr {letters})'
            if credential
            else f'$(printf %s "${{NAME}}" | tr {letters})',
        ]
    return {
        "empty-authorization": ("", ""),
        "wrong-authorization": (f"{scheme} {wrong}" if credential else wrong, ""),
        "cut-authorization": (values[0], shells[0]),
        "extended-authorization": (values[1], shells[1]),
        "case-changed-authorization": (values[2], shells[2]),
        "scheme-only-authorization": (scheme, ""),
    }


def _swap_case(text: str) -> str:
    return "".join(mark.swapcase() if mark.isascii() else mark for mark in text)


def _refuses(name: str) -> Callable[[ReceiverTrial], None]:
    def refuses(trial: ReceiverTrial) -> None:
        right = trial.receiver.authorization or ""
        wrong, shell = make_wrong_values(right)[name]
        if wrong == right:
            raise NotApplicable("the authorization has no scheme, or no letters whose case could be changed")
        if shell:
            trial.shell[wrong] = shell.replace("NAME", trial.receiver.authorization_name)
        _expect_refusal(trial, wrong)

    return refuses


def _expect_refusal(trial: ReceiverTrial, authorization: str | None) -> None:
    # A receiver that refuses everything refuses the wrong ones too, and that says nothing.
    if trial.baseline_accepted("SignIn"):
        call = trial.requests.make_call_with_authorization(
            trial.requests.make_typical("SignIn"), authorization
        )
        trial.expect(is_unauthorized, call)


for _name in make_wrong_values("Bearer x"):
    check(f"receiver/auth/{_name}", "authorization")(_refuses(_name))


@check("receiver/auth/missing-authorization", "authorization")
def _missing_authorization(trial: ReceiverTrial) -> None:
    _expect_refusal(trial, None)


@check("receiver/auth/doubled-authorization", "authorization", "wire")
def _doubled_authorization(trial: ReceiverTrial) -> None:
    if trial.baseline_accepted("SignIn"):
        call = trial.requests.make_call(trial.requests.make_typical("SignIn"))
        place = [name for name, _ in call.headers].index("authorization")
        wrong = make_wrong_values(trial.receiver.authorization or "")["wrong-authorization"][0]
        headers = (*call.headers[:place], ("authorization", wrong), *call.headers[place:])
        trial.expect(is_refused, replace(call, headers=headers))


@check("receiver/auth/header-name-case", "authorization", "wire")
def _header_name_case(trial: ReceiverTrial) -> None:
    trial.require_responsive()
    spellings = ("authorization", "Authorization", "AUTHORIZATION")
    calls = []
    for spelling in spellings:
        call = trial.requests.make_call(trial.requests.make_typical("SignIn"))
        headers = [(spelling if name == "authorization" else name, value) for name, value in call.headers]
        calls.append(replace(call, headers=tuple(headers)))
    outcomes = [trial.exchange(call) for call in calls]
    if not any(is_accepted(outcome) for outcome in outcomes):
        trial.skip(f"the receiver accepts none of these: {format_outcome(outcomes[0])}")
        return
    for call, outcome in zip(calls, outcomes, strict=True):
        trial.expect(is_accepted, call, outcome)
