"""Judges a request that should deliver a message: its findings, and the response of a receiver that is right.

No I/O: a server hands in the request, and sends the response that ``Verdict`` holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..masking import MAX_SHOWN_CHARACTERS, escape_unprintable, format_value
from .javascript_json import NotJson, NotUtf8, TooDeep, parse_with_duplicates
from .validation import rule_finding, text_finding, validator

if TYPE_CHECKING:
    from ..findings import Finding
    from ..wire.requests import Request


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of judging a request: status, findings, response body.

    Attributes:
        status: The HTTP status of the response.
        findings: One for each rule that the request or its message fails, in the order of judging. They are
            MAX_FINDINGS and MAX_FINDINGS_CHARACTERS at most, but always one where there are any.
        response_body: The body of the response, JSON.
        more_findings: How many more findings there are.
    """

    status: int
    findings: tuple[Finding, ...]
    response_body: bytes
    more_findings: int = 0

    @property
    def violations(self) -> tuple[Finding, ...]:
        """The findings of level MUST."""
        return tuple(finding for finding in self.findings if finding.level == "MUST")


MAX_FINDINGS = 100
"""How many findings of one request are kept."""

MAX_FINDINGS_CHARACTERS = 256 * 1024
"""How many characters their pointers have together; a stranger chooses their length."""

NO_REQUEST = b'{"accepted":false,"reason":"This is no HTTP/1.1 request"}'
"""The body of the response to what is no request; its status is 400."""

_JSON = ["application/json"]
_ACCEPTED = Verdict(200, (), b'{"accepted":true}')


def response_headers(status: int) -> dict[str, str]:
    """Return the header lines of the response to a judged request, but for those of its framing."""
    extra = {405: {"Allow": "POST"}, 401: {"WWW-Authenticate": "Custom"}}.get(status, {})
    return {"Content-Type": "application/json", **extra}


def judge_request(
    request: Request, revision: str | None = None, layer: str = "guard", authorization: str | None = None
) -> Verdict:
    """Judge a request that should deliver a message.

    The first of these that is wrong decides the status: framing (400), without which nothing else is known,
    method (405), ``Authorization`` (401), ``Content-Type`` (415), ``Content-Encoding`` (415), body (400). A
    body gets a 400 only where it fails the guard layer. A message that fails another layer alone, or nests
    too deep to judge, has findings and gets a 200.

    Args:
        request: The request.
        revision: A contract revision or Logto release; the current revision when None.
        layer: The layer that the message must satisfy.
        authorization: The exact value that ``Authorization`` must have; any value and none pass when None.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
    """
    return judge(request, revision, layer, authorization)[0]


def judge(
    request: Request, revision: str | None = None, layer: str = "guard", authorization: str | None = None
) -> tuple[Verdict, Any]:
    """Judge a request as ``judge_request`` does, and return the body's JSON value beside the verdict.

    The value is None also where the body is not JSON, or where something before the body was wrong.

    Args:
        request: As for ``judge_request``.
        revision: As for ``judge_request``.
        layer: As for ``judge_request``.
        authorization: As for ``judge_request``.

    Raises:
        catalogue.UnknownRevision: There is no such revision or release.
        catalogue.UnknownLayer: That revision has no such layer.
    """
    if request.framing is not None:
        finding = rule_finding("sender/request/framing", ("a body that arrives whole",), request.framing)
        return _refused(400, finding), None
    if request.method != "POST":
        return _refused(
            405, rule_finding("sender/request/method", ("POST",), format_value(request.method))
        ), None
    if authorization is not None:
        # Logto's connector writes the header as UTF-8: Node encodes head and body in one string. An
        # environment variable need not be UTF-8.
        wanted = authorization.encode("utf-8", "surrogateescape").decode("latin-1").strip(" \t")
        values = [value.strip(" \t") for value in request.values("authorization")]
        if values != [wanted]:
            return _refused(401, _authorization_finding(values)), None
    lines = request.lines.values
    types = lines.get("content-type", [])
    if types != _JSON and [value.partition(";")[0].strip(" \t").lower() for value in types] != _JSON:
        actual = " and ".join(map(format_value, types)) or "no Content-Type"
        finding = rule_finding("sender/request/content-type", ("application/json, one header",), actual)
        return _refused(415, finding), None
    encodings = lines.get("content-encoding", [])
    if any(value.strip(" \t").lower() not in ("", "identity") for value in encodings):
        actual = f"Content-Encoding {' and '.join(map(format_value, encodings))}"
        finding = rule_finding("sender/request/content-encoding", ("no Content-Encoding",), actual)
        return _refused(415, finding), None
    try:
        message, duplicates, more_duplicates = parse_with_duplicates(request.body)
    except (NotUtf8, NotJson) as problem:
        return _refused(400, text_finding(problem)), None
    except TooDeep as problem:
        return Verdict(200, (text_finding(problem),), _ACCEPTED.response_body), None
    findings, more = validator(revision, layer).first_findings(message, MAX_FINDINGS)
    if not findings and not duplicates:
        return _ACCEPTED, message
    repeated = tuple(
        rule_finding(
            "sender/body/unique-keys",
            ("every key once",),
            f"{format_value(duplicate.key)} more than once in the object at "
            f"{escape_unprintable(duplicate.pointer[:MAX_SHOWN_CHARACTERS]) or 'the top'}",
        )
        for duplicate in duplicates
    )
    kept = limit_findings(findings + repeated)
    omitted = len(findings) + more + len(repeated) + more_duplicates - len(kept)
    refusing = findings
    if findings and layer != "guard":
        refusing, more = validator(revision, "guard").first_findings(message, MAX_FINDINGS)
    if refusing:
        shown = limit_findings(refusing)
        return Verdict(400, kept, _refusal(shown, len(refusing) + more - len(shown)), omitted), message
    return Verdict(200, kept, _ACCEPTED.response_body, omitted), message


def limit_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return the first of some findings: MAX_FINDINGS and MAX_FINDINGS_CHARACTERS at most, but one if any."""
    totals = accumulate(len(finding.pointer) for finding in findings[:MAX_FINDINGS])
    fitting = sum(total <= MAX_FINDINGS_CHARACTERS for total in totals)
    return findings[: max(fitting, 1)]


def _authorization_finding(values: list[str]) -> Finding:
    expected = ("the one value that the endpoint was given",)
    if not values:
        actual = "no Authorization header"
    elif len(values) > 1:
        actual = f"{len(values)} Authorization headers"
    else:
        scheme, _, credential = values[0].partition(" ")
        # A well-known scheme is no secret; all else may be.
        known = credential and scheme.lower() in ("basic", "bearer")
        actual = (
            f"another value: {scheme} and {len(credential)} more characters (masked)"
            if known
            else f"another value of {len(values[0])} characters (masked)"
        )
    return rule_finding("sender/request/authorization", expected, actual)


def _refused(status: int, finding: Finding) -> Verdict:
    return Verdict(status, (finding,), _refusal((finding,)))


def _refusal(findings: tuple[Finding, ...], more: int = 0) -> bytes:
    reasons = [f"{finding.requirement} Came: {finding.actual}" for finding in findings]
    return json.dumps(
        {
            "accepted": False,
            "reason": "; ".join([*reasons, f"and {more} more"] if more else reasons),
            "findings": [
                {
                    "rule": finding.rule,
                    "pointer": finding.pointer,
                    "expected": list(finding.expected),
                    "actual": finding.actual,
                }
                for finding in findings
            ],
        }
    ).encode()
