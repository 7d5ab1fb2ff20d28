"""One rule being tried at one receiver: sends, follows, judges."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol

from ..connector.posting import deliver
from ..judging.responses import format_outcome, is_accepted, is_timeout
from ..masking import escape_unprintable, mask_secrets
from ..suite.results import EndOfRule, NotJudged, SubjectLost
from ..suite.search import MAX_SHRINK_SECONDS, find_smallest
from ..suite.trial import MAX_SHOWN_MESSAGE_CHARACTERS, Trial
from ..wire.outcomes import NoResponse, Response
from ..wire.urls import resolve_location
from .reproduce import list_secrets, reproduce
from .requests import RequestMaker

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from ..connector.channel import Channel
    from ..findings import Rule
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome
    from .run import ReceiverRun


class ReceiverGone(SubjectLost):
    """The receiver cannot be reached, so nothing can be said of it; the text says why."""


class Expectation(Protocol):
    """Whether an outcome is acceptable."""

    def __call__(self, outcome: Outcome, /) -> bool: ...


class ReceiverTrial(Trial["Call | None"]):
    """One rule being tried at one receiver.

    Args:
        rule: The rule.
        run: The run that it belongs to.

    Attributes:
        run: The run that it belongs to.
        receiver: The receiver.
        settings: How it is tried.
        requests: Makes the requests.
        outcomes: The outcomes of the failed cases; None where a case was no exchange.
        shell: How a shell makes an ``Authorization`` that must not be printed, by its value.
    """

    def __init__(self, rule: Rule, run: ReceiverRun) -> None:
        super().__init__(rule)
        self.run = run
        self.receiver = run.receiver
        self.settings = run.settings
        self.requests = RequestMaker(rule.id, run.receiver, run.settings, run.numbers)
        self.outcomes: list[Outcome | None] = []
        self.shell: dict[str, str] = {}
        self._redirected: set[Call] = set()

    # Sending and judging.

    def exchange(self, call: Call, channel: Channel | None = None) -> Outcome:
        """Send a request, follow redirects as Logto does, and return the outcome.

        Args:
            call: The request.
            channel: The way to the receiver; the run's own when None.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        self.run.sent += 1
        outcome = self.retry_unreachable(
            lambda: deliver(channel or self.run.channel, call, self.settings.fail_after)
        )
        if outcome.redirects:
            self._redirected.add(call)
        if channel is None and isinstance(outcome, Response) and outcome.status >= 400:
            # Its body may be left unread on the connection: a rule of its own looks at that.
            self.run.release_channel()
        return outcome

    def retry_unreachable(self, send: Callable[[], Outcome]) -> Outcome:
        """Return what comes of an exchange, tried again for a while where the receiver cannot be reached.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        until = time.monotonic() + self.run.restart_seconds
        while True:
            outcome = send()
            if not (isinstance(outcome, NoResponse) and outcome.kind == "unreachable"):
                return outcome
            if time.monotonic() > until:
                raise ReceiverGone(f"the receiver cannot be reached: {outcome.problem}")
            time.sleep(self.run.restart_seconds / 20)

    def expect(self, acceptable: Expectation, call: Call, outcome: Outcome | None = None) -> Outcome:
        """Send a request, count it as a case, and note it as failed unless the outcome is acceptable.

        Args:
            acceptable: What is acceptable.
            call: The request.
            outcome: Its outcome, if it was sent already.

        Raises:
            NotJudged: The request was redirected to another origin, where nothing is sent.
            EndOfRule: There was no response in time.
        """
        if outcome is None:
            outcome = self.exchange(call)
        if isinstance(outcome, Response):
            location = outcome.redirect()
            if location is not None and resolve_location(call, location) is None:
                raise NotJudged(
                    "the receiver redirects to another origin, where nothing is sent; "
                    "see receiver/respond/no-redirect"
                )
        self.judge(call, passed=acceptable(outcome), actual=format_outcome(outcome), outcome=outcome)
        if is_timeout(outcome):
            raise EndOfRule
        return outcome

    def judge(self, case: Call | None, passed: bool, actual: str, outcome: Outcome | None = None) -> None:
        """Count a case, and note it as failed unless it passed.

        Args:
            case: The request; None where the case was no single one.
            passed: Whether the outcome is acceptable.
            actual: The outcome, for a person to read.
            outcome: The outcome of the request.
        """
        super().judge(case, passed, actual)
        if not passed:
            self.outcomes.append(outcome)

    def withdraw(self, is_withdrawn: Callable[[Outcome | None], bool]) -> None:
        """Forget failures, as if their cases had never been judged.

        Args:
            is_withdrawn: Returns whether to forget a failed case, by its outcome.
        """
        pairs = zip(self.failures, self.outcomes, strict=True)
        left = [(failure, outcome) for failure, outcome in pairs if not is_withdrawn(outcome)]
        self.cases -= len(self.failures) - len(left)
        self.failures = [failure for failure, _ in left]
        self.outcomes = [outcome for _, outcome in left]

    def baseline_accepted(
        self, type: str, revision: str | None = None, acceptable: Expectation = is_accepted
    ) -> bool:
        """Return whether an ordinary message of a type is acceptable; it is sent once a run.

        A case that adds something odd to an ordinary message says nothing where that itself is refused: the
        reason is noted.

        Args:
            type: A template type of the revision.
            revision: A contract revision; the receiver's when None.
            acceptable: What is acceptable.

        Raises:
            NotJudged: The receiver no longer accepts anything, or did not respond in time.
        """
        revision = revision or self.receiver.revision
        baselines = self.run.baselines
        self.require_not_exhausted()
        if (type, revision) not in baselines:
            self.require_responsive()
            call = self.requests.make_call(self.requests.make_typical(type, revision), revision=revision)
            baselines[type, revision] = self.exchange(call)
        outcome = baselines[type, revision]
        if acceptable(outcome):
            return True
        self.skip(f"an ordinary message of type {type} is not accepted either: {format_outcome(outcome)}")
        return False

    def require_responsive(self) -> None:
        """Go on only if the receiver responded to every ordinary message in time.

        Each other case would cost the same time at such a receiver, and show nothing new.

        Raises:
            NotJudged: One had none.
        """
        for (type, _), outcome in self.run.baselines.items():
            if is_timeout(outcome):
                raise NotJudged(f"{type} had no response in time; see receiver/respond/within-limit")

    def require_not_exhausted(self) -> None:
        """Go on only while the receiver accepts ordinary messages that it accepted before.

        Raises:
            EndOfRule: It does not, and this is the rule that reports it.
            NotJudged: It does not.
        """
        exhaustion = self.run.exhaustion
        if exhaustion is None:
            return
        if not exhaustion.is_reported and (self.rule.level == "MUST" or self.settings.strict):
            exhaustion.is_reported = True
            self.judge(exhaustion.call, passed=False, actual=exhaustion.actual)
            raise EndOfRule
        raise NotJudged(exhaustion.reason)

    def expect_generated(
        self,
        messages: SearchStrategy[Any],
        acceptable: Expectation,
        call_for: Callable[[Any], Call],
    ) -> None:
        """Send generated messages; the smallest one that fails is noted as one case.

        Args:
            messages: What to draw from.
            acceptable: Which outcomes are.
            call_for: Makes the request for what was drawn.

        Raises:
            ReceiverGone: The receiver cannot be reached.
        """
        last: tuple[Call, Outcome] | None = None

        def fails(drawn: Any) -> bool:
            nonlocal last
            call = call_for(drawn)
            outcome = self.exchange(call)
            if last is None:  # what the search for a smaller one tries is not counted
                self.cases += 1
            if acceptable(outcome):
                return False
            last = call, outcome
            return True

        def shrink_seconds() -> float:
            # If each try costs a time-out, one is enough.
            return 0.0 if last is not None and is_timeout(last[1]) else MAX_SHRINK_SECONDS

        smallest = find_smallest(
            messages,
            fails,
            examples=self.settings.examples,
            seed=self.settings.seed,
            shrink_seconds=shrink_seconds,
        )
        if smallest is not None and last is not None:
            call, outcome = last
            sometimes = "; not every time that this message is sent" if smallest.is_flaky else ""
            self.cases -= 1
            self.judge(call, passed=False, actual=format_outcome(outcome) + sometimes, outcome=outcome)

    # The result.

    def measure_message(self, case: Call | None) -> int:
        return len(case.body) if case else 0

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
        return reproduce(
            self.rule.id, self.receiver, self.settings, case, self.shell, follows=case in self._redirected
        )

    def mask(self, text: str) -> str:
        return mask_secrets(text, list_secrets(self.receiver, self.shell))
