"""The inbox of ``mail-contract serve``, as the tests of a real Logto read it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from logto_mail_contract.judging.validation import validate

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_START_SECONDS = 30


class Inbox:
    """Mails that arrived, each judged by what the release that runs emits.

    Args:
        url: The URL of ``serve`` for the tests.
        endpoint: The URL of ``serve`` for Logto.
        revision: The release or revision to judge by.
        patience: Seconds to wait for a mail.
    """

    def __init__(self, url: str, endpoint: str, revision: str, patience: float = 10) -> None:
        self.endpoint = endpoint
        self.revision = revision
        self._patience = patience
        self._client = httpx.Client(base_url=url, timeout=patience + 20)

    def close(self) -> None:
        self._client.close()

    def list(self, to: str) -> list[dict[str, Any]]:
        """Return the mails to a recipient, oldest first."""
        response = self._client.get("/api/messages", params={"to": to})
        response.raise_for_status()
        numbers = sorted(int(message["id"]) for message in response.json()["messages"])
        return [self._client.get(f"/api/messages/{number}").json() for number in numbers]

    def wait(self, to: str, type: str, after: int = 0) -> dict[str, Any]:
        """Return the newest mail of a type to a recipient, and assert that Logto emits such a body.

        Args:
            to: The recipient.
            type: The template type.
            after: The id of a mail that the new one comes after.
        """
        parameters: dict[str, str | float] = {"to": to, "wait": self._patience, "after": after}
        response = self._client.get("/api/messages/latest", params=parameters)
        assert response.is_success, f"no mail to {to} within {self._patience} s: {response.text}"
        message: dict[str, Any] = response.json()
        assert message["type"] == type, f"the mail to {to} has the type {message['type']}, not {type}"
        findings = validate(message["body"], self.revision, "emitted")
        assert not findings, f"Logto {self.revision} does not emit this: {findings[0]}: {message['body']}"
        return message

    def script(self, to: str, reply: dict[str, Any]) -> None:
        """Let the next mail to a recipient get another response."""
        self._client.post("/api/replies", json={**reply, "to": to, "times": 1}).raise_for_status()


@contextmanager
def serve_mail(revision: str) -> Iterator[str]:
    """Run ``mail-contract serve`` and give its URL."""
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        program = Path(sys.executable).with_name("mail-contract")
        options = ["--port", "0", "--port-file", str(port_file), "--revision", revision, "--lenient"]
        with subprocess.Popen([program, "serve", *options], stdout=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + MAX_START_SECONDS
                while not (port_file.exists() and port_file.read_text()):
                    assert process.poll() is None, f"serve ended with {process.returncode}"
                    assert time.monotonic() < deadline, f"serve wrote no port within {MAX_START_SECONDS} s"
                    time.sleep(0.02)
                yield f"http://127.0.0.1:{port_file.read_text().strip()}/"
            finally:
                process.terminate()


def payload_of(message: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a mail."""
    payload: dict[str, Any] = json.loads(message["body"])["payload"]
    return payload
