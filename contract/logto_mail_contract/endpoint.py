"""The fake mail endpoint: a real HTTP server, on pytest-httpserver, that records, judges and answers.

Requests are read and judged below WSGI, because WSGI hides what a contract speaks of: the order and case of
header lines, duplicates among them, and framing.
"""

from __future__ import annotations

import contextlib
import io
import math
import secrets
import socket
import struct
import threading
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import urlsplit

from pytest_httpserver import HTTPServer
from werkzeug.serving import DechunkedInput, WSGIRequestHandler

from .exchange import Request, judge_request
from .inbox import Inbox
from .replies import Answer, Endless, Garbage, Reply, Reset, Script, seconds
from .validation import validator

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from types import TracebackType

LARGEST_BODY = 64 * 1024 * 1024
"""Bytes of a body that are read; Logto's own API takes about 1 MB. A larger one is refused."""

_POLL_INTERVAL = 0.01
_HANDSHAKE_TIMEOUT = 10.0
_STOP_TIMEOUT = 2.0
_MOST_STRAYS = 100
_NO_LINGER = struct.pack("ii", 1, 0)


class EndpointNotStarted(RuntimeError):
    """The fake endpoint's server could not listen where it should."""


class MailEndpoint:
    """A fake mail endpoint: one URL, one inbox, its settings and its scripted replies.

    Made by ``MailServer.endpoint``, in pytest by the fixtures ``mail_endpoint`` and ``make_mail_endpoint``.

    Attributes:
        inbox: The deliveries.
        authorization: The exact value that ``Authorization`` must have, None (the default) when it is not
            looked at; may be set at any time.
        revision: The contract revision that messages are held to.
        layer: The layer that messages are held to.
    """

    inbox: Inbox
    authorization: str | None
    revision: str
    layer: str

    def __init__(self, server: MailServer, label: str) -> None:
        self._server = server
        self._label = label
        self._path: str | None = None
        self._open = threading.Event()
        self._script = Script()

    def begin(
        self,
        *,
        path: str | None = None,
        revision: str | None = None,
        layer: str = "guard",
        authorization: str | None = None,
        lenient: bool = False,
    ) -> None:
        """Begin anew: at a path, with an empty inbox, nothing scripted, and these settings.

        Args:
            path: The path of the URL; a fresh one that nobody else has when None.
            revision: A contract revision or Logto release; the current revision when None.
            layer: ``guard``, ``emitted`` or ``documented``.
            authorization: The exact value that ``Authorization`` must have; None when it is not looked at.
            lenient: Record violations and raise nothing for them.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
            catalogue.UnknownLayer: That revision has no such layer.
            ValueError: The path does not begin with a slash, or another endpoint has it.
        """
        self.close()
        # Compiles the schema now, so that the first delivery is not the one that waits for it.
        self.revision = validator(revision, layer).revision
        self.layer = layer
        self.authorization = authorization
        self._closing = threading.Event()
        self._script = Script()
        self.inbox = self._new_inbox(lenient=lenient)
        self._path = self._server.mount(path or f"/{secrets.token_hex(4)}/mail", self)

    def close(self) -> None:
        """Take nothing more at the URL and let go of every reply that is still under way."""
        if self._path is not None:
            self._server.unmount(self._path)
            self._closing.set()
            self._path = None

    @property
    def url(self) -> str:
        """The URL to configure in the sender, Logto's HTTP email connector say.

        Raises:
            RuntimeError: The endpoint is closed.
        """
        if self._path is None:
            raise RuntimeError(f"{self._label} is closed: the test that it belonged to has ended.")
        return self._server.url + self._path

    @property
    def ca_pem(self) -> bytes | None:
        """The certificate of the authority that a sender must trust, PEM; None for plain http."""
        return self._server.ca_pem

    @property
    def lenient(self) -> bool:
        """Whether violations are recorded only, and fail nothing; may be set at any time."""
        return self.inbox.lenient

    @lenient.setter
    def lenient(self, value: bool) -> None:
        self.inbox.lenient = value

    # Scripted replies.

    def reply(
        self,
        status: int = 200,
        body: str | bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        times: int | None = None,
    ) -> None:
        """Answer valid requests with a status and body from now on.

        Requests that the endpoint refuses (400, 401, 405, 415) are answered as ever and use nothing up.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            headers: Further header lines.
            delay: Seconds before the answer; ``math.inf`` never answers.
            times: For how many requests, after those already scripted; None until ``reset_replies``.

        Raises:
            ValueError: ``delay`` is negative, ``times`` less than 1 or ``status`` not of three digits.
        """
        if not 100 <= status <= 999:
            raise ValueError(f"An HTTP status has three digits; it was {status}")
        data = body.encode() if isinstance(body, str) else body
        answer = Answer(status, data, dict(headers or {}), delay=seconds(delay, "delay"))
        self._script.add(answer, times)

    def reply_redirect(self, location: str, status: int = 307, *, times: int | None = None) -> None:
        """Answer valid requests with a redirect from now on.

        Args:
            location: The value of ``Location``.
            status: The HTTP status; Logto's connector posts again on 301, 302, 307 and 308, and gets on 303.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1 or ``status`` not of three digits.
        """
        self.reply(status, headers={"Location": location}, times=times)

    def reply_reset(self, *, times: int | None = None) -> None:
        """End the connection of valid requests with a TCP reset from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Reset(), times)

    def reply_endless(self, *, times: int | None = None) -> None:
        """Answer valid requests with a 200 whose body never ends from now on.

        Args:
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Endless(), times)

    def reply_garbage(self, data: bytes = b"\0\1garbage\xff\r\n\r\n", *, times: int | None = None) -> None:
        """Answer valid requests with bytes that are no HTTP from now on, and close.

        Args:
            data: The bytes.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1.
        """
        self._script.add(Garbage(data), times)

    def reply_drip(
        self, status: int = 200, body: str | bytes = b"", *, interval: float = 0.1, times: int | None = None
    ) -> None:
        """Answer valid requests byte by byte from now on.

        Args:
            status: The HTTP status.
            body: The body; text is sent as UTF-8.
            interval: Seconds between two bytes, of the head too.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``interval`` is negative or ``times`` less than 1.
        """
        data = body.encode() if isinstance(body, str) else body
        self._script.add(Answer(status, data, drip=seconds(interval, "interval")), times)

    def reset_replies(self) -> None:
        """Forget what is scripted; replies that are under way go on."""
        self._script.reset()

    # Verifying.

    def verify(self) -> None:
        """Tell the violations that no call of the inbox has told yet.

        Raises:
            ContractViolation: There are some, and the endpoint is not lenient.
        """
        __tracebackhide__ = True
        self.inbox.verify()

    @contextmanager
    def recording(self) -> Iterator[Inbox]:
        """Give a block an inbox of its own, for use inside ``@given``.

        What arrives during the block goes to that inbox alone. At its end the violations that no call has
        told raise ContractViolation; where the block itself raises, they are added as a note.
        """
        __tracebackhide__ = True
        outer = self.inbox
        inner = self.inbox = self._new_inbox(lenient=outer.lenient)
        try:
            yield inner
        except BaseException as error:
            inner.add_note(error)
            raise
        finally:
            self.inbox = outer
        inner.verify()

    def add_note(self, error: BaseException) -> None:
        """Add the violations that no call of the inbox has told yet to an exception, unless lenient."""
        self.inbox.add_note(error)

    def _new_inbox(self, *, lenient: bool) -> Inbox:
        return Inbox(self._label, lenient=lenient, strays=self._server.strays_since(time.time()))

    # What the server calls.

    def receive(self, request: Request, wire: _Connection) -> None:
        """Judge a request, record it, and answer it."""
        closing = self._closing
        verdict = judge_request(request, self.revision, self.layer, self.authorization)
        reply: Reply | None = self._script.next() if verdict.status == 200 else None
        if reply is None:
            self.inbox.record(request, verdict, str(verdict.status), time.time())
            wire.answer_verdict(verdict.status, verdict.answer)
        else:
            self.inbox.record(request, verdict, f"{reply} (scripted)", time.time())
            wire.closing = closing
            reply.send(wire)


