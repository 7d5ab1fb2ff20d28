"""The core that the inbox of a test and the inbox API share."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from logto_mail_contract.inbox.core import InboxCore
from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.judging.requests import judge
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from logto_mail_contract.inbox.core import Event
    from logto_mail_contract.inbox.recorded import Recorded

TOO_LONG = 60.0
"""Seconds; a wait that is woken ends long before."""


class Woken(Exception):
    """A wait checked its condition again."""


def record(
    core: InboxCore, to: str, code: object, on_recorded: Callable[[object], None] | None = None
) -> None:
    body = json.dumps({"to": to, "type": "SignIn", "payload": {"code": code}}).encode()
    request = Request("POST", "/", (("Content-Type", "application/json"),), body)
    verdict, message = judge(request)
    core.record(request, verdict, message, "200", 0.0, on_recorded or (lambda _: None))


def test_an_invalid_delivery_wakes_every_wait() -> None:
    """A test must fail at once, not after its time-out."""
    core = InboxCore(MemoryStore(10))
    has_looked = threading.Event()

    def check(_: Recorded | None) -> None:
        if has_looked.is_set():
            raise Woken
        has_looked.set()

    def wait() -> None:
        with suppress(Woken):
            core.wait(Query(to="foo@example.com"), TOO_LONG, check)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert has_looked.wait(TOO_LONG / 2)
    record(core, "bar@example.com", 42137)
    thread.join(TOO_LONG / 2)
    assert not thread.is_alive()


def test_on_recorded_is_called_before_the_listeners() -> None:
    core = InboxCore(MemoryStore(10))
    calls: list[str] = []
    with core.listening(lambda _: calls.append("listener")):
        record(core, "foo@example.com", "042137", lambda _: calls.append("callback"))
    assert calls == ["callback", "listener"]


def test_a_listener_of_a_stopped_inbox_is_notified_at_once() -> None:
    core = InboxCore(MemoryStore(10))
    events: list[Event] = []
    with core.listening(events.append):
        assert events == []
        core.stop()
        assert events == [None]
        with core.listening(events.append):
            assert events == [None, None]
