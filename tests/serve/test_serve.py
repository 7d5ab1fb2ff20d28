"""The command ``mail-contract serve`` as a process: what it prints, how it ends, and its errors."""

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
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.support.http_client import INVALID, MESSAGE, Client, post

from logto_mail_contract.commands import main as cli
from logto_mail_contract.commands import serve
from logto_mail_contract.commands.parser import build_parser
from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.serve.endpoint import StandingEndpoint
from logto_mail_contract.serve.log import PrintedLog
from logto_mail_contract.serve.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 45
"""Deadline of every wait; less than the minute for which a client waits in a test."""
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

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal, and return the exit code, the output and the errors."""
        self.process.send_signal(number)
        out, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, errors


@contextmanager
def serving(
    folder: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    command: tuple[str, ...] = COMMAND,
) -> Iterator[Served]:
    """Run the command until the block ends, and wait until it listens."""
    port_file = folder / "port"
    port_file.unlink(missing_ok=True)
    process = subprocess.Popen(
        [*command, "--port", "0", "--port-file", str(port_file), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    with process:
        try:
            wait_until(lambda: port_file.exists() or process.poll() is not None)
            assert process.poll() is None, process.communicate()
            yield Served(process, f"http://127.0.0.1:{port_file.read_text().strip()}/mail")
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is true."""
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def run_refused(*arguments: str, **environment: str) -> str:
    """Run the command with options that it refuses, and return its error."""
    result = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, **environment},
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, ""), result
    assert "Traceback" not in result.stderr
    return result.stderr


def begin(client: Client) -> bytes:
    """Send a request without its last bytes, wait until the server reads it, and return those bytes."""
    request = client.request(MESSAGE, "Expect: 100-continue")
    client.send(request[:-5])
    assert client.head() == (100, {})
    return request[-5:]


def read_until(client: Client, text: bytes) -> None:
    """Read from a connection until a text is received."""
    data = b""
    while text not in data:
        byte = client.read(1)
        assert byte, data
        data += byte


def is_refusing(url: str) -> bool:
    """Return whether new connections are refused."""
    try:
        Client(url).close()
    except OSError:
        return True
    return False


