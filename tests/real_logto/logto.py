"""Logto as its users reach it: browsers that sign in, and applications with a user's token."""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from examples.logto.set_up import Management, set_sign_in_experience

if TYPE_CHECKING:
    from tests.real_logto.inbox import Inbox

DEMO_APP = "demo-app"
ADMIN_CONSOLE = "admin-console"
PASSWORD = "correct-Horse-7-battery"
SCOPE = "openid profile email"
MAX_REDIRECTS = 10
MAX_ANSWER_SECONDS = 150
"""Longer than Logto's own limit, after which it cuts a connection."""


@dataclass(frozen=True)
class Logto:
    """A running Logto, set up, with its inbox.

    Attributes:
        endpoint: Its URL.
        admin_endpoint: The URL of its console.
        api: Its management API.
        inbox: Where its mails arrive.
        db_url: The URL of its database.
        release: The release that runs, for example ``1.42.0``; None for the newest ones.
        silence_seconds: After how many seconds of silence Logto cuts the user's connection.
    """

    endpoint: str
    admin_endpoint: str
    api: Management
    inbox: Inbox
    db_url: str
    release: str | None = None
    silence_seconds: float = 120

    def has(self, release: str) -> bool:
        """Return whether a feature that came with a release is in the one that runs."""
        return self.release is None or _number(self.release) >= _number(release)

    def set_up(self, **changes: Any) -> None:
        """Set the sign-in experience to the usual one, with some changes."""
        set_sign_in_experience(self.api, **changes)

    def call(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request to the management API and return the response, whatever its status."""
        headers = {"Authorization": f"Bearer {self.api.token}"}
        return httpx.request(
            method, f"{self.endpoint}{path}", json=body, headers=headers, timeout=MAX_ANSWER_SECONDS
        )

    def make_user(self, **members: Any) -> dict[str, Any]:
        """Return a new user with the usual password."""
        user: dict[str, Any] = self.api.call("POST", "/api/users", {"password": PASSWORD, **members})
        return user

    def make_organization(self) -> str:
        """Return the id of a new organization."""
        organization = self.api.call("POST", "/api/organizations", {"name": "Example & Co"})
        return str(organization["id"])

    def open_browser(self) -> Browser:
        """Return a browser with no cookies."""
        return Browser(self.endpoint, f"{self.endpoint}/demo-app")


def _number(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.removeprefix("v").split("."))


def make_email(purpose: str) -> str:
    """Return an address of its own: Logto limits the mails to each one."""
    return f"{purpose}-{uuid.uuid4().hex[:12]}@example.com"


def make_username() -> str:
    """Return a user name of its own."""
    return f"user_{uuid.uuid4().hex[:12]}"


class Browser:
    """One browser at the sign-in page: its cookies by name, and the interaction that it began.

    The cookies are kept by name and not by a cookie jar: Logto's cookie ``_logto`` is raw JSON.

    Args:
        endpoint: Logto's URL, or that of its console.
        redirect_uri: Where the application takes its users back.
        client_id: The application.
    """

    def __init__(self, endpoint: str, redirect_uri: str, client_id: str = DEMO_APP) -> None:
        self.cookies: dict[str, str] = {}
        self._endpoint = endpoint
        self._redirect_uri = redirect_uri
        self._client_id = client_id
        self._verifier = secrets.token_urlsafe(48)
        no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        self._client = httpx.Client(cookies=no_cookies, timeout=MAX_ANSWER_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Send a request and return the response, whatever its status; redirects are not followed."""
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        response = self._client.request(
            method, urljoin(f"{self._endpoint}/", path), json=body, headers=headers
        )
        for line in response.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            # An empty value deletes the cookie.
            if value:
                self.cookies[name] = value
        return response

    def authorize(self, resource: str | None = None, scope: str = SCOPE) -> None:
        """Send the application's authorization request, which leads to the sign-in page."""
        challenge = hashlib.sha256(self._verifier.encode()).digest()
        parameters = {
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "response_type": "code",
            "scope": scope,
            "state": secrets.token_hex(8),
            "code_challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
            "code_challenge_method": "S256",
            "prompt": "login consent",
            **({"resource": resource} if resource else {}),
        }
        response = self.send("GET", f"/oidc/auth?{httpx.QueryParams(parameters)}")
        assert response.is_redirect, f"the authorization got {response.status_code}: {response.text}"

    def begin(self, event: str, resource: str | None = None, scope: str = SCOPE) -> None:
        """Start a sign-in: the authorization request, then the event of the Experience API."""
        self.authorize(resource, scope)
        self.expect("PUT", "/api/experience", {"interactionEvent": event})

    def expect(self, method: str, path: str, body: object = None) -> Any:
        """Send a request, assert success, and return the answer, a JSON value; None for an empty one."""
        response = self.send(method, path, body)
        assert response.is_success, f"{method} {path} got {response.status_code}: {response.text}"
        return response.json() if response.content else None

    def request_code(self, email: str, event: str) -> str:
        """Ask for a code and return the id of its verification."""
        body = {"identifier": {"type": "email", "value": email}, "interactionEvent": event}
        answer = self.expect("POST", "/api/experience/verification/verification-code", body)
        return str(answer["verificationId"])

    def enter_code(self, email: str, verification: str, code: str) -> httpx.Response:
        """Enter a code and return the response."""
        body = {"identifier": {"type": "email", "value": email}, "verificationId": verification, "code": code}
        return self.send("POST", "/api/experience/verification/verification-code/verify", body)

    def identify(self, verification: str) -> None:
        """Identify the user, or make a new one, by a verification."""
        self.expect("POST", "/api/experience/identification", {"verificationId": verification})

    def enter_password(self, identifier: str, value: str, password: str = PASSWORD) -> httpx.Response:
        """Enter a password and return the response."""
        body = {"identifier": {"type": identifier, "value": value}, "password": password}
        return self.send("POST", "/api/experience/verification/password", body)

    def submit(self) -> httpx.Response:
        """End the interaction and return the response."""
        return self.send("POST", "/api/experience/submit")

    def finish(self, submitted: httpx.Response, resource: str | None = None) -> Tokens:
        """Follow the redirects back to the application and return the tokens that its code gives.

        Args:
            submitted: The response to ``submit``.
            resource: The API to get a token for; None gives an opaque token for Logto's own.
        """
        assert submitted.status_code == 200, submitted.text
        url = submitted.json()["redirectTo"]
        for _ in range(MAX_REDIRECTS):
            if url.startswith(self._redirect_uri):
                break
            if urlsplit(url).path == "/consent":
                url = self.expect("POST", "/api/interaction/consent", {})["redirectTo"]
            else:
                response = self.send("GET", url)
                assert response.is_redirect, f"{url} got {response.status_code}: {response.text}"
                url = urljoin(url, response.headers["location"])
        parameters = parse_qs(urlsplit(url).query)
        assert "code" in parameters, f"the sign-in ended at {url}"
        form = {
            "grant_type": "authorization_code",
            "client_id": self._client_id,
            "redirect_uri": self._redirect_uri,
            "code": parameters["code"][0],
            "code_verifier": self._verifier,
            **({"resource": resource} if resource else {}),
        }
        response = httpx.post(f"{self._endpoint}/oidc/token", data=form, timeout=MAX_ANSWER_SECONDS)
        assert response.status_code == 200, response.text
        return Tokens(self._endpoint, response.json()["access_token"])


@dataclass(frozen=True)
class Tokens:
    """What an application got for its user.

    Attributes:
        endpoint: Logto's URL.
        access_token: The access token.
    """

    endpoint: str
    access_token: str = field(repr=False)

    def send(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a request with the token and return the response, whatever its status."""
        headers = {"Authorization": f"Bearer {self.access_token}", **(headers or {})}
        return httpx.request(
            method, f"{self.endpoint}{path}", json=body, headers=headers, timeout=MAX_ANSWER_SECONDS
        )

    def claims(self) -> dict[str, Any]:
        """Return what Logto says of the user."""
        response = self.send("GET", "/oidc/me")
        assert response.status_code == 200, response.text
        claims: dict[str, Any] = response.json()
        return claims
