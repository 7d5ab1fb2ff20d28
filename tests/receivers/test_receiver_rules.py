"""The rules for receivers: each fails for its negative controls, and passes for correct receivers."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
import wsgiref.simple_server
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from tests.support.broken_receivers import (
    CONTROLS,
    SETTINGS,
    TOKEN,
    TYPES,
    Good,
    Refused,
    Request,
    Served,
    make_receiver,
    wsgi,
)
from tests.support.runs import has_failed, try_rules
from tests.support.server_threads import serving_in_thread
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
    """Run the rules and return their results."""
    with closing(receiver):
        return try_rules(rules, receiver, settings)


def find_failed(results: list[Result]) -> dict[str, str]:
    """Return the finding of each failed rule, by its id without ``receiver/``."""
    return {
        result.rule.id.removeprefix("receiver/"): str(result.findings[0])
        for result in results
        if has_failed(result)
    }


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_fails_exactly_its_rules(name: str) -> None:
    control = CONTROLS[name]
    receiver, served = make_receiver(name)
    with ExitStack() as stack:
        if served is not None:
            stack.enter_context(served)
        found = find_failed(results(receiver, control.settings))
    if control.drawn:
        found.pop(GENERATED, None)
    assert found.keys() == set(control.failed_rules), found


def test_every_rule_has_its_own_control() -> None:
    """Those of newer rules stand in a file for each kind of mistake."""
    own = {f"receiver/{control.failed_rules[0]}" for control in CONTROLS.values()}
    follows = {f"receiver/{rule}" for control in CONTROLS.values() for rule in control.failed_rules}
    assert follows <= set(RULES)
    files = set(Path(__file__).parent.glob("test_*.py")) - {Path(__file__)}
    elsewhere = "".join(file.read_text(encoding="utf-8") for file in files)
    left = {rule for rule in RULES if not re.search(rf"[\"'/ ]{rule.rpartition('/')[2]}[\"' ]", elsewhere)}
    assert left <= own


# Correct receivers.


def outcomes(found: list[Result]) -> dict[str, str]:
    """Return the reason or finding of each rule that did not pass."""
    return {
        result.rule.id.removeprefix("receiver/"): result.reason or str(result.findings[0])
        for result in found
        if result.outcome != "passed"
    }


class _Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


class _QuietWerkzeug(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def wsgiref_server(app: Any) -> Iterator[str]:
    """Serve with HTTP/1.0, one connection after another."""
    server = wsgiref.simple_server.make_server("127.0.0.1", 0, app, handler_class=_Quiet)
    with serving_in_thread(server) as url:
        yield url


@contextmanager
def werkzeug_server(app: Any) -> Iterator[str]:
    """Serve with threads and ``Connection: close``."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_QuietWerkzeug)
    with serving_in_thread(server) as url:
        yield url


