"""The pytest class and the command run one engine: they give the same results for the same receiver."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

# Loaded before the runs below, each of which forgets what it alone has imported.
import hypothesis.core  # noqa: F401
import pytest
from tests.support.broken_receivers import CONTROLS, TOKEN, Good, Served

import logto_mail_contract.receivers.contract  # noqa: F401
from logto_mail_contract.commands.main import main
from logto_mail_contract.suite.checks import select_rules

if TYPE_CHECKING:
    from pathlib import Path

RULES = ("receiver/accept/*", "receiver/auth/*", "receiver/reject/*")
EXCUSED = "receiver/accept/bind-mfa"
SOURCE = """
from logto_mail_contract import Receiver, ReceiverContract, Settings

class TestIt(ReceiverContract):
    receiver = Receiver.url({url!r}, authorization={token!r})
    settings = Settings(examples=5)
"""
WORDS = {
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
def test_they_agree(
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
            "-v", "-p", "no:cacheprovider", "-k", "accept or auth or reject", "--tb=no"
        )
    command = {entry["rule"]: entry["outcome"] for entry in json.loads(report.read_text())["rules"]}
    in_class = dict(re.findall(r"::test_rule\[(\S+)\] (PASSED|FAILED|XFAIL|SKIPPED)", ran.stdout.str()))
    assert set(command) == set(selected)
    assert in_class == {rule: WORDS[outcome] for rule, outcome in command.items()}
    assert len(set(command.values())) > 1
