"""The rules for senders: correct senders pass them all, a sender with one mistake fails exactly its rule."""

from __future__ import annotations

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

# Import it before the runs below: each run removes the modules that it imported itself, and a compiled module
# can be loaded only once.
import trustme  # noqa: F401
from examples.sender_python import send as example_send
from tests.support.broken_senders import (
    CONTROLS,
    PostsAgainAfterTimeout,
    ReusesConnections,
    TakesTimeoutForSuccess,
    frame_as_escaped,
    with_members,
    with_null_ip,
)
from tests.support.raw_sender import (
    NotSent,
    RawSender,
    encode_json,
    select_members,
)
from tests.support.runs import has_failed

from logto_mail_contract import catalogue
from logto_mail_contract.commands import main as cli
from logto_mail_contract.judging.typical import minimal
from logto_mail_contract.judging.validation import validate
from logto_mail_contract.senders.destination import Destination
from logto_mail_contract.senders.driver import CommandDriver, Report, SenderUnusable
from logto_mail_contract.senders.messages import make_unusual_messages
from logto_mail_contract.senders.rules.body import find_difference
from logto_mail_contract.senders.run import SenderRun
from logto_mail_contract.senders.sender import Sender, SenderSettings
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule
from logto_mail_contract.suite.results import NotJudged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.raw_sender import Message

    from logto_mail_contract.senders.driver import Patience
    from logto_mail_contract.suite.results import Result

ROOT = Path(__file__).parents[2]
EXAMPLE = [sys.executable, str(ROOT / "examples" / "sender_python.py")]
QUICK = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=5)
RULES = list_rule_ids("sender")


@pytest.fixture(scope="module")
def destination() -> Iterator[Destination]:
    """Run the endpoint of the senders under test."""
    with Destination() as destination:
        yield destination


def try_rule(rule: str, sender: Sender, destination: Destination, settings: SenderSettings = QUICK) -> Result:
    """Run one rule in its own run."""
    return run_rule(SenderRun(sender, destination, settings), rule)


def find_failed(sender: Sender, destination: Destination, settings: SenderSettings = QUICK) -> dict[str, str]:
    """Run every rule in one run; return what each failed rule found."""
    run = SenderRun(sender, destination, settings)
    results = [run_rule(run, rule) for rule in RULES]
    return {result.rule.id: result.findings[0].actual for result in results if has_failed(result)}


# Correct senders.


def test_an_empty_revision_is_refused() -> None:
    with pytest.raises(catalogue.UnknownRevision, match="There is no contract revision ''"):
        Sender.calling(example_send, revision="")


@pytest.mark.parametrize(
    "send", [pytest.param(example_send, id="example"), pytest.param(RawSender().send, id="raw")]
)
@pytest.mark.parametrize("revision", [None, "1.22", "1.32"])
def test_a_correct_sender_passes_every_rule(
    send: Any, revision: str | None, destination: Destination
) -> None:
    sender = Sender.calling(send, revision=revision)
    run = SenderRun(sender, destination, QUICK)
    outcomes = {rule: run_rule(run, rule) for rule in RULES}
    assert [result.findings for result in outcomes.values() if result.findings] == []
    waived = {rule for rule, result in outcomes.items() if result.outcome == "not applicable"}
    # Logto sends an ip since 1.35.
    assert waived == ({"sender/body/ip"} if revision else set())


def frame_in_chunks(body: bytes) -> tuple[list[str], bytes]:
    parts = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return ["Transfer-Encoding: chunked"], b"".join(
        b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b"")
    )


GOOD_SENDERS = {
    "chunks": RawSender(frame=frame_in_chunks),
    "the charset": RawSender(content_types=('application/json; charset="UTF-8"',)),
    "no encoding": RawSender(extra_lines=("Content-Encoding: identity",)),
    "escapes": RawSender(encode=lambda message: json.dumps(select_members(message)).encode()),
    "other spaces and order": RawSender(
        encode=lambda message: json.dumps(select_members(message), indent=2, sort_keys=True).encode()
    ),
    "more header lines": RawSender(extra_lines=("Accept: */*", "Accept-Encoding: gzip", "X-Id: 1")),
}


@pytest.mark.parametrize("name", GOOD_SENDERS)
def test_senders_that_differ_in_what_is_free_pass_every_rule(name: str, destination: Destination) -> None:
    assert find_failed(Sender.calling(GOOD_SENDERS[name].send), destination) == {}


@pytest.mark.parametrize("follow_redirects", [True, False])
def test_a_client_that_keeps_connections_breaks_no_must(
    follow_redirects: bool, destination: Destination
) -> None:
    """It replaces what the endpoint has closed, and reads every response."""
    with httpx.Client(timeout=30, follow_redirects=follow_redirects, trust_env=False) as client:

        def send(message: Message, endpoint: str, authorization: str | None) -> None:
            headers = {"Content-Type": "application/json"}
            if authorization is not None:
                headers["Authorization"] = authorization
            body = json.dumps(select_members(message)).encode()
            client.post(endpoint, content=body, headers=headers).raise_for_status()

        run = SenderRun(Sender.calling(send), destination, QUICK)
        results = [run_rule(run, rule) for rule in RULES]
    assert [result.findings for result in results if result.outcome == "failed"] == []
    warned = {result.rule.id for result in results if result.outcome == "warned"}
    assert warned == {"sender/answer/not-modified", "sender/redirect/post-again"} | (
        set() if follow_redirects else {"sender/redirect/see-other"}
    )


