"""The command ``mail-contract validate``: judges messages in files."""

from __future__ import annotations

import json
import sys
import textwrap
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import catalogue
from ..judging.javascript_json import NotJson, NotUtf8, TooDeep, parse_with_duplicates
from ..judging.requests import MAX_FINDINGS, limit_findings
from ..judging.validation import text_finding, validator
from ..masking import count_noun, escape_unprintable, format_value
from .exit_codes import FAILED, NOTHING_RUN, PASSED, WRONG_USE, WrongUse, say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from ..findings import Finding


_MAX_SHOWN_CHARACTERS = 200


class _Judged(NamedTuple):
    source: str
    line: int | None
    findings: tuple[Finding, ...]
    more_findings: int
    notes: list[str]


class _Reading:
    """How far the files are judged; their results are printed and not kept.

    Args:
        names: The names of the files.

    Attributes:
        judged: How many messages were judged.
        invalid: How many of them are invalid.
        unreadable: The files that cannot be read, as the JSON report lists them.
        bytes: How many bytes were judged.
        seconds_left: See ``Stage``; nobody can say.
    """

    seconds_left: float | None = None

    def __init__(self, names: Sequence[str]) -> None:
        self.judged = self.invalid = self.bytes = 0
        self.unreadable: list[dict[str, str]] = []
        self._names = names

    @cached_property
    def _total_bytes(self) -> int | None:
        files = [Path(name) for name in self._names if name != "-"]
        # Of a pipe nobody can say.
        is_known = len(files) == len(self._names) and all(file.is_file() for file in files)
        return sum(file.stat().st_size for file in files) if is_known else None

    @property
    def share(self) -> tuple[int, int | None]:
        """See ``Stage``."""
        return self.bytes, self._total_bytes

    def __str__(self) -> str:
        return f"{count_noun(self.judged, 'message')} judged, {self.invalid} invalid"


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: There is no such revision, or it has no such layer.
    """
    try:
        revision = validator(options.revision, options.layer).revision
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
        raise WrongUse(str(problem)) from None
    reading = _Reading(options.files)
    print_results = _print_json if options.format == "json" else _print_text
    with ExitStack() as stack:
        # On the same terminal the results show how far it is.
        if sys.stderr.isatty() and not sys.stdout.isatty():
            from .progress import Progress

            stack.enter_context(Progress(lambda: reading))
        print_results(options, revision, reading)
    if reading.unreadable:
        return WRONG_USE
    if not reading.judged:
        return NOTHING_RUN
    return FAILED if reading.invalid else PASSED


def _judge_files(options: argparse.Namespace, revision: str, reading: _Reading) -> Iterator[_Judged]:
    for name in options.files:
        before = reading.judged
        try:
            for line, text in _read_messages(name):
                result = _judge(name, line, text, revision, options.layer)
                reading.judged += 1
                reading.bytes += len(text)
                reading.invalid += bool(result.findings)
                yield result
        except OSError as problem:
            reason = problem.strerror or str(problem)
            say(f"{name} cannot be read: {reason}")
            reading.unreadable.append({"source": name, "problem": reason})
            continue
        if reading.judged == before:
            say(f"there is no message in {name}")


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
        f"the object at {_shorten(duplicate.pointer) or 'the top'} has "
        f"{format_value(duplicate.key)} more than once; Logto's guard uses the last one"
        for duplicate in duplicates
    ]
    if more_duplicates:
        notes.append(f"and {more_duplicates} more keys that an object has more than once")
    findings, more = validator(revision, layer).first_findings(value, MAX_FINDINGS)
    shown = limit_findings(findings)
    return _Judged(source, line, shown, more + len(findings) - len(shown), notes)


def _shorten(pointer: str) -> str:
    more = "…" if len(pointer) > _MAX_SHOWN_CHARACTERS else ""
    return f"{escape_unprintable(pointer[:_MAX_SHOWN_CHARACTERS])}{more}"


# As text.


def _print_text(options: argparse.Namespace, revision: str, reading: _Reading) -> None:
    for result in _judge_files(options, revision, reading):
        sys.stdout.write(_format(result))
    sys.stdout.write(
        f"{reading.judged} judged, {reading.judged - reading.invalid} valid, {reading.invalid} invalid "
        f"(revision {revision}, layer {options.layer})\n"
    )


def _format(judged: _Judged) -> str:
    source = escape_unprintable(judged.source)
    where = source if judged.line is None else f"{source}:{judged.line}"
    lines = [f"{where}: {'invalid' if judged.findings else 'valid'}"]
    lines += [f"  {line}" for finding in judged.findings for line in str(finding).splitlines()]
    if judged.more_findings:
        lines.append(f"  and {judged.more_findings} more")
    lines += [f"  note: {note}" for note in judged.notes]
    return "\n".join(lines) + "\n"


# As JSON: piece by piece, since a file may have millions of messages.


def _print_json(options: argparse.Namespace, revision: str, reading: _Reading) -> None:
    head = {"revision": revision, "layer": options.layer}
    sys.stdout.write(json.dumps(head, indent=2).removesuffix("\n}") + ',\n  "messages": [')
    separator = "\n"
    for result in _judge_files(options, revision, reading):
        entry = json.dumps(_make_entry(result), indent=2)
        sys.stdout.write(separator + textwrap.indent(entry, "    "))
        separator = ",\n"
    sys.stdout.write("\n  ],\n" if reading.judged else "],\n")
    tail = {
        "valid": bool(reading.judged) and not reading.unreadable and not reading.invalid,
        "unreadable": reading.unreadable,
    }
    sys.stdout.write(json.dumps(tail, indent=2).removeprefix("{\n") + "\n")


def _make_entry(judged: _Judged) -> dict[str, Any]:
    return {
        "source": judged.source,
        "line": judged.line,
        "valid": not judged.findings,
        "findings": [finding.entry() for finding in judged.findings],
        **({"moreFindings": judged.more_findings} if judged.more_findings else {}),
        "notes": judged.notes,
    }
