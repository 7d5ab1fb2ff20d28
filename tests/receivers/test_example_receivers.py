"""The receivers in ``examples/`` pass every rule."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.logto.node import skip_or_fail
from tests.support.languages import (
    GO_ENVIRONMENT,
    JARS,
    find_go,
    lacks_go,
    lacks_java,
    lacks_node,
    lacks_php,
)
from tests.support.programs import serving_program
from tests.support.runs import try_rule, try_rules
from tests.support.small_receivers import AUTHORIZATION

from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.receivers.outbox import SmtpSink
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.rules import CHECKS
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.wire.outcomes import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES = Path(__file__).parents[2] / "examples"


LACKING: dict[str, Callable[[], str | None]] = {
    "receiver_go": lacks_go,
    "receiver_java": lacks_java,
    "receiver_node": lambda: lacks_node("examples/receiver_node"),
    "receiver_php": lacks_php,
    "receiver_typescript": lambda: lacks_node("examples/receiver_typescript"),
}


def build(name: str, into: Path) -> list[str | Path]:
    """Compile an example if it must be, and return the command that runs it, which the example documents."""
    folder = EXAMPLES / name
    match name:
        case "receiver_go":
            subprocess.run(
                [str(find_go()), "build", "-o", str(into / "receiver"), "."],
                cwd=folder,
                env={**os.environ, **GO_ENVIRONMENT},
                check=True,
            )
            return [into / "receiver"]
        case "receiver_java":
            # Quick to start, and light on the cores that the other tests need too.
            light = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
            return ["java", *light, "-cp", os.pathsep.join(map(str, JARS)), folder / "Receiver.java"]
        case "receiver_php":
            return ["php", "-S", "127.0.0.1:0", folder / "receiver.php"]
        case "receiver_typescript":
            # Beside its packages, where Node looks for them.
            (into / "node_modules").symlink_to(folder / "node_modules")
            compiler = str(folder / "node_modules/typescript/bin/tsc")
            subprocess.run(["node", compiler, "--project", str(folder), "--outDir", str(into)], check=True)
            (into / "package.json").symlink_to(folder / "package.json")
            return ["node", into / "server.js"]
        case "receiver_node":
            return ["node", folder / "receiver.mjs"]
        case _:
            return [sys.executable, EXAMPLES / name]


@contextmanager
def example(name: str, command: list[str | Path] | None = None) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start an example and the SMTP server to which it sends its mails.

    Args:
        name: The file of a Python example, its module to run it in process, or the folder of another one.
        command: Runs the example; None in process.
    """
    with SmtpSink() as sink:
        environment = {
            "MAIL_AUTHORIZATION": AUTHORIZATION,
            "SMTP_HOST": sink.host,
            "SMTP_PORT": str(sink.port),
            "PORT": "0",
            "PHP_CLI_SERVER_WORKERS": "4",
        }
        if command is None:
            app = import_module(name).create_app(environment)
            make = Receiver.wsgi if name == "receiver_flask" else Receiver.asgi
            with closing(make(app, "/logto-mail", authorization=AUTHORIZATION)) as receiver:
                yield receiver, sink
            return
        with (
            serving_program(*command, environment=environment) as origin,
            closing(Receiver.url(f"{origin}/logto-mail", authorization=AUTHORIZATION)) as receiver,
        ):
            yield receiver, sink


@pytest.fixture(scope="module")
def command(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[str | Path] | None]:
    """Return the example that the parameter names, and the command that runs it; None in process."""
    name = request.param
    skip_or_fail(LACKING[name]() if name in LACKING else None)
    in_process = name in ("receiver_flask", "receiver_fastapi")
    return name, None if in_process else build(name, tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def running(command: tuple[str, list[str | Path] | None]) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start the example; return it and its outbox."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(*command) as started:
            yield started


on_wire = pytest.mark.parametrize("command", ["receiver_flask.py", "receiver_fastapi.py"], indirect=True)
all_examples = pytest.mark.parametrize(
    "command", ["receiver_flask", "receiver_fastapi", *sorted(LACKING)], indirect=True
)
# The other languages have one run of every rule, which has generated messages too: each takes seconds.
some_examples = pytest.mark.parametrize(
    "command", ["receiver_flask", "receiver_fastapi", "receiver_node"], indirect=True
)
NOT_IN_PROCESS = {rule for rule in list_rule_ids("receiver") if "wire" in CHECKS[rule].needs}


@all_examples
def test_an_example_passes_every_rule(running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    results = try_rules(list_rule_ids("receiver"), receiver, Settings(), sink)
    assert {result.rule.id: result.findings for result in results if result.findings} == {}
    left = {result.rule.id: result.outcome for result in results if result.outcome != "passed"}
    expected = {} if receiver.target.on_wire else dict.fromkeys(NOT_IN_PROCESS, "not applicable")
    assert left == expected, [result.reason for result in results]


@on_wire
def test_an_example_run_as_a_program_passes_the_wire_rules(running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    results = try_rules(sorted(NOT_IN_PROCESS), receiver, Settings(), sink)
    assert [(result.outcome, result.findings) for result in results] == [("passed", ())] * len(NOT_IN_PROCESS)


@some_examples
def test_an_example_passes_generated_messages_of_ten_seeds(running: tuple[Receiver, SmtpSink]) -> None:
    receiver, sink = running
    for seed in range(1, 11):
        result = try_rule("receiver/accept/generated", receiver, Settings(seed=seed, examples=10), sink)
        assert (result.outcome, result.findings) == ("passed", ())


@all_examples
def test_a_message_that_no_mail_can_carry_is_refused_without_echoing_it(
    running: tuple[Receiver, SmtpSink],
) -> None:
    receiver, sink = running
    before = len(sink())
    for to, link in (
        ("f,o@example.com", "https://app.example.com/join"),
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
        with example(*command) as (receiver, sink):
            sink.__exit__(None, None, None)
            response = post(
                receiver, {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}
            )
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
