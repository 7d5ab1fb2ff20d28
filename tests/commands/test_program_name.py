"""The name that usage, versions, messages and commands to copy have: the one that a person typed."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from tests.support.broken_receivers import TOKEN, Served, TakesNothingTwice

from logto_mail_contract import __version__
from logto_mail_contract.commands import main as cli

if TYPE_CHECKING:
    from collections.abc import Callable

SCRIPTS = [
    ("/usr/bin/mail-contract", "mail-contract"),
    ("/usr/bin/logto-mail-contract", "logto-mail-contract"),
    ("logto-mail-contract.exe", "logto-mail-contract"),
    ("/venv/lib/logto_mail_contract/commands/main.py", "mail-contract"),
    ("/venv/bin/pytest", "mail-contract"),
]
PUTS = """\
import json, sys, urllib.error, urllib.request
for line in sys.stdin:
    job = json.loads(line)
    body = json.dumps(job["message"]).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(job["endpoint"], body, method="PUT"))
        result = {"ok": True}
    except urllib.error.HTTPError as problem:
        result = {"ok": False, "error": str(problem)}
    print(json.dumps(result), flush=True)
"""


@pytest.fixture(params=SCRIPTS, ids=[script for script, _ in SCRIPTS])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start the command by each script; return the name to print."""
    script, name = request.param
    monkeypatch.setattr(sys, "argv", [script])
    return str(name)


@pytest.fixture
def output_of(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs the command and returns its standard output and standard error."""

    def run(*arguments: str) -> str:
        with suppress(SystemExit):
            cli.main(arguments)
        captured = capsys.readouterr()
        return captured.out + captured.err

    return run


def test_usage_and_versions_have_the_typed_name(name: str, output_of: Callable[..., str]) -> None:
    assert output_of("--version") == f"{name} {__version__}\n"
    assert output_of("--help").startswith(f"usage: {name} [-h]")
    assert output_of("verify", "--help").startswith(f"usage: {name} verify ")
    assert output_of("verify-sender", "--help").startswith(f"usage: {name} verify-sender ")


def test_messages_have_the_typed_name(name: str, output_of: Callable[..., str]) -> None:
    assert output_of("rules", "receiver/x") == (
        f"{name}: there is no rule 'receiver/x': {name} rules lists them\n"
    )


# Both names, and not every script: a run of verify-sender starts an interpreter.
@pytest.mark.parametrize("name", SCRIPTS[:2], indirect=True, ids=["short", "long"])
def test_commands_to_copy_have_the_typed_name(
    name: str, output_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_AUTH", TOKEN)
    with Served(TakesNothingTwice()) as served:
        output = output_of(
            *("verify", served.url, "--rules", "receiver/accept/resend", "--authorization-env", "HOOK_AUTH")
        )
    assert f" {name} verify {served.url} --rules receiver/accept/resend" in output
    sender = sys.executable, "-c", PUTS
    output = output_of("verify-sender", "--rules", "sender/request/method", "--examples", "1", "--", *sender)
    assert f" {name} verify-sender --rules sender/request/method --examples 1 -- " in output