def test_it_prints_its_address_and_each_delivery(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for body in (MESSAGE, INVITATION, INVALID, b"-"):
            post(served.url, body)
        with Client(served.url) as client:
            client.post(MESSAGE, method="PUT", target="/other?x=1")
        code, out, errors = served.end()
    root = served.url.removesuffix("mail")
    head, _, log = out.partition("Ctrl-C ends it.\n")
    assert head == (
        "mail-contract serve 0.1.0: revision 1.35, layer guard\n"
        f"  endpoint for Logto's HTTP email connector  {root}\n"
        "  Authorization                              not checked\n"
        f"  inbox                                      {root}\n"
        f"  API                                        {root}api/openapi.json\n"
        "  messages                                   memory, at most 10000\n"
    )
    lines = [re.sub(r"^\d\d:\d\d:\d\d\.\d\d\d", "TIME", line) for line in log.splitlines()]
    nothing = "expecting value at line 1, column 1"
    assert lines == [
        "TIME  #1  SignIn to foo@example.com  code 042137  200, valid",
        "TIME  #2  OrganizationInvitation to foo@example.com  link https://example.com/join  200, valid",
        "TIME  #3  SignIn to foo@example.com  400, invalid",
        "    message/guard/code  MUST  at /payload/code: a number (masked); expected a string",
        "TIME  #4  POST /mail, no message  400, invalid",
        f"    message/text/json  MUST  at the whole message: {nothing}; expected JSON as JSON.parse reads it",
        "TIME  #5  PUT /other?x=1, no message  405, invalid",
        '    sender/request/method  MUST  at the whole message: "PUT"; expected POST',
    ]
    assert (code, errors) == (1, "mail-contract: 3 messages broke the contract\n")


def test_json_lines(tmp_path: Path) -> None:
    with serving(tmp_path, "--log-format", "json") as served:
        post(served.url, MESSAGE)
        post(served.url, b'{"to": "foo@example.com", "type": "SignIn", "payload": {"code": 1e999}}')
        _, out, _ = served.end()
    ready, valid, invalid = (json.loads(line, parse_constant=pytest.fail) for line in out.splitlines())
    assert ready["event"] == "ready"
    assert ready["url"] == served.url.removesuffix("mail")
    assert {**valid, "time": ""} == {
        "time": "",
        "event": "delivery",
        "id": 1,
        "to": "foo@example.com",
        "type": "SignIn",
        "code": "042137",
        "link": None,
        "status": 200,
        "response": "200",
        "valid": True,
        "findings": [],
    }
    assert (invalid["valid"], invalid["findings"][0]["pointer"]) == (False, "/payload/code")


def test_a_finding_below_must_is_printed_and_does_not_fail_the_run(tmp_path: Path) -> None:
    twice = json.dumps(MESSAGE).replace("{", '{"to": "bar@example.com", ', 1).encode()
    with serving(tmp_path) as served:
        assert post(served.url, twice).status == 200
        code, out, _ = served.end()
    assert (
        "#1  SignIn to foo@example.com  code 042137  200, valid\n    sender/body/unique-keys  SHOULD" in out
    )
    assert code == 0
    with serving(tmp_path, "--log-format", "json") as served:
        post(served.url, twice)
        delivery = json.loads(served.end()[1].splitlines()[1])
    assert delivery["valid"] is True
    assert [finding["rule"] for finding in delivery["findings"]] == ["sender/body/unique-keys"]


@pytest.mark.parametrize("style", ["text", "json"])
def test_redacted_lines_have_no_code_and_no_link(tmp_path: Path, style: str) -> None:
    odd = {**MESSAGE, "payload": {"code": "\u202e042137", "link": 42137042137}}
    with serving(tmp_path, "--redact", "--log-format", style) as served:
        for body in (MESSAGE, INVITATION, odd):
            post(served.url, body)
        # The whole message or its payload, encoded as a JSON string.
        post(served.url, json.dumps(MESSAGE))
        post(served.url, {**MESSAGE, "payload": json.dumps(MESSAGE["payload"])})
        _, out, _ = served.end()
    assert out.count("foo@example.com") == 4
    assert "42137" not in out
    assert "/join" not in out


def test_control_characters_are_escaped(tmp_path: Path) -> None:
    hostile = "\x1b]0;owned\x07\r\n\u202e"
    message = {"to": hostile, "type": hostile, "payload": {"code": hostile, "link": hostile}}
    with serving(tmp_path, "--lenient") as served:
        post(served.url, message)
        post(served.url, b"{", "X: y", method="PUT")
        _, out, _ = served.end()
    assert all(line.isprintable() for line in out.splitlines())
    assert "owned" in out


def test_a_credential_is_required_and_never_printed(tmp_path: Path) -> None:
    arguments = ("--authorization-env", "MAIL_SECRET")
    with serving(tmp_path, *arguments, environment={"MAIL_SECRET": "Bearer s3cret"}) as served:
        assert post(served.url, MESSAGE, "Authorization: Bearer s3cret").status == 200
        assert post(served.url, MESSAGE, "Authorization: Bearer an0ther").status == 401
        assert post(served.url, MESSAGE).status == 401
        code, out, errors = served.end()
    assert code == 1
    assert "as in MAIL_SECRET" in out
    assert "s3cret" not in out + errors
    assert "an0ther" not in out + errors


def test_a_credential_may_be_any_bytes(tmp_path: Path) -> None:
    arguments = ("--authorization-env", "MAIL_SECRET")
    with serving(tmp_path, *arguments, environment={"MAIL_SECRET": "K\udcff"}) as served:
        assert post(served.url, MESSAGE, "Authorization: K\xff").status == 200
        assert post(served.url, MESSAGE, "Authorization: K\xfe").status == 401
        assert served.end()[0] == 1


@pytest.mark.parametrize(
    ("bodies", "arguments", "code"),
    [
        ([], (), 0),
        ([MESSAGE], (), 0),
        ([MESSAGE, INVALID], (), 1),
        ([INVALID], ("--lenient",), 0),
        ([{**MESSAGE, "type": "Unheard"}], ("--revision", "1.22"), 1),
    ],
)
def test_the_exit_code_says_whether_every_delivery_was_valid(
    tmp_path: Path, bodies: list[object], arguments: tuple[str, ...], code: int
) -> None:
    with serving(tmp_path, *arguments) as served:
        for body in bodies:
            post(served.url, body)
        assert served.end(signal.SIGTERM)[0] == code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_finishes_requests_under_way(tmp_path: Path, number: signal.Signals) -> None:
    """A request under way gets its response, and new connections are refused."""
    with serving(tmp_path) as served, Client(served.url) as slow, Client(served.url) as idle:
        rest = begin(slow)
        idle.post()
        served.process.send_signal(number)
        assert idle.read() == b""
        wait_until(lambda: is_refusing(served.url))
        slow.send(rest)
        assert slow.read_response().status == 200
        assert slow.read() == b""
        out, errors = served.process.communicate(timeout=SECONDS)
    assert served.process.returncode == 0, errors
    assert "#2  SignIn to foo@example.com  code 042137  200, valid" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    with serving(tmp_path) as served, Client(served.url) as slow:
        begin(slow)
        served.process.send_signal(number)
        wait_until(lambda: is_refusing(served.url))
        code, _, errors = served.end(number)
    assert (code, errors) == (130, "mail-contract: stopped before every response was sent\n")


def test_waiting_clients_are_released_when_it_ends(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as served,
        Client(served.url) as waiting,
        Client(served.url) as listening,
        Client(served.url) as unanswered,
    ):
        script = json.dumps({"reply": "silence"}).encode()
        with Client(served.url) as client:
            assert client.post(script, target="/api/replies").status == 201
        waiting.send(waiting.request(b"", method="GET", target="/api/messages/latest?type=Register&wait=60"))
        listening.send(listening.request(b"", method="GET", target="/api/events"))
        assert listening.head()[0] == 200
        read_until(listening, b"event: hello")
        unanswered.send(unanswered.request())
        # This event follows the record of the delivery. The held request was received before it.
        read_until(listening, b"042137")
        assert served.end()[0] == 0
        assert waiting.read_response().status == 503
        assert unanswered.read() == b""


def test_a_restarted_process_serves_the_stored_deliveries(tmp_path: Path) -> None:
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


def test_a_delivery_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    """A limit on the size of files simulates a full disk."""
    file = tmp_path / "inbox.sqlite"
    limited = (
        "import resource, signal, sys; from logto_mail_contract.commands.main import main; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); sys.exit(main())"
    )
    big = {**MESSAGE, "payload": {"code": "042137", "filler": "x" * 100_000}}
    command = (sys.executable, "-c", limited, "serve")
    with serving(tmp_path, "--store", str(file), command=command) as served:
        statuses = [post(served.url, big).status for _ in range(6)]
        with Client(served.url) as client:
            state = client.post(b"", method="GET", target="/healthz")
        _, out, _ = served.end()
    accepted = statuses.count(200)
    assert statuses == [200] * accepted + [503] * (6 - accepted)
    assert 0 < accepted < 6
    assert (state.status, state.json["status"]) == (503, "failing")
    assert "inbox.sqlite" in state.json["error"]
    # Reported once, not for each delivery.
    assert out.count("Nothing stored before is lost") == 1
    with closing(SqliteStore(str(file), 100)) as store:
        assert [one.id for one in store.select(Query(), 100, newest=False)] == list(range(1, accepted + 1))


def test_a_deleted_store_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "inbox.sqlite"
    with serving(tmp_path, "--store", str(file)) as served:
        assert post(served.url).status == 200
        for path in tmp_path.glob("inbox.sqlite*"):
            path.unlink()
        assert [post(served.url).status for _ in range(2)] == [503, 503]
        _, out, _ = served.end()
    assert out.count("was deleted or replaced while it was in use, and nothing more is stored") == 1
    assert not file.exists()


def test_it_keeps_serving_after_its_output_is_closed(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        assert served.process.stdout is not None
        served.process.stdout.close()
        # Half a second of posts: the log is written every 50 ms, so several writes fail meanwhile.
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert post(served.url).status == 200
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 2
        assert served.process.stderr is not None
        (line,) = served.process.stderr.read().splitlines()
        assert "cannot be written" in line


def post_many(url: str, count: int) -> None:
    """Post on one connection, many at once."""
    with Client(url) as client:
        request = client.request()
        for _ in range(count // 100):
            client.send(request * 100)
            for _ in range(100):
                assert client.read_response().status == 200


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_stalled_reader_of_its_output_delays_no_response(tmp_path: Path, style: str) -> None:
    """A pipe holds 64 KiB, and ten thousand more lines are queued; the log counts the lines beyond that."""
    with serving(tmp_path, "--log-format", style) as served:
        post_many(served.url, 25_000)
        lines: list[str] = []
        reading = threading.Thread(target=lambda: lines.extend(served.process.stdout or []))
        reading.start()

        def has_count() -> bool:
            # The count is printed with the next line after the reader continues.
            post(served.url)
            return any("left out here" in line for line in lines)

        wait_until(has_count)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 0
        reading.join()
    left_out = [int(n) for line in lines for n in re.findall("lines left out here: ([0-9]+)", line)]
    ids = [int(id) for line in lines for id in re.findall(r'(?:#|"id": )([0-9]+)', line)]
    assert len(ids) + sum(left_out) == max(ids)
    if style == "json":
        assert {json.loads(line)["event"] for line in lines} == {"ready", "delivery", "problem"}


def test_it_ends_while_the_reader_of_its_output_is_stalled(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        post_many(served.url, 3000)
        served.process.send_signal(signal.SIGINT)
        assert served.process.wait(SECONDS) == 0


def test_a_port_in_use_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as used:
        port = used.getsockname()[1]
        error = run_refused("--port", str(port))
    assert f"cannot listen at 127.0.0.1 port {port}: " in error
    assert "--port 0 chooses a free port" in error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--port", "99999"], "; --port 0 chooses a free port"),
        (["--port", "99999"], "cannot listen at 127.0.0.1 port 99999"),
        (["--port", "80_25"], "argument --port: invalid value '80_25': expected a whole number"),
        (["--host", ""], "cannot listen at the empty host port 8025"),
        (
            ["--host", "no.such.host.invalid"],
            "; name an address of this machine, for example --host 127.0.0.1",
        ),
        (["--host", "::ffff:127.0.0.1"], "; name an address of this machine, for example --host 127.0.0.1"),
        (["--host", "192.0.2.1"], "; name an address of this machine, for example --host 127.0.0.1"),
        (["--host", "no.such.host.invalid"], "cannot listen at no.such.host.invalid port 8025"),
        (["--revision", "1.21"], "There is no contract revision '1.21'"),
        (["--revision", "1.22", "--layer", "documented"], "Revision 1.22 has no layer 'documented'"),
        (["--authorization-env", "NOT_SET"], "the environment variable NOT_SET is not set or empty: set it"),
        (["--host", "mail..test"], "cannot listen at mail..test port 8025"),
        (["--max-messages", "0"], "--max-messages"),
        (["--store", "/"], "/ is a folder; name a file in it"),
        (["--store", "/none/inbox.sqlite"], "The folder must exist and be writable"),
        (["--port-file", "/none/port"], "/none/port cannot be written: No such file or directory"),
    ],
)
def test_invalid_arguments_are_an_error(arguments: list[str], error: str) -> None:
    free = [] if arguments[0] in ("--port", "--host") else ["--port", "0"]
    assert error in run_refused(*free, *arguments)


def test_a_port_file_that_is_a_folder_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "port").mkdir()
    assert "cannot be written" in run_refused("--port", "0", "--port-file", str(tmp_path / "port"))
    assert [file.name for file in tmp_path.iterdir()] == ["port"]


def test_a_missing_server_package_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "logto_mail_contract.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert cli.main(["serve", "--port", "0"]) == 2
    problem = capsys.readouterr().err
    assert "needs uvloop, which is not installed: pip install 'logto-mail-contract[serve]'" in problem
    assert problem.endswith(" uvx 'logto-mail-contract[serve]' serve\n")


@pytest.mark.parametrize(
    ("hosts", "url", "warned"),
    [
        (["127.0.0.1"], "http://127.0.0.1:8025/", False),
        (["::1"], "http://[::1]:8025/", False),
        (["0.0.0.0"], "http://127.0.0.1:8025/", True),
        (["::"], "http://[::1]:8025/", True),
        (["::", "0.0.0.0"], "http://localhost:8025/", True),
        (["192.0.2.7"], "http://192.0.2.7:8025/", True),
        (["fe80::1%eth0"], "http://[fe80::1%eth0]:8025/", True),
    ],
)
def test_it_warns_beyond_loopback(
    hosts: list[str], url: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    log = PrintedLog(as_json=False, redact=False)
    options = build_parser().parse_args(["serve"])
    serve.announce(options, StandingEndpoint(MemoryStore(1), log), log, hosts, 8025)
    printed = capsys.readouterr()
    assert f"connector  {url}\n" in printed.out
    assert ("everyone who reaches port 8025 can read every code" in printed.err) == warned


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")


@needs_ipv6
@pytest.mark.parametrize("host", ["::", "[::]"])
def test_every_address_means_both_families(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, "--host", host) as served:
        port = urlsplit(served.url).port
        for address in ("127.0.0.1", "[::1]"):
            assert post(f"http://{address}:{port}/mail").status == 200
        code, out, errors = served.end()
    assert code == 0
    assert f"  http://localhost:{port}/\n" in out
    assert f"it listens at :: and 0.0.0.0, beyond loopback: everyone who reaches port {port} " in errors


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_address_of_ipv6_may_have_brackets(tmp_path: Path, host: str) -> None:
    with serving(tmp_path, "--host", host) as served:
        port = urlsplit(served.url).port
        assert post(f"http://[::1]:{port}/mail").status == 200
        assert f"  http://[::1]:{port}/\n" in served.end()[1]


@needs_ipv6
def test_a_port_that_is_used_in_one_family_is_an_error() -> None:
    with socket.create_server(("0.0.0.0", 0)) as used:
        port = used.getsockname()[1]
        assert f"cannot listen at :: port {port}: " in run_refused("--host", "::", "--port", str(port))
