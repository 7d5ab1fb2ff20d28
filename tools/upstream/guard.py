"""Compares the guard with the contract: template types, typed variables, top-level members.

The names come from the guard, and its verdicts on messages with these names decide. A guard that is written
in another way and says the same makes no difference.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from logto_mail_contract.catalogue import current_revision, index
from logto_mail_contract.judging.validation import validate

from .changes import FACTS, GUARD, REVISIONS, RULE, Change, format_message, make_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.logto.node import NodeWorker

VALUES: dict[str, Any] = {
    "a string": "",
    "null": None,
    "a number": 0,
    "a boolean": True,
    "an array": [],
    "an object": {},
}
ABSENT = "nothing"
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
    yield from _compare_types(facts["types"], revision["templateTypes"])
    yield from _compare_texts(
        "typed variable", facts["variables"] or (), revision["typedVariables"], ("payload",), worker
    )
    yield from _compare_texts("top-level member", facts["members"] or (), MEMBERS, (), worker)


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


def _compare_texts(
    kind: str, theirs: Sequence[str], ours: Sequence[str], path: Sequence[str], worker: NodeWorker
) -> Iterator[Change]:
    names = [*dict.fromkeys((*ours, *theirs))]
    probes = [(name, value, _make_probe(path, name, value)) for name in names for value in (*VALUES, ABSENT)]
    texts = [format_message(message) for *_, message in probes]
    verdicts = [next(iter(verdict.values())) for verdict in worker.ask(texts)]
    for name in names:
        accepted: dict[str, list[str]] = {"logto": [], "contract": []}
        shown = ""
        for (probed, value, _), text, verdict in zip(probes, texts, verdicts, strict=True):
            if probed != name:
                continue
            is_valid = not validate(text)
            accepted["logto"] += [value] if verdict else []
            accepted["contract"] += [value] if is_valid else []
            if verdict != is_valid and not shown:
                shown = text
        if shown or (name in theirs) != (name in ours):
            state = "new" if name not in ours else "gone" if name not in theirs else "typed otherwise"
            yield Change(
                f"{kind} {name} is {state}",
                f"accepts {', '.join(accepted['logto'])}",
                f"accepts {', '.join(accepted['contract'])}",
                shown or format_message(_make_probe(path, name, "a string")),
                (REVISIONS, GUARD, RULE),
            )


def _make_probe(path: Sequence[str], name: str, value: str) -> dict[str, Any]:
    message = make_message()
    place: dict[str, Any] = message["payload"] if path else message
    if value == ABSENT:
        place.pop(name, None)
    elif name == "type" and value == "a string":
        place[name] = "Generic"
    else:
        place[name] = copy.copy(VALUES[value])
    return message
