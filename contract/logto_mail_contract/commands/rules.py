"""The command ``mail-contract rules``: lists the rules, or explains one."""

from __future__ import annotations

import difflib
import sys
import textwrap
from typing import TYPE_CHECKING

from .. import catalogue
from ..program import read_program_name
from .exit_codes import PASSED, WrongUse

if TYPE_CHECKING:
    import argparse

    from ..findings import Rule


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit code.

    Raises:
        WrongUse: There is no rule with that id.
    """
    known = catalogue.rules()
    if options.id is None:
        for rule in known.values():
            sys.stdout.write(f"{rule.level:<7}{rule.id:<50}{rule.requirement}\n")
        return PASSED
    if options.id not in known:
        near = difflib.get_close_matches(options.id, known, 1)
        advice = f"did you mean {near[0]}?" if near else f"{read_program_name()} rules lists them"
        raise WrongUse(f"there is no rule {options.id!r}: {advice}")
    sys.stdout.write(_format(known[options.id]))
    return PASSED


def _format(rule: Rule) -> str:
    facts = [
        ("requires", rule.requirement),
        ("expected", ", or ".join(rule.outcomes)),
        ("in Logto", rule.consequence),
        ("source", rule.source),
        ("since", f"contract revision {rule.since}"),
    ]
    lines = [
        textwrap.fill(text, 100, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12)
        for name, text in facts
    ]
    return "\n".join([f"{rule.id}  {rule.level}", *lines]) + "\n"