@contextmanager
def uvicorn_server(app: Any) -> Iterator[str]:
    """Serve an ASGI application."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="critical", lifespan="auto", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)

        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/hook"
        finally:
            server.should_exit = True
            thread.join()


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
        request = Request(scope["method"], scope["path"], headers, bytes(body))
        status, lines, content = receiver.respond(request)
        sent = [(name.encode(), value.encode()) for name, value in lines.items()]
        sent.append((b"content-length", str(len(content)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": content[:1], "more_body": True})
        await send({"type": "http.response.body", "body": content[1:]})

    return app


WIRE_RULES = {
    *("auth/doubled-authorization", "auth/header-name-case"),
    *("accept/pieces", "respond/framing", "respond/keep-alive", "respond/keep-alive-after-error"),
}


def test_a_correct_wsgi_receiver_passes_all_but_the_wire_rules() -> None:
    found = outcomes(results(Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN)))
    assert found.keys() == WIRE_RULES
    assert {reason.partition(",")[0] for reason in found.values()} == {"the receiver runs in this process"}


@pytest.mark.parametrize("lifespan", [True, False])
def test_a_correct_asgi_receiver_passes_all_but_the_wire_rules(lifespan: bool) -> None:
    receiver = Receiver.asgi(asgi(Good(), lifespan=lifespan), "/hook", authorization=TOKEN)
    assert outcomes(results(receiver)).keys() == WIRE_RULES


@pytest.mark.parametrize("server", [wsgiref_server, werkzeug_server, uvicorn_server])
def test_a_correct_receiver_passes_every_rule_behind_a_server(server: Any) -> None:
    app = asgi(Good(), lifespan=True) if server is uvicorn_server else wsgi(Good())
    with server(app) as url:
        assert outcomes(results(Receiver.url(url, authorization=TOKEN))) == {}


@pytest.mark.parametrize("seed", range(10))
def test_a_correct_receiver_passes_every_rule_with_any_seed(seed: int) -> None:
    settings = replace(SETTINGS, seed=seed, examples=50)
    with Served(Good()) as served:
        receiver = Receiver.url(served.url, authorization=TOKEN)
        assert outcomes(results(receiver, settings, RULES if seed < 3 else [f"receiver/{GENERATED}"])) == {}


@pytest.mark.parametrize("revision", catalogue.revisions())
def test_a_correct_receiver_of_a_revision_passes_its_rules(revision: str) -> None:
    """Exactly the rules of later revisions are not applicable."""
    receiver = Receiver.wsgi(wsgi(Good()), "/hook", authorization=TOKEN, revision=revision)
    later = catalogue.revisions()[catalogue.revisions().index(revision) + 1 :]
    expected = {rule for rule in RULES if catalogue.rules()[rule].since in later}
    found = outcomes(results(receiver)).keys() - WIRE_RULES
    assert found == {rule.removeprefix("receiver/") for rule in expected}


class Accepts202(Good):
    """Responds with 202 and JSON."""

    status, text, headers = 202, b'{"queued": true}', {"content-type": "application/json"}


class NoContent(Good):
    """Responds with 204."""

    status, text = 204, b""


class NoContentWithLength(Good):
    """Responds with 204 and a Content-Length, which Node ignores."""

    status, text, headers = 204, b"", {"content-length": "17"}


class Chunked(Good):
    """Responds in chunks."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of a response."""
        yield f"HTTP/1.1 {status} OK\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for place in range(len(body)):
            yield b"1;x=y\r\n" + body[place : place + 1] + b"\r\n"
        yield b"0\r\nTrailer: x\r\n\r\n"


class UntilTheEnd(Good):
    """Responds without a length and closes the connection."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of a response."""
        yield f"HTTP/1.1 {status} OK\r\n\r\n".encode() + body

    def keeps_open(self, request: Request) -> bool:  # noqa: ARG002
        """Return whether the connection stays open."""
        return False


class OldProtocol(UntilTheEnd):
    """HTTP/1.0, kept alive on request."""

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:  # noqa: ARG002
        """Return the bytes of a response."""
        head = f"HTTP/1.0 {status} OK\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n"
        yield head.encode() + body

    def keeps_open(self, request: Request) -> bool:  # noqa: ARG002
        """Return whether the connection stays open."""
        return True


class SaysClose(Good):
    """Announces that it closes the connection, and does."""

    headers = {"CONNECTION": "Close"}  # noqa: RUF012

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the response to a refused request."""
        return refused.status, self.headers, b"no"

    def keeps_open(self, request: Request) -> bool:  # noqa: ARG002
        """Return whether the connection stays open."""
        return False


class Compressed(Good):
    """Compresses responses, errors too."""

    headers = {"Content-Encoding": "gzip"}  # noqa: RUF012
    text = gzip.compress(b"taken")

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the response to a refused request."""
        return refused.status, self.headers, gzip.compress(b"no")


class OtherStatuses(Good):
    """Responds with 403 for 401, 404 for 405, 422 for 400."""

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the response to a refused request."""
        return {401: 403, 405: 404, 400: 422}.get(refused.status, refused.status), {}, b"no"


class KnowsOneMethod(Good):
    """Responds with 501 to other methods, as Python's http.server does."""

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002
        """Return the response to a refused request."""
        return 501 if refused.status == 405 else refused.status, {}, b"no"


