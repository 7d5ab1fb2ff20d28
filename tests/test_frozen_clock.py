"""A test that freezes the clock: everything that waits or measures uses the real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import time_machine
import trio
from freezegun import freeze_time
from tests.support.http_client import MESSAGE, Response
from tests.support.http_client import post as post_raw
from tests.support.runs import try_rule
from tests.support.serving import serving

from logto_mail_contract import Inbox, MailNotReceived, MailServer, clock, post
from logto_mail_contract.connector.channel import UrlTarget
from logto_mail_contract.connector.encoding import connector_call, encode_body
from logto_mail_contract.connector.posting import deliver
from logto_mail_contract.receivers.outbox import SmtpSink, wait_until
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.senders.driver import CommandDriver, Patience, SenderUnusable
from logto_mail_contract.wire.outcomes import NoResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment

SHORT = 0.05
LONG = 60


@contextmanager
def frozen(how: str) -> Iterator[None]:
    """Freeze the clock, with freezegun, time-machine or by replacing what the module ``time`` has."""
    if how == "time-machine":
        with time_machine.travel("2026-01-01T00:00Z", tick=False):
            assert time.time() == time.time()
            yield
        return
    if how == "freezegun":
        with freeze_time("2026-01-01"):
            assert time.monotonic() == time.monotonic()
            yield
        return
    with pytest.MonkeyPatch.context() as patch:
        for name in ("monotonic", "time", "perf_counter"):
            patch.setattr(time, name, lambda: 1.0)
        patch.setattr(time, "sleep", lambda _: None)
        yield


freezings = pytest.mark.parametrize("how", ["freezegun", "time-machine", "patched"])


def within(seconds: float, function: Callable[[], object]) -> object:
    """Call a function in a thread, and return its result or exception; fail when it lasts too long."""
    results: list[object] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as failure:  # noqa: BLE001 - looked at by the test
            results.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert results, "it did not return"
    return results[0]


@freezings
def test_the_clock_goes_on(how: str) -> None:
    with frozen(how):
        before, start = clock.read_time(), clock.read_monotonic()
        clock.sleep(SHORT)
        assert clock.read_monotonic() - start >= SHORT
        assert clock.read_time() > before
    assert datetime.fromtimestamp(before, UTC) > datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "freeze",
    ["__import__('freezegun').freeze_time", "__import__('time_machine').travel"],
    ids=["freezegun", "time-machine"],
)
def test_the_clock_goes_on_when_it_is_loaded_while_time_is_frozen(freeze: str) -> None:
    code = (
        f"with {freeze}('2026-01-01'):\n"
        "    from logto_mail_contract import clock\n"
        f"    assert clock.read_time() > {datetime(2026, 1, 2, tzinfo=UTC).timestamp()}\n"
        "    start = clock.read_monotonic()\n"
        f"    clock.sleep({SHORT})\n"
        f"    assert clock.read_monotonic() - start >= {SHORT}\n"
        "    import logto_mail_contract.inbox.inbox as module\n"
        "    try:\n"
        f"        module.Inbox().wait_for(timeout={SHORT})\n"
        "    except AssertionError:\n"
        "        print('ended')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG)
    assert (done.stdout, done.stderr) == ("ended\n", "")


WAITS: dict[str, Callable[[Inbox], Any]] = {
    "wait_for": lambda inbox: inbox.wait_for(to="foo@example.com", timeout=SHORT),
    "asyncio": lambda inbox: asyncio.run(inbox.wait_for_async(to="foo@example.com", timeout=SHORT)),
    "trio": lambda inbox: trio.run(lambda: inbox.wait_for_async(to="foo@example.com", timeout=SHORT)),
}
WATCHES: dict[str, Callable[[Inbox], Any]] = {
    "assert_empty": lambda inbox: inbox.assert_empty(SHORT),
    "asyncio": lambda inbox: asyncio.run(inbox.assert_empty_async(SHORT)),
    "trio": lambda inbox: trio.run(lambda: inbox.assert_empty_async(SHORT)),
}


@freezings
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_a_wait_ends_in_time(wait: Callable[[Inbox], Any], how: str) -> None:
    with frozen(how):
        inbox = Inbox()
        assert isinstance(within(LONG, lambda: wait(inbox)), MailNotReceived)


@freezings
@pytest.mark.parametrize("watch", WATCHES.values(), ids=WATCHES.keys())
def test_a_watch_ends_in_time(watch: Callable[[Inbox], Any], how: str) -> None:
    with frozen(how):
        inbox = Inbox()
        assert within(LONG, lambda: watch(inbox)) is None


@freezings
def test_a_watch_lasts_as_long_as_asked(how: str) -> None:
    with frozen(how):
        inbox = Inbox()
        start = clock.read_monotonic()
        inbox.assert_empty(SHORT)
        assert clock.read_monotonic() - start >= SHORT


@freezings
def test_an_exchange_is_measured_and_ends_in_time(how: str) -> None:
    with MailServer() as server, frozen(how):
        endpoint = server.endpoint()
        endpoint.reply(delay=SHORT, times=1)
        assert post(endpoint.url, MESSAGE).seconds >= SHORT
        endpoint.reply_drip(interval=0.001, body="x" * 1_000_000, optional=True, times=1)
        outcome = within(LONG, lambda: post(endpoint.url, MESSAGE, timeout=SHORT))
        assert isinstance(outcome, NoResponse)
        assert (outcome.kind, outcome.seconds >= SHORT) == ("timeout", True)
        endpoint.reply_redirect("/", times=None)
        target = UrlTarget(endpoint.url)
        channel = target.open()
        redirected = deliver(channel, connector_call(target, encode_body(MESSAGE)), LONG)
        assert redirected.seconds > 0
        assert within(LONG, lambda: channel.late_bytes(SHORT)) == ()
        channel.close()


@freezings
def test_an_endpoint_works_as_always(how: str) -> None:
    with frozen(how), MailServer() as server:
        endpoint = server.endpoint()
        post_raw(f"{server.url}/elsewhere", MESSAGE)
        with pytest.raises(MailNotReceived, match="POST /elsewhere"):
            endpoint.inbox.wait_for(timeout=0)
        post_raw(endpoint.url, MESSAGE)
        assert endpoint.inbox.latest().code == "042137"
        arrived = endpoint.inbox.latest().time
    assert datetime.now(UTC) - arrived < timedelta(minutes=10)


@freezings
def test_a_standing_endpoint_works_as_always(how: str) -> None:
    with frozen(how), serving() as server:
        nothing = within(LONG, lambda: server.api.request("GET", f"/api/messages/latest?wait={SHORT}"))
        assert isinstance(nothing, Response)
        assert nothing.status == 404
        server.deliver()
        (recorded,) = server.api.get("/api/messages")["messages"]
    assert datetime.now(UTC) - datetime.fromisoformat(recorded["time"]) < timedelta(minutes=10)


def respond_late(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if b"BindMfa" in environ["wsgi.input"].read():
        clock.sleep(SHORT)
    start_response("200 OK", [("content-length", "0")])
    return [b""]


@freezings
def test_a_receiver_that_responds_late_is_warned(how: str) -> None:
    receiver, settings = Receiver.wsgi(respond_late), Settings(examples=1, warn_after=SHORT / 2)
    with frozen(how):
        assert try_rule("receiver/respond/promptly", receiver, settings).outcome == "warned"


@freezings
def test_a_receiver_that_hangs_is_given_up(how: str) -> None:
    def hang(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        clock.sleep(10 * SHORT)
        return respond_late(environ, start_response)

    settings = Settings(examples=1, warn_after=SHORT / 2, fail_after=SHORT)
    with frozen(how):
        result = within(LONG, lambda: try_rule("receiver/accept/sign-in", Receiver.wsgi(hang), settings))
        assert getattr(result, "outcome", result) == "failed"


@freezings
def test_a_wait_for_a_mail_ends_in_time(how: str) -> None:
    with frozen(how), SmtpSink() as sink:
        start = clock.read_monotonic()
        assert within(LONG, lambda: wait_until(lambda: bool(sink()), SHORT)) is False
        assert clock.read_monotonic() - start >= SHORT


@freezings
def test_a_timer_of_our_event_loops_ends_in_time(how: str) -> None:
    async def wait() -> bool:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), SHORT)
        return True

    def run() -> bool:
        with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
            return runner.run(wait())

    with frozen(how):
        assert within(LONG, run) is True


@freezings
def test_a_command_that_does_not_end_is_ended(how: str) -> None:
    code = (
        "import os, sys; sys.stdin.readline(); os.close(1); sys.stdin.read(); __import__('time').sleep(600)"
    )
    driver = CommandDriver([sys.executable, "-c", code], grace_seconds=SHORT, end_seconds=SHORT)
    with frozen(how):
        patience = Patience(LONG)
        outcome = within(
            LONG, lambda: driver.send(MESSAGE, "http://127.0.0.1:9/", None, patience, lambda: None)
        )
        assert isinstance(outcome, SenderUnusable)
        assert "closed its standard output" in str(outcome)
        assert within(LONG, driver.close) is None
