"""Results as text: a line for each rule as it comes, the failures and the count at the end."""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import TYPE_CHECKING, Any, get_args

from ..masking import count_noun
from ..suite.causes import attribute_causes
from ..suite.results import Outcome
from .ordering import order_by_cost

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..suite.engine import Verification
    from ..suite.results import Result

MAX_NAMED_RULES = 5
"""How many rules with the same cause are named; the lines above name all."""

_WIDTH = 110


def format_line(result: Result) -> str:
    """Return the lines that report one rule as it comes: its outcome, and what came where it failed."""
    level = result.rule.level if result.findings else ""
    cases = f"{count_noun(result.cases, 'case')}, {result.seconds * 1000:.0f} ms"
    line = f"  {result.outcome:<17} {level:<6} {result.rule.id:<50} {result.reason or cases}\n"
    if result.outcome in ("failed", "warned"):
        for finding in result.findings:
            came = finding.actual if finding.cause is None else f"the same cause as in {finding.cause}"
            line += textwrap.shorten(came, _WIDTH, initial_indent=" " * 20, placeholder=" …") + "\n"
    return line


def format_text_report(
    verification: Verification[Any],
    seconds: float,
    placeholders: Mapping[str, str] | None = None,
    *,
    verbose: bool = False,
) -> str:
    """Return what follows the lines: each failure, what went wrong, and the count.

    The failures that cost the users most come first.

    Args:
        verification: The rules that were run.
        seconds: How long it took.
        placeholders: What names in commands to copy stand for; listed where a command has them.
        verbose: Whether to print each finding, also those with the same cause as another.
    """
    results = attribute_causes(verification.results)
    parts = [verification.diagnosis] if verification.diagnosis else []
    parts += _format_findings(order_by_cost(results), verbose=verbose)
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
    elif left := sum(result.reason == verification.ended != "" for result in results):
        rules = f"{count_noun(left, 'rule')} {'was' if left == 1 else 'were'} not judged"
        parts.append(f"The run ended early: {verification.ended}. Because of that, {rules}.")
    counts = Counter(result.outcome for result in results)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in get_args(Outcome) if counts[outcome])
    cases = sum(result.cases for result in results)
    rules = count_noun(len(results), "rule")
    count = f"{rules}: {summary or 'none'}. {count_noun(cases, 'case')} in {seconds:.1f} s."
    parts.append("\n".join(filter(None, [count, _format_verdict(verification)])))
    return "\n" + "\n\n".join(parts) + "\n"


def _format_findings(results: Sequence[Result], *, verbose: bool) -> list[str]:
    """Return the failures, each with the rules that failed for the same reason unless ``verbose``."""
    reported = [result for result in results if result.outcome in ("failed", "warned")]
    followers: dict[str, list[str]] = {}
    for result in reported:
        for finding in result.findings:
            if finding.cause is not None:
                followers.setdefault(finding.cause, []).append(finding.rule)
    parts = []
    for result in reported:
        for finding in result.findings:
            if verbose:
                parts.append(str(finding))
            elif finding.cause is None:
                same = followers.get(finding.rule, [])
                parts.append(str(finding) + (f"\n{_format_followers(same)}" if same else ""))
    return parts


def _format_followers(rules: Sequence[str]) -> str:
    more = " …" if len(rules) > MAX_NAMED_RULES else ""
    named = ", ".join(rules[:MAX_NAMED_RULES])
    text = f"and {count_noun(len(rules), 'more rule')}, for the same reason: {named}{more}"
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent="  ",
        subsequent_indent="    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _format_verdict(verification: Verification[Any]) -> str:
    """Return the last line, where the count alone would mislead; empty elsewhere."""
    results = verification.results
    if verification.faults or verification.lost or any(result.fails_run for result in results):
        return ""
    if unjudged := len(verification.unjudged):
        rules, were = ("1 rule", "was") if unjudged == 1 else (f"{unjudged} rules", "were")
        return f"not passed: {rules} of level MUST {were} not judged"
    warnings = sum(result.outcome == "warned" for result in results)
    return f"passed, {count_noun(warnings, 'warning')}" if warnings else ""
