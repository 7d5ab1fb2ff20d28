"""The schemas, and for each the texts that validators judge by it: the vectors and the recorded bodies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.schemas.contract_files import index, load
from tests.support.receiver_messages import OTHER_RELEASES, RECORDED, SENT

DRAFT_2020 = "2020-12"
DRAFT_07 = "draft-07"


@dataclass(frozen=True)
class Case:
    """One text with its verdict.

    Args:
        id: The vector's id, or the label of a recorded body.
        text: The text.
        valid: Whether the schema accepts it.
        about: ``schema`` or ``parser``, as in the vectors; ``recorded`` for a body; ``sent`` for a vector of
            ``emitted`` that the receiver's schema judges.
        difficulty: What parsers read differently, if it is about them.
    """

    id: str
    text: str
    valid: bool
    about: str
    difficulty: str = ""


@dataclass(frozen=True)
class Job:
    """A schema file below ``schemas/`` and the texts to judge by it."""

    file: str
    cases: list[Case]

    @property
    def schema(self) -> Any:
        return load(self.file)


@cache
def jobs(draft: str) -> list[Job]:
    """Return what a validator of a draft judges: every schema of the messages in that draft."""
    bodies = (*RECORDED, *OTHER_RELEASES)
    everything = [Case(body.label, body.text, True, "recorded") for body in bodies]
    typed = [Case(body.label, body.text, not body.may_be_refused, "recorded") for body in bodies]
    sent = [Case(vector.label, vector.text, not vector.may_be_refused, "sent") for vector in SENT]
    if draft == DRAFT_07:
        [current] = [revision for revision in index()["revisions"] if revision["id"] == index()["current"]]
        return [
            Job("draft-07/send-message-data.schema.json", _vectors(current, "guard") + everything),
            Job("draft-07/emitted.schema.json", _vectors(current, "emitted")),
            Job("draft-07/receiver.schema.json", sent + typed),
        ]
    return [
        *(
            Job(file, _vectors(revision, layer))
            for revision in index()["revisions"]
            for layer, file in revision["files"].items()
        ),
        Job("send-message-data.schema.json", everything),
        Job("receiver.schema.json", sent + typed),
    ]


def _vectors(revision: dict[str, Any], layer: str) -> list[Case]:
    return [
        Case(
            test["id"],
            test["text"] if "text" in test else json.dumps(test["data"]),
            test["valid"],
            test["about"],
            test.get("difficulty", ""),
        )
        for group in load(revision["vectors"][layer])
        for test in group["tests"]
    ]
