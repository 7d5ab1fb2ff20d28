"""The mails that a receiver sends: an SMTP sink that records them, and their decoded parts.

An outbox is any callable that returns the mails sent so far, oldest first. ``SmtpSink`` is one: configure its
port in the receiver under test. If the receiver runs in the test's own process, a function can be one::

    def outbox():
        return [Mail.from_message(mail.message(), recipients=mail.recipients()) for mail in django_outbox]
"""

from __future__ import annotations

import asyncio
import re
import threading
import weakref
from concurrent.futures import Future
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import getaddresses
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from ..clock import new_event_loop, read_monotonic, sleep
from .attempts import Attempt, AttemptLog, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from email.message import EmailMessage, Message
    from types import TracebackType

    from aiosmtpd.smtp import Envelope

    from .smtp_session import SinkSession

_MIN_PAUSE_SECONDS = 0.002
_MAX_PAUSE_SECONDS = 0.05
_MAX_START_SECONDS = 10.0


@dataclass(frozen=True)
class Mail:
    """One mail that a receiver sent.

    No property raises for a malformed mail: each reads as much of it as it can.

    Attributes:
        sender: The sender of the envelope.
        recipients: The recipients of the envelope. They get the mail, whatever its headers say.
        content: The mail itself: headers, an empty line, the body. From ``SmtpSink`` these are the bytes of
            the connection, bare line feeds among them, without the dots that SMTP adds.
        smtputf8: Whether the client asked for SMTPUTF8 (RFC 6531); None where that is not known. Mails that
            differ in this alone are equal.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    smtputf8: bool | None = field(default=None, compare=False)

    @classmethod
    def from_message(
        cls,
        message: EmailMessage | Message[Any, Any],
        *,
        sender: str | None = None,
        recipients: Iterable[str] | None = None,
    ) -> Mail:
        """Return the mail that a message of the standard email package makes.

        Args:
            message: The message.
            sender: The sender of the envelope; the address in ``From`` when None.
            recipients: The recipients of the envelope; the addresses in ``To``, ``Cc`` and ``Bcc`` when None.
        """
        mail = cls("", (), message.as_bytes())
        if sender is None:
            sender = next(iter(mail.addresses("from")), "")
        if recipients is None:
            recipients = mail.addresses("to", "cc", "bcc")
        return cls(sender, tuple(recipients), mail.content)

    @cached_property
    def parts(self) -> tuple[Message, ...]:
        """The mail itself and each of its MIME parts, as the standard email package reads them."""
        # With its policy compat32: the others raise for some malformed headers.
        return tuple(message_from_bytes(self.content).walk())

    @cached_property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The header lines in order: names unchanged, values unfolded and decoded."""
        return tuple((name, _decode(value)) for name, value in self._unfold_headers())

    def _unfold_headers(self) -> list[tuple[str, str]]:
        return [(name, _unfold(str(value))) for name, value in self.parts[0].raw_items()]

    def values(self, *names: str) -> list[str]:
        """Return the values of every header line with one of these names, in any case."""
        wanted = {name.lower() for name in names}
        return [value for name, value in self.headers if name.lower() in wanted]

    def addresses(self, *names: str) -> list[str]:
        """Return the addresses in the header lines with these names."""
        wanted = {name.lower() for name in names}
        # Before decoding: an encoded word may hold commas, which separate nothing.
        raw = [value for name, value in self._unfold_headers() if name.lower() in wanted]
        return [address for _, address in getaddresses(raw) if address]

    @property
    def subject(self) -> str:
        """The decoded subject; empty when there is none."""
        return next(iter(self.values("subject")), "")

    @cached_property
    def text(self) -> str:
        """The decoded plain text; empty when the mail has none."""
        return "\n".join(self._decode_texts("text/plain"))

    @cached_property
    def html(self) -> str:
        """The decoded HTML; empty when the mail has none."""
        return "\n".join(self._decode_texts("text/html"))

    def _decode_texts(self, kind: str) -> Iterator[str]:
        for part in self.parts:
            if part.get_content_type() != kind or part.get_content_disposition() == "attachment":
                continue
            data = part.get_payload(decode=True)
            if not isinstance(data, bytes):
                continue
            try:
                text = data.decode(part.get_content_charset("utf-8"), "replace")
            except (LookupError, ValueError):
                text = data.decode("utf-8", "replace")
            text = re.sub(r"\r\n?", "\n", text)
            if str(part.get_param("format", "")).lower() == "flowed":
                text = _reflow(text, delete_space=str(part.get_param("delsp", "")).lower() == "yes")
            yield text


def _unfold(value: str) -> str:
    # Bytes beyond ASCII in a header can only be UTF-8.
    text = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return re.sub(r"[\r\n]+[ \t]?", " ", text).strip()


