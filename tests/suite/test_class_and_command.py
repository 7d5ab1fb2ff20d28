"""The pytest classes and the commands run one engine: they give the same results for the same subject."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

# Import here: each run below drops the modules that it imports first.
import hypothesis.core  # noqa: F401
import pytest
import trustme  # noqa: F401
from tests.support.broken_receivers import CONTROLS, TOKEN, Good, Refused, Request, Served

import logto_mail_contract.receivers.contract  # noqa: F401
from logto_mail_contract.commands.main import main
from logto_mail_contract.suite.checks import select_rules

RULES = ("receiver/accept/*", "receiver/auth/*", "receiver/reject/*")
EXCUSED = "receiver/accept/bind-mfa"
SOURCE = """
import json
import pytest
from logto_mail_contract import Receiver, ReceiverContract, Settings

class TestIt(ReceiverContract):
    receiver = Receiver.url({url!r}, authorization={token!r})
    settings = Settings(examples=5)

    @pytest.fixture(autouse=True)
    def note(self, mail_contract_result):
        result = mail_contract_result
        with open("class.ndjson", "a") as file:
            print(json.dumps([result.rule.id, result.outcome, result.cases, result.reason]), file=file)
"""
SENDER_RULES = ("sender/request/*", "sender/body/*")
SENDER = """
import sys
sys.path.insert(0, {root!r})
import examples.sender_python as sender
exchange = sender.exchange
sender.exchange = lambda method, url, body, headers: exchange({method!r}, url, body, headers)
sender.main()
"""
SENDER_SOURCE = """
from logto_mail_contract import SenderContract, SenderSettings

class TestIt(SenderContract):
    command = {command!r}
    settings = SenderSettings(examples=3, slow=0.02)
"""
PYTEST_OUTCOMES = {
    "passed": "PASSED",
    "failed": "FAILED",
    "warned": "XFAIL",
    "excused": "XFAIL",
    "excuse not needed": "FAILED",
    "not judged": "SKIPPED",
    "not applicable": "SKIPPED",
}
"""What pytest prints for each outcome."""


@pytest.mark.parametrize(
    "make",
    [Good, CONTROLS["RefusesBindMfa"].make, CONTROLS["ClosedListOfTypes"].make],
    ids=lambda made: made.__name__,
)
def test_receiver_class_and_verify_agree(
    make: type[Good], pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.setenv("HOOK_AUTH", TOKEN)
    report = tmp_path / "out.json"
    selected = select_rules("receiver", RULES, [])
    with Served(make()) as served:
        options = ["--authorization-env", "HOOK_AUTH", "--examples", "5", "--excuse", f"{EXCUSED}=known"]
        main(["verify", served.url, *options, "--rules", *RULES, "--report", f"json={report}"])
        pytester.makeini(f"[pytest]\nmail_contract_excuses = {EXCUSED}: known\n")
        pytester.makepyfile(SOURCE.format(url=served.url, token=TOKEN))
        ran = pytester.runpytest_inprocess(
            "-v", "-p", "no:cacheprovider", "-k", "accept/ or auth/ or reject/", "--tb=no"
        )
    entries = json.loads(report.read_text())["rules"]
    noted = [json.loads(line) for line in Path("class.ndjson").read_text().splitlines()]
    assert noted == [[entry[name] for name in ("rule", "outcome", "cases", "reason")] for entry in entries]
    command = {entry["rule"]: entry["outcome"] for entry in entries}
    in_class = dict(re.findall(r"::test_rule\[(\S+)\] (PASSED|FAILED|XFAIL|SKIPPED)", ran.stdout.str()))
    assert set(command) == set(selected)
    assert in_class == {rule: PYTEST_OUTCOMES[outcome] for rule, outcome in command.items()}
    assert len(set(command.values())) > 1


class RefusesTypes(Good):
    """Refuses two types in the same way, and a third one in another."""

    def handle(self, message: Any, request: Request) -> None:
        if message["type"] in ("MfaVerification", "BindMfa"):
            raise Refused(400, f"unknown type {message['type']!r}")
        if message["type"] == "Register":
            raise Refused(409, "no registration")
        super().handle(message, request)


def test_rules_of_a_class_with_one_cause_name_the_first(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rule fails as a test of its own, and its text names the first with the same cause."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    # With it pytest prints each failure once more, whole, in its summary.
    monkeypatch.delenv("CI", raising=False)
    with Served(RefusesTypes()) as served:
        pytester.makeini("[pytest]\n")
        pytester.makepyfile(SOURCE.format(url=served.url, token=TOKEN))
        rules = "accept/sign-in or accept/register or accept/mfa-verification or accept/bind-mfa"
        ran = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", rules)
    ran.assert_outcomes(passed=1, failed=3)
    found = re.findall(
        r"^E? *(receiver/\S+)  MUST$|^E? +cause +the same as in (\S+)$", ran.stdout.str(), re.MULTILINE
    )
    assert [rule or f"as {cause}" for rule, cause in found] == [
        "receiver/accept/register",
        "receiver/accept/mfa-verification",
        "receiver/accept/bind-mfa",
        "as receiver/accept/mfa-verification",
    ]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_sender_class_and_verify_sender_agree(
    method: str,
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    root = str(Path(__file__).parents[2])
    sender = [sys.executable, "-c", SENDER.format(root=root, method=method)]
    options = ["--examples", "3", "--slow", "0.02", "--rules", *SENDER_RULES]
    assert main(["verify-sender", *options, "--", *sender]) == (method != "POST")
    lines = re.findall(r"^  (\w[\w ]*?) +(?:[A-Z]+ +)?(sender/\S+) ", capsys.readouterr().out, re.MULTILINE)
    command = {rule: outcome for outcome, rule in lines}
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(SENDER_SOURCE.format(command=sender))
    ran = pytester.runpytest_inprocess(
        "-v", "-p", "no:cacheprovider", "-k", "sender/request or sender/body", "--tb=no"
    )
    in_class = dict(re.findall(r"::test_rule\[(\S+)\] (PASSED|FAILED|XFAIL|SKIPPED)", ran.stdout.str()))
    assert set(command) == set(select_rules("sender", SENDER_RULES, []))
    assert in_class == {rule: PYTEST_OUTCOMES[outcome] for rule, outcome in command.items()}
    assert ("failed" in command.values()) == (method != "POST")