def test_the_example_passes_every_rule_as_a_command(destination: Destination) -> None:
    sender = Sender.command(EXAMPLE)
    try:
        assert find_failed(sender, destination) == {}
    finally:
        sender.close()


@pytest.mark.parametrize("seed", range(10))
def test_the_example_passes_with_ten_seeds(seed: int, destination: Destination) -> None:
    settings = SenderSettings(examples=10, seed=seed, slow=0.05, settle=0.02, patience=5)
    assert find_failed(Sender.calling(example_send), destination, settings) == {}


# Senders with one mistake.


@pytest.mark.parametrize("control", CONTROLS)
def test_a_sender_with_one_mistake_fails_exactly_its_rules(control: str, destination: Destination) -> None:
    sender, rules = CONTROLS[control]
    found = find_failed(Sender.calling(sender.send), destination)
    assert set(found) == rules, found


def test_a_sender_that_times_out_early_fails_slow(destination: Destination) -> None:
    settings = SenderSettings(examples=3, slow=2.0, settle=0.02)
    found = find_failed(Sender.calling(RawSender(timeout=1.0).send), destination, settings)
    assert found == {"sender/answer/slow": "after a 200 that took 2 s: failure reported: NotSent: reset"}


def test_a_sender_that_uses_closed_connections_fails_exactly_that(destination: Destination) -> None:
    with closing(ReusesConnections()) as sender:
        assert set(find_failed(Sender.calling(sender.send), destination)) == {
            "sender/answer/closed-connection"
        }


def test_every_rule_has_a_control() -> None:
    alone = {rule for _, rules in CONTROLS.values() for rule in rules if len(rules) == 1}
    # The first two have their own tests. A body that is no JSON always fails the rule on values too.
    assert set(RULES) - alone == {
        "sender/answer/slow",
        "sender/answer/closed-connection",
        "sender/body/json",
    }


def test_a_sender_that_waits_forever_is_abandoned(destination: Destination) -> None:
    """It announces more bytes than it sends, and waits for a response that is never sent."""
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=0.2)
    start = time.monotonic()
    sender = Sender.calling(RawSender(frame=frame_as_escaped).send)
    found = find_failed(sender, destination, settings)
    assert time.monotonic() - start < 10
    assert re.match(r"Content-Length \d+, but \d+ bytes came", found.pop("sender/request/framing"))
    assert found == {
        "sender/answer/success": "after 200: no report: within 0.2 s, then failure reported: NotSent: ended"
    }


def test_a_sender_that_gives_no_report_is_asked_a_few_times_in_all(destination: Destination) -> None:
    calls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        """Send, and wait until the endpoint closes the connection."""
        calls.append(endpoint)
        parts = urlsplit(endpoint)
        body = json.dumps(select_members(message)).encode()
        target = parts._replace(scheme="", netloc="").geturl()
        head = f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        head += "" if authorization is None else f"Authorization: {authorization}\r\n"
        with socket.create_connection((parts.hostname, parts.port)) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            while connection.recv(1000):
                pass

    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=0.2)
    run = SenderRun(Sender.calling(send), destination, settings)
    results = {rule: run_rule(run, rule) for rule in RULES}
    assert len(calls) == 4
    assert {rule for rule, result in results.items() if result.outcome == "failed"} == {
        "sender/answer/success",
    }
    assert "passed" not in {result.outcome for result in results.values()}


def test_a_sender_that_retries_forever_is_abandoned(destination: Destination) -> None:
    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        while True:
            try:
                return RawSender(redirects={}).send(message, endpoint, authorization)
            except NotSent:
                time.sleep(0.01)

    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, patience=0.2)
    result = try_rule("sender/answer/failure", Sender.calling(send), destination, settings)
    (finding,) = result.findings
    assert finding.actual.startswith("after 400: no report: within 0.2 s, then success reported; after 401: ")
    assert finding.share == "3 of 3 cases"


def send_again_after(seconds: float, wanted: Callable[[Message, str | None], bool]) -> Sender:
    """Return a sender that sends some messages a second time, after it has reported."""

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        again = threading.Timer(seconds, RawSender().send, (message, endpoint, authorization))
        try:
            RawSender().send(message, endpoint, authorization)
        finally:
            if wanted(message, authorization):
                again.start()

    return Sender.calling(send)


def test_a_late_request_counts_for_its_own_message(destination: Destination) -> None:
    """It comes while another rule is tried, and fails the rule that counts, for its own message."""
    sender = send_again_after(0.3, lambda message, _: message["type"] == "ForgotPassword")
    settings = SenderSettings(examples=1, slow=1.0, settle=0.02)
    run = SenderRun(sender, destination, settings)
    results = [run_rule(run, rule) for rule in RULES]
    (finding,) = [finding for result in results for finding in result.findings]
    assert (finding.rule, finding.actual) == (
        "sender/answer/no-retry",
        "2 requests after 200; success reported",
    )
    assert json.loads(finding.message)["type"] == "ForgotPassword"


def test_a_late_request_after_the_last_response_is_waited_for_once(destination: Destination) -> None:
    sender = send_again_after(0.1, lambda _, authorization: authorization is not None)
    settings = SenderSettings(examples=1, slow=0.02, settle=1.0)
    result = try_rule("sender/answer/no-retry", sender, destination, settings)
    assert result.findings[0].actual.startswith("2 requests after ")


