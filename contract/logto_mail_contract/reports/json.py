"""Results as JSON, for machines; ``schemas/verification-report.schema.json`` describes the document."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..suite.engine import Verification


def format_json_report(
    url: str,
    revision: str,
    settings: Mapping[str, Any],
    verification: Verification[Any],
    seconds: float,
) -> str:
    """Return the report as JSON text.

    Args:
        url: The receiver's endpoint, without secrets.
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
        for result in verification.results
    ]
    document = {
        "version": __version__,
        "url": url,
        "revision": revision,
        "settings": dict(settings),
        "passed": verification.passed,
        "rules": rules,
        "faults": verification.faults,
        "lost": verification.lost,
        "seconds": round(seconds, 3),
    }
    return json.dumps(document, indent=2) + "\n"
