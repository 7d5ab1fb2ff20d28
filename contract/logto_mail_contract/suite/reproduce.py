"""Commands to copy that try one rule again; a role adds what only it has."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from .. import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable


def format_pytest_command(rule: str) -> str:
    """Return the command for a subject that only the user's own tests can reach.

    Args:
        rule: The rule's id.
    """
    return f"pytest -k {shlex.quote(rule)}"


def quote_argument(text: str) -> str:
    """Return an argument as a shell reads it, in one line that a terminal shows whole."""
    if text.isprintable():
        return shlex.quote(text)
    # As bash, zsh and ksh read it; a file name may hold any bytes.
    marks = (mark if mark.isprintable() and mark not in "\\'" else _escape_bytes(mark) for mark in text)
    return f"$'{''.join(marks)}'"


def _escape_bytes(mark: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in mark.encode("utf-8", "surrogateescape"))


def format_options(settings: Any, names: Iterable[str], revision: str) -> str:
    """Return the options of a command, each after a space, where they are not the usual ones.

    Args:
        settings: How the subject was tried; a dataclass with a default for each member.
        names: The members that the command has an option for.
        revision: The contract revision whose messages were sent.
    """
    usual = type(settings)()
    values = {name: getattr(settings, name) for name in names}
    options = {
        name: f"{value:g}" if isinstance(value, float) else str(value)
        for name, value in values.items()
        if value != getattr(usual, name)
    }
    if revision != catalogue.current_revision():
        options["revision"] = revision
    return "".join(f" --{name.replace('_', '-')} {quote_argument(value)}" for name, value in options.items())
