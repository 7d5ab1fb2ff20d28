"""The exit codes of every command, and what commands print beside their output."""

from __future__ import annotations

import os
import sys

PASSED, FAILED, WRONG_USE, UNREACHABLE, OWN_FAULT, NOTHING_RUN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class WrongUse(Exception):
    """The command line cannot be followed; the text says what is wrong, then what to do. Exit code 2."""


class OutputBroken(WrongUse):
    """Standard output cannot be written, for example to a full disk; the text says why. Exit code 2."""


def say(line: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(f"mail-contract: {line}\n")


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
