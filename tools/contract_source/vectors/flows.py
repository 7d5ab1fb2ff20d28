"""The flows of Logto core that send a code: what each template type carries in each revision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .suite import put
from .values import CONTEXT, OLD, make_message

if TYPE_CHECKING:
    from ..files import Json


@dataclass(frozen=True)
class Flow:
    """The variables of messages of one code type, besides the code.

    Attributes:
        locale: Whether ``locale`` comes: "always", "maybe" or "never".
        context: The context variables that may come.
        ui_locales: Whether ``uiLocales`` may come.
        ip: Whether the member ``ip`` may come.
        longest: The greatest length of an address; None where there is no bound.
    """

    locale: str
    context: tuple[str, ...] = ()
    ui_locales: bool = False
    ip: bool = False
    longest: int | None = 128


VISITOR = ("application", "organization")
ACCOUNT = ("application", "user")
BOTH = ("application", "organization", "user")


FLOWS: dict[str, dict[str, Flow]] = {
    "1.22": dict.fromkeys(OLD, Flow("never")) | {"Generic": Flow("never", longest=None)},
    "1.25": dict.fromkeys(OLD[:3], Flow("always", VISITOR))
    | dict.fromkeys(OLD[4:], Flow("always", ACCOUNT))
    | {"Generic": Flow("maybe", longest=None)},
    "1.31": dict.fromkeys((*OLD[:3], "MfaVerification"), Flow("always", VISITOR))
    | {
        "UserPermissionValidation": Flow("always", ACCOUNT),
        "BindNewIdentifier": Flow("always", BOTH),
        "Generic": Flow("maybe", longest=None),
    },
    "1.32": dict.fromkeys((*OLD[:3], "MfaVerification"), Flow("always", VISITOR, ui_locales=True))
    | dict.fromkeys(OLD[4:], Flow("always", ACCOUNT, ui_locales=True))
    | {
        "BindMfa": Flow("always", BOTH, ui_locales=True),
        "Generic": Flow("maybe", ui_locales=True, longest=None),
    },
    "1.35": dict.fromkeys((*OLD[:3], "MfaVerification"), Flow("always", VISITOR, ui_locales=True, ip=True))
    | dict.fromkeys(OLD[4:], Flow("always", ACCOUNT, ui_locales=True))
    | {
        "BindMfa": Flow("always", BOTH, ui_locales=True, ip=True),
        "Generic": Flow("maybe", ui_locales=True, ip=True, longest=None),
    },
}


def make_minimal(name: str, flow: Flow) -> Json:
    """Return the smallest message of a code type."""
    payload: Json = {"code": "012345"}
    if flow.locale == "always":
        payload["locale"] = "en"
    return make_message(name, payload)


def make_full(name: str, flow: Flow) -> Json:
    """Return a message of a code type with all that may come."""
    message = make_minimal(name, flow)
    if flow.locale != "never":
        message = put(message, ("payload", "locale"), "pt-BR")
    if flow.ui_locales:
        message = put(message, ("payload", "uiLocales"), "pt-BR <script> de")
    for variable in flow.context:
        message = put(message, ("payload", variable), CONTEXT[variable])
    return message | ({"ip": "::ffff:203.0.113.7"} if flow.ip else {})
