"""One rule being tried at one sender: has it send, and judges what arrived."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..judging.validation import validate
from ..suite.reproduce import format_options, format_pytest_command
from ..suite.results import EndOfRule, OwnFault
from ..suite.search import MAX_SHRINK_SECONDS, draw_examples, find_smallest
from ..suite.trial import MAX_SHOWN_MESSAGE_CHARACTERS, Failure, Trial
from .destination import ACCEPTING, Attempt
from .driver import SenderUnusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hypothesis.strategies import SearchStrategy

    from ..findings import Rule
    from .destination import Script
    from .run import SenderRun

MAX_SILENT_MESSAGES = 3
"""Messages without a report after which nothing more is sent: each costs all patience."""

Problem = Callable[[Attempt], "str | None"]
"""Returns what is wrong with an attempt; None when nothing is."""


class SenderTrial(Trial[Attempt]):
    """One rule being tried at one sender.

    Args:
        rule: The rule.
        run: The run that it belongs to.

    Attributes:
        run: The run that it belongs to.
        sender: The sender.
        settings: How it is tried.
        destination: The endpoint that it is given.
        silent: The attempts that the sender gave no report for.
    """

    def __init__(self, rule: Rule, run: SenderRun) -> None:
        super().__init__(rule)
        self.run = run
        self.sender = run.sender
        self.settings = run.settings
        self.destination = run.destination
        self.silent: list[Attempt] = []

    def send(
        self,
        message: Mapping[str, Any],
        script: Script = ACCEPTING,
        *,
        authorization: str | None = None,
        path: str = "/mail",
        origin: str | None = None,
        late: float = 0.0,
    ) -> Attempt:
        """Have a message sent and return the attempt.

        Args:
            message: The message; one that the revision allows.
            script: What requests are responded to with.
            authorization: The value of ``Authorization``; none is configured when None.
            path: The end of the endpoint's URL: path, and query if any.
            origin: The origin of the endpoint; the destination's own when None.
            late: Seconds until each response.

        Raises:
            OwnFault: The message is none that the revision allows.
            SenderUnusable: The sender cannot be driven.
        """
        findings = validate(dict(message), self.sender.revision, "guard")
        if findings:
            problem = "; ".join(f"{finding.rule} at {finding.pointer!r}" for finding in findings)
            raise OwnFault(
                f"{self.rule.id} wanted a message of {self.sender.revision}, but: {problem}: {message}"
            )
        # Through JSON: surrogate halves side by side are one character, and the sender has a copy of its own.
        text = json.dumps(message)
        token = self.destination.token()
        url = f"{origin or self.destination.url}/{token}{path}"
        attempt = Attempt(json.loads(text), url, authorization, script)
        self.destination.expect(token, attempt)
        try:
            attempt.report = self.sender.driver.send(
                json.loads(text),
                url,
                authorization,
                self.settings.patience + late,
                lambda: self.destination.release(attempt),
            )
        except SenderUnusable as problem:
            problem.context = f"\n  rule      {self.rule.id}\n  message   {_format(message)}"
            self.run.lost = problem
            raise
        finally:
            attempt.over.set()
        if attempt.report.ok is None:
            self.silent.append(attempt)
        if origin is None:
            attempt.wait(self.settings.settle)
        return attempt

    def judge_problem(self, attempt: Attempt, problem: str | None) -> None:
        """Count a case, and note it as failed where there is a problem.

        Raises:
            EndOfRule: The sender keeps silent: every other message would cost the same time.
        """
        self.judge(attempt, problem is None, problem or "")
        self._end_if_silent()

    def _end_if_silent(self) -> None:
        if len(self.silent) < MAX_SILENT_MESSAGES:
            return
        if not self.failures:
            # No user would wait for this sender: the rule fails whatever else it does.
            patience = f"{self.settings.patience:g} s"
            actual = f"no report within {patience}, {len(self.silent)} times; the rest is not tried"
            self.failures.append(Failure(self.silent[-1], actual))
        raise EndOfRule

    def settle(self) -> None:
        """Wait for requests that should not come."""
        time.sleep(self.settings.settle)

    def judge_every(self, messages: Iterable[Mapping[str, Any]], problem: Problem) -> None:
        """Judge messages and generated ones, of which a smallest failing one is searched for.

        All are sent once a run, for every rule that judges by this.

        Args:
            messages: The messages; the same for every rule.
            problem: Judges one attempt.

        Raises:
            EndOfRule: The sender keeps silent.
            SenderUnusable: The sender cannot be driven.
        """
        if self.run.attempts is None:
            self.run.attempts = self._send_every(messages)
        prepared, generated = self.run.attempts
        self.silent = [attempt for attempt in (*prepared, *generated) if attempt.report.ok is None]
        for attempt in prepared:
            found = problem(attempt)
            self.judge(attempt, found is None, found or "")
        # The prepared messages are small as they are.
        is_small = bool(self.failures)
        for attempt in generated:
            found = problem(attempt)
            self.judge(attempt, found is None, found or "")
            if found is not None and not is_small:
                self.failures[-1] = self._find_smallest(problem) or self.failures[-1]
                is_small = True
        self._end_if_silent()

    def _send_every(self, messages: Iterable[Mapping[str, Any]]) -> tuple[list[Attempt], list[Attempt]]:
        prepared: list[Attempt] = []
        generated: list[Attempt] = []
        drawn = draw_examples(self._generated_messages(), self.settings.examples, self.settings.seed)
        for sent, attempts in ((messages, prepared), (drawn, generated)):
            for message in sent:
                if len(self.silent) >= MAX_SILENT_MESSAGES:
                    break
                attempts.append(self.send(message))
        # Surplus bytes after a request are read once it has its response.
        self.settle()
        return prepared, generated

    def _find_smallest(self, problem: Problem) -> Failure[Attempt] | None:
        last: Failure[Attempt] | None = None

        def fails(message: dict[str, Any]) -> bool:
            nonlocal last
            if len(self.silent) >= MAX_SILENT_MESSAGES:
                return False
            attempt = self.send(message)
            found = problem(attempt)
            if found is not None:
                last = Failure(attempt, found)
            return found is not None

        def shrink_seconds() -> float:
            # If each try costs all patience, one is enough.
            return 0.0 if last is not None and last.case.report.ok is None else MAX_SHRINK_SECONDS

        find_smallest(
            self._generated_messages(),
            fails,
            examples=self.settings.examples,
            seed=self.settings.seed,
            shrink_seconds=shrink_seconds,
        )
        return last

    def _generated_messages(self) -> SearchStrategy[dict[str, Any]]:
        from ..strategies import messages

        revision = self.sender.revision
        return messages(revision, "guard") | messages(revision, "emitted")

    # The result.

    def measure_message(self, case: Attempt) -> int:
        return len(json.dumps(case.message))

    def format_message(self, case: Attempt) -> str:
        return _format(case.message)

    def reproduce(self, case: Attempt) -> str:  # noqa: ARG002 - one command shows every case of a rule
        sender = self.sender
        if sender.arguments is None:
            return format_pytest_command(self.rule.id)
        options = format_options(self.settings, ("seed", "examples", "slow", "patience"), sender.revision)
        command = f"mail-contract verify-sender --rules {self.rule.id}{options}"
        return f"{command} -- {shlex.join(sender.arguments)}"

    def mask(self, text: str) -> str:
        # The credentials that senders are given are our own.
        return text


def _format(message: Mapping[str, Any]) -> str:
    text = json.dumps(message, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(message)
    if len(text) <= MAX_SHOWN_MESSAGE_CHARACTERS:
        return text
    return f"{text[:MAX_SHOWN_MESSAGE_CHARACTERS]}… ({len(text)} characters)"
