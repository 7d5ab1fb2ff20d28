"""The rules ``receiver/auth/*``: what a wrong credential meets."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_accepted, is_refused, is_unauthorized
from ...masking import basic_credential
from ...suite.results import NotApplicable
from ..cases import Batch, batch
from ..checks import check, expect_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..cases import Case
    from ..requests import RequestMaker
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


def _make_batch(name: str) -> Batch:
    def make(maker: RequestMaker) -> Iterator[Case]:
        right = maker.receiver.authorization or ""
        wrong, _ = make_wrong_values(right)[name]
        if wrong != right:
            message = maker.make_typical()
            yield maker.make_call_case(maker.make_call(message, wrong), message)

    make.__name__ = name.replace("-", "_")
    return Batch(make)


def _refuses(name: str, chosen: Batch) -> Callable[[ReceiverTrial], None]:
    def refuses(trial: ReceiverTrial) -> None:
        trial.require_accepted()
        right = trial.receiver.authorization or ""
        wrong, shell = make_wrong_values(right)[name]
        if wrong == right:
            raise NotApplicable("the authorization has no scheme, or no letters whose case could be changed")
        if shell:
            trial.shell[wrong] = shell.replace("NAME", trial.receiver.authorization_name)
        trial.expect_each(chosen, is_unauthorized)

    return refuses


_BATCHES = {name: _make_batch(name) for name in make_wrong_values("Bearer x")}
wrong_authorization = _BATCHES["wrong-authorization"]

for _name, _batch in _BATCHES.items():
    check(f"receiver/auth/{_name}", "authorization", batches=(_batch,))(_refuses(_name, _batch))


@batch()
def _missing_authorization(maker: RequestMaker) -> Iterator[Case]:
    message = maker.make_typical()
    yield maker.make_call_case(maker.make_call(message, None), message)


expect_each("receiver/auth/missing-authorization", _missing_authorization, is_unauthorized, "authorization")


@batch()
def _doubled_authorization(maker: RequestMaker) -> Iterator[Case]:
    message = maker.make_typical()
    call = maker.make_case(message).call
    place = [name for name, _ in call.headers].index("authorization")
    wrong, _ = make_wrong_values(maker.receiver.authorization or "")["wrong-authorization"]
    headers = (*call.headers[:place], ("authorization", wrong), *call.headers[place:])
    yield maker.make_call_case(replace(call, headers=headers), message)


expect_each(
    "receiver/auth/doubled-authorization", _doubled_authorization, is_refused, "authorization", "wire"
)


@batch()
def _header_name_case(maker: RequestMaker) -> Iterator[Case]:
    for spelling in ("authorization", "Authorization", "AUTHORIZATION"):
        message = maker.make_typical()
        case = maker.make_case(message)
        headers = [
            (spelling if name == "authorization" else name, value) for name, value in case.call.headers
        ]
        # A receiver that wants another spelling accepts no ordinary message.
        yield replace(case, call=replace(case.call, headers=tuple(headers)), type="")


@check("receiver/auth/header-name-case", "authorization", "wire", batches=(_header_name_case,))
def _ignores_case_of_the_header_name(trial: ReceiverTrial) -> None:
    exchanges = trial.send(_header_name_case)
    if exchanges and not any(is_accepted(exchange.outcome) for exchange in exchanges):
        trial.skip(f"the receiver accepts none of these: {format_outcome(exchanges[0].outcome)}")
        return
    for exchange in exchanges:
        trial.expect(is_accepted, exchange)
