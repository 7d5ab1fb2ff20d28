"""One delivery as an inbox records it: text, numbers and bytes, so that any store can keep it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from ..findings import Finding
from ..judging.message import text_member
from ..wire.requests import Request
from .matching import to_near_key

if TYPE_CHECKING:
    from ..judging.requests import Verdict


class Recorded(NamedTuple):
    """One delivery as it is stored.

    Attributes:
        id: Its number. Numbers rise from 1 and are never used again.
        arrived: When the request had come in whole, in seconds since 1970.
        status: The status that the judgement asks for.
        valid: Whether it breaks no rule of level MUST.
        to: The recipient; None where there is no message with one.
        type: The template type; None where there is no message with one.
        near_key: Equal for all ways to write the recipient; None where no other way is looked for.
        code: The payload's code; None where it has none. A list of deliveries must not parse their bodies.
        link: The payload's link; None where it has none.
        locale: The payload's locale; None where it has none.
        response: How it was responded to, for a person to read.
        method: The request's method.
        target: The request's target.
        framing: What was wrong with the request's framing; empty where nothing was.
        head: The header lines as they came: one text of names and values, a line each.
        findings: The rules that it breaks, a JSON array; empty where it breaks none.
        more_findings: How many more there are.
        body: The body's bytes.
    """

    id: int
    arrived: float
    status: int
    valid: bool
    to: str | None
    type: str | None
    near_key: str | None
    code: str | None
    link: str | None
    locale: str | None
    response: str
    method: str
    target: str
    framing: str
    head: str
    findings: str
    more_findings: int
    body: bytes

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header lines as they came, names with their case."""
        parts = self.head.split("\n") if self.head else []
        return tuple(zip(parts[::2], parts[1::2], strict=True))

    @property
    def request(self) -> Request:
        """The request as it came."""
        return Request(self.method, self.target, self.headers, self.body, self.framing or None)


def record_request(
    id: int, arrived: float, request: Request, verdict: Verdict, message: object, response: str
) -> Recorded:
    """Return what is stored of a request.

    Args:
        id: Its number.
        arrived: When it had come in whole, in seconds since 1970.
        request: The request as it came.
        verdict: The result of judging it.
        message: The body's JSON value; None where there is none.
        response: How it is responded to, for a person to read.
    """
    members = message if isinstance(message, dict) else {}
    payload = members.get("payload")
    variables = payload if isinstance(payload, dict) else {}
    findings = verdict.findings
    to = text_member(members, "to")
    return Recorded(
        id,
        arrived,
        verdict.status,
        not (findings and verdict.violations),
        to,
        text_member(members, "type"),
        None if to is None else to_near_key(to),
        text_member(variables, "code"),
        text_member(variables, "link"),
        text_member(variables, "locale"),
        response,
        request.method,
        request.target,
        request.framing or "",
        request.lines.text,
        json.dumps([finding.entry() for finding in findings]) if findings else "",
        verdict.more_findings,
        request.body,
    )


def read_findings(recorded: Recorded) -> tuple[Finding, ...]:
    """Return the findings of a delivery, as the verdict had them."""
    if not recorded.findings:
        return ()
    return tuple(
        Finding(**{**entry, "expected": tuple(entry["expected"])}) for entry in json.loads(recorded.findings)
    )
