"""The Node packages of this folder, and the receivers of ``examples/`` as programs."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.logto.node import lacking, skip_or_fail
from tests.support.programs import serving_program
from tests.support.small_receivers import AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logto_mail_contract.receivers.outbox import SmtpSink

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
SCHEMAS = ROOT / "schemas"
PATH = "/logto-mail"


def require_packages(*folders: str) -> None:
    """Skip where Node or the packages of a folder are missing; in CI (``CI=true``) fail instead."""
    for folder in folders:
        skip_or_fail(lacking(ROOT / folder, folder))


def run_node(*arguments: str | Path, cwd: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    """Run a Node program to its end."""
    return subprocess.run(
        ["node", *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )


@contextmanager
def serving_example(name: str, sink: SmtpSink) -> Iterator[str]:
    """Run a receiver of ``examples/`` that sends to a sink, and yield its origin."""
    environment = {
        "MAIL_AUTHORIZATION": AUTHORIZATION,
        "SMTP_HOST": sink.host,
        "SMTP_PORT": str(sink.port),
        "PORT": "0",
    }
    if name == "receiver_node":
        require_packages("examples/receiver_node")
        command: tuple[str | Path, ...] = ("node", ROOT / "examples/receiver_node/receiver.mjs")
    else:
        command = (sys.executable, ROOT / f"examples/{name}.py")
    with serving_program(*command, environment=environment) as origin:
        yield origin
