"""What is wrong with a message or an exchange: findings, and the failure that carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule at one place.

    Attributes:
        rule: The id of the broken rule, a slug path such as ``message/guard/type``; every id stands in
            ``schemas/rules.json``.
        level: The rule's level: ``MUST`` or ``SHOULD``.
        layer: The layer that the finding speaks of, ``guard``, ``emitted`` or ``documented``; None where it
            speaks of a text or a request.
        pointer: The JSON pointer (RFC 6901) of the place in the message, ``""`` for the whole message. A
            member that is missing is told at the object that lacks it.
        expected: Every acceptable outcome, for a person to read.
        actual: The one outcome that came, shortened; codes, links and credentials are masked.
        sentence: What the rule requires, in one sentence.
        consequence: What follows in Logto, or for the receiver, when the rule is broken.
    """

    rule: str
    level: str
    layer: str | None
    pointer: str
    expected: tuple[str, ...]
    actual: str
    sentence: str
    consequence: str

    def __str__(self) -> str:
        lines = [f"{self.rule}  {self.level}", f"  {self.sentence}"]
        if self.layer is not None:
            lines.append(f"  where     {self.pointer or 'the whole message'} (layer {self.layer})")
        lines += [
            f"  expected  {', or '.join(self.expected)}",
            f"  actual    {self.actual}",
            f"  in Logto  {self.consequence}",
        ]
        return "\n".join(lines)


class ContractViolation(AssertionError):
    """A message or an exchange broke the contract.

    It is an AssertionError, so that pytest tells it as a failed test and not as an error in it.

    Args:
        findings: What was broken, in the order in which it is to be read.
        headline: What was judged, in one line.
        hints: What the reader can do about it, a line each.

    Attributes:
        findings: The findings, as a tuple.
    """

    def __init__(
        self,
        findings: Iterable[Finding],
        headline: str = "The message breaks the contract",
        hints: Sequence[str] = (),
    ) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join([headline, *map(str, self.findings), *hints]))
