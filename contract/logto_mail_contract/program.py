"""The name of the command line, as the person who started it typed it."""

from __future__ import annotations

import sys


def read_program_name() -> str:
    """Return ``logto-mail-contract`` if the script of that name was started, or else ``mail-contract``.

    ``uvx logto-mail-contract`` puts no ``mail-contract`` on the path: a command to copy needs the other name.
    """
    is_distribution = sys.argv[0].removesuffix(".exe").endswith("logto-mail-contract")
    return "logto-mail-contract" if is_distribution else "mail-contract"
