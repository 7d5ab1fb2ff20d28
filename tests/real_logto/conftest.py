"""The Logto that the tests drive: the one that the environment names, and the stand-in."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from examples.logto.set_up import Management, read_secret, set_connector, set_sign_in_experience
from tests.real_logto.inbox import Inbox, serve_mail
from tests.real_logto.logto import Logto
from tests.real_logto.releases import ALTERATIONS, read_release
from tests.support.logto.stand_in import StandIn

from logto_mail_contract.catalogue import current_revision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

NEWEST = max(ALTERATIONS) + 1
"""A timestamp that is later than all that are listed."""
DB_URL = "postgres://logto@127.0.0.1/logto"
MAX_SILENCE_SECONDS = 120
"""After which Logto cuts a connection (``packages/core/src/app/init.ts``, v1.42.0)."""
VARIABLES = ("LOGTO_ENDPOINT", "LOGTO_ADMIN_ENDPOINT", "LOGTO_DB_URL")
FAKE_PSQL = """#!/bin/sh
[ "$1" = "{url}" ] || {{ echo "another database: $1" >&2; exit 2; }}
case "$4" in
  "select secret from applications where id='m-default'") echo "{secret}" ;;
  "select value->>'timestamp' from systems where key='alterationState'") echo "{timestamp}" ;;
  "insert into connectors "*) echo "$4" >> "{statements}" ;;
  *) echo "an unknown statement: $4" >&2; exit 1 ;;
esac
"""


def require_logto(environment: Mapping[str, str]) -> None:
    """Skip where no Logto runs; with ``LOGTO_REQUIRED=1`` fail instead."""
    missing = [name for name in VARIABLES if not environment.get(name)]
    if not missing:
        return
    reason = f"no running Logto: {', '.join(missing)} not set; examples/logto/README.md says how to start one"
    if environment.get("LOGTO_REQUIRED") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def real_inbox() -> Iterator[Inbox]:
    """Return the inbox of the real Logto that runs."""
    require_logto(os.environ)
    release = read_release(os.environ["LOGTO_DB_URL"])
    with open_inbox(os.environ, release or current_revision()) as inbox:
        yield inbox


@pytest.fixture
def logto(real_inbox: Inbox) -> Iterator[Logto]:
    """Return the real Logto that runs, set up. One test at a time, since all share one tenant."""
    with (Path(tempfile.gettempdir()) / f"logto-mail-contract-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield connect(os.environ, real_inbox, MAX_SILENCE_SECONDS)


@contextmanager
def open_inbox(environment: Mapping[str, str], revision: str) -> Iterator[Inbox]:
    """Give the inbox of the ``serve`` that the environment names, or of one that runs meanwhile."""
    if environment.get("MAIL_ENDPOINT"):
        with closing(Inbox(environment["MAIL_INBOX"], environment["MAIL_ENDPOINT"], revision)) as inbox:
            yield inbox
    else:
        with serve_mail(revision) as url, closing(Inbox(url, url, revision)) as inbox:
            yield inbox


@pytest.fixture(scope="session")
def mail_inbox() -> Iterator[Inbox]:
    """Return the inbox of a ``serve`` for the stand-ins."""
    with (
        serve_mail(current_revision()) as url,
        closing(Inbox(url, url, current_revision(), patience=0.5)) as inbox,
    ):
        yield inbox


@dataclass(frozen=True)
class Made:
    """A stand-in that runs, and the variables that name it."""

    stand_in: StandIn
    environment: dict[str, str]


@pytest.fixture
def start_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Made]]:
    """Return a function that starts a stand-in, whose database is a ``psql`` on the path."""
    with ExitStack() as running:

        def start(*arguments: Any, timestamp: int = NEWEST, **settings: Any) -> Made:
            statements = tmp_path / "statements"
            statements.write_text("", encoding="utf-8")
            stand_in = running.enter_context(StandIn(*arguments, **settings, statements=statements))
            psql = tmp_path / "psql"
            values = {"url": DB_URL, "secret": stand_in.state.secret, "statements": statements}
            psql.write_text(FAKE_PSQL.format(**values, timestamp=timestamp), encoding="utf-8")
            psql.chmod(0o755)
            monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
            urls = (stand_in.endpoint, stand_in.admin_endpoint, DB_URL)
            return Made(stand_in, dict(zip(VARIABLES, urls, strict=True)))

        yield start


@pytest.fixture
def make_logto(mail_inbox: Inbox, start_stand_in: Callable[..., Made]) -> Callable[..., Logto]:
    """Return a function that starts a stand-in with a defect, or with none, and sets it up."""

    def make(*arguments: Any, **settings: Any) -> Logto:
        made = start_stand_in(*arguments, **settings)
        return connect(made.environment, mail_inbox, made.stand_in.state.silence_seconds)

    return make


def connect(environment: Mapping[str, str], inbox: Inbox, silence_seconds: float) -> Logto:
    """Set up the Logto that the environment names, and return it."""
    endpoint, admin_endpoint, db_url = (environment[name].rstrip("/") for name in VARIABLES)
    api = Management.sign_in(endpoint, admin_endpoint, read_secret(db_url))
    set_connector(api, inbox.endpoint)
    set_sign_in_experience(api)
    return Logto(endpoint, admin_endpoint, api, inbox, db_url, read_release(db_url), silence_seconds)
