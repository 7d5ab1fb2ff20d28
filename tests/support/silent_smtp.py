"""An SMTP server that stops to answer, each time at another step of a session."""

from __future__ import annotations

import socketserver
import threading
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = ("greeting", "EHLO", "RCPT", ".")
"""At which step the first session falls silent, at which the second one, and so on."""


class SilentSmtp(socketserver.ThreadingTCPServer):
    """The server."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Session)
        self.numbers = count()
        self.silenced: list[str] = []

    def has_silenced(self, number: int) -> bool:
        """Return whether so many sessions have fallen silent."""
        return len(self.silenced) >= number


class Session(socketserver.StreamRequestHandler):
    """One session. It reads on in silence until the client leaves."""

    server: SilentSmtp

    def handle(self) -> None:
        step = STEPS[next(self.server.numbers)]
        is_silent = step == "greeting"
        if is_silent:
            self.server.silenced.append(step)
        else:
            self.wfile.write(b"220 localhost\r\n")
        is_mail = False
        for line in self.rfile:
            command = line.decode("latin-1").strip().upper()
            if is_mail and command != ".":
                continue
            is_mail = command == "DATA"
            if not is_silent and command.startswith(step):
                is_silent = True
                self.server.silenced.append(step)
            if not is_silent:
                self.wfile.write(b"354 Go on\r\n" if is_mail else b"250 OK\r\n")


@contextmanager
def silent_smtp() -> Iterator[SilentSmtp]:
    """Run the server."""
    with SilentSmtp() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
