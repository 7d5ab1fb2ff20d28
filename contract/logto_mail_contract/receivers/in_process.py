"""WSGI and ASGI applications as receivers, called in this process without a socket."""

from __future__ import annotations

import asyncio
import io
import queue
import sys
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from ..clock import new_event_loop, read_monotonic
from ..connector.channel import DEFAULT_TIMEOUT
from ..wire.outcomes import NoResponse, Response
from ..wire.responses import MAX_STORED_BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping

    from ..connector.channel import Channel
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome

_MAX_LIFESPAN_END_SECONDS = 2.0
_MAX_IDLE_WAIT_SECONDS = 0.05


class NotStarted(RuntimeError):
    """An ASGI application did not start."""


class _Worker:
    """A thread that runs what may never return."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Event()
        self._start()

    def _start(self) -> None:
        self._idle.set()
        threading.Thread(target=self._run, args=(self._jobs, self._idle), daemon=True).start()

    @staticmethod
    def _run(jobs: queue.SimpleQueue[Callable[[], None] | None], idle: threading.Event) -> None:
        while (job := jobs.get()) is not None:
            job()
            idle.set()

    def run(self, work: Callable[[Future[Any]], None], timeout: float) -> Any:
        """Run work, which sets the result of the future that it is given, and return that result.

        Raises:
            TimeoutError: It takes too long; the future is cancelled.
        """
        if not self._idle.wait(_MAX_IDLE_WAIT_SECONDS):
            self._abandon()
        result: Future[Any] = Future()
        self._idle.clear()
        self._jobs.put(lambda: work(result))
        try:
            return result.result(timeout)
        except TimeoutError:
            result.cancel()
            self._abandon()
            raise

    def _abandon(self) -> None:
        # The thread ends when the application returns, and with the process if it never does.
        self._jobs.put(None)
        self._jobs, self._idle = queue.SimpleQueue(), threading.Event()
        self._start()

    def close(self) -> None:
        self._jobs.put(None)


class _AppTarget(ABC):
    """An application that is called without a wire."""

    on_wire = False
    scheme = "http"
    host = "localhost"

    def __init__(self, app: Callable[..., Any], path: str = "/") -> None:
        self.app = app
        self.path = path

    @abstractmethod
    def open(self) -> Channel: ...

    @abstractmethod
    def close(self) -> None: ...


class WsgiTarget(_AppTarget):
    """A WSGI application, called in this process.

    Args:
        app: The application.
        path: The request target that messages are posted to.
    """

    def open(self) -> Channel:
        """Return a channel with a thread of its own."""
        return _WsgiChannel(self.app)

    def close(self) -> None:
        """Do nothing: each channel has its own thread."""


class _InProcessChannel(ABC):
    """A channel without a wire, on which nothing can come late."""

    @abstractmethod
    def exchange(self, call: Call, timeout: float) -> Outcome: ...

    def late_bytes(self, seconds: float) -> tuple[str, ...]:  # noqa: ARG002 - the protocol names it
        return ()

    def abort(self) -> None:  # noqa: B027 - no channel of these has anything to do
        """Do nothing: an application that is called in this process cannot be stopped."""

    def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
        return self.exchange(call, timeout)


class _WsgiChannel(_InProcessChannel):
    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self._worker = _Worker()

    def exchange(self, call: Call, timeout: float) -> Outcome:
        start = read_monotonic()
        try:
            result = self._worker.run(lambda future: self._call(call, future), timeout)
        except TimeoutError:
            return _make_timeout(start)
        return _make_outcome(result, start)

    def _call(self, call: Call, future: Future[Any]) -> None:
        started: list[Any] = []
        body = bytearray()

        def write(data: bytes) -> None:
            if len(body) < MAX_STORED_BODY_BYTES:
                body.extend(data)

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if started and exc_info is None:
                raise AssertionError("start_response was called twice")
            started[:] = [status, headers]
            return write

        pieces: Iterable[bytes] | None = None
        result: Any
        try:
            pieces = self._app(_make_environ(call), start_response)
            for data in pieces:
                write(data)
                if future.cancelled():  # the deadline passed, and the body may have no end
                    break
            if not started:
                raise AssertionError("start_response was never called")  # noqa: TRY301 - as PEP 3333 wants
            result = (int(started[0].split(" ", 1)[0]), started[1], bytes(body))
        except BaseException as error:  # noqa: BLE001 - an application may raise anything
            result = error
        if not future.cancelled():
            with suppress(Exception):  # it was cancelled just now
                future.set_result(result)
        # Close last, as servers do: a receiver may do its work when the client has the response.
        close = getattr(pieces, "close", None)
        if close is not None:
            with suppress(Exception):
                close()

    def close(self) -> None:
        self._worker.close()


def _make_environ(call: Call) -> dict[str, Any]:
    path, _, query = call.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": call.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, "latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(call.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in call.headers:
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        # PEP 3333: text of the bytes on the wire; servers join lines of one name with commas.
        text = value.encode().decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


class AsgiTarget(_AppTarget):
    """An ASGI application, called in this process, on an event loop in a thread of its own.

    Args:
        app: The application; its lifespan starts with the first channel.
        path: The request target that messages are posted to.
        start_seconds: How long its lifespan may take to start.
    """

    def __init__(
        self, app: Callable[..., Any], path: str = "/", *, start_seconds: float = DEFAULT_TIMEOUT
    ) -> None:
        super().__init__(app, path)
        self._start_seconds = start_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lifespan: asyncio.Queue[MutableMapping[str, Any]] | None = None
        self._state: dict[str, Any] = {}
        self._lock = threading.Lock()

    def open(self) -> Channel:
        """Return a channel; the first one starts the loop and the application's lifespan.

        Raises:
            NotStarted: The lifespan failed, or sent nothing in time.
        """
        with self._lock:
            if self._loop is None:
                self._loop = new_event_loop()
                self._thread = threading.Thread(target=_run, args=(self._loop,), daemon=True)
                self._thread.start()
                try:
                    starting = asyncio.run_coroutine_threadsafe(self._start_lifespan(), self._loop)
                    problem = starting.result(self._start_seconds)
                except TimeoutError:
                    problem = f"its lifespan said nothing for {self._start_seconds:g} s"
                if problem is not None:
                    self._end()
                    raise NotStarted(f"The ASGI application did not start: {problem}")
            return _AsgiChannel(self.app, self._loop, self._state)

    async def _start_lifespan(self) -> str | None:
        incoming: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        started = asyncio.Event()
        problem: str | None = None
        self._state = {}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal problem
            if message["type"] == "lifespan.startup.failed":
                problem = message.get("message") or "its lifespan failed"
            started.set()

        async def run() -> None:
            # ASGI: an application that raises here has no lifespan.
            with suppress(Exception):
                await self.app(
                    {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}, incoming.get, send
                )
            started.set()

        self._lifespan = incoming
        await incoming.put({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(run())
        await started.wait()
        return problem

    def close(self) -> None:
        """End the application's lifespan and stop the loop."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._loop is None or self._thread is None:
            return
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        asyncio.run_coroutine_threadsafe(self._end_tasks(), loop)
        # The thread outlives this where the application blocks the loop.
        thread.join(_MAX_LIFESPAN_END_SECONDS)

    async def _end_tasks(self) -> None:
        if self._lifespan is not None:
            await self._lifespan.put({"type": "lifespan.shutdown"})
            await asyncio.wait([self._task], timeout=_MAX_LIFESPAN_END_SECONDS / 2)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        loop = asyncio.get_running_loop()
        await loop.shutdown_asyncgens()
        loop.stop()


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


