"""Streams that are closed, full or left by their reader, and names of files that no terminal shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, Served
from tests.support.http_client import post

from logto_mail_contract.commands import main as cli
from logto_mail_contract.suite.reproduce import quote_argument

if TYPE_CHECKING:
    from collections.abc import Callable

COMMAND = f"'{sys.executable}' -m logto_mail_contract.commands.main"
MESSAGE = '{"to": "foo@example.com", "type": "SignIn", "payload": {"code": "012345"}}\n'
COMMANDS = {
    "few lines": "validate message.json",
    "many lines": "validate many.ndjson",
    "many lines of JSON": "validate --format json many.ndjson",
    "help": "--help",
    "another exit code": "send http://127.0.0.1:1/",
    "a report": "verify http://127.0.0.1:1/ --wait 0.1 --report json=-",
}
OUTPUTS = {
    "full": (">/dev/full", "No space left on device"),
    "closed": (">&-", "Bad file descriptor"),
    "left by its reader": ("> >(true)", "Broken pipe"),
}
ODD_NAME = "a\nb\x1b[31m\udcff.json"
SHOWN_NAME = "a\\nb\\u001b[31m\\udcff.json"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use a current folder with a message, and one with many."""
    monkeypatch.chdir(tmp_path)
    Path("message.json").write_text(MESSAGE)
    Path("many.ndjson").write_text(MESSAGE * 5000)
    return tmp_path


def run(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("command", "output"),
    [*((command, "full") for command in COMMANDS), *(("many lines", output) for output in OUTPUTS)],
)
def test_output_that_cannot_be_written_is_one_line_and_exits_2(command: str, output: str) -> None:
    redirection, reason = OUTPUTS[output]
    # The reader has left before the command starts.
    wait = "sleep 0.1;" if output == "left by its reader" else ""
    done = run(f"exec 3>&2; ({wait} exec {COMMAND} {COMMANDS[command]}) {redirection}")
    lines = [line for line in done.stderr.splitlines() if line.startswith("mail-contract: standard output")]
    assert lines == [f"mail-contract: standard output cannot be written: {reason}"]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize(
    ("command", "code"), [("validate message.json none.json", 2), ("rules", 0), ("-x", 2)]
)
def test_a_closed_or_full_standard_error_changes_no_exit_code(
    command: str, code: int, redirection: str
) -> None:
    assert run(f"{COMMAND} {command} {redirection}").returncode == code


def test_a_closed_standard_input_is_a_file_that_cannot_be_read() -> None:
    done = run(f"{COMMAND} validate - message.json <&-")
    assert done.returncode == 2
    assert done.stderr == "mail-contract: - cannot be read: Bad file descriptor\n"
    assert "message.json: valid\n" in done.stdout


@pytest.mark.parametrize("name", ["json", "junit", "text"])
def test_a_report_on_a_full_disk_is_one_line_and_exits_2(name: str) -> None:
    options = "--wait", "0.1", "--report", f"{name}=/dev/full", "json=written.json"
    done = run(f"{COMMAND} verify http://127.0.0.1:1/ {' '.join(options)}")
    assert done.returncode == 2
    assert done.stderr.splitlines()[1:] == [
        "mail-contract: the report /dev/full cannot be written: No space left on device"
    ]
    assert json.loads(Path("written.json").read_text())["role"] == "receiver"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_serve_goes_on_when_its_output_breaks_and_exits_2() -> None:
    port, errors = Path("port"), Path("errors.txt")
    command = [
        sys.executable,
        "-m",
        "logto_mail_contract.commands.main",
        "serve",
        "--port",
        "0",
        "--port-file",
        "port",
    ]
    with errors.open("w") as stream, Path("/dev/full").open("w") as full:
        serving = subprocess.Popen([*command, "--log-format", "json"], stdout=full, stderr=stream)
    try:
        wait_for(lambda: "No space left" in errors.read_text())
        assert post(f"http://127.0.0.1:{port.read_text().strip()}/").status == 200
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(30) == 2
    assert errors.read_text() == (
        "mail-contract: standard output cannot be written, and it serves on: No space left on device\n"
    )


@pytest.mark.parametrize("place", ["nowhere", "message.json"])
def test_a_port_file_that_cannot_be_written_is_one_line_and_exits_2(place: str) -> None:
    done = run(f"{COMMAND} serve --port 0 --port-file {quote_argument(f'{place}/{ODD_NAME}')}")
    assert done.returncode == 2
    assert done.stderr.startswith(f"mail-contract: the port file {place}/{SHOWN_NAME} cannot be written: No")
    assert done.stderr.count("\n") == 1


# Names.


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", ODD_NAME),
        ("verify", "http://127.0.0.1:1/", "--ca-file", ODD_NAME),
        ("verify", "http://127.0.0.1:1/", "--excuses", ODD_NAME),
        ("verify", "http://127.0.0.1:1/", "--report", f"json={ODD_NAME}/x"),
        ("verify", "http://127.0.0.1:1/", "--report", f"xml={ODD_NAME}"),
        ("verify-sender", "--", ODD_NAME),
        ("send", "https://127.0.0.1:1/", "--ca-file", ODD_NAME),
        ("send", "http://127.0.0.1:1/", "--set", ODD_NAME),
        ("serve", "--port", "0", "--store", f"{ODD_NAME}/x"),
        ("rules", ODD_NAME),
        ("sample", "--type", ODD_NAME),
        ("sample", ODD_NAME),
    ],
)
def test_a_name_is_printed_in_one_line_that_a_terminal_shows(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code: object = cli.main(arguments)
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr()
    assert code in (2, 3)
    assert all(mark.isprintable() or mark == "\n" for mark in printed.out + printed.err)
    assert "Traceback" not in printed.err
    assert "b\\u001b[31m" in printed.err or "b\\x1b[31m" in printed.err


def test_a_valid_file_is_named_in_one_line_as_text_and_as_it_is_in_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path(ODD_NAME).write_text(MESSAGE)
    assert cli.main(["validate", ODD_NAME]) == 0
    assert capsys.readouterr().out.startswith(f"{SHOWN_NAME}: valid\n1 judged")
    assert cli.main(["validate", ODD_NAME, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["messages"][0]["source"] == ODD_NAME


class ControlCharacters(Good):
    """Puts what a terminal obeys into each response that is no success."""

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        return 302, {"Location": "/\x9b31m"}, "\x1b]0;title\x07 \x9b2J \u202e \0".encode()


def test_what_a_receiver_sends_is_printed_and_reported_as_a_terminal_shows_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOOK_AUTH", TOKEN)
    rules = "receiver/reject/not-json", "receiver/auth/says-unauthorized", "receiver/reject/empty-body"
    reports = "--report", "json=out.json", "junit=out.xml", "text=out.txt"
    with Served(ControlCharacters()) as served:
        arguments = ["verify", served.url, "--authorization-env", "HOOK_AUTH", "--rules", *rules, *reports]
        assert cli.main([*arguments, "--strict"]) == 1
    printed = capsys.readouterr()
    ElementTree.parse("out.xml")
    reported = "".join(Path(f"out.{kind}").read_text(encoding="utf-8") for kind in ("json", "xml", "txt"))
    assert "title" in reported
    assert all(mark.isprintable() or mark == "\n" for mark in printed.out + printed.err + reported)


@pytest.mark.parametrize("argument", ["plain", "two words", "it's", "", ODD_NAME, "ä\n'\\x41\udcff0"])
def test_an_argument_is_quoted_in_one_line_as_a_shell_reads_it(argument: str) -> None:
    quoted = quote_argument(argument)
    assert quoted.isprintable()
    done = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(argument)
