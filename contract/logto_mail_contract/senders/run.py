"""One run of rules at one sender, and what it learns of the sender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import catalogue
from ..judging.typical import minimal
from ..suite.causes import Causes
from .driver import SenderUnusable
from .rules import CHECKS
from .sender import SenderSettings
from .trial import SenderTrial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..findings import Rule
    from ..suite.checks import Checks
    from .destination import Attempt, Destination
    from .sender import Sender


class SenderRun:
    """One run of rules at one sender.

    Args:
        sender: The sender.
        destination: The endpoint that it is given.
        settings: How it is tried; the defaults when None.

    Attributes:
        sender: The sender.
        destination: The endpoint that it is given.
        settings: How it is tried.
        attempts: The prepared and the generated messages that several rules judge; None until they are sent.
        lost: Why the sender cannot be driven; None while it can.
        causes: The causes of the failures so far.
        diagnosis: Empty: nothing is said of a sender as a whole.
    """

    diagnosis = ""

    def __init__(
        self, sender: Sender, destination: Destination, settings: SenderSettings | None = None
    ) -> None:
        self.sender = sender
        self.destination = destination
        self.settings = settings or SenderSettings()
        self.attempts: tuple[list[Attempt], list[Attempt]] | None = None
        self.lost: SenderUnusable | None = None
        self.causes = Causes()

    @property
    def checks(self) -> Checks[SenderTrial]:
        return CHECKS

    @property
    def revision(self) -> str:
        return self.sender.revision

    @property
    def strict(self) -> bool:
        return self.settings.strict

    def start(self, rule: Rule) -> SenderTrial:
        # A command is started again for its next message, and would hide that it ended.
        if self.lost is not None:
            raise self.lost
        # Late requests for the messages of earlier rules reach no other rule.
        self.destination.begin()
        return SenderTrial(rule, self)

    def missing(self, need: str) -> str:  # noqa: ARG002 - rules for senders need nothing
        return ""

    def prepare(self, rules: Sequence[str]) -> None:
        """Do nothing: a sender is driven one message at a time."""

    def interrupt(self, reason: str) -> None:
        self.sender.driver.interrupt(reason)

    def require_usable(self) -> None:
        """Have one plain message sent, whatever comes of it.

        Raises:
            SenderUnusable: The sender cannot be driven: it does not start, ends, keeps silent, or writes a
                line that is no result.
        """
        trial = self.start(catalogue.rules()["sender/request/method"])
        try:
            attempt = trial.send(minimal("SignIn", self.sender.revision))
        except SenderUnusable as problem:
            problem.context = ""  # no rule and no message of interest
            raise
        if attempt.report.ok is None:
            self.lost = SenderUnusable(
                f"the sender gave {attempt.report}: it was its first message, which was accepted at once"
            )
            raise self.lost
