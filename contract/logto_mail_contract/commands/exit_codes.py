"""What commands share: exit codes, the exception that asks for one, lines, and the secret they are given."""

from __future__ import annotations

import os
import sys

PASSED, FAILED, WRONG_USE, UNREACHABLE, OWN_FAULT, NOTHING_RUN, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class WrongUse(Exception):
    """The command line asks for what there is not, or names what cannot be read."""


def say(line: str) -> None:
    """Tell a line beside the command's output."""
    sys.stderr.write(f"mail-contract: {line}\n")


def counted(number: int, word: str) -> str:
    """Return a number with its word, in the plural where it is due."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def authorization_from(name: str | None) -> str | None:
    """Return the value of the environment variable that an option names.

    Raises:
        WrongUse: It is not set, or empty.
    """
    if name is None:
        return None
    if not os.environ.get(name):
        raise WrongUse(f"the environment variable {name} is not set, or empty")
    return os.environ[name]
