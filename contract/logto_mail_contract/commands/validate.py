"""The command ``mail-contract validate``: judges messages in files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import catalogue
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse_with_duplicates
from ..judging.requests import MAX_FINDINGS
from ..judging.validation import text_finding, validator
from ..masking import escape_unprintable, format_value
from .exit_codes import FAILED, NOTHING_RUN, PASSED, WRONG_USE, WrongUse, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from ..findings import Finding


class _Judged(NamedTuple):
    source: str
    line: int | None
    findings: tuple[Finding, ...]
    more_findings: int
    notes: list[str]


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: There is no such revision, or it has no such layer.
    """
    try:
        revision = validator(options.revision, options.layer).revision
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
        raise WrongUse(str(problem)) from None
    judged: list[_Judged] = []
    unreadable: list[dict[str, str]] = []
    for name in options.files:
        before = len(judged)
        try:
            for line, text in _read_messages(name):
                result = _judge(name, line, text, revision, options.layer)
                if options.format == "text":
                    sys.stdout.write(_format(result))
                judged.append(result)
        except BrokenPipeError:
            raise
        except OSError as problem:
            say(f"{name} cannot be read: {problem.strerror or problem}")
            unreadable.append({"source": name, "problem": problem.strerror or str(problem)})
            continue
        if len(judged) == before:
            say(f"there is no message in {name}")
    invalid = sum(bool(result.findings) for result in judged)
    if options.format == "json":
        sys.stdout.write(json.dumps(_report(revision, options.layer, judged, unreadable), indent=2) + "\n")
    else:
        sys.stdout.write(
            f"{len(judged)} judged, {len(judged) - invalid} valid, {invalid} invalid "
            f"(revision {revision}, layer {options.layer})\n"
        )
    if unreadable:
        return WRONG_USE
    if not judged:
        return NOTHING_RUN
    return FAILED if invalid else PASSED


def _read_messages(name: str) -> Iterator[tuple[int | None, bytes]]:
    if name == "-":
        yield None, sys.stdin.buffer.read()
    elif name.endswith((".ndjson", ".jsonl")):
        with Path(name).open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.rstrip(b"\r\n")
    else:
        yield None, Path(name).read_bytes()


def _judge(source: str, line: int | None, text: bytes, revision: str, layer: str) -> _Judged:
    try:
        value, duplicates, more_duplicates = parse_with_duplicates(text)
    except (NotUtf8, NotJson, TooDeep) as problem:
        if line is not None and isinstance(problem, NotJson):
            problem.line += line - 1
        return _Judged(source, line, (text_finding(problem),), 0, [])
    notes = [
        f"the object at {escape_unprintable(duplicate.pointer) or 'the top'} has "
        f"{format_value(duplicate.key)} more than once; Logto's guard uses the last one"
        for duplicate in duplicates
    ]
    if more_duplicates:
        notes.append(f"and {more_duplicates} more keys that an object has more than once")
    findings, more = validator(revision, layer).first_findings(value, MAX_FINDINGS)
    return _Judged(source, line, findings, more, notes)


def _format(judged: _Judged) -> str:
    where = judged.source if judged.line is None else f"{judged.source}:{judged.line}"
    lines = [f"{where}: {'invalid' if judged.findings else 'valid'}"]
    lines += [f"  {line}" for finding in judged.findings for line in str(finding).splitlines()]
    if judged.more_findings:
        lines.append(f"  and {judged.more_findings} more")
    lines += [f"  note: {note}" for note in judged.notes]
    return "\n".join(lines) + "\n"


def _report(
    revision: str, layer: str, judged: list[_Judged], unreadable: list[dict[str, str]]
) -> dict[str, Any]:
    return {
        "revision": revision,
        "layer": layer,
        "valid": bool(judged) and not unreadable and not any(result.findings for result in judged),
        "messages": [
            {
                "source": result.source,
                "line": result.line,
                "valid": not result.findings,
                "findings": [finding.entry() for finding in result.findings],
                **({"moreFindings": result.more_findings} if result.more_findings else {}),
                "notes": result.notes,
            }
            for result in judged
        ],
        "unreadable": unreadable,
    }
