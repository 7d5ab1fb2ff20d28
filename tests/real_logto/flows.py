"""Every flow in which Logto mails: the mail is read from the inbox, and its code or link is used."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from examples.logto.set_up import run_sql
from tests.real_logto.inbox import payload_of
from tests.real_logto.logto import (
    ADMIN_CONSOLE,
    DEMO_APP,
    PASSWORD,
    SCOPE,
    Browser,
    Logto,
    Tokens,
    make_email,
    make_username,
)

if TYPE_CHECKING:
    from collections.abc import Callable

LINK = "https://app.example.com/join?a=1&b=2"
NEW_PASSWORD = "another-Horse-8-battery"
ME = "https://admin.logto.app/me"
TEST_CODE = "000000"
EMAIL_FACTOR = {"factors": ["EmailVerificationCode"], "policy": "Mandatory"}
# Email is a second factor only where it is no way to sign in or up.
SECOND_FACTOR: dict[str, Any] = {
    "signUp": {"identifiers": ["username"], "password": True, "verify": False},
    "signIn": {
        "methods": [
            {
                "identifier": "username",
                "password": True,
                "verificationCode": False,
                "isPasswordPrimary": True,
            },
            {"identifier": "email", "password": True, "verificationCode": False, "isPasswordPrimary": True},
        ]
    },
    "forgotPasswordMethods": [],
    "mfa": EMAIL_FACTOR,
}


class NotPossibleError(Exception):
    """This Logto cannot do it, and that is no fault. The text says why."""


@dataclass(frozen=True)
class Check:
    """One thing that is driven or measured.

    Attributes:
        run: Does it, and asserts.
        since: The first release that can do it.
    """

    run: Callable[[Logto], None]
    since: str = "1.24.1"

    @property
    def name(self) -> str:
        """The name of its function."""
        return self.run.__name__


def assert_equal(what: str, actual: object, expected: object) -> None:
    """Assert that a value is the expected one; the message names both."""
    assert actual == expected, f"{what} is {actual!r}, not {expected!r}"


def assert_status(response: httpx.Response, *statuses: int) -> None:
    """Assert the status of a response."""
    request = response.request
    assert response.status_code in statuses, (
        f"{request.method} {request.url.path} got {response.status_code}, not {statuses}: {response.text}"
    )


def make_wrong(code: str) -> str:
    """Return a code that differs from another one in its last digit."""
    return f"{code[:-1]}{(int(code[-1]) + 1) % 10}"


def assert_code_refused(response: httpx.Response) -> None:
    """Assert that Logto refused a code."""
    assert response.status_code == 400, f"a wrong code got {response.status_code}: {response.text}"
    assert response.json()["code"].startswith("verification_code."), response.text


def use_code(browser: Browser, logto: Logto, email: str, event: str, type: str) -> tuple[str, dict[str, Any]]:
    """Ask for a code, enter a wrong one and then that of the mail; return the verification and the mail."""
    verification = browser.request_code(email, event)
    mail = logto.inbox.wait(email, type)
    assert_code_refused(browser.enter_code(email, verification, make_wrong(mail["code"])))
    response = browser.enter_code(email, verification, mail["code"])
    assert response.status_code == 200, f"the code of the mail got {response.status_code}: {response.text}"
    return verification, mail


def sign_in(logto: Logto, email: str) -> Tokens:
    """Return the tokens of a user who signs in with the usual password."""
    with logto.open_browser() as browser:
        browser.begin("SignIn")
        response = browser.enter_password("email", email)
        assert_status(response, 200)
        browser.identify(response.json()["verificationId"])
        return browser.finish(browser.submit())


def mail_of_the_connector_test(logto: Logto) -> None:
    """The connector's own test sends the code that is none."""
    email = make_email("test")
    body = {"email": email, "config": {"endpoint": logto.inbox.endpoint}, "locale": "pt-BR"}
    response = logto.call("POST", "/api/connectors/http-email/test", body)
    assert_status(response, 204)
    assert_equal("the code of the test", logto.inbox.wait(email, "Generic")["code"], TEST_CODE)


