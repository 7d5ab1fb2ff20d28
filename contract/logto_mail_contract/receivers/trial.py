"""One rule being tried at one receiver: has cases sent, and judges what came of them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from ..judging.responses import format_outcome, is_accepted
from ..judging.typical import RECIPIENT
from ..masking import escape_unprintable, mask_secrets
from ..suite.results import NotJudged
from ..suite.trial import MAX_SHOWN_MESSAGE_CHARACTERS
from ..wire.outcomes import NoResponse, Response
from ..wire.urls import resolve_location
from .checks import is_drawn, list_senders
from .dispatch import ReceiverGone
from .mail_trial import MailTrial
from .reproduce import reproduce
from .signatures import make_signature

if TYPE_CHECKING:
    from ..findings import Rule
    from ..suite.results import Signature
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .cases import Batch, Case, Exchange
    from .run import ReceiverRun


class Expectation(Protocol):
    """Whether an outcome is acceptable."""

    def __call__(self, outcome: Outcome, /) -> bool: ...


class ReceiverTrial(MailTrial):
    """One rule being tried at one receiver.

    Args:
        rule: The rule.
        run: The run that it belongs to.

    Attributes:
        receiver: The receiver.
        shell: How a shell makes an ``Authorization`` that must not be printed, by its value.
    """

    def __init__(self, rule: Rule, run: ReceiverRun) -> None:
        super().__init__(rule, run)
        self.receiver = run.receiver
        self.shell: dict[str, str] = {}
        self._redirected: set[Call] = set()
        self._came: tuple[str, str] | None = None

    # Sending.

    def send(self, batch: Batch) -> list[Exchange]:
        """Return what came of the cases of a batch, in their order; why others say nothing is noted.

        Args:
            batch: The batch; it is sent once in a run.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        sending = self.run.send(batch, self.rule.id)
        # Nothing is withdrawn of what was accepted, and a look waits until nothing is under way.
        if not all(is_accepted(exchange.outcome) for exchange in sending.exchanges):
            self.run.doubts.look()
        for reason in sending.unsent:
            self.skip(reason)
        order = {case: number for number, case in enumerate(sending.cases)}
        judged = []
        for exchange in sorted(sending.exchanges, key=lambda one: order[one.case]):
            if reason := self.run.doubts.explain(exchange):
                self.skip(reason)
            else:
                judged.append(exchange)
            if exchange.outcome.redirects:
                self._redirected.add(exchange.case.call)
        return judged

    def send_case(self, case: Case) -> Exchange:
        """Send one case at once, and return what came of it.

        Args:
            case: The case.

        Raises:
            NotJudged: Nothing more is sent.
            ReceiverGone: The receiver cannot be reached.
        """
        self.run.require_running()
        return self.run.dispatcher.exchange(case)

    def exchange_directly(self, case: Case) -> Outcome:
        """Return the very response to a case sent once more, for example a redirect.

        Raises:
            NotJudged: Nothing more is sent.
            ReceiverGone: The receiver cannot be reached.
        """
        self.run.require_running()
        again = self.run.maker.make_again(case)
        with closing(self.receiver.target.open()) as channel:
            return self.run.dispatcher.exchange_directly(
                again, lambda: channel.exchange(again.call, self.settings.fail_after)
            )

    def list_exchanges(self) -> list[Exchange]:
        """Return every exchange of the run so far that says something, in the order in which they ended."""
        self.run.doubts.look()
        return [one for one in self.run.dispatcher.ledger if not self.run.doubts.explain(one)]

    def require_accepted(self, *, may_be_stopped: bool = False) -> None:
        """Go on only if an ordinary message of any type is accepted, and more may be sent.

        Args:
            may_be_stopped: Whether it is enough to look at what was sent before.

        Raises:
            NotJudged: None is, or nothing more is sent.
            ReceiverGone: The receiver cannot be reached.
        """
        self.run.send_ordinary()
        if not self.run.maker.accepted_types:
            raise NotJudged(self.run.explain_refusal("SignIn"))
        if not may_be_stopped:
            self.run.require_running()

    def require_reachable(self) -> None:
        """Go on only if the receiver can be reached, or could be once: then a rule says what ended it.

        Raises:
            ReceiverGone: It never could.
        """
        if self.run.dispatcher.gone and not self.run.dispatcher.has_accepted:
            raise ReceiverGone(self.run.dispatcher.gone)

    # Judging.

    def expect_each(self, batch: Batch, acceptable: Expectation = is_accepted) -> None:
        """Expect the same of each case of a batch.

        Args:
            batch: The batch.
            acceptable: What is acceptable.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        for exchange in self.send(batch):
            self.expect(acceptable, exchange)
        self.require_reachable()

    def expect(self, acceptable: Expectation, exchange: Exchange) -> None:
        """Count an exchange as a case, and note it as failed unless its outcome is acceptable.

        Args:
            acceptable: What is acceptable.
            exchange: The exchange.

        Raises:
            NotJudged: The request was redirected to another origin, where nothing is sent.
        """
        outcome = exchange.outcome
        if isinstance(outcome, Response):
            location = outcome.redirect()
            if location is not None and resolve_location(exchange.case.call, location) is None:
                raise NotJudged(
                    "the receiver redirects to another origin, where nothing is sent; "
                    "see receiver/respond/no-redirect"
                )
        actual = format_outcome(outcome)
        if self.run.dispatcher.gone and isinstance(outcome, NoResponse):
            actual += "; the receiver could not be reached since"
            if exchange.company:
                actual += f", and it may be due to one of {exchange.company} other requests under way"
        self.judge(exchange.case.call, acceptable(outcome), actual, outcome)

    def judge(self, case: Call | None, passed: bool, actual: str, outcome: Outcome | None = None) -> None:
        """Count a case, and note it as failed unless it passed.

        Args:
            case: The request; None where the case was no single one.
            passed: Whether the outcome is acceptable.
            actual: The outcome, for a person to read.
            outcome: The outcome of the request, where that is what failed.
        """
        super().judge(case, passed, actual)
        if not passed and self._came is None:
            self._came = "", actual
            if isinstance(outcome, Response):
                self._came = str(outcome.status), outcome.content[:200].decode(errors="replace")
            elif outcome is not None:
                self._came = "", outcome.kind

    def signature(self) -> Signature:
        """Return by what the cause of the failures is recognized."""
        calls = [failure.case for failure in self.failures]
        smallest = min(calls, key=self.measure_message)
        if self.measure_message(smallest)[0]:  # all are drawn, and have oddities that do not matter
            calls = [smallest]
        return make_signature(
            self.rule.id.split("/")[1],
            *(self._came or ("", "")),
            (case.message for case in map(self._find_sent, calls) if case and case.message),
            (
                one.case.message
                for one in self.run.dispatcher.ledger
                if one.case.message and is_accepted(one.outcome)
            ),
            self.run.maker.revision,
            self.settings.recipient_domain or RECIPIENT.rpartition("@")[2],
        )

    # The result.

    def measure_message(self, case: Call | None) -> tuple[int, ...]:
        # Drawn ones come last: each has odd values beside the one that fails.
        sent = self._find_sent(case)
        return sent is not None and is_drawn(sent.group), len(case.body) if case else 0

    def format_message(self, case: Call | None) -> str:
        if case is None:
            return ""
        head = case.body[:MAX_SHOWN_MESSAGE_CHARACTERS].decode(errors="backslashreplace")
        prefix = "" if case.method == "POST" else f"{case.method} "
        more = f"… ({len(case.body)} bytes)" if len(case.body) > MAX_SHOWN_MESSAGE_CHARACTERS else ""
        return f"{prefix}{escape_unprintable(head) or 'an empty body'}{more}"

    def reproduce(self, case: Call | None) -> str:
        if case is None:
            return ""
        sent = self._find_sent(case)
        return reproduce(
            list_senders(self.rule.id, sent.group if sent else ""),
            self.receiver,
            self.settings,
            case,
            self.shell,
            follows=case in self._redirected,
            is_shown_by_curl=sent is None or sent.refusal is None,
            sink_port=getattr(self.run.outbox, "port", None),
        )

    def mask(self, text: str) -> str:
        return mask_secrets(text, self.run.dispatcher.secrets)

    def _find_sent(self, call: Call | None) -> Case | None:
        return next((one.case for one in self.run.dispatcher.ledger if one.case.call is call), None)