def test_a_late_request_of_an_earlier_run_reaches_no_later_run(destination: Destination) -> None:
    sent: list[float] = []

    def is_first(message: Message, authorization: str | None) -> bool:
        del message, authorization
        sent.append(time.monotonic())
        return len(sent) == 1

    sender = send_again_after(0.2, is_first)
    assert try_rule("sender/answer/not-modified", sender, destination).outcome == "passed"
    settings = SenderSettings(examples=1, slow=0.5, settle=0.02)
    assert try_rule(
        "sender/answer/no-retry", Sender.calling(example_send), destination, settings
    ).outcome == ("passed")


# Time-outs, silence and the end of a run.


def test_a_sender_that_posts_again_after_its_timeout_fails_slow_and_no_retry(
    destination: Destination,
) -> None:
    settings = SenderSettings(examples=1, slow=1.0, settle=0.02)
    found = find_failed(Sender.calling(PostsAgainAfterTimeout().send), destination, settings)
    assert set(found) == {"sender/answer/slow", "sender/answer/no-retry"}
    assert re.fullmatch(
        r"posted again after 0\.\d s, before a 200 that took 1 s; success reported",
        found["sender/answer/slow"],
    )
    assert found["sender/answer/no-retry"] == "2 requests after a 200 that took 1 s; success reported"


def test_a_sender_that_takes_its_timeout_for_success_fails_slow(destination: Destination) -> None:
    settings = SenderSettings(examples=1, slow=2.0, settle=0.02)
    found = find_failed(Sender.calling(TakesTimeoutForSuccess().send), destination, settings)
    assert set(found) == {"sender/answer/slow"}
    assert re.fullmatch(r"success reported after 0\.\d s, before a 200 that .*", found["sender/answer/slow"])


@pytest.mark.parametrize("reports", [True, False])
def test_a_sender_that_sends_nothing_fails_one_rule(reports: bool, destination: Destination) -> None:
    calls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        del message, authorization
        calls.append(endpoint)
        if not reports:
            raise NotSent("not today")

    run = SenderRun(Sender.calling(send), destination, QUICK)
    results = {rule: run_rule(run, rule) for rule in RULES}
    failed = results.pop("sender/request/arrives")
    assert (failed.outcome, failed.cases) == ("failed", 5)
    assert failed.findings[0].actual.startswith("no request came; ")
    assert {result.outcome for result in results.values()} == {"not judged"}
    assert {result.reason for result in results.values()} == {
        "no request came for any of the first 5 messages"
    }
    assert len(calls) == 5


@pytest.mark.parametrize("rule", RULES)
def test_no_rule_passes_alone_for_a_sender_that_sends_nothing(rule: str, destination: Destination) -> None:
    def send(*_: object) -> None:
        raise NotSent("not today")

    outcome = try_rule(rule, Sender.calling(send), destination).outcome
    assert outcome == ("failed" if rule == "sender/request/arrives" else "not judged")


def test_nothing_is_sent_after_the_deadline(destination: Destination) -> None:
    calls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        calls.append(endpoint)
        example_send(message, endpoint, authorization)

    run = SenderRun(Sender.calling(send), destination, QUICK)
    assert run_rule(run, "sender/answer/not-modified").outcome == "passed"
    run.deadline = time.monotonic()
    results = [run_rule(run, rule) for rule in RULES if rule != "sender/answer/not-modified"]
    assert {(result.outcome, result.reason) for result in results} == {
        ("not judged", "the time for the run is over")
    }
    assert len(calls) == 1
    assert run_rule(run, "sender/answer/not-modified").outcome == "passed"


@pytest.mark.parametrize("kind", ["callable", "command"])
def test_the_deadline_ends_a_wait_that_is_under_way(kind: str, destination: Destination) -> None:
    """Another thread sets it while a response is awaited that would take ten minutes."""
    sender = Sender.calling(example_send) if kind == "callable" else Sender.command(EXAMPLE)
    run = SenderRun(sender, destination, SenderSettings(slow=600, settle=0.02))
    start = time.monotonic()

    def end() -> None:
        run.deadline = time.monotonic()

    timer = threading.Timer(0.5, end)
    timer.start()
    try:
        result = run_rule(run, "sender/answer/slow")
    finally:
        timer.join()
        sender.close()
    assert (result.outcome, result.reason) == ("not judged", "the time for the run is over")
    assert time.monotonic() - start < 30


def test_what_was_found_before_the_deadline_is_reported(destination: Destination) -> None:
    run: SenderRun

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        RawSender(method="PUT").send(message, endpoint, authorization)
        run.deadline = time.monotonic()

    run = SenderRun(Sender.calling(send), destination, QUICK)
    result = run_rule(run, "sender/request/method")
    assert (result.outcome, result.cases) == ("failed", 1)


# The messages, and the comparison of values.


def test_unusual_messages_are_all_valid_and_all_sent() -> None:
    """The current revision has all of them, the first revision only those with strings."""
    for revision in catalogue.revisions():
        found = make_unusual_messages(revision)
        assert len(found) > 60
        assert [message for message in found if validate(message, revision, "guard")] == []
    assert len(make_unusual_messages()) == 110
    first = [value for message in make_unusual_messages("1.22") for value in message["payload"].values()]
    assert {type(value) for value in first} == {str}


