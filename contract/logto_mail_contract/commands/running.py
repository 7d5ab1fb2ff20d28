"""Runs rules for a command: prints results as they come, writes the reports, and chooses the exit code."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clock import read_monotonic
from ..masking import count_noun, escape_unprintable
from ..reports.text import format_line, format_text_report
from ..suite.checks import UnknownRule, select_rules
from ..suite.engine import Verification
from ..suite.excuses import InvalidExcuse, read_excuse_lines, read_excuses
from ..suite.results import Breakdown, NotJudged, SubjectLost
from .ending import SIGNALS, Ending
from .exit_codes import FAILED, NOTHING_RUN, OWN_FAULT, PASSED, UNREACHABLE, OutputBroken, WrongUse, say
from .progress import Progress, Step

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from ..suite.engine import Run

FORMATS = ("text", "json", "junit")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a command line asks of a run, whatever the role.

    Attributes:
        rules: The ids of the rules to run.
        excuses: Reasons by rule, for what the subject may break.
        reports: The format and the path of each report to write.
        max_seconds: Seconds after which to end the run; None for no end.
        verbose: Whether to print each finding on its own, also those with the same cause.
    """

    rules: tuple[str, ...]
    excuses: Mapping[str, str]
    reports: Sequence[tuple[str, str]]
    max_seconds: float | None
    verbose: bool

    @property
    def lines(self) -> TextIO:
        """The stream for what a person reads: standard error where a report goes to standard output."""
        return sys.stderr if any(path == "-" for _, path in self.reports) else sys.stdout


@dataclass(frozen=True, slots=True)
class Subject:
    """What reports say about the subject under test.

    Attributes:
        name: Where a receiver is, without secrets, or the command of a sender.
        revision: The contract revision that it is judged by.
        settings: How it is tried.
        placeholders: What names in commands to copy stand for.
    """

    name: str
    revision: str
    settings: Mapping[str, Any]
    placeholders: Mapping[str, str]


def read_run_options(role: str, options: argparse.Namespace) -> RunOptions:
    """Return what a command line asks of a run; without a rule left to run, it says so.

    Raises:
        WrongUse: The options cannot be followed.
    """
    try:
        rules = select_rules(role, options.rules, options.exclude)
    except UnknownRule as problem:
        raise WrongUse(str(problem)) from None
    reports = _read_reports(options.report)
    excuses = _read_excuses(options, rules)
    if not rules:
        say("no rule is left to run")
    return RunOptions(rules, excuses, reports, options.max_time, options.verbose)


def run_rules(
    run: Run[Any],
    wanted: RunOptions,
    subject: Subject,
    *,
    announcement: str = "",
    start: Callable[[Verification[Any]], None],
    look: Callable[[int], Step],
) -> int:
    """Run rules, print and report their results, and return the exit code.

    Whatever ends the run, every report is written, with what was judged until then.

    Args:
        run: The run.
        wanted: What the command line asks.
        subject: What reports say about the subject.
        announcement: What the run will do, a line; none when empty.
        start: Makes sure that the subject can be tried; raises SubjectLost where it cannot.
        look: Returns how far the run is, by the number of rules that have a result.

    Raises:
        WrongUse: The output or a report cannot be written.
        KeyboardInterrupt: A second signal came.
    """
    verification = Verification(run, wanted.rules, wanted.excuses)
    output = _Output(wanted.lines, lambda: verification.end("the output cannot be written"))
    problem: BaseException | None = None
    diagnosis = ""
    began = read_monotonic()
    with Ending(verification.end, wanted.max_seconds) as ending:
        try:
            output.write(_format_heading(subject, wanted, announcement))
            _start(verification, start)
            with Progress(lambda: look(len(verification.results))) as progress:
                for result in verification:
                    if verification.diagnosis != diagnosis:
                        diagnosis = verification.diagnosis
                        with progress.hide():
                            output.write(f"{diagnosis}\n")
                    # What the end left out is counted in the report.
                    if result.outcome != "not judged" or result.reason != verification.ended:
                        with progress.hide():
                            output.write(format_line(result))
        except BaseException as error:  # noqa: BLE001 - raised again below, once the reports are written
            problem = error
            if isinstance(error, Exception):
                verification.faults.append(Breakdown("", f"{type(error).__name__}: {error}"))
        seconds = read_monotonic() - began
        text = format_text_report(verification, seconds, subject.placeholders, verbose=wanted.verbose)
        output.write(text)
        _write_reports(wanted, subject, verification, seconds, text)
    if problem is not None:
        raise problem
    if output.problem is not None:
        raise output.problem
    if ending.signal is not None:
        say(SIGNALS[ending.signal])
        return 128 + ending.signal
    return _choose_exit_code(verification)


