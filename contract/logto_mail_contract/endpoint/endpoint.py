"""A fake mail endpoint: one URL, one inbox, its settings and its scripted replies."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

from ..inbox.inbox import Inbox
from ..judging.requests import judge_request
from ..judging.validation import validator
from ..wire.replies import Endless, Garbage, Reset, Script, scripted_response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ..wire.requests import Request
    from .connection import Connection
    from .server import MailServer


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
        self._script.add(scripted_response(status, body, headers, delay=delay), times)

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
        self._script.add(scripted_response(status, body, drip=interval), times)

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

    def receive(self, path: str, request: Request, wire: Connection) -> bool:
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
            wire.answer(verdict.status, verdict.response_body)
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