@pytest.mark.parametrize(
    ("sent", "received", "expected"),
    [
        ({"a": 1}, {"a": 1.0}, None),
        ({"a": 2**53 + 1}, {"a": 2**53}, None),
        ({"a": 10**400}, {"a": None}, None),
        ({"a": -0.0}, {"a": 0}, None),
        ({"b": 1, "a": 2}, {"a": 2, "b": 1}, None),
        ({"a": "\ud800"}, {"a": "\ud800"}, None),
        ({"a": 1}, {"a": True}, "/a is true in place of 1"),
        ({"a": 0}, {"a": None}, "/a is null in place of 0"),
        ({"a": "1"}, {"a": 1}, '/a is 1 in place of "1"'),
        ({"a": {}}, {"a": []}, "/a is an array of 0 in place of an empty object"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "/a/0 is 2 in place of 1"),
        ({"a": [1]}, {"a": [1, 2]}, "/a is an array of 2 in place of an array of 1"),
        ({"a": {"b": None}}, {"a": {}}, '/a has no "b"'),
        ({"a": {}}, {"a": {"b": 1}}, '/a has "b" too'),
        ({"a": "é"}, {"a": "e\u0301"}, '/a is "e\\u0301" in place of "\\u00e9"'),
        ({"a": 2**53 + 1}, {"a": 2**53 + 2}, "/a is 9007199254740994 in place of 9007199254740993"),
        ({"a": 1}, {}, 'the message has no "a"'),
    ],
)
def test_values_are_compared_as_javascript_reads_them(sent: Any, received: Any, expected: str | None) -> None:
    assert find_difference(sent, received) == expected


def test_a_finding_prints_the_message_the_actual_value_and_the_command(destination: Destination) -> None:
    sender = Sender.calling(RawSender(encode=with_null_ip).send)
    (finding,) = try_rule("sender/body/ip", sender, destination, QUICK).findings
    text = str(finding)
    assert text.startswith("sender/body/ip  MUST  (")
    for part in (
        "\n  An ip that is absent or empty is left out of the body.\n",
        "\n  expected  no member ip\n",
        "\n  actual    ip is null\n",
        '\n  message   {"to": "foo@example.com", "type": "SignIn", "payload": {}}\n',
        "\n  in Logto  The type allows a string only",
        "\n  reproduce pytest -k sender/body/ip",
    ):
        assert part in text, text


def test_a_generated_message_is_shrunk(destination: Destination) -> None:
    """Only generated messages show this mistake, and the finding has the smallest of them."""

    def encode(message: Message) -> bytes:
        application = message["payload"].get("application")
        named = isinstance(application, dict) and application.get("name") not in (None, "Shop")
        return with_members(to="bar@example.com")(message) if named else encode_json(select_members(message))

    settings = SenderSettings(examples=200, settle=0.02)
    sender = Sender.calling(RawSender(encode=encode).send)
    (finding,) = try_rule("sender/body/values", sender, destination, settings).findings
    # The smallest message may be one that was drawn, with another recipient.
    assert finding.actual.startswith('/to is "bar@example.com" in place of "')
    message = json.loads(finding.message)
    # The extent of shrinking depends on the machine; only the needed context remains.
    assert "application" in message["payload"]
    assert set(message["payload"]) <= {"code", "locale", "application"}
    assert len(finding.message) < 250


def test_the_same_seed_generates_the_same_messages(destination: Destination) -> None:
    def list_sent(seed: int) -> list[str]:
        sent: list[str] = []

        def send(message: Message, endpoint: str, authorization: str | None) -> None:
            sent.append(json.dumps(message))
            example_send(message, endpoint, authorization)

        settings = SenderSettings(examples=20, seed=seed, settle=0)
        try_rule("sender/body/values", Sender.calling(send), destination, settings)
        return sent

    assert list_sent(1) == list_sent(1) != list_sent(2)


def test_a_message_is_sent_once_for_all_rules_that_check_it(destination: Destination) -> None:
    urls: list[str] = []

    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        urls.append(endpoint)
        example_send(message, endpoint, authorization)

    run = SenderRun(Sender.calling(send), destination, QUICK)
    cases = [run_rule(run, f"sender/body/{name}").cases for name in ("json", "values")]
    assert cases == [len(urls)] * 2
    assert len(set(urls)) == len(urls) > 100


# Senders that cannot be driven.


def impatient(arguments: list[str]) -> Sender:
    """Return a command as a sender with short waits for its start and its end."""
    return Sender(CommandDriver(arguments, grace_seconds=0.2, end_seconds=0.5), None, arguments)


def test_a_send_method_that_exits_reports_a_failure(destination: Destination) -> None:
    def send(message: Message, endpoint: str, authorization: str | None) -> None:
        try:
            example_send(message, endpoint, authorization)
        except Exception as problem:
            raise SystemExit(1) from problem

    assert find_failed(Sender.calling(send), destination) == {}


def test_an_async_send_method_is_refused(destination: Destination) -> None:
    async def send(message: Message, endpoint: str, authorization: str | None) -> None:
        example_send(message, endpoint, authorization)

    with pytest.raises(SenderUnusable, match=r"send\(\) gave an awaitable"):
        try_rule("sender/request/target", Sender.calling(send), destination, QUICK)


