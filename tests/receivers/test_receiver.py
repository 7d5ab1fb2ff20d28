"""Findings: the smallest message, the command that reproduces it, no secret in either."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
import time
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import CONTROLS, TOKEN, Good, Refused, Request, Served, wsgi
from tests.support.runs import has_failed, try_rule

from logto_mail_contract import catalogue
from logto_mail_contract.judging.responses import format_outcome, is_no_crash
from logto_mail_contract.masking import escape_unprintable
from logto_mail_contract.receivers.dispatch import ReceiverGone
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.requests import RequestMaker
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import run_rule
from logto_mail_contract.suite.results import OwnFault, Result
from logto_mail_contract.wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from logto_mail_contract.findings import Finding
    from logto_mail_contract.receivers.trial import ReceiverTrial

GENERATED = "receiver/accept/generated"


class RefusesQuotes(Good):
    """Fails only for a quote in a variable."""

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Refuse it."""
        if "'" in json.dumps(message["payload"]):
            raise RuntimeError


class Sometimes(Good):
    """Refuses only its fifteenth message."""

    count = 0

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Refuse the fifteenth."""
        self.count += 1
        if self.count == 15:
            raise Refused(503)


class Hangs(Good):
    """Responds too late to a message with a quote."""

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Wait."""
        if "'" in json.dumps(message["payload"]):
            time.sleep(1)


def start_trial(rule: str, receiver: Receiver) -> ReceiverTrial:
    """Return a new trial of a rule that has sent nothing yet."""
    return ReceiverRun(receiver).start(catalogue.rules()[rule])


def make_maker(receiver: Receiver) -> RequestMaker:
    """Return what makes the cases of a run."""
    return RequestMaker(receiver, Settings(), count(10_000))


def try_in_process(make: type[Good], rule: str, **settings: Any) -> Result:
    receiver = Receiver.wsgi(wsgi(make()), "/hook", authorization=TOKEN)
    try:
        return try_rule(rule, receiver, Settings(**settings))
    finally:
        receiver.close()


def get_finding(result: Result) -> Finding:
    assert has_failed(result)
    (found,) = result.findings
    return found


def test_a_generated_message_is_shrunk() -> None:
    found = get_finding(try_in_process(RefusesQuotes, GENERATED, examples=300))
    message = json.loads(found.message)
    assert re.fullmatch(r"foo\d+@example\.com", message["to"])
    assert "'" in found.message
    assert len(message["payload"]) <= 3
    assert len(found.message) < 300
    # The cases do not include the attempts of shrinking.
    share = re.fullmatch(r"1 of (\d+) cases", found.share)
    assert share is not None
    assert int(share[1]) <= 300


def test_the_same_seed_generates_the_same_messages() -> None:
    class RecordsBodies(Good):
        def __init__(self) -> None:
            self.bodies: list[bytes] = []

        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
            self.bodies.append(re.sub(rb"\d{8}(?=[+@])", b"", request.body, count=1))  # of the recipient

    def bodies(seed: int) -> list[bytes]:
        recorder = RecordsBodies()
        try_rule(GENERATED, Receiver.wsgi(wsgi(recorder), authorization=TOKEN), Settings(seed=seed))
        return recorder.bodies

    assert bodies(1) == bodies(1) != bodies(2)


def test_a_failure_that_is_not_reproduced_is_reported_as_flaky() -> None:
    found = get_finding(try_in_process(Sometimes, GENERATED))
    assert found.actual.startswith("503 Service Unavailable after ")
    assert found.actual.endswith("; not every time that this message is sent")


def test_a_timeout_is_not_shrunk() -> None:
    start = time.monotonic()
    found = get_finding(try_in_process(Hangs, GENERATED, examples=300, fail_after=0.4))
    assert time.monotonic() - start < 6
    assert found.actual.startswith("no end of the response after 4")


def test_a_finding_prints_each_of_its_fields_on_a_line() -> None:
    receiver = Receiver.wsgi(wsgi(CONTROLS["LooksTheTemplateUp"].make()), "/hook", authorization=TOKEN)
    text = str(get_finding(try_rule("receiver/accept/unknown-type-is-no-crash", receiver)))
    first, sentence, expected, actual, message, consequence, command = text.splitlines()
    assert first == "receiver/accept/unknown-type-is-no-crash  MUST  (7 of 7 cases)"
    assert sentence == "  A receiver never responds with 5xx to a template type that it does not know yet."
    assert expected == "  expected  any 2xx, or any 4xx"
    assert re.fullmatch(
        r"  actual    500 Internal Server Error after \d+ ms, body: Internal Server Error", actual
    )
    assert re.match(r'  message   {"to":"foo\d+@example\.com","type":"","payload":{"code":"', message)
    assert consequence.startswith("  in Logto  The user cannot go on")
    assert command == "  reproduce pytest -k receiver/accept/unknown-type-is-no-crash"


