"""The real server of ``mail-contract serve`` in a thread, and a client that checks its responses.

``Api`` compares every response with ``schemas/inbox-api.openapi.json``: path, status, media type, headers and
body. A member that the document does not name is an error, so server and document cannot drift apart.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import threading
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import unquote, urlsplit

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from tests.support.http_client import MESSAGE, TIMEOUT, Client, Response, post

from logto_mail_contract import catalogue
from logto_mail_contract.serve.app import StandingApp
from logto_mail_contract.serve.endpoint import StandingEndpoint
from logto_mail_contract.serve.server import StandingServer
from logto_mail_contract.serve.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logto_mail_contract.inbox.recorded import Recorded
    from logto_mail_contract.inbox.store import Store
    from logto_mail_contract.judging.requests import Verdict
    from logto_mail_contract.serve.event_stream import ApiLimits
    from logto_mail_contract.serve.limits import Limits

    T = TypeVar("T")

# The server.


class RecordingLog:
    """A log that records its calls."""

    def __init__(self) -> None:
        self.deliveries: list[Recorded] = []
        self.problems: list[str] = []

    def delivery(self, recorded: Recorded, message: Any, verdict: Verdict) -> None:  # noqa: ARG002 - as it is called
        """Record a delivery."""
        self.deliveries.append(recorded)

    def problem(self, text: str) -> None:
        """Record a problem."""
        self.problems.append(text)


class _Errors(logging.Handler):
    """Records what the server logs as an error: an exception in the application or in its event loop."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Serving:
    """A running server."""

    def __init__(
        self, server: StandingServer, endpoint: StandingEndpoint, url: str, log: RecordingLog
    ) -> None:
        self.server = server
        self.endpoint = endpoint
        self.url = url
        self.log = log
        self.api = Api(url)
        self.loop = asyncio.get_running_loop()

    def call(self, function: Callable[[], T]) -> T:
        """Call a function in the server's event loop: its objects are not thread-safe."""

        async def called() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(TIMEOUT)

    def deliver(self, body: object = MESSAGE, *lines: str, path: str = "/hook") -> Response:
        """Deliver a message as Logto does, on a connection of its own."""
        return post(self.url + path, body, *lines)

    def listeners(self) -> int:
        """Return the number of listeners for arrivals: held requests, streams, scripted replies under way."""
        return self.endpoint.inbox.listener_count

    def stop(self) -> None:
        """Stop the server as the first signal does."""
        self.server.stop()


@contextmanager
def serving(
    store: str = "memory",
    max_deliveries: int = 10_000,
    *,
    revision: str | None = None,
    layer: str = "guard",
    authorization: str | None = None,
    lenient: bool = False,
    guard_host: bool = True,
    limits: Limits | None = None,
    api_limits: ApiLimits | None = None,
    opening: Callable[[str, int], Store] = open_store,
) -> Iterator[Serving]:
    """Run a server on a free port of 127.0.0.1 during a block.

    Args:
        store: As for ``--store``; opened in the server's thread, since SQLite wants that.
        max_deliveries: How many deliveries it stores.
        revision: The contract revision.
        layer: The layer.
        authorization: What ``Authorization`` must be.
        lenient: Whether any template type can be asked for.
        guard_host: Whether the inbox is refused to requests for a public host name.
        limits: Bounds on its clients.
        api_limits: The bounds of the inbox API.
        opening: Opens the store.

    Raises:
        AssertionError: An exception was logged, or the server did not stop.
    """
    errors, log = _Errors(), RecordingLog()
    started = threading.Event()
    running: list[Serving] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with (
                socket.create_server(("127.0.0.1", 0), backlog=1024) as listening,
                closing(opening(store, max_deliveries)) as opened,
            ):
                endpoint = StandingEndpoint(
                    opened,
                    log,
                    revision=revision,
                    layer=layer,
                    authorization=authorization,
                    lenient=lenient,
                )
                url = f"http://127.0.0.1:{listening.getsockname()[1]}"

                def ready() -> None:
                    running.append(Serving(server, endpoint, url, log))
                    started.set()

                app = StandingApp(endpoint, guard_host=guard_host, api_limits=api_limits)
                server = StandingServer(app, ready, limits)
                server.run([listening])
        except BaseException as failure:  # noqa: BLE001 - raised in the thread of the test
            failures.append(failure)
        finally:
            started.set()

    logger = logging.getLogger("asyncio")
    logger.addHandler(errors)
    thread = threading.Thread(target=run, name="serving", daemon=True)
    thread.start()
    try:
        assert started.wait(TIMEOUT)
        if running:
            yield running[0]
    finally:
        for server in running:
            server.stop()
        thread.join(TIMEOUT)
        logger.removeHandler(errors)
    if failures:
        raise failures[0]
    assert not thread.is_alive(), "the server did not stop"
    assert errors.lines == []


# The document.

_URI = "urn:inbox-api"


@cache
def document() -> Any:
    """Return the OpenAPI document."""
    return catalogue.load("inbox-api.openapi.json")


def _closed(part: Any) -> Any:
    # The document allows unknown members, since later versions may add some. Here they are drift.
    if isinstance(part, list):
        return [_closed(member) for member in part]
    if not isinstance(part, dict):
        return part
    return {
        name: {"allOf": [_closed(member)], "unevaluatedProperties": False}
        if name in ("schema", "items") and ("$ref" in member or "allOf" in member)
        else _closed(member)
        for name, member in part.items()
    }


@cache
def _registry() -> Registry[Any]:
    empty: Registry[Any] = Registry()
    registry: Registry[Any] = empty.with_resource(_URI, DRAFT202012.create_resource(_closed(document())))
    return registry


