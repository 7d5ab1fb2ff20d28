"""The part of a trial that looks at mails: it waits for them, and says what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..judging.responses import format_outcome, is_accepted
from ..masking import count_noun
from ..suite.results import NotJudged
from ..suite.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..findings import Rule
    from ..wire.calls import Call  # noqa: F401 - the base class names it in a string
    from .attempts import Attempt
    from .cases import Case, Exchange
    from .mail_reading import ReadMail
    from .run import ReceiverRun


class MailTrial(Trial["Call | None"]):
    """One rule being tried at one receiver, as far as mails are concerned.

    Args:
        rule: The rule.
        run: The run that it belongs to.

    Attributes:
        run: The run that it belongs to.
        settings: How the receiver is tried.
    """

    def __init__(self, rule: Rule, run: ReceiverRun) -> None:
        super().__init__(rule)
        self.run = run
        self.settings = run.settings

    def find_mails(self, exchanges: Sequence[Exchange]) -> dict[Exchange, Sequence[ReadMail]]:
        """Return the mails of each accepted message, once they came or are too late.

        Args:
            exchanges: The exchanges of the messages.

        Raises:
            NotJudged: The run was interrupted.
        """
        mailbox = self.run.mailbox
        mailbox.wait(exchanges, self._mail_seconds, self._is_interrupted)
        self._raise_if_interrupted()
        found = {one: mailbox.find(one.case) for one in exchanges if is_accepted(one.outcome)}
        return {one: mails for one, mails in found.items() if mails or one.started >= mailbox.since}

    @property
    def _mail_seconds(self) -> float:
        """How long a mail may take; where none came at all, none is waited for long again."""
        settings = self.settings
        if self.run.mailbox.is_silent:
            return min(settings.warn_after, settings.fail_after)
        return settings.fail_after

    def wait_for_more_mails(self, exchanges: Sequence[Exchange]) -> None:
        """Wait as long as a second mail may take, which is looked for by its absence.

        Args:
            exchanges: The exchanges of the messages.

        Raises:
            NotJudged: The run was interrupted.
        """
        self.run.mailbox.wait_for_more(exchanges, self._is_interrupted)
        self._raise_if_interrupted()

    def format_missing(self, exchange: Exchange) -> str:
        """Return that a message has no mail, for a person to read."""
        case = exchange.case
        others = len(self.run.mailbox.find_by_recipient(case))
        came = f" but {count_noun(others, 'mail')} of other messages" if others else ""
        return (
            f"{format_outcome(exchange.outcome)}, and no mail to {case.to}{came} "
            f"within {self._mail_seconds:g} s{'' if others else self.format_attempts(case)}"
        )

    def list_attempts(self, case: Case) -> list[Attempt]:
        """Return the attempts to mail a message; none where the outbox is no SMTP sink."""
        attempts = getattr(self.run.outbox, "attempts", None)
        return attempts(case.to) if attempts else []

    def format_attempts(self, case: Case) -> str:
        """Return what the SMTP sink answered to a message's mail, after a semicolon; empty where nothing."""
        answers = [attempt.answer for attempt in self.list_attempts(case)]
        return f"; the SMTP sink answered {' and '.join(dict.fromkeys(answers))}" if answers else ""

    def _is_interrupted(self) -> bool:
        return bool(self.run.interrupted)

    def _raise_if_interrupted(self) -> None:
        if self.run.interrupted:
            raise NotJudged(self.run.interrupted)