class Records(Good):
    """Records each request, and responds with 500."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Record the request."""
        self.requests.append(request)
        return 500, {}, b"no"


@pytest.mark.parametrize(
    "body",
    [
        b'{"to":"x\'y","type":"$HOME `id`","payload":{"a":"\\u0000 \\\\ \xc3\xbc"}}',
        b"",
        b"\xff\xfe",
        b"@/etc/hostname",
        b"[" * 1500,
    ],
)
@pytest.mark.parametrize("authorization", [TOKEN, None])
def test_the_command_sends_the_same_request_again(
    body: bytes, authorization: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AUTHORIZATION", TOKEN)
    records = Records()
    with Served(records) as served:
        url = f"{served.url}?a=[1]&b={{2}}"
        monkeypatch.setenv("ENDPOINT", url)
        receiver = Receiver.url(url, authorization=authorization)
        trial = start_trial("receiver/reject/not-json-is-no-crash", receiver)
        trial.expect(is_no_crash, trial.send_case(make_maker(receiver).make_raw_case(body)))
        trial.run.close()
        command = trial.findings()[0].reproduce
        receiver.close()
        assert TOKEN not in command
        # The command is written for a POSIX shell.
        subprocess.run(["sh", "-c", command], check=True, capture_output=True, timeout=10)
    original, repeated = records.requests
    assert (repeated.method, repeated.target, repeated.body) == (
        original.method,
        original.target,
        original.body,
    )
    for name in ("authorization", "content-type", "content-length"):
        assert repeated.values(name) == original.values(name)


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("TokenStartsWithTheValue", "cut-authorization"),
        ("ValueStartsWithTheToken", "extended-authorization"),
        ("LowersTheToken", "case-changed-authorization"),
        ("TakesAnEmptyCredential", "scheme-only-authorization"),
        ("ChecksTheSchemeAlone", "wrong-authorization"),
        ("ChecksWhatIsThere", "empty-authorization"),
        ("TakesWithoutAuthorization", "missing-authorization"),
        ("TakesTheLastHeader", "doubled-authorization"),
        ("LooksForTheLowerCaseName", "header-name-case"),
    ],
)
def test_the_command_for_an_authorization_reproduces_the_failure_without_the_secret(
    name: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    monkeypatch.setenv("HOOK_AUTH", TOKEN)

    class RecordsRequests(CONTROLS[name].make):  # type: ignore[misc]
        requests: list[Request] = []  # noqa: RUF012 - one class for each test

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            self.requests.append(request)
            response: tuple[int, dict[str, str], bytes] = super().respond(request)
            return response

    with Served(RecordsRequests()) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        receiver.authorization_name = "HOOK_AUTH"
        found = get_finding(try_rule(f"receiver/auth/{rule}", receiver))
        receiver.close()
        assert "s3cre" not in str(found).lower()
        RecordsRequests.requests.clear()
        completed = subprocess.run(["sh", "-c", found.reproduce], check=True, capture_output=True, timeout=10)
    (request,) = RecordsRequests.requests
    # The command reproduces the failure: a wrong 200, or a wrong refusal of the header name.
    assert b" 200 " in completed.stdout.splitlines()[0] or rule == "header-name-case"
    assert [value for value in request.values("authorization") if value != TOKEN] or rule in (
        "missing-authorization",
        "header-name-case",
    )


def test_a_failure_that_needs_several_requests_is_reproduced_by_verify() -> None:
    with Served(CONTROLS["ClosesWithoutAWord"].make()) as served:
        receiver = Receiver.url(f"{served.url}?a=1&b=2", authorization=TOKEN)
        command = get_finding(try_rule("receiver/respond/keep-alive", receiver)).reproduce
        receiver.close()
        assert receiver.placeholders == {"ENDPOINT": "the whole URL, with its query"}
    options = ["--rules", "receiver/respond/keep-alive", "--authorization-env", "AUTHORIZATION"]
    assert shlex.split(command) == ["mail-contract", "verify", "${ENDPOINT}", *options]


def test_user_and_password_in_the_url_are_not_printed() -> None:
    with Served(Records()) as served:
        url = served.url.replace("//", "//foo:p4ssw0rd@")
        receiver = Receiver.url(url, authorization="Bearer ignored")
        found = get_finding(try_rule("receiver/accept/sign-in", receiver))
        receiver.close()
    assert receiver.authorization == "Basic Zm9vOnA0c3N3MHJk"
    assert not re.search("p4ss|Zm9v", str(found))
    assert '-H "authorization: ${AUTHORIZATION}"' in found.reproduce
    assert receiver.placeholders.keys() == {"AUTHORIZATION"}


class Redirects(Records):
    """Redirects to another path with a status, and responds with 500 there."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Record the request."""
        status, headers, body = super().respond(request)
        if request.target == "/hook":
            return self.status, {"Location": "/there"}, b""
        return status, headers, body


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_the_command_follows_redirects_as_the_connector_does(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    monkeypatch.setenv("AUTHORIZATION", TOKEN)
    redirects = Redirects(status)
    with Served(redirects) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        found = get_finding(try_rule("receiver/accept/sign-in", receiver))
        receiver.close()
        assert found.actual.startswith(f"{status}, then 500 ")
        completed = subprocess.run(["sh", "-c", found.reproduce], check=True, capture_output=True, timeout=10)
    assert completed.stdout.endswith(b"no")
    original, repeated = redirects.requests[:2], redirects.requests[-2:]
    assert [(request.method, request.target, request.body) for request in repeated] == [
        (request.method, request.target, request.body) for request in original
    ]
    assert all(request.values("authorization") == [TOKEN] for request in repeated)


def test_a_secret_in_a_response_is_masked() -> None:
    class Echoes(Good):
        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            return 500, {}, f"{request.values('authorization')} {TOKEN.split()[1]}".encode()

    found = get_finding(
        try_rule("receiver/accept/sign-in", Receiver.wsgi(wsgi(Echoes()), authorization=TOKEN))
    )
    assert "s3cret" not in str(found)
    assert "(masked)" in found.actual


@pytest.mark.parametrize("domain", ["corp.test", None])
def test_every_recipient_is_in_the_recipient_domain(domain: str | None) -> None:
    class RecordsRecipients(Good):
        def __init__(self) -> None:
            self.recipients: set[str] = set()

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            text = request.body.decode(errors="replace")
            self.recipients |= set(re.findall(r'"to":\[?"((?:[^"\\]|\\.)*@(?:[^"\\]|\\.)*)"', text))
            return super().respond(request)

    recorder = RecordsRecipients()
    receiver = Receiver.wsgi(wsgi(recorder), authorization=TOKEN)
    for rule in catalogue.rules():
        if rule.startswith("receiver/") and "/deliver/" not in rule:
            try_rule(rule, receiver, Settings(recipient_domain=domain))
    receiver.close()
    domains = {address.rpartition("@")[2] for address in recorder.recipients}
    if domain is None:
        # Reserved by RFC 2606 and RFC 6761.
        reserved = r"(^|\.)(example\.(com|org|net)|test|example|invalid)$"
        assert [name for name in domains if not re.search(reserved, name, re.IGNORECASE)] == []
    else:
        assert domains == {"corp.test"}


def test_sending_a_message_of_the_wrong_layer_raises_own_fault() -> None:
    maker = make_maker(Receiver.wsgi(wsgi(Good())))
    with pytest.raises(OwnFault, match=r"a message for layer emitted was wanted, but: message/emitted/"):
        maker.make_case({"to": "foo@example.com", "type": "SignIn", "payload": {"code": 1}})
    with pytest.raises(OwnFault, match="a message for layer None was wanted, but: it is valid"):
        maker.make_case(
            {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}, layer=None
        )


def test_an_unreachable_receiver_raises_instead_of_failing_a_rule() -> None:
    with Served(Good()) as served:
        url = served.url
    receiver = Receiver.url(url)
    for rule in ("accept/sign-in", "accept/generated", "respond/framing", "concurrent/burst"):
        with pytest.raises(ReceiverGone, match="cannot be reached: Connection refused"):
            try_rule(f"receiver/{rule}", receiver, restart_seconds=0.1)


def test_a_rule_waits_for_a_restarting_receiver() -> None:
    with Served(Good()) as first:
        url = first.url
    port = int(url.split(":")[2].split("/")[0])
    later: list[Served] = []

    def start() -> None:
        time.sleep(0.3)
        later.append(Served(Good(), port=port).__enter__())

    thread = threading.Thread(target=start)
    thread.start()
    receiver = Receiver.url(url, authorization=TOKEN)
    try:
        assert try_rule("receiver/accept/sign-in", receiver).outcome == "passed"
    finally:
        receiver.close()
        thread.join()
        later[0].__exit__()


@pytest.mark.parametrize("value", ["Bearer x\r\nx: y", "a\nb", "\0", "Bearer \u20ac", "\x7f"])
def test_an_authorization_that_logto_cannot_send_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.url("http://127.0.0.1:1/", authorization=value)
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.wsgi(wsgi(Good()), authorization=value)
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.asgi(wsgi(Good()), authorization=value)


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Response(204, (), b"", 0.0124), "204 No Content after 12 ms"),
        (Response(599, (), b"a\r\nb", 1), "599 after 1000 ms, body: a\\r\\nb"),
        (Response(200, (), b"x" * 999, 0), f"200 OK after 0 ms, body: {'x' * 200}…"),
        (
            Response(200, (), "\u202e\x1b[31mü🙂".encode(), 0),
            "200 OK after 0 ms, body: \\u202e\\u001b[31mü🙂",
        ),
        (Response(400, (), b"", 0, redirects=(308, 307)), "308 and 307, then 400 Bad Request after 0 ms"),
        (NoResponse("cut", "reset", 0), "the connection ended before the response did after 0 ms: reset"),
        (
            NoResponse("raised", "KeyError: 'x'", 0),
            "the application raised an exception after 0 ms: KeyError: 'x'",
        ),
    ],
)
def test_an_outcome_is_formatted_in_one_line(outcome: Response | NoResponse, expected: str) -> None:
    assert format_outcome(outcome) == expected


