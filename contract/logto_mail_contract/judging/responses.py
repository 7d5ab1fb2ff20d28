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


def format_outcome(outcome: Outcome) -> str:
    """Return what came of a request, in one line."""
    milliseconds = f"after {outcome.seconds * 1000:.0f} ms"
    redirects = f"{' and '.join(map(str, outcome.redirects))}, then " if outcome.redirects else ""
    if isinstance(outcome, NoResponse):
        kinds = {
            "unreachable": "no connection",
            "timeout": "no end of the answer",
            "cut": "the connection ended before the answer did",
            "garbled": "an answer that is not HTTP",
            "raised": "the application raised an exception",
        }
        return f"{redirects}{kinds[outcome.kind]} {milliseconds}: {escape_unprintable(outcome.problem)}"
    try:
        phrase = f" {HTTPStatus(outcome.status).phrase}"
    except ValueError:
        phrase = ""
    # The head of the body alone: the rest is neither shown nor decoded.
    body = outcome.content[: 4 * _MAX_SHOWN_BODY_CHARACTERS].decode(errors="replace").strip()
    shown = escape_unprintable(body[:_MAX_SHOWN_BODY_CHARACTERS]) + (
        "…" if len(body) > _MAX_SHOWN_BODY_CHARACTERS else ""
    )
    return f"{redirects}{outcome.status}{phrase} {milliseconds}" + (f", body: {shown}" if shown else "")
