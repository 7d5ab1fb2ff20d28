"""The command ``mail-contract verify-sender``: the rules for senders, run at a command in any language."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from .. import catalogue
from ..masking import count_noun
from ..reports.text import format_line, format_text_report
from ..senders.destination import Destination
from ..senders.driver import SenderUnusable
from ..senders.run import SenderRun
from ..senders.sender import Sender, SenderSettings
from ..suite.engine import Verification
from ..suite.search import keep_storage_apart
from .exit_codes import NOTHING_RUN, UNREACHABLE, WrongUse, say
from .verify import choose_exit_code, select

if TYPE_CHECKING:
    import argparse


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    selected = select("sender", options)
    try:
        revision = catalogue.resolve_revision(options.revision or catalogue.current_revision())
    except catalogue.UnknownRevision as problem:
        raise WrongUse(str(problem)) from None
    if not selected:
        say("no rule is left to run")
        return NOTHING_RUN
    settings = SenderSettings(
        examples=options.examples,
        seed=options.seed,
        strict=options.strict,
        slow=options.slow,
        patience=options.patience,
    )
    rules = count_noun(len(selected), "rule")
    sys.stdout.write(f"{shlex.join(options.command)}: revision {revision}, {rules}, seed {settings.seed}\n\n")
    sys.stdout.flush()
    start = time.monotonic()
    with (
        keep_storage_apart(),
        Destination() as destination,
        closing(Sender.command(options.command, revision=revision)) as sender,
    ):
        sender_run = SenderRun(sender, destination, settings)
        try:
            sender_run.require_usable()
        except SenderUnusable as problem:
            say(str(problem))
            return UNREACHABLE
        verification = Verification(sender_run, selected)
        for result in verification:
            sys.stdout.write(format_line(result))
            sys.stdout.flush()
    sys.stdout.write(format_text_report(verification, time.monotonic() - start))
    sys.stdout.flush()
    if sender_run.lost is not None:
        say(str(sender_run.lost))
        return UNREACHABLE
    return choose_exit_code(verification)
