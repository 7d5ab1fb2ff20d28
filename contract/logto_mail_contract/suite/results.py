"""What comes of a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..findings import Finding, Rule


class NotApplicable(Exception):
    """A rule cannot be judged for this receiver; the text says why."""


class OwnFault(Exception):
    """A message of ours is not what it claims to be: a fault of this project, never of the receiver."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one rule.

    Attributes:
        rule: The rule.
        outcome: ``kept``, ``broken`` or ``not applicable``.
        findings: What was broken.
        reason: Why the rule was not applicable.
        cases: How many cases were judged.
        seconds: How long it took.
    """

    rule: Rule
    outcome: Literal["kept", "broken", "not applicable"]
    findings: tuple[Finding, ...]
    reason: str
    cases: int
    seconds: float

    def counts(self, *, strict: bool) -> bool:
        """Return whether the rule is broken in a way that fails: a MUST, when strict a SHOULD too."""
        levels = ("MUST", "SHOULD") if strict else ("MUST",)
        return self.outcome == "broken" and self.rule.level in levels
