"""What a rule says happens in Logto is true of every answer that can fail the rule."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, Served, wsgi
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.judging.typical import template_types, typical
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logto_mail_contract.suite.results import Result

RULES = [rule for rule in list_rule_ids("receiver") if not rule.startswith("receiver/deliver/")]
ANSWERS = {"2xx": 202, "3xx": 302, "4xx": 418, "5xx": 500, "none": 0}

# Phrases of the consequences, and the answers of which each is true. A phrase without an entry holds for any.
HOLDS = {
    "can send mail in your name": {"2xx"},
    "may each check a different one": {"2xx"},
    "takes what is not the configured text": {"2xx"},
    "never learns that it was wrong": {"2xx", "3xx"},
    "fails with HTTP 400": {"3xx", "4xx", "5xx", "none"},
    "request fails or hangs": {"3xx", "4xx", "5xx", "none"},
    "can make the receiver fail": {"5xx", "none"},
    "Any stranger can cause it": {"5xx", "none"},
    "is an error in your log": {"5xx"},
    "keep the receiver from serving others": {"none"},
    "its log shows another reason": {"3xx", "4xx"},
    "posts the message again to the redirect's target": {"3xx"},
    "puts the text of a response into the error": {"4xx", "5xx"},
    "the connector looks defective": {"3xx", "4xx", "5xx", "none"},
    "cannot go on until the receiver is updated": {"3xx", "4xx", "5xx", "none"},
    "waits for the response": {"5xx", "none"},
}


def is_ordinary(request: Request) -> bool:
    """Return whether a request is an ordinary message, with the right credential."""
    if request.method != "POST" or request.values("authorization") != [TOKEN]:
        return False
    try:
        message = json.loads(request.body)
        to, type, payload = message["to"], message["type"], message["payload"]
        is_usual = type in template_types() and re.fullmatch(r"foo\d+@example\.com", to) is not None
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return is_usual and isinstance(payload, dict) and leave_own(message) == leave_own(typical(type))


def leave_own(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without what each has for itself, once that is found to be text."""
    own = {name: isinstance(message["payload"].get(name), str) for name in ("code", "link")}
    return {**message, "to": "", "payload": {**message["payload"], **own}}


def make_receiver(status: int) -> Good:
    """Return a receiver that accepts ordinary messages, and answers anything else with one status or not."""

    class Answers(Good):
        token = None

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            return (200 if is_ordinary(request) else status), {}, b""

        def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
            return super().raw(status, headers, body) if status else []

        def keeps_open(self, request: Request) -> bool:
            return bool(status) or is_ordinary(request)

    return Answers()


@cache
def find_failed(answer: str) -> dict[str, Result]:
    """Return the results of the rules that one class of answers fails."""
    served = Served(make_receiver(ANSWERS[answer]))
    with served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver, Settings(examples=2, warn_after=4, fail_after=8))
    return {result.rule.id: result for result in results if has_failed(result)}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_consequence_is_true_of_the_answer_that_failed_the_rule(answer: str) -> None:
    failed = find_failed(answer)
    assert len(failed) >= 4
    for rule, result in failed.items():
        consequence = result.findings[0].consequence
        false = [text for text, answers in HOLDS.items() if text in consequence and answer not in answers]
        assert not false, (rule, result.findings[0].actual)


def test_each_phrase_is_said_of_an_answer() -> None:
    """The control: a phrase that no failed rule uses would hide a text that was reworded."""
    said = "\n".join(
        result.findings[0].consequence for answer in ANSWERS for result in find_failed(answer).values()
    )
    silent = {
        "posts the message again to the redirect's target",
        "puts the text of a response into the error",
    }
    assert {text for text in HOLDS if text not in said} <= silent


def list_failed(answer: str, group: str) -> set[str]:
    prefix = f"receiver/{group}/"
    return {rule.removeprefix(prefix) for rule in find_failed(answer) if rule.startswith(prefix)}


BROKEN = {
    *("not-json", "not-an-object", "broken-to", "broken-type", "broken-payload", "empty-body"),
    *("deep-nesting", "wrong-method"),
}


def test_what_logto_cannot_send_fails_one_rule_for_each_kind_of_answer() -> None:
    assert list_failed("2xx", "reject") == list_failed("3xx", "reject") == BROKEN
    assert list_failed("4xx", "reject") == set()
    assert list_failed("5xx", "reject") == {f"{kind}-is-no-crash" for kind in BROKEN}
    assert list_failed("none", "reject") == {"always-responds"}
    for answer in ANSWERS:
        levels = {
            rule: result.rule.level for rule, result in find_failed(answer).items() if "/reject/" in rule
        }
        assert set(levels.values()) <= {"MUST" if answer == "none" else "SHOULD"}


