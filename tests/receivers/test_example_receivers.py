"""The receivers in ``examples/`` pass every rule."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.logto.node import skip_or_fail
from tests.support.examples import EXAMPLES, LACKING, build
from tests.support.programs import serving_program
from tests.support.runs import try_rule, try_rules
from tests.support.silent_smtp import STEPS, silent_smtp
from tests.support.small_receivers import AUTHORIZATION

from logto_mail_contract.connector.channel import UrlTarget
from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.receivers.attempts import Refusal
from logto_mail_contract.receivers.outbox import SmtpSink, wait_until
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.rules import CHECKS
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    FindCommand = Callable[[str], list[str | Path] | None]


class Running(NamedTuple):
    """A running example."""

    receiver: Receiver
    sink: SmtpSink
    """The SMTP server to which it sends its mails."""
    output: list[str]
    """The lines that it prints; none in process."""


@contextmanager
def example(
    name: str, command: list[str | Path] | None = None, smtp_port: int | None = None
) -> Iterator[Running]:
    """Start an example and its SMTP server.

    Args:
        name: The file of a Python example, its module to run it in process, or the folder of another one.
        command: Runs the example; None in process.
        smtp_port: The port of another SMTP server; the sink's when None.
    """
    output: list[str] = []
    with SmtpSink() as sink:
        environment = {
            "MAIL_AUTHORIZATION": AUTHORIZATION,
            "SMTP_HOST": sink.host,
            "SMTP_PORT": str(smtp_port or sink.port),
            "PORT": "0",
            "PHP_CLI_SERVER_WORKERS": "4",
        }
        if command is None:
            app = import_module(name).create_app(environment)
            make = Receiver.wsgi if name == "receiver_flask" else Receiver.asgi
            with closing(make(app, "/logto-mail", authorization=AUTHORIZATION)) as receiver:
                yield Running(receiver, sink, output)
            return
        with (
            serving_program(*command, environment=environment, output=output) as origin,
            closing(Receiver.url(f"{origin}/logto-mail", authorization=AUTHORIZATION)) as receiver,
        ):
            yield Running(receiver, sink, output)


@pytest.fixture(scope="module")
def find_command(tmp_path_factory: pytest.TempPathFactory) -> FindCommand:
    """Return a function that builds an example once and returns what runs it, a command; None in process."""

    @cache
    def find(name: str) -> list[str | Path] | None:
        in_process = name in ("receiver_flask", "receiver_fastapi")
        return None if in_process else build(name, tmp_path_factory.mktemp(name))

    return find


@pytest.fixture(scope="module")
def command(request: pytest.FixtureRequest, find_command: FindCommand) -> tuple[str, list[str | Path] | None]:
    """Return the example that the parameter names, and the command that runs it; None in process."""
    name = request.param
    skip_or_fail(LACKING[name]() if name in LACKING else None)
    return name, find_command(name)


@pytest.fixture(scope="module")
def running(command: tuple[str, list[str | Path] | None]) -> Iterator[Running]:
    """Start the example."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(*command) as started:
            yield started


on_wire = pytest.mark.parametrize("command", ["receiver_flask.py", "receiver_fastapi.py"], indirect=True)
ALL_EXAMPLES = ["receiver_flask", "receiver_fastapi", *sorted(LACKING)]
all_examples = pytest.mark.parametrize("command", ALL_EXAMPLES, indirect=True)
programs = pytest.mark.parametrize("command", sorted(LACKING), indirect=True)
# The other languages have one run of every rule, which has generated messages too: each takes seconds.
some_examples = pytest.mark.parametrize(
    "command", ["receiver_flask", "receiver_fastapi", "receiver_node"], indirect=True
)
MESSAGE = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}
LINK = "https://app.example.com/join"
UNSENDABLE = "\x85\u00a0\u200b\u2028\u2029\u202e\u3000\ufeff\ufffd"
NOT_IN_PROCESS = {rule for rule in list_rule_ids("receiver") if "wire" in CHECKS[rule].needs}


@all_examples
def test_an_example_passes_every_rule(running: Running) -> None:
    receiver, sink, _ = running
    results = try_rules(list_rule_ids("receiver"), receiver, Settings(), sink)
    assert {result.rule.id: result.findings for result in results if result.findings} == {}
    left = {result.rule.id: result.outcome for result in results if result.outcome != "passed"}
    expected = {} if receiver.target.on_wire else dict.fromkeys(NOT_IN_PROCESS, "not applicable")
    assert left == expected, [result.reason for result in results]


@on_wire
def test_an_example_run_as_a_program_passes_the_wire_rules(running: Running) -> None:
    receiver, sink, _ = running
    results = try_rules(sorted(NOT_IN_PROCESS), receiver, Settings(), sink)
    assert [(result.outcome, result.findings) for result in results] == [("passed", ())] * len(NOT_IN_PROCESS)


