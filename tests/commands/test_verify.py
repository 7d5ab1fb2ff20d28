"""``mail-contract verify``: its options, exit codes and reports, and its isolation from its environment."""

from __future__ import annotations

import base64
import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import pytest
import trustme
from jsonschema import Draft202012Validator
from tests.logto.wire import Reply, Wire, reply
from tests.support.broken_receivers import CONTROLS, TOKEN, Good, Refused, Request, Served

from logto_mail_contract import catalogue
from logto_mail_contract.commands import main as cli
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids, select_rules
from logto_mail_contract.suite.results import Outcome, OwnFault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logto_mail_contract.findings import Rule
    from logto_mail_contract.receivers.trial import ReceiverTrial

COMMAND = [sys.executable, "-m", "logto_mail_contract.commands.main", "verify"]
FEW = "--rules", "receiver/accept/sign-in", "receiver/accept/bind-mfa", "receiver/accept/unknown-type"
WITH = "--authorization-env", "HOOK_AUTH"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty current folder, and set the authorization in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOOK_AUTH", TOKEN)
    return tmp_path


def verify(url: str, *options: str) -> int:
    return cli.main(["verify", url, *options])


def verify_good(*options: str, make: type[Good] = Good) -> int:
    with Served(make()) as served:
        return verify(served.url, *WITH, *options)