HARNESS = """\
import json, os, socket, subprocess, sys, time, urllib.parse
sys.path.insert(0, {examples!r})
from sender_python import send
for number, line in enumerate(sys.stdin):
    job = json.loads(line)
    if number == {at}:
        {does}
    send(job["message"], job["endpoint"], job.get("authorization"))
    print('{{"ok": true}}', flush=True)
"""


def harness(does: str, at: int = 0) -> list[str]:
    """Return a sender command that runs other code at one job."""
    return [sys.executable, "-c", HARNESS.format(examples=str(ROOT / "examples"), at=at, does=does)]


UNUSABLE = {
    "no such program": (["/no/such/program"], r'"/no/such/program" cannot be started: No such file'),
    "no program": ([str(ROOT)], r"cannot be started: Permission denied"),
    "ends": (harness("sys.exit(3)"), r"ended with status 3 without a result$"),
    "ends at once": ([sys.executable, "-c", "0"], r"ended with status 0 without a result$"),
    "fails": (
        harness("1 / 0"),
        r"(?s)ended with status 1 without a result; on standard error it said:.*ZeroDivisionError",
    ),
    "is killed": (harness("os.kill(os.getpid(), 9)"), r"was ended by signal 9 without a result$"),
    "says good day": (harness("print('hello\\x1b', flush=True)"), r'no result, .*: "hello\\u001b" \(a log'),
    "answers in other words": (harness("print('{\"ok\": 1}', flush=True)"), r"no result, "),
    "no text": (harness("sys.stdout.buffer.write(b'\\xff\\n'); sys.stdout.flush()"), r"no result, "),
    "no end of a line": (harness("print('x' * 3000000, flush=True)"), r"no result, "),
    "nests deep": (harness("print('[' * 100000 + ']' * 100000, flush=True)"), r"no result, "),
    "nests an error deep": (
        harness("print('{\"ok\": false, \"error\": ' + '[' * 100000 + ']' * 100000 + '}', flush=True)"),
        r"no result, ",
    ),
    "writes a huge number": (harness("print('9' * 100000, flush=True)"), r"no result, "),
    "closes its output": (
        harness("os.close(1); time.sleep(60)"),
        r"closed its standard output without a result$",
    ),
    "is silent": (harness("time.sleep(60)"), r"no report: within 0\.5 s: it was its first message"),
    "does not read": (["sleep", "60"], r"no report: within 0\.5 s: it was its first message"),
    "answers without end": (["yes", '{"ok": true}'], r"wrote what no job had asked for"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_command_that_cannot_be_driven_is_reported(case: str, destination: Destination) -> None:
    arguments, expected = UNUSABLE[case]
    sender = impatient(arguments)
    settings = SenderSettings(patience=0.3 if "0\\.5 s" in expected else 10)
    start = time.monotonic()

    def twice() -> None:
        # The endless one passes its first job.
        SenderRun(sender, destination, settings).require_usable()
        SenderRun(sender, destination, settings).require_usable()

    try:
        with pytest.raises(SenderUnusable, match=expected) as raised:
            twice()
    finally:
        sender.close()
    assert time.monotonic() - start < 10
    assert "rule" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            harness("sys.exit(3)", at=5),
            r"(?s)status 3 without a result\n  rule .* sender/body/json\n  message   {.*\n  response  200$",
        ),
        (harness("print('{}', flush=True)", at=5), r"no result, "),
        (harness("print('{\"ok\": true}\\n' * 2, flush=True); continue", at=5), r"what no job had asked for"),
    ],
)
def test_a_command_that_fails_later_is_reported_with_rule_and_message(
    arguments: list[str], expected: str, destination: Destination
) -> None:
    sender = Sender.command(arguments)
    try:
        SenderRun(sender, destination, QUICK).require_usable()
        with pytest.raises(SenderUnusable, match=expected):
            try_rule("sender/body/json", sender, destination, QUICK)
    finally:
        sender.close()


def test_a_command_that_ends_on_a_generated_message_is_reported(destination: Destination) -> None:
    """The message is not shrunk, since the command cannot be driven."""
    sender = Sender.command(harness("sys.exit(3)", at=len(make_unusual_messages()) + 30))
    try:
        with pytest.raises(SenderUnusable, match=r"ended with status 3"):
            try_rule("sender/body/json", sender, destination, SenderSettings(examples=50))
    finally:
        sender.close()


def test_a_silent_command_is_restarted_and_its_rule_fails(destination: Destination) -> None:
    sender = impatient(harness("time.sleep(60)", at=3))
    settings = SenderSettings(patience=0.3, settle=0.02)
    try:
        result = try_rule("sender/request/arrives", sender, destination, settings)
        assert result.outcome == "failed"
        # Each new process is silent at its fourth job, and a series ends after three silent jobs.
        assert 3 <= result.cases <= 24
        assert "no request came; no report: within 0.5 s" in result.findings[0].actual
    finally:
        sender.close()


