"""The Node packages of this folder, and the receivers of ``examples/`` as programs."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.logto.node import lacking, skip_or_fail
from tests.support.examples import LACKING, build
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
def serving_example(name: str, sink: SmtpSink, folder: Path) -> Iterator[str]:
    """Run a receiver of ``examples/`` that sends to a sink, and yield its origin.

    It is skipped, or in CI fails, where what it needs is missing.

    Args:
        name: The file of a Python example, or the folder of another one.
        sink: The SMTP server.
        folder: Where to build it.
    """
    skip_or_fail(LACKING[name]() if name in LACKING else None)
    environment = {
        "MAIL_AUTHORIZATION": AUTHORIZATION,
        "SMTP_HOST": sink.host,
        "SMTP_PORT": str(sink.port),
        "PORT": "0",
    }
    with serving_program(*build(name, folder), environment=environment) as origin:
        yield origin