def code_of_the_management_api(logto: Logto) -> None:
    """A backend asks for a code and checks what the user typed."""
    email = make_email("management")
    assert_status(logto.call("POST", "/api/verification-codes", {"email": email}), 204)
    code = logto.inbox.wait(email, "Generic")["code"]

    def verify(code: str) -> httpx.Response:
        body = {"email": email, "verificationCode": code}
        return logto.call("POST", "/api/verification-codes/verify", body)

    assert_code_refused(verify(make_wrong(code)))
    assert_status(verify(code), 204)
    assert_code_refused(verify(code))


def sign_up_with_a_code(logto: Logto) -> None:
    """A visitor signs up with the code, to the tokens of a new user."""
    email = make_email("register")
    logto.set_up()
    with logto.open_browser() as browser:
        browser.begin("Register")
        verification, mail = use_code(browser, logto, email, "Register", "Register")
        if logto.has("1.25.0"):
            assert_equal("the application", payload_of(mail).get("application", {}).get("id"), DEMO_APP)
        browser.identify(verification)
        assert_equal("the new user's address", browser.finish(browser.submit()).claims()["email"], email)


def sign_in_with_a_code(logto: Logto) -> None:
    """A user signs in with the code, to tokens."""
    email = make_email("sign-in")
    logto.set_up()
    user = logto.make_user(primaryEmail=email)
    with logto.open_browser() as browser:
        browser.begin("SignIn")
        verification, _ = use_code(browser, logto, email, "SignIn", "SignIn")
        browser.identify(verification)
        assert_equal("the user", browser.finish(browser.submit()).claims()["sub"], user["id"])


def reset_of_the_password(logto: Logto) -> None:
    """The code lets a user set a new password, with which the user then signs in."""
    email = make_email("forgot")
    logto.set_up()
    logto.make_user(primaryEmail=email)
    with logto.open_browser() as browser:
        browser.begin("ForgotPassword")
        verification, _ = use_code(browser, logto, email, "ForgotPassword", "ForgotPassword")
        browser.identify(verification)
        browser.expect("PUT", "/api/experience/profile/password", {"password": NEW_PASSWORD})
        assert_status(browser.submit(), 200, 204)
    with logto.open_browser() as browser:
        browser.begin("SignIn")
        assert browser.enter_password("email", email).is_client_error, "the old password still works"
        response = browser.enter_password("email", email, NEW_PASSWORD)
        assert_status(response, 200)


def second_factor(logto: Logto) -> None:
    """A user with a password is asked for the code, and gets no tokens without it."""
    email = make_email("second-factor")
    logto.set_up(**SECOND_FACTOR)
    user = logto.make_user(primaryEmail=email, username=make_username())
    try:
        with logto.open_browser() as browser:
            browser.begin("SignIn")
            response = browser.enter_password("username", user["username"])
            browser.identify(response.json()["verificationId"])
            refused = browser.submit()
            assert refused.status_code == 403, f"no second factor was asked for: {refused.text}"
            assert_equal("the reason", refused.json()["code"], "session.mfa.require_mfa_verification")
            path = "/api/experience/verification/mfa-verification-code"
            answer = browser.expect("POST", path, {"identifierType": "email"})
            code = logto.inbox.wait(email, "MfaVerification")["code"]
            body = {"verificationId": answer["verificationId"], "identifierType": "email"}
            assert_code_refused(browser.send("POST", f"{path}/verify", {**body, "code": make_wrong(code)}))
            browser.expect("POST", f"{path}/verify", {**body, "code": code})
            assert_equal("the user", browser.finish(browser.submit()).claims()["sub"], user["id"])
    finally:
        logto.set_up()


