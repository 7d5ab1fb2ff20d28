"""Messages for the deterministic cases of the rules.

Every function returns new values. They are plain text in reserved domains, so that a case that changes one
feature fails the rule of that feature and no other.
"""

from __future__ import annotations

from typing import Any

from .. import catalogue

RECIPIENT = "foo@example.com"
CODE = "042137"
LINK = "https://app.example.com/join?token=n4c1x&org=1"

_WITH_USER = ("UserPermissionValidation", "BindNewIdentifier")
_IP = "203.0.113.7"


def user(**changed: Any) -> dict[str, Any]:
    """Return a user with all seven members, as Logto sends it; ``changed`` replaces members."""
    return {
        "id": "w13v2u89sxbs",
        "avatar": "https://example.com/foo.png",
        "name": "Foo Bar",
        "primaryEmail": "foo@example.com",
        "primaryPhone": "15550100",
        "username": "foo",
        "profile": {"givenName": "Foo", "familyName": "Bar"},
        **changed,
    }


def application(**changed: Any) -> dict[str, Any]:
    """Return an application with branding; ``changed`` replaces members."""
    return {
        "id": "a1z9g7jcl36qklitq4a3d",
        "name": "Shop",
        "branding": {"logoUrl": "https://example.com/shop.png"},
        "displayName": "The Shop",
        **changed,
    }


def organization(**changed: Any) -> dict[str, Any]:
    """Return an organization with branding; ``changed`` replaces members."""
    return {
        "id": "uavz4qsvncw7",
        "name": "Acme",
        "branding": {"logoUrl": "https://example.com/acme.png"},
        **changed,
    }


def typical(type: str, revision: str | None = None, *, to: str = RECIPIENT, **changed: Any) -> dict[str, Any]:
    """Return a message with all the context that Logto core adds to its type.

    Args:
        type: One of the template types of the revision.
        revision: A contract revision; the current one when None.
        to: The recipient.
        changed: Variables to add to the payload, or to replace there.
    """
    payload: dict[str, Any]
    if revision == "1.22":
        payload = dict(minimal(type, revision)["payload"])
    elif type == "OrganizationInvitation":
        payload = {"locale": "en", "organization": organization(), "inviter": user(), "link": LINK}
    else:
        payload = {"code": CODE, "locale": "en"}
        if type != "Generic":
            payload["application"] = application()
            payload |= {"user": user()} if type in _WITH_USER else {"organization": organization()}
    message: dict[str, Any] = {"to": to, "type": type, "payload": payload | changed}
    if revision in (None, catalogue.current_revision()) and type not in _WITH_USER:
        message["ip"] = _IP
    return message


def without(message: dict[str, Any], variable: str) -> dict[str, Any]:
    """Return a message without one of its variables."""
    payload = {name: value for name, value in message["payload"].items() if name != variable}
    return {**message, "payload": payload}


def minimal(type: str, revision: str | None = None) -> dict[str, Any]:
    """Return a message with the fewest variables that Logto core may send; an invitation has its link.

    Args:
        type: One of the template types of the revision.
        revision: A contract revision; the current one when None.
    """
    payload = {"code": CODE, "locale": "en"}
    if type == "OrganizationInvitation":
        payload = {"link": LINK}
    elif type == "Generic" or revision == "1.22":
        payload = {"code": CODE}
    return {"to": RECIPIENT, "type": type, "payload": payload}


def template_types(revision: str | None = None) -> tuple[str, ...]:
    """Return the template types that Logto core sends in a revision, the current one when None."""
    schema = catalogue.schema(catalogue.resolve_revision(revision), "emitted")
    return tuple(schema["properties"]["type"]["enum"])
