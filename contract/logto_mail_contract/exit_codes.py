"""The exit codes that every command has, and the exception that asks for one of them."""

from __future__ import annotations

import sys

KEPT, BROKEN, WRONG_USE, UNREACHABLE, OWN_FAULT, NOTHING_RUN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class WrongUse(Exception):
    """The command line asks for what there is not, or names what cannot be read."""


def say(line: str) -> None:
    """Tell a line beside the command's output."""
    sys.stderr.write(f"mail-contract: {line}\n")
