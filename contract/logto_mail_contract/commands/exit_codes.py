"""The exit codes of every command, and what commands print beside their output."""

from __future__ import annotations

import os
import sys

from ..masking import escape_unprintable
from ..program import read_program_name

PASSED, FAILED, WRONG_USE, UNREACHABLE, OWN_FAULT, NOTHING_RUN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class WrongUse(Exception):
    """The command line cannot be followed; the text says what is wrong, then what to do. Exit code 2."""


class OutputBroken(WrongUse):
    """Standard output is closed, its disk is full, or its reader has left. Exit code 2."""


def say(line: str, *more: str) -> None:
    """Print a line on standard error; what a terminal would not show is escaped.

    Args:
        line: The line.
        more: Lines that belong to it.
    """
    sys.stderr.write("\n".join(map(escape_unprintable, (f"{read_program_name()}: {line}", *more))) + "\n")


def read_authorization(name: str | None) -> str | None:
    """Return the value of the variable that ``--authorization-env`` names; None without the option.

    Raises:
        WrongUse: The variable is not set, or empty.
    """
    if name is None:
        return None
    value = os.environ.get(name)
    if not value:
        raise WrongUse(
            f"the environment variable {name} is not set or empty: set it to the Authorization value"
        )
    return value