def test_a_wrong_credential_fails_other_rules_for_each_kind_of_answer() -> None:
    assert list_failed("3xx", "auth") == {"says-unauthorized"}
    assert list_failed("4xx", "auth") == {"says-unauthorized"}
    assert list_failed("5xx", "auth") == {"wrong-authorization-is-no-crash"}
    assert list_failed("none", "auth") == {"wrong-authorization-is-no-crash"}
    assert {"missing-authorization", "wrong-authorization", "wrong-for-every-type"} <= list_failed(
        "2xx", "auth"
    )
    assert not {"says-unauthorized", "wrong-authorization-is-no-crash"} & list_failed("2xx", "auth")


def test_a_cut_connection_is_said_of_no_rule_about_framing() -> None:
    """The connector reports no mail as failed that was never answered at all."""
    assert "receiver/respond/framing" not in find_failed("none")


# A receiver as many write it.


def test_a_plain_flask_receiver_passes_every_must() -> None:
    flask = pytest.importorskip("flask")
    app = flask.Flask("receiver")

    @app.post("/hook")  # type: ignore[untyped-decorator]  # Flask is not typed here
    def hook() -> Any:
        if flask.request.headers.get("Authorization") != TOKEN:
            return {"error": "unauthorized"}, 401
        message = flask.request.get_json()
        to, kind, payload = message.get("to"), message.get("type"), message.get("payload")
        code, link = payload.get("code"), payload.get("link")
        f"{to} {kind} {code or link}".strip()
        return {"ok": True}

    with closing(Receiver.wsgi(app.wsgi_app, "/hook", authorization=TOKEN)) as receiver:
        failed = {
            result.rule.id: result.rule.level for result in try_rules(RULES, receiver) if has_failed(result)
        }
    assert set(failed.values()) == {"SHOULD"}
    assert "receiver/reject/not-an-object-is-no-crash" in failed


# Hangs, and processes that die.


def test_a_hang_that_logto_cannot_cause_fails_one_must() -> None:
    """No user waits for it, so no rule about users' requests fails."""

    class Hangs(Good):
        def empty(self) -> Any:
            time.sleep(2.5)
            raise Refused(400)

    with Served(Hangs()) as served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        results = try_rules(RULES, receiver, Settings(examples=1, warn_after=1.5, fail_after=2))
    failed = {result.rule.id: result for result in results if has_failed(result)}
    assert failed.keys() == {"receiver/reject/always-responds"}
    (finding,) = failed["receiver/reject/always-responds"].findings
    assert (finding.level, finding.message) == ("MUST", "an empty body")


def test_a_process_that_dies_of_a_request_fails_the_must() -> None:
    """It is reported once, with the request that it died of."""

    class Dies(Good):
        def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
            return super().raw(status, headers, body) if status else []

        def keeps_open(self, request: Request) -> bool:
            return not request.body.startswith((b"[[", b'{"to":{'))

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            if not self.keeps_open(request):
                served.stop_listening()
                return 0, {}, b""
            return super().respond(request)

    served = Served(Dies())
    with served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        (result,) = try_rules(
            ["receiver/reject/always-responds"],
            receiver,
            # One at a time, so that it is known which one ended the process.
            Settings(fail_after=3, workers=1),
            restart_seconds=0.1,
        )
    assert result.outcome == "failed"
    assert result.rule.level == "MUST"
    assert "the receiver could not be reached since" in result.findings[0].actual
    assert result.findings[0].message.startswith(("[[", '{"to":{'))


def test_a_good_receiver_fails_nothing() -> None:
    with closing(Receiver.wsgi(wsgi(Good()), authorization=TOKEN)) as receiver:
        assert [result.rule.id for result in try_rules(RULES, receiver) if has_failed(result)] == []


@pytest.mark.parametrize(
    ("usual", "large", "failed"),
    [(0.6, 0.6, {"receiver/respond/promptly"}), (0.0, 0.6, {"receiver/accept/large-invitation"})],
    ids=["slow for all", "slow for a large one"],
)
def test_a_large_invitation_is_late_beside_the_other_messages(
    usual: float, large: float, failed: set[str]
) -> None:
    class Sleeps(Good):
        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002 - an override
            time.sleep(large if len(request.body) > 100_000 else usual)

    rules = ("receiver/accept/large-invitation", "receiver/respond/promptly")
    settings = Settings(examples=2, warn_after=0.5)
    with Served(Sleeps()) as served, closing(Receiver.url(served.url, authorization=TOKEN)) as receiver:
        results = try_rules(rules, receiver, settings)
    assert {result.rule.id for result in results if has_failed(result)} >= failed
    assert results[0].outcome == ("failed" if rules[0] in failed else "passed")
