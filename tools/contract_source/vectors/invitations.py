"""Vectors of invitations in the emitted layer: Logto's members, and whatever the caller adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .ips import add_ips
from .recipients import ODD_INVITED, WRONG_INVITED, add_lengths, add_wrong_recipients
from .shared import add_wrong_payloads
from .suite import format_slug, put
from .values import (
    CURRENT,
    INVITATION_LINK,
    NO_STRINGS,
    NULL_USER,
    ORGANIZATION,
    STRINGS_ONLY,
    TYPED,
    make_message,
)

if TYPE_CHECKING:
    from ..files import Json
    from .suite import Suite


def add_invitations(suite: Suite) -> None:
    """Add the vectors of the type OrganizationInvitation."""
    suite.group = "Messages of type OrganizationInvitation"
    message = make_message("OrganizationInvitation", {})
    suite.add("invitation-empty", "Nothing is sure to be there.", message)
    link = suite.at(message, "payload", "link")
    link.add("invitation-link", "A link from the caller.", INVITATION_LINK)
    _add_typed_variables(suite, message)
    _add_own_variables(suite, message)
    if suite.revision != STRINGS_ONLY:
        payload = {"organization": ORGANIZATION, "inviter": NULL_USER, "link": INVITATION_LINK}
        usual = put(message, ("payload",), payload)
        suite.add("invitation-usual", "Organization, inviter and link.", usual)
        nested = suite.at(usual, "payload", "nested")
        nested.add("invitation-nested", "The caller may nest values.", {"a": [1, None, True], "n": 1.5})
    add_wrong_payloads(suite, message, "invitation-payload")
    suite.add_text(
        "invitation-proto",
        "Logto core lets no variable named __proto__ through.",
        '{"to":"foo@example.com","type":"OrganizationInvitation","payload":{"__proto__":"x"}}',
        ("propertyNames", "/payload"),
    )
    for name in ("__proto__\n", "__proto", "proto"):
        suite.at(message, "payload", name).add(
            f"invitation-like-proto-{len(name)}", "Names that are only like __proto__ get through.", "x"
        )
    add_wrong_recipients(suite, message, "invitation-to", "to is an address.")
    to = suite.at(message, "to")
    to.add_each_wrong("invitation-zod", "zod's email() refuses this address.", WRONG_INVITED)
    to.add_each("invitation-zod", "zod's email() accepts this address.", ODD_INVITED)
    add_lengths(suite, message, "invitation", longest=256)
    add_ips(suite, message, "invitation", allowed=suite.revision == CURRENT)


def _add_typed_variables(suite: Suite, message: Json) -> None:
    strings = {"empty": "", "short": "1", "scheme": "javascript:alert(1)", "nul": "a\u0000b"}
    for variable in ("code", "link", "locale", "uiLocales"):
        prefix = f"invitation-{format_slug(variable)}"
        typed = suite.revision == STRINGS_ONLY or variable in TYPED[suite.revision]
        place = suite.at(message, "payload", variable)
        place.add_each(prefix, f"{variable} is the caller's own text.", strings)
        description = f"{variable} is {'a string where present' if typed else 'not typed in this revision'}."
        place.add_each(prefix, description, NO_STRINGS, "type" if typed else None)


def _add_own_variables(suite: Suite, message: Json) -> None:
    strings_only = suite.revision == STRINGS_ONLY
    for variable in (
        *("organization", "inviter", "application", "user", "seats"),
        *("to", "type", "ip", "constructor"),
    ):
        prefix = f"invitation-variable-{variable}"
        place = suite.at(message, "payload", variable)
        place.add(f"{prefix}-string", "The caller may write anything.", "mine")
        place.add_each(
            prefix,
            "Every variable is a string." if strings_only else "The caller may write anything.",
            NO_STRINGS,
            "type" if strings_only else None,
        )
