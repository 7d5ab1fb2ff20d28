"""The sink's side of one SMTP connection. It needs aiosmtpd; ``SmtpSink`` imports it on entering."""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, AnyStr

from aiosmtpd import smtp

from ..clock import read_monotonic
from .attempts import Attempt, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from .attempts import AttemptLog

# aiosmtpd logs what clients do wrong. Without a handler, Python prints it into the report of a run.
logging.getLogger("mail.log").addHandler(logging.NullHandler())


@dataclass
class _Transaction:
    """One mail under way: the numbers of its attempts that RCPT accepted."""

    envelope: Any
    accepted: list[int] = field(default_factory=list)
    is_cut_at_data: bool = False


class SinkSession(smtp.SMTP):
    """An SMTP connection that accepts any mail, and records each answer to a recipient.

    Args:
        attempts: Where the answers are recorded, and which recipients are refused.
        on_mail: It gets the envelope of each mail.
    """

    def __init__(self, attempts: AttemptLog, on_mail: Callable[[smtp.Envelope], None]) -> None:
        # Accept addresses and texts beyond ASCII, as large providers do. Without a hostname, aiosmtpd would
        # look one up.
        super().__init__(
            SimpleNamespace(handle_RCPT=self._answer_recipient, handle_DATA=self._answer_mail),
            enable_SMTPUTF8=True,
            hostname="localhost",
            auth_require_tls=False,
            authenticator=lambda *_: smtp.AuthResult(success=True),
        )
        self._attempts = attempts
        self._on_mail = on_mail
        self._command = ""
        self._recipient = ""
        self._transaction = _Transaction(self.envelope)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        self._command = "MAIL"
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802 - aiosmtpd's name
        self._command, self._recipient = "RCPT", _read_recipient(arg or "")
        self._leave_ended_transaction()
        await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        self._command = "DATA"
        self._leave_ended_transaction()
        await super().smtp_DATA(arg)

    def _leave_ended_transaction(self) -> None:
        # aiosmtpd makes a new envelope after a mail, RSET, HELO and EHLO.
        if self._transaction.envelope is not self.envelope:
            self._transaction = _Transaction(self.envelope)

    async def _answer_recipient(
        self,
        _server: smtp.SMTP,
        _session: smtp.Session,
        _envelope: smtp.Envelope,
        _address: str,
        _options: list[str],
    ) -> Any:
        refusal = self._attempts.take_refusal(self._recipient)
        if refusal is Refusal.CUT_AT_RCPT:
            self._cut(refusal)
        if refusal is Refusal.CUT_AT_DATA:
            self._transaction.is_cut_at_data = True
        elif refusal is not None:
            return refusal.value
        return smtp.MISSING  # aiosmtpd accepts the recipient

    async def _answer_mail(self, _server: smtp.SMTP, _session: smtp.Session, envelope: smtp.Envelope) -> str:
        if self._transaction.is_cut_at_data:
            self._cut(Refusal.CUT_AT_DATA)
        self._on_mail(envelope)
        return "250 OK"

    def abort(self) -> None:
        """Close the connection at once, if it is open."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _cut(self, refusal: Refusal) -> None:
        self._record(refusal.value)
        self.abort()
        # It ends aiosmtpd's session without an answer.
        raise asyncio.CancelledError

    async def push(self, status: AnyStr) -> None:
        """Send an answer; aiosmtpd sends each through this method, those to a malformed command too."""
        answer = status if isinstance(status, str) else status.decode(errors="replace")
        if not answer.startswith("354"):
            # Record first: a client that has the answer finds it recorded.
            self._record(answer)
        await super().push(status)

    def _record(self, answer: str) -> None:
        command, self._command = self._command, ""
        now = read_monotonic()
        if command == "RCPT":
            number = self._attempts.record(Attempt(self._recipient, now, command, answer))
            if answer.startswith("2"):
                self._transaction.accepted.append(number)
        elif command == "DATA" and self._transaction.accepted:
            for number in self._transaction.accepted:
                self._attempts.revise(number, at=now, command=command, answer=answer)
        elif answer.startswith(("4", "5")):
            self._attempts.record(Attempt("", now, command, answer))

    async def handle_exception(self, error: Exception) -> str:
        """Return the answer to an address on which the parser of the standard library fails."""
        return f"500 Error: {type(error).__name__}"


def _read_recipient(argument: str) -> str:
    """Return the address in the argument of RCPT, malformed or not."""
    text = argument.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    text = re.sub("^to:", "", text, flags=re.IGNORECASE).strip()
    brackets = re.match("<(.*)>", text, re.DOTALL)
    return brackets[1] if brackets else text
