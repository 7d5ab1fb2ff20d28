"""The command ``mail-contract``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from . import __version__, catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .findings import Finding

KEPT, BROKEN, WRONG_USE, UNREACHABLE, OWN_FAULT, NOTHING_RUN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
"""The exit codes of every command."""


class WrongUse(Exception):
    """The command line asks for what there is not, or names what cannot be read."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: The words after the command's name; those of this process when None.

    Raises:
        SystemExit: argparse ends the command itself, after ``--help`` or a word that it does not know.
    """
    options = _parser().parse_args(arguments)
    if hasattr(sys.stdout, "reconfigure"):
        # A terminal or pipe that cannot take a character must not end the command.
        sys.stdout.reconfigure(errors="backslashreplace")
    run: Callable[[argparse.Namespace], int] = options.run
    try:
        code = run(options)
        sys.stdout.flush()
    except WrongUse as problem:
        _say(str(problem))
        return WRONG_USE
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever reads has seen enough; Python would complain once more while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN
    except Exception:  # noqa: BLE001 - the last line of defence: a fault of ours has an exit code of its own
        traceback.print_exc()
        _say("this is a fault of mail-contract itself; please report it with the lines above")
        return OWN_FAULT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mail-contract",
        description="Contract tests for Logto's HTTP email webhook.",
        epilog="Exit codes: 0 kept, 1 broken, 2 wrong use or unreadable input, 3 target not reachable, "
        "4 a fault of mail-contract, 5 nothing to judge, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"mail-contract {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    validate = commands.add_parser(
        "validate",
        help="judge messages in files",
        description="Judge messages against the contract: one JSON document a file, or one a line in files "
        "that end in .ndjson or .jsonl.",
    )
    validate.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    validate.add_argument(
        "--revision", metavar="R", help="contract revision or Logto release (default: the current revision)"
    )
    validate.add_argument("--layer", choices=catalogue.LAYERS, default="guard", help="default: guard")
    validate.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    validate.set_defaults(run=_validate)
    return parser


def _say(line: str) -> None:
    sys.stderr.write(f"mail-contract: {line}\n")


class _Judged(NamedTuple):
    source: str
    line: int | None
    findings: tuple[Finding, ...]
    notes: list[str]


def _validate(options: argparse.Namespace) -> int:
    from .validation import validator

    try:
        revision = validator(options.revision, options.layer).revision
    except (catalogue.UnknownRevision, catalogue.UnknownLayer) as problem:
        raise WrongUse(str(problem)) from None
    judged: list[_Judged] = []
    unreadable: list[dict[str, str]] = []
    for name in options.files:
        try:
            for line, text in _messages(name):
                result = _judge(name, line, text, revision, options.layer)
                if options.format == "text":
                    sys.stdout.write(_told(result))
                judged.append(result)
        except BrokenPipeError:
            raise
        except OSError as problem:
            _say(f"{name} cannot be read: {problem.strerror or problem}")
            unreadable.append({"source": name, "problem": problem.strerror or str(problem)})
    broken = sum(bool(result.findings) for result in judged)
    if options.format == "json":
        sys.stdout.write(json.dumps(_report(revision, options.layer, judged, unreadable), indent=2) + "\n")
    else:
        sys.stdout.write(
            f"{len(judged)} judged, {len(judged) - broken} valid, {broken} broken "
            f"(revision {revision}, layer {options.layer})\n"
        )
    if unreadable:
        return WRONG_USE
    if not judged:
        _say(f"there is no message in {', '.join(options.files)}")
        return NOTHING_RUN
    return BROKEN if broken else KEPT


def _messages(name: str) -> Iterator[tuple[int | None, bytes]]:
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
    from .javascript_json import NotJson, NotUtf8, TooDeep, parse_with_duplicates
    from .validation import shown, text_finding, validator

    try:
        value, duplicates = parse_with_duplicates(text)
    except (NotUtf8, NotJson, TooDeep) as problem:
        if line is not None and isinstance(problem, NotJson):
            problem.line += line - 1
        return _Judged(source, line, (text_finding(problem),), [])
    notes = [
        f"{shown(duplicate.key)} stands more than once in the object at {duplicate.pointer or 'the top'}; "
        "the last counts, as for Logto's guard"
        for duplicate in duplicates
    ]
    return _Judged(source, line, validator(revision, layer).findings(value), notes)


def _told(judged: _Judged) -> str:
    where = judged.source if judged.line is None else f"{judged.source}:{judged.line}"
    lines = [f"{where}: {'broken' if judged.findings else 'valid'}"]
    lines += [f"  {line}" for finding in judged.findings for line in str(finding).splitlines()]
    lines += [f"  note: {note}" for note in judged.notes]
    return "\n".join(lines) + "\n"


def _report(
    revision: str, layer: str, judged: list[_Judged], unreadable: list[dict[str, str]]
) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "revision": revision,
        "layer": layer,
        "valid": not unreadable and not any(result.findings for result in judged),
        "messages": [
            {
                "source": result.source,
                "line": result.line,
                "valid": not result.findings,
                "findings": [asdict(finding) for finding in result.findings],
                "notes": result.notes,
            }
            for result in judged
        ],
        "unreadable": unreadable,
    }


if __name__ == "__main__":
    sys.exit(main())
