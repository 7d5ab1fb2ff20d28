"""What Logto does when its endpoint misbehaves, as ``schemas/rules.json`` claims."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest
from examples.logto.set_up import set_connector
from tests.real_logto.flows import (
    LINK,
    Check,
    NotPossibleError,
    assert_code_refused,
    assert_equal,
    assert_status,
    make_invitation,
)
from tests.real_logto.logto import Logto, make_email

if TYPE_CHECKING:
    from collections.abc import Mapping

DOWN: dict[str, Any] = {"reply": "response", "status": 500, "body": "the mail service is down"}
# Nothing listens at the port `discard` of a machine or a container.
CLOSED = "http://127.0.0.1:9/"
MAX_MAILS = 10
SLACK_SECONDS = 20


def request_code(logto: Logto, email: str) -> httpx.Response:
    """Ask the management API for a code."""
    return logto.call("POST", "/api/verification-codes", {"email": email})


def verify_code(logto: Logto, email: str, code: str) -> httpx.Response:
    """Let the management API verify a code."""
    return logto.call("POST", "/api/verification-codes/verify", {"email": email, "verificationCode": code})


def assert_send_failed(response: httpx.Response) -> None:
    """Assert that Logto reports a failed send."""
    assert response.status_code == 400, f"the failed send got {response.status_code}: {response.text}"
    assert response.json()["code"] == "connector.general", response.text


def fail_send(logto: Logto, email: str, reply: Mapping[str, object]) -> httpx.Response:
    """Ask for a code whose mail gets a scripted response; return Logto's response."""
    logto.inbox.script(email, dict(reply))
    return request_code(logto, email)


def an_error_fails_the_request_with_the_text(logto: Logto) -> None:
    """A 500 is a 400 for the user, with the receiver's text in it, and nothing is sent again."""
    email = make_email("error")
    response = fail_send(logto, email, DOWN)
    assert_send_failed(response)
    assert DOWN["body"] in response.text, response.text
    # The next mail is sent after any retry.
    assert_status(request_code(logto, email), 204)
    assert_equal("the number of mails", len(logto.inbox.list(email)), 2)


def the_code_of_a_refused_mail_works_in_the_management_api(logto: Logto) -> None:
    """The code is stored before the mail is sent."""
    email = make_email("refused")
    assert_send_failed(fail_send(logto, email, DOWN))
    code = logto.inbox.wait(email, "Generic")["code"]
    response = verify_code(logto, email, code)
    assert response.status_code == 204, f"the code of the refused mail got {response.text}"


def the_code_of_a_refused_mail_is_void_for_a_visitor(logto: Logto) -> None:
    """In the sign-in page the verification is not stored; an earlier, delivered code goes on working."""
    email = make_email("refused")
    logto.set_up()
    with logto.open_browser() as browser:
        browser.begin("Register")
        verification = browser.request_code(email, "Register")
        delivered = logto.inbox.wait(email, "Register")
        logto.inbox.script(email, DOWN)
        body = {"identifier": {"type": "email", "value": email}, "interactionEvent": "Register"}
        assert_send_failed(browser.send("POST", "/api/experience/verification/verification-code", body))
        refused = logto.inbox.wait(email, "Register", delivered["id"])
        if refused["code"] != delivered["code"]:
            assert_code_refused(browser.enter_code(email, verification, refused["code"]))
        response = browser.enter_code(email, verification, delivered["code"])
        assert response.status_code == 200, f"the delivered code got {response.text}"


def an_error_fails_a_visitor_with_the_text(logto: Logto) -> None:
    """The sign-in page gets the receiver's text too, and nothing is sent again."""
    email = make_email("visitor")
    logto.set_up()
    with logto.open_browser() as browser:
        browser.begin("Register")
        logto.inbox.script(email, DOWN)
        body = {"identifier": {"type": "email", "value": email}, "interactionEvent": "Register"}
        response = browser.send("POST", "/api/experience/verification/verification-code", body)
        assert_send_failed(response)
        assert DOWN["body"] in response.text, response.text
        # The next mail is sent after any retry.
        browser.request_code(email, "Register")
    assert_equal("the number of mails", len(logto.inbox.list(email)), 2)


