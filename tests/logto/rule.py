"""A second description of what each revision's ``sendMessageDataGuard`` accepts, without any schema.

The guards of revisions before 1.35 are not on npm. Tests compare this rule with the real guards where they
can be run (1.35) and with recorded verdicts elsewhere. Then they compare our schemas with this rule.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

REVISIONS = ("1.22", "1.25", "1.31", "1.32", "1.35")

_SINCE_1_22 = {
    "SignIn",
    "Register",
    "ForgotPassword",
    "OrganizationInvitation",
    "Generic",
    "UserPermissionValidation",
    "BindNewIdentifier",
}
TYPES = {
    "1.22": _SINCE_1_22 | {"Test"},
    "1.25": _SINCE_1_22,
    "1.31": _SINCE_1_22 | {"MfaVerification"},
    "1.32": _SINCE_1_22 | {"MfaVerification", "BindMfa"},
    "1.35": _SINCE_1_22 | {"MfaVerification", "BindMfa"},
}
TEXT_VARIABLES = {
    "1.25": ("code", "link", "locale"),
    "1.31": ("code", "link", "locale"),
    "1.32": ("code", "link", "locale", "uiLocales"),
    "1.35": ("code", "link", "locale", "uiLocales"),
}


def accepts(revision: str, message: object) -> bool:
    """Return whether the guard of that revision accepts the message, a value made by ``parse``."""
    if not isinstance(message, dict):
        return False
    payload = message.get("payload")
    if not isinstance(message.get("to"), str) or not isinstance(payload, dict):
        return False
    if message.get("type") not in [*TYPES[revision]]:  # compared one by one: an array cannot be hashed
        return False
    if revision == "1.35" and not isinstance(message.get("ip", ""), str):
        return False
    texts = payload if revision == "1.22" else TEXT_VARIABLES[revision]
    return all(isinstance(payload.get(name, ""), str) for name in texts)


def _refuse(literal: str) -> NoReturn:
    raise ValueError(f"{literal} is not JSON")


def parse(text: str) -> Any:
    """Parse as JavaScript's ``JSON.parse`` does: NaN and Infinity are no JSON, every number is a double.

    Raises:
        ValueError: The text is not JSON.
    """
    return json.loads(text, parse_constant=_refuse, parse_int=float)
