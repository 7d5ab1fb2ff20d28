"""How a run is driven: its reports whatever ends it, its exit codes, and its options."""

from __future__ import annotations

import io
import json
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator
from tests.support.string_runs import MUST, SHOULD, StringRun, StringTrial

from logto_mail_contract import catalogue
from logto_mail_contract.commands.exit_codes import OutputBroken, WrongUse
from logto_mail_contract.commands.parser import build_parser
from logto_mail_contract.commands.progress import Step
from logto_mail_contract.commands.running import Subject, read_run_options, run_rules
from logto_mail_contract.commands.streams import guard_streams
from logto_mail_contract.suite.results import NotJudged, OwnFault, Signature, SubjectLost

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from logto_mail_contract.suite.engine import Verification

SETTINGS = {
    "examples": 25,
    "seed": 0,
    "strict": False,
    "warn_after": 2.0,
    "fail_after": 10.0,
    "recipient_domain": None,
    "workers": 32,
    "pace": None,
}
REPORTS = "--report", "json=out.json", "junit=out.xml", "text=out.txt"
LATER = "receiver/accept/unknown-type-is-no-crash"
RULES = "--rules", MUST, SHOULD, LATER


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parse(*options: str, command: str = "verify") -> argparse.Namespace:
    if command == "verify":
        return build_parser().parse_args([command, "http://127.0.0.1:1/", *options])
    return build_parser().parse_args([command, *options, "--", "true"])


def drive(
    run: StringRun,
    *options: str,
    start: Callable[[Verification[Any]], None] = lambda verification: None,  # noqa: ARG005 - all is ready
) -> int:
    """Run rules as a command does."""
    wanted = read_run_options("receiver", parse(*options, *([] if "--rules" in options else RULES)))
    subject = Subject("http://127.0.0.1:1/", "1.35", SETTINGS, {})
    return run_rules(run, wanted, subject, start=start, look=lambda done: Step(done, len(wanted.rules)))


def passes(trial: StringTrial) -> None:
    trial.judge("good", passed=True, actual="")


def fails(trial: StringTrial) -> None:
    trial.came = Signature("500")
    trial.judge("bad", passed=False, actual="500")


def skips(trial: StringTrial) -> None:  # noqa: ARG001 - what is tried makes no difference
    raise NotJudged("a limit")


def read_reports() -> dict[str, str]:
    """Return the outcome of each rule; every report is complete and agrees."""
    document = json.loads(Path("out.json").read_text())
    Draft202012Validator(catalogue.load("verification-report.schema.json")).validate(document)
    outcomes = {entry["rule"]: entry["outcome"] for entry in document["rules"]}
    cases = [case.get("name") for case in ElementTree.parse("out.xml").getroot().iter("testcase")]
    assert set(outcomes) <= set(cases)
    assert f"{len(outcomes)} rule" in Path("out.txt").read_text()
    return outcomes


def read_json() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Path("out.json").read_text())
    return document


# Exit codes.


@pytest.mark.parametrize(
    ("check", "options", "code"),
    [
        (passes, RULES, 0),
        (fails, RULES, 1),
        (fails, ("--rules", SHOULD), 0),
        (skips, RULES, 5),
        (lambda trial: (skips if trial.rule.id == LATER else passes)(trial), RULES, 5),
        # A SHOULD that is not judged costs nobody a sign-in.
        (lambda trial: (skips if trial.rule.id == SHOULD else passes)(trial), RULES, 0),
        # A failure is more than what is not judged.
        (lambda trial: (skips if trial.rule.id == LATER else fails)(trial), RULES, 1),
        # Who excuses a rule accepts that it is not judged.
        (
            lambda trial: (skips if trial.rule.id == LATER else passes)(trial),
            (*RULES, "--excuse", f"{LATER}=known"),
            0,
        ),
    ],
)
def test_the_outcomes_determine_the_exit_code(
    check: Callable[[StringTrial], None], options: tuple[str, ...], code: int
) -> None:
    assert drive(StringRun(check), *options) == code


