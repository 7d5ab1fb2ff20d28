"""The fake mail endpoint's server, on pytest-httpserver: records, judges and responds.

Requests are read and judged below WSGI. WSGI hides what a contract speaks of: the order and case of header
lines, duplicates among them, and framing.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from pytest_httpserver import HTTPServer

from ..clock import read_monotonic
from .connection import Connection
from .endpoint import MailEndpoint

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from types import TracebackType

    from ..wire.requests import Request

_POLL_SECONDS = 0.01
_STOP_SECONDS = 2.0
_MAX_UNMATCHED = 10
_MAX_UNMATCHED_CHARACTERS = 200
_PATH = re.compile(r"/[!$-;=@-Z_a-z~]*")


class EndpointNotStarted(RuntimeError):
    """The fake endpoint's server could not listen where it should."""


class Handler(Protocol):
    """Handles what comes to a MailServer in the place of endpoints."""

    def deliver(self, request: Request, connection: Connection) -> bool:
        """Respond to a request; return False for the server to respond with 404."""

    def note_unmatched(self, what: str) -> None:
        """Note bytes on a connection that are no request."""


class _HTTPServer(HTTPServer):
    """pytest-httpserver, with each connection handed on unread.

    Args:
        host: The address to listen at.
        port: The port; 0 picks a free one.
        on_connected: Called in the server's thread with each connection that was accepted.
    """

    def __init__(self, host: str, port: int, on_connected: Callable[[socket.socket], None]) -> None:
        super().__init__(host, port, threaded=True)
        self._on_connected = on_connected

    def thread_target(self) -> None:
        server = cast("Any", self.server)
        # socketserver's own place for deciding how a connection is served.
        server.process_request = lambda accepted, address: self._on_connected(accepted)  # noqa: ARG005 - its form
        server.serve_forever(poll_interval=_POLL_SECONDS)


class MailServer:
    """The server of any number of fake endpoints, each at a path of its own; a context manager.

    Args:
        host: The address to listen at.
        port: The port; 0 picks a free one.
        https: Whether to serve https, with a certificate of a new authority of its own; needs trustme.
        handler: Handles every request in the place of endpoints; None where there are endpoints.

    Attributes:
        tls: The server's side of TLS; None for plain http.
        ca_pem: The certificate of the authority that a sender must trust, PEM; None for plain http.
        connections: The connections that are open.

    Raises:
        ModuleNotFoundError: https is asked for and trustme is not installed.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        https: bool = False,
        handler: Handler | None = None,
    ) -> None:
        self._http = _HTTPServer(host, port, self._serve)
        self._handler = handler
        self.tls: ssl.SSLContext | None = None
        self.ca_pem: bytes | None = None
        if https:
            self.tls, self.ca_pem = _tls_context(host)
        self.connections: set[Connection] = set()
        self._endpoints: dict[str, MailEndpoint] = {}
        self._unmatched: deque[tuple[float, str]] = deque(maxlen=_MAX_UNMATCHED)

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
        self.stop()

    @property
    def host(self) -> str:
        """The address that it listens at, as given."""
        return self._http.host

    @property
    def port(self) -> int:
        """The port that it listens at; before the start, as given."""
        return self._http.port

    def is_running(self) -> bool:
        """Return whether it listens."""
        return self._http.is_running()

    def start(self) -> None:
        """Start to listen.

        Raises:
            EndpointNotStarted: The host or port cannot be listened at, or the server listens already.
        """
        if self.is_running():
            raise EndpointNotStarted(f"The mail endpoint's server listens already, at {self.url}.")
        printed = io.StringIO()
        problem = None
        try:
            # Werkzeug prints why it cannot listen, and exits.
            with contextlib.redirect_stderr(printed):
                if 0 <= self.port < 65536:
                    self._http.start()
                else:  # the system would reduce it modulo 65536
                    problem = "a port is a number from 0 to 65535"
        except (SystemExit, OSError) as error:
            problem = printed.getvalue().partition("\n")[0] or str(error)
        if problem is not None:
            raise EndpointNotStarted(
                f"The mail endpoint cannot listen at {self.host} port {self.port}: {problem}. "
                "Port 0 picks a free one; with pytest-xdist every worker needs a port of its own."
            )

    def _serve(self, accepted: socket.socket) -> None:
        connection = Connection(self, accepted)
        self.connections.add(connection)
        connection.start()

    def stop(self) -> None:
        """Stop listening, close every connection and wait for their threads; does nothing when stopped."""
        for endpoint in list(self._endpoints.values()):
            endpoint.close()
        if self.is_running():
            self._http.stop()
        deadline = read_monotonic() + _STOP_SECONDS
        for connection in list(self.connections):
            while connection.is_alive() and read_monotonic() < deadline:
                # More than once: a TLS handshake may be about to put its socket in the place of this one.
                connection.close()
                connection.join(_POLL_SECONDS)

    @property
    def url(self) -> str:
        """The server's URL, without a path; an address that means every interface is given as loopback.

        Raises:
            RuntimeError: The server has no port yet, because it was not started.
        """
        if not self.port:
            raise RuntimeError("The server has no port yet. Start it: `with MailServer() as server:`.")
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

    # Called by endpoints and connections.

    def mount(self, path: str, endpoint: MailEndpoint) -> str:
        """Route a path to an endpoint, and return the path."""
        check_path(path)
        if path in self._endpoints:
            raise ValueError(f"Another endpoint has the path {path!r} already")
        self._endpoints[path] = endpoint
        return path

    def unmount(self, path: str) -> None:
        """Stop routing a path."""
        self._endpoints.pop(path, None)

    def has(self, path: str, endpoint: MailEndpoint) -> bool:
        """Return whether a path is routed to an endpoint."""
        return self._endpoints.get(path) is endpoint

    def deliver(self, request: Request, connection: Connection) -> bool:
        """Have a request judged, recorded and responded to; return False where no endpoint has its path."""
        if self._handler is not None:
            return self._handler.deliver(request, connection)
        path = _path(request.target)
        endpoint = self._endpoints.get(path)
        if endpoint is None or not endpoint.receive(path, request, connection):
            self.note_unmatched(f"{request.method} {request.target}")
            return False
        return True

    def note_unmatched(self, what: str) -> None:
        """Note a request that reached no endpoint, or bytes that are no request."""
        if self._handler is not None:
            self._handler.note_unmatched(what)
            return
        line = what[:_MAX_UNMATCHED_CHARACTERS].encode("ascii", "backslashreplace").decode()
        self._unmatched.append((read_monotonic(), line))

    def unmatched_since(self, start: float) -> list[str]:
        """Return up to ten lines: what reached no endpoint since ``start`` on the monotonic clock."""
        return [f"  {what}" for when, what in list(self._unmatched) if when >= start]


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