def read_output(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    return captured.out + captured.err


def parse_outcomes(text: str) -> dict[str, str]:
    """Return the outcome of each rule by its id, from the printed lines."""
    found = re.findall(
        rf"^  ({'|'.join(get_args(Outcome))}) +(?:MUST|SHOULD|INFO)? +(receiver/\S+) ",
        text,
        re.MULTILINE,
    )
    return {rule: outcome for outcome, rule in found}


# Whole runs.


def test_a_correct_receiver_exits_0(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    start = time.monotonic()
    with Served(Good()) as served:
        assert verify(served.url, *WITH) == 0
        requests = served.requests
    assert time.monotonic() - start < 60
    text = read_output(capsys)
    outcomes = parse_outcomes(text)
    assert list(outcomes) == list(list_rule_ids("receiver"))
    assert {rule for rule, outcome in outcomes.items() if outcome != "passed"} == {
        rule for rule in list_rule_ids("receiver") if "/deliver/" in rule
    }
    announced = re.search(
        r"^At most (\d+) requests, for (\d+) recipients at (.*)\. A receiver", text, re.MULTILINE
    )
    assert announced is not None
    assert requests <= int(announced[1])
    counts = Counter(outcomes.values())
    summary = f"{len(outcomes)} rules: {counts['passed']} passed, {counts['not applicable']} not applicable."
    assert re.search(rf"^{re.escape(summary)} \d+ cases in ", text, re.MULTILINE)
    assert list(place.iterdir()) == []


def test_the_announcement_counts_the_requests_of_deliver_rules(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Served(Good()) as served:
        options = ["--smtp-sink", str(port), "--warn-after", "0.2", "--fail-after", "0.5"]
        assert verify(served.url, *WITH, *options) == 1  # it accepts messages and sends no mail
        requests = served.requests
    text = read_output(capsys)
    assert parse_outcomes(text)["receiver/deliver/one-mail"] == "failed"
    announced = re.search(r"^At most (\d+) requests, for (\d+) recipients", text, re.MULTILINE)
    assert announced is not None
    assert requests <= int(announced[1])
    assert int(announced[2]) > 50


@pytest.mark.parametrize("domain", [None, "corp.test"])
def test_the_announcement_lists_the_recipients(
    capsys: pytest.CaptureFixture[str], domain: str | None
) -> None:
    class Records(Good):
        recipients: set[str] = set()  # noqa: RUF012 - one class for each test

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            try:
                message = json.loads(request.body)
            except (ValueError, RecursionError):
                message = None
            if isinstance(message, dict) and isinstance(message.get("to"), str):
                self.recipients.add(message["to"])
            return super().respond(request)

    options = ["--recipient-domain", domain] if domain else []
    assert verify_good(*options, make=Records) == 0
    announced = re.search(r"for (\d+) recipients at (.*?)\. A receiver", read_output(capsys))
    assert announced is not None
    # What is left is for failures: the search for a smaller message, and what is repeated.
    assert len(Records.recipients) <= int(announced[1]) <= len(Records.recipients) + 200
    domains = {
        re.sub(r"\d{8}", "*", recipient.rpartition("@")[2].lower()) for recipient in Records.recipients
    }
    assert domains <= set(announced[2].split(", "))
    assert domain is None or announced[2] == domain


def test_a_failing_receiver_exits_1_and_its_finding_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_good(*FEW, make=CONTROLS["RefusesBindMfa"].make) == 1
    text = read_output(capsys)
    assert parse_outcomes(text) == {
        "receiver/accept/sign-in": "passed",
        "receiver/accept/bind-mfa": "failed",
        "receiver/accept/unknown-type": "passed",
    }
    assert "\nreceiver/accept/bind-mfa  MUST\n" in text
    assert '-H "authorization: ${HOOK_AUTH}"' in text
    assert TOKEN not in text
    assert text.endswith(" s.\n")


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 1)])
def test_a_failed_should_exits_1_only_when_strict(
    strict: bool, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--strict"] if strict else []
    assert verify_good(*FEW, *options, make=CONTROLS["ClosedListOfTypes"].make) == code
    text = read_output(capsys)
    assert parse_outcomes(text)["receiver/accept/unknown-type"] == ("failed" if strict else "warned")
    assert "\nreceiver/accept/unknown-type  SHOULD" in text


# Selected rules.


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        (["--rules", "receiver/auth/*-only-*"], ["receiver/auth/scheme-only-authorization"]),
        (
            ["--rules", "receiver/accept/bind-*", "receiver/accept/sign-in"],
            ["receiver/accept/sign-in", "receiver/accept/bind-new-identifier", "receiver/accept/bind-mfa"],
        ),
        (
            ["--rules", "receiver/accept/bind-*", "--exclude", "*-mfa"],
            ["receiver/accept/bind-new-identifier"],
        ),
    ],
)
def test_rules_are_selected_by_globs(
    options: list[str], rules: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify_good(*options) == 0
    assert list(parse_outcomes(read_output(capsys))) == rules


@pytest.mark.parametrize(
    "options",
    [["--rules", "receiver/accept/sing-in"], ["--exclude", "zzz"], ["--rules", "sender/*"], ["--rules", ""]],
)
def test_a_glob_without_match_exits_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_good(*options) == 2
    assert "no rule for receivers matches" in read_output(capsys)


def test_no_rule_left_to_run_exits_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_good("--rules", "receiver/auth/*", "--exclude", "*/auth/*") == 5
    assert "no rule is left to run" in read_output(capsys)
    with Served(Good()) as served:
        assert verify(served.url, "--rules", "receiver/auth/cut-authorization") == 5
    assert "no rule could be judged" in read_output(capsys)


# Wrong use.


def test_a_missing_authorization_variable_exits_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(Good()) as served:
        assert verify(served.url, "--authorization-env", "NOT_SET") == 2
        monkeypatch.setenv("EMPTY", "")
        assert verify(served.url, "--authorization-env", "EMPTY") == 2
        monkeypatch.setenv("BROKEN", "Bearer s3cret\n")
        assert verify(served.url, "--authorization-env", "BROKEN") == 2
        assert served.requests == 0
    text = read_output(capsys)
    assert "NOT_SET" in text
    assert "Logto could not send it" in text
    assert "s3cret" not in text


def test_a_password_in_the_url_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    class Basic(Good):
        token = "Basic Zm9vOnA0c3N3MHJk"

    with Served(Basic()) as served:
        url = served.url.replace("//", "//foo:p4ssw0rd@")
        assert verify(url, *FEW, "--report", "json=-") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["url"] == served.url.replace("//", "//(masked)@")
    assert "p4ssw0rd" not in captured.out + captured.err


def test_placeholders_in_commands_are_explained_once(capsys: pytest.CaptureFixture[str]) -> None:
    class Echoes(Good):
        token = "Basic Zm9vOnA0c3N3MHJk"

        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
            raise Refused(400, f"not {request.target}")

    with Served(Echoes()) as served:
        url = served.url.replace("//", "//foo:p4ssw0rd@") + "?token=s3cr3t%2Dvalue&empty=&b4re"
        reports = "--report", "json=out.json", "junit=out.xml", "text=out.txt"
        assert verify(url, *FEW, *WITH, *reports) == 1
        assert verify(url.replace(served.url[7:22], "127.0.0.1:1/"), "--wait", "0.1") == 3
    text = read_output(capsys)
    for everything in (text, *(Path(f"out.{kind}").read_text() for kind in ("json", "xml", "txt"))):
        assert not re.search("p4ss|s3cr3t|b4re|Zm9v", everything)
    masked = served.url.replace("//", "//(masked)@") + "?token=(masked)&empty=&(masked)"
    assert text.startswith(f"{masked}: revision ")
    assert json.loads(Path("out.json").read_text())["url"] == masked
    assert text.count("In these commands:") == Path("out.txt").read_text().count("In these commands:") == 1
    assert (
        "\n  ${AUTHORIZATION} stands for Basic $(printf %s 'USER:PASSWORD' | base64), as in the URL\n" in text
    )
    assert "\n  ${ENDPOINT} stands for the whole URL, with its query\n" in text
    assert '  reproduce curl -i -X POST "${ENDPOINT}" -H "authorization: ${AUTHORIZATION}" -H ' in text


def test_commands_without_placeholders_have_no_explanation(capsys: pytest.CaptureFixture[str]) -> None:
    assert verify_good(*FEW, make=CONTROLS["RefusesBindMfa"].make) == 1
    assert "In these commands:" not in read_output(capsys)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--revision", "1.21"], "There is no contract revision '1.21'"),
        (["--ca-file", "missing.pem"], "--ca-file missing.pem: No such file"),
        (["--ca-file", "empty.pem"], "--ca-file empty.pem: "),
        (["--report", "yaml=x"], "expected FORMAT=PATH, where FORMAT is text, json or junit"),
        (["--report", "json"], "expected FORMAT=PATH, where FORMAT is text, json or junit"),
        (["--report", "junit=-"], "a junit report needs a file"),
        (["--report", "json=no/such/x"], "there is no folder"),
        (["--report", "json=folder"], "it is a folder"),
        (["--excuse", "receiver/accept/sign-in"], "expected ID=REASON"),
        (["--excuse", "receiver/accept/sign-in= "], "The excuse of receiver/accept/sign-in gives no reason"),
        (["--excuse", "nothing=why"], "There is no rule 'nothing' to excuse"),
        (["--excuse", "sender/answer/failure=why"], "not among the rules that are run"),
        (
            ["--rules", "receiver/accept/sign-in", "--excuse", "receiver/accept/register=why"],
            "receiver/accept/register is excused, but it is not among the rules that are run",
        ),
        (["--recipient-domain", "not a domain"], "expected a host name"),
        (["--recipient-domain", "example.com>x"], "expected a host name"),
        (["--warn-after", "5", "--fail-after", "1"], "--warn-after is longer than --fail-after"),
    ],
)
def test_invalid_options_exit_2_without_a_request(
    options: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty.pem").touch()
    Path("folder").mkdir()
    with Served(Good()) as served:
        assert verify(served.url, *options) == 2
        assert served.requests == 0
    assert part in read_output(capsys)


@pytest.mark.parametrize(
    "options", [["--examples", "0"], ["--fail-after", "0"], ["--warn-after", "inf"], ["--seed", "x"], ["-x"]]
)
def test_unparsable_options_exit_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        verify("http://127.0.0.1:1/", *options)
    assert raised.value.code == 2


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("ftp://127.0.0.1/", "An endpoint is an http or https URL with a host"),
        ("localhost:3000/hook", "An endpoint is an http or https URL with a host"),
        ("http://127.0.0.1:99999/", "a port below 65536"),
        ("http://no-such-host.invalid/", "the host no-such-host.invalid is not known"),
        (f"http://{'a' * 70}.test/", "is not known"),
        ("http://192.0.2.1/hook", "192.0.2.1 is another machine (192.0.2.1)"),
        ("http://[2001:db8::1]/hook", "2001:db8::1 is another machine"),
    ],
)
def test_an_invalid_or_remote_url_exits_2(url: str, part: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(url, "--wait", "0.1") == 2
    assert part in read_output(capsys)


def test_a_remote_receiver_is_used_only_when_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    """The unspecified address is not loopback, but a connection to it stays on this machine."""
    assert verify("http://0.0.0.0:1/hook", *FEW) == 2
    assert "0.0.0.0 is another machine" in read_output(capsys)
    assert verify("http://0.0.0.0:1/hook", "--allow-remote", "--wait", "0.2", *FEW) == 3
    assert "no server listens at http://0.0.0.0:1/hook; waited 0.2 s" in read_output(capsys)


# Excuses.


def test_excuses_are_applied_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    excuse = "--excuse", "receiver/accept/bind-mfa=no MFA: not here"
    assert verify_good(*FEW, *excuse, make=CONTROLS["RefusesBindMfa"].make) == 0
    assert parse_outcomes(read_output(capsys))["receiver/accept/bind-mfa"] == "excused"
    assert verify_good(*FEW, *excuse) == 1
    text = read_output(capsys)
    assert parse_outcomes(text)["receiver/accept/bind-mfa"] == "excuse not needed"
    assert "receiver/accept/bind-mfa passed, so its excuse is not needed: no MFA: not here" in text
    rules = "--rules", "receiver/accept/sign-in", "receiver/deliver/recipient"
    assert verify_good(*rules, "--excuse", "receiver/deliver/recipient=later") == 0
    assert re.search(
        "not applicable .* receiver/deliver/recipient .*; its excuse was not needed: later",
        read_output(capsys),
    )


def test_an_excuse_of_two_lines_is_reported_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    excuse = "--excuse", "receiver/accept/bind-mfa=known\nsee 12: receiver/accept/nothing"
    reports = "--report", "json=out.json", "junit=out.xml"
    assert verify_good(*FEW, *excuse, *reports, make=CONTROLS["RefusesBindMfa"].make) == 0
    text = read_output(capsys)
    assert parse_outcomes(text)["receiver/accept/bind-mfa"] == "excused"
    assert r"known\nsee 12: receiver/accept/nothing" in text
    assert ElementTree.parse("out.xml").getroot().find(".//skipped") is not None


# Generation.


def test_seed_examples_and_revision_determine_the_messages() -> None:
    class Records(Good):
        bodies: list[bytes] = []  # noqa: RUF012 - one class for each test

        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:
            self.bodies.append(re.sub(rb"\d{8}(?=[+@])", b"", request.body, count=1))  # of the recipient
            return super().respond(request)

    def bodies(*options: str) -> list[bytes]:
        Records.bodies.clear()
        assert verify_good("--rules", "receiver/accept/generated", *options, make=Records) == 0
        return sorted(Records.bodies)  # they are sent in parallel

    first = bodies("--seed", "7", "--examples", "40")
    assert first == bodies("--seed", "7", "--examples", "40") != bodies("--seed", "8", "--examples", "40")
    assert len(first) == 40 + 9  # one ordinary message of each type is sent first
    assert len(bodies("--examples", "3", "--revision", "v1.24.0")) == 3 + 7
    # The caller of the invitation API chooses the names in a payload of 1.22.
    assert not any(b"locale" in body for body in Records.bodies if b"OrganizationInvitation" not in body)


def test_time_limits_are_options(capsys: pytest.CaptureFixture[str]) -> None:
    rules = "--rules", "receiver/respond/promptly", "receiver/respond/within-limit"
    slow = CONTROLS["TakesItsTime"].make
    assert verify_good(*rules, make=slow) == 0
    assert set(parse_outcomes(read_output(capsys)).values()) == {"passed"}
    assert verify_good(*rules, "--warn-after", "0.2", make=slow) == 0
    assert parse_outcomes(read_output(capsys))["receiver/respond/promptly"] == "warned"
    assert verify_good(*rules, "--fail-after", "0.2", "--warn-after", "0.1", make=slow) == 1
    assert parse_outcomes(read_output(capsys))["receiver/respond/within-limit"] == "failed"


def test_https_needs_the_certificate_authority_of_the_receiver(capsys: pytest.CaptureFixture[str]) -> None:
    import ssl

    authority = trustme.CA()
    authority.cert_pem.write_to_path("ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Served(Good(), tls=context) as served:
        url = served.url.replace("http://127.0.0.1", "https://localhost")
        assert verify(url, *WITH, *FEW, "--ca-file", "ca.pem") == 0
        assert verify(url, *WITH, *FEW) == 3
    text = read_output(capsys)
    assert "The receiver was lost, and what is left was not tried." in text
    assert "certificate verify failed" in text.lower()


# Reports.


def test_reports_are_written_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    reports = "--report", "json=out.json", "--report", "junit=out.xml", "text=out.txt"
    limits = "--workers", "3", "--pace", "500"
    assert verify_good(*FEW, *reports, *limits, make=CONTROLS["RefusesBindMfa"].make) == 1
    document = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    assert document["role"] == "receiver"
    assert (document["settings"]["workers"], document["settings"]["pace"]) == (3, 500)
    assert document["passed"] is False
    outcomes = {entry["rule"]: (entry["outcome"], entry["fails_run"]) for entry in document["rules"]}
    assert outcomes == {
        "receiver/accept/sign-in": ("passed", False),
        "receiver/accept/bind-mfa": ("failed", True),
        "receiver/accept/unknown-type": ("passed", False),
    }
    (finding,) = next(entry["findings"] for entry in document["rules"] if entry["findings"])
    assert finding["reproduce"].startswith("curl -i -X POST http://127.0.0.1:")
    root = ElementTree.parse("out.xml").getroot()
    assert [suite.get("name") for suite in root.iter("testsuite")] == ["mail-contract verify"]
    cases = list(root.iter("testcase"))
    assert [case.get("name") for case in cases] == list(outcomes)
    assert {case.get("classname") for case in cases} == {"receiver.accept"}
    assert [case.find("failure") is not None for case in cases] == [False, True, False]
    assert read_output(capsys).endswith(Path("out.txt").read_text())
    assert TOKEN not in Path("out.json").read_text() + Path("out.xml").read_text()


def test_a_report_to_standard_output_moves_the_text_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert verify_good("--report", "json=-") == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    assert document["passed"] is True
    assert len(parse_outcomes(captured.err)) == len(document["rules"]) == len(list_rule_ids("receiver"))


def test_the_report_schema_refuses_missing_and_surplus_members() -> None:
    """The negative control: a document with a missing or surplus member is invalid."""
    validator = Draft202012Validator(catalogue.load("verification-report.schema.json"))
    Draft202012Validator.check_schema(validator.schema)
    assert verify_good(*FEW, "--report", "json=out.json", make=CONTROLS["RefusesBindMfa"].make) == 1
    text = Path("out.json").read_text()
    refused = 0
    for path in ([], ["settings"], ["rules", 1], ["rules", 1, "findings", 0]):
        for member in [*_at(json.loads(text), path), None]:
            document = json.loads(text)
            if member is None:
                _at(document, path)["surplus"] = 1
            else:
                del _at(document, path)[member]
            assert not validator.is_valid(document), (path, member)
            refused += 1
    assert refused > 30


def _at(document: Any, path: list[Any]) -> dict[str, Any]:
    for step in path:
        document = document[step]
    assert isinstance(document, dict)
    return document


# Unreachable and failing receivers.


def test_verify_waits_for_a_receiver_that_starts_late() -> None:
    with Served(Good()) as first:
        url = first.url
    port = int(url.split(":")[2].split("/")[0])
    later: list[Served] = []

    def start() -> None:
        time.sleep(0.5)
        later.append(Served(Good(), port=port).__enter__())

    thread = threading.Thread(target=start)
    thread.start()
    try:
        assert verify(url, *WITH, *FEW, "--wait", "10") == 0
    finally:
        thread.join()
        later[0].__exit__()


def test_a_closed_port_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    with Served(Good()) as served:
        url = served.url
    assert verify(url, "--wait", "0.2") == 3
    assert f"no server listens at {url}; waited 0.2 s" in read_output(capsys)
    assert verify(url, "--wait", "0.2", "--report", "json=out.json", "junit=out.xml") == 3
    document = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    assert document["lost"] == f"no server listens at {url}; waited 0.2 s"
    assert {entry["outcome"] for entry in document["rules"]} == {"not judged"}
    assert len(list(ElementTree.parse("out.xml").getroot().iter("error"))) == 1


def test_the_longest_time_also_ends_the_wait_for_a_receiver(capsys: pytest.CaptureFixture[str]) -> None:
    with Served(Good()) as served:
        url = served.url
    assert verify(url, "--wait", "60", "--max-time", "0.3") == 5
    assert "The run ended early: --max-time 0.3 is over." in read_output(capsys)


@contextmanager
def raw_server(data: bytes) -> Iterator[str]:
    """Serve a port that responds with these bytes and closes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(data)
            except OSError:
                pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_server_without_http_fails_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    with raw_server(b"220 mail.example.com ESMTP\r\n") as url:
        assert verify(url, *FEW) == 1
    text = read_output(capsys)
    assert "a response that is not HTTP after " in text
    assert "Expected HTTP/, RTSP/ or ICE/, at '220 mail.example.com ESMTP" in text


class StopsOnType(Good):
    """Stops listening when it receives one type of message."""

    def __init__(self, type: str) -> None:
        self.type = type
        self.served: Served | None = None

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Stop listening."""
        if message["type"] == self.type and self.served is not None:
            self.served.stop_listening()
            self.served = None
            raise ConnectionError

    def crash_response(self, error: Exception) -> tuple[int, dict[str, str], bytes]:
        """Close the connection without a response."""
        raise OSError from error


@pytest.mark.parametrize(
    ("type", "failed"),
    [
        ("ForgotPassword", ["receiver/accept/forgot-password"]),
        ("NewTemplate", ["receiver/accept/unknown-type", "receiver/accept/unknown-type-is-no-crash"]),
    ],
)
def test_a_receiver_that_stops_during_the_run_fails_the_rules_under_way(
    type: str, failed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The rules of the fatal message fail; what was not sent by then is not judged."""
    receiver = StopsOnType(type)
    served = Served(receiver)
    receiver.served = served
    rules = "--rules", "receiver/accept/*", "receiver/auth/*"
    with served:
        assert verify(served.url, *WITH, *rules, "--report", "json=out.json") == 1
    document = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    assert document["passed"] is False
    assert len(document["rules"]) == len(select_rules("receiver", rules[1:], []))
    findings = {
        entry["rule"]: entry["findings"][0]["actual"] for entry in document["rules"] if entry["findings"]
    }
    assert findings.keys() >= set(failed)
    for rule, actual in findings.items():
        assert "the receiver could not be reached since" in actual
        assert rule in failed or "it may be due to one of" in actual  # others were under way
    assert "not judged" in {entry["outcome"] for entry in document["rules"]}
    assert "the receiver cannot be reached" in read_output(capsys)


def test_an_own_fault_exits_4(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(run: ReceiverRun, rule: Rule) -> ReceiverTrial:  # noqa: ARG001 - as the method
        raise OwnFault("of ours")

    monkeypatch.setattr(ReceiverRun, "start", fail)
    assert verify_good(*FEW, "--report", "json=out.json") == 4
    text = read_output(capsys)
    assert text.count("A fault of mail-contract itself, please report it:") == 3
    document = json.loads(Path("out.json").read_text())
    assert document["faults"][0] == "receiver/accept/sign-in: OwnFault: of ours"


# Isolation from the environment.


def run(url: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, url, *WITH, *options],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_pytest_settings_of_the_environment_have_no_effect(place: Path) -> None:
    Path("pytest.ini").write_text("[pytest]\naddopts = --nonsense\nfilterwarnings = error\n")
    Path("pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '--nonsense'\n")
    Path("conftest.py").write_text("raise RuntimeError('mine')\n")
    Path("sitecustomize_.py").write_text("")
    Path("nonsense.py").write_text("raise RuntimeError('mine')\n")
    before = set(place.iterdir())
    with Served(Good()) as served:
        result = run(
            served.url,
            PYTEST_ADDOPTS="--nonsense -x",
            PYTEST_PLUGINS="nonsense",
            PYTHONPATH=str(place),
            PYTHONWARNINGS="error",
            PYTHONDONTWRITEBYTECODE="1",
        )
    # A slow machine prints how far it is.
    problems = [
        line for line in result.stderr.splitlines() if not re.match(r"mail-contract: \d+ of \d+ rules", line)
    ]
    assert (result.returncode, problems) == (0, [])
    assert len(parse_outcomes(result.stdout)) == len(list_rule_ids("receiver"))
    assert set(place.iterdir()) == before


def test_verify_restores_the_environment() -> None:
    before = dict(os.environ)
    assert verify_good(*FEW) == 0
    # The outer pytest sets this variable.
    assert {**os.environ, "PYTEST_CURRENT_TEST": ""} == {**before, "PYTEST_CURRENT_TEST": ""}


def test_an_interrupt_exits_130_and_writes_the_reports() -> None:
    registering = threading.Event()

    class Waits(Good):
        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
            if message["type"] == "Register":
                registering.set()
                time.sleep(5)
            raise Refused(200)

    with Served(Waits()) as served:
        command = [*COMMAND, served.url, *WITH, "--report", "json=out.json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if "receiver/accept/sign-in" in line:
                    break
            assert registering.wait(10)
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "The run ended early: interrupted." in rest
    assert errors == "mail-contract: interrupted\n"
    document = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    assert [entry["rule"] for entry in document["rules"]] == list(list_rule_ids("receiver"))
    assert document["rules"][0]["outcome"] == "passed"
    assert document["rules"][-1]["outcome"] == "not judged"
    assert document["passed"] is False


def test_a_closed_output_pipe_still_writes_the_reports() -> None:
    """The reports have the rules judged before the reader closed the pipe."""
    with Served(Good()) as served:
        reports = "--report json=out.json junit=out.xml text=out.txt"
        command = " ".join([*COMMAND, served.url, *WITH, reports, "| head -n 5"])
        result = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False
        )
    assert result.stdout.count("\n") == 5
    assert "Traceback" not in result.stderr
    document = json.loads(Path("out.json").read_text())
    outcomes = [entry["outcome"] for entry in document["rules"]]
    assert len(outcomes) == len(list_rule_ids("receiver"))
    assert (outcomes[0], outcomes[-1]) == ("passed", "not judged")
    assert document["passed"] is False
    assert len(list(ElementTree.parse("out.xml").getroot().iter("testcase"))) == len(document["rules"])
    assert f"{len(document['rules'])} rules: " in Path("out.txt").read_text()


def test_a_report_that_cannot_be_written_does_not_affect_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class ReplacesReport(Good):
        """Creates a folder at the path of a report, after the command has checked it."""

        def handle(self, message: Any, request: Request) -> None:
            Path("out.json").mkdir(exist_ok=True)
            super().handle(message, request)

    reports = "--report", "json=out.json", "junit=out.xml", "text=-"
    assert verify_good(*FEW, *reports, make=ReplacesReport) == 2
    captured = capsys.readouterr()
    assert "the report out.json cannot be written: Is a directory" in captured.err
    assert ElementTree.parse("out.xml").getroot().find(".//testcase") is not None
    assert re.search(r"^3 rules: 3 passed\. ", captured.out, re.MULTILINE)


def test_a_report_of_the_command_speaks_of_its_options_and_not_of_pytest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rules = "--rules", "*/accept/sign-in", "*/reject/not-json", "*/deliver/*"
    excuse = "--excuse", "receiver/accept/sign-in=later"
    reports = "--report", "junit=out.xml", "--report", "text=out.txt", "--report", "json=out.json"
    with Served(Good()) as served:
        assert verify(served.url, *WITH, *rules, *excuse, *reports) == 1
    everything = read_output(capsys) + "".join(
        Path(f"out.{kind}").read_text() for kind in ("xml", "txt", "json")
    )
    assert "--smtp-sink PORT receives them" in everything
    assert "--excuse receiver/accept/sign-in=… is not needed: later" in everything
    assert not re.search(r"pytest|marker|the test\b|ReceiverContract|SmtpSink", everything)


# What a receiver shows of the credential.


def list_shown_parts(text: str, secret: str) -> set[str]:
    """Return the parts of a secret that a text shows, also in base64, percent-encoded and as JSON."""
    encoded = (base64.b64encode(b"\0" * before + secret.encode()).decode()[4:-4] for before in range(3))
    forms = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], *encoded]
    parts = {form[start : start + 8] for form in forms for start in range(len(form) - 7)}
    return {part for part in parts if part.lower() in text.lower()}


class TellsTheCredential(Good):
    """Shows the credential where a report cuts, in a redirect, and in bytes that are no HTTP."""

    token = 'Bearer correct/h0rse&battery"staple-5678'

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        forms = (self.token, quote(self.token, safe="").lower(), json.dumps({"a": self.token}))
        encoded = base64.b64encode(self.token.encode()).decode()
        shown = (*forms, html.escape(self.token), encoded, self.token.encode().hex(), repr(self.token))
        number = next(self.numbers)
        is_redirected = message["type"] == "BindMfa"
        # Most rules need that ordinary messages are accepted, which come first.
        if not is_redirected and (number < 20 or number % 2):
            return
        if is_redirected:
            raise Refused(302, Location=f"/?again={shown[number % len(shown)]}")
        raise Refused(500 + number % 3, "x" * (199 - number % 60) + " " + shown[number % len(shown)])

    numbers = count()


def test_no_part_of_the_credential_that_a_receiver_shows_is_printed_or_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK_AUTH", TellsTheCredential.token)
    reports = "--report", "json=out.json", "junit=out.xml", "text=out.txt", "--verbose"
    with Served(TellsTheCredential()) as served:
        assert verify(served.url, *WITH, "--rules", "*/accept/*", "*/respond/*", "*/auth/*", *reports) == 1
    everything = read_output(capsys) + "".join(
        Path(f"out.{name}").read_text() for name in ("json", "xml", "txt")
    )
    assert "(masked)" in everything
    assert "Location /?again=" in everything
    assert list_shown_parts(everything, TellsTheCredential.token.partition(" ")[2]) == set()


@pytest.mark.parametrize("place", ["body", "head"])
def test_send_masks_what_a_receiver_shows_of_the_credentials(
    place: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_AUTH", "Bearer other-s3cret-value")
    password, key = "p%40ss%2Fw0rd-of-ann", "key%2Dof+the-query"
    shown = f"{'x' * 185} {quote(password, safe='')} {unquote(password)} other-s3cret-value {key}"

    garbled = Reply(b"HTTP/1.1 401 No\r\nX Y: " + shown[180:].encode() + b"\r\n\r\n", then="close")
    with Wire(reply("401 No", body=shown.encode()) if place == "body" else garbled) as wire:
        assert cli.main(["send", f"http://ann:{password}@{wire.host}/hook?key={key}", *WITH]) == 1
    printed = read_output(capsys)
    assert "(masked)" in printed
    for secret in (password, unquote(password), "other-s3cret-value", "key-of the-query"):
        assert list_shown_parts(printed, secret) == set()
