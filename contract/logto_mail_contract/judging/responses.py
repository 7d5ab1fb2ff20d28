"""Judges a response as Logto's connector does, and formats it for a report."""

from __future__ import annotations

from http import HTTPStatus

from ..masking import escape_unprintable
from ..wire.outcomes import NoResponse, Outcome, Response

_MAX_SHOWN_BODY_CHARACTERS = 200


def is_accepted(outcome: Outcome) -> bool:
    """Any 2xx, and 304, which Logto's connector takes for success too."""
    return isinstance(outcome, Response) and (200 <= outcome.status < 300 or outcome.status == 304)


def is_no_crash(outcome: Outcome) -> bool:
    """Any answer below 500."""
    return isinstance(outcome, Response) and outcome.status < 500


def is_refused(outcome: Outcome) -> bool:
    """Any 4xx."""
    return isinstance(outcome, Response) and 400 <= outcome.status < 500


def is_unauthorized(outcome: Outcome) -> bool:
    """401 or 403."""
    return isinstance(outcome, Response) and outcome.status in (401, 403)


_KINDS = {
    "unreachable": "no connection",
    "timeout": "no end of the response",
    "cut": "the connection ended before the response did",
    "garbled": "a response that is not HTTP",
    "raised": "the application raised an exception",
}


def format_status(outcome: Outcome) -> str:
    """Return the status with its reason phrase, or why there is no response."""
    if isinstance(outcome, NoResponse):
        return _KINDS[outcome.kind]
    try:
        return f"{outcome.status} {HTTPStatus(outcome.status).phrase}"
    except ValueError:
        return str(outcome.status)


def format_outcome(outcome: Outcome) -> str:
    """Return what came of a request, in one line."""
    redirects = f"{' and '.join(map(str, outcome.redirects))}, then " if outcome.redirects else ""
    text = f"{redirects}{format_status(outcome)} after {outcome.seconds * 1000:.0f} ms"
    if isinstance(outcome, NoResponse):
        return f"{text}: {escape_unprintable(outcome.problem)}"
    # The head of the body alone: the rest is neither shown nor decoded.
    body = outcome.content[: 4 * _MAX_SHOWN_BODY_CHARACTERS].decode(errors="replace").strip()
    if not body:
        return text
    more = "…" if len(body) > _MAX_SHOWN_BODY_CHARACTERS else ""
    return f"{text}, body: {escape_unprintable(body[:_MAX_SHOWN_BODY_CHARACTERS])}{more}"
