"""How a rule is tried and told: the smallest message, the command to see it again, no secret in either."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.broken_receivers import CONTROLS, TOKEN, Asked, Good, Refused, Served, wsgi
from tests.support.runs import has_failed, try_rule

from logto_mail_contract import catalogue
from logto_mail_contract.judging.responses import format_outcome, is_no_crash
from logto_mail_contract.masking import escape_unprintable
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.receivers.trial import ReceiverGone, ReceiverTrial
from logto_mail_contract.strategies import messages
from logto_mail_contract.suite.results import OwnFault, Result
from logto_mail_contract.wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from logto_mail_contract.findings import Finding

GENERATED = "receiver/accept/generated"


class RefusesQuotes(Good):
    """Fails for a quote in any variable, and for nothing else."""

    def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
        """Refuse it."""
        if "'" in json.dumps(message["payload"]):
            raise RuntimeError


class Sometimes(Good):
    """Fails for one message in its life, whatever it is."""

    count = 0

    def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
        """Refuse the fifth."""
        self.count += 1
        if self.count == 5:
            raise Refused(503)


class Hangs(Good):
    """Takes longer than anybody waits for a name with a quote."""

    def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
        """Wait."""
        if "'" in json.dumps(message["payload"]):
            time.sleep(1)


def trial_of(rule: str, receiver: Receiver) -> ReceiverTrial:
    """Return the trial of a rule, of which nothing was sent yet."""
    return ReceiverRun(receiver).start(catalogue.rules()[rule])


def tried(make: type[Good], rule: str, **settings: Any) -> Result:
    receiver = Receiver.wsgi(wsgi(make()), "/hook", authorization=TOKEN)
    try:
        return try_rule(rule, receiver, Settings(**settings))
    finally:
        receiver.close()


def finding(result: Result) -> Finding:
    assert has_failed(result)
    (found,) = result.findings
    return found


def test_generated_message_is_shrunk() -> None:
    found = finding(tried(RefusesQuotes, GENERATED, examples=300))
    message = json.loads(found.message)
    assert re.fullmatch(r"foo\d+@example\.com", message["to"])
    assert "'" in found.message
    assert len(message["payload"]) <= 3
    assert len(found.message) < 300
    # What shrinking tried is not counted among the cases.
    told = re.fullmatch(r"1 of (\d+) cases", found.share)
    assert told is not None
    assert int(told[1]) <= 300


def test_same_seed_same_message() -> None:
    class RemembersWhatCame(Good):
        def __init__(self) -> None:
            self.bodies: list[bytes] = []

        def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
            self.bodies.append(re.sub(rb"\d{5}(?=[+@])", b"", asked.body, count=1))  # of the recipient

    def bodies(seed: int) -> list[bytes]:
        made = RemembersWhatCame()
        try_rule(GENERATED, Receiver.wsgi(wsgi(made), authorization=TOKEN), Settings(seed=seed))
        return made.bodies

    assert bodies(1) == bodies(1) != bodies(2)


def test_failure_that_does_not_come_again_is_told_as_such() -> None:
    receiver = Receiver.wsgi(wsgi(Sometimes()), authorization=TOKEN)
    trial = trial_of(GENERATED, receiver)
    trial.expect_generated(messages(layer="emitted"), is_no_crash, trial.requests.make_call)
    (found,) = trial.findings()
    assert found.actual.startswith("503 Service Unavailable after ")
    assert found.actual.endswith("; not every time that this message is sent")


def test_hang_is_not_shrunk() -> None:
    start = time.monotonic()
    found = finding(tried(Hangs, GENERATED, examples=300, fail_after=0.4))
    assert time.monotonic() - start < 6
    assert found.actual.startswith("no end of the response after 4")


def test_finding_reads_as_the_design_says() -> None:
    receiver = Receiver.wsgi(wsgi(CONTROLS["LooksTheTemplateUp"].make()), "/hook", authorization=TOKEN)
    text = str(finding(try_rule("receiver/accept/unknown-type-is-no-crash", receiver)))
    first, sentence, expected, actual, message, consequence, again = text.splitlines()
    assert first == "receiver/accept/unknown-type-is-no-crash  MUST  (7 of 7 cases)"
    assert sentence == "  A receiver never responds with 5xx to a template type that it does not know yet."
    assert expected == "  expected  any 2xx, or any 4xx"
    assert re.fullmatch(
        r"  actual    500 Internal Server Error after \d+ ms, body: Internal Server Error", actual
    )
    assert re.match(r'  message   {"to":"foo\d+@example\.com","type":"","payload":{"code":"', message)
    assert consequence.startswith("  in Logto  The user cannot go on")
    assert again == "  reproduce pytest -k receiver/accept/unknown-type-is-no-crash"


class Records(Good):
    """Keeps what is asked, and refuses everything with 500."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """Keep the request."""
        self.asked.append(asked)
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
def test_command_sends_the_same_once_more(
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
        trial = trial_of("receiver/reject/not-json-is-no-crash", receiver)
        trial.expect(is_no_crash, trial.requests.make_raw_call(body))
        trial.run.close()
        again = trial.findings()[0].reproduce
        receiver.close()
        assert TOKEN not in again
        # The shell that the command is for.
        subprocess.run(["sh", "-c", again], check=True, capture_output=True, timeout=10)
    ours, theirs = records.asked
    assert (theirs.method, theirs.target, theirs.body) == (ours.method, ours.target, ours.body)
    for name in ("authorization", "content-type", "content-length"):
        assert theirs.values(name) == ours.values(name)


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
def test_command_for_an_authorization_is_the_same_without_the_secret(
    name: str, rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    monkeypatch.setenv("HOOK_AUTH", TOKEN)

    class Keeps(CONTROLS[name].make):  # type: ignore[misc]
        asked: list[Asked] = []  # noqa: RUF012 - one class for each test

        def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
            self.asked.append(asked)
            answer: tuple[int, dict[str, str], bytes] = super().answer(asked)
            return answer

    with Served(Keeps()) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        receiver.authorization_name = "HOOK_AUTH"
        found = finding(try_rule(f"receiver/auth/{rule}", receiver))
        receiver.close()
        assert "s3cre" not in str(found).lower()
        Keeps.asked.clear()
        told = subprocess.run(["sh", "-c", found.reproduce], check=True, capture_output=True, timeout=10)
    (asked,) = Keeps.asked
    # It shows the same: taken what should not be, or refused what should be taken.
    assert b" 200 " in told.stdout.splitlines()[0] or rule == "header-name-case"
    assert [value for value in asked.values("authorization") if value != TOKEN] or rule in (
        "missing-authorization",
        "header-name-case",
    )


def test_command_where_one_request_shows_nothing() -> None:
    with Served(CONTROLS["ClosesWithoutAWord"].make()) as served:
        receiver = Receiver.url(f"{served.url}?a=1&b=2", authorization=TOKEN)
        again = finding(try_rule("receiver/respond/keep-alive", receiver)).reproduce
        receiver.close()
        assert receiver.placeholders == {"ENDPOINT": "the whole URL, with its query"}
    options = ["--rules", "receiver/respond/keep-alive", "--authorization-env", "AUTHORIZATION"]
    assert shlex.split(again) == ["mail-contract", "verify", "${ENDPOINT}", *options]


def test_user_and_password_in_the_url_are_not_printed() -> None:
    with Served(Records()) as served:
        url = served.url.replace("//", "//foo:p4ssw0rd@")
        receiver = Receiver.url(url, authorization="Bearer ignored")
        found = finding(try_rule("receiver/accept/sign-in", receiver))
        receiver.close()
    assert receiver.authorization == "Basic Zm9vOnA0c3N3MHJk"
    assert not re.search("p4ss|Zm9v", str(found))
    assert '-H "authorization: ${AUTHORIZATION}"' in found.reproduce
    assert receiver.placeholders.keys() == {"AUTHORIZATION"}


class Redirects(Records):
    """Leads to another place by a status, and refuses there."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """Keep the request."""
        status, headers, body = super().answer(asked)
        if asked.target == "/hook":
            return self.status, {"Location": "/there"}, b""
        return status, headers, body


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
def test_command_follows_redirects_as_the_connector_does(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    monkeypatch.setenv("AUTHORIZATION", TOKEN)
    redirects = Redirects(status)
    with Served(redirects) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        found = finding(try_rule("receiver/accept/sign-in", receiver))
        receiver.close()
        assert found.actual.startswith(f"{status}, then 500 ")
        told = subprocess.run(["sh", "-c", found.reproduce], check=True, capture_output=True, timeout=10)
    assert told.stdout.endswith(b"no")
    ours, theirs = redirects.asked[:2], redirects.asked[2:]
    assert [(asked.method, asked.target, asked.body) for asked in theirs] == [
        (asked.method, asked.target, asked.body) for asked in ours
    ]
    assert all(asked.values("authorization") == [TOKEN] for asked in theirs)


def test_secret_in_an_answer_is_masked() -> None:
    class Echoes(Good):
        def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
            return 500, {}, f"{asked.values('authorization')} {TOKEN.split()[1]}".encode()

    found = finding(try_rule("receiver/accept/sign-in", Receiver.wsgi(wsgi(Echoes()), authorization=TOKEN)))
    assert "s3cret" not in str(found)
    assert "(masked)" in found.actual


@pytest.mark.parametrize("domain", ["corp.test", None])
def test_every_recipient_is_in_the_recipient_domain(domain: str | None) -> None:
    class Remembers(Good):
        def __init__(self) -> None:
            self.seen: set[str] = set()

        def answer(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
            text = asked.body.decode(errors="replace")
            self.seen |= set(re.findall(r'"to":\[?"((?:[^"\\]|\\.)*@(?:[^"\\]|\\.)*)"', text))
            return super().answer(asked)

    remembers = Remembers()
    receiver = Receiver.wsgi(wsgi(remembers), authorization=TOKEN)
    for rule in catalogue.rules():
        if rule.startswith("receiver/") and "/deliver/" not in rule:
            try_rule(rule, receiver, Settings(recipient_domain=domain))
    receiver.close()
    domains = {address.rpartition("@")[2] for address in remembers.seen}
    if domain is None:
        # Reserved by RFC 2606 and RFC 6761.
        reserved = r"(^|\.)(example\.(com|org|net)|test|example|invalid)$"
        assert [one for one in domains if not re.search(reserved, one, re.IGNORECASE)] == []
    else:
        assert domains == {"corp.test"}


def test_message_of_ours_that_is_not_what_it_should_be_is_a_fault_of_ours() -> None:
    requests = trial_of("receiver/accept/sign-in", Receiver.wsgi(wsgi(Good()))).requests
    with pytest.raises(OwnFault, match=r"wanted a message for layer emitted, but: message/emitted/"):
        requests.make_call({"to": "foo@example.com", "type": "SignIn", "payload": {"code": 1}})
    with pytest.raises(OwnFault, match="wanted a message for layer None, but: it is valid"):
        requests.make_call(
            {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "123456"}}, layer=None
        )


def test_receiver_that_is_gone_fails_no_rule() -> None:
    with Served(Good()) as served:
        url = served.url
    receiver = Receiver.url(url)
    for rule in ("accept/sign-in", "accept/generated", "respond/framing", "concurrent/burst"):
        with pytest.raises(ReceiverGone, match="cannot be reached: Connection refused"):
            try_rule(f"receiver/{rule}", receiver, restart_seconds=0.1)


def test_receiver_that_comes_back_is_tried_on() -> None:
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
def test_authorization_that_logto_could_not_send(value: str) -> None:
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.url("http://127.0.0.1:1/", authorization=value)
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.wsgi(wsgi(Good()), authorization=value)
    with pytest.raises(ValueError, match="Logto could not send it"):
        Receiver.asgi(wsgi(Good()), authorization=value)


@pytest.mark.parametrize(
    ("outcome", "told"),
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
def test_format_outcome(outcome: Response | NoResponse, told: str) -> None:
    assert format_outcome(outcome) == told


def test_escape_unprintable() -> None:
    assert escape_unprintable("a\tb\u0085\u2028\ud800ü") == "a\\tb\\u0085\\u2028\\ud800ü"


def test_what_is_redirected_elsewhere_is_not_judged() -> None:
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
            assert "redirects to another origin" in result.reason
        assert try_rule("receiver/respond/no-redirect", receiver).outcome == "failed"


def test_a_request_that_no_curl_line_holds_is_repeated_by_the_command_with_its_options() -> None:
    class RefusesMuch(Good):
        def take(self, message: Any, asked: Asked) -> None:
            if len(message["payload"].get("note", "")) > 100_000:
                raise RuntimeError(asked.target)

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
