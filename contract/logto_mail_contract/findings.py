"""What is required, what is wrong with a message or an exchange, and the failure that carries it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .masking import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement of a message, a sender or a receiver, as ``schemas/rules.json`` tells it."""

    id: str
    role: str
    level: str
    requirement: str
    outcomes: tuple[str, ...]
    consequence: str
    source: str
    since: str


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
        requirement: What the rule requires, in one sentence.
        consequence: What follows in Logto, or for the receiver, when the rule is broken.
        share: In how many of the cases the rule was broken, ``"1 of 14 messages"`` say; empty where there
            was one case.
        message: What was sent, for a rule about an exchange.
        reproduce: A command that shows the same once more.
    """

    rule: str
    level: str
    layer: str | None
    pointer: str
    expected: tuple[str, ...]
    actual: str
    requirement: str
    consequence: str
    share: str = ""
    message: str = ""
    reproduce: str = ""

    def entry(self) -> dict[str, Any]:
        """Return what a report about messages says of it; what belongs to an exchange alone is left out."""
        left_out = ("share", "message", "reproduce")
        return {name: value for name, value in asdict(self).items() if name not in left_out}

    def __str__(self) -> str:
        share = f"  ({self.share})" if self.share else ""
        lines = [f"{self.rule}  {self.level}{share}", f"  {self.requirement}"]
        if self.layer is not None:
            lines.append(
                f"  where     {escape_unprintable(self.pointer) or 'the whole message'} (layer {self.layer})"
            )
        lines += [
            f"  expected  {', or '.join(self.expected)}",
            f"  actual    {self.actual}",
        ]
        if self.message:
            lines.append(f"  message   {self.message}")
        lines.append(f"  in Logto  {self.consequence}")
        if self.reproduce:
            lines.append(f"  reproduce {self.reproduce}")
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
