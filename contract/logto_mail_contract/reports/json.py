"""Results as JSON, for machines; ``schemas/verification-report.schema.json`` describes the document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..suite.causes import attribute_causes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..suite.engine import Verification


def format_json_report(
    subject: str,
    revision: str,
    settings: Mapping[str, Any],
    verification: Verification[Any],
    seconds: float,
) -> str:
    """Return the report as JSON text.

    Args:
        subject: The receiver's endpoint, without secrets, or the sender's command.
        revision: The contract revision that it was judged by.
        settings: How it was tried.
        verification: The rules that were run.
        seconds: How long it took.
    """
    rules = [
        {
            "rule": result.rule.id,
            "level": result.rule.level,
            "outcome": result.outcome,
            "fails_run": result.fails_run,
            "reason": result.reason,
            "cases": result.cases,
            "seconds": round(result.seconds, 6),
            "findings": [asdict(finding) for finding in result.findings],
        }
        for result in attribute_causes(verification.results)
    ]
    document = {
        "version": __version__,
        "role": verification.role,
        "url" if verification.role == "receiver" else "command": subject,
        "revision": revision,
        "settings": dict(settings),
        "passed": verification.passed,
        "diagnosis": verification.diagnosis,
        "rules": rules,
        "faults": [str(fault) for fault in verification.faults],
        "lost": str(verification.lost or ""),
        "ended": verification.ended,
        "seconds": round(seconds, 3),
    }
    return json.dumps(document, indent=2) + "\n"