def binding_a_second_factor(logto: Logto) -> None:
    """A user without an address must bind one, and then has it."""
    email = make_email("bind")
    logto.set_up(**SECOND_FACTOR)
    user = logto.make_user(username=make_username())
    try:
        with logto.open_browser() as browser:
            browser.begin("SignIn")
            response = browser.enter_password("username", user["username"])
            browser.identify(response.json()["verificationId"])
            refused = browser.submit()
            assert refused.status_code == 422, f"no second factor had to be bound: {refused.text}"
            assert_equal("the reason", refused.json()["code"], "user.missing_mfa")
            type = "BindMfa" if logto.has("1.32.0") else "BindNewIdentifier"
            verification, _ = use_code(browser, logto, email, "SignIn", type)
            body = {"type": "EmailVerificationCode", "verificationId": verification}
            browser.expect("POST", "/api/experience/profile/mfa", body)
            assert_equal("the user", browser.finish(browser.submit()).claims()["sub"], user["id"])
    finally:
        logto.set_up()
    bound = logto.api.call("GET", f"/api/users/{user['id']}")["primaryEmail"]
    assert_equal("the address of the user", bound, email)


def verify_by_account(
    logto: Logto, tokens: Tokens, email: str, type: str, after: int = 0, **asked: str
) -> tuple[str, dict[str, Any]]:
    """Ask the Account API for a code and enter it; return the verification and the mail."""
    identifier = {"type": "email", "value": email}
    path = "/api/verifications/verification-code"
    response = tokens.send("POST", path, {"identifier": identifier, **asked})
    assert_status(response, 201)
    verification = response.json()["verificationRecordId"]
    mail = logto.inbox.wait(email, type, after)
    body = {"identifier": identifier, "verificationId": verification}
    wrong = tokens.send("POST", f"{path}/verify", {**body, "code": make_wrong(mail["code"])})
    assert_code_refused(wrong)
    response = tokens.send("POST", f"{path}/verify", {**body, "code": mail["code"]})
    assert_status(response, 200)
    return verification, mail


def new_address_in_the_account(logto: Logto) -> None:
    """A user proves the old address and the new one, and then has the new one."""
    old, new = make_email("old"), make_email("new")
    logto.set_up()
    # Releases before 1.26 have no such setting, and the Account API is open.
    logto.call("PATCH", "/api/account-center", {"enabled": True, "fields": {"email": "Edit"}})
    user = logto.make_user(primaryEmail=old)
    tokens = sign_in(logto, old)
    permission, mail = verify_by_account(logto, tokens, old, "UserPermissionValidation")
    if logto.has("1.25.0"):
        assert_equal("the user in the mail", payload_of(mail).get("user", {}).get("id"), user["id"])
    verification, _ = verify_by_account(logto, tokens, new, "BindNewIdentifier")
    response = tokens.send(
        "POST",
        "/api/my-account/primary-email",
        {"email": new, "newIdentifierVerificationRecordId": verification},
        {"logto-verification-id": permission},
    )
    assert_status(response, 204)
    changed = logto.api.call("GET", f"/api/users/{user['id']}")["primaryEmail"]
    assert_equal("the address of the user", changed, new)


def own_address_as_second_factor(logto: Logto) -> None:
    """A user who makes the own address a second factor proves it with a mail of its own type."""
    email = make_email("factor")
    logto.set_up()
    logto.call("PATCH", "/api/account-center", {"enabled": True, "fields": {"email": "Edit", "mfa": "Edit"}})
    user = logto.make_user(primaryEmail=email)
    _, mail = verify_by_account(logto, sign_in(logto, email), email, "BindMfa", templateType="BindMfa")
    assert_equal("the user in the mail", payload_of(mail).get("user", {}).get("id"), user["id"])


def invitation_that_is_accepted(logto: Logto) -> None:
    """An invitation carries the caller's link, is the same when sent again, and makes a member."""
    email = make_email("invitation")
    organization = logto.make_organization()
    user = logto.make_user(primaryEmail=email)
    payload = {"link": LINK, "locale": "de"}
    response = logto.call(
        "POST", "/api/organization-invitations", make_invitation(email, organization, payload)
    )
    assert_status(response, 201)
    invitation = response.json()["id"]
    first = logto.inbox.wait(email, "OrganizationInvitation")
    assert_equal("the link of the mail", first["link"], LINK)
    if logto.has("1.25.0"):
        shown = payload_of(first).get("organization", {}).get("id")
        assert_equal("the organization in the mail", shown, organization)
    response = logto.call("POST", f"/api/organization-invitations/{invitation}/message", payload)
    assert_status(response, 204)
    second = logto.inbox.wait(email, "OrganizationInvitation", first["id"])
    assert second["body"] == first["body"], "the invitation that was sent again differs"
    body = {"status": "Accepted", "acceptedUserId": user["id"]}
    response = logto.call("PUT", f"/api/organization-invitations/{invitation}/status", body)
    assert_status(response, 200)
    members = logto.api.call("GET", f"/api/organizations/{organization}/users")
    assert_equal("the members", [member["id"] for member in members], [user["id"]])


