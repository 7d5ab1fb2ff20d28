"""Messages that a receiver must read: recorded bodies, and three that a closed model loses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.schemas.contract_files import DATA, index, load


@dataclass(frozen=True)
class Message:
    """The JSON text of one message.

    Args:
        label: What names it for people.
        text: The text, on one line.
        may_be_refused: It is an invitation whose caller replaced a context object with another value, which
            typed code cannot hold.
    """

    label: str
    text: str
    may_be_refused: bool = False

    @cached_property
    def value(self) -> Any:
        return json.loads(self.text)


_OVERRIDES = (
    "invitation, overridden",
    "invitation, other variables",
    "invite override organization/inviter/code",
    "an overridden organization",
)
"""How the labels end of invitations whose caller replaced a context object."""


def _recorded(name: str) -> list[Message]:
    lines = [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]
    labels = [f"{line.get('release', 'v1.42.0')}: {line['flow']}" for line in lines]
    return [
        Message(label, line["body"], label.endswith(_OVERRIDES))
        for label, line in zip(labels, lines, strict=True)
    ]


def _made(label: str, type: str, payload: dict[str, Any]) -> Message:
    text = json.dumps({"to": "foo@example.com", "type": type, "payload": payload})
    return Message(label, text, label.endswith(_OVERRIDES))


def _sent() -> list[Message]:
    refused = load("receiver-exceptions.json")["vectors"]
    return [
        Message(
            f"{revision['id']}: {test['id']}",
            test["text"] if "text" in test else json.dumps(test["data"]),
            test["id"] in refused[revision["id"]],
        )
        for revision in index()["revisions"]
        for group in load(revision["vectors"]["emitted"])
        for test in group["tests"]
        if test["valid"] and test["about"] == "schema"
    ]


_CONTEXT = {
    "application": {"id": "demo-app", "name": "Live Preview"},
    "organization": {"id": "uavz4qsvncw7", "name": "Example Org", "branding": {}},
}

RECORDED = _recorded("recorded-bodies-v1.42.0.ndjson")
"""What Logto v1.42.0 posted, in every flow."""

OTHER_RELEASES = _recorded("recorded-bodies-of-releases.ndjson")
"""What Logto of four other releases posted."""

MESSAGES = [
    *RECORDED,
    _made("an unknown type", "MagicLink", {"link": "https://app.example.com/magic", **_CONTEXT}),
    _made(
        "an unknown variable",
        "SignIn",
        {"code": "031415", "risk": {"score": 0.5, "level": 3, "signs": ["new device", None]}, **_CONTEXT},
    ),
    _made(
        "an overridden organization",
        "OrganizationInvitation",
        {"link": "https://app.example.com/join", "organization": "Example Org"},
    ),
]

SENT = _sent()
"""The vectors that Logto sends, of every revision, without those that parsers read differently."""