def test_unprintable_characters_are_escaped() -> None:
    assert escape_unprintable("a\tb\u0085\u2028\ud800ü") == "a\\tb\\u0085\\u2028\\ud800ü"


def test_a_redirect_to_another_origin_is_not_judged() -> None:
    def elsewhere(environ: dict[str, Any], start_response: Any) -> list[bytes]:  # noqa: ARG001 - WSGI
        start_response("302 Found", [("Location", "https://other.example/hook"), ("Content-Length", "0")])
        return []

    with closing(Receiver.wsgi(elsewhere)) as receiver:
        for rule in (
            "receiver/accept/sign-in",
            "receiver/reject/not-json",
            "receiver/reject/not-json-is-no-crash",
        ):
            result = try_rule(rule, receiver)
            assert result.outcome == "not judged"
            assert "redirects to another origin" in result.reason or "302 Found" in result.reason
        assert try_rule("receiver/respond/no-redirect", receiver).outcome == "failed"


def test_a_request_too_large_for_curl_is_reproduced_by_verify_with_its_options() -> None:
    class RefusesMuch(Good):
        def handle(self, message: Any, request: Request) -> None:
            if len(message["payload"].get("note", "")) > 100_000:
                raise RuntimeError(request.target)

    settings = Settings(seed=3, fail_after=5.0, warn_after=1.5, recipient_domain="corp.test")
    with Served(RefusesMuch()) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN, revision="1.32")
        with closing(receiver):
            (finding,) = try_rule("receiver/accept/large-invitation", receiver, settings).findings
    assert finding.reproduce.endswith(
        " --seed 3 --warn-after 1.5 --fail-after 5 --recipient-domain corp.test --revision 1.32"
    )
    assert finding.reproduce.startswith(
        f"mail-contract verify {served.url} --rules receiver/accept/large-invitation"
    )


def test_an_empty_revision_is_refused() -> None:
    with pytest.raises(catalogue.UnknownRevision, match="There is no contract revision ''"):
        Receiver.url("http://127.0.0.1:1/", revision="")


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_a_run_at_an_older_revision_plans_and_sends_nothing_of_later_rules(revision: str) -> None:
    every_rule = list_rule_ids("receiver")
    known = catalogue.revisions()[: catalogue.revisions().index(revision) + 1]
    rules = {
        "receiver/accept/sign-in": "1.22",
        "receiver/accept/language-names": "1.25",
        "receiver/accept/ui-locales-forms": "1.32",
        "receiver/accept/ip-forms": "1.35",
    }
    receiver = Receiver.wsgi(wsgi(Good()), authorization=TOKEN, revision=revision)
    with closing(receiver), closing(ReceiverRun(receiver)) as run:
        assert run.plan(every_rule).requests > len(every_rule)
        run.prepare(list(rules))
        outcomes = {rule: run_rule(run, rule).outcome for rule in rules}
    assert outcomes == {
        rule: "passed" if since in known else "not applicable" for rule, since in rules.items()
    }