def test_rules_without_an_object_never_make_a_run_incomplete(capsys: pytest.CaptureFixture[str]) -> None:
    run = StringRun(passes)
    run.checks.register(LATER, "outbox")(passes)
    assert drive(run) == 0
    assert "1 not applicable" in capsys.readouterr().out


# What ends a run.


def test_the_longest_time_ends_a_run_with_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    run = StringRun(passes)

    def check(trial: StringTrial) -> None:
        passes(trial)
        if trial.rule.id == SHOULD:
            run.hang()

    run.check = check
    assert drive(run, "--max-time", "0.3", *REPORTS) == 5
    assert read_reports() == {MUST: "passed", SHOULD: "not judged", LATER: "not judged"}
    assert read_json()["ended"] == "--max-time 0.3 is over"
    out = capsys.readouterr().out
    assert "The run ended early: --max-time 0.3 is over. Because of that, 2 rules were not judged." in out
    assert out.endswith("\nnot passed: 1 rule of level MUST was not judged\n")


def test_a_failure_before_the_longest_time_exits_1() -> None:
    run = StringRun(passes)

    def check(trial: StringTrial) -> None:
        fails(trial)
        run.hang()

    run.check = check
    assert drive(run, "--max-time", "0.3", *REPORTS) == 1
    assert read_reports() == {MUST: "failed", SHOULD: "not judged", LATER: "not judged"}


