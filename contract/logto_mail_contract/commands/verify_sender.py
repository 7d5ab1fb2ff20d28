"""The command ``mail-contract verify-sender``: the rules for senders, run at a command in any language."""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING

from .. import catalogue
from ..senders.destination import Destination
from ..senders.run import SenderRun
from ..senders.sender import Sender, SenderSettings
from ..suite.search import keep_storage_apart
from .exit_codes import NOTHING_RUN, UNREACHABLE, WrongUse, say
from .progress import Step
from .running import Subject, read_run_options, run_rules

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    wanted = read_run_options("sender", options)
    try:
        revision = catalogue.resolve_revision(options.revision)
    except catalogue.UnknownRevision as problem:
        raise WrongUse(str(problem)) from None
    if not wanted.rules:
        return NOTHING_RUN
    settings = SenderSettings(
        examples=options.examples,
        seed=options.seed,
        strict=options.strict,
        slow=options.slow,
        patience=options.patience,
    )
    subject = Subject(shlex.join(options.command), revision, asdict(settings), {})
    with (
        keep_storage_apart(),
        Destination() as destination,
        closing(Sender.command(options.command, revision=revision)) as sender,
    ):
        sender_run = SenderRun(sender, destination, settings)
        code = run_rules(
            sender_run,
            wanted,
            subject,
            start=lambda _: sender_run.require_usable(),
            look=lambda done: Step(done, len(wanted.rules)),
        )
        if sender_run.lost is not None:
            say(*str(sender_run.lost).split("\n"))
            return UNREACHABLE
        return code
