"""The rules ``receiver/deliver/*`` about a mail server that fails, and about what comes after that.

The SMTP sink fails for recipients of these rules alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...clock import read_monotonic
from ...judging.responses import format_outcome, is_accepted
from ...suite.results import NotJudged
from ...wire.outcomes import NoResponse, Response
from ..attempts import Refusal
from ..cases import batch
from ..checks import check
from ..outbox import wait_until
from .ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...wire.outcomes import Outcome
    from ..cases import Case, Exchange
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial


@batch("alone")
def refused_recipients(maker: RequestMaker) -> Iterator[Case]:
    """One message for each way in which the mail server fails; none where it cannot be made to fail."""
    if maker.can_refuse:
        for refusal in Refusal:
            yield maker.make_case(maker.make_typical(), mail="none", refusal=refusal)


@batch("alone")
def _later(maker: RequestMaker) -> Iterator[Case]:
    yield maker.make_case(maker.make_typical())


def _judge_success(trial: ReceiverTrial, *refusals: Refusal) -> None:
    """Judge that a message whose mail was not sent is not answered with success."""
    trial.require_accepted()
    if not any(trial.find_mails(trial.send(ordinary)).values()):
        raise NotJudged("no mail came; see receiver/deliver/one-mail")
    exchanges = [one for one in trial.send(refused_recipients) if one.case.refusal in refusals]
    _wait_for_attempts(trial, [one for one in exchanges if is_accepted(one.outcome)])
    for exchange in exchanges:
        case, outcome = exchange.case, exchange.outcome
        actual = f"{format_outcome(outcome)}{trial.format_attempts(case)}"
        if not is_accepted(outcome):
            if isinstance(outcome, Response):
                trial.judge(case.call, outcome.status >= 400, actual, outcome)
            else:
                trial.skip(f"{actual}; see receiver/deliver/response-to-failure")
        elif not trial.list_attempts(case):
            trial.skip(f"{actual}, and nobody tried to mail it; see receiver/deliver/one-mail")
        else:
            trial.judge(case.call, _is_mailed(trial, case), actual, outcome)


def _wait_for_attempts(trial: ReceiverTrial, exchanges: list[Exchange]) -> None:
    """Wait until each mail was tried or is too late; where a later try is asked for, for that one.

    Raises:
        NotJudged: The run was interrupted.
    """

    def is_settled(case: Case) -> bool:
        if case.refusal is Refusal.TEMPORARY:
            return _is_mailed(trial, case)
        return bool(trial.list_attempts(case))

    deadline = max((one.ended for one in exchanges), default=0.0) + trial.settings.fail_after
    wait_until(
        lambda: bool(trial.run.interrupted) or all(is_settled(one.case) for one in exchanges),
        deadline - read_monotonic(),
    )
    if trial.run.interrupted:
        raise NotJudged(trial.run.interrupted)


def _is_mailed(trial: ReceiverTrial, case: Case) -> bool:
    return any(attempt.is_accepted for attempt in trial.list_attempts(case))


_NEEDS = ("outbox", "refusals")


@check("receiver/deliver/temporary-refusal", *_NEEDS, batches=(ordinary, refused_recipients))
def _temporary_refusal(trial: ReceiverTrial) -> None:
    _judge_success(trial, Refusal.TEMPORARY)


@check("receiver/deliver/permanent-refusal", *_NEEDS, batches=(ordinary, refused_recipients))
def _permanent_refusal(trial: ReceiverTrial) -> None:
    _judge_success(trial, Refusal.PERMANENT)


@check("receiver/deliver/cut-connection", *_NEEDS, batches=(ordinary, refused_recipients))
def _cut_connection(trial: ReceiverTrial) -> None:
    _judge_success(trial, Refusal.CUT_AT_RCPT, Refusal.CUT_AT_DATA)


@check("receiver/deliver/response-to-failure", *_NEEDS, batches=(refused_recipients,))
def _responds(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    trial.expect_each(refused_recipients, _is_response)


def _is_response(outcome: Outcome) -> bool:
    # A server makes a 500 of an exception that an application in this process raises.
    return not isinstance(outcome, NoResponse) or outcome.kind == "raised"


@check(
    "receiver/deliver/later-messages",
    *_NEEDS,
    batches=(refused_recipients, _later),
    requests=2 * len(Refusal),
)
def _later_messages(trial: ReceiverTrial) -> None:
    trial.require_accepted()
    refused = trial.send(refused_recipients)
    exchanges = trial.send(_later)
    if any(
        isinstance(one.outcome, Response) and one.outcome.status >= 500 and not trial.list_attempts(one.case)
        for one in refused
    ):
        # Nobody tried to mail it: it may have met what another failure broke, in place of the later message.
        exchanges += _send_pairs(trial, [one.case for one in refused if trial.list_attempts(one.case)])
    found = trial.find_mails(exchanges)
    for exchange in exchanges:
        if is_accepted(exchange.outcome) and not found[exchange]:
            trial.judge(exchange.case.call, passed=False, actual=trial.format_missing(exchange))
        else:
            trial.expect(is_accepted, exchange)


def _send_pairs(trial: ReceiverTrial, cases: list[Case]) -> Iterator[Exchange]:
    """Send each case once more, and yield what comes of an ordinary message right after it."""
    maker = trial.run.maker
    for case in cases:
        trial.send_case(maker.make_again(case))
        yield trial.send_case(maker.make_case(maker.make_typical()))
