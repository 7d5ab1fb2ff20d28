"""The mails that a receiver sent, and which message each of them belongs to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..clock import read_monotonic
from ..judging.responses import is_accepted
from .attempts import normalize_address
from .mail_reading import ReadMail
from .outbox import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .cases import Case, Exchange
    from .outbox import Mail

_NO_MAIL: Sequence[ReadMail] = ()


class Mailbox:
    """The mails of one run, found by the recipient first, and by the code or the link then.

    Each message of a run has a code or a link of its own, and nearly each a recipient of its own.

    Args:
        outbox: Returns the mails that the receiver has sent so far, oldest first.
        quiet_seconds: Seconds without a mail after which no other is expected.

    Attributes:
        outbox: As given. It may be replaced: pytest makes another one for each test.
        mails: The mails that came since the run began, oldest first.
        since: Where a mail is not here of a message sent before this time of the monotonic clock, it may
            have been cleared away.
        is_silent: Whether no mail at all came to messages whose mails were waited for to the end.
    """

    def __init__(self, outbox: Callable[[], Iterable[Mail]], quiet_seconds: float) -> None:
        self.outbox = outbox
        self.mails: list[ReadMail] = []
        self.since = read_monotonic()
        self.is_silent = False
        self._quiet_seconds = quiet_seconds
        earlier = list(outbox())
        self._seen = len(earlier)
        self._last = earlier[-1] if earlier else None
        self._by_address: dict[str, list[ReadMail]] = {}
        self._by_code: dict[str, list[ReadMail]] = {}
        self._cases: dict[str, set[Case]] = {}
        self._coded = 0
        self._code_owners: dict[str, str] = {}
        self._owned = 0
        self._longest_wait = 0.0

    def fetch(self) -> None:
        """Read what came since the last time."""
        mails = list(self.outbox())
        if len(mails) < self._seen or (self._seen and mails[self._seen - 1] != self._last):
            # An outbox that was cleared meanwhile holds new mails alone.
            self.since, self._seen = read_monotonic(), 0
        for mail in mails[self._seen :]:
            read = ReadMail(mail)
            self.mails.append(read)
            for address in {normalize_address(recipient) for recipient in mail.recipients}:
                self._by_address.setdefault(address, []).append(read)
        self._seen = len(mails)
        self._last = mails[-1] if mails else None

    def list_code_owners(self, ledger: Sequence[Exchange]) -> Mapping[str, str]:
        """Return the recipient of each message of a run that has a telling code, by the code.

        Args:
            ledger: All exchanges of the run.
        """
        for exchange in ledger[self._owned :]:
            if exchange.case.has_telling_code and exchange.case.to:
                self._code_owners[exchange.case.code] = normalize_address(exchange.case.to)
        self._owned = len(ledger)
        return self._code_owners

    def find_by_recipient(self, case: Case) -> Sequence[ReadMail]:
        """Return the mails to the recipient of a case."""
        return self._by_address.get(normalize_address(case.to), _NO_MAIL)

    def find(self, case: Case) -> Sequence[ReadMail]:
        """Return the mails of a case: those to its recipient, else those with its code or its link.

        A mail with the code or link of another message to the same recipient, known since its mail was waited
        for, is none of them.
        """
        mails = self.find_by_recipient(case)
        others = self._cases.get(normalize_address(case.to), set()) - {case}
        if others or len(mails) > case.repeats:
            own = [read for read in mails if self._is_of(read, case)]
            mails = own or [read for read in mails if not any(self._is_of(read, other) for other in others)]
        if mails or not (case.code or case.link):
            return mails
        return self.find_by_content(case)

    def find_by_content(self, case: Case) -> Sequence[ReadMail]:
        """Return the mails with the code of a case, or with its link; whoever got them."""
        if case.code and not case.has_telling_code:
            return _NO_MAIL
        # Looking for codes costs more than reading an address: only where it is asked for.
        for read in self.mails[self._coded :]:
            for code in read.codes:
                self._by_code.setdefault(code, []).append(read)
        self._coded = len(self.mails)
        if case.code:
            return self._by_code.get(case.code, _NO_MAIL)
        return [read for read in self.mails if self._is_of(read, case)]

    @staticmethod
    def _is_of(read: ReadMail, case: Case) -> bool:
        return case.code in read.codes or bool(case.link and case.link in read.everything)

    def wait(self, exchanges: Sequence[Exchange], seconds: float, is_over: Callable[[], bool]) -> None:
        """Wait until each accepted message has as many mails as it was sent, and read them.

        Args:
            exchanges: The exchanges of the messages.
            seconds: How long a mail may take after the response to its message, or after the last mail that
                was waited for and came: what this run sent at once may have made a long queue.
            is_over: Returns whether to give up.
        """
        awaited = [one for one in exchanges if is_accepted(one.outcome) and one.started >= self.since]
        for one in awaited:
            self._cases.setdefault(normalize_address(one.case.to), set()).add(one.case)
        missing = list(awaited)
        late: list[Exchange] | None = None
        progressed = 0.0

        def all_came() -> bool:
            nonlocal late, progressed
            self.fetch()
            left = [one for one in missing if len(self.find(one.case)) < one.case.repeats]
            now = read_monotonic()
            if late is None:
                late = left.copy()
            elif len(left) < len(missing):
                progressed = now
            missing[:] = left
            return is_over() or all(now >= max(one.ended, progressed) + seconds for one in missing)

        wait_until(all_came, math.inf)
        if awaited and not self.mails and not is_over():
            self.is_silent = True
        if late and not missing:
            wait = read_monotonic() - max(one.ended for one in late)
            self._longest_wait = max(self._longest_wait, min(seconds, wait))

    def wait_for_more(self, exchanges: Sequence[Exchange], is_over: Callable[[], bool]) -> None:
        """Wait as long after the last response as a second mail may take, and read what came.

        Args:
            exchanges: The exchanges of the messages.
            is_over: Returns whether to give up.
        """
        last = max((exchange.ended for exchange in exchanges), default=0.0)
        patience = max(self._quiet_seconds, 2 * self._longest_wait)
        wait_until(is_over, last + patience - read_monotonic())
        self.fetch()