def the_code_of_a_refused_mail_works_in_the_interaction_api(logto: Logto) -> None:
    """The deprecated API stores the code before the mail is sent."""
    email = make_email("refused")
    logto.set_up()
    with logto.open_browser() as browser:
        browser.authorize()
        browser.expect("PUT", "/api/interaction", {"event": "Register"})
        logto.inbox.script(email, DOWN)
        path = "/api/interaction/verification/verification-code"
        assert_send_failed(browser.send("POST", path, {"email": email}))
        code = logto.inbox.wait(email, "Register")["code"]
        body = {"email": email, "verificationCode": code}
        response = browser.send("PATCH", "/api/interaction/identifiers", body)
        assert response.is_success, f"the code of the refused mail got {response.text}"


def a_204_with_a_body_fails_the_request(logto: Logto) -> None:
    """The connector cannot read a 204 that has a body."""
    reply = {"reply": "response", "status": 204, "body": "surplus"}
    assert_send_failed(fail_send(logto, make_email("surplus"), reply))


def a_redirect_is_followed_with_the_message(logto: Logto) -> None:
    """After a 307 the same message is posted again, and the send succeeds."""
    email = make_email("redirect")
    reply = {"reply": "redirect", "location": "/moved", "status": 307}
    response = fail_send(logto, email, reply)
    assert_status(response, 204)
    targets = {mail["target"]: mail["body"] for mail in logto.inbox.list(email)}
    assert len(targets) == 2, f"the redirect was not followed: {[*targets]}"
    assert "/moved" in targets, f"the redirect was not followed: {[*targets]}"
    assert len(set(targets.values())) == 1, f"another body was posted after the redirect: {targets}"


def a_redirect_without_location_fails_the_request(logto: Logto) -> None:
    """A 302 or 303 without Location is an error."""
    for status in (302, 303):
        reply = {"reply": "response", "status": status, "body": "elsewhere"}
        assert_send_failed(fail_send(logto, make_email("nowhere"), reply))


def a_304_without_location_counts_as_sent(logto: Logto) -> None:
    """The connector takes a 304 for success."""
    response = fail_send(logto, make_email("unchanged"), {"reply": "response", "status": 304})
    assert response.status_code == 204, f"after a 304 the send got {response.status_code}: {response.text}"


def a_303_loses_the_message(logto: Logto) -> None:
    """After a 303 the target gets a GET without the message, and its 200 counts as success."""
    email = make_email("see-other")
    reply = {"reply": "redirect", "location": "/healthz", "status": 303}
    response = fail_send(logto, email, reply)
    assert response.status_code == 204, f"after a 303 the send got {response.status_code}: {response.text}"
    assert_equal("the number of mails", len(logto.inbox.list(email)), 1)


def another_origin_gets_no_authorization(logto: Logto) -> None:
    """A redirect to another host takes the message there, and leaves the authorization out."""
    email = make_email("elsewhere")
    location = f"{name_otherwise(logto.inbox.endpoint)}/elsewhere"
    logto.inbox.script(email, {"reply": "redirect", "location": location, "status": 307})
    config = {"endpoint": logto.inbox.endpoint, "authorization": "Token of my own"}
    assert_status(send_test(logto, email, config), 204)
    sent = {mail["target"] == "/elsewhere": mail for mail in logto.inbox.list(email)}
    assert_equal("the targets", [*sent], [False, True])
    assert_equal("the message elsewhere", sent[True]["body"], sent[False]["body"])
    assert_equal("the authorization here", list_authorizations(sent[False]), [config["authorization"]])
    assert_equal("the authorization elsewhere", list_authorizations(sent[True]), [])


def name_otherwise(url: str) -> str:
    """Return the origin of a URL with another name of the same host.

    Raises:
        NotPossibleError: The host has no other name.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host.replace(".", "").isdecimal() and not host.startswith("127."):
        raise NotPossibleError(f"{host} has no other name to redirect to")
    # A full stop at the end of a name makes another origin of it.
    other = {"127.0.0.1": "localhost", "localhost": "127.0.0.1"}.get(host, f"{host}.")
    return f"{parts.scheme}://{other}:{parts.port or 80}"


def a_refused_connection_fails_the_request(logto: Logto) -> None:
    """An endpoint where nothing listens is a failed send."""
    assert_send_failed(send_test(logto, make_email("closed"), {"endpoint": CLOSED}))


def silence_cuts_the_connection(logto: Logto) -> None:
    """The connector waits for ever; Logto cuts the user's connection without a response."""
    email = make_email("silence")
    started = time.monotonic()
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        fail_send(logto, email, {"reply": "silence"})
    seconds = time.monotonic() - started
    assert logto.inbox.wait(email, "Generic")
    limit = logto.silence_seconds
    assert 0.9 * limit <= seconds <= limit + SLACK_SECONDS, f"the connection was cut after {seconds:.1f} s"


