"""The rules ``sender/answer/*``: what a sender makes of responses."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ...suite.results import NotJudged
from ..checks import check
from ..series import CREDENTIAL
from .request import REQUEST_SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..destination import Attempt
    from ..trial import SenderTrial

_RESPONSE_SERIES = (
    "answers",
    "not modified",
    "broken",
    "redirects",
    "see other",
    "relative redirects",
    "redirects elsewhere",
    # Last: while its response is awaited, late requests of the others have time to come.
    "slow",
)
"""The series in which one message is sent to many responses."""

_SECRET = CREDENTIAL.partition(" ")[2]


def _report_problem(attempt: Attempt) -> str | None:
    return None if attempt.report.ok is attempt.expected else f"after {attempt.what}: {attempt.report}"


def _judge_reports(trial: SenderTrial, attempts: Iterable[Attempt], *, ok: bool) -> None:
    trial.judge_each((attempt for attempt in attempts if attempt.expected is ok), _report_problem)


@check("sender/answer/success")
def _check_success(trial: SenderTrial) -> None:
    _judge_reports(trial, trial.run.take_attempts(*REQUEST_SERIES, "answers"), ok=True)


@check("sender/answer/not-modified")
def _check_not_modified(trial: SenderTrial) -> None:
    _judge_reports(trial, trial.run.take_attempts("not modified"), ok=True)


@check("sender/answer/failure")
def _check_failure(trial: SenderTrial) -> None:
    _judge_reports(trial, trial.run.take_attempts("answers"), ok=False)


@check("sender/answer/connection-failure")
def _check_connection_failure(trial: SenderTrial) -> None:
    run = trial.run
    for attempt in run.take_attempts("refused", *([] if run.missing("https") else ["untrusted"])):
        # Another rule reports that a request came to an untrusted endpoint.
        problem = None if attempt.arrivals else _report_problem(attempt)
        trial.judge(attempt, problem is None, problem or "")
    _judge_reports(trial, run.take_attempts("broken"), ok=False)


@check("sender/answer/closed-connection")
def _check_closed_connection(trial: SenderTrial) -> None:
    for attempt in trial.run.take_attempts("closed"):
        trial.judge(attempt, attempt.report.ok is True, f"after {attempt.what}: {attempt.report}")


@check("sender/answer/no-credential")
def _check_no_credential(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        return f"after {attempt.what}: {attempt.report}" if _SECRET in attempt.report.text else None

    attempts = trial.run.take_attempts("answers", "broken")
    trial.judge_each((attempt for attempt in attempts if attempt.expected is False), problem)


@check("sender/answer/slow")
def _check_slow(trial: SenderTrial) -> None:
    slow = trial.run.settings.slow

    def problem(attempt: Attempt) -> str | None:
        first, *later = [arrival.time for arrival in attempt.arrivals]
        # A clock may be a little fast, and a response never comes early.
        if later and later[0] - first < 0.9 * slow:
            return f"posted again after {later[0] - first:.1f} s, before {attempt.what}; {attempt.report}"
        if attempt.report.ok is True and attempt.ended - first < 0.9 * slow:
            return f"{attempt.report} after {attempt.ended - first:.1f} s, before {attempt.what}"
        return _report_problem(attempt)

    trial.judge_each(trial.run.take_attempts("slow"), problem)


def _find_repetition(attempt: Attempt) -> str | None:
    """Return how often a message was sent where it was more than once; a followed redirect is allowed."""
    count = len(attempt.arrivals)
    places = Counter((arrival.elsewhere, arrival.request.target) for arrival in attempt.arrivals)
    if count <= 1 + len(attempt.redirects) and max(places.values()) == 1:
        return None
    return f"{count} requests after {attempt.what}; {attempt.report}"


@check("sender/answer/no-retry")
def _check_no_retry(trial: SenderTrial) -> None:
    run = trial.run
    attempts = run.take_settled_attempts(*REQUEST_SERIES, "closed", *_RESPONSE_SERIES)
    cut: NotJudged | None = None
    try:
        trial.judge_each(attempts, _find_repetition)
    except NotJudged as problem:
        cut = problem
    if not run.requests:
        raise cut or NotJudged("no request came")
    for attempt in run.take_attempts(*_RESPONSE_SERIES):
        # A sender that stops sending after failures, for example.
        if not attempt.arrivals:
            trial.judge(attempt, False, f"no request came for {attempt.what}; {attempt.report}")
    if cut is not None:
        raise cut
