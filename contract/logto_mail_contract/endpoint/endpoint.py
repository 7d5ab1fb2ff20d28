"""A fake mail endpoint: one URL, one inbox, its settings and its scripted replies."""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from ..clock import read_monotonic, read_time
from ..inbox.core import MAX_LISTED_DELIVERIES
from ..inbox.inbox import Inbox
from ..inbox.violations import CAUGHT, is_skip, report
from ..inbox.waits import Waits
from ..judging.requests import judge
from ..judging.validation import validator
from .replies import ScriptedReplies

if TYPE_CHECKING:
    from types import TracebackType

    from ..findings import ContractViolation, Finding
    from ..inbox.violations import ExpectedViolation
    from ..wire.requests import Request
    from .connection import Connection
    from .server import MailServer


class MailEndpoint(ScriptedReplies):
    """A fake mail endpoint: one URL, one inbox, its settings and its scripted replies.

    Made by ``MailServer.endpoint``, in pytest by the fixtures ``mail_endpoint`` and ``make_mail_endpoint``.

    Attributes:
        label: What messages call it.
        inbox: The deliveries.
        waits: The waits for its deliveries that were not awaited yet.
    """

    def __init__(self, server: MailServer, label: str) -> None:
        super().__init__()
        self._server = server
        self.label = label
        self._path: str | None = None
        self._lock = threading.Lock()
        self._expectations: list[ExpectedViolation] = []
        # The inboxes behind the recordings that are open.
        self._suspended: list[Inbox] = []
        # Violations of an inbox that is replaced, which the test must not lose: of a recording, for example.
        self._ended: ContractViolation | None = None
        self._tolerated: dict[tuple[Finding, ...], ContractViolation] = {}
        self.waits = Waits()
        self.inbox = Inbox(label)

    def begin(
        self,
        *,
        path: str | None = None,
        revision: str | None = None,
        layer: str = "guard",
        authorization: str | None = None,
        lenient: bool = False,
    ) -> None:
        """Begin again: at a path, with an empty inbox, nothing scripted, and these settings.

        In pytest this accepts no violation: what was due still fails the test at its end.

        Args:
            path: The path of the URL; a new one that is not used twice when None.
            revision: A contract revision or Logto release; the current revision when None.
            layer: ``guard``, ``emitted`` or ``documented``.
            authorization: The exact value that ``Authorization`` must have; None when it is not looked at.
            lenient: Record violations and raise nothing for them.

        Raises:
            catalogue.UnknownRevision: There is no such revision or release.
            catalogue.UnknownLayer: That revision has no such layer.
            ValueError: The path does not begin with a slash, or another endpoint has it.
            TypeError: ``authorization`` is not text and not None.
        """
        self.close()
        # Compile the schema now: the first delivery should not have to wait for it.
        self._revision = validator(revision, layer).revision
        self._layer = layer
        self.authorization = authorization
        self._closing = threading.Event()
        self.reset_replies()
        self._expectations.clear()
        for inbox in self._open_inboxes():
            if inbox.lenient:
                self._tolerate(inbox)
                self.take_unused_replies()
            else:
                self._ended = self._ended or inbox.take_unreported()
        self._suspended.clear()
        self.inbox = self._new_inbox(lenient=lenient)
        # Mount last: requests can arrive as soon as the path is routed.
        self._path = self._server.mount(f"/{secrets.token_hex(4)}/mail" if path is None else path, self)

    def close(self) -> None:
        """Stop receiving at the URL, and end every reply that is still being sent."""
        with self._lock:
            if self._path is not None:
                self._server.unmount(self._path)
                self._closing.set()
                self._path = None

    @property
    def url(self) -> str:
        """The URL to configure in the sender, for example in Logto's HTTP email connector.

        Raises:
            RuntimeError: The endpoint is closed.
        """
        if self._path is None:
            raise RuntimeError(f"{self.label} is closed: the test that it belonged to has ended.")
        return self._server.url + self._path

    @property
    def ca_pem(self) -> bytes | None:
        """The certificate of the authority that a sender must trust, PEM; None for plain http."""
        return self._server.ca_pem

    @property
    def revision(self) -> str:
        """The contract revision that messages are judged by."""
        return self._revision

    @property
    def layer(self) -> str:
        """The layer that messages are judged by."""
        return self._layer

    @property
    def authorization(self) -> str | None:
        """The exact value that ``Authorization`` must have, None to ignore it; may be set at any time."""
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

    # Verifying.

    def verify(self) -> None:
        """Raise the violations that are due.

        Raises:
            ContractViolation: There are some, and the endpoint is not lenient.
        """
        __tracebackhide__ = True
        self.inbox.verify()

    def expect_violation(self, *rules: str) -> ExpectedViolation:
        """Accept what breaks a rule during a block, as ``Inbox.expect_violation`` does.

        ``with mail_endpoint.expect_violation("message/guard/type") as deliveries:`` accepts deliveries with
        an unknown template type, and fails when none arrives within the block. A recording inside the block
        accepts them too.
        """
        return self.inbox.expect_violation(*rules)

    def recording(self) -> Recording:
        """Give a block an inbox of its own, for use inside ``@given``: ``with ...recording() as inbox:``.

        Requests during the block go to that inbox alone. At the end of the block the violations that
        are due raise ContractViolation. If the block itself raises, they become a note of that exception.
        """
        return Recording(self)

    def take_unreported(self, failure: BaseException | None = None) -> ContractViolation | None:
        """Return as one failure the violations due that were neither reported nor tolerated, and count them.

        Those of a recording count where the test has not failed: then it caught what the recording raised.

        Args:
            failure: What ends the test by itself, if anything. What it reports is not returned.
        """
        ended, self._ended = self._ended, None
        strict = [inbox for inbox in self._open_inboxes() if not inbox.lenient]
        violation = next(filter(None, (inbox.take_unreported(failure) for inbox in strict)), None)
        # Hypothesis catches what many examples raise, and then fails the test with one of them.
        return violation or (ended if failure is None or is_skip(failure) else None)

    def take_tolerated(self) -> list[ContractViolation]:
        """Return the violations that lenient inboxes tolerated since the last call."""
        for inbox in self._open_inboxes():
            if inbox.lenient:
                self._tolerate(inbox)
        tolerated, self._tolerated = self._tolerated, {}
        return list(tolerated.values())

    def _tolerate(self, inbox: Inbox) -> None:
        violation = inbox.take_unreported()
        if violation is not None and len(self._tolerated) < MAX_LISTED_DELIVERIES:
            # Once: a sender that errs in one example of Hypothesis errs in a hundred.
            self._tolerated.setdefault(violation.findings, violation)

    def note_reported(self, failure: BaseException) -> None:
        """Count as reported the violations that a failure reports."""
        if not is_skip(failure):  # a skip reports nothing
            self._ended = None
        for inbox in self._open_inboxes():
            inbox.note_reported(failure)

    def _open_inboxes(self) -> list[Inbox]:
        return [self.inbox, *self._suspended]

    def _new_inbox(self, *, lenient: bool) -> Inbox:
        return Inbox(
            self.label,
            lenient=lenient,
            revision=self._revision,
            surroundings=partial(_list_surroundings, self, self._server, read_monotonic()),
            expectations=self._expectations,
            waits=self.waits,
        )

    def begin_recording(self) -> Inbox:
        """Put a new inbox in the place of the present one, and return the new one."""
        self._suspended.append(self.inbox)
        self.inbox = self._new_inbox(lenient=self.lenient)
        return self.inbox

    def end_recording(self, inbox: Inbox, failure: BaseException | None) -> None:
        """Put the inbox of before in its place again, and raise the violations that are due.

        Args:
            inbox: What ``begin_recording`` returned.
            failure: What ends the block by itself, if anything; violations are added to it as a note.

        Raises:
            ContractViolation: There are some, and nothing to add them to.
        """
        __tracebackhide__ = True
        if self.inbox is inbox:
            self.inbox = self._suspended.pop()
        elif inbox in self._suspended:  # of two threads, for example, the first to begin is the first to end
            self._suspended.remove(inbox)
        if inbox.lenient:
            self._tolerate(inbox)
        # Of a fixture's recording the end of the test has reported already what was due then.
        elif (due := inbox.unreported_violation()) is not None:
            if self._ended is None:
                due.add_note(CAUGHT)
                self._ended = due
            if failure is None:
                inbox.verify()
            elif (violation := inbox.take_unreported(failure)) is not None:
                report([violation], failure)

    def receive(self, path: str, request: Request, wire: Connection) -> bool:
        """Judge a request, record it and respond; return False where the path is no longer this one's."""
        with self._lock:
            # Look up again under the lock: a request late for one test must not reach the next one's inbox.
            if not self._server.has(path, self):
                return False
            wire.closing = self._closing
            verdict, message = judge(request, self.revision, self.layer, self.authorization)
            reply = self.take_reply() if verdict.status == 200 else None
            response = f"{reply} (scripted)" if reply else str(verdict.status)
            self.inbox.record(request, verdict, message, response, read_time())
        if reply is None:
            wire.respond(verdict.status, verdict.response_body)
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
        self._inbox = self._endpoint.begin_recording()
        return self._inbox

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._endpoint.end_recording(self._inbox, exc_value)


def _list_surroundings(endpoint: MailEndpoint, server: MailServer, start: float) -> list[str]:
    lines = []
    with suppress(RuntimeError):  # it has no URL any more
        lines.append(f"{endpoint.label} listens at {endpoint.url}")
    if unmatched := server.unmatched_since(start):
        lines += ["Requests that reached this server, but no inbox:", *unmatched]
    return lines
