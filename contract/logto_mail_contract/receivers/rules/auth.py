"""The rules ``receiver/auth/*``, and one of ``receiver/deliver/*``: what a wrong credential meets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_accepted, is_no_crash, is_unauthorized
from ...suite.results import NotApplicable
from ...wire.outcomes import Response
from ..cases import Batch, batch
from ..checks import check
from ..credentials import make_wrong_values
from .ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..cases import Case, Exchange
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_SILENT = "the receiver accepts it and sends no mail; see receiver/deliver/no-silent-acceptance"
_TOO_MANY_REQUESTS = 429


def _make_case(maker: RequestMaker, wrong: str | None, type: str | None = None) -> Case:
    message = maker.make_typical(type)
    return replace(maker.make_call_case(maker.make_call(message, wrong), message), type=message["type"])


def _make_batch(name: str) -> Batch:
    def make(maker: RequestMaker) -> Iterator[Case]:
        # Rules for all receivers judge this batch too.
        authorization = maker.receiver.authorization
        for wrong in make_wrong_values(authorization)[name] if authorization else ():
            yield _make_case(maker, wrong)

    make.__name__ = name.replace("-", "_")
    return Batch(make)


@batch()
def _missing_authorization(maker: RequestMaker) -> Iterator[Case]:
    yield _make_case(maker, None)


@batch()
def _every_type(maker: RequestMaker) -> Iterator[Case]:
    wrong = _choose_wrong(maker)
    for type in maker.accepted_types:
        yield _make_case(maker, wrong, type)


@batch()
def _unknown_type(maker: RequestMaker) -> Iterator[Case]:
    message = {**maker.make_typical(), "type": "NewTemplate"}
    yield maker.make_call_case(maker.make_call(message, _choose_wrong(maker)), message)


@batch()
def _every_content_type(maker: RequestMaker) -> Iterator[Case]:
    for content_type in (
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "text/plain",
        "application/x-www-form-urlencoded",
        None,
    ):
        case = _make_case(maker, _choose_wrong(maker))
        others = [line for line in case.call.headers if line[0] != "content-type"]
        own = [] if content_type is None else [("content-type", content_type)]
        yield replace(case, call=replace(case.call, headers=(*others, *own)))


def _choose_wrong(maker: RequestMaker) -> str:
    return next(iter(make_wrong_values(maker.receiver.authorization or "")["wrong-authorization"]))


@batch()
def _doubled_authorization(maker: RequestMaker) -> Iterator[Case]:
    message = maker.make_typical()
    call = maker.make_case(message).call
    place = [name for name, _ in call.headers].index("authorization")
    headers = (*call.headers[:place], ("authorization", _choose_wrong(maker)), *call.headers[place:])
    yield maker.make_call_case(replace(call, headers=headers), message)


_BATCHES: dict[str, tuple[Batch, ...]] = {
    "missing-authorization": (_missing_authorization,),
    "wrong-for-every-type": (_every_type, _unknown_type),
    "wrong-for-every-content-type": (_every_content_type,),
    **{name: (_make_batch(name),) for name in make_wrong_values("Bearer x")},
}
(wrong_authorization,) = _BATCHES["wrong-authorization"]
_ALL = tuple(one for batches in _BATCHES.values() for one in batches)


def _list_exchanges(trial: ReceiverTrial, batches: Sequence[Batch]) -> list[Exchange]:
    """Return what came of wrong credentials, once an ordinary message was accepted.

    Raises:
        NotJudged: None was accepted, or nothing more is sent.
        ReceiverGone: The receiver cannot be reached.
    """
    trial.require_accepted()
    right = trial.receiver.authorization or ""
    for wrong_values in make_wrong_values(right).values():
        for wrong, shell in wrong_values.items():
            if shell is not None:
                trial.shell[wrong] = shell.replace("NAME", trial.receiver.authorization_name)
    return [exchange for chosen in batches for exchange in trial.send(chosen)]


def _find_silent(trial: ReceiverTrial, exchanges: Sequence[Exchange]) -> set[Exchange]:
    """Return the accepted exchanges that no mail came of; none where the mails are not known."""
    accepted = [one for one in exchanges if is_accepted(one.outcome)]
    if not accepted or trial.run.outbox is None:
        return set()
    # An outbox that has no mail of any message says nothing.
    if not any(trial.find_mails(trial.send(ordinary)).values()):
        return set()
    trial.wait_for_more_mails(accepted)
    return {one for one in accepted if not trial.run.mailbox.find(one.case)}


def _expect_not_accepted(trial: ReceiverTrial, exchanges: Sequence[Exchange]) -> None:
    silent = _find_silent(trial, exchanges)
    for exchange in exchanges:
        outcome = exchange.outcome
        if exchange in silent:
            trial.skip(_SILENT)
        else:
            trial.judge(exchange.case.call, not is_accepted(outcome), format_outcome(outcome), outcome)
    trial.require_reachable()


def _refuses(name: str) -> Callable[[ReceiverTrial], None]:
    def refuses(trial: ReceiverTrial) -> None:
        exchanges = _list_exchanges(trial, _BATCHES[name])
        if not exchanges and not trial.not_judged:
            raise NotApplicable("the authorization has no scheme, or no letters whose case could be changed")
        _expect_not_accepted(trial, exchanges)

    return refuses


for _name, _batches in _BATCHES.items():
    check(f"receiver/auth/{_name}", "authorization", batches=_batches)(_refuses(_name))


@check("receiver/auth/doubled-authorization", "authorization", "wire", batches=(_doubled_authorization,))
def _refuses_doubled(trial: ReceiverTrial) -> None:
    _expect_not_accepted(trial, _list_exchanges(trial, [_doubled_authorization]))


@check("receiver/auth/wrong-authorization-is-no-crash", "authorization", batches=_ALL)
def _survives_wrong_authorization(trial: ReceiverTrial) -> None:
    for exchange in _list_exchanges(trial, _ALL):
        outcome = exchange.outcome
        if isinstance(outcome, Response) or outcome.kind == "raised":
            # Logto sends no other content type, so an error may be due to that.
            is_crash = not is_no_crash(outcome) and exchange.case.group != _every_content_type.name
        else:
            is_crash = True
        trial.judge(exchange.case.call, not is_crash, format_outcome(outcome), outcome)
    trial.require_reachable()


@check("receiver/deliver/no-silent-acceptance", "authorization", "outbox", batches=(ordinary, *_ALL))
def _accepts_nothing_silently(trial: ReceiverTrial) -> None:
    exchanges = _list_exchanges(trial, _ALL)
    silent = _find_silent(trial, exchanges)
    for exchange in exchanges:
        problem = f"{format_outcome(exchange.outcome)}, and no mail to {exchange.case.to}"
        trial.judge(exchange.case.call, exchange not in silent, problem, exchange.outcome)


@check("receiver/auth/says-unauthorized", "authorization", batches=_ALL)
def _says_unauthorized(trial: ReceiverTrial) -> None:
    # Where something else is wrong too, the receiver may refuse that first.
    wrong_in_nothing_else = [one for one in _ALL if one not in (_unknown_type, _every_content_type)]
    for exchange in _list_exchanges(trial, wrong_in_nothing_else):
        outcome = exchange.outcome
        is_other = isinstance(outcome, Response) and outcome.status < 500 and not is_accepted(outcome)
        if is_other:
            is_right = is_unauthorized(outcome) or (
                isinstance(outcome, Response) and outcome.status == _TOO_MANY_REQUESTS
            )
            trial.judge(exchange.case.call, is_right, format_outcome(outcome), outcome)
    if not trial.cases:
        trial.skip("the receiver refused no wrong credential with a 4xx")


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