@cache
def validator(*steps: str) -> Draft202012Validator:
    """Return a validator for the schema at a place of the document; it refuses unknown members."""
    pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return Draft202012Validator(
        {"allOf": [{"$ref": f"{_URI}#{pointer}"}], "unevaluatedProperties": False}
        if steps[0] == "components"
        else {"$ref": f"{_URI}#{pointer}"},
        registry=_registry(),
    )


def declared(method: str, path: str, status: int) -> tuple[str, ...]:
    """Return where the document declares a response.

    Raises:
        AssertionError: The document does not declare it.
    """
    paths = document()["paths"]
    template = next((name for name in paths if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name), path)), None)
    if status == 403 and path != "/healthz":
        return "components", "responses", "ForeignHost"
    # The document says in words that an unknown path and another method get the schema of every error.
    if template is None:
        assert status == 404, f"{status} for {path}, which the document does not have"
        return "components", "responses", "BadRequest"
    method = "get" if method == "HEAD" else method.lower()
    if method not in paths[template]:
        assert status == 405, f"{status} for {method} {path}, which the document does not have"
        return "components", "responses", "BadRequest"
    responses = paths[template][method]["responses"]
    assert str(status) in responses, f"{status} is no declared response to {method} {path}"
    shared = responses[str(status)].get("$ref")
    if shared is not None:
        return tuple(shared.removeprefix("#/").split("/"))
    return "paths", template, method, "responses", str(status)


def check(method: str, target: str, response: Response) -> None:
    """Check a response of the API against the document.

    Raises:
        AssertionError: It differs from the document.
    """
    assert not [name for name in response.headers if name.startswith("access-control-")]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"
    place = declared(method, unquote(target.partition("?")[0]), response.status)
    declaration = document()
    for step in place:
        declaration = declaration[step]
    for name, header in declaration.get("headers", {}).items():
        assert name.lower() in response.headers or not header.get("required")
    media = response.headers["content-type"].partition(";")[0]
    assert media in declaration["content"], f"{media} is not declared at {place}"
    if method == "HEAD":
        assert response.body == b""
    elif "schema" in declaration["content"][media] and media != "text/event-stream":
        value = response.json if media == "application/json" else response.body.decode()
        problems = list(
            validator("paths", *place[1:], "content", media, "schema").iter_errors(value)
            if place[0] == "paths"
            else validator(*place, "content", media, "schema").iter_errors(value)
        )
        assert not problems, "\n".join(map(str, problems))


# The client.


class Event(NamedTuple):
    """A server-sent event; a comment has no name."""

    name: str
    id: int | None
    data: Any


class Stream:
    """A stream of events."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._chunks = self.chunks()
        self._text = b""

    def chunks(self) -> Iterator[bytes]:
        """Yield each chunk until the stream ends."""
        while size := int(self.client.read_line(), 16):
            yield self.client.read(size)
            self.client.read(2)
        self.client.read(2)

    def next(self) -> Event | None:
        """Return the next event or comment, None at the end."""
        while b"\n\n" not in self._text:
            chunk = next(self._chunks, None)
            if chunk is None:
                assert self._text == b""
                return None
            self._text += chunk
        block, _, self._text = self._text.partition(b"\n\n")
        lines = dict(line.split(": ", 1) for line in block.decode().split("\n") if line[0] != ":")
        if not lines:
            return Event("", None, None)
        data = json.loads(lines["data"])
        form = {"hello": "HelloEvent", "message": "Summary", "deleted": "DeletedEvent", "near": "NearEvent"}[
            lines["event"]
        ]
        problems = list(validator("components", "schemas", form).iter_errors(data))
        assert not problems, "\n".join(map(str, problems))
        return Event(lines["event"], int(lines["id"]) if "id" in lines else None, data)

    def read_event(self) -> tuple[str, Any]:
        """Return the name of the next event, and its recipient."""
        event = self.next()
        assert event is not None
        return event.name, event.data.get("to")


class Api:
    """The inbox API as a client sees it; every response is checked against the document."""

    def __init__(self, url: str) -> None:
        self.url = url

    def send(self, method: str, target: str, *lines: str, body: bytes = b"") -> Client:
        """Send a request, and return its connection, with the response still unread."""
        client = Client(self.url)
        head = [f"{method} {target} HTTP/1.1", *lines]
        if not any(line.lower().startswith("host:") for line in lines):
            head.append(f"Host: {urlsplit(self.url).netloc}")
        if body:
            head.append(f"Content-Length: {len(body)}")
        client.send("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        return client

    def request(self, method: str, target: str, *lines: str, body: bytes = b"") -> Response:
        """Send a request and return its response."""
        with self.send(method, target, *lines, body=body) as client:
            response = client.read_response(head_only=method == "HEAD")
        check(method, target, response)
        return response

    def get(self, target: str, *lines: str) -> Any:
        """Return the JSON value of a 200."""
        response = self.request("GET", target, *lines)
        assert response.status == 200, response.body
        return response.json

    def read_refusal(self, target: str, status: int = 400, method: str = "GET", body: bytes = b"") -> str:
        """Return the error message of a refusal."""
        response = self.request(method, target, "Content-Type: application/json", body=body)
        assert response.status == status, response
        error: str = response.json["error"]
        return error

    def script(self, reply: Any) -> Any:
        """Script a reply and return the listing."""
        response = self.request(
            "POST", "/api/replies", "Content-Type: application/json", body=json.dumps(reply).encode()
        )
        assert response.status == 201, response.body
        return response.json["replies"]

    @contextmanager
    def events(self, target: str = "/api/events", *lines: str) -> Iterator[Stream]:
        """Follow the events."""
        with self.send("GET", target, *lines) as client:
            status, headers = client.head()
            check("GET", target, Response(status, headers, b""))
            assert (status, headers["transfer-encoding"]) == (200, "chunked")
            yield Stream(client)