def a_failed_mail_rolls_the_invitation_back(logto: Logto) -> None:
    """There is no invitation, although its link was mailed."""
    email = make_email("rolled-back")
    organization = logto.make_organization()
    logto.inbox.script(email, DOWN)
    body = make_invitation(email, organization, {"link": LINK})
    assert_send_failed(logto.call("POST", "/api/organization-invitations", body))
    assert_equal("the link of the mail", logto.inbox.wait(email, "OrganizationInvitation")["link"], LINK)
    path = f"/api/organization-invitations?organizationId={organization}"
    assert_equal("the list of invitations", logto.api.call("GET", path), [])


def a_reset_for_an_unknown_address_mails_nothing(logto: Logto) -> None:
    """Logto says that it sent a code, and sends none."""
    email = make_email("unknown")
    logto.set_up()
    with logto.open_browser() as browser:
        browser.begin("ForgotPassword")
        browser.request_code(email, "ForgotPassword")
    assert_equal("the number of mails", len(logto.inbox.list(email)), 0)


def too_many_mails_to_one_address_are_refused(logto: Logto) -> None:
    """After ten mails in 600 seconds the next one is a 429."""
    email = make_email("limit")
    statuses = [request_code(logto, email).status_code for _ in range(MAX_MAILS)]
    assert_equal("the statuses", statuses, [204] * MAX_MAILS)
    response = request_code(logto, email)
    assert response.status_code == 429, f"the mail after {MAX_MAILS} got {response.status_code}"
    assert_equal("the number of mails", len(logto.inbox.list(email)), MAX_MAILS)


def the_authorization_is_sent_as_set(logto: Logto) -> None:
    """The connector sends the value of its setting, unchanged."""
    email = make_email("authorization")
    config = {"endpoint": logto.inbox.endpoint, "authorization": "Token of my own"}
    assert_status(send_test(logto, email, config), 204)
    sent = list_authorizations(logto.inbox.wait(email, "Generic"))
    assert_equal("the header", sent, [config["authorization"]])


def only_the_test_sends_an_empty_authorization(logto: Logto) -> None:
    """An empty setting is an empty header in the connector's test, and no header once it is saved."""
    email = make_email("empty")
    endpoint = logto.inbox.endpoint
    assert_status(send_test(logto, email, {"endpoint": endpoint, "authorization": ""}), 204)
    tested = logto.inbox.wait(email, "Generic")
    assert_equal("the header of the test", list_authorizations(tested), [""])
    set_connector(logto.api, endpoint, "")
    try:
        assert_status(request_code(logto, email), 204)
    finally:
        set_connector(logto.api, endpoint)
    saved = logto.inbox.wait(email, "Generic", tested["id"])
    assert_equal("the header of the saved connector", list_authorizations(saved), [])


def send_test(logto: Logto, email: str, config: Mapping[str, str]) -> httpx.Response:
    """Let the connector's test send a mail with settings that are not saved."""
    return logto.call("POST", "/api/connectors/http-email/test", {"email": email, "config": dict(config)})


def list_authorizations(mail: Mapping[str, Any]) -> list[str]:
    """Return the values of each header Authorization of a mail."""
    return [value for name, value in mail["headers"] if name.lower() == "authorization"]


CONSEQUENCES = (
    Check(an_error_fails_the_request_with_the_text),
    Check(an_error_fails_a_visitor_with_the_text),
    Check(the_code_of_a_refused_mail_works_in_the_management_api),
    Check(the_code_of_a_refused_mail_works_in_the_interaction_api),
    Check(the_code_of_a_refused_mail_is_void_for_a_visitor),
    Check(a_204_with_a_body_fails_the_request),
    Check(a_redirect_is_followed_with_the_message),
    Check(a_redirect_without_location_fails_the_request),
    Check(a_304_without_location_counts_as_sent),
    Check(a_303_loses_the_message),
    Check(another_origin_gets_no_authorization),
    Check(a_refused_connection_fails_the_request),
    Check(silence_cuts_the_connection),
    Check(a_failed_mail_rolls_the_invitation_back),
    Check(a_reset_for_an_unknown_address_mails_nothing, "1.39.0"),
    Check(too_many_mails_to_one_address_are_refused, "1.41.0"),
    Check(the_authorization_is_sent_as_set),
    Check(only_the_test_sends_an_empty_authorization, "1.43.0"),
)
