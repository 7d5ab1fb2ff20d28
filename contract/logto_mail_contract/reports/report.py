"""What ``mail-contract verify`` tells: a line for each rule, the failures, and a report for machines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..masking import count_noun

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..commands.verify import Judged, Verification
    from ..receivers.receiver import Receiver, Settings


def line(judged: Judged) -> str:
    """Return the line that tells one rule."""
    result = judged.result
    level = result.rule.level if judged.outcome in ("broken", "excused") else ""
    cases = f"{count_noun(result.cases, 'case')}, {result.seconds * 1000:.0f} ms"
    told = judged.note or cases
    return f"  {judged.outcome:<17} {level:<6} {result.rule.id:<50} {told}\n"


def text_report(
    judged: Sequence[Judged],
    faults: Sequence[str],
    seconds: float,
    lost: str = "",
    placeholders: Mapping[str, str] | None = None,
) -> str:
    """Return what follows the lines: each failure, and the count.

    Args:
        judged: What came of each rule.
        faults: What went wrong on our own side.
        seconds: How long it took.
        lost: Why the receiver could not be reached any more; empty when it could.
        placeholders: What names in commands to copy stand for; told where a command has them.
    """
    parts = [
        str(finding) for entry in judged if entry.outcome == "broken" for finding in entry.result.findings
    ]
    stand_for = [
        f"  ${{{name}}} stands for {told}"
        for name, told in (placeholders or {}).items()
        if any(f"${{{name}}}" in part for part in parts)
    ]
    if stand_for:
        parts.append("\n".join(["In these commands:", *stand_for]))
    parts += [
        f"{entry.result.rule.id} is kept, so its excuse is no longer needed: {entry.note}"
        for entry in judged
        if entry.outcome == "excuse not needed"
    ]
    parts += [f"A fault of mail-contract itself, please report it:\n  {fault}" for fault in faults]
    if lost:
        parts.append(f"The receiver was lost, and what is left was not tried.\n  {lost}")
    counts = Counter(entry.outcome for entry in judged)
    told = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
    cases = sum(entry.result.cases for entry in judged)
    parts.append(
        f"{count_noun(len(judged), 'rule')}: {told or 'none'}. "
        f"{count_noun(cases, 'case')} in {seconds:.1f} s."
    )
    return "\n" + "\n\n".join(parts) + "\n"


def json_report(
    url: str, receiver: Receiver, settings: Settings, verification: Verification, seconds: float
) -> str:
    """Return the report for machines; ``schemas/verification-report.schema.json`` describes it."""
    entries: list[dict[str, Any]] = [
        {
            "rule": entry.result.rule.id,
            "level": entry.result.rule.level,
            "outcome": entry.outcome,
            "counts": entry.counts,
            "note": entry.note,
            "cases": entry.result.cases,
            "seconds": round(entry.result.seconds, 6),
            "findings": [asdict(finding) for finding in entry.result.findings],
        }
        for entry in verification.judged
    ]
    stopped = verification.faults or verification.lost
    document = {
        "version": __version__,
        "url": url,
        "revision": receiver.revision,
        "settings": asdict(settings),
        "kept": not stopped and not any(entry.counts for entry in verification.judged),
        "rules": entries,
        "faults": list(verification.faults),
        "lost": verification.lost,
        "seconds": round(seconds, 3),
    }
    return json.dumps(document, indent=2) + "\n"
