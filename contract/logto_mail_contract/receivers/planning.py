"""How much a run will send, from what its rules declare, and how long that takes."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from ..suite.search import MAX_SHRINK_SECONDS
from .checks import DECLARED
from .doubts import MAX_CONTROLS, MAX_REPEATED
from .requests import RequestMaker
from .rules.ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .cases import Batch
    from .dispatch import Dispatcher
    from .receiver import Receiver, Settings

_MIN_TELLING_RESPONSES = 12
"""Responses after which a run says how long it will take."""


class Plan(NamedTuple):
    """What a run will send, at most.

    Attributes:
        requests: How many requests.
        recipients: How many recipients are in them.
        domains: The domains of the recipients, sorted.
        lone: How many of the requests are sent one after the other, at most, apart from searches.
        searched: How many of the requests are sent in the search for smaller messages, at most.
    """

    requests: int
    recipients: int
    domains: tuple[str, ...]
    lone: int
    searched: int


class Estimate(NamedTuple):
    """How far a run is.

    Attributes:
        sent: How many requests came to their end.
        planned: How many there will be, at most.
        seconds_left: How long the rest will take, at most; None before the first response.
    """

    sent: int
    planned: int
    seconds_left: float | None


def list_batches(rules: Sequence[str]) -> list[Batch]:
    """Return what is sent for rules; those that take long to make come last, while others are under way.

    Args:
        rules: The ids of the rules.
    """
    batches = dict.fromkeys((ordinary, *(one for rule in rules for one in DECLARED[rule].batches)))
    return sorted(batches, key=lambda one: one.way == "drawn")


def make_plan(
    rules: Sequence[str], receiver: Receiver, settings: Settings, *, can_refuse: bool = False
) -> Plan:
    """Return what a run will send, at most, if every ordinary message is accepted.

    Args:
        rules: The ids of the rules; each is applicable.
        receiver: The receiver.
        settings: How it is tried.
        can_refuse: Whether the mail server can be told to fail for a recipient.
    """
    refuse = (lambda *_, **__: None) if can_refuse else None
    maker = RequestMaker(receiver, settings, count(10_000_000), refuse=refuse)
    batches = list_batches(rules)
    drawn = [chosen for chosen in batches if chosen.way == "drawn"]
    made = {chosen: chosen.make_cases(maker) for chosen in batches if chosen not in drawn}
    cases = [case for cases in made.values() for case in cases]
    recipients = {case.to for case in cases if case.to}
    # The number of a run may be part of a domain.
    domains = {re.sub("[0-9]{8,}", "*", to.rpartition("@")[2].lower()) for to in recipients if "@" in to}
    domains.update(*(chosen.domains for chosen in drawn))
    if settings.recipient_domain is not None:
        domains = {settings.recipient_domain.lower()}
    own = [DECLARED[rule] for rule in rules if DECLARED[rule].requests]
    searched = sum(one.requests for one in own if any(chosen in drawn for chosen in one.batches))
    # Ordinary messages may follow whatever is sent after the others, to see whether they are accepted still.
    looks = 1 + len(own) + sum(chosen.way not in ("shared", "drawn") for chosen in batches)
    lone = MAX_CONTROLS * looks + MAX_REPEATED + sum(one.requests for one in own) - searched
    # Pairs are sent again where others may have failed them.
    lone += sum(len(cases) for chosen, cases in made.items() if chosen.way == "paired")
    # Each of these has a recipient of its own.
    more = len(drawn) * settings.examples + searched + lone
    requests = sum(case.repeats for case in cases) + more
    return Plan(requests, len(recipients) + more, tuple(sorted(domains)), lone, searched)


def estimate(plan: Plan | None, dispatcher: Dispatcher, settings: Settings) -> Estimate:
    """Return how far a run is.

    Args:
        plan: What it will send; None where that is not known yet.
        dispatcher: What sends them.
        settings: How the receiver is tried.
    """
    sent = sum(1 + len(one.earlier) for one in dispatcher.ledger)
    planned = plan.requests if plan else 0
    window = dispatcher.window
    # The first responses tell how many requests help at once: before, the rest would seem to be serial.
    if plan is None or window.lone_wait is None or sent < min(planned, _MIN_TELLING_RESPONSES):
        return Estimate(sent, planned, None)
    left = max(0, planned - sent)
    in_parallel = max(0, left - plan.lone - plan.searched)
    seconds = window.lone_wait * (in_parallel / window.size + min(left, plan.lone))
    if plan.searched:
        seconds += min(plan.searched * window.lone_wait, MAX_SHRINK_SECONDS + window.lone_wait)
    if settings.pace is not None:
        seconds = max(seconds, left / settings.pace)
    return Estimate(sent, planned, seconds)