class _AsgiChannel(_InProcessChannel):
    def __init__(
        self, app: Callable[..., Any], loop: asyncio.AbstractEventLoop, state: dict[str, Any]
    ) -> None:
        self._app = app
        self._loop = loop
        self._state = state
        self._tasks: set[asyncio.Task[Any] | None] = set()

    def exchange(self, call: Call, timeout: float) -> Outcome:
        start = read_monotonic()
        results: queue.SimpleQueue[Any] = queue.SimpleQueue()
        started: list[asyncio.Task[None]] = []

        def begin() -> None:
            started.append(self._loop.create_task(self._call(call, results)))
            self._tasks.add(started[0])

        # Not run_coroutine_threadsafe: the futures that it chains cost as much as the rest of the exchange.
        self._loop.call_soon_threadsafe(begin)
        try:
            return _make_outcome(results.get(timeout=timeout), start)
        except queue.Empty:
            self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in started])
            return _make_timeout(start)

    async def _call(self, call: Call, results: queue.SimpleQueue[Any]) -> None:
        path, _, query = call.target.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": call.method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in call.headers],
            "client": ("127.0.0.1", 0),
            "server": ("localhost", 80),
            "state": dict(self._state),
        }
        sent = [{"type": "http.request", "body": call.body, "more_body": False}]
        status, headers, body = 0, [], bytearray()
        ended = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if sent:
                return sent.pop()
            # A client stays until it has the response.
            await ended.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in message.get("headers", ())
                ]
            elif message["type"] == "http.response.body" and not ended.is_set():
                if len(body) < MAX_STORED_BODY_BYTES:
                    body.extend(message.get("body", b""))
                if not message.get("more_body", False):
                    ended.set()
                    # Now, not when the application returns: it may have work in the background.
                    results.put((status, headers, bytes(body)))

        result: Any = (0, [], b"")
        try:
            await self._app(scope, receive, send)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - an application may raise anything
            result = error
        # The set kept the task alive until here: a loop holds tasks weakly, and work may follow the response.
        self._tasks.discard(asyncio.current_task())
        if not ended.is_set():
            ended.set()
            results.put(result)

    def close(self) -> None:
        """Do nothing: the loop belongs to the target."""


def _make_timeout(start: float) -> NoResponse:
    return NoResponse("timeout", "the application did not return", read_monotonic() - start)


def _make_outcome(result: Any, start: float) -> Outcome:
    seconds = read_monotonic() - start
    if isinstance(result, BaseException):
        # Not a 500 with this text: a server would not show it to a client.
        return NoResponse("raised", f"{type(result).__name__}: {result}", seconds)
    status, headers, body = result
    if not status:
        return NoResponse("cut", "the application returned without a response", seconds)
    return Response(status, tuple((name.lower(), value) for name, value in headers), body, seconds)
