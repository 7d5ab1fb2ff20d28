"""Signs up through the app as a browser would, with the code from the mail that Logto's connector posts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def mail_to(email: str, type: str, mail: httpx.Client) -> Any:
    """Wait for the newest mail to a recipient. If none arrives, the failure lists what did."""
    response = mail.get("/api/messages/latest", params={"to": email, "type": type, "wait": 10})
    assert response.is_success, response.text
    return response.json()


def test_signs_up_with_the_code_of_the_mail(app: httpx.Client, mail: httpx.Client, email: str) -> None:
    """The whole way, from the address to the welcome."""
    page = app.post("/", data={"email": email})
    assert "Enter the code" in page.text

    code = mail_to(email, "Register", mail)["code"]
    page = app.post("/code", data={"email": email, "code": code})

    assert "Welcome" in page.text


def test_shows_when_the_mail_service_fails(app: httpx.Client, mail: httpx.Client, email: str) -> None:
    """The next mail to this recipient, and to no other, gets the status 503."""
    failure = {"reply": "response", "status": 503, "to": email, "times": 1}
    mail.post("/api/replies", json=failure).raise_for_status()

    page = app.post("/", data={"email": email})

    assert page.status_code == 502
    assert "We could not send the mail" in page.text


def test_lists_what_arrived_when_a_mail_does_not_arrive(
    app: httpx.Client, mail: httpx.Client, email: str
) -> None:
    """The 404 lists the mail of another type that arrived, so the test fails at once and says why."""
    app.post("/", data={"email": email})

    response = mail.get("/api/messages/latest", params={"to": email, "type": "ForgotPassword"})

    assert response.status_code == 404
    assert (email, "Register") in [(other["to"], other["type"]) for other in response.json()["arrived"]]
