"""WSGI and ASGI applications called in this process: as a server calls them, and without leftover threads."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from tests.support.broken_receivers import Good, wsgi
from tests.support.runs import try_rule

from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.receivers.in_process import AsgiTarget, NotStarted, WsgiTarget
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.wire.outcomes import NoResponse, Outcome, Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio")}


@pytest.fixture(autouse=True)
def check_threads() -> Iterator[None]:
    """Each thread that a test starts ends soon after the test."""
    before = threads()
    yield
    deadline = time.monotonic() + 15
    while threads() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    gc.collect()
    assert threads() - before == set()


def exchange_all(
    target: WsgiTarget | AsgiTarget, *bodies: bytes, timeout: float = 5, **headers: str
) -> list[Outcome]:
    try:
        with closing(target.open()) as channel:
            calls = [connector_call(target, body) for body in bodies or (b"{}",)]
            lines = tuple((name.replace("_", "-"), value) for name, value in headers.items())
            return [
                channel.exchange(type(call)(call.target, (*call.headers, *lines), call.body), timeout)
                for call in calls
            ]
    finally:
        target.close()


def get_response(outcomes: list[Outcome]) -> tuple[int, bytes]:
    (outcome,) = outcomes
    assert isinstance(outcome, Response)
    return outcome.status, outcome.body


def get_problem(outcomes: list[Outcome]) -> tuple[str, str]:
    (outcome,) = outcomes
    assert isinstance(outcome, NoResponse)
    return outcome.kind, outcome.problem


# WSGI


def test_environ_and_calls_follow_pep_3333() -> None:
    """``validator`` raises for each violation of PEP 3333, on both sides."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response("200 OK", [("Content-Type", "text/plain")])
        seen = (environ["PATH_INFO"], environ["QUERY_STRING"], environ["HTTP_X"], environ["CONTENT_TYPE"])
        return [repr(seen).encode(), body]

    target = WsgiTarget(validator(app), "/a%20b/%C3%BC?q=%20")
    status, body = get_response(exchange_all(target, b"{}", X="1", x="2"))
    assert (status, body) == (200, b"('/a b/\xc3\x83\xc2\xbc', 'q=%20', '1,2', 'application/json'){}")


def test_the_write_callable_and_the_iterable_are_read_and_closed() -> None:
    events = []
    closed = threading.Event()

    class Body:
        def __iter__(self) -> Iterator[bytes]:
            events.append("iterated")
            yield b"b"

        def close(self) -> None:
            events.append("closed")
            closed.set()

    def app(_environ: Any, start_response: Any) -> Body:
        start_response("200 OK", [("A", "b"), ("a", "c")])(b"a")
        return Body()

    (outcome,) = exchange_all(WsgiTarget(app))
    assert isinstance(outcome, Response)
    assert (outcome.body, outcome.values("a")) == (b"ab", ["b", "c"])
    assert closed.wait(10)
    assert events == ["iterated", "closed"]


def test_a_generator_may_call_start_response_late() -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("201 Created", [])
        yield b"x"

    assert get_response(exchange_all(WsgiTarget(app))) == (201, b"x")


def test_work_after_the_response_is_not_waited_for() -> None:
    """It delays no message, this one or the next."""
    released = threading.Event()
    closing_bodies = []

    class Body(list[bytes]):
        def close(self) -> None:
            closing_bodies.append(self)
            released.wait(30)

    def app(_environ: Any, start_response: Any) -> Body:
        start_response("200 OK", [])
        return Body([b"x"])

    try:
        outcomes = exchange_all(WsgiTarget(app), b"1", b"2", b"3", timeout=10)
        assert [isinstance(outcome, Response) for outcome in outcomes] == [True] * 3
        assert len(closing_bodies) >= 2
    finally:
        released.set()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyError("NewTemplate"), "KeyError: 'NewTemplate'"),
        (SystemExit(3), "SystemExit: 3"),
        (TimeoutError("mine"), "TimeoutError: mine"),
    ],
)
def test_an_exception_becomes_the_outcome(error: BaseException, expected: str) -> None:
    def app(_environ: Any, _start_response: Any) -> Any:
        raise error

    async def asgi_app(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] == "http":
            raise error

    assert get_problem(exchange_all(WsgiTarget(app))) == ("raised", expected)
    if isinstance(error, Exception):
        assert get_problem(exchange_all(AsgiTarget(asgi_app))) == ("raised", expected)


def test_an_application_that_never_starts_a_response_is_reported() -> None:
    kind, text = get_problem(exchange_all(WsgiTarget(lambda _environ, _start: [])))
    assert (kind, text) == ("raised", "AssertionError: start_response was never called")


