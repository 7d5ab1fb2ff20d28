"""The fake mail endpoint: a real HTTP server, on pytest-httpserver, that records, judges and answers.

Requests are read and judged below WSGI, because WSGI hides what a contract speaks of: the order and case of
header lines, duplicates among them, and framing.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import socket
import struct
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from pytest_httpserver import HTTPServer

from .exchange import Request, judge_request
from .http1 import LARGEST_BODY, NotARequest, read_request
from .inbox import Inbox
from .replies import Answer, Endless, Garbage, Reset, Script, answer
from .validation import validator

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType

_POLL_INTERVAL = 0.01
_HANDSHAKE_TIMEOUT = 10.0
_DRAIN_TIMEOUT = 2.0
_STOP_TIMEOUT = 2.0
_MOST_STRAYS = 10
_LONGEST_STRAY = 200
_PATH = re.compile(r"/[!$-;=@-Z_a-z~]*")
_NO_LINGER = struct.pack("ii", 1, 0)


class EndpointNotStarted(RuntimeError):
    """The fake endpoint's server could not listen where it should."""


class MailEndpoint:
    """A fake mail endpoint: one URL, one inbox, its settings and its scripted replies.

    Made by ``MailServer.endpoint``, in pytest by the fixtures ``mail_endpoint`` and ``make_mail_endpoint``.

    Attributes:
        inbox: The deliveries.
    """

    inbox: Inbox

    def __init__(self, server: MailServer, label: str) -> None:
        self._server = server
        self._label = label
        self._path: str | None = None
        self._lock = threading.Lock()
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
            TypeError: ``authorization`` is neither text nor None.
        """
        self.close()
        # Compiles the schema now, so that the first delivery is not the one that waits for it.
        self._revision = validator(revision, layer).revision
        self._layer = layer
        self.authorization = authorization
        self._closing = threading.Event()
        self._script = Script()
        self.inbox = self._new_inbox(lenient=lenient)
        # Last: from here on requests come.
        self._path = self._server.mount(f"/{secrets.token_hex(4)}/mail" if path is None else path, self)

    def close(self) -> None:
        """Take nothing more at the URL and let go of every reply that is still under way."""
        with self._lock:
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
    def revision(self) -> str:
        """The contract revision that messages are held to."""
        return self._revision

    @property
    def layer(self) -> str:
        """The layer that messages are held to."""
        return self._layer

    @property
    def authorization(self) -> str | None:
        """The exact ``Authorization`` that is wanted, None when none is; may be set at any time."""
        return self._authorization

    @authorization.setter
    def authorization(self, value: str | None) -> None:
        if not (value is None or isinstance(value, str)):
            raise TypeError(f"authorization is text or None; it was a {type(value).__name__}")
        self._authorization = value

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
            ValueError: ``delay`` is negative, ``times`` less than 1, ``status`` not of three digits, or a
                header line cannot be sent.
        """
        self._script.add(answer(status, body, headers, delay=delay), times)

    def reply_redirect(self, location: str, status: int = 307, *, times: int | None = None) -> None:
        """Answer valid requests with a redirect from now on.

        Args:
            location: The value of ``Location``.
            status: The HTTP status; Logto's connector posts again on 301, 302, 307 and 308, and gets on 303.
            times: For how many requests; None until ``reset_replies``.

        Raises:
            ValueError: ``times`` is less than 1, ``status`` not of three digits, or ``location`` no header.
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
            ValueError: ``interval`` is negative, ``times`` less than 1 or ``status`` not of three digits.
        """
        self._script.add(answer(status, body, drip=interval), times)

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
        self.inbox.tell()

    def recording(self) -> Recording:
        """Give a block an inbox of its own, for use inside ``@given``: ``with ...recording() as inbox:``.

        What arrives during the block goes to that inbox alone. At its end the violations that no call has
        told raise ContractViolation; where the block itself raises, they are added as a note.
        """
        return Recording(self)

    def _new_inbox(self, *, lenient: bool) -> Inbox:
        start = time.time()

        def surroundings() -> list[str]:
            strays = self._server.strays_since(start)
            lines = [f"{self._label} listens at {self.url}"] if self._path is not None else []
            return lines + (["Requests that reached this server, but no inbox:", *strays] if strays else [])

        return Inbox(self._label, lenient=lenient, surroundings=surroundings)

    # What the server calls.

    def receive(self, path: str, request: Request, wire: _Connection) -> bool:
        """Judge a request, record it and answer it; return False where the path is no longer this one's."""
        with self._lock:
            # Looked up again under the lock: what is late for one test must not reach the next one's inbox.
            if not self._server.has(path, self):
                return False
            wire.closing = self._closing
            verdict = judge_request(request, self.revision, self.layer, self.authorization)
            reply = self._script.next() if verdict.status == 200 else None
            answered = f"{reply} (scripted)" if reply else str(verdict.status)
            self.inbox.record(request, verdict, answered, time.time())
        if reply is None:
            wire.answer(verdict.status, verdict.answer)
        else:
            reply.send(wire)
        return True


