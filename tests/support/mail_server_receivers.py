"""Receivers that do the wrong thing when their mail server fails, and good ones with a connection kept open.

``serve_mailing(FAILING["swallows"][0], sink.port)`` of ``good_receivers`` serves one of them.
"""

# Names describe what receivers and methods do. An overriding method keeps the parameters of the original.
# ruff: noqa: D101
from __future__ import annotations

import contextlib
import smtplib
import threading
import time
import traceback
from typing import TYPE_CHECKING

from tests.support.broken_receivers import Refused
from tests.support.good_receivers import SENDER, Mailing, Queueing

if TYPE_CHECKING:
    from collections.abc import Iterable


class Swallows(Mailing):
    """Responds 200 whatever the mail server answered."""

    def send(self, to: str, mail: bytes) -> None:
        with contextlib.suppress(Refused):
            super().send(to, mail)


class SwallowsSome(Mailing):
    """Responds 200 to one kind of failure."""

    def is_swallowed(self, error: Exception) -> bool:
        raise NotImplementedError

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        try:
            super().send_over_smtp(to, mail)
        except (smtplib.SMTPException, OSError) as error:
            if not self.is_swallowed(error):
                raise


def _code_of(error: Exception) -> int:
    """Return the SMTP status with which a recipient was refused; 0 for any other failure."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(iter(error.recipients.values()))[0]
    return 0


class SwallowsTemporary(SwallowsSome):
    def is_swallowed(self, error: Exception) -> bool:
        return _code_of(error) == 451


class SwallowsPermanent(SwallowsSome):
    def is_swallowed(self, error: Exception) -> bool:
        return _code_of(error) == 550


class SwallowsCut(SwallowsSome):
    def is_swallowed(self, error: Exception) -> bool:
        return not _code_of(error)


class Hangs(Mailing):
    """Waits long for a mail server that has cut the connection."""

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        try:
            super().send_over_smtp(to, mail)
        except smtplib.SMTPServerDisconnected:
            time.sleep(3)
            raise


class Closes(Mailing):
    """Closes the connection without a response where the mail server refuses the recipient."""

    undeliverable = 599

    def raw(self, status: int, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        if status == self.undeliverable:
            raise ConnectionAbortedError
        yield from super().raw(status, headers, body)


class ShowsTrace(Mailing):
    """Responds with the stack trace of what its mail library raised."""

    def send(self, to: str, mail: bytes) -> None:
        try:
            self.send_over_smtp(to, mail)
        except (smtplib.SMTPException, OSError):
            raise Refused(500, traceback.format_exc()) from None


class OneSession(Mailing):
    """Keeps one connection to the mail server, and opens another one after each failure: a good receiver."""

    def __init__(self, smtp_port: int, delay: float) -> None:
        super().__init__(smtp_port, delay)
        self._lock = threading.Lock()
        self._client: smtplib.SMTP | None = None

    def send_over_smtp(self, to: str, mail: bytes) -> None:
        options = () if to.isascii() else ("SMTPUTF8",)
        with self._lock:
            self.check_session()
            if self._client is None:
                self._client = smtplib.SMTP("127.0.0.1", self.smtp_port, "localhost", 5)
            try:
                self._client.sendmail(SENDER, [to], mail, mail_options=options)
            except (smtplib.SMTPException, OSError):
                self.note_failure()
                raise

    def check_session(self) -> None:
        """Do nothing: a connection that has failed is closed already."""

    def note_failure(self) -> None:
        assert self._client is not None
        self._client.close()
        self._client = None

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class LateSession(OneSession):
    """Finds out by the next message that the connection to the mail server has ended."""

    _is_broken = False

    def note_failure(self) -> None:
        if self._is_broken:
            super().note_failure()
        self._is_broken = not self._is_broken

    def check_session(self) -> None:
        if self._is_broken:
            self.note_failure()
            raise smtplib.SMTPServerDisconnected


class DeadSession(OneSession):
    """Never opens another connection to the mail server."""

    def note_failure(self) -> None:
        """Keep the connection as it is."""


class DeadQueue(Queueing):
    """The first failure ends the thread that mails."""

    def _work(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            while (item := self._waiting.get()) is not None:
                self.send_over_smtp(*item)


FAILING: dict[str, tuple[type[Mailing], frozenset[str]]] = {
    "swallows": (
        Swallows,
        frozenset(f"deliver/{name}" for name in ("temporary-refusal", "permanent-refusal", "cut-connection")),
    ),
    "swallows-temporary": (SwallowsTemporary, frozenset({"deliver/temporary-refusal"})),
    "swallows-permanent": (SwallowsPermanent, frozenset({"deliver/permanent-refusal"})),
    "swallows-cut": (SwallowsCut, frozenset({"deliver/cut-connection"})),
    "hangs": (Hangs, frozenset({"deliver/response-to-failure"})),
    "closes": (Closes, frozenset({"deliver/response-to-failure"})),
    "shows-trace": (ShowsTrace, frozenset({"respond/error-without-internals"})),
    "late-session": (LateSession, frozenset({"deliver/later-messages"})),
}
"""Each receiver with exactly the rules that it fails, of those that the tests of this kind run."""
