"""The management API, the Account API and the profile of the console, as the stand-in answers them."""

from __future__ import annotations

from typing import Any

from tests.support.logto.routing import Answer, Request, require_backend, require_user, route
from tests.support.logto.state import Refused, State, User, Verification, make_id


@route("GET", "/api/connectors")
def list_connectors(state: State, request: Request) -> Answer:
    """List the one connector, if it is set."""
    require_backend(state, request)
    connector = {"id": "mail", "connectorId": "http-email", "config": state.connector}
    return Answer(200, [connector] if state.connector else [])


@route("POST", "/api/connectors")
@route("PATCH", "/api/connectors/mail")
def set_connector(state: State, request: Request) -> Answer:
    """Set the connector. An empty authorization is left out."""
    require_backend(state, request)
    config = dict(request.body["config"])
    if config.get("authorization") == "" and state.defect != "saves an empty authorization":
        del config["authorization"]
    state.connector = config
    return Answer(200, {"id": "mail"})


@route("POST", "/api/connectors/http-email/test")
def test_connector(state: State, request: Request) -> Answer:
    """Send the mail of the connector's test with settings that are not saved."""
    require_backend(state, request)
    locale = {"locale": request.body["locale"]} if "locale" in request.body else {}
    code = {"code": "123456"} if state.defect == "a real code in the test" else {}
    state.send("test", request.body["email"], {**code, **locale}, connector=request.body["config"])
    return Answer()


@route("PATCH", "/api/sign-in-exp")
def set_sign_in_experience(state: State, request: Request) -> Answer:
    """Set members of the sign-in experience."""
    require_backend(state, request)
    state.experience |= request.body
    return Answer(200, state.experience)


@route("PATCH", "/api/account-center")
def set_account_center(state: State, request: Request) -> Answer:
    """Open the Account API."""
    require_backend(state, request)
    state.account_center |= request.body
    return Answer(200, state.account_center)


@route("POST", "/api/users")
def create_user(state: State, request: Request) -> Answer:
    """Add a user."""
    require_backend(state, request)
    members = {"email": "primaryEmail", "username": "username", "password": "password"}
    return Answer(
        200, _describe(state.add_user(**{name: request.body.get(key) for name, key in members.items()}))
    )


@route("GET", "/api/users/(.+)")
def read_user(state: State, request: Request, id: str) -> Answer:
    """Return a user."""
    require_backend(state, request)
    return Answer(200, _describe(state.users[id]))


def _describe(user: User) -> dict[str, Any]:
    return {"id": user.id, "primaryEmail": user.email, "username": user.username}


@route("POST", "/api/verification-codes")
def send_management_code(state: State, request: Request) -> Answer:
    """Send a code. It is stored before the mail is sent."""
    require_backend(state, request)
    _send_generic(state, request.body["email"], "management")
    return Answer()


def _send_generic(state: State, email: str, purpose: str, connector: dict[str, Any] | None = None) -> None:
    code = state.make_code()
    try:
        # Failed sends do not count.
        state.count_mail(email)
        state.codes[purpose, email] = Verification(email, code)
        state.send("management", email, {"code": code}, connector=connector)
    except Refused as refused:
        if refused.status == 400:
            state.sent[email] -= 1
            if state.defect == "drops the code of a refused mail":
                del state.codes[purpose, email]
        raise


@route("POST", "/api/verification-codes/verify")
def verify_management_code(state: State, request: Request) -> Answer:
    """Check a code and use it up."""
    require_backend(state, request)
    state.check_code(state.codes.get(("management", request.body["email"])), request.body["verificationCode"])
    return Answer()


@route("POST", "/api/organizations")
def create_organization(state: State, request: Request) -> Answer:
    """Add an organization."""
    require_backend(state, request)
    id = make_id()
    state.organizations[id] = []
    return Answer(201, {"id": id, "name": request.body["name"]})


@route("GET", "/api/organizations/(.+)/users")
def list_members(state: State, request: Request, id: str) -> Answer:
    """List the members of an organization."""
    require_backend(state, request)
    return Answer(200, [_describe(state.users[member]) for member in state.organizations[id]])