class _Connection(WSGIRequestHandler):
    """One connection of a sender; the base class is pytest-httpserver's server's own handler."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    head_only = False
    closing: threading.Event

    @property
    def mail(self) -> MailServer:
        return cast("_MailWSGIServer", self.server).mail_server

    @property
    def keep_alive(self) -> bool:
        return not self.close_connection

    @keep_alive.setter
    def keep_alive(self, value: bool) -> None:
        self.close_connection = not value

    def setup(self) -> None:
        self.mail.connections.add(self)
        tls = self.mail.tls
        if tls is not None:
            # Here rather than on the listening socket: a client that is silent must not hold up the others.
            self.request.settimeout(_HANDSHAKE_TIMEOUT)
            self.request = tls.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
        super().setup()

    def handle(self) -> None:
        if self.mail.tls is not None:
            try:
                self.connection.do_handshake()
                self.connection.settimeout(None)
            except OSError as error:
                self.mail.stray(f"a connection whose TLS handshake failed: {error}")
                return
        with contextlib.suppress(OSError, ValueError):  # the client or stop() has closed the socket
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()
        with contextlib.suppress(OSError):
            if self.mail.tls is not None:
                self.connection.close()
        self.mail.connections.discard(self)

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if len(self.raw_requestline) > 65536:
            self.requestline = self.command = self.request_version = ""
            self.send_error(414)
            return
        if not self.parse_request():
            return
        body, framing = self._body()
        request = Request(self.command, self.path, tuple(self.headers.raw_items()), body, framing)
        self.head_only = self.command == "HEAD"
        endpoint = self.mail.find(self.path)
        if endpoint is None:
            self.mail.stray(f"{self.command} {self.path}")
            self.answer_verdict(404, b'{"accepted":false,"reason":"There is no mail endpoint at this path"}')
        else:
            endpoint.receive(request, self)

    def _body(self) -> tuple[bytes, str | None]:
        if self.headers.defects:
            return self._cut(b"", "a header line without a colon")
        codings = self.headers.get_all("transfer-encoding", [])
        lengths = self.headers.get_all("content-length", [])
        if codings:
            if lengths:
                return self._cut(b"", "both Content-Length and Transfer-Encoding")
            return (
                self._chunked_body()
                if codings == ["chunked"]
                else self._cut(b"", f"Transfer-Encoding {', '.join(codings)}")
            )
        if not lengths:
            return b"", None
        length = lengths[0].strip(" \t")
        if len(lengths) > 1 or not (length.isascii() and length.isdigit()):
            return self._cut(b"", f"Content-Length {' and '.join(lengths)}")
        if int(length) > LARGEST_BODY:
            return self._cut(b"", f"a body of {length} bytes; the endpoint reads {LARGEST_BODY}")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return self._cut(body, f"Content-Length {length}, but {len(body)} bytes and the end")
        return body, None

    def _chunked_body(self) -> tuple[bytes, str | None]:
        # The stub lets DechunkedInput take an IO[bytes], and rfile is a BufferedIOBase.
        source, body = DechunkedInput(cast("Any", self.rfile)), bytearray()
        try:
            while part := source.read(65536):
                body += part
                if len(body) > LARGEST_BODY:
                    return self._cut(bytes(body), f"chunks of more than {LARGEST_BODY} bytes")
        except OSError as error:
            return self._cut(bytes(body), f"chunked coding: {error}")
        return bytes(body), None

    def _cut(self, body: bytes, problem: str) -> tuple[bytes, str]:
        # Nobody can tell where the next request would begin.
        self.close_connection = True
        return body, problem

    def answer_verdict(self, status: int, body: bytes) -> None:
        headers = {"Content-Type": "application/json"}
        if status == 405:
            headers["Allow"] = "POST"
        if status == 401:
            headers["WWW-Authenticate"] = "Custom"
        self.send(Answer(status, body, headers).encode(close=self.close_connection, head_only=self.head_only))

    # The wire of a scripted reply.

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def pause(self, seconds: float) -> bool:
        return not self.closing.wait(None if math.isinf(seconds) else seconds)

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        # Closing the descriptor itself: rfile and wfile hold the socket open otherwise.
        socket.close(self.connection.detach())

    def handle_expect_100(self) -> bool:
        self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        # Called by the base class for what it cannot read as a request.
        line = self.raw_requestline[:80].decode("latin-1").strip()
        self.mail.stray(f"{line!r}, which cannot be read as an HTTP request: {message or code}")
        self.close_connection = True
        reason = '{"accepted":false,"reason":"The request cannot be read"}'
        self.answer_verdict(code, reason.encode())

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: the inbox tells what came."""


