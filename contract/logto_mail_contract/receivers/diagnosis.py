"""What is wrong with a whole receiver, said first and in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..judging.responses import format_status, is_accepted, is_redirect
from ..wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..wire.outcomes import Outcome
    from .cases import Exchange
    from .receiver import Receiver

_MIN_ALIKE = 20
"""Responses to other than valid messages that must be alike, before it is said to respond so to all."""


def diagnose(receiver: Receiver, ordinary: Collection[Exchange], ledger: Sequence[Exchange]) -> str:
    """Return what is wrong, and what to check; empty where single rules say more.

    Args:
        receiver: The receiver.
        ordinary: The exchanges of one ordinary message of each template type.
        ledger: All exchanges so far.
    """
    outcomes = [exchange.outcome for exchange in ordinary]
    if not outcomes:
        return ""
    if any(map(is_accepted, outcomes)):
        return _diagnose_sameness(ledger)
    kinds = {_describe(outcome) for outcome in outcomes}
    if len(kinds) > 1:
        return ""
    came = f"Every ordinary message got {format_status(outcomes[0])}"
    return f"{came}: {_advise(receiver, outcomes[0])}. What needs an accepted message is not judged."


def _advise(receiver: Receiver, outcome: Outcome) -> str:
    if isinstance(outcome, NoResponse):
        return {
            "timeout": "check that the receiver is not blocked, and that it ends its responses",
            "garbled": "check that an HTTP server listens there, and whether the URL should begin with https",
            "cut": "check that an HTTP server listens there, and whether the URL should begin with https",
            "raised": "look at the exception in the application",
        }.get(outcome.kind, "check the URL")
    if is_redirect(outcome):
        return "use the URL that it redirects to, with the right scheme and trailing slash"
    if outcome.status >= 500:
        return "the receiver fails on ordinary messages; look at its log"
    if outcome.status in (401, 403):
        if receiver.authorization:
            return "check that the authorization is the one that the receiver wants, with its scheme"
        return "give the authorization that the receiver wants"
    return {
        404: "check the path of the URL",
        405: "check the URL; its path takes no POST",
        415: "the receiver takes another content type; Logto sends application/json",
        429: "the receiver is at its limit already; wait, or raise it for the test",
    }.get(outcome.status, "look at the body of the response")


def _diagnose_sameness(ledger: Sequence[Exchange]) -> str:
    # Of valid messages a good receiver accepts each in the same way.
    others = [one for one in ledger if one.case.mail == "none"]
    if len(others) < _MIN_ALIKE or len({_describe(one.outcome) for one in ledger}) > 1:
        return ""
    return (
        f"Every request got the same response, {format_status(ledger[0].outcome)}, whatever was in it: check "
        "that the URL is the endpoint itself, and not a proxy, a default page or a stub."
    )


def _describe(outcome: Outcome) -> object:
    return (outcome.status, outcome.body) if isinstance(outcome, Response) else outcome.kind
