"""The state of the stand-in for Logto: users, codes, interactions, and the mails that it sends."""

from __future__ import annotations

import json
import re
import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.logto import recorded

from logto_mail_contract.connector.posting import post
from logto_mail_contract.judging.responses import is_accepted
from logto_mail_contract.wire.outcomes import NoResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MAX_MAILS = 10
RECORDED = recorded.bodies_by_flow()
MAILS = {
    "test": "mgmt connector test",
    "management": "mgmt POST /verification-codes",
    "invitation": "invite link+locale",
    "SignIn": "experience SignIn demo-app",
    "Register": "experience Register demo-app + Accept-Language fr",
    "ForgotPassword": "experience ForgotPassword known",
    "MfaVerification": "experience MfaVerification",
    "BindMfa": "experience BindMfa (identified, email not a sign-up identifier)",
    "UserPermissionValidation": "account UserPermissionValidation",
    "BindNewIdentifier": "account BindNewIdentifier",
    "account BindMfa": "account BindMfa requested, own email",
}


class Refused(Exception):
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        code: Logto's code.
        message: The text for people.
    """

    def __init__(self, status: int, code: str, message: str = "") -> None:
        super().__init__(f"{status} {code} {message}")
        self.status, self.code, self.message = status, code, message


class Cut(Exception):
    """The user's connection is cut without a response."""


@dataclass
class User:
    """A user."""

    id: str
    password: str | None = None
    email: str | None = None
    username: str | None = None


@dataclass
class Verification:
    """A code that was sent, or a password that was right; ``user`` is known for the latter."""

    email: str | None
    code: str
    type: str = ""
    user: User | None = None
    verified: bool = False


@dataclass
class Interaction:
    """One sign-in in one browser."""

    client: str
    redirect_uri: str
    challenge: str
    state: str
    event: str = "SignIn"
    user: User | None = None
    verifications: dict[str, Verification] = field(default_factory=dict)
    new_password: str | None = None
    has_second_factor: bool = False
    ended: bool = False


def make_id(length: int = 12) -> str:
    """Return an id as Logto makes them."""
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(length))


