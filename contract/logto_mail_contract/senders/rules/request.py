"""The rules ``sender/request/*``: that a request arrives, its method, target, header lines and framing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...masking import format_value
from ..checks import check

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...wire.requests import Request
    from ..destination import Attempt
    from ..trial import SenderTrial

REQUEST_SERIES = ("messages", "endpoints")
"""The series whose requests are judged; they are accepted with a 200."""

_CHARSET = re.compile(r';[ \t]*charset[ \t]*=[ \t]*"?([^";]*)', re.IGNORECASE)


def find_problem(attempt: Attempt, problem: Callable[[Request], str | None]) -> str | None:
    """Return what is wrong with the first request that something is wrong with."""
    return next(filter(None, map(problem, attempt.requests)), None)


def judge_requests(trial: SenderTrial, problem: Callable[[Request], str | None]) -> None:
    """Judge every message to every endpoint by its requests."""
    attempts = trial.run.take_attempts(*REQUEST_SERIES)
    trial.judge_each(attempts, lambda attempt: find_problem(attempt, problem))


def _join(values: list[str]) -> str:
    return " and ".join(map(format_value, values))


@check("sender/request/arrives")
def _check_arrives(trial: SenderTrial) -> None:
    for attempt in trial.run.take_attempts(*REQUEST_SERIES):
        trial.judge(attempt, bool(attempt.arrivals), f"no request came; {attempt.report}")


@check("sender/request/method")
def _check_method(trial: SenderTrial) -> None:
    judge_requests(trial, lambda request: None if request.method == "POST" else format_value(request.method))


@check("sender/request/target")
def _check_target(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        parts = urlsplit(attempt.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        came = next((request.target for request in attempt.requests if request.target != target), None)
        return None if came is None else f"{format_value(came)} in place of {format_value(target)}"

    trial.judge_each(trial.run.take_attempts(*REQUEST_SERIES), problem)


@check("sender/request/host")
def _check_host(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        host = urlsplit(attempt.url).netloc
        for request in attempt.requests:
            came = request.values("host")
            if [value.lower() for value in came] != [host]:
                return f"{_join(came) or 'no Host'} in place of {format_value(host)}"
        return None

    trial.judge_each(trial.run.take_attempts(*REQUEST_SERIES), problem)


def _content_type(request: Request) -> str | None:
    if request.method != "POST" and not request.body:
        return None  # the rule on methods reports it
    types = request.values("content-type")
    charsets = [name.strip(" \t").lower() for value in types for name in _CHARSET.findall(value)]
    if [value.partition(";")[0].strip(" \t").lower() for value in types] == ["application/json"] and set(
        charsets
    ) <= {"utf-8"}:
        return None
    return _join(types) or "no Content-Type"


@check("sender/request/content-type")
def _check_content_type(trial: SenderTrial) -> None:
    judge_requests(trial, _content_type)


@check("sender/request/content-encoding")
def _check_content_encoding(trial: SenderTrial) -> None:
    def problem(request: Request) -> str | None:
        encodings = request.values("content-encoding")
        return _join(encodings) if set(encodings) - {"identity"} else None

    judge_requests(trial, problem)


@check("sender/request/authorization")
def _check_authorization(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        for request in attempt.requests:
            # These credentials are our own, so they can be shown.
            came = request.values("authorization")
            if came != [attempt.authorization]:
                return (
                    f"{_join(came) or 'no Authorization'} in place of {format_value(attempt.authorization)}"
                )
        return None

    attempts = trial.run.take_attempts(*REQUEST_SERIES)
    trial.judge_each((attempt for attempt in attempts if attempt.authorization is not None), problem)


@check("sender/request/no-authorization")
def _check_no_authorization(trial: SenderTrial) -> None:
    attempts = trial.run.take_attempts(*REQUEST_SERIES)
    trial.judge_each(
        (attempt for attempt in attempts if attempt.authorization is None),
        lambda attempt: find_problem(attempt, lambda request: _join(request.values("authorization")) or None),
    )


@check("sender/request/framing")
def _check_framing(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        framing = next((request.framing for request in attempt.requests if request.framing), None)
        return framing or (f"after the request, {attempt.unmatched[0]}" if attempt.unmatched else None)

    trial.judge_each(trial.run.take_settled_attempts(*REQUEST_SERIES), problem)


@check("sender/request/certificate", "https")
def _check_certificate(trial: SenderTrial) -> None:
    # What it reports is judged with the other failures of connections.
    for attempt in trial.run.take_attempts("untrusted"):
        trial.judge(attempt, not attempt.arrivals, f"the request came; {attempt.report}")