@some_examples
def test_an_example_passes_generated_messages_of_ten_seeds(running: Running) -> None:
    receiver, sink, _ = running
    for seed in range(1, 11):
        result = try_rule("receiver/accept/generated", receiver, Settings(seed=seed, examples=10), sink)
        assert (result.outcome, result.findings) == ("passed", ())


@all_examples
def test_a_message_that_no_mail_can_carry_is_refused_without_echoing_it(
    running: Running,
) -> None:
    receiver, sink, _ = running
    before = len(sink())
    for to, link in (
        ("f,o@example.com", "https://app.example.com/join"),
        # Letters that look like none, and the sign for what could not be read.
        *((f"f{letter}o@example.com", LINK) for letter in UNSENDABLE),
        *((f"foo@exa{letter}mple.com", LINK) for letter in UNSENDABLE),
        ("foo@example.com", "https://app.example.com/\nBcc: eve@example.com"),
        ("foo@example.com", "https://app.example.com/\0"),
        ("foo@example.com", "https://app.example.com/\ud800"),
        ("foo@example.com", ""),
    ):
        message = {"to": to, "type": "OrganizationInvitation", "payload": {"link": link}}
        response = post(receiver, message)
        assert response.status == 422
        assert to.encode() not in response.body
        assert b"app.example.com" not in response.body
    assert len(sink()) == before


@all_examples
def test_without_smtp_server_the_response_is_a_short_error(
    command: tuple[str, list[str | Path] | None],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(*command) as (receiver, sink, _):
            sink.__exit__(None, None, None)
            response = post(receiver, MESSAGE)
    assert response.status == 503
    assert len(response.body) < 100
    assert b"042137" not in response.body


def post(receiver: Receiver, message: dict[str, Any]) -> Response:
    """Post a message and return the response."""
    call = connector_call(receiver.target, stringify(message), AUTHORIZATION)
    with closing(receiver.target.open()) as channel:
        response = channel.exchange(call, 10)
    assert isinstance(response, Response), response
    return response


@all_examples
def test_a_recipient_refused_for_good_is_no_failure_of_the_mail_server(running: Running) -> None:
    receiver, sink, _ = running
    for refusal, status in ((Refusal.PERMANENT, 422), (Refusal.TEMPORARY, 503)):
        sink.refuse("foo@example.com", refusal, times=1)
        assert post(receiver, MESSAGE).status == status


@all_examples
def test_no_log_has_the_recipient(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    receiver, sink, output = running
    sink.refuse("rebecca@example.com", Refusal.TEMPORARY, times=1)
    before = len(output)
    assert post(receiver, {**MESSAGE, "to": "rebecca@example.com"}).status == 503

    def read_log() -> str:
        return "".join([caplog.text, *output[before:]])

    assert wait_until(lambda: "451" in read_log(), 10), read_log()
    assert "rebecca" not in read_log()


@all_examples
def test_a_response_does_not_tell_the_version_of_the_language(running: Running) -> None:
    for response in (post(running.receiver, MESSAGE), post(running.receiver, {})):
        assert "x-powered-by" not in dict(response.headers)


@all_examples
def test_no_number_of_backslashes_is_too_much(running: Running) -> None:
    message = {**MESSAGE, "payload": {"code": "042137", "organization": {"name": "\\" * 450_000 + "\ud83d"}}}
    assert post(running.receiver, message).status == 204


@programs
def test_stalled_requests_without_credential_stop_no_mail(running: Running) -> None:
    target = running.receiver.target
    assert isinstance(target, UrlTarget)
    with ExitStack() as stalled:
        for _ in range(20):
            connection = stalled.enter_context(socket.create_connection(target.address))
            connection.sendall(b"POST /logto-mail HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
        assert post(running.receiver, MESSAGE).status == 204


def test_a_silent_smtp_server_makes_an_error_before_logto_gives_up(find_command: FindCommand) -> None:
    missing = {name: reason for name in LACKING if (reason := LACKING[name]())}
    names = [name for name in ALL_EXAMPLES if name not in missing]
    # All at once, since each one waits for seconds.
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.syspath_prepend(str(EXAMPLES))
        found = pool.map(post_to_silence, names, map(find_command, names))
        assert dict(zip(names, found, strict=True)) == {name: [503] * len(STEPS) for name in names}
    skip_or_fail(next(iter(missing.values()), None))


def post_to_silence(name: str, command: list[str | Path] | None) -> list[int]:
    """Return the statuses of an example whose SMTP server falls silent, each time at another step."""
    with (
        silent_smtp() as server,
        example(name, command, smtp_port=server.server_address[1]) as (receiver, _, _),
        ThreadPoolExecutor() as pool,
    ):
        posted = []
        for number in range(1, len(STEPS) + 1):
            posted.append(pool.submit(post, receiver, MESSAGE))
            # A worker of PHP's server must be busy before the next request, else it may take both.
            assert wait_until(partial(server.has_silenced, number), 10)
        return [response.result().status for response in posted]