class State:
    """All that the stand-in knows.

    Args:
        defect: What the stand-in does wrong, so that a check fails; ``tests/real_logto`` lists the defects.
        silence_seconds: After how many seconds without a response it cuts the user's connection.
        statements: The file of the SQL statements that changed its database.
    """

    def __init__(self, defect: str | None, silence_seconds: float, statements: Path) -> None:
        self.defect = defect
        self.silence_seconds = silence_seconds
        self.secret = secrets.token_urlsafe(24)
        self.connector: dict[str, Any] | None = None
        self.statements = statements
        self.has_admin = False
        self.experience: dict[str, Any] = {}
        self.account_center: dict[str, Any] = {"enabled": False}
        self.users: dict[str, User] = {}
        self.codes: dict[tuple[str, str], Verification] = {}
        self.account_verifications: dict[str, Verification] = {}
        self.interactions: dict[str, Interaction] = {}
        self.grants: dict[str, Interaction] = {}
        self.tokens: dict[str, User | None] = {}
        self.organizations: dict[str, list[str]] = {}
        self.invitations: dict[str, dict[str, Any]] = {}
        self.sent: Counter[str] = Counter()

    def read_console_connector(self) -> dict[str, Any]:
        """Return the settings of the console's connector, which only the database can hold.

        Raises:
            Refused: There are none.
        """
        text = self.statements.read_text(encoding="utf-8")
        found = re.search(r"values \('admin', '[\w-]+', 'http-email', '(.*)'\)", text)
        if found is None:
            raise Refused(501, "connector.not_found")
        config: dict[str, Any] = json.loads(found[1])
        return config

    def find_user(self, **wanted: str) -> User | None:
        """Return the user with some value of some attribute."""
        ((name, value),) = wanted.items()
        return next((user for user in self.users.values() if getattr(user, name) == value), None)

    def add_user(self, **members: Any) -> User:
        """Add a user and return it."""
        user = User(make_id(), **members)
        self.users[user.id] = user
        return user

    def make_code(self) -> str:
        """Return a code that was never sent."""
        return f"{secrets.randbelow(10**6):06}"

    def count_mail(self, to: str) -> None:
        """Count a mail to an address.

        Raises:
            Refused: There were too many.
        """
        if self.sent[to] >= MAX_MAILS and self.defect != "no limit":
            raise Refused(429, "request.message_rate_limited")
        self.sent[to] += 1

    def send(
        self,
        flow: str,
        to: str,
        payload: Mapping[str, Any],
        *,
        user: User | None = None,
        client: str | None = "demo-app",
        connector: Mapping[str, Any] | None = None,
    ) -> None:
        """Post a recorded body with other values to the connector's endpoint.

        Args:
            flow: The name of a body in ``MAILS``.
            to: The recipient.
            payload: Variables in place of the recorded ones.
            user: The user in place of the recorded one.
            client: The application; None leaves it out.
            connector: The connector's settings, if they are not those of the tenant.

        Raises:
            Refused: The endpoint answered badly, or there is no connector.
            Cut: The endpoint did not answer.
        """
        connector = connector or self.connector
        if connector is None:
            raise Refused(501, "connector.not_found")
        message = self._make_message(flow, to, payload, user, client)
        if self.defect == f"no mail for {flow}":
            return
        authorization = connector.get("authorization")
        if self.defect == "sends no empty authorization":
            authorization = authorization or None
        if self.defect == "other authorization" and authorization:
            authorization = f"Bearer {authorization}"
        outcome = self._post(connector["endpoint"], message, authorization)
        if self.defect == "sends failed mails again" and not is_accepted(outcome):
            self._post(connector["endpoint"], message, authorization)
        self._judge(outcome)

    def _post(self, url: str, message: dict[str, Any], authorization: str | None) -> Response | NoResponse:
        outcome = post(url, message, authorization, timeout=self._timeout())
        if not isinstance(outcome, Response):
            return outcome
        if self.defect == "posts after a 303" and 303 in outcome.redirects:
            post(url, message, authorization, timeout=self._timeout())
        # Unlike the connector, our client follows no redirect to another origin.
        location = outcome.redirect()
        if location is None or self.defect == "follows no redirect":
            return outcome
        kept = authorization if self.defect == "keeps the authorization elsewhere" else None
        return post(location, message, kept, timeout=self._timeout())

    def _timeout(self) -> float:
        return 0.2 if self.defect == "gives up early" else self.silence_seconds

    def _judge(self, outcome: Response | NoResponse) -> None:
        succeeded = is_accepted(outcome) and isinstance(outcome, Response) and not outcome.faults
        redirected = isinstance(outcome, Response) and outcome.redirects
        if self.defect == "ignores failures":
            return
        if self.defect == "ignores faults" and is_accepted(outcome):
            return
        if self.defect == "takes any answer" and isinstance(outcome, Response):
            return
        if self.defect == "fails after a 304" and isinstance(outcome, Response) and outcome.status == 304:
            raise Refused(400, "connector.general", "unchanged")
        if self.defect == "follows no redirect" and redirected:
            raise Refused(400, "connector.general", "redirect")
        if isinstance(outcome, NoResponse) and outcome.kind == "timeout":
            if self.defect == "reports silence":
                raise Refused(400, "connector.general", "no response")
            raise Cut
        if not succeeded:
            text = outcome.body.decode(errors="replace") if isinstance(outcome, Response) else outcome.problem
            raise Refused(400, "connector.general", "" if self.defect == "hides the text" else text)

    def _make_message(
        self, flow: str, to: str, payload: Mapping[str, Any], user: User | None, client: str | None
    ) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(RECORDED[MAILS[flow]])
        message["to"] = to
        message["payload"].update(payload)
        if client is None:
            message["payload"].pop("application", None)
        if "user" in message["payload"] and user is not None:
            message["payload"]["user"] |= {
                "id": user.id,
                "primaryEmail": user.email,
                "username": user.username,
            }
        if self.defect == f"another type for {flow}":
            message["type"] = "Generic" if message["type"] != "Generic" else "SignIn"
        if self.defect == f"an unknown variable in {flow}":
            message["payload"]["theme"] = "dark"
        return message

    def check_code(self, verification: Verification | None, code: str) -> None:
        """Check a code that a user typed.

        Raises:
            Refused: It is wrong, or was used.
        """
        if verification is None or verification.verified:
            raise Refused(400, "verification_code.not_found")
        if self.defect == "takes no code":
            raise Refused(400, "verification_code.code_mismatch")
        if verification.code != code and self.defect != "takes any code":
            raise Refused(400, "verification_code.code_mismatch")
        verification.verified = self.defect != "takes codes again"
