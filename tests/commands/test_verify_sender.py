"""``mail-contract verify-sender``: its reports, excuses and ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from logto_mail_contract import catalogue
from logto_mail_contract.commands import main as cli
from logto_mail_contract.suite.checks import list_rule_ids

ROOT = Path(__file__).parents[2]
EXAMPLE = [sys.executable, str(ROOT / "examples" / "sender_python.py")]
FAST = "--slow", "0.02", "--examples", "3"
REPORTS = "--report", "json=out.json", "--report", "junit=out.xml", "text=out.txt"
PUTS = """\
import sys
sys.path.insert(0, {root!r})
import examples.sender_python as sender
exchange = sender.exchange
sender.exchange = lambda method, url, body, headers: exchange("PUT", url, body, headers)
sender.main()
"""
HANGS = """\
import os, pathlib, sys, time
for number, job in enumerate(sys.stdin):
    if number == 1:
        pathlib.Path("pid").write_text(str(os.getpid()))
        time.sleep(600)
    print('{"ok": true}', flush=True)
"""
HANGING = [sys.executable, "-c", HANGS]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use an empty current folder."""
    monkeypatch.chdir(tmp_path)


def read_json() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    return document


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_hang() -> int:
    """Return the process id of the sender once it hangs."""
    deadline = time.monotonic() + 30
    while not Path("pid").exists() or not Path("pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(Path("pid").read_text())


def test_reports_are_written_in_every_format(capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", PUTS.format(root=str(ROOT))]
    rules = "--rules", "sender/request/method", "sender/request/target"
    assert cli.main(["verify-sender", *FAST, *rules, *REPORTS, "--", *command]) == 1
    document = read_json()
    assert document["role"] == "sender"
    assert document["command"] == shlex.join(command)
    assert {entry["rule"]: entry["outcome"] for entry in document["rules"]} == {
        "sender/request/method": "failed",
        "sender/request/target": "passed",
    }
    suite = ElementTree.parse("out.xml").getroot()[0]
    assert suite.get("name") == "mail-contract verify-sender"
    assert [case.find("failure") is not None for case in suite.iter("testcase")] == [True, False]
    assert capsys.readouterr().out.endswith(Path("out.txt").read_text())


def test_the_schema_accepts_no_mixture_of_roles() -> None:
    """The negative control of the schema: each report has the members and settings of its role alone."""
    rules = "--rules", "sender/request/method"
    assert cli.main(["verify-sender", *FAST, *rules, *REPORTS, "--", *EXAMPLE]) == 0
    document = read_json()
    validator = Draft202012Validator(catalogue.load("verification-report.schema.json"))
    mixtures: list[dict[str, Any]] = [
        {"role": "receiver"},
        {"url": "http://127.0.0.1/"},
        {"settings": {**document["settings"], "workers": 1}},
        {"settings": {}},
    ]
    for changes in mixtures:
        assert not validator.is_valid({**document, **changes}), changes
    assert not validator.is_valid({name: value for name, value in document.items() if name != "command"})


def test_excuses_are_applied(capsys: pytest.CaptureFixture[str]) -> None:
    Path("excuses.txt").write_text("sender/request/method: an old proxy\nreceiver/accept/generic: not here\n")
    command = [sys.executable, "-c", PUTS.format(root=str(ROOT))]
    rules = "--rules", "sender/request/method"
    options = [*FAST, *rules, "--excuses", "excuses.txt"]
    assert cli.main(["verify-sender", *options, "--", *command]) == 0
    assert "excused           MUST   sender/request/method" in capsys.readouterr().out
    assert cli.main(["verify-sender", *options, "--", *EXAMPLE]) == 1
    assert "its excuse is not needed: an old proxy" in capsys.readouterr().out


def test_a_sender_that_cannot_start_is_reported() -> None:
    assert cli.main(["verify-sender", *REPORTS, "--", "/no/such/program"]) == 3
    document = read_json()
    assert "cannot be started" in document["lost"]
    assert [entry["outcome"] for entry in document["rules"]] == ["not judged"] * len(list_rule_ids("sender"))


def test_the_longest_time_ends_a_sender_that_hangs(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.monotonic()
    options = [*FAST, "--patience", "60", "--max-time", "1", *REPORTS]
    assert cli.main(["verify-sender", *options, "--", *HANGING]) == 5
    assert time.monotonic() - start < 30
    document = read_json()
    assert document["ended"] == "--max-time 1 is over"
    assert document["lost"] == ""
    assert {entry["outcome"] for entry in document["rules"]} == {"not judged"}
    assert not is_alive(wait_for_hang())
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("not passed: ")
    assert last.endswith(" rules of level MUST were not judged")


@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_the_sender_and_writes_the_reports(
    number: signal.Signals, code: int, reason: str
) -> None:
    command = [sys.executable, "-m", "logto_mail_contract.commands.main", "verify-sender"]
    command += [*FAST, "--patience", "60", *REPORTS, "--", *HANGING]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        pid = wait_for_hang()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == code
    assert errors == f"mail-contract: {reason}\n"
    assert not is_alive(pid)
    assert read_json()["ended"] == reason
    assert len(list(ElementTree.parse("out.xml").getroot().iter("testcase"))) == len(list_rule_ids("sender"))


def test_the_commands_load_nothing_that_the_first_request_does_not_need() -> None:
    """Each of these takes a tenth of a second or more; the control shows that the names are right."""
    heavy = {
        "hypothesis",
        "rich",
        "xml.etree.ElementTree",
        "logto_mail_contract.reports.json",
        "logto_mail_contract.reports.junit",
        "logto_mail_contract.strategies",
    }

    def load(statement: str) -> set[str]:
        code = f"import sys\n{statement}\nprint(*sys.modules)"
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
        )
        return set(result.stdout.split())

    commands = "from logto_mail_contract.commands import main, verify, verify_sender"
    storage = "from logto_mail_contract.suite.search import keep_storage_apart as k\nk().__enter__()"
    assert heavy & load(f"{commands}\n{storage}") == set()
    control = "import hypothesis, rich, logto_mail_contract.strategies"
    assert heavy <= load(f"{control}\nfrom logto_mail_contract.reports import json, junit")
