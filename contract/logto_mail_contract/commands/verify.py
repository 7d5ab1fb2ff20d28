"""The command ``mail-contract verify``: the rules for receivers, run at any receiver in any language."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..connector.channel import UrlTarget
from ..masking import count_noun
from ..receivers.receiver import Receiver, Settings
from ..receivers.run import ReceiverRun
from ..reports.text import format_line, format_text_report
from ..suite.checks import UnknownRule, select_rules
from ..suite.engine import Verification
from ..suite.excuses import InvalidExcuse, read_excuses
from ..suite.search import keep_storage_apart
from ..wire.urls import mask_url
from .exit_codes import (
    FAILED,
    NOTHING_RUN,
    OWN_FAULT,
    PASSED,
    UNREACHABLE,
    WrongUse,
    read_authorization,
    say,
)
from .loopback import refuse_remote

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..receivers.run import Outbox

FORMATS = ("text", "json", "junit")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    selected = select("receiver", options)
    reports = _read_reports(options.report)
    excuses = _read_excuses(options.excuse, selected)
    receiver = _read_receiver(options)
    settings = _read_settings(options)
    if not selected:
        say("no rule is left to run")
        return NOTHING_RUN
    lines = sys.stderr if any(path == "-" for _, path in reports) else sys.stdout
    with ExitStack() as stack:
        stack.enter_context(keep_storage_apart())
        stack.enter_context(closing(receiver))
        outbox = _open_sink(options.smtp_sink, stack)
        receiver_run = stack.enter_context(closing(ReceiverRun(receiver, settings, outbox)))
        lines.write(_format_announcement(options.url, receiver_run, selected))
        lines.flush()
        target = receiver.target
        assert isinstance(target, UrlTarget)
        if not _wait_until_listening(target.address, options.wait):
            say(f"no server listens at {mask_url(options.url)}; waited {options.wait:g} s")
            return UNREACHABLE
        verification = Verification(receiver_run, selected, excuses)
        start = time.monotonic()
        # What ends the run early: an interrupt, or output that cannot be written.
        early_end: KeyboardInterrupt | OSError | None = None
        try:
            for result in verification:
                lines.write(format_line(result))
                lines.flush()
        except (KeyboardInterrupt, OSError) as problem:
            early_end = problem
        seconds = time.monotonic() - start
    text = format_text_report(verification, seconds, receiver.placeholders)
    try:
        lines.write(text)
        lines.flush()
    except OSError as problem:
        early_end = problem
    documents = []
    for name, path in reports:
        document = text
        if name == "json":
            from ..reports.json import format_json_report

            url = mask_url(options.url)
            document = format_json_report(url, receiver.revision, asdict(settings), verification, seconds)
        elif name == "junit":
            from ..reports.junit import format_junit_report

            document = format_junit_report(verification, seconds)
        documents.append((path, document))
    _write_reports(documents)
    if early_end is not None:
        raise early_end
    return choose_exit_code(verification)


def select(role: str, options: argparse.Namespace) -> tuple[str, ...]:
    """Return the rules of a role that ``--rules`` and ``--exclude`` choose.

    Raises:
        WrongUse: A glob matches no rule of the role.
    """
    try:
        return select_rules(role, options.rules, options.exclude)
    except UnknownRule as problem:
        raise WrongUse(str(problem)) from None


def choose_exit_code(verification: Verification[Any]) -> int:
    """Return the exit code of a run that came to its end, or whose subject was lost."""
    if verification.faults:
        return OWN_FAULT
    if any(result.fails_run for result in verification.results):
        return FAILED
    if verification.lost:
        return UNREACHABLE
    if all(result.outcome in ("not applicable", "not judged") for result in verification.results):
        say("no rule could be judged")
        return NOTHING_RUN
    return PASSED


def _read_receiver(options: argparse.Namespace) -> Receiver:
    authorization = read_authorization(options.authorization_env)
    try:
        receiver = Receiver.url(
            options.url, authorization=authorization, revision=options.revision, ca_file=options.ca_file
        )
    except ValueError as problem:
        raise WrongUse(str(problem)) from None
    except OSError as problem:
        raise WrongUse(f"--ca-file {options.ca_file}: {problem.strerror or problem}") from None
    target = receiver.target
    assert isinstance(target, UrlTarget)
    if options.authorization_env and not target.authorization:
        receiver.authorization_name = options.authorization_env
    refuse_remote(target, allowed=options.allow_remote)
    return receiver


def _read_settings(options: argparse.Namespace) -> Settings:
    try:
        settings = Settings(
            examples=options.examples,
            seed=options.seed,
            strict=options.strict,
            warn_after=options.warn_after,
            fail_after=options.fail_after,
            recipient_domain=options.recipient_domain,
        )
    except ValueError as problem:
        raise WrongUse(str(problem)) from None
    if settings.warn_after > settings.fail_after:
        raise WrongUse("--warn-after is longer than --fail-after: no response could be late and in time")
    return settings


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


def _write_reports(documents: Sequence[tuple[str, str]]) -> None:
    """Write each text to its path, also where another one cannot be written."""
    problems = []
    for path, text in documents:
        try:
            if path != "-":
                Path(path).write_text(text, encoding="utf-8")
        except OSError as problem:
            problems.append(f"the report {path} cannot be written: {problem.strerror or problem}")
    # Last: the reader of standard output may have left.
    sys.stdout.write("".join(text for path, text in documents if path == "-"))
    if problems:
        raise WrongUse("; ".join(problems))


def _read_excuses(given: Sequence[str], selected: Sequence[str]) -> dict[str, str]:
    pairs = []
    for excuse in given:
        rule, equals, reason = excuse.partition("=")
        if not equals:
            raise WrongUse(f"invalid --excuse {excuse!r}: expected ID=REASON, where ID is that of a rule")
        pairs.append((rule, reason))
    try:
        excuses = read_excuses(pairs)
    except InvalidExcuse as problem:
        raise WrongUse(f"invalid --excuse: {problem}") from None
    for rule in excuses:
        if rule not in selected:
            raise WrongUse(f"{rule} is excused, but it is not among the rules that are run")
    return excuses


def _wait_until_listening(address: tuple[str, int], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection(address, timeout=max(0.1, deadline - time.monotonic())).close()
        except OSError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def _open_sink(port: int | None, stack: ExitStack) -> Outbox | None:
    if port is None:
        return None
    from ..receivers.outbox import SmtpSink

    try:
        return stack.enter_context(SmtpSink(port=port))
    except ModuleNotFoundError as problem:
        raise WrongUse(f"--smtp-sink: {problem}") from None
    except OSError as problem:
        raise WrongUse(f"the SMTP sink cannot listen at port {port}: {problem}") from None


def _format_announcement(url: str, run: ReceiverRun, selected: Sequence[str]) -> str:
    plan = run.plan(selected)
    return (
        f"{mask_url(url)}: revision {run.revision}, {count_noun(len(selected), 'rule')}, "
        f"seed {run.settings.seed}\n"
        f"At most {count_noun(plan.requests, 'request')}, for {count_noun(plan.recipients, 'recipient')} at "
        f"{', '.join(plan.domains[:8])}. A receiver under test may really send.\n\n"
    )