class _MailWSGIServer:
    """What the handler finds on the server object; for the type checker."""

    mail_server: MailServer


class MailServer(HTTPServer):
    """The server of any number of fake endpoints, each at a path of its own.

    Args:
        host: The address to listen at.
        port: The port; 0 takes a free one.
        https: Whether to serve https, with a certificate of a new authority of its own; needs trustme.

    Raises:
        ModuleNotFoundError: https is asked for and trustme is not installed.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, https: bool = False) -> None:
        super().__init__(host, port, threaded=True)
        self.tls: ssl.SSLContext | None = None
        self.ca_pem: bytes | None = None
        if https:
            self.tls, self.ca_pem = _tls_context(host)
        self.connections: set[_Connection] = set()
        self._endpoints: dict[str, MailEndpoint] = {}
        self._strays: deque[tuple[float, str]] = deque(maxlen=_MOST_STRAYS)

    def __enter__(self) -> Self:
        if not self.is_running():
            self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.is_running():
            self.stop()

    def start(self) -> None:
        """Start to listen.

        Raises:
            EndpointNotStarted: The host or port cannot be had.
        """
        said = io.StringIO()
        try:
            # Werkzeug prints why it cannot listen, and exits.
            with contextlib.redirect_stderr(said):
                super().start()
        except (SystemExit, OSError, OverflowError) as error:
            reason = (
                str(error)
                if isinstance(error, (OSError, OverflowError))
                else said.getvalue().partition("\n")[0]
            )
            raise EndpointNotStarted(
                f"The mail endpoint cannot listen at {self.host} port {self.port}: {reason}. "
                "Port 0 takes a free one; with pytest-xdist every worker needs a port of its own."
            ) from None

    def thread_target(self) -> None:
        """Serve; called by pytest-httpserver in the server's thread."""
        server = cast("Any", self.server)
        server.RequestHandlerClass = _Connection
        server.mail_server = self
        server.serve_forever(poll_interval=_POLL_INTERVAL)

    def stop(self) -> None:
        """Stop listening, close every connection and wait for their threads."""
        for endpoint in list(self._endpoints.values()):
            endpoint.close()
        super().stop()
        deadline = time.monotonic() + _STOP_TIMEOUT
        while self.connections and time.monotonic() < deadline:
            for connection in list(self.connections):
                with contextlib.suppress(OSError):
                    connection.request.shutdown(socket.SHUT_RDWR)
            time.sleep(0.001)

    @property
    def url(self) -> str:
        """The server's URL, without a path; an address that means every interface is given as loopback."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - not bound here
        return f"{'https' if self.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def endpoint(
        self,
        *,
        label: str = "mail_endpoint",
        path: str | None = None,
        revision: str | None = None,
        layer: str = "guard",
        authorization: str | None = None,
        lenient: bool = False,
    ) -> MailEndpoint:
        """Return a new endpoint of this server.

        Args:
            label: What to call it in messages.
            path: As for ``MailEndpoint.begin``.
            revision: As for ``MailEndpoint.begin``.
            layer: As for ``MailEndpoint.begin``.
            authorization: As for ``MailEndpoint.begin``.
            lenient: As for ``MailEndpoint.begin``.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
            catalogue.UnknownLayer: That revision has no such layer.
            ValueError: The path does not begin with a slash, or another endpoint has it.
        """
        endpoint = MailEndpoint(self, label)
        endpoint.begin(
            path=path, revision=revision, layer=layer, authorization=authorization, lenient=lenient
        )
        return endpoint

    # What endpoints and connections call.

    def mount(self, path: str, endpoint: MailEndpoint) -> str:
        """Route a path to an endpoint, and return the path."""
        if not path.startswith("/"):
            raise ValueError(f"The path of an endpoint begins with a slash; it was {path!r}")
        if path in self._endpoints:
            raise ValueError(f"Another endpoint has the path {path!r} already")
        self._endpoints[path] = endpoint
        return path

    def unmount(self, path: str) -> None:
        """Route a path to nobody."""
        self._endpoints.pop(path, None)

    def find(self, target: str) -> MailEndpoint | None:
        """Return the endpoint that a request target means."""
        path = target.partition("?")[0]
        return self._endpoints.get(path if path.startswith("/") else urlsplit(path).path)

    def stray(self, what: str) -> None:
        """Note a request that reached no endpoint."""
        self._strays.append((time.time(), what))

    def strays_since(self, start: float) -> Any:
        """Return a function that returns what reached no endpoint since ``start``."""
        return lambda: [what for when, what in list(self._strays) if when >= start]


def _tls_context(host: str) -> tuple[ssl.SSLContext, bytes]:
    import ssl

    try:
        import trustme
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "An endpoint over https needs trustme: pip install 'logto-mail-contract[https]'"
        ) from None
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(host, "localhost", "127.0.0.1", "::1").configure_cert(context)
    return context, authority.cert_pem.bytes()
