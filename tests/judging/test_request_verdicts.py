"""The verdict on a request, judged without a server."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.generated import UNHURRIED

from logto_mail_contract import UnknownLayer, UnknownRevision
from logto_mail_contract.judging.requests import Verdict, judge_request
from logto_mail_contract.wire.replies import status_line
from logto_mail_contract.wire.requests import Request

JSON = ("Content-Type", "application/json")
GOOD = b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}'
INVALID = b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": 42137}}'
# Valid in guard, invalid in emitted: Logto's codes have six digits.
ONLY_GUARD = b'{"to": "foo@example.com", "type": "Generic", "payload": {"code": "1"}}'


def judge(
    body: bytes = GOOD,
    *headers: tuple[str, str],
    method: str = "POST",
    framing: str | None = None,
    **settings: Any,
) -> Verdict:
    return judge_request(Request(method, "/mail", headers or (JSON,), body, framing), **settings)


def rules(verdict: Verdict) -> list[str]:
    return [finding.rule for finding in verdict.findings]


def test_a_good_request_is_accepted_without_a_finding() -> None:
    verdict = judge()
    assert (verdict.status, verdict.findings) == (200, ())
    assert json.loads(verdict.response_body) == {"accepted": True}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "post", "OPTIONS"])
def test_another_method_than_post_gets_405(method: str) -> None:
    verdict = judge(method=method)
    assert (verdict.status, rules(verdict)) == (405, ["sender/request/method"])
    assert verdict.findings[0].actual == f'"{method}"'


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([("Content-Type", "application/json; charset=utf-8")], id="charset"),
        pytest.param([("content-type", "Application/JSON")], id="case"),
        pytest.param([("CONTENT-TYPE", " application/json ;x=y")], id="spaces"),
    ],
)
def test_json_content_types_are_accepted(headers: list[tuple[str, str]]) -> None:
    assert judge(GOOD, *headers).status == 200


@pytest.mark.parametrize(
    ("headers", "reported"),
    [
        pytest.param([("X", "y")], "no Content-Type", id="missing"),
        pytest.param([("Content-Type", "")], '""', id="empty"),
        pytest.param([("Content-Type", "text/plain")], '"text/plain"', id="text"),
        pytest.param([("Content-Type", "application/json+ld")], '"application/json+ld"', id="suffix"),
        pytest.param([("Content-Type", "application/jsonx")], '"application/jsonx"', id="prefix"),
        pytest.param([JSON, JSON], '"application/json" and "application/json"', id="doubled"),
    ],
)
def test_another_content_type_gets_415(headers: list[tuple[str, str]], reported: str) -> None:
    verdict = judge(GOOD, *headers)
    assert (verdict.status, rules(verdict)) == (415, ["sender/request/content-type"])
    assert verdict.findings[0].actual == reported


@pytest.mark.parametrize(
    ("body", "values", "reported"),
    [
        pytest.param(gzip.compress(GOOD), ["gzip"], '"gzip"', id="gzip"),
        pytest.param(zlib.compress(GOOD), ["Deflate"], '"Deflate"', id="deflate"),
        pytest.param(b"\x0b\x05", ["br"], '"br"', id="brotli"),
        pytest.param(GOOD, ["gzip"], '"gzip"', id="plain-body"),
        pytest.param(GOOD, ["identity", "zstd"], '"identity" and "zstd"', id="two"),
        pytest.param(GOOD, ["gzip, br"], '"gzip, br"', id="list"),
    ],
)
def test_an_encoded_body_gets_415_and_the_encoding_is_named(
    body: bytes, values: list[str], reported: str
) -> None:
    verdict = judge(body, JSON, *(("content-encoding", value) for value in values))
    assert (verdict.status, rules(verdict)) == (415, ["sender/request/content-encoding"])
    assert verdict.findings[0].actual == f"Content-Encoding {reported}"


@pytest.mark.parametrize("value", ["identity", " Identity ", ""])
def test_a_body_that_is_not_encoded_is_accepted(value: str) -> None:
    assert judge(GOOD, JSON, ("Content-Encoding", value)).status == 200


@pytest.mark.parametrize(
    ("configured", "received"),
    [
        pytest.param("Bearer s3cret", "Bearer s3cret", id="plain"),
        # Logto's connector writes the header in UTF-8, whose bytes are read as ISO 8859-1.
        pytest.param("Schlüssel", "SchlÃ¼ssel", id="utf-8"),
        pytest.param("", "", id="empty"),
        pytest.param(" padded ", "padded", id="padded"),
    ],
)
def test_the_configured_authorization_is_accepted(configured: str, received: str) -> None:
    assert judge(GOOD, JSON, ("aUTHORIZATION", received), authorization=configured).status == 200


@pytest.mark.parametrize(
    ("received", "reported"),
    [
        pytest.param([], "no Authorization header", id="missing"),
        pytest.param(
            ["Bearer guessed"],
            "another value: Bearer and 7 more characters (masked)",
            id="wrong",
        ),
        pytest.param(["guessed it"], "another value of 10 characters (masked)", id="no-scheme"),
        pytest.param(
            ["bearer s3cret"], "another value: bearer and 6 more characters (masked)", id="scheme-case"
        ),
        pytest.param(["Bearer s3cret", "Bearer s3cret"], "2 Authorization headers", id="doubled"),
        pytest.param([""], "another value of 0 characters (masked)", id="empty"),
    ],
)
def test_another_authorization_gets_401_and_is_masked(received: list[str], reported: str) -> None:
    headers = [("Authorization", value) for value in received]
    verdict = judge(GOOD, JSON, *headers, authorization="Bearer s3cret")
    assert (verdict.status, rules(verdict)) == (401, ["sender/request/authorization"])
    assert verdict.findings[0].actual == reported
    for secret in ("s3cret", "guessed"):
        assert secret not in str(verdict.findings[0])
        assert secret.encode() not in verdict.response_body


def test_an_authorization_in_latin_1_gets_401() -> None:
    assert judge(GOOD, JSON, ("Authorization", "Schlüssel"), authorization="Schlüssel").status == 401


def test_an_empty_configured_authorization_requires_an_empty_header() -> None:
    assert judge(GOOD, JSON, authorization="").status == 401
    assert judge(GOOD, JSON, ("Authorization", ""), authorization="").status == 200


def test_authorization_that_is_not_configured_is_ignored() -> None:
    assert judge(GOOD, JSON, ("Authorization", "anything")).status == 200


def test_the_first_failed_check_decides_the_status() -> None:
    wrong: dict[str, Any] = {"method": "PUT", "framing": "cut", "authorization": "x"}
    text = ("Content-Type", "text/plain")
    assert judge(b"", text, **wrong).status == 400
    assert rules(judge(b"", text, **wrong)) == ["sender/request/framing"]
    del wrong["framing"]
    assert judge(b"", text, **wrong).status == 405
    del wrong["method"]
    assert judge(b"", text, **wrong).status == 401
    del wrong["authorization"]
    assert judge(b"", text, **wrong).status == 415
    assert rules(judge(b"", JSON)) == ["message/text/json"]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        pytest.param(INVALID, "message/guard/code", id="guard"),
        pytest.param(b"", "message/text/json", id="empty"),
        pytest.param(b"null", "message/guard/object", id="null"),
        pytest.param(b"\xef\xbb\xbf" + GOOD, "message/text/utf-8", id="bom"),
        pytest.param(GOOD.replace(b"foo", b"f\xff"), "message/text/utf-8", id="not-utf-8"),
        pytest.param(GOOD.replace(b"foo", b"f\0o"), "message/text/json", id="nul"),
        pytest.param(GOOD.decode().encode("utf-16"), "message/text/utf-8", id="utf-16"),
        pytest.param(GOOD.replace(b'"042137"', b"NaN"), "message/text/json", id="nan"),
    ],
)
def test_an_invalid_body_gets_400(body: bytes, rule: str) -> None:
    verdict = judge(body)
    assert (verdict.status, rules(verdict)) == (400, [rule])
    response = json.loads(verdict.response_body)
    assert response["accepted"] is False
    assert verdict.findings[0].requirement in response["reason"]
    assert response["findings"][0]["rule"] == rule
    assert verdict.violations == verdict.findings


def test_a_refusal_masks_codes_and_links() -> None:
    body = b'{"to": "", "type": "SignIn", "payload": {"code": 42137, "link": ["https://secret.test"]}}'
    assert b"42137" not in judge(body).response_body
    assert b"secret" not in judge(body).response_body


def test_a_message_that_fails_only_another_layer_is_reported_and_accepted() -> None:
    assert judge(ONLY_GUARD).findings == ()
    verdict = judge(ONLY_GUARD, layer="emitted")
    assert verdict.status == 200
    assert rules(verdict) == ["message/emitted/code"]
    assert verdict.violations


def test_a_message_that_fails_guard_is_refused_at_any_layer() -> None:
    verdict = judge(INVALID, layer="emitted")
    assert verdict.status == 400
    assert "message/emitted/code" in rules(verdict)
    assert "emitted" not in verdict.response_body.decode()


def test_a_body_too_deep_to_judge_is_reported_and_accepted() -> None:
    deep = GOOD.replace(b'"042137"', b"[" * 501 + b"]" * 501)
    verdict = judge(deep)
    assert (verdict.status, rules(verdict)) == (200, ["message/text/depth"])


def test_a_duplicate_key_is_reported_but_is_no_violation() -> None:
    twice = GOOD.replace(b'"payload"', b'"to": "bar@example.com", "payload"')
    verdict = judge(twice)
    assert (verdict.status, rules(verdict), verdict.violations) == (200, ["sender/body/unique-keys"], ())
    assert '"to" more than once' in verdict.findings[0].actual
    both = judge(INVALID.replace(b'"payload"', b'"to": "bar@example.com", "payload"'))
    assert rules(both) == ["message/guard/code", "sender/body/unique-keys"]


def test_the_finding_for_a_duplicate_key_below_a_long_key_is_short() -> None:
    (finding,) = judge(GOOD.replace(b"{", b'{"%s": {"a": 1, "a": 2}, ' % (b"k" * 100_000), 1)).findings
    assert finding.rule == "sender/body/unique-keys"
    assert len(finding.actual) < 300


def test_a_revision_or_release_selects_the_schema() -> None:
    mfa = GOOD.replace(b"SignIn", b"BindMfa")
    assert judge(mfa, revision="1.32").status == 200
    assert judge(mfa, revision="v1.31.0").status == 400
    with pytest.raises(UnknownRevision):
        judge(revision="0.7")
    with pytest.raises(UnknownLayer):
        judge(revision="1.22", layer="documented")


def test_header_names_are_matched_in_any_case() -> None:
    request = Request("POST", "/", (("X-a", "1"), ("x-A", "2"), ("y", "3")), b"")
    assert request.values("x-a") == ["1", "2"]
    assert request.values("z") == []


def test_a_status_line_has_code_and_reason() -> None:
    assert status_line(404) == "HTTP/1.1 404 Not Found"
    assert status_line(999) == "HTTP/1.1 999 "


@UNHURRIED
@given(
    st.binary(max_size=60) | st.text().map(lambda text: json.dumps({"to": text}).encode()),
    st.lists(st.tuples(st.text(max_size=12), st.text(max_size=12)), max_size=3),
)
def test_judging_any_request_does_not_raise(body: bytes, headers: list[tuple[str, str]]) -> None:
    for given_headers in (headers, [JSON, *headers]):
        verdict = judge(body, *given_headers, authorization=None)
        assert verdict.status in (200, 400, 415)
        json.loads(verdict.response_body)
        assert (verdict.status == 200) == (not verdict.violations)
