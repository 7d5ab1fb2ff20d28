"""What is said first of a receiver that is wrong as a whole, and what is then not judged."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from tests.support.broken_receivers import TOKEN, Good, Refused, Request, wsgi

from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.checks import list_rule_ids
from logto_mail_contract.suite.engine import Verification

RULES = list_rule_ids("receiver")


def run_all(app: Good, authorization: str | None = TOKEN) -> tuple[str, dict[str, set[str]]]:
    """Return the diagnosis, and the groups of the rules by their outcome."""
    with (
        closing(Receiver.wsgi(wsgi(app), "/hook", authorization=authorization)) as receiver,
        closing(ReceiverRun(receiver, Settings(examples=3))) as run,
    ):
        groups: dict[str, set[str]] = {}
        for result in Verification(run, RULES):
            groups.setdefault(result.outcome, set()).add(result.rule.id.split("/")[1])
        return run.diagnosis, groups


def answers(status: int, **headers: str) -> Good:
    class Answers(Good):
        def respond(self, request: Request) -> tuple[int, dict[str, str], bytes]:  # noqa: ARG002 - the same to all
            return status, headers, b"no"

    return Answers()


@pytest.mark.parametrize(
    ("app", "authorization", "expected"),
    [
        (answers(404), TOKEN, "Every ordinary message got 404 Not Found: check the path of the URL."),
        (answers(405), TOKEN, "Every ordinary message got 405 Method Not Allowed: check the URL; its path"),
        (
            answers(401),
            TOKEN,
            "401 Unauthorized: check that the authorization is the one",
        ),
        (answers(403), None, "403 Forbidden: give the authorization that the receiver wants"),
        (answers(500), TOKEN, "500 Internal Server Error: the receiver fails on ordinary messages"),
        (answers(415), TOKEN, "415 Unsupported Media Type: the receiver takes another content type"),
        (answers(301, Location="https://example.com/"), TOKEN, "use the URL that it redirects to"),
        (answers(418), TOKEN, "look at the body of the response"),
    ],
    ids=["404", "405", "401", "403", "500", "415", "301", "418"],
)
def test_a_wrong_url_method_or_credential_is_said_in_one_line(
    app: Good, authorization: str | None, expected: str
) -> None:
    diagnosis, groups = run_all(app, authorization)
    assert expected in diagnosis
    assert diagnosis.endswith("What needs an accepted message is not judged.")
    assert "\n" not in diagnosis
    # Nothing vacuous passes: a 404 to everything refuses broken messages too.
    assert not groups.get("passed", set()) - {"respond"}
    assert groups["failed"] <= {"accept", "respond"}


def test_a_receiver_that_responds_the_same_to_everything_is_named() -> None:
    diagnosis, groups = run_all(answers(200))
    assert diagnosis.startswith("Every request got the same response, 200 OK, whatever was in it: check that")
    assert "auth" in groups["failed"]


def test_no_diagnosis_is_made_of_a_receiver_with_a_fault_of_its_own() -> None:
    class RefusesTwoTypes(Good):
        def handle(self, message: Any, request: Request) -> None:  # noqa: ARG002 - as the method that it overrides
            if message["type"] in ("SignIn", "Generic"):
                raise Refused(422)

    assert run_all(RefusesTwoTypes())[0] == ""
    assert run_all(Good())[0] == ""
