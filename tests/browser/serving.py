"""The command ``mail-contract serve`` in a process of its own, and a client to post with."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "logto_mail_contract.commands.main", "serve"]
TIMEOUT = 20.0


class Serving:
    """A running server with an inbox in memory; a context manager.

    Args:
        folder: An empty folder for its files.
        options: More of the command line.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._port_file = folder / "port"
        self._log = folder / "log"
        self._options = options
        self.port = 0

    @property
    def url(self) -> str:
        """The inbox page, which is the endpoint too."""
        return f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it listens. A restart uses the same port."""
        self._port_file.unlink(missing_ok=True)
        command = [*COMMAND, "--port", str(self.port), "--port-file", str(self._port_file), *self._options]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + TIMEOUT
        while not (self._port_file.exists() and self._port_file.read_text(encoding="utf-8").strip()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"serve did not start: {self._log.read_text(encoding='utf-8')}")
            time.sleep(0.01)
        self.port = int(self._port_file.read_text(encoding="utf-8"))

    def stop(self) -> None:
        """Stop it, even with open connections."""
        self._process.terminate()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def post(self, *messages: object, path: str = "/", **headers: str) -> None:
        """Post messages in their order; bytes are sent unchanged, all else as JSON."""
        sent = {"Content-Type": "application/json", **headers}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)) as connection:
            for message in messages:
                body = message if isinstance(message, bytes) else json.dumps(message).encode()
                connection.request("POST", path, body, sent)
                connection.getresponse().read()

    def delete(self, path: str) -> None:
        """Send a DELETE to the API."""
        self._send("DELETE", path)

    def reply(self, **reply: Any) -> None:
        """Script the next reply."""
        self._send("POST", "/api/replies", json.dumps(reply).encode())

    def _send(self, method: str, path: str, body: bytes | None = None) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            assert response.status in (200, 201)
