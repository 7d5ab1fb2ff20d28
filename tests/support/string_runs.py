"""A run whose cases are texts: the engine and the commands run it like any other."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from logto_mail_contract import catalogue
from logto_mail_contract.suite.causes import Causes
from logto_mail_contract.suite.checks import Checks
from logto_mail_contract.suite.results import NotJudged
from logto_mail_contract.suite.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logto_mail_contract.findings import Rule
    from logto_mail_contract.suite.results import Signature

MUST = "receiver/accept/sign-in"
SHOULD = "receiver/accept/unknown-type"
LATER = "receiver/accept/bind-mfa"
INFO = next(rule.id for rule in catalogue.rules().values() if rule.level == "INFO")


class StringTrial(Trial[str]):
    """A trial whose cases are texts.

    Attributes:
        came: The signature of its failures.
    """

    came: Signature | None = None

    def measure_message(self, case: str) -> tuple[int, ...]:
        return (len(case),)

    def format_message(self, case: str) -> str:
        return f"<{case}>"

    def reproduce(self, case: str) -> str:
        return f"send {case}"

    def mask(self, text: str) -> str:
        return text.replace("s3cret", "(masked)")

    def signature(self) -> Signature | None:
        return self.came


class StringRun:
    """A run that has one check for every rule.

    Attributes:
        check: Tries a rule; may be set until the run starts.
        interrupted: The reasons of the interrupts so far.
    """

    def __init__(
        self,
        check: Callable[[StringTrial], None],
        *,
        needs: tuple[str, ...] = (),
        strict: bool = False,
        revision: str = "1.35",
        diagnosis: str = "",
    ) -> None:
        self.checks: Checks[StringTrial] = Checks("receiver")
        for rule in catalogue.rules():
            self.checks.register(rule, *needs)(lambda trial: self.check(trial))
        self.check = check
        self.strict = strict
        self.revision = revision
        self.causes = Causes()
        self.diagnosis = diagnosis
        self.interrupted: list[str] = []
        self._interrupt = threading.Event()

    def prepare(self, rules: Sequence[str]) -> None:
        """Do nothing: nothing is sent ahead."""

    def start(self, rule: Rule) -> StringTrial:
        return StringTrial(rule)

    def missing(self, need: str) -> str:
        return f"there is no {need}" if need == "outbox" else ""

    def interrupt(self, reason: str) -> None:
        self.interrupted.append(reason)
        self._interrupt.set()

    def require_not_interrupted(self) -> None:
        if self.interrupted:
            raise NotJudged(self.interrupted[0])

    def hang(self) -> None:
        """Wait until the run is interrupted."""
        assert self._interrupt.wait(30)
        self.require_not_interrupted()
