"""The command ``mail-contract verify``: the rules for receivers, run at any receiver in any language.

It is the very suite that a class derived from ReceiverContract is, run by pytest with its own output hidden.
"""

from __future__ import annotations

import fnmatch
import json
import os
import socket
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from xml.etree import ElementTree

import pytest

from .. import catalogue
from ..connector.channel import UrlTarget
from ..masking import count_noun
from ..receivers.receiver import Receiver, ReceiverGone, Settings, try_rule
from ..wire.outcomes import Response
from ..wire.urls import mask_url
from .exit_codes import (
    FAILED,
    INTERRUPTED,
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
    from collections.abc import Iterator, Sequence

    from ..receivers.receiver import Outbox
    from ..suite.results import Result
    from ..wire.calls import Call
    from ..wire.outcomes import Outcome

FORMATS = ("text", "json", "junit")


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    authorization = read_authorization(options.authorization_env)
    selected = select(options.rules, options.exclude)
    reports = _reports(options.report)
    excuses = _excuses(options.excuse, selected)
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
    if not selected:
        say("no rule is left to run")
        return NOTHING_RUN
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
        raise WrongUse("--warn-after is longer than --fail-after: no answer could be late and in time")
    to_standard_output = any(path == "-" for _, path in reports)
    with ExitStack() as stack:
        stack.enter_context(_apart())
        outbox = _sink(options.smtp_sink, stack)
        lines = sys.stderr if to_standard_output else sys.stdout
        lines.write(_announcement(options.url, receiver, settings, selected, with_outbox=outbox is not None))
        lines.flush()
        if not _wait(target.address, options.wait):
            say(f"nobody listens at {mask_url(options.url)}; waited {options.wait:g} s")
            return UNREACHABLE
        verification = Verification(receiver, settings, outbox, selected, excuses, lines.write)
        junit = next((path for name, path in reports if name == "junit"), None)
        start = time.monotonic()
        interrupted = verification.run(junit)
        seconds = time.monotonic() - start
    receiver.close()
    from ..reports.report import json_report, text_report

    text = text_report(
        verification.judged, verification.faults, seconds, verification.lost, receiver.placeholders
    )
    lines.write(text)
    for name, path in reports:
        if name == "json":
            _write(path, json_report(mask_url(options.url), receiver, settings, verification, seconds))
        elif name == "text":
            _write(path, text)
    if verification.faults:
        return OWN_FAULT
    if verification.lost:
        return FAILED if any(judged.counts for judged in verification.judged) else UNREACHABLE
    if interrupted:
        return INTERRUPTED
    if all(judged.outcome == "not applicable" for judged in verification.judged):
        say("no rule was applicable")
        return NOTHING_RUN
    return FAILED if any(judged.counts for judged in verification.judged) else PASSED


def select(wanted: Sequence[str] | None, excluded: Sequence[str], role: str = "receiver") -> list[str]:
    """Return the rules of a role that globs choose.

    Args:
        wanted: Globs of ids; every rule of the role when None.
        excluded: Globs of ids to leave out.
        role: ``receiver`` or ``sender``.

    Raises:
        WrongUse: A glob matches no rule of the role.
    """
    known = [rule.id for rule in catalogue.rules().values() if rule.role == role]
    for glob in [*(wanted or []), *excluded]:
        if not fnmatch.filter(known, glob):
            raise WrongUse(f"no rule for {role}s matches {glob!r}; `mail-contract rules` lists them")
    chosen = [
        rule for rule in known if wanted is None or any(fnmatch.fnmatchcase(rule, glob) for glob in wanted)
    ]
    return [rule for rule in chosen if not any(fnmatch.fnmatchcase(rule, glob) for glob in excluded)]


class Judged(NamedTuple):
    """What came of one rule, with what the command line made of it.

    Attributes:
        result: What came of the rule.
        outcome: ``kept``, ``broken``, ``excused``, ``excuse not needed`` or ``not applicable``.
        counts: Whether it makes the command exit with 1.
        note: A reason or excuse, empty where there is none.
    """

    result: Result
    outcome: Literal["kept", "broken", "excused", "excuse not needed", "not applicable"]
    counts: bool
    note: str


@contextmanager
def _apart() -> Iterator[None]:
    """Keep the run apart from whoever calls the command: its plugins, options and folders."""
    before = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", *_OWN)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(zip(_OWN, ("1", folder), strict=True))
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


_OWN = ("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "HYPOTHESIS_STORAGE_DIRECTORY")


class Verification:
    """One run of the rules; also the pytest plugin that selects, watches and tells them.

    Attributes:
        judged: What came of the rules so far.
        faults: What went wrong on our own side.
        lost: Why the receiver could not be reached any more, in the middle of the run; empty otherwise.
    """

    def __init__(
        self,
        receiver: Receiver,
        settings: Settings,
        outbox: Outbox | None,
        selected: Sequence[str],
        excuses: dict[str, str],
        write: Any,
    ) -> None:
        self.receiver = receiver
        self.settings = settings
        self.outbox = outbox
        self.selected = set(selected)
        self.excuses = excuses
        self.judged: list[Judged] = []
        self.faults: list[str] = []
        self.lost = ""
        self._write = write

    def run(self, junit: str | None) -> bool:
        """Run the rules; return whether the run was interrupted."""
        with tempfile.TemporaryDirectory() as folder:
            arguments = [
                str(Path(__file__).with_name("verify_suite.py")),
                *("-p", "no:terminal", "-p", "no:cacheprovider", "-p", "logto_mail_contract.plugin"),
                *("-c", os.devnull, "--rootdir", folder, "--noconftest", "--import-mode", "importlib"),
                *(
                    "-o",
                    "mail_contract_excuses="
                    + "\n".join(f"{rule}: {why}" for rule, why in self.excuses.items()),
                ),
                *("-o", "junit_suite_name=mail-contract verify"),
                *(("--junitxml", junit) if junit else ()),
            ]
            code = pytest.main(arguments, plugins=[self])
        if junit and Path(junit).is_file():
            _name_by_rules(junit)
        if code not in (0, 1, 2, 5) or (code == 5 and not self.faults):
            self.faults.append(f"pytest ended with exit code {int(code)}")
        return code == 2

    # The hooks.

    def pytest_configure(self, config: Any) -> None:
        """Hand this run to ``verify_suite``."""
        from .verify_suite import RUN

        config.stash[RUN] = self

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave the rules that were chosen."""
        items[:] = [item for item in items if item.callspec.params["mail_contract_rule"] in self.selected]

    def pytest_collectreport(self, report: Any) -> None:
        """Keep what went wrong before any rule was tried."""
        if report.failed:
            self.faults.append(str(report.longrepr))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep a fault of ours."""
        fault = dict(report.user_properties).get("fault")
        if fault and report.when == "teardown":
            self.faults.append(fault)

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Judge a rule when it was tried, and tell it in one line."""
        from ..findings import ContractViolation
        from ..suite.items import RESULT

        result = item.stash.get(RESULT, None)
        error = call.excinfo.value if call.excinfo else None
        # An expected failure is one of the last.
        expected = isinstance(error, (ContractViolation, pytest.skip.Exception, pytest.fail.Exception))
        if isinstance(error, ReceiverGone):
            self.lost = f"{item.callspec.params['mail_contract_rule']}: {error}"
            item.session.shouldstop = self.lost
            return
        if error is not None and (result is None or not expected):
            item.user_properties.append(("fault", f"{item.name}: {type(error).__name__}: {error}"))
            return
        if call.when != "call" or result is None:
            return
        excuse = self.excuses.get(result.rule.id)
        judged = Judged(result, result.outcome, False, result.reason)
        if result.outcome == "not applicable" and excuse is not None:
            judged = judged._replace(note=f"{result.reason}; its excuse was not needed: {excuse}")
        if result.outcome == "broken" and excuse is not None:
            judged = Judged(result, "excused", False, excuse)
        elif result.outcome == "kept" and excuse is not None:
            judged = Judged(result, "excuse not needed", True, excuse)
        elif result.outcome == "broken":
            judged = judged._replace(counts=result.counts(strict=self.settings.strict))
        self.judged.append(judged)
        from ..reports.report import line

        try:
            self._write(line(judged))
            sys.stdout.flush()
        except BrokenPipeError:  # whoever reads has seen enough; the command itself says so at its end
            item.session.shouldstop = "nobody reads any more"


def _name_by_rules(junit: str) -> None:
    """Name each case of a JUnit report by its rule, and its class by the rule's group."""
    tree = ElementTree.parse(junit)  # noqa: S314 - pytest has just written it
    for case in tree.iter("testcase"):
        rule = case.get("name", "").removeprefix("test_rule[").removesuffix("]")
        case.set("name", rule)
        case.set("classname", rule.rpartition("/")[0].replace("/", "."))
    tree.write(junit, encoding="utf-8", xml_declaration=True)


def _reports(given: Sequence[str]) -> list[tuple[str, str]]:
    reports = []
    for report in given:
        name, equals, path = report.partition("=")
        if name not in FORMATS or not equals or not path:
            raise WrongUse(f"a report is FORMAT=PATH with the format text, json or junit; it was {report!r}")
        if name == "junit" and path == "-":
            raise WrongUse("a junit report needs a file")
        # Before anything is sent: a report that cannot be written would waste the whole run.
        if path != "-" and not Path(path).absolute().parent.is_dir():
            raise WrongUse(f"there is no folder for the report {path}")
        if path != "-" and Path(path).is_dir():
            raise WrongUse(f"the report {path} cannot be written: it is a folder")
        reports.append((name, path))
    return reports


def _write(path: str, text: str) -> None:
    if path == "-":
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise WrongUse(f"the report {path} cannot be written: {problem.strerror or problem}") from None


def _excuses(given: Sequence[str], selected: Sequence[str]) -> dict[str, str]:
    excuses = {}
    for excuse in given:
        rule, _, reason = excuse.partition("=")
        if rule not in catalogue.rules() or not reason.strip():
            raise WrongUse(f"an excuse is ID=REASON with the id of a rule; it was {excuse!r}")
        if rule not in selected:
            raise WrongUse(f"{rule} is excused, but it is not among the rules that are run")
        excuses[rule] = reason.strip()
    return excuses


def _wait(address: tuple[str, int], patience: float) -> bool:
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


def _sink(port: int | None, stack: ExitStack) -> Outbox | None:
    if port is None:
        return None
    from ..receivers.outbox import SmtpSink

    try:
        return stack.enter_context(SmtpSink(port=port))
    except ModuleNotFoundError as problem:
        raise WrongUse(f"--smtp-sink: {problem}") from None
    except OSError as problem:
        raise WrongUse(f"the SMTP sink cannot listen at port {port}: {problem}") from None


def _announcement(
    url: str, receiver: Receiver, settings: Settings, selected: Sequence[str], *, with_outbox: bool
) -> str:
    messages, recipients = _rehearse(receiver, settings, selected, with_outbox=with_outbox)
    domains = ", ".join(sorted({recipient.rpartition("@")[2].lower() for recipient in recipients})[:8])
    return (
        f"{mask_url(url)}: revision {receiver.revision}, {count_noun(len(selected), 'rule')}, "
        f"seed {settings.seed}\n"
        f"About {count_noun(messages, 'request')}, for {count_noun(len(recipients), 'recipient')} at "
        f"{domains or 'no domain'}. "
        "A receiver under test may really send.\n\n"
    )


def _rehearse(
    receiver: Receiver, settings: Settings, selected: Sequence[str], *, with_outbox: bool
) -> tuple[int, set[str]]:
    """Try the rules at a receiver that takes everything, and return what would have been sent."""
    calls: list[Call] = []

    class Everything:
        on_wire = True
        scheme = receiver.target.scheme
        host, path = receiver.target.host, receiver.target.path

        def open(self) -> Everything:
            return self

        def exchange(self, call: Call, timeout: float) -> Outcome:  # noqa: ARG002 - it answers at once
            calls.append(call)
            return Response(200, (), b"", 0.0)

        def late_bytes(self, seconds: float) -> tuple[str, ...]:  # noqa: ARG002 - there are none
            return ()

        def exchange_again(self, call: Call, timeout: float) -> Outcome | None:
            return self.exchange(call, timeout)

        def close(self) -> None:
            """Nothing is open."""

    rehearsal = Receiver(Everything(), receiver.authorization, receiver.revision)
    # Nothing is waited for: there is nothing to come.
    hasty = replace(settings, warn_after=0.01, fail_after=0.01)
    for rule in selected:
        try_rule(rule, rehearsal, hasty, list if with_outbox else None)
    recipients = set()
    for call in calls:
        try:
            message = json.loads(call.body)
        except (ValueError, RecursionError):
            continue
        if isinstance(message, dict) and isinstance(message.get("to"), str):
            recipients.add(message["to"])
    return len(calls), recipients