def make_invitation(email: str, organization: str, payload: object) -> dict[str, Any]:
    """Return the body of a request that invites."""
    expires = round((time.time() + 3600) * 1000)
    return {"invitee": email, "organizationId": organization, "expiresAt": expires, "messagePayload": payload}


def sign_in_by_the_interaction_api(logto: Logto) -> None:
    """The deprecated API mails for each event, and its code signs in."""
    email = make_email("interaction")
    logto.set_up()
    user = logto.make_user(primaryEmail=email)
    for event, to in (("Register", make_email("interaction")), ("ForgotPassword", email), ("SignIn", email)):
        with logto.open_browser() as browser:
            browser.authorize()
            browser.expect("PUT", "/api/interaction", {"event": event})
            browser.expect("POST", "/api/interaction/verification/verification-code", {"email": to})
            mail = logto.inbox.wait(to, event)
            body = {"email": to, "verificationCode": make_wrong(mail["code"])}
            assert_code_refused(browser.send("PATCH", "/api/interaction/identifiers", body))
            body["verificationCode"] = mail["code"]
            browser.expect("PATCH", "/api/interaction/identifiers", body)
            if event == "SignIn":
                tokens = browser.finish(browser.send("POST", "/api/interaction/submit"))
                assert_equal("the user", tokens.claims()["sub"], user["id"])


def code_of_the_console(logto: Logto) -> None:
    """The first admin registers at the console, which then mails a code for the profile.

    The console is a tenant of its own. Its connector is set in the database, since no API gives a token
    before there is an admin.
    """
    console = logto.admin_endpoint
    config = json.dumps({"endpoint": logto.inbox.endpoint})
    # Logto caches its settings: they are set before it reads them. The check of passwords asks the internet.
    statement = (
        "insert into connectors (tenant_id, id, connector_id, config) "
        f"values ('admin', 'mail-contract', 'http-email', '{config}') on conflict do nothing; "
        """update sign_in_experiences set password_policy = '{"rejects": {"pwned": false}}' """
        "where tenant_id = 'admin'"
    )
    run_sql(statement, logto.db_url)
    mode = httpx.get(f"{console}/api/.well-known/sign-in-exp").json()["signInMode"]
    if mode != "Register":
        raise NotPossibleError("the console has an admin already, and only the first one registers")
    with Browser(console, f"{console}/console/callback", ADMIN_CONSOLE) as browser:
        browser.begin("Register", ME, f"{SCOPE} all")
        body = {"identifier": {"type": "username", "value": make_username()}, "password": PASSWORD}
        path = "/api/experience/verification/new-password-identity"
        verification = browser.expect("POST", path, body)["verificationId"]
        browser.identify(verification)
        tokens = browser.finish(browser.submit(), ME)
    email = make_email("me")
    response = tokens.send("POST", "/me/verification-codes", {"email": email})
    assert_status(response, 204)
    code = logto.inbox.wait(email, "Generic")["code"]

    def verify(code: str) -> httpx.Response:
        body = {"email": email, "verificationCode": code, "action": "changeEmail"}
        return tokens.send("POST", "/me/verification-codes/verify", body)

    assert_code_refused(verify(make_wrong(code)))
    assert_status(verify(code), 204)


FLOWS = (
    Check(mail_of_the_connector_test),
    Check(code_of_the_management_api),
    Check(sign_up_with_a_code),
    Check(sign_in_with_a_code),
    Check(reset_of_the_password),
    Check(second_factor, "1.31.0"),
    Check(binding_a_second_factor, "1.31.0"),
    Check(new_address_in_the_account),
    Check(own_address_as_second_factor, "1.32.0"),
    Check(invitation_that_is_accepted),
    Check(sign_in_by_the_interaction_api),
    Check(code_of_the_console),
)
