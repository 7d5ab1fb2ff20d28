"""Rules, findings, and the failure that carries findings."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .masking import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement of a message, a sender or a receiver, as ``schemas/rules.json`` states it.

    Attributes:
        id: A slug path such as ``message/guard/type``, never reused for another requirement.
        role: Whose requirement it is: ``message``, ``sender`` or ``receiver``.
        level: ``MUST``, ``SHOULD`` or ``INFO``.
        requirement: The requirement, in one sentence.
        outcomes: Every acceptable outcome, for a person to read.
        consequence: What happens in Logto, or to the receiver, when the rule fails.
        source: Where the claim comes from: a file of Logto's source, or a page of its documentation.
        since: The contract revision from which on it applies.
    """

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
    """A failed rule at one place.

    Attributes:
        rule: The id of the rule, for example ``message/guard/type``; every id is in ``schemas/rules.json``.
        level: The rule's level: ``MUST`` or ``SHOULD``.
        layer: The layer, ``guard``, ``emitted`` or ``documented``; None for a text or a request.
        pointer: The JSON pointer (RFC 6901) of the place in the message, ``""`` for the whole message. For a
            missing member it is the object that lacks it.
        expected: Every acceptable outcome, for a person to read.
        actual: The one outcome that came, shortened; codes, links and credentials are masked.
        requirement: What the rule requires, in one sentence.
        consequence: What happens in Logto, or to the receiver, when the rule fails.
        share: In how many of the cases the rule failed, for example ``"1 of 14 messages"``; empty where there
            was one case.
        message: The message that was sent, for a rule about an exchange.
        reproduce: A command that reproduces the failure.
        cause: The id of the most telling rule that failed for the same reason; None where it is this one.
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
    cause: str | None = None

    def entry(self) -> dict[str, Any]:
        """Return its members for a report about messages, without those that only an exchange has."""
        left_out = ("share", "message", "reproduce", "cause")
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
        if self.cause is not None:
            lines.append(f"  cause     the same as in {self.cause}")
        if self.message:
            lines.append(f"  message   {self.message}")
        lines.append(f"  in Logto  {self.consequence}")
        if self.reproduce:
            lines.append(f"  reproduce {self.reproduce}")
        return "\n".join(lines)


class ContractViolation(AssertionError):
    """A message or an exchange broke the contract.

    It is an AssertionError, so that pytest reports a failed test.

    Args:
        findings: The findings, in the order in which to read them.
        headline: What was judged, in one line.
        hints: What the reader can do, a line each.

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