@pytest.mark.parametrize(
    ("number", "code", "reason"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_ends_a_run_with_what_is_known(
    number: signal.Signals, code: int, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = StringRun(fails)

    def check(trial: StringTrial) -> None:
        if trial.rule.id == MUST:
            fails(trial)
            return
        signal.raise_signal(number)
        run.hang()

    run.check = check
    assert drive(run, *REPORTS) == code
    assert read_reports() == {MUST: "failed", SHOULD: "not judged", LATER: "not judged"}
    assert read_json()["ended"] == reason
    captured = capsys.readouterr()
    assert captured.err == f"mail-contract: {reason}\n"
    assert f"\n{MUST}  MUST\n" in captured.out


def test_a_second_interrupt_ends_at_once_and_writes_what_was_judged() -> None:
    run = StringRun(passes)

    def check(trial: StringTrial) -> None:
        passes(trial)
        if trial.rule.id == SHOULD:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    run.check = check
    with pytest.raises(KeyboardInterrupt):
        drive(run, *REPORTS)
    assert read_reports() == {MUST: "passed"}
    assert read_json()["passed"] is False


def test_an_interrupt_while_the_reports_are_written_leaves_them_whole() -> None:
    run = StringRun(passes)

    def check(trial: StringTrial) -> None:
        passes(trial)
        if trial.rule.id == LATER:
            signal.raise_signal(signal.SIGINT)

    run.check = check
    assert drive(run, *REPORTS) == 130
    assert read_reports() == {MUST: "passed", SHOULD: "passed", LATER: "passed"}


class BreaksAfter(io.StringIO):
    """A stream that takes some lines and no more."""

    def __init__(self, lines: int, error: OSError) -> None:
        super().__init__()
        self._left = lines
        self._error = error

    def write(self, text: str) -> int:
        self._left -= text.count("\n")
        if self._left < 0:
            raise self._error
        return super().write(text)


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left")])
def test_output_that_breaks_ends_the_run_and_the_reports_are_written(error: OSError) -> None:
    with (
        redirect_stdout(BreaksAfter(3, error)),
        guard_streams(),
        pytest.raises(OutputBroken, match=f"standard output cannot be written: {error.strerror}"),
    ):
        drive(StringRun(passes), *REPORTS)
    assert read_reports() == {MUST: "passed", SHOULD: "passed", LATER: "not judged"}
    assert read_json()["ended"] == "the output cannot be written"


def test_a_fault_of_ours_in_a_rule_leaves_the_other_rules() -> None:
    def check(trial: StringTrial) -> None:
        if trial.rule.id == SHOULD:
            raise OwnFault("of ours")
        passes(trial)

    assert drive(StringRun(check), *REPORTS) == 4
    assert read_reports() == {MUST: "passed", LATER: "passed"}
    assert read_json()["faults"] == [f"{SHOULD}: OwnFault: of ours"]


def test_a_fault_of_ours_outside_the_rules_is_raised_once_the_reports_are_written() -> None:
    def start(verification: Verification[Any]) -> None:  # noqa: ARG001 - it fails before it looks
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        drive(StringRun(passes), *REPORTS, start=start)
    assert read_reports() == {}
    assert read_json()["faults"] == ["RuntimeError: ours"]
    errors = list(ElementTree.parse("out.xml").getroot().iter("error"))
    assert [error.get("message") for error in errors] == ["RuntimeError: ours"]


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_lost_subject_ends_a_run_with_what_is_known(when: str) -> None:
    def start(verification: Verification[Any]) -> None:  # noqa: ARG001 - nothing to look at
        if when == "before":
            raise SubjectLost("gone")

    def check(trial: StringTrial) -> None:
        if trial.rule.id == SHOULD:
            raise SubjectLost("gone")
        passes(trial)

    assert drive(StringRun(check), *REPORTS, start=start) == 3
    first = "passed" if when == "during" else "not judged"
    assert read_reports() == {MUST: first, SHOULD: "not judged", LATER: "not judged"}
    assert read_json()["lost"] == ("gone" if when == "before" else f"{SHOULD}: gone")


# What is printed and reported.


def test_findings_are_printed_as_they_come(capsys: pytest.CaptureFixture[str]) -> None:
    printed: list[str] = []

    def check(trial: StringTrial) -> None:
        printed.append(capsys.readouterr().out)
        fails(trial)

    assert drive(StringRun(check)) == 1
    assert printed[0] == "http://127.0.0.1:1/: revision 1.35, 3 rules, seed 0\n\n"
    assert printed[1].split() == ["failed", "MUST", MUST, "1", "case,", "0", "ms", "500"]
    assert printed[2].split()[:3] == ["warned", "SHOULD", SHOULD]
    assert f"the same cause as in {MUST}" in printed[2]


def test_rules_with_one_cause_each_have_an_entry_that_names_the_first() -> None:
    assert drive(StringRun(fails), *REPORTS) == 1
    causes = {entry["rule"]: entry["findings"][0]["cause"] for entry in read_json()["rules"]}
    assert causes == {MUST: None, SHOULD: MUST, LATER: MUST}
    assert "and 2 more rules, for the same reason: " in Path("out.txt").read_text()
    assert len(list(ElementTree.parse("out.xml").getroot().iter("failure"))) == 2
    assert drive(StringRun(fails), *REPORTS, "--verbose") == 1
    assert "for the same reason" not in Path("out.txt").read_text()


def test_what_came_is_printed_and_reported_in_one_line_that_a_terminal_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def check(trial: StringTrial) -> None:
        if trial.rule.id == LATER:
            trial.skip("a mail to \x1b[31m\r\nfoo")
            return
        trial.judge("bad", passed=False, actual="a mail to \x1b[31m\r\nfoo\x9b of s3cret\u202e")

    assert drive(StringRun(check), *REPORTS) == 1
    read_reports()
    shown = capsys.readouterr().out + "".join(
        map(Path.read_text, map(Path, ("out.json", "out.xml", "out.txt")))
    )
    assert "a mail to \\u001b[31m\\r\\nfoo\\u009b of (masked)\\u202e" in shown
    assert all(mark.isprintable() or mark == "\n" for mark in shown)


def test_a_diagnosis_is_reported() -> None:
    advice = "Every message got 404: check the path of the URL"
    assert drive(StringRun(fails, diagnosis=advice), *REPORTS) == 1
    assert read_json()["diagnosis"] == advice
    assert Path("out.txt").read_text().startswith(f"\n{advice}\n\n")


def test_a_diagnosis_is_printed_before_the_rules_as_soon_as_it_is_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = StringRun(fails)

    def check(trial: StringTrial) -> None:
        fails(trial)
        run.diagnosis = "Every message got 404: check the path of the URL"

    run.check = check
    assert drive(run) == 1
    heading, blank, first, second, *_ = capsys.readouterr().out.splitlines()
    assert (heading[:4], blank, first) == ("http", "", run.diagnosis)
    assert second.split()[:3] == ["failed", "MUST", MUST]


# Options.


def test_an_option_that_is_repeated_adds_up() -> None:
    options = parse(
        *("--rules", MUST, "--rules", SHOULD, LATER, "--exclude", MUST, "--exclude", SHOULD),
        *("--report", "json=a", "--report", "text=b", "--excuse", f"{LATER}=x", "--excuse", f"{MUST}=y"),
    )
    assert options.rules == [MUST, SHOULD, LATER]
    assert options.exclude == [MUST, SHOULD]
    assert options.excuse == [f"{LATER}=x", f"{MUST}=y"]
    wanted = read_run_options("receiver", parse("--rules", MUST, "--report", "json=a", "--report", "text=b"))
    assert wanted.reports == [("json", "a"), ("text", "b")]
    # The next command line starts from nothing.
    assert parse().exclude == []
    assert parse().rules is None


def test_excuses_of_files_are_applied_to_the_rules_that_are_run() -> None:
    """A file may be shared by runs of other rules, and of senders."""
    Path("one.txt").write_text(
        f"\ufeff# Known\n\n{MUST}: in one: file\nsender/body/ip: later\n", encoding="utf-8"
    )
    Path("two.txt").write_text(f"{LATER}: in two\n{SHOULD}: in two\n", encoding="utf-8")
    options = "--excuses", "one.txt", "--excuses", "two.txt", "--excuse", f"{LATER}=on the line"
    wanted = read_run_options("receiver", parse("--rules", MUST, LATER, *options))
    assert wanted.excuses == {MUST: "in one: file", LATER: "on the line"}
    assert drive(StringRun(fails), "--rules", MUST, LATER, *options, *REPORTS) == 0
    assert read_reports() == {MUST: "excused", LATER: "excused"}
    # An excuse of a file that is not needed fails the run, like any other.
    assert drive(StringRun(passes), "--rules", MUST, LATER, *options) == 1


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"# one\nreceiver/accept/sing-in: x\n", "--excuses f.txt, line 2: There is no rule"),
        (b"receiver/accept/sign-in=x\n", "--excuses f.txt, line 1: There is no rule"),
        (
            b"receiver/accept/sign-in:\n",
            "--excuses f.txt, line 1: The excuse of receiver/accept/sign-in gives",
        ),
        (b"\xff\n", "--excuses f.txt: it is not UTF-8"),
        (None, "--excuses f.txt: No such file or directory"),
    ],
)
@pytest.mark.parametrize(("command", "role"), [("verify", "receiver"), ("verify-sender", "sender")])
def test_an_invalid_file_of_excuses_is_wrong_use(
    content: bytes | None, part: str, command: str, role: str
) -> None:
    if content is not None:
        Path("f.txt").write_bytes(content)
    with pytest.raises(WrongUse) as raised:
        read_run_options(role, parse("--excuses", "f.txt", command=command))
    assert str(raised.value).startswith(part)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (["--pace", "0"], "expected a number of requests a second above 0"),
        (["--pace", "fast"], "expected a number of requests a second above 0"),
        (["--workers", "0"], "expected a whole number from 1"),
        (["--max-time", "-1"], "expected a number of seconds above 0"),
    ],
)
def test_invalid_numbers_are_wrong_use(
    options: list[str], part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(*options)
    assert raised.value.code == 2
    assert part in capsys.readouterr().err


def test_pace_and_workers_are_options_of_verify_alone() -> None:
    options = parse("--workers", "3", "--pace", "2.5", "--max-time", "60")
    assert (options.workers, options.pace, options.max_time) == (3, 2.5, 60)
    assert (parse().workers, parse().pace, parse().max_time) == (32, None, None)
    with pytest.raises(SystemExit):
        parse("--pace", "1", command="verify-sender")


def test_lines_go_to_standard_error_where_a_report_goes_to_standard_output() -> None:
    assert read_run_options("receiver", parse("--report", "json=-")).lines is sys.stderr
    assert read_run_options("receiver", parse("--report", "json=out.json")).lines is sys.stdout
