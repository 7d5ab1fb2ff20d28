"""Drives the stand-in through every flow and consequence, and shows that each check can fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.real_logto.consequences import CONSEQUENCES
from tests.real_logto.flows import FLOWS, NotPossibleError, code_of_the_console
from tests.support.logto.state import MAILS

from logto_mail_contract.catalogue import current_revision, index

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.real_logto.logto import Logto

CHECKS = {check.name: check for check in (*FLOWS, *CONSEQUENCES)}

# What a stand-in does wrong, and the start of what the check says of it.
BROKEN = {
    "mail_of_the_connector_test": [
        ("a real code in the test", "the code of the test is '123456', not '000000'"),
        ("no mail for test", "no mail to test-"),
    ],
    "code_of_the_management_api": [
        ("takes any code", "a wrong code got 204"),
        ("takes codes again", "a wrong code got 204"),
        ("takes no code", "/api/verification-codes/verify got 400"),
        ("no mail for management", "no mail to management-"),
    ],
    "sign_up_with_a_code": [
        ("takes any code", "a wrong code got 200"),
        ("takes no code", "the code of the mail got 400"),
        ("forgets the application", "the application is None"),
        ("ends with an error", "the sign-in ended at"),
        ("signs another user in", "the new user's address is 'other@example.com'"),
    ],
    "sign_in_with_a_code": [
        ("takes any code", "a wrong code got 200"),
        ("another type for SignIn", "has the type Generic, not SignIn"),
        ("signs another user in", "the user is "),
    ],
    "reset_of_the_password": [
        ("takes any code", "a wrong code got 200"),
        ("keeps the old password", "the old password still works"),
    ],
    "second_factor": [
        ("asks for no second factor", "no second factor was asked for"),
        ("takes any code", "a wrong code got 200"),
        ("another type for MfaVerification", "has the type Generic, not MfaVerification"),
    ],
    "binding_a_second_factor": [
        ("asks for no second factor", "no second factor had to be bound"),
        ("another type for BindMfa", "has the type Generic, not BindMfa"),
        ("binds no address", "the address of the user is None"),
    ],
    "new_address_in_the_account": [
        ("another user", "the user in the mail is "),
        ("takes any code", "a wrong code got 200"),
        ("keeps the old address", "the address of the user is 'old-"),
    ],
    "own_address_as_second_factor": [
        ("another type for account BindMfa", "has the type Generic, not BindMfa"),
        ("another user", "the user in the mail is "),
    ],
    "invitation_that_is_accepted": [
        ("no mail for invitation", "no mail to invitation-"),
        (
            "another link",
            "the link of the mail is 'https://app.example.com/join?a=1'",
        ),
        ("another organization", "the organization in the mail is "),
        ("another mail when sent again", "the invitation that was sent again differs"),
        ("adds no member", "the members is []"),
    ],
    "sign_in_by_the_interaction_api": [
        ("takes any code", "a wrong code got 204"),
        ("another type for ForgotPassword", "has the type Generic, not ForgotPassword"),
        ("signs another user in", "the user is "),
    ],
    "code_of_the_console": [
        ("takes any code", "a wrong code got 204"),
        ("no mail for management", "no mail to me-"),
    ],
    "an_error_fails_the_request_with_the_text": [
        ("ignores failures", "the failed send got 204"),
        ("hides the text", '{"code": "connector.general"'),
        ("sends failed mails again", "the number of mails is 3"),
    ],
    "an_error_fails_a_visitor_with_the_text": [
        ("ignores failures", "the failed send got 200"),
        ("hides the text", '{"code": "connector.general"'),
        ("sends failed mails again", "the number of mails is 3"),
    ],
    "the_code_of_a_refused_mail_works_in_the_management_api": [
        ("drops the code of a refused mail", "the code of the refused mail got"),
    ],
    "the_code_of_a_refused_mail_works_in_the_interaction_api": [
        ("drops the code of a refused mail", "the code of the refused mail got"),
        ("ignores failures", "the failed send got 204"),
    ],
    "the_code_of_a_refused_mail_is_void_for_a_visitor": [
        ("takes any code", "a wrong code got 200"),
        ("drops earlier codes of a failed mail", "a wrong code got 404"),
    ],
    "a_204_with_a_body_fails_the_request": [("ignores faults", "the failed send got 204")],
    "a_redirect_is_followed_with_the_message": [("follows no redirect", "/api/verification-codes got 400")],
    "a_redirect_without_location_fails_the_request": [("takes any answer", "the failed send got 204")],
    "a_304_without_location_counts_as_sent": [("fails after a 304", "after a 304 the send got 400")],
    "a_303_loses_the_message": [
        ("follows no redirect", "after a 303 the send got 400"),
        ("posts after a 303", "the number of mails is 2"),
    ],
    "another_origin_gets_no_authorization": [
        ("follows no redirect", "/api/connectors/http-email/test got 400"),
        ("keeps the authorization elsewhere", "the authorization elsewhere is ['Token of my own']"),
        ("other authorization", "the authorization here is ['Bearer Token of my own']"),
    ],
    "a_refused_connection_fails_the_request": [("ignores failures", "the failed send got 204")],
    "silence_cuts_the_connection": [
        ("gives up early", "the connection was cut after "),
        ("reports silence", "DID NOT RAISE"),
    ],
    "a_failed_mail_rolls_the_invitation_back": [
        ("keeps the invitation of a failed mail", "the list of invitations is [{"),
        ("ignores failures", "the failed send got 201"),
    ],
    "a_reset_for_an_unknown_address_mails_nothing": [("mails unknown addresses", "the number of mails is 1")],
    "too_many_mails_to_one_address_are_refused": [("no limit", "the mail after 10 got 204")],
    "the_authorization_is_sent_as_set": [("other authorization", "the header is ['Bearer Token of my own']")],
    "only_the_test_sends_an_empty_authorization": [
        ("saves an empty authorization", "the header of the saved connector is ['']"),
        ("sends no empty authorization", "the header of the test is []"),
    ],
}
FLOW_OF_MAIL = {
    "test": "mail_of_the_connector_test",
    "management": "code_of_the_management_api",
    "SignIn": "sign_in_with_a_code",
    "Register": "sign_up_with_a_code",
    "ForgotPassword": "reset_of_the_password",
    "MfaVerification": "second_factor",
    "BindMfa": "binding_a_second_factor",
    "UserPermissionValidation": "new_address_in_the_account",
    "BindNewIdentifier": "new_address_in_the_account",
    "account BindMfa": "own_address_as_second_factor",
}
# An early end shows only against a late one.
SETTINGS: dict[str, dict[str, Any]] = {"gives up early": {"silence_seconds": 30}}


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_passes_for_the_stand_in(name: str, make_logto: Callable[..., Logto]) -> None:
    CHECKS[name].run(make_logto())


@pytest.mark.parametrize(
    ("name", "defect", "message"),
    [(name, defect, message) for name, defects in BROKEN.items() for defect, message in defects],
)
def test_a_check_fails_for_a_broken_stand_in(
    name: str, defect: str, message: str, make_logto: Callable[..., Logto]
) -> None:
    logto = make_logto(defect, **SETTINGS.get(defect, {}))
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError)) as caught:
        CHECKS[name].run(logto)
    assert message in str(caught.value)


@pytest.mark.parametrize("mail", FLOW_OF_MAIL)
def test_a_body_that_logto_does_not_emit_fails_its_flow(mail: str, make_logto: Callable[..., Logto]) -> None:
    logto = make_logto(f"an unknown variable in {mail}")
    with pytest.raises(AssertionError, match=r"does not emit this: (?s:.*)theme"):
        CHECKS[FLOW_OF_MAIL[mail]].run(logto)


def test_every_check_has_a_broken_stand_in() -> None:
    assert set(BROKEN) == set(CHECKS)


def test_the_flows_mail_every_type() -> None:
    newest = next(entry for entry in index()["revisions"] if entry["id"] == current_revision())
    flows = {"OrganizationInvitation", "Generic", *MAILS} - {
        "test",
        "management",
        "invitation",
        "account BindMfa",
    }
    assert flows == set(newest["templateTypes"])


def test_the_console_mails_only_for_its_first_admin(make_logto: Callable[..., Logto]) -> None:
    logto = make_logto()
    code_of_the_console(logto)
    with pytest.raises(NotPossibleError, match="has an admin already"):
        code_of_the_console(logto)
