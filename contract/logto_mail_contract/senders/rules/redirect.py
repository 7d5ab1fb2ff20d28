"""The rules ``sender/redirect/*``: whether a sender follows as Logto's connector does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from ...masking import format_value
from ...suite.results import NotApplicable, NotJudged
from ..checks import check
from ..series import CREDENTIAL

if TYPE_CHECKING:
    from ...wire.requests import Request
    from ..destination import Attempt
    from ..trial import SenderTrial

_SECRET = CREDENTIAL.partition(" ")[2]


def _moved(attempt: Attempt) -> list[Request]:
    """Return the requests that came to where a redirect pointed."""
    targets = set()
    for target, location in attempt.redirects:
        # A sender that changes the target may resolve against either.
        for base in (urljoin(attempt.url, target), attempt.url):
            parts = urlsplit(urljoin(base, location))
            targets.add(parts.path + (f"?{parts.query}" if parts.query else ""))
    return [request for request in attempt.requests[1:] if request.target in targets]


def _after(attempt: Attempt, problem: str) -> str:
    return f"after {attempt.what}: {problem}"


def _not_repeated(attempt: Attempt) -> str | None:
    """Return how a redirect was not followed with the same request, or its response not reported."""
    moved = _moved(attempt)
    if not moved:
        return _after(attempt, f"not followed; {attempt.report}")
    # The last one: a request of another kind before it is reported by another rule.
    first = attempt.requests[attempt.requests.index(moved[0]) - 1]
    for request in moved:
        if (request.method, request.body) != (first.method, first.body):
            return _after(attempt, f"{format_value(request.method)} with {len(request.body)} bytes of body")
        if request.values("content-type") != first.values("content-type"):
            return _after(attempt, "another Content-Type")
    return None if attempt.report.ok is True else _after(attempt, f"to a 200: {attempt.report}")


@check("sender/redirect/post-again")
def _check_post_again(trial: SenderTrial) -> None:
    trial.judge_each(trial.run.take_attempts("redirects"), _not_repeated)


@check("sender/redirect/see-other")
def _check_see_other(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        moved = _moved(attempt)
        if not moved:
            return _after(attempt, f"not followed; {attempt.report}")
        for request in moved:
            if request.method != "GET" or request.body:
                return _after(
                    attempt, f"{format_value(request.method)} with {len(request.body)} bytes of body"
                )
        return None if attempt.report.ok is True else _after(attempt, f"to a 200: {attempt.report}")

    trial.judge_each(trial.run.take_attempts("see other"), problem)


@check("sender/redirect/relative")
def _check_relative(trial: SenderTrial) -> None:
    whole = [attempt for attempt in trial.run.take_attempts("redirects") if attempt.what == "307"]
    if not any(attempt.arrivals for attempt in whole):
        raise NotJudged("no request came")
    if not any(map(_moved, whole)):
        raise NotApplicable("the sender follows no 307")

    def problem(attempt: Attempt) -> str | None:
        if _moved(attempt):
            # How it is repeated is judged by the rule on whole URLs.
            return None if attempt.report.ok is True else _after(attempt, str(attempt.report))
        targets = " and ".join(format_value(request.target) for request in attempt.requests[1:])
        return _after(attempt, f"followed to {targets}" if targets else f"not followed; {attempt.report}")

    trial.judge_each(trial.run.take_attempts("relative redirects"), problem)


@check("sender/redirect/authorization-kept")
def _check_authorization_kept(trial: SenderTrial) -> None:
    followed = False

    def problem(attempt: Attempt) -> str | None:
        nonlocal followed
        moved = _moved(attempt)
        followed = followed or bool(moved)
        first = attempt.requests[0].values("authorization")
        lost = next((request for request in moved if request.values("authorization") != first), None)
        if lost is None:
            return None
        came = " and ".join(map(format_value, lost.values("authorization")))
        return _after(attempt, came or "no Authorization")

    trial.judge_each(trial.run.take_attempts("redirects", "see other", "relative redirects"), problem)
    if trial.cases and not followed and not trial.failures:
        raise NotApplicable("the sender follows no redirect")


@check("sender/redirect/authorization-dropped")
def _check_authorization_dropped(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        for request in _moved(attempt):
            came = [f"{name}: {value}" for name, value in request.headers if _SECRET in value]
            if came:
                return _after(attempt, " and ".join(map(format_value, came)))
        return None

    trial.judge_each(trial.run.take_attempts("redirects elsewhere"), problem)


@check("sender/redirect/loop")
def _check_loop(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        if attempt.report.ok is False:
            return None
        return f"{attempt.what}: {len(attempt.arrivals)} requests, then {attempt.report}"

    trial.judge_each(trial.run.take_attempts("loops"), problem)
