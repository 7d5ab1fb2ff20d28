"""The rules ``sender/request/*``: method, target, header lines, framing."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...masking import format_value
from ..checks import check
from ..messages import find_missing_request, find_problem, judge_every_message, make_plain_message

if TYPE_CHECKING:
    from ...wire.requests import Request
    from ..destination import Attempt
    from ..trial import SenderTrial

CREDENTIAL = "Bearer s3cret-canary"

_PATHS = (
    "/mail",
    "/mail/",
    "/a/b/c",
    "",
    "/mail?tenant=foo&x=1",
    "/mail?x=%2F%3D&y=a%20b&z",
    "/a%20b/%C3%BC/x%2Fy",
    "?x=1",
)
_CREDENTIALS = (
    CREDENTIAL,
    "s3cret-canary",
    "Basic Zm9vOmJhcg==",
    "bearer s3cret-canary",
    'Custom a="1", b=2',
    "Token  two  spaces",
    f"Bearer {'x' * 2000}",
)


def _method(request: Request) -> str | None:
    return None if request.method == "POST" else format_value(request.method)


@check("sender/request/method")
def _check_method(trial: SenderTrial) -> None:
    judge_every_message(trial, lambda attempt: find_problem(attempt, _method))


@check("sender/request/target")
def _check_target(trial: SenderTrial) -> None:
    for path in _PATHS:
        attempt = trial.send(make_plain_message(trial), path=path)
        parts = urlsplit(attempt.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")

        def problem(request: Request, target: str = target) -> str | None:
            return (
                None
                if request.target == target
                else f"{format_value(request.target)} in place of {format_value(target)}"
            )

        trial.judge_problem(attempt, find_problem(attempt, problem))


def _content_type(request: Request) -> str | None:
    types = request.values("content-type")
    if [value.partition(";")[0].strip(" \t").lower() for value in types] == ["application/json"]:
        return None
    return " and ".join(map(format_value, types)) or "no Content-Type"


@check("sender/request/content-type")
def _check_content_type(trial: SenderTrial) -> None:
    judge_every_message(trial, lambda attempt: find_problem(attempt, _content_type))


@check("sender/request/authorization")
def _check_authorization(trial: SenderTrial) -> None:
    for credential in _CREDENTIALS:

        def problem(request: Request, credential: str = credential) -> str | None:
            # These credentials are our own, so they can be shown.
            came = request.values("authorization")
            if came == [credential]:
                return None
            actual = " and ".join(map(format_value, came)) or "no Authorization"
            return f"{actual} in place of {format_value(credential)}"

        attempt = trial.send(make_plain_message(trial), authorization=credential)
        trial.judge_problem(attempt, find_problem(attempt, problem))


def _no_authorization(request: Request) -> str | None:
    return " and ".join(map(format_value, request.values("authorization"))) or None


@check("sender/request/no-authorization")
def _check_no_authorization(trial: SenderTrial) -> None:
    # After one with authorization: a cached credential must not go to the next endpoint.
    trial.send(make_plain_message(trial), authorization=CREDENTIAL)
    attempt = trial.send(make_plain_message(trial))
    trial.judge_problem(attempt, find_problem(attempt, _no_authorization))
    judge_every_message(trial, lambda attempt: find_problem(attempt, _no_authorization))


@check("sender/request/framing")
def _check_framing(trial: SenderTrial) -> None:
    def problem(attempt: Attempt) -> str | None:
        framing = next((request.framing for request in attempt.requests if request.framing), None)
        surplus = f"after the request, {attempt.unmatched[0]}" if attempt.unmatched else None
        return framing or surplus or find_missing_request(attempt)

    judge_every_message(trial, problem)
