"""The command ``mail-contract verify``: the rules for receivers, run at any receiver in any language."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..clock import read_monotonic, sleep
from ..connector.channel import UrlTarget
from ..masking import count_noun
from ..receivers.receiver import Receiver, Settings
from ..receivers.run import ReceiverRun
from ..suite.results import SubjectLost
from ..suite.search import keep_storage_apart
from ..wire.urls import mask_url
from .exit_codes import NOTHING_RUN, WrongUse, read_authorization, say
from .loopback import refuse_remote
from .progress import Step
from .running import Subject, read_run_options, run_rules

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from ..receivers.run import Outbox
    from ..suite.engine import Verification

MAX_CONNECT_SECONDS = 1.0
"""Longest time for one try to connect, so that a run that is ended meanwhile does end."""


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    wanted = read_run_options("receiver", options)
    receiver = _read_receiver(options)
    settings = _read_settings(options)
    if not wanted.rules:
        return NOTHING_RUN
    target = receiver.target
    assert isinstance(target, UrlTarget)
    url = mask_url(options.url)
    subject = Subject(url, receiver.revision, asdict(settings), receiver.placeholders)
    with ExitStack() as stack:
        stack.enter_context(keep_storage_apart())
        stack.enter_context(closing(receiver))
        outbox = _open_sink(options.smtp_sink, stack)
        receiver_run = stack.enter_context(closing(ReceiverRun(receiver, settings, outbox)))

        def wait(verification: Verification[Any]) -> None:
            if not _wait_until_listening(target.address, options.wait, verification):
                problem = f"no server listens at {url}; waited {options.wait:g} s"
                say(problem)
                raise SubjectLost(problem)

        def look(done: int) -> Step:
            estimate = receiver_run.estimate()
            return Step(done, len(wanted.rules), estimate.sent, estimate.planned, estimate.seconds_left)

        announcement = _format_plan(receiver_run, wanted.rules)
        return run_rules(receiver_run, wanted, subject, announcement=announcement, start=wait, look=look)


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
    receiver.no_mails = "the mails that the receiver sends are not known; --smtp-sink PORT receives them"
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
            workers=options.workers,
            pace=options.pace,
        )
    except ValueError as problem:
        raise WrongUse(str(problem)) from None
    if settings.warn_after > settings.fail_after:
        raise WrongUse("--warn-after is longer than --fail-after: no response could be late and in time")
    return settings


def _wait_until_listening(address: tuple[str, int], patience: float, verification: Verification[Any]) -> bool:
    """Return whether something listens, or the run was ended meanwhile."""
    deadline = read_monotonic() + patience
    while not verification.ended:
        left = max(0.1, deadline - read_monotonic())
        try:
            socket.create_connection(address, timeout=min(left, MAX_CONNECT_SECONDS)).close()
        except OSError:
            if read_monotonic() >= deadline:
                return False
            sleep(0.05)
        else:
            return True
    return True


def _open_sink(port: int | None, stack: ExitStack) -> Outbox | None:
    if port is None:
        return None
    from ..receivers.outbox import SmtpSink

    try:
        return stack.enter_context(SmtpSink(port=port))
    except ModuleNotFoundError as problem:
        raise WrongUse(
            f"--smtp-sink: {problem}, or run it without an installation: "
            "uvx 'logto-mail-contract[smtp]' verify"
        ) from None
    except OSError as problem:
        raise WrongUse(f"the SMTP sink cannot listen at port {port}: {problem}") from None


def _format_plan(receiver_run: ReceiverRun, rules: Sequence[str]) -> str:
    plan = receiver_run.plan(rules)
    return (
        f"At most {count_noun(plan.requests, 'request')}, for {count_noun(plan.recipients, 'recipient')} at "
        f"{', '.join(plan.domains)}. A receiver under test may really send."
    )
