"""Results as text: a line for each rule as it comes, the failures and the count at the end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from ..masking import count_noun
from ..suite.results import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..suite.engine import Verification
    from ..suite.results import Result


def format_line(result: Result) -> str:
    """Return the line that reports one rule, with its line break."""
    level = result.rule.level if result.findings else ""
    cases = f"{count_noun(result.cases, 'case')}, {result.seconds * 1000:.0f} ms"
    return f"  {result.outcome:<17} {level:<6} {result.rule.id:<50} {result.reason or cases}\n"


def format_text_report(
    verification: Verification[Any], seconds: float, placeholders: Mapping[str, str] | None = None
) -> str:
    """Return what follows the lines: each failure, what went wrong, and the count.

    Args:
        verification: The rules that were run.
        seconds: How long it took.
        placeholders: What names in commands to copy stand for; listed where a command has them.
    """
    results = verification.results
    parts = [
        str(finding)
        for result in results
        if result.outcome in ("failed", "warned")
        for finding in result.findings
    ]
    used = [
        f"  ${{{name}}} stands for {what}"
        for name, what in (placeholders or {}).items()
        if any(f"${{{name}}}" in part for part in parts)
    ]
    if used:
        parts.append("\n".join(["In these commands:", *used]))
    parts += [
        f"{result.rule.id} passed, so its excuse is not needed: {result.reason}"
        for result in results
        if result.outcome == "excuse not needed"
    ]
    parts += [
        f"A fault of mail-contract itself, please report it:\n  {fault}" for fault in verification.faults
    ]
    if verification.lost:
        parts.append(
            f"The {verification.role} was lost, and what is left was not tried.\n  {verification.lost}"
        )
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in get_args(Outcome) if counts[outcome])
    cases = sum(result.cases for result in results)
    parts.append(
        f"{count_noun(len(results), 'rule')}: {summary or 'none'}. "
        f"{count_noun(cases, 'case')} in {seconds:.1f} s."
    )
    return "\n" + "\n\n".join(parts) + "\n"
