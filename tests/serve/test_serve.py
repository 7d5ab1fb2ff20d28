"""The command ``mail-contract serve`` as a process: what it prints, how it ends, what stops it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.support.http_client import BROKEN, MESSAGE, Client, post

from logto_mail_contract.commands import main as cli
from logto_mail_contract.commands import serve
from logto_mail_contract.serve.endpoint import StandingEndpoint
from logto_mail_contract.serve.store import MemoryStore, Query, SqliteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECONDS = 20
COMMAND = (sys.executable, "-m", "logto_mail_contract.commands.main", "serve")
INVITATION = {
    "to": "foo@example.com",
    "type": "OrganizationInvitation",
    "payload": {"link": "https://example.com/join", "locale": "en"},
}


class Served(NamedTuple):
    """A running command."""

    process: subprocess.Popen[str]
    url: str

    def end(self, *signals: signal.Signals) -> tuple[int, str, str]:
        """Send signals, and return the exit code and what was printed."""
        for number in signals or (signal.SIGINT,):
            self.process.send_signal(number)
            time.sleep(0.3 if len(signals) > 1 else 0)
        out, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, errors


@contextmanager
def serving(folder: Path, *words: str, environment: dict[str, str] | None = None) -> Iterator[Served]:
    """Run the command until the block ends, and wait until it listens."""
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", "--port-file", str(port_file), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    with process:
        try:
            until = time.monotonic() + SECONDS
            while not port_file.exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.01)
            yield Served(process, f"http://127.0.0.1:{port_file.read_text().strip()}/mail")
        finally:
            process.kill()


def refused(*words: str, **environment: str) -> str:
    """Run the command with options that it does not start with, and return what it says."""
    result = subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, ""), result
    assert "Traceback" not in result.stderr
    return result.stderr


def test_it_says_where_it_is_and_what_came(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for body in (MESSAGE, INVITATION, BROKEN, b"-"):
            post(served.url, body)
        with Client(served.url) as client:
            client.post(MESSAGE, method="PUT", target="/other?x=1")
        code, out, errors = served.end()
    root = served.url.removesuffix("mail")
    head, _, log = out.partition("Ctrl-C ends it.\n")
    assert head == (
        "mail-contract serve 0.1.0: revision 1.35, layer guard\n"
        f"  endpoint for Logto's HTTP email connector  {root}\n"
        "  Authorization                              not looked at\n"
        f"  inbox                                      {root}\n"
        f"  API                                        {root}api/openapi.json\n"
        "  messages                                   memory, at most 10000\n"
    )
    lines = [re.sub(r"^\d\d:\d\d:\d\d\.\d\d\d", "TIME", line) for line in log.splitlines()]
    nothing = "expecting value at line 1, column 1"
    assert lines == [
        "TIME  #1  SignIn to foo@example.com  code 042137  200, kept",
        "TIME  #2  OrganizationInvitation to foo@example.com  link https://example.com/join  200, kept",
        "TIME  #3  SignIn to foo@example.com  400, broken",
        "    message/guard/code  MUST  at /payload/code: a number (masked); expected a string",
        "TIME  #4  POST /mail, no message  400, broken",
        f"    message/text/json  MUST  at the whole message: {nothing}; expected JSON as JSON.parse reads it",
        "TIME  #5  PUT /other?x=1, no message  405, broken",
        '    sender/request/method  MUST  at the whole message: "PUT"; expected POST',
    ]
    assert (code, errors) == (1, "mail-contract: 3 messages broke the contract\n")


def test_json_lines(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as served:
        post(served.url, MESSAGE)
        post(served.url, b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": 1e999}}')
        _, out, _ = served.end()
    ready, kept, broken = (json.loads(line, parse_constant=pytest.fail) for line in out.splitlines())
    assert ready["event"] == "ready"
    assert ready["url"] == served.url.removesuffix("mail")
    assert {**kept, "time": ""} == {
        "time": "",
        "event": "delivery",
        "id": 1,
        "to": "foo@example.com",
        "type": "SignIn",
        "code": "042137",
        "link": None,
        "status": 200,
        "answered": "200",
        "broken": False,
        "findings": [],
    }
    assert (broken["broken"], broken["findings"][0]["pointer"]) == (True, "/payload/code")


@pytest.mark.parametrize("style", ["text", "json"])
def test_redacted_lines_have_no_code_and_no_link(tmp_path: Path, style: str) -> None:
    odd = {**MESSAGE, "payload": {"code": "\u202e042137", "link": 42137042137}}
    with serving(tmp_path, "--redact", "--log-format", style) as served:
        for body in (MESSAGE, INVITATION, odd):
            post(served.url, body)
        # Written as text once more, the whole message or its payload.
        post(served.url, json.dumps(MESSAGE))
        post(served.url, {**MESSAGE, "payload": json.dumps(MESSAGE["payload"])})
        _, out, _ = served.end()
    assert out.count("foo@example.com") == 4
    assert "42137" not in out
    assert "/join" not in out


def test_no_line_holds_what_a_terminal_would_obey(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\r\n\u202e"
    message = {"to": hostile, "type": hostile, "payload": {"code": hostile, "link": hostile}}
    with serving(tmp_path, "--lenient") as served:
        post(served.url, message)
        post(served.url, b"{", "X: y", method="PUT")
        _, out, _ = served.end()
    assert all(line.isprintable() for line in out.splitlines())
    assert "owned" in out


def test_a_credential_is_wanted_and_never_printed(tmp_path: Path) -> None:
    words = ("--authorization-env", "MAIL_SECRET")
    with serving(tmp_path, *words, environment={"MAIL_SECRET": "Bearer s3cret"}) as served:
        assert post(served.url, MESSAGE, "Authorization: Bearer s3cret").status == 200
        assert post(served.url, MESSAGE, "Authorization: Bearer an0ther").status == 401
        assert post(served.url, MESSAGE).status == 401
        code, out, errors = served.end()
    assert code == 1
    assert "as in MAIL_SECRET" in out
    assert "s3cret" not in out + errors
    assert "an0ther" not in out + errors


def test_a_credential_may_be_any_bytes(tmp_path: Path) -> None:
    words = ("--authorization-env", "MAIL_SECRET")
    with serving(tmp_path, *words, environment={"MAIL_SECRET": "K\udcff"}) as served:
        assert post(served.url, MESSAGE, "Authorization: K\xff").status == 200
        assert post(served.url, MESSAGE, "Authorization: K\xfe").status == 401
        assert served.end()[0] == 1


@pytest.mark.parametrize(
    ("bodies", "words", "code"),
    [
        ([], (), 0),
        ([MESSAGE], (), 0),
        ([MESSAGE, BROKEN], (), 1),
        ([BROKEN], ("--lenient",), 0),
        ([{**MESSAGE, "type": "Unheard"}], ("--revision", "1.22"), 1),
    ],
)
def test_the_exit_code_says_whether_the_contract_was_kept(
    tmp_path: Path, bodies: list[object], words: tuple[str, ...], code: int
) -> None:
    with serving(tmp_path, *words) as served:
        for body in bodies:
            post(served.url, body)
        assert served.end(signal.SIGTERM)[0] == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_drains(tmp_path: Path, number: signal.Signals) -> None:
    """What has begun is answered, and no new connection is taken."""
    with serving(tmp_path) as served, Client(served.url) as slow, Client(served.url) as idle:
        request = slow.request()
        slow.send(request[:-5])
        idle.post()
        time.sleep(0.2)
        served.process.send_signal(number)
        assert idle.read() == b""
        with pytest.raises(OSError, match=r"refused|reset"), Client(served.url):
            pass
        slow.send(request[-5:])
        assert slow.answer().status == 200
        assert slow.read() == b""
        out, errors = served.process.communicate(timeout=SECONDS)
    assert served.process.returncode == 0, errors
    assert "#2  SignIn to foo@example.com  code 042137  200, kept" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as served, Client(served.url) as slow:
        slow.send(slow.request()[:-5])
        time.sleep(0.2)
        code, _, errors = served.end(number, number)
    assert (code, errors) == (130, "mail-contract: stopped before everything was answered\n")


def test_whoever_waits_is_let_go_when_it_ends(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as served,
        Client(served.url) as waiting,
        Client(served.url) as listening,
        Client(served.url) as unanswered,
    ):
        script = json.dumps({"reply": "silence"}).encode()
        with Client(served.url) as client:
            assert client.post(script, target="/api/replies").status == 201
        waiting.send(waiting.request(b"", method="GET", target="/api/messages/latest?type=Nothing&wait=60"))
        listening.send(listening.request(b"", method="GET", target="/api/events"))
        unanswered.send(unanswered.request())
        assert listening.head()[0] == 200
        time.sleep(0.2)
        start = time.monotonic()
        assert served.end()[0] == 0
        assert time.monotonic() - start < 5
        assert waiting.answer().status == 503
        assert unanswered.read() == b""
        assert b"event: hello" in listening.read()


def test_the_store_is_there_again(tmp_path: Path) -> None:
    file = str(tmp_path / "inbox.sqlite")
    with serving(tmp_path, "--store", file) as served:
        post(served.url, MESSAGE)
        served.end()
    with serving(tmp_path, "--store", file, "--max-messages", "1") as served:
        post(served.url, INVITATION)
        _, out, _ = served.end()
    assert f"{file}, 1 message so far, at most 1\n" in out
    with closing(SqliteStore(file, 10)) as store:
        assert [(one.id, one.type) for one in store.select(Query(), 9, newest=False)] == [
            (2, "OrganizationInvitation")
        ]
        assert store.dropped == 1


def test_a_delivery_that_cannot_be_kept_is_not_accepted(tmp_path: Path) -> None:
    """The disk is as full as a limit on the size of files makes it."""
    file = tmp_path / "inbox.sqlite"
    limited = (
        "import resource, signal, sys; from logto_mail_contract.commands.main import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); sys.exit(main())"
    )
    big = {**MESSAGE, "payload": {"code": "042137", "filler": "x" * 100_000}}
    port_file = tmp_path / "port"
    words = ["serve", "--port", "0", "--store", str(file), "--port-file", str(port_file)]
    with subprocess.Popen(
        [sys.executable, "-c", limited, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not port_file.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        url = f"http://127.0.0.1:{port_file.read_text().strip()}/mail"
        answers = [post(url, big).status for _ in range(6)]
        health = Client(url)
        with health:
            state = health.post(b"", method="GET", target="/healthz")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)
    accepted = answers.count(200)
    assert answers == [200] * accepted + [503] * (6 - accepted)
    assert 0 < accepted < 6
    assert (state.status, state.json["status"]) == (503, "failing")
    assert "inbox.sqlite" in state.json["error"]
    # Told once, not for each delivery.
    assert out.count("what was kept before is there") == 1
    with closing(SqliteStore(str(file), 100)) as store:
        assert [one.id for one in store.select(Query(), 100, newest=False)] == list(range(1, accepted + 1))


def test_a_file_that_is_deleted_under_it_is_told(tmp_path: Path) -> None:
    file = tmp_path / "inbox.sqlite"
    with serving(tmp_path, "--store", str(file)) as served:
        assert post(served.url).status == 200
        for path in tmp_path.glob("inbox.sqlite*"):
            path.unlink()
        assert [post(served.url).status for _ in range(2)] == [503, 503]
        _, out, _ = served.end()
    assert out.count("was deleted or replaced while it was in use, and nothing is kept any more") == 1
    assert not file.exists()


def test_it_goes_on_where_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.process.stdout is not None
        served.process.stdout.close()
        for _ in range(3):
            assert post(served.url).status == 200
            time.sleep(0.1)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 0


def post_many(url: str, count: int) -> None:
    """Post on one connection, many at once."""
    with Client(url) as client:
        request = client.request()
        for _ in range(count // 100):
            client.send(request * 100)
            for _ in range(100):
                assert client.answer().status == 200


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_reader_that_stands_still_holds_nobody_up(tmp_path: Path, style: str) -> None:
    """A pipe takes 64 KiB, and ten thousand more lines are kept; what is beyond is left out and told."""
    with serving(tmp_path, "--log-format", style) as served:
        post_many(served.url, 25_000)
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(served.process.stdout or []))
        reading.start()
        until = time.monotonic() + SECONDS
        while not any("left out here" in line for line in lines):
            assert time.monotonic() < until
            post(served.url)
            time.sleep(0.1)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 0
        reading.join()
    left_out = [int(n) for line in lines for n in re.findall("([0-9]+) lines? left out here, since", line)]
    ids = [int(id) for line in lines for id in re.findall(r'(?:#|"id": )([0-9]+)', line)]
    assert len(ids) + sum(left_out) == max(ids)
    if style == "json":
        assert {json.loads(line)["event"] for line in lines} == {"ready", "delivery", "problem"}


def test_it_ends_where_nobody_reads(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        post_many(served.url, 3000)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 0


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused("--port", str(port))
    assert f"cannot listen at 127.0.0.1 port {port}: " in said
    assert "--port 0 takes a free one" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--port", "99999"], "cannot listen at 127.0.0.1 port 99999"),
        (["--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid port 8025"),
        (["--revision", "9.9"], "There is no contract revision '9.9'"),
        (["--revision", "1.22", "--layer", "documented"], "Revision 1.22 has no layer 'documented'"),
        (["--authorization-env", "NOT_SET"], "the environment variable NOT_SET is not set, or empty"),
        (["--host", "mail..test"], "cannot listen at mail..test port 8025"),
        (["--max-messages", "0"], "--max-messages"),
        (["--store", "/"], "/ is a folder; name a file in it"),
        (["--store", "/none/inbox.sqlite"], "The folder must be there and be writable"),
        (["--port-file", "/none/port"], "/none/port cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_started_with_is_told(words: list[str], said: str) -> None:
    free = [] if words[0] in ("--port", "--host") else ["--port", "0"]
    assert said in refused(*free, *words)


def test_a_port_file_that_is_a_folder_is_told_and_nothing_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "port").mkdir()
    assert "cannot be written" in refused("--port", "0", "--port-file", str(tmp_path / "port"))
    assert [file.name for file in tmp_path.iterdir()] == ["port"]


def test_a_missing_server_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "logto_mail_contract.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve", "--port", "0"]) == 2
    assert "pip install 'logto-mail-contract[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "shown", "warned"),
    [
        ("127.0.0.1", "http://127.0.0.1:8025/", False),
        ("::1", "http://[::1]:8025/", False),
        ("0.0.0.0", "http://localhost:8025/", True),
        ("::", "http://localhost:8025/", True),
        ("192.0.2.7", "http://192.0.2.7:8025/", True),
    ],
)
def test_it_warns_beyond_loopback(
    host: str, shown: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log = serve.Log(as_json=False, redact=False)
    options: Any = cli._parser().parse_args(["serve", "--host", host])
    serve._announce(options, StandingEndpoint(MemoryStore(1), log), log, host, 8025)
    printed = capsys.readouterr()
    assert f"connector  {shown}\n" in printed.out
    assert ("whoever reaches port 8025 can read every code" in printed.err) == warned
