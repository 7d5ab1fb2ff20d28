"""The verdict on a response: status, redirect, time and leaks, each a function without I/O.

The framing of a response is judged where it is read: see ``Response.faults``.
"""

from __future__ import annotations

import html
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..masking import escape_unprintable
from ..wire.outcomes import NoResponse, Outcome, Response

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_SHOWN_BODY_CHARACTERS = 200


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
        return f"{text}: {escape_unprintable(outcome.problem)}"
    # The head of the body alone: the rest is neither shown nor decoded.
    body = outcome.content[: 4 * _MAX_SHOWN_BODY_CHARACTERS].decode(errors="replace").strip()
    if not body:
        return text
    more = "…" if len(body) > _MAX_SHOWN_BODY_CHARACTERS else ""
    return f"{text}, body: {escape_unprintable(body[:_MAX_SHOWN_BODY_CHARACTERS])}{more}"


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
    there = f"Location {escape_unprintable(location)}"
    if outcome.status == 303:
        return f"{there}: Logto gets it without a body, and counts a 2xx there as success: the mail is lost"
    return (
        f"{there}: Logto posts the code there once more, without Authorization where host or port differ, "
        "and the user waits for both"
    )


def find_secrets(
    response: Response, *, code: str, link: str, address: str, authorizations: Iterable[str]
) -> list[str]:
    """Return which secrets of a request the body of its response repeats: ``the code``, for example.

    Args:
        response: The response.
        code: The verification code.
        link: The part of the link by which it can be recognised.
        address: The part of the recipient's address by which it can be recognised.
        authorizations: Values of ``Authorization``; those that may be an ordinary word are ignored.
    """
    text = response.content.decode(errors="replace")
    secret = [
        part
        for value in authorizations
        if _is_distinctive(value)
        for part in (value, value.partition(" ")[2])
    ]
    patterns = {
        # Not as a part of a longer number or of an identifier, where it appears by chance.
        "the code": code and rf"(?<![0-9A-Za-z]){re.escape(code)}(?![0-9A-Za-z])",
        "the link": re.escape(link),
        "the address": re.escape(address),
        "the Authorization": "|".join(re.escape(part) for part in secret if _is_distinctive(part)),
    }
    return [name for name, pattern in patterns.items() if pattern and re.search(pattern, text)]


def _is_distinctive(secret: str) -> bool:
    return len(secret) > 5 and (len(secret) > 15 or re.search("[0-9]", secret) is not None)


_INTERNALS = {
    "a stack trace": re.compile(
        r"Traceback \(most recent call last\)|"  # Python
        r"^\s*File \"[^\"\n]+\", line \d+|"
        r"\bat (?:async |new )?[\w.$<>\[\]]+ ?\([^()\s]*[./][^()\s]*:\d+(?::\d+)?\)|"  # Node, Java
        r"^\s*at (?:async )?(?:file://)?/?[\w.\-/]+:\d+:\d+|"  # Node
        r"^\s*at [\w.$`<>\[\],]+\(.*\) in .+:line \d+|"  # .NET
        r"\bgoroutine \d+ \[|\bpanic: runtime error|\bpanicked at |"  # Go, Rust
        r"^#\d+ \S+\(\d+\): |"  # PHP
        r"[\w/]+\.rb:\d+:in [`']",  # Ruby
        re.MULTILINE,
    ),
    "a file path": re.compile(
        r"(?<![\w:/.])/(?:usr/(?:local|lib|src|share)|var/(?:www|lib|task|app|log|opt|runtime)|etc|tmp|root|"
        r"(?:home|Users)/[\w.\-]+)/[\w.\-]+|"
        # Folders that can as well be those of a URL, so only with what is a source of a program.
        r"(?<![\w:/.])/(?:[\w.\-]+/)*[\w\-]+\.(?:py|rb|php|go|java|kt|cs|rs|exs?)\b(?=[:\"',)\s]|$)|"
        r"(?<![\w:/.])/(?:app|srv|opt|code|work(?:space)?|project|build|data)/(?:[\w.\-]+/)*[\w.\-]+\.(?:tsx?|[cm]?js)\b|"
        r"(?<!\w)[A-Za-z]:\\{1,2}[\w.\- ]+\\{1,2}[\w.\-]+|"
        r"\b(?:node_modules|site-packages)/"
    ),
}


def find_internals(response: Response, target: str) -> list[str]:
    """Return what the body of a response shows of the program behind it: ``a stack trace``, ``a file path``.

    Args:
        response: The response.
        target: The target of its request, which a body may repeat.
    """
    text = _plain(response.content.decode(errors="replace"), target)
    return [name for name, pattern in _INTERNALS.items() if pattern.search(text)]


_HTML_ADDRESS = re.compile(r"\b(?:src|href|action)\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)


def _plain(text: str, target: str) -> str:
    """Return the text of an error without markup, escapes and the target of its request."""
    text = _HTML_ADDRESS.sub("", text)
    text = html.unescape(re.sub(r"<br */?>", "\n", text)).replace("\xa0", " ")
    # Text in JSON: line breaks, quotes and, from PHP, slashes are escaped.
    text = text.replace("\\n", "\n").replace('\\"', '"').replace("\\/", "/")
    path = target.partition("?")[0]
    for own in (target, path, unquote(path)):
        if len(own) > 1:
            text = re.sub(rf"(?<![\w.\-/]){re.escape(own)}", "(the path)", text)
    return text