class TellsOfItself(Good):
    """Puts framework texts into errors, and values that only look like a secret or a path."""

    def refusal(self, refused: Refused, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Return the response to a refused request."""
        text = (
            f"<!DOCTYPE html><html><head><script src='/app/main.js'></script></head><body><pre>Cannot "
            f"{request.method} {request.target}</pre><a href=/home/user/help>help</a>"
            '{"timestamp":"2026-01-02T03:04:05.1739105Z","requestId":"a739105f-7391-0573","path":"/hook",'
            '"type":"https://example.com/app/errors/x.html","message":"Unexpected token at position 12:3",'
            '"see":"/api/logto","expected":"a string\\nat the top"}'
        )
        return refused.status, {}, text.encode()


class ClosesOnLargeBodies(Good):
    """Responds with 413 without reading the body, which resets the connection."""

    def reads_body(self, headers: tuple[tuple[str, str], ...]) -> bool:
        """Return whether the body is read."""
        return not any(name == "content-length" and int(value) > 90_000 for name, value in headers)

    def check_authorization(self, request: Request) -> None:
        """Check the size first."""
        if not self.reads_body(request.headers):
            raise Refused(413, "too large", connection="close")
        super().check_authorization(request)

    def keeps_open(self, request: Request) -> bool:
        """Return whether the connection stays open."""
        return self.reads_body(request.headers)


class LooksAtNothing(Good):
    """Needs no authorization."""

    token = None


class LimitsEachRecipient(Good):
    """Limits messages to one recipient, as mail services and Logto do."""

    def __init__(self) -> None:
        self.mails = Counter[str]()

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Accept three for each address, without its tag."""
        to = re.sub(r"\+.*@", "@", message["to"].lower())
        self.mails[to] += 1
        if self.mails[to] > 3:
            raise Refused(429, "slow down")


UNUSUAL = (
    *(Accepts202, NoContent, NoContentWithLength, Chunked, UntilTheEnd, OldProtocol, SaysClose, Compressed),
    *(OtherStatuses, KnowsOneMethod, TellsOfItself, ClosesOnLargeBodies, LimitsEachRecipient),
)


@pytest.mark.parametrize("make", UNUSUAL)
def test_an_unusual_but_correct_receiver_passes_every_rule(make: type[Good]) -> None:
    with Served(make()) as served:
        assert outcomes(results(Receiver.url(served.url, authorization=TOKEN))) == {}


@pytest.mark.parametrize("domain", [None, "corp.test"])
def test_each_recipient_gets_at_most_two_messages(domain: str | None) -> None:
    limits = LimitsEachRecipient()
    receiver = Receiver.wsgi(wsgi(limits), authorization=TOKEN)
    found = results(receiver, replace(SETTINGS, examples=200, recipient_domain=domain))
    assert outcomes(found).keys() == WIRE_RULES
    assert max(limits.mails.values()) <= 2
    assert len(limits.mails) > 300


def test_shrinking_uses_a_new_recipient_for_each_message() -> None:
    class LimitsAndCrashes(LimitsEachRecipient, CONTROLS["StumblesOverAShortId"].make):  # type: ignore[misc]
        def handle(self, message: Any, request: Request) -> None:
            super().handle(message, request)
            CONTROLS["StumblesOverAShortId"].make.handle(self, message, request)

    receiver = Receiver.wsgi(wsgi(LimitsAndCrashes()), authorization=TOKEN)
    found = find_failed(results(receiver, replace(SETTINGS, examples=200)))
    assert found.keys() == {GENERATED}
    assert re.search(r'actual    400 .*\n  message   {"to":"foo\d+@example.com"', found[GENERATED])


class LimitsAll(Good):
    """Accepts a number of messages and then refuses all."""

    limit = 150

    def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002
        """Refuse once the limit is used up."""
        self.limit -= 1
        if self.limit < 0:
            raise Refused(429, "slow down")


@pytest.mark.parametrize("limit", [0, 1, 5, 30, 60, 100, 150, 200, 300, 400, 500])
def test_a_shared_limit_is_reported_once(limit: int) -> None:
    """A rule does not fail when an ordinary message is refused too."""
    receiver = LimitsAll()
    receiver.limit = limit
    found = results(Receiver.wsgi(wsgi(receiver), "/hook", authorization=TOKEN))
    failures = find_failed(found)
    if limit == 0:
        assert failures.keys() == set(TYPES)  # it never accepted a message
        return
    assert failures.keys() == ({"respond/no-shared-limit"} if receiver.limit < 0 else set())
    for text in failures.values():
        assert "  SHOULD\n" in text
        assert "actual    429 Too Many Requests after " in text
        assert "an ordinary message was accepted before" in text
        assert "--pace" in text
        why = "the receiver no longer accepts ordinary messages: 429 Too Many Requests; see"
        assert any(reason.startswith(why) for reason in outcomes(found).values())


def test_other_failures_are_reported_despite_a_shared_limit() -> None:
    class Crashes(LimitsAll, CONTROLS["WritesLatin1"].make):  # type: ignore[misc]
        limit = 300

        def handle(self, message: Any, request: Request) -> None:
            super().handle(message, request)
            CONTROLS["WritesLatin1"].make.handle(self, message, request)

    failures = find_failed(results(Receiver.wsgi(wsgi(Crashes()), "/hook", authorization=TOKEN)))
    assert "500 Internal Server Error" in failures["accept/unicode"]
    assert "429" in failures.pop("respond/no-shared-limit")
    assert not any("429" in text for text in failures.values())


def test_auth_rules_are_not_applicable_without_authorization() -> None:
    with Served(LooksAtNothing()) as served:
        found = outcomes(results(Receiver.url(served.url)))
    assert found.keys() == {rule.removeprefix("receiver/") for rule in RULES if "/auth/" in rule}
    assert set(found.values()) == {"the receiver is given no authorization"}


def test_a_wrong_authorization_is_reported_once_for_each_type() -> None:
    """Only the rules about types fail; the others are not judged."""
    found = results(Receiver.wsgi(wsgi(Good()), "/hook", authorization="Bearer other"))
    assert find_failed(found).keys() == set(TYPES)
    judged = next(result for result in found if result.rule.id == "receiver/auth/cut-authorization")
    assert judged.reason.startswith(
        "an ordinary message of type SignIn is not accepted either: 401 Unauthorized"
    )


@pytest.mark.parametrize(
    "token", ["s3cret-T0ken", "Bearer x", "1234567", "Basic dXNlcjpwYXNzd29yZA==", "Token \u00fcber-9"]
)
def test_every_form_of_authorization_passes_the_auth_rules(token: str) -> None:
    """A lenient Basic parser ignores the padding of base64."""

    class Checks(Good):
        def authorized(self, value: str) -> bool:
            return value.encode("latin-1").decode().rstrip("=") == token.rstrip("=")

    receiver = Receiver.wsgi(wsgi(Checks()), "/hook", authorization=token)
    rules = [rule for rule in RULES if "/auth/" in rule and rule.removeprefix("receiver/") not in WIRE_RULES]
    found = results(receiver, SETTINGS, rules)
    assert find_failed(found) == {}
    skipped = {result.rule.id.rpartition("/")[2] for result in found if result.outcome != "passed"}
    scheme, digits = " " not in token, token.isdigit()
    assert skipped == {
        *(["scheme-only-authorization", "bare-authorization"] if scheme else []),
        *(["case-changed-authorization"] if digits else []),
    }


def test_a_receiver_that_redirects_passes_the_rule_about_kept_connections() -> None:
    with (
        Served(CONTROLS["AddsASlash"].make()) as served,
        closing(Receiver.url(served.url, authorization=TOKEN)) as receiver,
    ):
        redirect, kept = try_rules(("receiver/respond/no-redirect", "receiver/respond/keep-alive"), receiver)
    assert has_failed(redirect)
    assert kept.outcome == "passed"


def test_a_receiver_that_is_slow_for_every_invitation_is_not_slow_for_large_ones() -> None:
    class SlowForInvitations(Good):
        def handle(self, message: Any, request: Request) -> None:
            super().handle(message, request)
            if message["type"] == "OrganizationInvitation":
                time.sleep(0.6)

    settings = Settings(warn_after=0.4, fail_after=20)
    rules = "receiver/accept/large-invitation", "receiver/respond/promptly"
    with closing(Receiver.wsgi(wsgi(SlowForInvitations()), "/hook", authorization=TOKEN)) as receiver:
        large, promptly = try_rules(rules, receiver, settings)
    assert large.outcome == "passed"
    assert promptly.outcome == "warned"
