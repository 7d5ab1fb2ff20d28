"""The rules ``sender/redirect/*``: whether a sender follows as Logto's connector does."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...masking import format_value
from ...suite.results import NotApplicable
from ...wire.replies import Reply, ScriptedResponse
from ..checks import check
from ..destination import ACCEPTED, Arrival, Attempt
from ..messages import find_missing_request, make_plain_message
from .request import CREDENTIAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.requests import Request
    from ..trial import SenderTrial

_MOVED = "/moved"
_SURPLUS_REDIRECTS = 60


def make_redirect_script(
    trial: SenderTrial, status: int, *, to: str | None = None, then: ScriptedResponse | None = None
) -> Callable[[Arrival, int], Reply]:
    """Return a script that redirects to another path, of the same origin or another, and responds there."""

    def script(arrival: Arrival, number: int) -> Reply:  # noqa: ARG001 - a Script
        if arrival.elsewhere or arrival.request.target.endswith(_MOVED):
            return then or ACCEPTED
        current = trial.destination.current
        assert current is not None
        token = urlsplit(current.url).path.split("/")[1]
        return ScriptedResponse(status, b"", {"Location": f"{to or trial.destination.url}/{token}{_MOVED}"})

    return script


def _moved(attempt: Attempt) -> list[Request]:
    return [
        arrival.request
        for arrival in attempt.arrivals
        if arrival.elsewhere or arrival.request.target.endswith(_MOVED)
    ]


def _not_followed(attempt: Attempt, status: int) -> str | None:
    return find_missing_request(attempt) or (
        None if _moved(attempt) else f"after {status}: not followed; {attempt.report}"
    )


@check("sender/redirect/post-again")
def _check_post_again(trial: SenderTrial) -> None:
    for status in (301, 302, 307, 308):
        attempt = trial.send(make_plain_message(trial), make_redirect_script(trial, status))
        problem = _not_followed(attempt, status)
        for request in _moved(attempt):
            first = attempt.requests[0]
            if (request.method, request.body) != (first.method, first.body):
                problem = problem or (
                    f"after {status}: {format_value(request.method)} with {len(request.body)} bytes of body"
                )
            elif request.values("content-type") != first.values("content-type"):
                problem = problem or f"after {status}: another Content-Type"
        if problem is None and attempt.report.ok is not True:
            problem = f"after {status} to a 200: {attempt.report}"
        trial.judge_problem(attempt, problem)


@check("sender/redirect/see-other")
def _check_see_other(trial: SenderTrial) -> None:
    attempt = trial.send(make_plain_message(trial), make_redirect_script(trial, 303))
    problem = _not_followed(attempt, 303)
    for request in _moved(attempt):
        if request.method != "GET" or request.body:
            problem = f"{format_value(request.method)} with {len(request.body)} bytes of body"
    if problem is None and attempt.report.ok is not True:
        problem = f"after 303 to a 200: {attempt.report}"
    trial.judge_problem(attempt, problem)


@check("sender/redirect/authorization-kept")
def _check_authorization_kept(trial: SenderTrial) -> None:
    followed = False
    for status in (301, 302, 303, 307, 308):
        attempt = trial.send(
            make_plain_message(trial), make_redirect_script(trial, status), authorization=CREDENTIAL
        )
        moved = _moved(attempt)
        followed = followed or bool(moved)
        first = attempt.requests[0].values("authorization") if attempt.requests else []
        lost = next((request for request in moved if request.values("authorization") != first), None)
        came = " and ".join(map(format_value, lost.values("authorization"))) if lost else ""
        problem = f"after {status}: {came or 'no Authorization'}" if lost else None
        trial.judge_problem(attempt, find_missing_request(attempt) or problem)
    if not followed and not trial.failures:
        raise NotApplicable("the sender follows no redirect")


@check("sender/redirect/authorization-dropped")
def _check_authorization_dropped(trial: SenderTrial) -> None:
    for status in (301, 302, 303, 307, 308):
        script = make_redirect_script(trial, status, to=trial.destination.other_url)
        attempt = trial.send(make_plain_message(trial), script, authorization=CREDENTIAL)
        came = [value for request in _moved(attempt) for value in request.values("authorization")]
        problem = f"after {status} to another port: {' and '.join(map(format_value, came))}" if came else None
        trial.judge_problem(attempt, find_missing_request(attempt) or problem)


@check("sender/redirect/loop")
def _check_loop(trial: SenderTrial) -> None:
    def script(arrival: Arrival, number: int) -> Reply:
        # Not for ever: a sender without a limit must end too.
        return ACCEPTED if number >= _SURPLUS_REDIRECTS else _onward(arrival)

    attempt = trial.send(make_plain_message(trial), script)
    count = len(attempt.arrivals)
    problem = None if attempt.report.ok is False else f"{count} requests, then {attempt.report}"
    trial.judge_problem(attempt, find_missing_request(attempt) or problem)


def _onward(arrival: Arrival) -> ScriptedResponse:
    return ScriptedResponse(307, b"", {"Location": arrival.request.target})