class SilentDriver:
    """Sends every message and gives no report on some.

    Args:
        is_silent: Tells from the number of a message whether it has no report.
    """

    def __init__(self, is_silent: Callable[[int], bool]) -> None:
        self.sent = 0
        self._is_silent = is_silent

    def send(
        self,
        message: dict[str, Any],
        endpoint: str,
        authorization: str | None,
        patience: Patience,  # noqa: ARG002 - a Driver
        release: Callable[[], None],  # noqa: ARG002 - a Driver
    ) -> Report:
        example_send(message, endpoint, authorization)
        self.sent += 1
        return Report(None if self._is_silent(self.sent) else True)

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("is_silent", "sent", "reason"),
    [
        (lambda number: number > 2, 6, "no report 4 times in a row"),
        (lambda number: number % 3 == 0, 24, "no report 8 times"),
    ],
    ids=["for ever", "every third time"],
)
def test_nothing_more_is_sent_after_some_messages_without_a_report(
    is_silent: Callable[[int], bool], sent: int, reason: str, destination: Destination
) -> None:
    driver = SilentDriver(is_silent)
    run = SenderRun(Sender(driver, None, []), destination, QUICK)
    for _ in range(sent):
        run.send(minimal("SignIn"))
    with pytest.raises(NotJudged, match=f"the sender gave {reason}$"):
        run.send(minimal("SignIn"))
    assert driver.sent == sent


UNTIL_RELEASED = (
    "parts = urllib.parse.urlsplit(job['endpoint']); "
    "socket.create_connection((parts.hostname, parts.port)).recv(1)"
)
"""Waits until the endpoint closes its connections, which is too late on any machine."""


def test_a_late_result_is_not_the_result_of_the_next_job(destination: Destination) -> None:
    command = harness(UNTIL_RELEASED, at=1)
    sender = Sender(CommandDriver(command, grace_seconds=30), None, command)
    settings = SenderSettings(patience=4, settle=0.02)
    try:
        SenderRun(sender, destination, settings).require_usable()
        result = try_rule("sender/answer/success", sender, destination, settings)
        (finding,) = result.findings
        assert finding.actual.startswith("after 200: no report: within 4 s, then success reported")
        assert finding.share.startswith("1 of ")
    finally:
        sender.close()


def test_child_processes_of_a_command_end_with_it(tmp_path: Path, destination: Destination) -> None:
    pid = tmp_path / "pid"
    child = f"open({str(pid)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))"
    sender = Sender.command(harness(child))
    SenderRun(sender, destination, QUICK).require_usable()
    sender.close()
    deadline = time.monotonic() + 5
    while alive(int(pid.read_text())):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(process: int) -> bool:
    try:
        # A zombie counts as ended.
        return " Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


# In pytest.

GOOD = """
import httpx
import pytest

# Import it before the runs below: each run removes the modules that it imported itself, and a compiled module
# can be loaded only once.
import trustme  # noqa: F401
from examples.sender_python import send
from logto_mail_contract import SenderContract, SenderSettings

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02)

    @pytest.fixture(autouse=True)
    def own(self, tmp_path):
        self.log = tmp_path

    def send(self, message, endpoint, authorization):
        assert self.log.is_dir()
        send(message, endpoint, authorization)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run a test file that contains the suite."""
    pytester.syspathinsert(ROOT)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(source: str, *options: str, ini: str = "") -> pytest.RunResult:
        pytester.makeini(f"[pytest]\nfilterwarnings = error\n{ini}")
        pytester.makepyfile(source)
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *options)

    return run


