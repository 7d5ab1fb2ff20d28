"""A stand-in for Logto: two servers, for users and for the console, that answer as a real Logto does.

It keeps state as Logto does: codes are checked and used up, a failed mail rolls an invitation back. Its mails
are bodies that a real Logto posted, with other recipients and codes. Of OpenID Connect it knows only the code
flow with PKCE and client credentials. It can have one defect, so that a check of it fails.
"""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import parse_qsl, urlsplit

from tests.support.logto import management, sign_in
from tests.support.logto.routing import Answer, Request, answer_request
from tests.support.logto.sign_in import read_cookies
from tests.support.logto.state import Cut, Refused, State

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

ROUTED: tuple[ModuleType, ...] = (management, sign_in)
"""The modules whose functions answer requests."""


class StandIn:
    """The two servers, a context manager.

    Args:
        defect: What it does wrong; None for nothing.
        statements: The file of the SQL statements that changed its database.
        silence_seconds: After how many seconds without an answer of the mail endpoint it cuts a connection.

    Attributes:
        state: All that it knows.
    """

    def __init__(self, defect: str | None = None, *, statements: Path, silence_seconds: float = 0.4) -> None:
        self.state = State(defect, silence_seconds, statements)
        self._servers = [_Server(self.state, at_console) for at_console in (False, True)]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.01,)) for server in self._servers
        ]

    @property
    def endpoint(self) -> str:
        """The URL for users."""
        return self._servers[0].url

    @property
    def admin_endpoint(self) -> str:
        """The URL of the console."""
        return self._servers[1].url

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, state: State, at_console: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.state = state
        self.at_console = at_console

    @property
    def url(self) -> str:
        """The URL of this server."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""

    def _serve(self) -> None:
        server = cast("_Server", self.server)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        is_form = self.headers.get("content-type") == "application/x-www-form-urlencoded"
        request = Request(
            self.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            dict(parse_qsl(body.decode())) if is_form else json.loads(body) if body else None,
            read_cookies(self.headers.get("cookie", "")),
            self.headers.get("authorization", ""),
            self.headers.get("logto-verification-id", ""),
            server.at_console,
        )
        try:
            answer = answer_request(server.state, request)
        except Refused as refused:
            error = {"code": refused.code, "message": refused.message, "data": {"message": refused.message}}
            answer = Answer(refused.status, error)
        except Cut:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # the client may be gone
            self._respond(answer)

    def _respond(self, answer: Answer) -> None:
        body = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        if answer.location is not None:
            self.send_header("location", answer.location)
        for cookie in answer.cookies:
            self.send_header("set-cookie", cookie)
        if answer.status != 204:
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    # The names that the standard library looks for.
    do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815
