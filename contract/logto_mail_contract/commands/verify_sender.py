"""The command ``mail-contract verify-sender``: the rules for senders, run at a command in any language."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

from .. import catalogue
from ..reports.report import line, text_report
from ..senders.sender import Desk, Sender, SenderSettings, SenderUnusable, require_usable, try_sender_rule
from .exit_codes import FAILED, NOTHING_RUN, PASSED, UNREACHABLE, WrongUse, say
from .verify import Judged, select

if TYPE_CHECKING:
    import argparse

    from ..suite.results import Result


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: The options cannot be followed.
    """
    selected = select(options.rules, options.exclude, "sender")
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
    sys.stdout.write(
        f"{shlex.join(options.command)}: revision {revision}, {len(selected)} rules, seed {settings.seed}\n\n"
    )
    sys.stdout.flush()
    judged: list[Judged] = []
    unusable: SenderUnusable | None = None
    start = time.monotonic()
    with Desk() as desk, closing(Sender.command(options.command, revision=revision)) as sender:
        try:
            require_usable(sender, desk, settings)
            for rule in selected:
                result = try_sender_rule(rule, sender, settings, desk)
                judged.append(_told(result, strict=options.strict))
        except SenderUnusable as problem:
            unusable = problem
    if judged:
        sys.stdout.write(text_report(judged, (), time.monotonic() - start))
    if unusable is not None:
        sys.stdout.flush()
        say(str(unusable))
        return UNREACHABLE
    if all(entry.outcome == "not applicable" for entry in judged):
        say("no rule was applicable")
        return NOTHING_RUN
    return FAILED if any(entry.counts for entry in judged) else PASSED


def _told(result: Result, *, strict: bool) -> Judged:
    judged = Judged(result, result.outcome, result.counts(strict=strict), result.reason)
    sys.stdout.write(line(judged))
    sys.stdout.flush()
    return judged