def _decode(value: str) -> str:
    try:
        return str(make_header(decode_header(value)))
    except (LookupError, ValueError, MessageError):
        return value


def _reflow(text: str, *, delete_space: bool) -> str:
    # RFC 3676: a line that ends in a space goes on in the next one.
    lines: list[str] = []
    flowing = False
    for line in text.split("\n"):
        stuffed = line.removeprefix(" ")
        if flowing:
            lines[-1] += stuffed
        else:
            lines.append(stuffed)
        flowing = stuffed.endswith(" ") and stuffed != "-- "
        if flowing and delete_space:
            lines[-1] = lines[-1][:-1]
    return "\n".join(lines)


class SmtpSink:
    """An SMTP server that records every mail and delivers none; a context manager, and an outbox.

    It accepts any credentials, and any recipient that it was not told to refuse. It needs aiosmtpd, which
    refuses malformed addresses, and mails with a line of more than 999 bytes. ``attempts`` shows its answers.

    Args:
        host: The address to listen on.
        port: The port to listen on; any free one when 0.

    Raises:
        ModuleNotFoundError: On entering: aiosmtpd is not installed.
        OSError: On entering: it cannot listen there.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self._wanted_port = port
        self._port = 0
        self._mails: list[Mail] = []
        self._log = AttemptLog()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def port(self) -> int:
        """The port that it listens on.

        Raises:
            RuntimeError: It is not running.
        """
        if self._thread is None:
            raise RuntimeError("The SMTP sink is not running: use it in a with statement")
        return self._port

    def __call__(self) -> list[Mail]:
        """Return the mails so far, oldest first."""
        with self._lock:
            return list(self._mails)

    def attempts(self, address: str | None = None) -> list[Attempt]:
        """Return every attempt to send to a recipient so far, oldest first, accepted or refused.

        Args:
            address: Only attempts to this address. Upper case, needless quotation marks and punycode make no
                difference. When None, all attempts, and the refused commands that name no recipient.
        """
        return self._log.list_attempts(address)

    def refuse(self, address: str, refusal: Refusal, *, times: int | None = None) -> None:
        """Refuse a recipient from now on. No other recipient is affected, unless a cut ends its session too.

        Args:
            address: The recipient, compared as in ``attempts``. A later call for it replaces this one.
            refusal: The answer.
            times: How many attempts are refused before one is accepted; every attempt when None.
        """
        self._log.refuse(address, refusal, times)

    def clear(self) -> None:
        """Forget the mails and attempts so far. Refusals stay."""
        with self._lock:
            self._mails.clear()
        self._log.clear()

    def __enter__(self) -> Self:
        try:
            import aiosmtpd  # noqa: F401 - here to say what to install
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "The SMTP sink needs aiosmtpd: pip install 'logto-mail-contract[smtp]'"
            ) from None
        from .smtp_session import SinkSession

        ready: Future[int] = Future()

        def run() -> None:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(self._serve(SinkSession, ready))

        thread = threading.Thread(target=run, name="smtp-sink", daemon=True)
        thread.start()
        try:
            self._port = ready.result(_MAX_START_SECONDS)
        except OSError:
            thread.join()
            raise
        self._thread = thread
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None or self._loop is None or self._stop is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._thread = None

    async def _serve(self, session_type: type[SinkSession], ready: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        sessions: weakref.WeakSet[SinkSession] = weakref.WeakSet()

        def make_session() -> SinkSession:
            session = session_type(self._log, self._record)
            sessions.add(session)
            return session

        try:
            server = await self._loop.create_server(make_session, self.host, self._wanted_port)
        except OSError as problem:
            ready.set_exception(problem)
            return
        ready.set_result(server.sockets[0].getsockname()[1])
        await self._stop.wait()
        server.close()
        for session in sessions:
            # A client may keep its connection for the next mail.
            session.abort()

    def _record(self, envelope: Envelope) -> None:
        mail = Mail(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            bytes(envelope.original_content or b""),
            smtputf8=envelope.smtp_utf8,
        )
        with self._lock:
            self._mails.append(mail)


def wait_until(is_met: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition is met, and return whether it was.

    It polls: a receiver may send mails from a queue after its response, and an outbox announces nothing.

    Args:
        is_met: The condition; it is called at least once, and then every few milliseconds.
        seconds: How long to wait for it.
    """
    deadline = read_monotonic() + seconds
    pause = _MIN_PAUSE_SECONDS
    while not is_met():
        left = deadline - read_monotonic()
        if left <= 0:
            return False
        sleep(min(pause, left))
        pause = min(2 * pause, _MAX_PAUSE_SECONDS)
    return True
