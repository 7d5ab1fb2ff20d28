"""One difference between the contract and Logto, and the message that shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

REVISIONS = "tools/contract_source/schemas/revisions.py"
GUARD = "tools/contract_source/schemas/guard.py"
EMITTED = "tools/contract_source/schemas/emitted.py"
CONTEXT = "tools/contract_source/schemas/context.py"
RULE = "tests/logto/rule.py"
ENCODING = "contract/logto_mail_contract/connector/encoding.py"
POSTING = "contract/logto_mail_contract/connector/posting.py"
CHECKS = "tests/logto/test_connector.py"
FACTS = "tools/upstream/facts.mjs"


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
    """Return a message as compact JSON."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def make_message(type: str = "Generic", **payload: Any) -> dict[str, Any]:
    """Return the smallest message of a type, with some variables."""
    return {"to": "foo@example.com", "type": type, "payload": payload}