class Recording:
    """The block that ``MailEndpoint.recording`` opens.

    Not made by ``contextlib.contextmanager``: its frames would stand in the traceback of every violation.
    """

    def __init__(self, endpoint: MailEndpoint) -> None:
        self._endpoint = endpoint

    def __enter__(self) -> Inbox:
        self._outer = self._endpoint.inbox
        self._endpoint.inbox = self._inner = self._endpoint._new_inbox(lenient=self._outer.lenient)  # noqa: SLF001
        return self._inner

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._endpoint.inbox = self._outer
        self._inner.tell(exc_value)


class _Connection(threading.Thread):
    """One connection of a sender, in a thread of its own."""

    closing: threading.Event

    def __init__(self, server: MailServer, accepted: socket.socket) -> None:
        super().__init__(name="mail endpoint connection", daemon=True)
        self._server = server
        self._socket = accepted
        self._resetting = False
        self.keep_alive = True
        self.head_only = False

    def run(self) -> None:
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            if self._handshake():
                with self._socket.makefile("rb") as source:
                    while self.keep_alive:
                        self._exchange(source)
        except OSError:
            pass  # the client has gone, or stop() has ended the connection
        finally:
            self._socket.close()
            self._server.connections.discard(self)

    def hang_up(self) -> None:
        """End the connection from another thread."""
        with contextlib.suppress(OSError):
            # Not SSLSocket.shutdown, which pulls the TLS session from under a thread that reads.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _handshake(self) -> bool:
        if self._server.tls is None:
            return True
        # Here rather than on the listening socket: a client that is silent must not hold up the others.
        self._socket.settimeout(_HANDSHAKE_TIMEOUT)
        try:
            self._socket = self._server.tls.wrap_socket(
                self._socket, server_side=True, do_handshake_on_connect=False
            )
            self._socket.do_handshake()
        except OSError as error:
            self._server.stray(f"a connection whose TLS handshake failed: {error}")
            return False
        self._socket.settimeout(None)
        return True

    def _exchange(self, source: BinaryIO) -> None:
        try:
            came = read_request(source, lambda: self.send(b"HTTP/1.1 100 Continue\r\n\r\n"))
        except NotARequest as line:
            self.keep_alive = False
            self._server.stray(f"{line}, which is no HTTP/1.1 request line")
            self.answer(400, b'{"accepted":false,"reason":"This is no HTTP/1.1 request"}')
            self._drain(source)
            return
        if came is None:
            self.keep_alive = False
            return
        request, self.keep_alive = came
        self.head_only = request.method == "HEAD"
        if not self._server.deliver(request, self):
            self.answer(
                404, b'{"accepted":false,"reason":"There is no mail endpoint at this path (any more)"}'
            )
        if request.framing is not None:
            self._drain(source)

    def _drain(self, source: BinaryIO) -> None:
        # Closing with bytes unread resets the connection, and the client might never see its answer.
        if not self._resetting:
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_DRAIN_TIMEOUT)
            left = LARGEST_BODY
            while left > 0 and (part := source.read(min(left, 65536))):
                left -= len(part)

    def answer(self, status: int, body: bytes) -> None:
        """Answer as the judgement asks."""
        headers = {"Content-Type": "application/json"}
        if status == 405:
            headers["Allow"] = "POST"
        if status == 401:
            headers["WWW-Authenticate"] = "Custom"
        self.send(Answer(status, body, headers).encode(close=not self.keep_alive, head_only=self.head_only))

    # The wire of a scripted reply.

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pause(self, seconds: float) -> bool:
        return not self.closing.wait(min(seconds, threading.TIMEOUT_MAX))

    def reset(self) -> None:
        self.keep_alive = False
        self._resetting = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


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
        problem = None
        try:
            # Werkzeug prints why it cannot listen, and exits.
            with contextlib.redirect_stderr(said):
                if 0 <= self.port < 65536:
                    super().start()
                else:  # which the system would take modulo 65536
                    problem = "a port is a number from 0 to 65535"
        except (SystemExit, OSError) as error:
            problem = said.getvalue().partition("\n")[0] or str(error)
        if problem is not None:
            raise EndpointNotStarted(
                f"The mail endpoint cannot listen at {self.host} port {self.port}: {problem}. "
                "Port 0 takes a free one; with pytest-xdist every worker needs a port of its own."
            )

    def thread_target(self) -> None:
        """Serve; called by pytest-httpserver in the server's thread."""
        server = cast("Any", self.server)
        # socketserver's own place for deciding how a connection is served.
        server.process_request = self._connected
        server.serve_forever(poll_interval=_POLL_INTERVAL)

    def _connected(self, accepted: socket.socket, address: object) -> None:  # noqa: ARG002 - socketserver calls it so
        connection = _Connection(self, accepted)
        self.connections.add(connection)
        connection.start()

    def stop(self) -> None:
        """Stop listening, end every connection and wait for their threads."""
        for endpoint in list(self._endpoints.values()):
            endpoint.close()
        super().stop()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for connection in list(self.connections):
            while connection.is_alive() and time.monotonic() < deadline:
                # More than once: a TLS handshake may be about to put its socket in the place of this one.
                connection.hang_up()
                connection.join(_POLL_INTERVAL)

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
        check_path(path)
        if path in self._endpoints:
            raise ValueError(f"Another endpoint has the path {path!r} already")
        self._endpoints[path] = endpoint
        return path

    def unmount(self, path: str) -> None:
        """Route a path to nobody."""
        self._endpoints.pop(path, None)

    def has(self, path: str, endpoint: MailEndpoint) -> bool:
        """Return whether a path is routed to an endpoint."""
        return self._endpoints.get(path) is endpoint

    def deliver(self, request: Request, wire: _Connection) -> bool:
        """Have a request judged, recorded and answered; return False where no endpoint has its path."""
        path = _path(request.target)
        endpoint = self._endpoints.get(path)
        if endpoint is None or not endpoint.receive(path, request, wire):
            self.stray(f"{request.method} {request.target}")
            return False
        return True

    def stray(self, what: str) -> None:
        """Note a request that reached no endpoint."""
        line = what[:_LONGEST_STRAY].encode("ascii", "backslashreplace").decode()
        self._strays.append((time.time(), line))

    def strays_since(self, start: float) -> list[str]:
        """Return what reached no endpoint since ``start``, a line each."""
        return [f"  {what}" for when, what in list(self._strays) if when >= start]


def check_path(path: str) -> None:
    """Check that a path is one that a request's target can have.

    Raises:
        ValueError: It is not.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(
            "The path of an endpoint begins with a slash and has no query, spaces or letters that a URL "
            f"escapes; it was {path!r}"
        )


def _path(target: str) -> str:
    # RFC 9112, 3.2.2: the absolute form, http://host/path, is a target too.
    _, scheme, rest = target.partition("://")
    if scheme and not target.startswith("/"):
        target = "/" + rest.partition("/")[2]
    return target.partition("?")[0]


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
