"""The verdict on a response: status, redirect and time, each a function without I/O.

The framing of a response is judged where it is read: see ``Response.faults``. What its body must not show is
judged in ``leaks``.
"""

from __future__ import annotations

from http import HTTPStatus

from ..masking import escape_unprintable, mask_secrets
from ..wire.outcomes import NoResponse, Outcome, Response

# receivers/rules/respond.py imports these from here.
from .leaks import find_internals as find_internals
from .leaks import find_secrets as find_secrets

_MAX_SHOWN_CHARACTERS = 200
_MAX_MASKED_CHARACTERS = 4096
"""What is masked before the text is cut to what is shown: an escape takes several characters."""


def is_accepted(outcome: Outcome) -> bool:
    """Whether Logto's connector counts the mail as sent: any 2xx, and 304."""
    return isinstance(outcome, Response) and (200 <= outcome.status < 300 or outcome.status == 304)


def is_no_crash(outcome: Outcome) -> bool:
    """Whether it is a response below 500."""
    return isinstance(outcome, Response) and outcome.status < 500


def is_refused(outcome: Outcome) -> bool:
    """Whether it is a 4xx."""
    return isinstance(outcome, Response) and 400 <= outcome.status < 500


def is_unauthorized(outcome: Outcome) -> bool:
    """Whether it is 401 or 403."""
    return isinstance(outcome, Response) and outcome.status in (401, 403)


def is_refused_for_now(outcome: Outcome) -> bool:
    """Whether it is a 429 or a 503: there are too many requests, or there were."""
    return isinstance(outcome, Response) and outcome.status in (429, 503)


def is_redirect(outcome: Outcome) -> bool:
    """Whether it is a 3xx."""
    return isinstance(outcome, Response) and 300 <= outcome.status < 400


def is_timeout(outcome: Outcome) -> bool:
    """Whether the response was not complete in time."""
    return isinstance(outcome, NoResponse) and outcome.kind == "timeout"


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
    """Return the outcome of a request in one line: status, time and the start of the body, or the problem."""
    redirects = f"{' and '.join(map(str, outcome.redirects))}, then " if outcome.redirects else ""
    text = f"{redirects}{format_status(outcome)} after {outcome.seconds * 1000:.0f} ms"
    if isinstance(outcome, NoResponse):
        return f"{text}: {_shorten(outcome.problem, outcome.secrets)}"
    body = outcome.content[: 4 * _MAX_MASKED_CHARACTERS].decode(errors="replace").strip()
    return f"{text}, body: {_shorten(body, outcome.secrets)}" if body else text


def _shorten(text: str, secrets: frozenset[str]) -> str:
    # Mask first: a part of a secret is a secret too.
    text = mask_secrets(text[:_MAX_MASKED_CHARACTERS], secrets)
    more = "…" if len(text) > _MAX_SHOWN_CHARACTERS else ""
    return f"{escape_unprintable(text[:_MAX_SHOWN_CHARACTERS])}{more}"


def format_redirect(outcome: Outcome) -> str:
    """Return what Logto does with a 3xx; empty text for any other outcome.

    Source: got 14 with ``methodRewriting: false``, observed with ``@logto/connector-http-email`` 0.4.3.
    """
    if not isinstance(outcome, Response) or not is_redirect(outcome):
        return ""
    location = outcome.redirect()
    if location is None:
        return (
            "without Location, Logto counts a 304 as success"
            if outcome.status == 304
            else "Logto follows no such response, and reports the mail as failed"
        )
    there = f"Location {_shorten(location, outcome.secrets)}"
    if outcome.status == 303:
        return f"{there}: Logto gets it without a body, and counts a 2xx there as success: the mail is lost"
    return (
        f"{there}: Logto posts the code there once more, without Authorization where host or port differ, "
        "and the user waits for both"
    )