def test_an_exception_makes_the_rules_on_error_bodies_not_applicable() -> None:
    """A server sends its own error text, so the exception text is not judged."""

    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        if b'"Generic"' in body or not body.startswith(b'{"to":"') or not body.endswith(b"}}"):
            raise ValueError(body)
        start_response("200 OK", [])
        return [b""]

    receiver = Receiver.wsgi(app, revision="1.22")
    for rule in ("error-without-secrets", "error-without-internals"):
        result = try_rule(f"receiver/respond/{rule}", receiver)
        assert result.outcome == "not applicable"
        assert result.reason.endswith("with an error of its own")
    actual = try_rule("receiver/accept/generic", receiver).findings[0].actual
    assert actual.startswith("the application raised an exception after ")
    receiver.close()


def test_a_hanging_application_ends_at_the_deadline() -> None:
    released = threading.Event()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        if environ["wsgi.input"].read() == b"hang":
            released.wait(30)
        start_response("200 OK", [])
        return [b"x"]

    first, second = exchange_all(WsgiTarget(app), b"hang", b"go", timeout=1)
    released.set()
    assert isinstance(first, NoResponse)
    assert (first.kind, first.problem) == ("timeout", "the application did not return")
    assert isinstance(second, Response)


def test_an_endless_body_ends_at_the_deadline() -> None:
    def app(_environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        while True:
            yield b"x"

    assert get_problem(exchange_all(WsgiTarget(app), timeout=0.1))[0] == "timeout"


# ASGI


def starlette(endpoint: Callable[..., Any], **settings: Any) -> AsgiTarget:
    return AsgiTarget(Starlette(routes=[Route("/", endpoint, methods=["POST"])], **settings))


def test_the_lifespan_runs_and_its_state_reaches_requests() -> None:
    import contextlib

    events = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> Any:
        events.append("started")
        yield {"pool": "p"}
        events.append("ended")

    async def endpoint(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.state.pool)

    target = starlette(endpoint, lifespan=lifespan)
    assert get_response(exchange_all(target)) == (200, b"p")
    assert get_response(exchange_all(target)) == (200, b"p")
    assert events == ["started", "ended"] * 2


def test_a_failing_lifespan_is_reported() -> None:
    import contextlib

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> Any:
        raise ValueError("no database")
        yield

    async def endpoint(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("x")

    with pytest.raises(NotStarted, match=r"(?s)did not start: .*no database"):
        exchange_all(starlette(endpoint, lifespan=lifespan))


def test_a_silent_lifespan_is_reported() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.sleep(60)

    with pytest.raises(NotStarted, match=r"its lifespan said nothing for 0\.1 s"):
        exchange_all(AsgiTarget(app, start_seconds=0.1))


def test_a_lifespan_that_does_not_end_is_cancelled() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await asyncio.sleep(60)
        else:
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})

    assert get_response(exchange_all(AsgiTarget(app))) == (200, b"")


def test_background_work_is_not_waited_for() -> None:
    started = []

    async def work() -> None:
        started.append(1)
        await asyncio.Event().wait()

    async def endpoint(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("x", background=BackgroundTask(work))

    outcomes = exchange_all(starlette(endpoint), b"1", b"2", timeout=10)
    assert [isinstance(outcome, Response) for outcome in outcomes] == [True, True]
    assert started


def test_a_streaming_client_does_not_count_as_disconnected() -> None:
    """Starlette ends a stream when the client disconnects, and checks for that while it streams."""

    async def endpoint(_request: Any) -> StreamingResponse:
        async def pieces() -> Any:
            for _ in range(3):
                await asyncio.sleep(0.01)
                yield b"x"

        return StreamingResponse(pieces())

    async def passes_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    target = starlette(endpoint)
    target.app.add_middleware(BaseHTTPMiddleware, dispatch=passes_on)  # type: ignore[attr-defined]
    assert get_response(exchange_all(target)) == (200, b"xxx")


def test_the_response_of_an_error_handler_is_the_outcome() -> None:
    async def endpoint(_request: Any) -> None:
        raise ValueError("s3cret")

    assert get_response(exchange_all(starlette(endpoint))) == (500, b"Internal Server Error")


def test_a_response_that_does_not_end_is_reported() -> None:
    async def never(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] == "http":
            await asyncio.sleep(60)

    async def half(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200})

    assert get_problem(exchange_all(AsgiTarget(never), timeout=0.1))[0] == "timeout"
    assert get_problem(exchange_all(AsgiTarget(half))) == (
        "cut",
        "the application returned without a response",
    )


def test_an_application_that_blocks_the_loop_times_out() -> None:
    released = threading.Event()

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        if scope["type"] == "http":
            released.wait(30)

    start = time.monotonic()
    assert get_problem(exchange_all(AsgiTarget(app), timeout=0.1))[0] == "timeout"
    released.set()
    assert time.monotonic() - start < 4


def test_a_receiver_can_be_used_after_it_was_closed() -> None:
    receiver = Receiver.wsgi(wsgi(Good()), authorization=Good.token)
    for _ in range(2):
        assert try_rule("receiver/concurrent/burst", receiver, Settings()).outcome == "passed"
        receiver.close()
