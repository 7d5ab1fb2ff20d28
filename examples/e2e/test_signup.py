"""Signs up through the app as a browser would, with the code out of the mail that the app had Logto send."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


def mail_to(email: str, type: str, mail: httpx.Client) -> Any:
    """Wait for the newest mail to a recipient. If none comes, the failure says what came instead."""
    answer = mail.get("/api/messages/latest", params={"to": email, "type": type, "wait": 10})
    assert answer.is_success, answer.text
    return answer.json()


def test_signs_up_with_the_code_of_the_mail(app: httpx.Client, mail: httpx.Client, email: str) -> None:
    """The whole way, from the address to the welcome."""
    page = app.post("/", data={"email": email})
    assert "Enter the code" in page.text

    code = mail_to(email, "Register", mail)["code"]
    page = app.post("/code", data={"email": email, "code": code})

    assert "Welcome" in page.text


def test_tells_when_the_mail_service_fails(app: httpx.Client, mail: httpx.Client, email: str) -> None:
    """The next mail to this recipient, and to no other, is answered with 503."""
    failure = {"reply": "answer", "status": 503, "to": email, "times": 1}
    mail.post("/api/replies", json=failure).raise_for_status()

    page = app.post("/", data={"email": email})

    assert page.status_code == 502
    assert "We could not send the mail" in page.text


def test_says_what_came_when_a_mail_does_not_come(app: httpx.Client, mail: httpx.Client, email: str) -> None:
    """A mail of another type came; so it is said, and the test does not wait in vain for what it asks for."""
    app.post("/", data={"email": email})

    answer = mail.get("/api/messages/latest", params={"to": email, "type": "ForgotPassword"})

    assert answer.status_code == 404
    assert (email, "Register") in [(other["to"], other["type"]) for other in answer.json()["arrived"]]
