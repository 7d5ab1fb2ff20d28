"""One rule being tried at one sender: judges what arrived, and what the sender reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..program import read_program_name
from ..suite.reproduce import format_options, format_pytest_command, quote_argument
from ..suite.results import NotJudged
from ..suite.search import MAX_SHRINK_SECONDS, find_smallest
from ..suite.trial import MAX_SHOWN_MESSAGE_CHARACTERS, Failure, Trial
from .destination import Attempt
from .messages import make_generated_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..findings import Rule
    from .run import SenderRun

Problem = Callable[[Attempt], "str | None"]
"""Returns what is wrong with an attempt; None when nothing is."""


class SenderTrial(Trial[Attempt]):
    """One rule being tried at one sender.

    Args:
        rule: The rule.
        run: The run that it belongs to.

    Attributes:
        run: The run that it belongs to.
    """

    def __init__(self, rule: Rule, run: SenderRun) -> None:
        super().__init__(rule)
        self.run = run

    def judge_each(self, attempts: Iterable[Attempt], problem: Problem) -> None:
        """Judge attempts; those without a request are left to the rules that count requests.

        Of generated messages a smallest failing one is searched for.

        Args:
            attempts: The attempts.
            problem: Judges one attempt that has a request.
        """
        for attempt in attempts:
            if not attempt.arrivals:
                self.skip(f"no request came; {attempt.report}")
                continue
            found = problem(attempt)
            # The messages that are not generated are small as they are.
            is_first = attempt.is_generated and not self.failures
            self.judge(attempt, found is None, found or "")
            if found is not None and is_first:
                self.failures[-1] = self._find_smallest(problem) or self.failures[-1]

    def _find_smallest(self, problem: Problem) -> Failure[Attempt] | None:
        last: Failure[Attempt] | None = None

        def fails(message: dict[str, Any]) -> bool:
            nonlocal last
            try:
                attempt = self.run.send(message, is_generated=True)
            except NotJudged:
                return False
            found = problem(attempt) if attempt.arrivals else None
            if found is not None:
                last = Failure(attempt, found)
            return found is not None

        def shrink_seconds() -> float:
            # If each try costs all patience, one is enough.
            if last is not None and last.case.report.ok is None:
                return 0.0
            return self.run.limit_wait(MAX_SHRINK_SECONDS)

        settings = self.run.settings
        find_smallest(
            make_generated_messages(self.run.revision),
            fails,
            examples=settings.examples,
            seed=settings.seed,
            shrink_seconds=shrink_seconds,
        )
        return last

    # The result.

    def measure_message(self, case: Attempt) -> tuple[int, ...]:
        return (len(json.dumps(case.message)),)

    def format_message(self, case: Attempt) -> str:
        return format_message(case.message)

    def reproduce(self, case: Attempt) -> str:  # noqa: ARG002 - one command shows every case of a rule
        sender = self.run.sender
        if sender.arguments is None:
            return format_pytest_command(self.rule.id)
        names = ("seed", "examples", "slow", "patience")
        options = format_options(self.run.settings, names, sender.revision)
        command = f"{read_program_name()} verify-sender --rules {self.rule.id}{options}"
        return f"{command} -- {' '.join(map(quote_argument, sender.arguments))}"

    def mask(self, text: str) -> str:
        # The credentials that senders are given are our own.
        return text


def format_message(message: Mapping[str, Any]) -> str:
    """Return a message for a person to read, cut where it is long."""
    text = json.dumps(message, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(message)
    if len(text) <= MAX_SHOWN_MESSAGE_CHARACTERS:
        return text
    return f"{text[:MAX_SHOWN_MESSAGE_CHARACTERS]}… ({len(text)} characters)"
