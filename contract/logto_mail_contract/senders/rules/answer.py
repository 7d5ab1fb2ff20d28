"""The rules ``sender/answer/*``: what a sender makes of responses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ...wire.replies import Garbage, Reply, Reset, ScriptedResponse
from ..checks import check
from ..destination import ACCEPTED, always
from ..messages import find_missing_request, make_plain_message
from .redirect import make_redirect_script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..trial import SenderTrial

_CUT = Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nhalf")
_CUT_CHUNKS = Garbage(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf")
_NO_HTTP = Garbage(b"\0\1garbage\xff\r\n\r\n")
_BROKEN: dict[str, Reply] = {
    "a reset": Reset(),
    "the end of the connection": Garbage(b""),
    "bytes that are no HTTP": _NO_HTTP,
    "half a body": _CUT,
    "half a chunked body": _CUT_CHUNKS,
}
_REDIRECTS = (300, 301, 302, 303, 307, 308)


def _json_response(
    status: int, body: bytes = b'{"error":"no mail today"}', headers: Mapping[str, str] | None = None
) -> ScriptedResponse:
    return ScriptedResponse(status, body, {"Content-Type": "application/json", **(headers or {})})


@check("sender/answer/no-retry")
def _check_no_retry(trial: SenderTrial) -> None:
    retry = {"Retry-After": "0"}
    replies: dict[str, Reply] = {
        "200": ACCEPTED,
        **{str(status): _json_response(status) for status in (400, 401, 404, 500, 502, 504)},
        "408": ScriptedResponse(408, b"", {"Connection": "close"}),
        "413 with Retry-After": _json_response(413, headers=retry),
        "429 with Retry-After": _json_response(429, headers=retry),
        "503 with Retry-After": _json_response(503, headers=retry),
        **_BROKEN,
    }
    attempts = []
    for what, reply in replies.items():
        attempt = trial.send(make_plain_message(trial), always(reply))
        attempts.append((what, attempt))
    # A sender may say that it has failed, and try again unnoticed.
    trial.settle()
    for what, attempt in attempts:
        count = len(attempt.arrivals)
        problem = None if count == 1 else f"{count} requests after {what}; {attempt.report}"
        trial.judge_problem(attempt, find_missing_request(attempt) or problem)


def _judge_report(trial: SenderTrial, what: str, reply: Reply, *, ok: bool, late: float = 0.0) -> None:
    attempt = trial.send(make_plain_message(trial), always(reply), late=late)
    report = attempt.report
    problem = None if report.ok is ok else f"after {what}: {report}"
    trial.judge_problem(attempt, find_missing_request(attempt) or problem)


@check("sender/answer/success")
def _check_success(trial: SenderTrial) -> None:
    for status in (200, 201, 202, 203, 204, 206, 299):
        _judge_report(trial, str(status), ScriptedResponse(status), ok=True)
    bodies: dict[str, ScriptedResponse] = {
        "a 200 with text": ScriptedResponse(200, b"OK", {"Content-Type": "text/plain"}),
        "a 202 with JSON": _json_response(202, b'{"accepted":true}'),
        "a 200 with JSON that is none": _json_response(200, b"<html>"),
        "a 200 that speaks of an error": _json_response(200),
        "a 201 of a type without body": _json_response(201, b""),
        "a 200 with 100 kB": ScriptedResponse(
            200, b"x" * 100_000, {"Content-Type": "application/octet-stream"}
        ),
        "a 200 in chunks": ScriptedResponse(200, b"2\r\nOK\r\n0\r\n\r\n", {"Transfer-Encoding": "chunked"}),
    }
    for what, response in bodies.items():
        _judge_report(trial, what, response, ok=True)


@check("sender/answer/not-modified")
def _check_not_modified(trial: SenderTrial) -> None:
    _judge_report(trial, "304", ScriptedResponse(304), ok=True)


@check("sender/answer/failure")
def _check_failure(trial: SenderTrial) -> None:
    for status in (400, 401, 403, 404, 405, 408, 413, 415, 422, 429, 500, 501, 502, 503, 504, 599):
        _judge_report(trial, str(status), _json_response(status), ok=False)
    _judge_report(trial, "a 400 without body", ScriptedResponse(400), ok=False)
    _judge_report(
        trial, "a 500 that says it is ok", _json_response(500, b'{"ok":true,"accepted":true}'), ok=False
    )
    for status in _REDIRECTS:
        _judge_report(trial, f"{status} without Location", ScriptedResponse(status), ok=False)
    for status in (302, 307):
        attempt = trial.send(
            make_plain_message(trial), make_redirect_script(trial, status, then=_json_response(500))
        )
        report = attempt.report
        problem = None if report.ok is False else f"after {status} to a 500: {report}"
        trial.judge_problem(attempt, find_missing_request(attempt) or problem)


@check("sender/answer/connection-failure")
def _check_connection_failure(trial: SenderTrial) -> None:
    attempt = trial.send(make_plain_message(trial), origin=trial.destination.dead_url)
    refused = attempt.report
    trial.judge_problem(attempt, None if refused.ok is False else f"after a refused connection: {refused}")
    for what, reply in _BROKEN.items():
        _judge_report(trial, what, reply, ok=False)


@check("sender/answer/slow")
def _check_slow(trial: SenderTrial) -> None:
    slow = trial.settings.slow
    _judge_report(trial, f"a 200 that took {slow:g} s", replace(ACCEPTED, delay=slow), ok=True, late=slow)