def test_the_suite_has_one_test_per_rule(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(GOOD, "-v")
    result.assert_outcomes(passed=len(RULES))
    result.stdout.fnmatch_lines(
        [f"*::TestSender::test_rule?{rule}? PASSED*" for rule in RULES], consecutive=True
    )
    suite(GOOD, "-k", "sender/request/target").assert_outcomes(passed=1, deselected=len(RULES) - 1)


FAILS_TARGET = """
import json
from examples.sender_python import NotSent, send
from logto_mail_contract import SenderContract, SenderSettings
import pytest

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, strict={strict})

    {mark}
    def test_rule(self, mail_contract_result):
        super().test_rule(mail_contract_result)

    def send(self, message, endpoint, authorization):
        send(message, endpoint + "/", authorization)
"""


def test_a_failed_must_fails_and_prints_its_finding(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(FAILS_TARGET.format(strict=False, mark=""), "-k", "sender/request", "-p", "no:logging")
    result.assert_outcomes(failed=1, passed=9, deselected=len(RULES) - 10)
    result.stdout.fnmatch_lines(
        [
            "E*ContractViolation: The sender breaks the contract",
            "E*sender/request/target  MUST  (*",
            "E*reproduce pytest -k sender/request/target",
            'E*excuse    @pytest.mark.mail_contract_excuse("sender/request/target", reason="…")',
        ]
    )


def test_an_excused_rule_is_an_expected_failure(suite: Callable[..., pytest.RunResult]) -> None:
    mark = '@pytest.mark.mail_contract_excuse("sender/request/target", reason="a proxy wants it")'
    result = suite(FAILS_TARGET.format(strict=False, mark=mark), "-k", "sender/request", "-rx")
    result.assert_outcomes(xfailed=1, passed=9, deselected=len(RULES) - 10)
    result.stdout.fnmatch_lines(["XFAIL *excused: a proxy wants it*"])
    unneeded = suite(GOOD, "-k", "sender/body", ini="mail_contract_excuses = sender/body/ip: for fun")
    unneeded.assert_outcomes(failed=1, passed=5, deselected=len(RULES) - 6)


NO_REDIRECTS = """
from logto_mail_contract import SenderContract, SenderSettings
from tests.support.raw_sender import RawSender

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02, strict={strict})

    def send(self, message, endpoint, authorization):
        RawSender(redirects={{}}).send(message, endpoint, authorization)
"""


@pytest.mark.parametrize("strict", [False, True])
def test_a_failed_should_fails_the_run_only_when_strict(
    strict: bool, suite: Callable[..., pytest.RunResult]
) -> None:
    """A failed INFO rule never fails the run; a rule that is not applicable is skipped."""
    result = suite(NO_REDIRECTS.format(strict=strict), "-k", "sender/redirect", "-rxs")
    outcomes = {"xfailed": 1, "failed": 1} if strict else {"xfailed": 2}
    result.assert_outcomes(passed=2, skipped=2, deselected=len(RULES) - 6, **outcomes)
    result.stdout.fnmatch_lines(["XFAIL *see-other* INFO: *"])
    result.stdout.fnmatch_lines(["SKIPPED *not applicable: the sender follows no redirect"])


INVALID_MESSAGE = """
from logto_mail_contract.senders import messages

@pytest.fixture(autouse=True)
def send_invalid(monkeypatch):
    monkeypatch.setattr(messages, "minimal", lambda type, revision: {"type": type, "payload": {}})
"""


def test_an_own_fault_is_an_error_and_no_failure(suite: Callable[..., pytest.RunResult]) -> None:
    """An invalid message of the suite itself does not fail the sender."""
    result = suite(GOOD + INVALID_MESSAGE, "-k", "sender/answer/slow or sender/body/ip")
    result.assert_outcomes(errors=2, deselected=len(RULES) - 2)
    result.stdout.fnmatch_lines(["*OwnFault: sender/body/ip wanted a message of 1.35, but: *"])


COMMAND = """
from logto_mail_contract import SenderContract, SenderSettings

class TestSender(SenderContract):
    settings = SenderSettings(examples=3, slow=0.02, settle=0.02)
    command = {command!r}
    revision = "v1.25.0"
"""


def test_a_command_is_started_once_for_the_class(
    suite: Callable[..., pytest.RunResult], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    start = f"echo started >> {log}; exec {EXAMPLE[0]} {EXAMPLE[1]}"
    result = suite(COMMAND.format(command=["sh", "-c", start]))
    result.assert_outcomes(passed=len(RULES) - 1, skipped=1)
    assert log.read_text() == "started\n"


def test_a_command_that_cannot_be_driven_fails_every_test(suite: Callable[..., pytest.RunResult]) -> None:
    result = suite(COMMAND.format(command=["/no/such/program"]), "-k", "sender/request")
    result.assert_outcomes(failed=10, deselected=len(RULES) - 10)
    expected = 'mail-contract: the command "/no/such/program" cannot be started: No such file or directory'
    assert result.stdout.str().count(f"\n{expected}\n") == 10


def test_a_suite_without_a_sender_says_what_to_do(suite: Callable[..., pytest.RunResult]) -> None:
    source = "from logto_mail_contract import SenderContract\nclass TestIt(SenderContract): pass\n"
    result = suite(source, "-k", "sender/request/target")
    result.assert_outcomes(errors=1, deselected=len(RULES) - 1)
    result.stdout.fnmatch_lines(["mail-contract: there is no sender to test. Define the method send(*"])


# The command.


@dataclass(frozen=True)
class CommandResult:
    """The exit code and the output of a run of the command."""

    code: int
    out: str
    err: str


@pytest.fixture
def verify_sender(capsys: pytest.CaptureFixture[str]) -> Callable[..., CommandResult]:
    """Run ``mail-contract verify-sender`` in this process."""

    def run(*arguments: str) -> CommandResult:
        try:
            code = cli.main(["verify-sender", *arguments])
        except SystemExit as end:  # argparse ends the command itself
            code = int(str(end.code))
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    return run


VerifySender = Callable[..., CommandResult]

FAST = ("--slow", "0.02", "--examples", "3")


def test_a_correct_sender_exits_0(verify_sender: VerifySender) -> None:
    result = verify_sender(*FAST, "--strict", "--", *EXAMPLE)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == f"{shlex.join(EXAMPLE)}: revision 1.35, {len(RULES)} rules, seed 0"
    printed = [line.split()[:2] for line in lines if line.startswith("  ")]
    assert printed == [["passed", rule] for rule in RULES]
    assert re.fullmatch(r"30 rules: 30 passed\. \d+ cases in [\d.]+ s\.", lines[-1])


SENDS_GET = """\
import sys
sys.path.insert(0, {root!r})
import examples.sender_python as sender
exchange = sender.exchange
sender.exchange = lambda method, url, body, headers: exchange({method}, url, body, headers)
sender.main()
"""


def example_with_method(method: str) -> list[str]:
    """Return a command that runs the example with another method."""
    return [sys.executable, "-c", SENDS_GET.format(root=str(ROOT), method=method)]


def test_a_failing_sender_exits_1_and_its_finding_is_printed(verify_sender: VerifySender) -> None:
    command = example_with_method("'PUT' if method == 'POST' else method")
    result = verify_sender(
        *FAST, "--rules", "sender/request/*", "sender/body/ip", "--exclude", "*/target", "--", *command
    )
    assert (result.code, result.err) == (1, "")
    assert re.search(r"^  failed +MUST +sender/request/method +\d+ cases, ", result.out, re.MULTILINE)
    assert "\nsender/request/method  MUST  (" in result.out
    assert '\n  actual    "PUT"\n' in result.out
    assert (
        "\n  reproduce mail-contract verify-sender --rules sender/request/method --examples 3 "
        "--slow 0.02 -- " in result.out
    )
    assert "\n10 rules: 9 passed, 1 failed. " in result.out


@pytest.mark.parametrize(("options", "code", "outcome"), [((), 0, "warned"), (("--strict",), 1, "failed")])
def test_a_failed_should_warns_and_fails_with_strict(
    options: tuple[str, ...], code: int, outcome: str, verify_sender: VerifySender
) -> None:
    rules = ("--rules", "sender/redirect/*")
    result = verify_sender(
        *FAST, *rules, *options, "--", *example_with_method("'GET' if '/moved' in url else method")
    )
    assert (result.code, result.err) == (code, "")
    assert re.search(rf"^  {outcome} +SHOULD +sender/redirect/post-again ", result.out, re.MULTILINE)
    assert "\nsender/redirect/post-again  SHOULD  (4 of 5 cases)\n" in result.out


def test_a_failed_info_never_fails_the_run(verify_sender: VerifySender) -> None:
    command = example_with_method("'POST' if '/moved' in url else method")
    result = verify_sender(*FAST, "--strict", "--rules", "sender/redirect/see-other", "--", *command)
    assert (result.code, result.err) == (0, "")
    assert re.search(r"^  warned +INFO +sender/redirect/see-other ", result.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (("--rules", "sender/nothing", "--", "true"), 2, "no rule for senders matches 'sender/nothing'"),
        (("--exclude", "receiver/*", "--", "true"), 2, "no rule for senders matches 'receiver/*'"),
        (("--revision", "1.21", "--", "true"), 2, "There is no contract revision '1.21'"),
        (("--revision", "", "--", "true"), 2, "There is no contract revision ''"),
        (("--examples", "0", "--", "true"), 2, "invalid value '0': expected a whole number from 1"),
        (("--slow", "-1", "--", "true"), 2, "invalid value '-1': expected a number of seconds above 0"),
        (
            ("--patience", "soon", "--", "true"),
            2,
            "invalid value 'soon': expected a number of seconds above 0",
        ),
        ((), 2, "the following arguments are required: COMMAND"),
        (("--rules", "sender/body/ip", "--exclude", "*/ip", "--", "true"), 5, "no rule is left to run"),
        (("--revision", "1.22", "--rules", "*/ip", "--", *EXAMPLE), 5, "no rule could be judged"),
        (("--", "/no/such/program"), 3, '"/no/such/program" cannot be started: No such file'),
        (("--", "false"), 3, "ended with status 1 without a result"),
        (("--", "echo", "hello"), 3, 'a line that is no result, {"ok": true} or'),
        (("--", "echo", "[" * 100_000), 3, 'a line that is no result, {"ok": true} or'),
        (("--patience", "0.2", "--", "sleep", "60"), 3, "no report: within 2.2 s: it was its first message"),
    ],
)
def test_wrong_use_and_unusable_senders_have_their_exit_codes(
    arguments: tuple[str, ...], code: int, expected: str, verify_sender: VerifySender
) -> None:
    start = time.monotonic()
    result = verify_sender(*arguments)
    assert result.code == code, result
    assert expected in result.err
    assert "Traceback" not in result.err
    assert time.monotonic() - start < 15


def test_a_command_that_ends_later_exits_3_and_the_results_are_printed(verify_sender: VerifySender) -> None:
    command = harness("sys.exit(7)", at=len(make_unusual_messages()) + 70)
    # The command fails with the first response that is no success.
    result = verify_sender(*FAST, "--exclude", "*/certificate", "--", *command)
    assert result.code == 3
    assert "ended with status 7 without a result" in result.err
    assert re.search(r"\n  rule      sender/answer/success\n  message   {.*\n  response  \d", result.err)
    assert re.search(r"^\d+ rules: ", result.out, re.MULTILINE)


ENDS_AT_THE_THIRD_JOB = """\
import sys
for number, job in enumerate(sys.stdin):
    if number == 2:
        sys.exit(7)
    print('{"ok": true}', flush=True)
"""


def test_a_command_that_ends_after_a_failure_exits_3_and_the_failure_is_printed(
    verify_sender: VerifySender,
) -> None:
    """The next rule does not start the command again."""
    rules = "--rules", "sender/request/arrives", "sender/answer/failure"
    result = verify_sender(*FAST, *rules, "--", sys.executable, "-c", ENDS_AT_THE_THIRD_JOB)
    assert result.code == 3
    assert "ended with status 7 without a result\n  rule      sender/request/arrives\n" in result.err
    assert re.search(r"^  failed +MUST +sender/request/arrives ", result.out, re.MULTILINE)
    assert re.search(r"^2 rules: 1 failed, 1 not judged\. ", result.out, re.MULTILINE)
    assert "The sender was lost, and what is left was not tried." in result.out


def test_an_interrupt_ends_the_sender_command(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    command = harness(f"open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    arguments = [sys.executable, "-m", "logto_mail_contract.commands.main", "verify-sender", "--", *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not pid.exists() or not pid.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors == "mail-contract: interrupted\n"
    assert not alive(int(pid.read_text()))
