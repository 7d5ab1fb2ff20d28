"""The rules ``receiver/respond/*`` about connections: framing, and the next request on the same one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...judging.responses import format_outcome, is_refused_for_now, is_timeout
from ...suite.results import NotApplicable
from ...wire.outcomes import NoResponse, Response
from ..cases import batch
from ..checks import check
from ..credentials import make_wrong_values
from .reject import BROKEN_MESSAGES
from .respond import EVERY_KIND, list_exchanges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...wire.calls import Call
    from ...wire.outcomes import Outcome
    from ..cases import Case
    from ..requests import RequestMaker
    from ..trial import ReceiverTrial

_LATE_BYTES_SECONDS = 0.1
"""Seconds in which bytes after the end of a response are still seen."""

_MAX_SEGMENT_BYTES = 4096
"""The body of a request that surely comes in one segment, and in one read."""


@dataclass(frozen=True, slots=True)
class ConnectionPair:
    """Two requests on one connection.

    Attributes:
        case: The first request; the second is an ordinary message.
        first: The very response to the first, for example a redirect.
        late: The faults of what arrived after it.
        second: The outcome of the second; None where the first response announced the end of the connection.
        right_status: The status that the second should have.
    """

    case: Case
    first: Outcome
    late: tuple[str, ...]
    second: Outcome | None
    right_status: int

    @property
    def is_error(self) -> bool:
        """Whether the first response is an error."""
        return isinstance(self.first, Response) and self.first.status >= 400

    @property
    def is_closed_after_error(self) -> bool:
        """Whether the connection ended after an error, and nothing had announced it."""
        return self.is_error and isinstance(self.second, NoResponse) and self.second.kind == "cut"

    @property
    def is_right(self) -> bool:
        """Whether the second response is that of an ordinary message, or the end was announced.

        Any response is not enough: bytes of the first request may have been read as the second.
        """
        # A redirect is the concern of receiver/respond/no-redirect.
        return self.second is None or (
            isinstance(self.second, Response)
            and (self.second.status == self.right_status or 300 <= self.second.status < 400)
        )


def _make_first_cases(maker: RequestMaker) -> Iterator[Case]:
    """Yield requests to each of which a receiver may respond in a way of its own."""
    yield maker.make_case(maker.make_typical())
    message = maker.make_typical()
    yield maker.make_raw_case({**message, "type": "NewTemplate"}, message)
    message = maker.make_typical()
    yield maker.make_raw_case(BROKEN_MESSAGES["not-json"][0](message), message)
    if maker.receiver.authorization:
        wrong = next(iter(make_wrong_values(maker.receiver.authorization)["wrong-authorization"]))
        message = maker.make_typical()
        yield maker.make_call_case(maker.make_call(message, wrong), message)


@batch("paired")
def _pairs(maker: RequestMaker) -> Iterator[Case]:
    for first in _make_first_cases(maker):
        yield first
        yield maker.make_case(maker.make_typical())


def _probe(trial: ReceiverTrial) -> list[ConnectionPair]:
    """Return two requests each on connections of their own, sent once in a run.

    Raises:
        NotJudged: No ordinary message is accepted, or nothing more is sent.
        ReceiverGone: The receiver cannot be reached.
    """
    trial.require_accepted()
    run = trial.run
    if run.connection_pairs is None:
        cases = _pairs.make_cases(run.maker)
        firsts, seconds = cases[::2], cases[1::2]
        clients = max(1, min(run.dispatcher.window.size, len(firsts)))
        with run.dispatcher.lanes.alone(), ThreadPoolExecutor(clients) as pool:
            run.connection_pairs = list(
                pool.map(lambda *pair: _probe_connection(trial, *pair), firsts, seconds)
            )
            for number, pair in enumerate(run.connection_pairs if clients > 1 else []):
                if _may_be_load(pair):
                    again, second = (
                        run.maker.make_again(pair.case),
                        run.maker.make_case(run.maker.make_typical()),
                    )
                    run.connection_pairs[number] = _probe_connection(trial, again, second)
    return run.connection_pairs


def _may_be_load(pair: ConnectionPair) -> bool:
    """Return whether the other pairs that were under way may have failed one of the two requests."""
    return not pair.is_right and any(
        isinstance(outcome, Response) and outcome.status >= 500 for outcome in (pair.first, pair.second)
    )


def _probe_connection(trial: ReceiverTrial, case: Case, second: Case) -> ConnectionPair:
    timeout = trial.settings.fail_after
    late: tuple[str, ...] = ()
    outcome: Outcome | None = None
    with closing(trial.receiver.target.open()) as channel:
        first = trial.run.dispatcher.exchange_directly(case, lambda: channel.exchange(case.call, timeout))
        if isinstance(first, Response) and not first.faults:
            late = channel.late_bytes(_LATE_BYTES_SECONDS)
            if not late:
                outcome = trial.run.dispatcher.exchange_directly(
                    second, lambda: channel.exchange_again(second.call, timeout)
                )
    return ConnectionPair(case, first, late, outcome, trial.run.ordinary_status)


def _is_in_segments(call: Call) -> bool:
    return bool(call.cuts) or len(call.body) > _MAX_SEGMENT_BYTES


@check("receiver/respond/framing", "wire", batches=(*EVERY_KIND, _pairs))
def _framing(trial: ReceiverTrial) -> None:
    for exchange in list_exchanges(trial):
        outcome = exchange.outcome
        if isinstance(outcome, Response):
            faults = f"{format_outcome(outcome)}; {', '.join(outcome.faults)}"
            # The rest of a request that was read in part gets an answer too: see receiver/accept/pieces.
            if not _is_in_segments(exchange.case.call):
                trial.judge(exchange.case.call, not outcome.faults, faults, outcome)
        elif not is_timeout(outcome) and (outcome.begun or outcome.kind == "garbled"):
            trial.judge(exchange.case.call, passed=False, actual=format_outcome(outcome), outcome=outcome)
    for pair in _probe(trial):
        if isinstance(pair.first, Response):
            faults = f"{format_outcome(pair.first)}; {', '.join(pair.late)}"
            trial.judge(pair.case.call, not pair.late, faults, pair.first)


@check("receiver/respond/keep-alive", "wire", batches=(_pairs,))
def _keep_alive(trial: ReceiverTrial) -> None:
    for pair in _probe(trial):
        if not isinstance(pair.first, Response) or pair.first.faults:
            trial.skip(f"{format_outcome(pair.first)}; see receiver/respond/framing")
        elif pair.second is not None and is_refused_for_now(pair.second):
            trial.skip(f"{_format(pair)}; see receiver/respond/no-shared-limit")
        elif not pair.is_closed_after_error:
            trial.judge(pair.case.call, pair.is_right, _format(pair), pair.second)


@check("receiver/respond/keep-alive-after-error", "wire", batches=(_pairs,))
def _keep_alive_after_error(trial: ReceiverTrial) -> None:
    for pair in _probe(trial):
        if pair.is_error:
            trial.judge(pair.case.call, not pair.is_closed_after_error, _format(pair), pair.second)
    if not trial.cases:
        raise NotApplicable("the receiver responded to no request with an error of its own")


def _format(pair: ConnectionPair) -> str:
    second = format_outcome(pair.second) if pair.second else "the announced end"
    return f"{format_outcome(pair.first)}, and then on the same connection {second}"
