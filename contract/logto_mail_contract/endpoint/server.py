"""The fake mail endpoint: a real HTTP server, on pytest-httpserver, that records, judges and answers.

Requests are read and judged below WSGI, because WSGI hides what a contract speaks of: the order and case of
header lines, duplicates among them, and framing.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self, cast

from pytest_httpserver import HTTPServer

from .connection import Connection
from .endpoint import MailEndpoint

if TYPE_CHECKING:
    import socket
    import ssl
    from types import TracebackType

    from ..wire.requests import Request

_POLL_INTERVAL = 0.01
_STOP_TIMEOUT = 2.0
_MOST_STRAYS = 10
_LONGEST_STRAY = 200
_PATH = re.compile(r"/[!$-;=@-Z_a-z~]*")


class EndpointNotStarted(RuntimeError):
    """The fake endpoint's server could not listen where it should."""


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
        self.connections: set[Connection] = set()
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
        connection = Connection(self, accepted)
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

    def deliver(self, request: Request, wire: Connection) -> bool:
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
