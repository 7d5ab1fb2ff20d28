"""The command of a finding shows the failure again: each is run against the receiver that failed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import CONTROLS, TOKEN, Served
from tests.support.runs import has_failed, try_rules

from logto_mail_contract.commands.main import main
from logto_mail_contract.receivers.checks import DECLARED, list_senders
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.reproduce import reproduce
from logto_mail_contract.wire.calls import Call

if TYPE_CHECKING:
    from logto_mail_contract.findings import Finding

SLOW = {name for name, control in CONTROLS.items() if control.settings.fail_after < 5 or not control.threads}
"""Controls about time: what a command shows takes as long."""


def find_findings(url: str, rules: tuple[str, ...], settings: Settings) -> list[Finding]:
    with closing(Receiver.url(url, authorization=TOKEN)) as receiver:
        results = try_rules([f"receiver/{rule}" for rule in rules], receiver, settings)
    return [result.findings[0] for result in results if has_failed(result)]


def run_curl(command: str) -> int:
    """Run a command and return the last status that it shows."""
    completed = subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        check=False,
        timeout=20,
        env={"AUTHORIZATION": TOKEN, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    heads = [line for line in completed.stdout.splitlines() if line.startswith(b"HTTP/1.")]
    return int(heads[-1].split()[1]) if heads else 0


@pytest.mark.parametrize("name", sorted(CONTROLS.keys() - SLOW))
def test_the_command_shows_the_failure_again(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    monkeypatch.setenv("AUTHORIZATION", TOKEN)
    control = CONTROLS[name]
    with Served(control.make()) as served:
        for finding in find_findings(served.url, control.failed_rules[:1], control.settings):
            assert "s3cret" not in finding.reproduce
            if finding.reproduce.startswith("mail-contract "):
                main(shlex.split(finding.reproduce)[1:])
                assert f"{finding.rule}  {finding.level}" in capsys.readouterr().out
            else:
                shown = run_curl(finding.reproduce)
                assert f" {shown} " in f" {finding.actual.replace(',', ' ')} "


@pytest.mark.parametrize(
    "name", ["TakesNothingTwice", "PromisesLess", "ClosesWithoutAWord", "OneAtATime", "CrashesOnLargeBodies"]
)
def test_what_one_curl_cannot_show_is_shown_by_verify(name: str) -> None:
    control = CONTROLS[name]
    with Served(control.make()) as served:
        (finding,) = find_findings(served.url, control.failed_rules[:1], control.settings)
    assert finding.reproduce.startswith(f"mail-contract verify {served.url} --rules {finding.rule} ")


# The line of verify.


def format_command(
    rule: str, settings: Settings, group: str = "", *, sink: int | None = None, cuts: tuple[int, ...] = ()
) -> str:
    with closing(Receiver.url("http://127.0.0.1:1/hook", authorization=TOKEN)) as receiver:
        call = Call("/hook", (("authorization", TOKEN),), b"{}", cuts=cuts)
        rules = list_senders(rule, group)
        return reproduce(rules, receiver, settings, call, {}, follows=False, sink_port=sink)


def test_the_line_has_what_was_not_usual() -> None:
    settings = Settings(seed=3, workers=4, pace=2.5, examples=9)
    line = format_command("receiver/respond/keep-alive", settings, sink=2525)
    assert line.endswith(
        " --rules receiver/respond/keep-alive --authorization-env AUTHORIZATION --smtp-sink 2525 --seed 3"
        " --examples 9 --workers 4 --pace 2.5"
    )


def test_the_line_has_the_seed_where_messages_are_drawn() -> None:
    assert format_command("receiver/accept/generated", Settings(), cuts=(3,)).endswith(" --seed 0")
    assert "--seed" not in format_command("receiver/accept/resend", Settings())


def test_the_line_has_the_rule_that_sends_the_request() -> None:
    line = format_command("receiver/respond/framing", Settings(), "locale_forms")
    assert " --rules receiver/respond/framing receiver/accept/locale-forms " in line
    own = format_command("receiver/respond/framing", Settings(), "ordinary")
    assert " --rules receiver/respond/framing --" in own


def test_a_request_in_pieces_is_shown_by_verify() -> None:
    assert format_command("receiver/accept/pieces", Settings(), cuts=(3,)).startswith("mail-contract verify ")
    assert format_command("receiver/accept/pieces", Settings()).startswith("curl ")


def test_a_mail_is_shown_by_verify_since_the_sink_ends_with_the_run() -> None:
    line = format_command("receiver/deliver/link-intact", Settings(), sink=2525)
    assert line.startswith("mail-contract verify ")
    assert line.count(" --smtp-sink 2525") == 1
    assert format_command("receiver/accept/sign-in", Settings(), sink=2525).startswith("curl ")
    assert format_command("receiver/deliver/link-intact", Settings()).startswith("curl ")


def test_curl_adds_no_content_type() -> None:
    assert " -H 'content-type:' " in format_command("receiver/accept/sign-in", Settings())


def test_no_two_batches_have_one_name() -> None:
    batches = {batch for declared in DECLARED.values() for batch in declared.batches}
    names = [batch.name for batch in batches]
    assert len(names) == len(set(names))
