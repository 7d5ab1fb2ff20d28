"""The report on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logto_mail_contract.catalogue import index
from logto_mail_contract.masking import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .changes import Change

MAX_CHANGES = 5
MAX_LINE = 300


def format_report(versions: Mapping[str, str], changes: Sequence[Change], passed: int | None) -> str:
    """Return the report: the contract holds, or the first changes with what shows them.

    Args:
        versions: The version of each package.
        changes: The differences.
        passed: How many tests passed; None when none were run.
    """
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [f"compared with {named}"]
    if not changes:
        tests = "" if passed is None else f" {passed} tests passed with these packages."
        lines += [f"The contract holds.{tests}", *_format_unknown(versions)]
        return "\n".join(lines)
    lines += [f"Logto changed: {len(changes)} difference{'s' * (len(changes) > 1)}."]
    for number, change in enumerate(changes[:MAX_CHANGES], 1):
        lines.append(f"{number}. {change.what}")
        lines.append(f"   Logto     {change.logto}")
        lines.append(f"   contract  {change.contract}")
        if change.message:
            lines.append(f"   message   {change.message}")
        lines.append(f"   edit      {', '.join(change.files)}")
    if len(changes) > MAX_CHANGES:
        lines.append(f"and {len(changes) - MAX_CHANGES} more")
    lines.append("Then run: make schemas, make test. CONTRIBUTING.md says more, at Changes upstream.")
    return "\n".join(_shorten(escape_unprintable(line)) for line in lines)


def _shorten(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[: MAX_LINE - 1]}…"


def _format_unknown(versions: Mapping[str, str]) -> list[str]:
    """Return a line for each version that the catalogue does not list yet."""
    newest = index()["revisions"][-1]
    known = {
        "@logto/connector-kit": newest["connectorKit"],
        "@logto/connector-http-email": newest["connectorHttpEmail"],
        "@logto/schemas": newest["releases"],
    }
    return [
        f"{name} {version} is not in the catalogue yet: add it in tools/contract_source/, run make schemas"
        for name, version in versions.items()
        if version not in known[name]
    ]