@route("POST", "/api/organization-invitations")
def invite(state: State, request: Request) -> Answer:
    """Add an invitation, unless its mail fails."""
    require_backend(state, request)
    invitation = {"id": make_id(), "status": "Pending", **request.body}
    if state.defect == "keeps the invitation of a failed mail":
        state.invitations[invitation["id"]] = invitation
    if invitation["messagePayload"] is not False:
        _send_invitation(state, invitation, invitation["messagePayload"])
    state.invitations[invitation["id"]] = invitation
    return Answer(201, invitation)


def _send_invitation(state: State, invitation: dict[str, Any], payload: dict[str, Any]) -> None:
    organization = {"id": invitation["organizationId"], "name": "Example & Co", "branding": {}}
    if state.defect == "another link":
        payload = payload | {"link": payload["link"].partition("&")[0]}
    if state.defect == "another organization":
        organization["id"] = make_id()
    state.send("invitation", invitation["invitee"], {"organization": organization, **payload})


@route("GET", "/api/organization-invitations")
def list_invitations(state: State, request: Request) -> Answer:
    """List the invitations of an organization."""
    require_backend(state, request)
    wanted = request.query["organizationId"]
    return Answer(200, [entry for entry in state.invitations.values() if entry["organizationId"] == wanted])


@route("POST", "/api/organization-invitations/(.+)/message")
def send_invitation_again(state: State, request: Request, id: str) -> Answer:
    """Send the mail of an invitation again."""
    require_backend(state, request)
    changed = {"locale": "fr"} if state.defect == "another mail when sent again" else {}
    _send_invitation(state, state.invitations[id], request.body | changed)
    return Answer()


@route("PUT", "/api/organization-invitations/(.+)/status")
def accept_invitation(state: State, request: Request, id: str) -> Answer:
    """Make the invited user a member."""
    require_backend(state, request)
    invitation = state.invitations[id]
    if state.defect != "adds no member":
        state.organizations[invitation["organizationId"]].append(request.body["acceptedUserId"])
    invitation["status"] = request.body["status"]
    return Answer(200, invitation)


@route("POST", "/api/verifications/verification-code")
def send_account_code(state: State, request: Request) -> Answer:
    """Send a code to the user's own address or to a new one."""
    user = require_user(state, request)
    if not state.account_center["enabled"]:
        raise Refused(400, "account_center.not_enabled")
    email = request.body["identifier"]["value"]
    flow = "UserPermissionValidation" if email == user.email else "BindNewIdentifier"
    if email == user.email and request.body.get("templateType") == "BindMfa":
        flow = "account BindMfa"
    id, code = make_id(21), state.make_code()
    shown = User(make_id()) if state.defect == "another user" else user
    state.send(flow, email, {"code": code}, user=shown)
    state.account_verifications[id] = Verification(email, code, flow, user)
    return Answer(201, {"verificationRecordId": id, "expiresAt": "2030-01-01T00:00:00.000Z"})


@route("POST", "/api/verifications/verification-code/verify")
def verify_account_code(state: State, request: Request) -> Answer:
    """Check a code of the Account API."""
    require_user(state, request)
    id = request.body["verificationId"]
    state.check_code(state.account_verifications.get(id), request.body["code"])
    return Answer(200, {"verificationRecordId": id})


@route("POST", "/api/my-account/primary-email")
def change_email(state: State, request: Request) -> Answer:
    """Change the address of a user who has proved the old one and the new one."""
    user = require_user(state, request)
    permission = state.account_verifications.get(request.verification)
    proof = state.account_verifications.get(request.body["newIdentifierVerificationRecordId"])
    for verification, email in ((permission, user.email), (proof, request.body["email"])):
        if verification is None or not verification.verified or verification.email != email:
            raise Refused(401, "verification_record.permission_denied")
    if state.defect != "keeps the old address":
        user.email = request.body["email"]
    return Answer()


@route("POST", "/me/verification-codes")
def send_console_code(state: State, request: Request) -> Answer:
    """Send a code to an admin, with the connector of the console."""
    require_user(state, request)
    _send_generic(state, request.body["email"], "console", state.read_console_connector())
    return Answer()


@route("POST", "/me/verification-codes/verify")
def verify_console_code(state: State, request: Request) -> Answer:
    """Check a code of the console."""
    require_user(state, request)
    state.check_code(state.codes.get(("console", request.body["email"])), request.body["verificationCode"])
    return Answer()
