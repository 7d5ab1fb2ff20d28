"""Waiting in an event loop: in asyncio, in trio, and in neither."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

from logto_mail_contract import Delivery, Inbox, MailNotReceived
from logto_mail_contract.judging.requests import judge
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

SECONDS = 30
BODY = json.dumps({"to": "foo@example.com", "type": "SignIn", "payload": {"code": "042137"}}).encode()

LOOPS: dict[str, Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]] = {
    "asyncio": lambda function: asyncio.run(function()),
    "trio": trio.run,
}
loops = pytest.mark.parametrize("run", LOOPS.values(), ids=LOOPS.keys())


def deliver(inbox: Inbox) -> Delivery:
    request = Request("POST", "/mail", (("Content-Type", "application/json"),), BODY)
    return inbox.record(request, *judge(request), "200", 1_700_000_000.0)


def deliver_when_awaited(inbox: Inbox) -> threading.Thread:
    """Deliver, in a thread, as soon as a wait is under way."""

    def run() -> None:
        deadline = time.monotonic() + SECONDS
        while not inbox.waiting and time.monotonic() < deadline:
            time.sleep(0.001)
        deliver(inbox)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@loops
def test_a_wait_returns_what_arrives_meanwhile(run: Callable[..., Any]) -> None:
    inbox = Inbox()
    thread = deliver_when_awaited(inbox)
    assert run(lambda: inbox.wait_for_async(to="foo@example.com", timeout=SECONDS)).code == "042137"
    thread.join()
    assert inbox.waiting == 0


@loops
def test_a_wait_ends_in_time(run: Callable[..., Any]) -> None:
    inbox = Inbox()
    with pytest.raises(MailNotReceived, match=r"No message arrived within 0\.02 s"):
        run(lambda: inbox.wait_for_async(timeout=0.02))
    run(lambda: inbox.assert_empty_async(0.02))
    thread = deliver_when_awaited(inbox)
    with pytest.raises(MailNotReceived, match="The inbox should be empty"):
        run(lambda: inbox.assert_empty_async(SECONDS))
    thread.join()


@loops
def test_the_loop_runs_on_while_one_waits(run: Callable[..., Any]) -> None:
    inbox = Inbox()

    async def wait_and_deliver() -> str:
        async def wait() -> None:
            codes.append((await inbox.wait_for_async(timeout=SECONDS)).code)

        async def deliver_here() -> None:
            while not inbox.waiting:
                await (asyncio.sleep(0) if run is LOOPS["asyncio"] else trio.sleep(0))
            deliver(inbox)

        codes: list[str] = []
        if run is LOOPS["asyncio"]:
            await asyncio.gather(wait(), deliver_here())
        else:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                nursery.start_soon(deliver_here)
        return codes[0]

    assert run(wait_and_deliver) == "042137"


def test_a_wait_that_is_cancelled_leaves_nothing() -> None:
    inbox = Inbox()
    before = threading.enumerate()

    async def cancel_in_trio() -> None:
        with trio.move_on_after(0.02) as scope:
            await inbox.wait_for_async(timeout=SECONDS)
        assert scope.cancelled_caught

    async def cancel_in_asyncio() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.wait_for_async(timeout=SECONDS), 0.02)

    trio.run(cancel_in_trio)
    asyncio.run(cancel_in_asyncio())
    assert inbox.waiting == 0
    deadline = time.monotonic() + SECONDS
    while set(threading.enumerate()) - set(before):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_loop_of_asyncio_that_hosts_trio() -> None:
    inbox = Inbox()
    ended: list[Any] = []

    async def wait_in_trio() -> str:
        return (await inbox.wait_for_async(timeout=SECONDS)).code

    async def host() -> str:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def on_done(outcome: Any) -> None:
            ended.append(outcome)
            done.set()

        trio.lowlevel.start_guest_run(
            wait_in_trio, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=on_done
        )
        own = await inbox.wait_for_async(timeout=SECONDS)
        await done.wait()
        return own.code

    thread = deliver_when_awaited(inbox)
    assert asyncio.run(host()) == ended[0].unwrap() == "042137"
    thread.join()


def test_another_loop_is_told_what_is_possible() -> None:
    inbox = Inbox()
    for wait in (inbox.wait_for_async(timeout=SECONDS), inbox.assert_empty_async(SECONDS)):
        with pytest.raises(RuntimeError, match="need asyncio or trio, and neither runs here") as caught:
            wait.send(None)
        assert "call wait_for or assert_empty in a thread" in str(caught.value)
