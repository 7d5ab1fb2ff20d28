"""Signing in at the stand-in: the code flow of OpenID Connect, the Experience and the interaction API."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import unquote, urlencode

from tests.support.logto.routing import Answer, Request, require_user, route
from tests.support.logto.state import Interaction, Refused, State, User, Verification, make_id

BACKEND = "m-default"
EXPERIENCE = "/api/experience"


def _redirect(location: str, *cookies: str) -> Answer:
    return Answer(303, None, location, cookies)


def find_interaction(state: State, request: Request) -> Interaction:
    """Return the interaction of a browser."""
    interaction = state.interactions.get(request.cookies.get("_interaction", ""))
    if interaction is None or interaction.ended:
        raise Refused(400, "session.not_found")
    return interaction


def find_client(request: Request) -> str | None:
    """Return the application that the cookie ``_logto`` names: raw JSON, written by ``authorize``."""
    try:
        return str(json.loads(request.cookies["_logto"])["appId"])
    except (KeyError, ValueError):
        return None


@route("GET", "/api/.well-known/sign-in-exp")
def describe_sign_in_experience(state: State, request: Request) -> Answer:
    """Say whether visitors may register: at the console only the first one."""
    mode = "SignInAndRegister"
    if request.at_console:
        mode = "SignIn" if state.has_admin else "Register"
    return Answer(200, {"signInMode": mode})


@route("GET", "/oidc/auth")
def authorize(state: State, request: Request) -> Answer:
    """Begin an interaction."""
    query = request.query
    if query["code_challenge_method"] != "S256" or query["response_type"] != "code":
        raise Refused(400, "oidc.invalid_request")
    id = make_id(21)
    state.interactions[id] = Interaction(
        query["client_id"], query["redirect_uri"], query["code_challenge"], query["state"]
    )
    cookie = json.dumps({"appId": query["client_id"]})
    return _redirect("/sign-in", f"_interaction={id}; path=/; httponly", f"_logto={cookie}; path=/")


@route("GET", "/oidc/auth/(.+)")
def resume(state: State, request: Request, id: str) -> Answer:
    """Go on after the sign-in: first to the consent, then to the application."""
    interaction = state.interactions[id]
    if "consent" not in request.query:
        return _redirect("/consent")
    code = secrets.token_urlsafe(16)
    state.grants[code] = interaction
    if state.defect == "ends with an error":
        return _redirect(f"{interaction.redirect_uri}?error=access_denied&state={interaction.state}")
    return _redirect(f"{interaction.redirect_uri}?{urlencode({'code': code, 'state': interaction.state})}")


@route("POST", "/api/interaction/consent")
def consent(state: State, request: Request) -> Answer:
    """Consent to what the application asks for."""
    id = request.cookies["_interaction"]
    if id not in state.interactions:
        raise Refused(400, "session.not_found")
    return Answer(200, {"redirectTo": f"/oidc/auth/{id}?consent=1"})


@route("POST", "/oidc/token")
def give_token(state: State, request: Request) -> Answer:
    """Give a token for client credentials, or for the code of a sign-in and its verifier."""
    token = secrets.token_urlsafe(24)
    if request.body["grant_type"] == "client_credentials":
        expected = base64.b64encode(f"{BACKEND}:{state.secret}".encode()).decode()
        if request.authorization != f"Basic {expected}" or not request.at_console:
            raise Refused(401, "oidc.invalid_client")
        state.tokens[token] = None
        return Answer(200, {"access_token": token})
    interaction = state.grants.pop(request.body["code"], None)
    digest = hashlib.sha256(request.body["code_verifier"].encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    if interaction is None or interaction.user is None or interaction.challenge != challenge:
        raise Refused(400, "oidc.invalid_grant")
    state.tokens[token] = interaction.user
    return Answer(200, {"access_token": token})


@route("GET", "/oidc/me")
def describe_user(state: State, request: Request) -> Answer:
    """Return the claims of a user."""
    user = require_user(state, request)
    if state.defect == "signs another user in":
        user = User(make_id(), email="other@example.com")
    return Answer(200, {"sub": user.id, "email": user.email})


@route("PUT", EXPERIENCE)
def begin(state: State, request: Request) -> Answer:
    """Choose the event of an interaction."""
    find_interaction(state, request).event = request.body["interactionEvent"]
    return Answer()


@route("POST", f"{EXPERIENCE}/verification/verification-code")
def send_code(state: State, request: Request) -> Answer:
    """Send a code to a visitor. The verification is stored only if the mail was sent."""
    interaction = find_interaction(state, request)
    email, event = request.body["identifier"]["value"], request.body["interactionEvent"]
    is_factor = interaction.user and "email" not in state.experience["signUp"]["identifiers"]
    flow = "BindMfa" if is_factor else event
    verification = Verification(email, state.make_code(), flow)
    is_unknown = event == "ForgotPassword" and state.find_user(email=email) is None
    id = make_id(21)
    if not is_unknown or state.defect == "mails unknown addresses":
        try:
            state.send(flow, email, {"code": verification.code}, client=_client(state, request))
        except Refused:
            if state.defect == "drops earlier codes of a failed mail":
                interaction.verifications.clear()
            raise
    interaction.verifications[id] = verification
    return Answer(200, {"verificationId": id})


def _client(state: State, request: Request) -> str | None:
    return None if state.defect == "forgets the application" else find_client(request)


def _find_verification(interaction: Interaction, id: str) -> Verification:
    verification = interaction.verifications.get(id)
    if verification is None:
        raise Refused(404, "session.verification_session_not_found")
    return verification


@route("POST", f"{EXPERIENCE}/verification/verification-code/verify")
def verify_code(state: State, request: Request) -> Answer:
    """Check a code that a visitor typed."""
    id = request.body["verificationId"]
    verification = _find_verification(find_interaction(state, request), id)
    if verification.email != request.body["identifier"]["value"]:
        raise Refused(400, "verification_code.email_mismatch")
    state.check_code(verification, request.body["code"])
    return Answer(200, {"verificationId": id})


@route("POST", f"{EXPERIENCE}/verification/password")
def verify_password(state: State, request: Request) -> Answer:
    """Check a password that a visitor typed."""
    interaction = find_interaction(state, request)
    identifier = request.body["identifier"]
    user = state.find_user(**{identifier["type"]: identifier["value"]})
    if user is None or user.password != request.body["password"]:
        raise Refused(422, "session.invalid_credentials")
    return _add_verified(interaction, user)


def _add_verified(interaction: Interaction, user: User) -> Answer:
    id = make_id(21)
    interaction.verifications[id] = Verification(user.email, "", user=user, verified=True)
    return Answer(200, {"verificationId": id})


@route("POST", f"{EXPERIENCE}/verification/new-password-identity")
def prepare_new_user(state: State, request: Request) -> Answer:
    """Prepare a user with a user name and a password."""
    interaction = find_interaction(state, request)
    user = User(make_id(), request.body["password"], username=request.body["identifier"]["value"])
    return _add_verified(interaction, user)


@route("POST", f"{EXPERIENCE}/verification/mfa-verification-code")
def send_factor_code(state: State, request: Request) -> Answer:
    """Send the code of the second factor to the address of the identified user."""
    interaction = find_interaction(state, request)
    if interaction.user is None or interaction.user.email is None:
        raise Refused(404, "session.identifier_not_found")
    email, code, id = interaction.user.email, state.make_code(), make_id(21)
    state.send("MfaVerification", email, {"code": code}, client=_client(state, request))
    interaction.verifications[id] = Verification(email, code, "MfaVerification")
    return Answer(200, {"verificationId": id})


@route("POST", f"{EXPERIENCE}/verification/mfa-verification-code/verify")
def verify_factor_code(state: State, request: Request) -> Answer:
    """Check the code of the second factor."""
    interaction = find_interaction(state, request)
    id = request.body["verificationId"]
    state.check_code(_find_verification(interaction, id), request.body["code"])
    interaction.has_second_factor = True
    return Answer(200, {"verificationId": id})


@route("POST", f"{EXPERIENCE}/identification")
def identify(state: State, request: Request) -> Answer:
    """Identify the user, or make a new one."""
    interaction = find_interaction(state, request)
    verification = _find_verification(interaction, request.body["verificationId"])
    if not verification.verified and state.defect not in ("takes codes again", "takes any code"):
        raise Refused(400, "session.verification_failed")
    user = verification.user
    if user is None and verification.email is not None:
        user = state.find_user(email=verification.email)
    if interaction.event == "Register":
        state.has_admin |= request.at_console
        user = user or User(make_id(), email=verification.email)
        state.users[user.id] = user
    if user is None:
        raise Refused(404, "user.user_not_exist")
    interaction.user = user
    return Answer()


@route("PUT", f"{EXPERIENCE}/profile/password")
def choose_password(state: State, request: Request) -> Answer:
    """Choose a new password."""
    interaction = find_interaction(state, request)
    if interaction.event != "ForgotPassword" or interaction.user is None:
        raise Refused(400, "session.invalid_interaction_type")
    interaction.new_password = request.body["password"]
    return Answer()


@route("POST", f"{EXPERIENCE}/profile(?:/mfa)?")
def bind_email(state: State, request: Request) -> Answer:
    """Give the identified user a verified address."""
    interaction = find_interaction(state, request)
    verification = _find_verification(interaction, request.body["verificationId"])
    if interaction.user is None or not verification.verified:
        raise Refused(400, "session.verification_failed")
    if state.defect != "binds no address":
        interaction.user.email = verification.email
    interaction.has_second_factor = True
    return Answer()


@route("POST", f"{EXPERIENCE}/submit")
def submit(state: State, request: Request) -> Answer:
    """End an interaction, unless a second factor is missing."""
    interaction = find_interaction(state, request)
    user = interaction.user
    if user is None:
        raise Refused(404, "session.identifier_not_found")
    asks = state.experience.get("mfa", {}).get("factors") and state.defect != "asks for no second factor"
    if asks and not interaction.has_second_factor and not request.at_console:
        if user.email is None:
            raise Refused(422, "user.missing_mfa")
        raise Refused(403, "session.mfa.require_mfa_verification")
    interaction.ended = True
    if interaction.new_password is not None:
        if state.defect != "keeps the old password":
            user.password = interaction.new_password
        return Answer(204)
    return Answer(200, {"redirectTo": f"/oidc/auth/{request.cookies['_interaction']}"})


@route("PUT", "/api/interaction")
def begin_interaction(state: State, request: Request) -> Answer:
    """Choose the event of an interaction, in the deprecated API."""
    find_interaction(state, request).event = request.body["event"]
    return Answer()


@route("POST", "/api/interaction/verification/verification-code")
def send_interaction_code(state: State, request: Request) -> Answer:
    """Send a code to a visitor, in the deprecated API. It is stored before the mail is sent."""
    interaction = find_interaction(state, request)
    email, code = request.body["email"], state.make_code()
    interaction.verifications[email] = Verification(email, code, interaction.event)
    try:
        state.send(interaction.event, email, {"code": code}, client=_client(state, request))
    except Refused:
        if state.defect == "drops the code of a refused mail":
            del interaction.verifications[email]
        raise
    return Answer()


@route("PATCH", "/api/interaction/identifiers")
def verify_interaction_code(state: State, request: Request) -> Answer:
    """Check a code, in the deprecated API."""
    interaction = find_interaction(state, request)
    email = request.body["email"]
    state.check_code(interaction.verifications.get(email), request.body["verificationCode"])
    interaction.user = state.find_user(email=email)
    return Answer()


@route("POST", "/api/interaction/submit")
def submit_interaction(state: State, request: Request) -> Answer:
    """End an interaction, in the deprecated API."""
    return submit(state, request)


def read_cookies(header: str) -> dict[str, str]:
    """Return cookies by name; a value may be raw JSON."""
    pairs: list[Any] = [part.partition("=") for part in header.split("; ") if part]
    return {unquote(name): value for name, _, value in pairs}
