"""Sets a running Logto up by its API: the HTTP email connector, sign-up and sign-in with codes by mail.

    docker compose up --detach --wait
    python set_up.py

Variables, with the values that fit ``compose.yaml`` as defaults:

    LOGTO_ENDPOINT         Logto's URL, http://localhost:3001
    LOGTO_ADMIN_ENDPOINT   the URL of its console, http://localhost:3002
    LOGTO_DB_URL           its database, read by psql; without it docker compose runs psql in the container
    MAIL_ENDPOINT          the URL that Logto posts to, http://mail:8025/

A second run changes nothing.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

APPLICATION = "m-default"
"""The application in Logto's seed that may use the management API."""
RESOURCE = "https://default.logto.app/api"
SECRET_QUERY = f"select secret from applications where id='{APPLICATION}'"  # noqa: S608 - a constant
PSQL_IN_CONTAINER = [
    *("docker", "compose", "--file", str(Path(__file__).with_name("compose.yaml"))),
    *("exec", "-T", "postgres", "psql", "--username=postgres", "--dbname=logto"),
]
MAX_REQUEST_SECONDS = 30

SIGN_IN_EXPERIENCE: dict[str, Any] = {
    "signUp": {"identifiers": ["email"], "password": False, "verify": True},
    "signIn": {
        "methods": [
            {"identifier": "email", "password": True, "verificationCode": True, "isPasswordPrimary": False},
            {
                "identifier": "username",
                "password": True,
                "verificationCode": False,
                "isPasswordPrimary": True,
            },
        ]
    },
    "forgotPasswordMethods": ["EmailVerificationCode"],
    "mfa": {"factors": [], "policy": "UserControlled"},
    # The check of leaked passwords asks a server on the internet.
    "passwordPolicy": {"rejects": {"pwned": False}},
}


class SetUpError(Exception):
    """Logto or its database did not do what it was asked. The text says what came instead."""


def run_sql(statement: str, db_url: str | None) -> str:
    """Run one statement in Logto's database and return what psql prints.

    Args:
        statement: The statement.
        db_url: The URL of the database; if None, the database of ``compose.yaml``.

    Raises:
        SetUpError: psql is missing or failed.
    """
    command = [*(PSQL_IN_CONTAINER if db_url is None else ["psql", db_url]), "-At", "-c", statement]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of this file
    except FileNotFoundError as error:
        raise SetUpError(f"{command[0]} is missing, which reads Logto's database: install it") from error
    if result.returncode:
        raise SetUpError(f"{command[0]} failed in Logto's database: {result.stderr.strip()}")
    return result.stdout.strip()


def read_secret(db_url: str | None) -> str:
    """Return the secret of the application that may use the management API.

    Args:
        db_url: As for ``run_sql``.

    Raises:
        SetUpError: The database cannot be read, or has no such application.
    """
    secret = run_sql(SECRET_QUERY, db_url)
    if not secret:
        raise SetUpError(f"the database has no application {APPLICATION}: is it Logto's, and seeded?")
    return secret


@dataclass(frozen=True)
class Management:
    """The management API.

    Attributes:
        endpoint: Logto's URL.
        token: An access token for the API.
    """

    endpoint: str
    token: str

    @classmethod
    def sign_in(cls, endpoint: str, admin_endpoint: str, secret: str) -> Management:
        """Return the API with a token of client credentials.

        Raises:
            SetUpError: Logto refused the credentials, or does not answer.
        """
        form = {"grant_type": "client_credentials", "resource": RESOURCE, "scope": "all"}
        credentials = base64.b64encode(f"{APPLICATION}:{secret}".encode()).decode()
        answer = _send(
            "POST",
            f"{admin_endpoint.rstrip('/')}/oidc/token",
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {credentials}", "Content-Type": "application/x-www-form-urlencoded"},
        )
        return cls(endpoint.rstrip("/"), answer["access_token"])

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send one request and return the answer, a JSON value; None for an empty one.

        Raises:
            SetUpError: The answer is an error, or there is none.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        return _send(method, f"{self.endpoint}{path}", data, headers)


def _send(method: str, url: str, data: bytes | None, headers: Mapping[str, str]) -> Any:
    request = urllib.request.Request(url, data, dict(headers), method=method)  # noqa: S310 - the caller's URL
    try:
        with urllib.request.urlopen(request, timeout=MAX_REQUEST_SECONDS) as response:  # noqa: S310
            text = response.read()
    except urllib.error.HTTPError as error:
        raise SetUpError(
            f"{method} {url} got {error.code}: {error.read().decode(errors='replace')}"
        ) from error
    except OSError as error:
        raise SetUpError(f"{method} {url} got no answer: {error}") from error
    return json.loads(text) if text else None


def set_connector(api: Management, mail_endpoint: str, authorization: str | None = None) -> None:
    """Make the HTTP email connector post to an endpoint.

    Args:
        api: The management API.
        mail_endpoint: The URL, as Logto reaches it.
        authorization: The value of the header ``Authorization``.
    """
    config = {"endpoint": mail_endpoint}
    if authorization is not None:
        config["authorization"] = authorization
    for connector in api.call("GET", "/api/connectors"):
        if connector["connectorId"] == "http-email":
            api.call("PATCH", f"/api/connectors/{connector['id']}", {"config": config})
            return
    # Logto replaces any other email connector by this one.
    api.call("POST", "/api/connectors", {"connectorId": "http-email", "config": config})


def set_sign_in_experience(api: Management, **changes: Any) -> None:
    """Let users sign up and sign in with codes by mail, and reset their passwords.

    Args:
        api: The management API.
        changes: Members of the sign-in experience to set otherwise.
    """
    api.call("PATCH", "/api/sign-in-exp", {**SIGN_IN_EXPERIENCE, **changes})


def main() -> int:
    """Set Logto up, print where it is, and return the exit code."""
    endpoint = os.environ.get("LOGTO_ENDPOINT", "http://localhost:3001")
    admin_endpoint = os.environ.get("LOGTO_ADMIN_ENDPOINT", "http://localhost:3002")
    mail_endpoint = os.environ.get("MAIL_ENDPOINT", "http://mail:8025/")
    try:
        secret = read_secret(os.environ.get("LOGTO_DB_URL"))
        api = Management.sign_in(endpoint, admin_endpoint, secret)
        set_connector(api, mail_endpoint)
        set_sign_in_experience(api)
    except SetUpError as error:
        print(f"set_up: {error}", file=sys.stderr)
        return 1
    print(f"Logto posts its mails to {mail_endpoint}. Sign up at {endpoint.rstrip('/')}/demo-app")
    return 0


if __name__ == "__main__":
    sys.exit(main())
