"""Compares the guard with the contract: template types, typed variables, top-level members.

The names come from the guard, and its verdicts on messages with these names decide. A guard that is written
in another way and says the same makes no difference.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logto_mail_contract.catalogue import current_revision, index
from logto_mail_contract.judging.validation import validate

from .changes import FACTS, GUARD, REVISIONS, RULE, Change, format_message, make_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.logto.node import NodeWorker

VALUES: dict[str, Any] = {
    "a string": "",
    "a long string": "x" * 4096,
    "null": None,
    "a number": 0,
    "a boolean": True,
    "an array": [],
    "an object": {},
}
ABSENT = "nothing"
UNKNOWN = "unheardOf"
MEMBERS = ("to", "type", "payload", "ip")


def compare_guard(facts: Mapping[str, Any], worker: NodeWorker) -> Iterator[Change]:
    """Yield the differences of the guard.

    Args:
        facts: What the packages state: see ``facts.mjs``.
        worker: The worker ``guards.mjs`` beside these packages.
    """
    revision = next(entry for entry in index()["revisions"] if entry["id"] == current_revision())
    for name, known in (("members", MEMBERS), ("variables", revision["typedVariables"])):
        if facts[name] is None:
            yield Change(
                f"{name}: the guard no longer lists them",
                "states them in a form that is not known here",
                f"names {', '.join(known)}",
                "",
                (FACTS,),
            )
    types, variables = revision["templateTypes"], revision["typedVariables"]
    yield from _compare_types(facts["types"], types)
    variable_names = dict.fromkeys((*variables, *(facts["variables"] or ())))
    member_names = dict.fromkeys((*MEMBERS, *(facts["members"] or ())))
    ours = make_message(next((name for name in types if name in facts["types"]), "Generic"))
    places = [*((name,) for name in member_names), *(("payload", name) for name in variable_names)]
    bases = Bases(ours, _find_base(ours, places, worker))
    for name in variable_names:
        state = _describe_state(name, facts["variables"], variables)
        yield from _compare_values(f"typed variable {name}", state, bases, ("payload", name), worker)
    for name in member_names:
        state = _describe_state(name, facts["members"], MEMBERS)
        yield from _compare_values(f"top-level member {name}", state, bases, (name,), worker)
    for what, path in (("a top-level member", (UNKNOWN,)), ("a variable", ("payload", UNKNOWN))):
        yield from _compare_values(f"{what} that no one knows", "", bases, path, worker)


@dataclass(frozen=True)
class Bases:
    """Messages to put values into: the contract accepts ``ours``, the guard accepts ``theirs``.

    With one for both, a guard that requires one thing more would differ everywhere.
    """

    ours: dict[str, Any]
    theirs: dict[str, Any]


def _find_base(ours: dict[str, Any], places: Sequence[tuple[str, ...]], worker: NodeWorker) -> dict[str, Any]:
    """Return a message that the guard accepts and that differs little from ours; ours if there is none."""
    candidates = [ours, *(_put(ours, place, value) for place in places for value in VALUES)]
    verdicts = worker.ask([json.dumps(message) for message in candidates])
    accepted = (message for message, by_kit in zip(candidates, verdicts, strict=True) if all(by_kit.values()))
    return next(accepted, ours)


def _compare_types(theirs: Sequence[str], ours: Sequence[str]) -> Iterator[Change]:
    for name in dict.fromkeys((*theirs, *ours)):
        if (name in theirs) != (name in ours):
            yield Change(
                f"template type {name} is {'new' if name in theirs else 'gone'}",
                "accepts it" if name in theirs else "refuses it",
                "accepts it" if name in ours else "refuses it",
                format_message(make_message(name)),
                (REVISIONS, RULE),
            )


def _describe_state(name: str, theirs: Sequence[str] | None, ours: Sequence[str]) -> str:
    """Return whether a name is new or gone; an empty text if both know it."""
    if name not in ours:
        return "new"
    return "gone" if theirs is not None and name not in theirs else ""


def _compare_values(
    what: str, state: str, bases: Bases, path: Sequence[str], worker: NodeWorker
) -> Iterator[Change]:
    """Yield a change if the guard and the contract differ about the values at a place of a message."""
    values = (*VALUES, ABSENT)
    verdicts = worker.ask([json.dumps(_put(bases.theirs, path, value)) for value in values])
    logto = [value for value, by_kit in zip(values, verdicts, strict=True) if all(by_kit.values())]
    messages = {value: _put(bases.ours, path, value) for value in values}
    contract = [value for value, message in messages.items() if not validate(json.dumps(message))]
    differing = [value for value in values if (value in logto) != (value in contract)]
    if state or differing:
        yield Change(
            f"{what} is {state or 'typed otherwise'}",
            f"accepts {', '.join(logto) or 'none of these'}",
            f"accepts {', '.join(contract) or 'none of these'}",
            format_message(messages[[*differing, "a string"][0]]),
            (REVISIONS, GUARD, RULE),
        )


def _put(base: dict[str, Any], path: Sequence[str], value: str) -> dict[str, Any]:
    message = copy.deepcopy(base)
    *parents, name = path
    place = message
    for parent in parents:
        place = place[parent]
    if value == ABSENT:
        place.pop(name, None)
    elif (name, value) not in (("type", "a string"), ("payload", "an object")):  # the base has a valid one
        place[name] = VALUES[value]
    return message
