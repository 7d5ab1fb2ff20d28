"""The receivers in ``examples/`` pass every rule."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
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
    from collections.abc import Iterator, Mapping

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def process(*command: str | Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a server program, and return the URL that it prints."""
    with subprocess.Popen(
        [str(argument) for argument in command],
        env={**os.environ, **environment, "PORT": "0", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        assert server.stdout is not None
        lines = server.stdout
        output = []
        try:
            for line in lines:
                output.append(line)
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    # Drain the output: a full pipe would block the program.
                    threading.Thread(target=lambda: [None for _ in lines], daemon=True).start()
                    yield f"{match[0]}/logto-mail"
                    return
            pytest.fail(f"{command} ended:\n{''.join(output)}")
        finally:
            server.kill()


def require_node() -> None:
    """Skip if Node or its packages are missing; in CI (``CI=true``) fail."""
    if shutil.which("node") and (EXAMPLES / "receiver_node" / "node_modules" / "nodemailer").is_dir():
        return
    reason = "the receiver in Node needs Node 20 or later and: npm ci --prefix examples/receiver_node"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def example(name: str) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start an example and the SMTP server to which it sends its mails."""
    with SmtpSink() as sink:
        environment = {
            "MAIL_AUTHORIZATION": AUTHORIZATION,
            "SMTP_HOST": sink.host,
            "SMTP_PORT": str(sink.port),
        }
        if name in ("receiver_flask", "receiver_fastapi"):
            app = import_module(name).create_app(environment)
            make = Receiver.wsgi if name == "receiver_flask" else Receiver.asgi
            with closing(make(app, "/logto-mail", authorization=AUTHORIZATION)) as receiver:
                yield receiver, sink
            return
        if name == "receiver_node":
            command: tuple[str | Path, ...] = ("node", EXAMPLES / name / "receiver.mjs")
        else:
            command = (sys.executable, EXAMPLES / f"{name.removesuffix('.py')}.py")
        with (
            process(*command, environment=environment) as url,
            closing(Receiver.url(url, authorization=AUTHORIZATION)) as receiver,
        ):
            yield receiver, sink


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Receiver, SmtpSink]]:
    """Start the example that the parameter names; return it and its outbox."""
    if request.param == "receiver_node":
        require_node()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(request.param) as started:
            yield started


on_wire = pytest.mark.parametrize("running", ["receiver_flask.py", "receiver_fastapi.py"], indirect=True)
all_examples = pytest.mark.parametrize(
    "running", ["receiver_flask", "receiver_fastapi", "receiver_node"], indirect=True
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


@all_examples
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
    running: tuple[Receiver, SmtpSink], request: pytest.FixtureRequest
) -> None:
    del running
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        with example(request.node.callspec.params["running"]) as (receiver, sink):
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
