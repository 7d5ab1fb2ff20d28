"""One difference between the contract and Logto, and the message that shows it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tools.contract_source.vectors.values import NULL_USER

REVISIONS = "tools/contract_source/schemas/revisions.py"
GUARD = "tools/contract_source/schemas/guard.py"
EMITTED = "tools/contract_source/schemas/emitted.py"
CONTEXT = "tools/contract_source/schemas/context.py"
RULE = "tests/logto/rule.py"
ENCODING = "contract/logto_mail_contract/connector/encoding.py"
POSTING = "contract/logto_mail_contract/connector/posting.py"
CHECKS = "tests/logto/test_connector.py"
WORKER = "tests/logto/connector.mjs"
RULES = "schemas/rules.json"
FACTS = "tools/upstream/facts.mjs"

VARIABLES: dict[str, Any] = {
    "code": "031415",
    "link": "https://app.example.com/join",
    "locale": "en",
    "uiLocales": "en",
    "application": {"id": "demo-app", "name": "Live Preview", "branding": {}},
    "organization": {"id": "uavz4qsvncw7", "name": "x", "branding": {}},
    "user": NULL_USER,
}
"""A value for each variable that core sends."""


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        what: What differs, in one line.
        logto: What Logto does.
        contract: What the contract says.
        message: The smallest message that shows it, as JSON; empty where no message does.
        files: The files to edit, from the project's folder.
    """

    what: str
    logto: str
    contract: str
    message: str
    files: tuple[str, ...]


def format_message(message: object) -> str:
    """Return a message as compact JSON; a long run of one character is only counted."""
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    # The length is what counts; a screen does not show 2048 characters.
    return re.sub(r"(.)\1{40,}", lambda run: f"{run[1]}…{len(run[0])} times", text)


def make_message(type: str = "Generic", **payload: Any) -> dict[str, Any]:
    """Return the smallest message of a type, with some variables."""
    return {"to": "foo@example.com", "type": type, "payload": payload}
