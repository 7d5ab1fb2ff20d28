"""The rules for receivers: each is broken by a receiver that breaks it, and by no good one."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import wsgiref.simple_server
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tests.support.broken_receivers import (
    CONTROLS,
    SETTINGS,
    TOKEN,
    TYPES,
    Asked,
    Good,
    Refused,
    Served,
    receiver_of,
    wsgi,
)
from tests.support.runs import has_failed, try_rules
from werkzeug.serving import WSGIRequestHandler, make_server

from logto_mail_contract import catalogue
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.suite.checks import list_rule_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logto_mail_contract.suite.results import Result

RULES = [rule for rule in list_rule_ids("receiver") if not rule.startswith("receiver/deliver/")]
GENERATED = "accept/generated"


def results(receiver: Receiver, settings: Settings = SETTINGS, rules: Iterable[str] = RULES) -> list[Result]:
    """Return what comes of the rules."""
    with closing(receiver):
        return try_rules(rules, receiver, settings)


def failed(results: list[Result]) -> dict[str, str]:
    """Return the rules that failed, without ``receiver/``, with what came."""
    return {
        result.rule.id.removeprefix("receiver/"): str(result.findings[0])
        for result in results
        if has_failed(result)
    }


@pytest.mark.parametrize("name", CONTROLS)
def test_control_breaks_its_rules_and_no_other(name: str) -> None:
    control = CONTROLS[name]
    receiver, served = receiver_of(name)
    with ExitStack() as stack:
        if served is not None:
            stack.enter_context(served)
        found = failed(results(receiver, control.settings))
    if control.drawn:
        found.pop(GENERATED, None)
    assert found.keys() == set(control.broken), found


def test_every_rule_has_a_control_of_its_own() -> None:
    own = {f"receiver/{control.broken[0]}" for control in CONTROLS.values()}
    follows = {f"receiver/{rule}" for control in CONTROLS.values() for rule in control.broken}
    assert follows <= set(RULES)
    assert own == set(RULES)


# No false alarm.


def outcomes(found: list[Result]) -> dict[str, str]:
    """Return what did not pass, with why."""
    return {
        result.rule.id.removeprefix("receiver/"): result.reason or str(result.findings[0])
        for result in found
        if result.outcome != "passed"
    }


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _QuietWerkzeug(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Any, port: int, stop: Callable[[], None]) -> Iterator[str]:
    """Run a server in a thread and return its URL."""
    thread = threading.Thread(target=server)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/hook"
    finally:
        stop()
        thread.join()


@contextmanager
def wsgiref_server(app: Any) -> Iterator[str]:
    """Serve with HTTP/1.0, one connection after another."""
    with wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        run = lambda: server.serve_forever(0.01)  # noqa: E731
        with serving(run, server.server_port, server.shutdown) as url:
            yield url


@contextmanager
def werkzeug_server(app: Any) -> Iterator[str]:
    """Serve with threads, and an end of the connection that is announced."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietWerkzeug)
    try:
        run = lambda: server.serve_forever(0.01)  # noqa: E731
        with serving(run, server.server_port, server.shutdown) as url:
            yield url
    finally:
        server.server_close()