class _Output:
    """A stream that is written to until it breaks.

    Args:
        stream: The stream.
        on_broken: Called when it breaks.

    Attributes:
        problem: Why it can no longer be written to; None while it can.
    """

    def __init__(self, stream: TextIO, on_broken: Callable[[], None] = lambda: None) -> None:
        self.problem: OutputBroken | None = None
        self._stream = stream
        self._on_broken = on_broken

    def write(self, text: str) -> None:
        if self.problem is not None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OutputBroken as problem:
            self.problem = problem
            self._on_broken()


def _format_heading(subject: Subject, wanted: RunOptions, announcement: str) -> str:
    rules = count_noun(len(wanted.rules), "rule")
    name = escape_unprintable(subject.name)
    line = f"{name}: revision {subject.revision}, {rules}, seed {subject.settings['seed']}\n"
    return f"{line}{announcement}\n\n" if announcement else f"{line}\n"


def _start(verification: Verification[Any], start: Callable[[Verification[Any]], None]) -> None:
    try:
        start(verification)
    except SubjectLost as problem:
        verification.lose("", str(problem))
    except NotJudged as problem:
        verification.end(str(problem))


def _choose_exit_code(verification: Verification[Any]) -> int:
    results = verification.results
    if verification.faults:
        return OWN_FAULT
    if any(result.fails_run for result in results):
        return FAILED
    if verification.lost:
        return UNREACHABLE
    if all(result.outcome in ("not applicable", "not judged") for result in results):
        say("no rule could be judged")
        return NOTHING_RUN
    return NOTHING_RUN if verification.unjudged else PASSED


def _read_reports(given: Sequence[str]) -> list[tuple[str, str]]:
    reports = []
    for report in given:
        name, equals, path = report.partition("=")
        if name not in FORMATS or not equals or not path:
            raise WrongUse(
                f"invalid --report {report!r}: expected FORMAT=PATH, where FORMAT is text, json or junit"
            )
        if name == "junit" and path == "-":
            raise WrongUse("a junit report needs a file")
        # Before anything is sent: a report that cannot be written would waste the whole run.
        if path != "-" and not Path(path).absolute().parent.is_dir():
            raise WrongUse(f"there is no folder for the report {path}")
        if path != "-" and Path(path).is_dir():
            raise WrongUse(f"the report {path} cannot be written: it is a folder")
        reports.append((name, path))
    return reports


def _write_reports(
    wanted: RunOptions, subject: Subject, verification: Verification[Any], seconds: float, text: str
) -> None:
    """Write each report, also where another one cannot be written."""
    problems = []
    printed = []
    for name, path in wanted.reports:
        document = text
        if name == "json":
            from ..reports.json import format_json_report

            document = format_json_report(
                subject.name, subject.revision, subject.settings, verification, seconds
            )
        elif name == "junit":
            from ..reports.junit import format_junit_report

            document = format_junit_report(verification, seconds)
        if path == "-":
            printed.append(document)
            continue
        try:
            Path(path).write_text(document, encoding="utf-8")
        except OSError as problem:
            problems.append(f"the report {path} cannot be written: {problem.strerror or problem}")
    if printed:
        output = _Output(sys.stdout)
        output.write("".join(printed))
        if output.problem is not None:
            raise output.problem
    if problems:
        raise WrongUse("; ".join(problems))


def _read_excuses(options: argparse.Namespace, rules: Sequence[str]) -> dict[str, str]:
    """Return the reasons by rule, for the rules that are run; those of ``--excuse`` come before a file's."""
    excuses: dict[str, str] = {}
    for path in options.excuses:
        try:
            lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
            excuses |= read_excuse_lines(lines, path)
        except OSError as problem:
            raise WrongUse(f"--excuses {path}: {problem.strerror or problem}") from None
        except UnicodeDecodeError:
            raise WrongUse(f"--excuses {path}: it is not UTF-8") from None
        except InvalidExcuse as problem:
            raise WrongUse(f"--excuses {problem}") from None
    # Several runs may share a file, each with rules of its own.
    excuses = {rule: reason for rule, reason in excuses.items() if rule in rules}
    pairs = []
    for excuse in options.excuse:
        rule, equals, reason = excuse.partition("=")
        if not equals:
            raise WrongUse(f"invalid --excuse {excuse!r}: expected ID=REASON, where ID is that of a rule")
        pairs.append((rule, reason))
    try:
        named = read_excuses(pairs)
    except InvalidExcuse as problem:
        raise WrongUse(f"invalid --excuse: {problem}") from None
    for rule in named:
        if rule not in rules:
            raise WrongUse(f"{rule} is excused, but it is not among the rules that are run")
    return excuses | named
