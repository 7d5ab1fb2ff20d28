"""Runs Schemathesis on the inbox API, with every check: the API does what its document says.

No measurement; it stands here since Schemathesis has a virtual environment of its own.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

from _measure import schemathesis_python

from logto_mail_contract import post
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.serve.app import StandingApp
from logto_mail_contract.serve.endpoint import StandingEndpoint
from logto_mail_contract.serve.event_stream import ApiLimits
from logto_mail_contract.serve.server import StandingServer

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLES = 500
SEEDS = (1, 2, 3)
MAX_RUN_SECONDS = 1800
REQUEST_SECONDS = 1.0
# A run holds hundreds of requests for as long as the document allows, and reads streams until its time-out.
LIMITS = ApiLimits(max_wait_seconds=0.05)
INVITATION = {
    "to": "ann+1@example.com",
    "type": "OrganizationInvitation",
    "payload": {"link": "https://example.com/join", "locale": "en"},
}


class SilentLog:
    """A log that keeps the problems."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def delivery(self, *_: Any) -> None:
        """Do nothing."""

    def problem(self, text: str) -> None:
        self.problems.append(text)


def run_schemathesis(python: Path, url: str, seed: int) -> bool:
    """Run it once, print what it found, and return whether that was nothing."""
    program = str(python.with_name("schemathesis"))
    command = [program, "run", f"{url}/api/openapi.json", "--checks", "all", "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *command,
                "--max-examples",
                str(EXAMPLES),
                "--request-timeout",
                str(REQUEST_SECONDS),
                "--no-color",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=MAX_RUN_SECONDS,
            check=False,
        )
    summary = next((line for line in done.stdout.splitlines() if " generated" in line), "no summary")
    print(f"seed {seed}: {summary.strip()}")
    if done.returncode:
        print(done.stdout, done.stderr)
    return not done.returncode


def main() -> int:
    python = schemathesis_python()
    if python is None:
        print("Schemathesis cannot be installed here: nothing was run")
        return 0
    log, ready = SilentLog(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening, closing(MemoryStore(10_000)) as store:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def serve() -> None:
            server.run([listening])

        app = StandingApp(StandingEndpoint(store, log), guard_host=True, api_limits=LIMITS)
        server = StandingServer(app, ready.set)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            ready.wait()
            for message in (INVITATION, {**INVITATION, "type": "SignIn", "payload": {"code": "042137"}}):
                post(f"{url}/hook", message)
            found_nothing = [run_schemathesis(python, url, seed) for seed in SEEDS]
        finally:
            server.stop()
            thread.join()
    print("\n".join(log.problems))
    return 0 if all(found_nothing) and not log.problems else 1


if __name__ == "__main__":
    sys.exit(main())