@contextmanager
def uvicorn_server(app: Any) -> Iterator[str]:
    """Serve an ASGI application."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="auto", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)

        def stop() -> None:
            server.should_exit = True

        run = lambda: server.run(sockets=[listening])  # noqa: E731
        with serving(run, listening.getsockname()[1], stop) as url:
            yield url


def asgi(receiver: Good, *, lifespan: bool) -> Callable[..., Any]:
    """Return a receiver as an ASGI application, with a lifespan or with none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            if not lifespan:
                raise NotImplementedError
            await receive()
            scope["state"]["started"] = True
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["state"] == ({"started": True} if lifespan else {})
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = tuple((name.decode(), value.decode()) for name, value in scope["headers"])
        asked = Asked(scope["method"], scope["path"], headers, bytes(body))
        status, lines, answer = receiver.answer(asked)
        sent = [(name.encode(), value.encode()) for name, value in lines.items()]
        sent.append((b"content-length", str(len(answer)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": answer[:1], "more_body": True})
        await send({"type": "http.response.body", "body": answer[1:]})

    return app


WIRE_RULES = {"auth/doubled-authorization", "auth/header-name-case", "respond/framing", "respond/keep-alive"}


def test_good_receiver_in_process_keeps_all_but_the_wire() -> None:
    found = outcomes(results(Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN)))
    assert found.keys() == WIRE_RULES
    assert {reason.partition(",")[0] for reason in found.values()} == {"the receiver runs in this process"}


@pytest.mark.parametrize("lifespan", [True, False])
def test_good_asgi_receiver_in_process(lifespan: bool) -> None:
    receiver = Receiver.asgi(asgi(Good(), lifespan=lifespan), "/hook", authorization=TOKEN)
    assert outcomes(results(receiver)).keys() == WIRE_RULES


@pytest.mark.parametrize("server", [wsgiref_server, werkzeug_server, uvicorn_server])
def test_good_receiver_keeps_everything_behind(server: Any) -> None:
    app = asgi(Good(), lifespan=True) if server is uvicorn_server else wsgi(Good())
    with server(app) as url:
        assert outcomes(results(Receiver.url(url, authorization=TOKEN))) == {}


@pytest.mark.parametrize("seed", range(10))
def test_good_receiver_keeps_everything_with_seed(seed: int) -> None:
    settings = replace(SETTINGS, seed=seed, examples=50)
    with Served(Good()) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        assert outcomes(results(receiver, settings, RULES if seed < 3 else [f"receiver/{GENERATED}"])) == {}


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_good_receiver_of_revision(revision: str) -> None:
    """What came later is not applicable, and nothing else."""
    receiver = Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN, revision=revision)
    later = catalogue.revisions()[catalogue.revisions().index(revision) + 1 :]
    expected = {rule for rule in RULES if catalogue.rules()[rule].since in later}
    found = outcomes(results(receiver)).keys() - WIRE_RULES
    assert found == {rule.removeprefix("receiver/") for rule in expected}


class Accepts202(Good):
    """With JSON."""

    status, text, headers = 202, b'{"queued": true}', {"content-type": "application/json"}


class NoContent(Good):
    """Without a body."""

    status, text = 204, b""


class NoContentWithLength(Good):
    """With a Content-Length, which Node overlooks."""

    status, text, headers = 204, b"", {"content-length": "17"}


class Chunked(Good):
    """In pieces."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of an answer."""
        yield f"HTTP/1.1 {status} OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for place in range(len(body)):
            yield b"1;x=y\r\n" + body[place : place + 1] + b"\r\n"
        yield b"0\r\nTrailer: x\r\n\r\n"


class UntilTheEnd(Good):
    """Without any length."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of an answer."""
        yield f"HTTP/1.1 {status} OK\r\n\r\n".encode() + body

    def keeps(self, asked: Asked) -> bool:  # noqa: ARG002
        """Return whether the connection is kept."""
        return False


class OldProtocol(UntilTheEnd):
    """HTTP/1.0, kept alive on request."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of an answer."""
        head = f"HTTP/1.0 {status} OK\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body

    def keeps(self, asked: Asked) -> bool:  # noqa: ARG002
        """Return whether the connection is kept."""
        return True


class SaysClose(Good):
    """And does."""

    headers = {"CONNECTION": "Close"}  # noqa: RUF012

    def refusal(self, refused: Refused, asked: Asked) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the answer to what is refused."""
        return refused.status, self.headers, b"no"

    def keeps(self, asked: Asked) -> bool:  # noqa: ARG002
        """Return whether the connection is kept."""
        return False


class Compressed(Good):
    """Errors and all."""

    headers = {"Content-Encoding": "gzip"}  # noqa: RUF012
    text = gzip.compress(b"taken")

    def refusal(self, refused: Refused, asked: Asked) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the answer to what is refused."""
        return refused.status, self.headers, gzip.compress(b"no")


class OtherStatuses(Good):
    """403 for 401, 404 for 405, 422 for 400."""

    def refusal(self, refused: Refused, asked: Asked) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the answer to what is refused."""
        return {401: 403, 405: 404, 400: 422}.get(refused.status, refused.status), {}, b"no"


class KnowsOneMethod(Good):
    """As http.server of Python does."""

    def refusal(self, refused: Refused, asked: Asked) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the answer to what is refused."""
        return 501 if refused.status == 405 else refused.status, {}, b"no"


class TellsOfItself(Good):
    """What frameworks put into errors, and what looks like a secret or a path at a first glance."""

    def refusal(self, refused: Refused, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        """Return the answer to what is refused."""
        text = (
            f"<!DOCTYPE html><html><head><script src='/app/main.js'></script></head><body><pre>Cannot "
            f"{asked.method} {asked.target}</pre><a href=/home/user/help>help</a>"
            '{"timestamp":"2026-01-02T03:04:05.1739105Z","requestId":"a739105f-7391-0573","path":"/hook",'
            '"type":"https://example.com/app/errors/x.html","message":"Unexpected token at position 12:3",'
            '"see":"/api/logto","expected":"a string\\nat the top"}'
        )
        return refused.status, {}, text.encode()


class ClosesOnLargeBodies(Good):
    """Answers 413 without reading the body, and resets the connection with it."""

    def reads_body(self, headers: tuple[tuple[str, str], ...]) -> bool:
        """Return whether the body is read."""
        return not any(name == "content-length" and int(value) > 90_000 for name, value in headers)

    def check_authorization(self, asked: Asked) -> None:
        """Look at the size first."""
        if not self.reads_body(asked.headers):
            raise Refused(413, "too large", connection="close")
        super().check_authorization(asked)

    def keeps(self, asked: Asked) -> bool:
        """Return whether the connection is kept."""
        return self.reads_body(asked.headers)


class LooksAtNothing(Good):
    """Wants no authorization."""

    token = None


class LimitsEachRecipient(Good):
    """As mail services do, and Logto itself."""

    def __init__(self) -> None:
        self.mails = Counter[str]()

    def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
        """Take three for each, whatever stands behind a plus sign."""
        to = re.sub(r"\+.*@", "@", message["to"].lower())
        self.mails[to] += 1
        if self.mails[to] > 3:
            raise Refused(429, "slow down")


UNUSUAL = (
    *(Accepts202, NoContent, NoContentWithLength, Chunked, UntilTheEnd, OldProtocol, SaysClose, Compressed),
    *(OtherStatuses, KnowsOneMethod, TellsOfItself, ClosesOnLargeBodies, LimitsEachRecipient),
)


@pytest.mark.parametrize("make", UNUSUAL)
def test_unusual_but_right(make: type[Good]) -> None:
    with Served(make()) as served:
        assert outcomes(results(Receiver.url(served.url, authorization=TOKEN))) == {}


@pytest.mark.parametrize("domain", [None, "corp.test"])
def test_messages_to_one_recipient_are_few(domain: str | None) -> None:
    limits = LimitsEachRecipient()
    receiver = Receiver.wsgi(wsgi(limits), authorization=TOKEN)
    found = results(receiver, replace(SETTINGS, examples=200, recipient_domain=domain))
    assert outcomes(found).keys() == WIRE_RULES
    assert max(limits.mails.values()) <= 2
    assert len(limits.mails) > 300


def test_failure_is_shrunk_with_a_recipient_of_its_own_each_time() -> None:
    class StumblesOverALimit(LimitsEachRecipient, CONTROLS["StumblesOverAFavicon"].make):  # type: ignore[misc]
        def take(self, message: Any, asked: Asked) -> None:
            super().take(message, asked)
            CONTROLS["StumblesOverAFavicon"].make.take(self, message, asked)

    receiver = Receiver.wsgi(wsgi(StumblesOverALimit()), authorization=TOKEN)
    found = failed(results(receiver, replace(SETTINGS, examples=200)))
    assert found.keys() == {GENERATED}
    assert re.search(r'actual    400 .*\n  message   {"to":"foo\d+@example.com"', found[GENERATED])


class LimitsAll(Good):
    """Takes so many messages and then none, whatever they are."""

    limit = 150

    def take(self, message: Any, asked: Asked) -> None:  # noqa: ARG002
        """Count."""
        self.limit -= 1
        if self.limit < 0:
            raise Refused(429, "slow down")


@pytest.mark.parametrize("limit", [0, 1, 5, 30, 60, 100, 150, 200, 300, 400, 500])
def test_receiver_that_has_had_enough_is_told_once(limit: int) -> None:
    """No rule is blamed for what befalls an ordinary message too."""
    receiver = LimitsAll()
    receiver.limit = limit
    found = results(Receiver.wsgi(wsgi(receiver), "/hook", authorization=TOKEN))
    told = failed(found)
    if limit == 0:
        assert told.keys() == set(TYPES)  # then it never took any
        return
    assert len(told) == (receiver.limit < 0)
    for text in told.values():
        assert re.search("  MUST", text)
        assert "actual    429 Too Many Requests after " in text
        assert (
            "such an ordinary message was accepted before. It may be a limit that all messages share" in text
        )
    if told and "concurrent/burst" not in told:  # which is the last one
        why = "the receiver no longer accepts ordinary messages: 429 Too Many Requests"
        assert why in outcomes(found).values()


def test_own_failures_are_told_beside_the_limit() -> None:
    class Crashes(LimitsAll, CONTROLS["WritesLatin1"].make):  # type: ignore[misc]
        limit = 100

        def take(self, message: Any, asked: Asked) -> None:
            super().take(message, asked)
            CONTROLS["WritesLatin1"].make.take(self, message, asked)

    told = failed(results(Receiver.wsgi(wsgi(Crashes()), "/hook", authorization=TOKEN)))
    assert "500 Internal Server Error" in told.pop("accept/unicode")
    assert len(told) == 1


def test_receiver_without_authorization() -> None:
    with Served(LooksAtNothing()) as served:
        found = outcomes(results(Receiver.url(served.url)))
    assert found.keys() == {rule.removeprefix("receiver/") for rule in RULES if "/auth/" in rule}
    assert set(found.values()) == {"the receiver is given no authorization"}


def test_wrong_authorization_given_is_told_once_for_each_type() -> None:
    """It is no news of the other rules that nothing is let in."""
    found = results(Receiver.wsgi(wsgi(Good()), "/hook", authorization="Bearer other"))
    assert failed(found).keys() == set(TYPES)
    told = next(result for result in found if result.rule.id == "receiver/auth/cut-authorization")
    assert told.reason.startswith(
        "an ordinary message of type SignIn is not accepted either: 401 Unauthorized"
    )


@pytest.mark.parametrize(
    "token", ["s3cret-T0ken", "Bearer x", "1234567", "Basic dXNlcjpwYXNzd29yZA==", "Token \u00fcber-9"]
)
def test_every_form_of_authorization(token: str) -> None:
    """A lenient reader of Basic takes base64 with a character more or less for the same."""

    class Checks(Good):
        def authorized(self, value: str) -> bool:
            return value.encode("latin-1").decode().rstrip("=") == token.rstrip("=")

    receiver = Receiver.wsgi(wsgi(Checks()), "/hook", authorization=token)
    rules = [rule for rule in RULES if "/auth/" in rule and rule.removeprefix("receiver/") not in WIRE_RULES]
    found = results(receiver, SETTINGS, rules)
    assert failed(found) == {}
    skipped = {result.rule.id.rpartition("/")[2] for result in found if result.outcome != "passed"}
    scheme, digits = " " not in token, token.isdigit()
    assert skipped == {
        *(["scheme-only-authorization"] if scheme else []),
        *(["case-changed-authorization"] if digits else []),
    }
