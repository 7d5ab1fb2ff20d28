"""Recipients that a stranger chooses so that comparing them is slow: no turn of the event loop gets long."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from tests.support.serving import RecordingLog, serving

from logto_mail_contract.inbox.core import Deleted, InboxCore
from logto_mail_contract.inbox.matching import MAX_ADDRESS_CHARACTERS, Query, to_near_key
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.judging.requests import judge
from logto_mail_contract.serve.endpoint import StandingEndpoint
from logto_mail_contract.serve.event_stream import ApiLimits, Backlog
from logto_mail_contract.serve.store import SqliteStore
from logto_mail_contract.wire.replies import ScriptedResponse
from logto_mail_contract.wire.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logto_mail_contract.inbox.core import Event
    from logto_mail_contract.inbox.store import Store

# One character that stands for eighteen.
SLOW = "\ufdfa" * (MAX_ADDRESS_CHARACTERS - 4)
MANY_SLOW = [f"{SLOW}{number}" for number in range(100)]
LONG = [f"{'+' * 60_000}{number}" for number in range(20)]
LONG_LETTERS = [f"{'é' * 100_000}{number}" for number in range(20)]
VARIANTS = [
    "".join(letter.upper() if number >> place & 1 else letter for place, letter in enumerate("abcdefghij"))
    for number in range(1000)
]


def measure(work: Callable[[], object]) -> float:
    """Return the processor seconds of some work in this thread, the least of three times."""

    def run() -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    return min(run() for _ in range(3))


def to_request(to: str) -> Request:
    body = json.dumps({"to": to, "type": "SignIn", "payload": {"code": "1"}}).encode()
    return Request("POST", "/", (("Content-Type", "application/json"),), body)


def fill(core: InboxCore, recipients: list[str]) -> None:
    async def record() -> None:
        record_in_loop(core, recipients)

    asyncio.run(record())


def record_in_loop(core: InboxCore, recipients: list[str]) -> None:
    for to in recipients:
        request = to_request(to)
        core.record(request, *judge(request), "200", 1.0, lambda _: None)
    core.store.flush()


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = MemoryStore(1000) if request.param == "memory" else SqliteStore(str(tmp_path / "inbox"), 1000)
    with closing(opened):
        yield opened


# Other ways to write a recipient.


def test_near_recipients_are_found_without_simplifying_each(store: Store) -> None:
    core = InboxCore(store)
    fill(core, [*MANY_SLOW, "Ann@example.com"])
    simplifying = measure(lambda: [to_near_key(to) for to in MANY_SLOW])
    for asked in ("x", "ann@example.com", SLOW):
        assert measure(lambda asked=asked: core.find_near(Query(to=asked))) < simplifying / 4  # type: ignore[misc]
    assert core.find_near(Query(to="ann@example.com")) == ["Ann@example.com"]


def test_a_delivery_is_compared_with_scripts_without_simplifying_each() -> None:
    endpoint = StandingEndpoint(MemoryStore(1000), RecordingLog())
    for to in MANY_SLOW:
        endpoint.script(Query(to=to), ScriptedResponse(500), 1)
    endpoint.script(Query(to="ann@example.com"), ScriptedResponse(500), 1)
    request = to_request("Ann@example.com")
    simplifying = measure(lambda: [to_near_key(to) for to in MANY_SLOW])
    assert measure(lambda: endpoint.record(request, lambda *_: None)) < simplifying / 4
    assert measure(lambda: endpoint.unscript(Query(to="none"))) < simplifying / 4
    assert endpoint.list_near() == ["Ann@example.com"]
    assert endpoint.unscript(Query(to="ANN@example.com")) == (0, ["ann@example.com"])


def test_a_delivery_is_compared_with_streams_without_simplifying_for_each() -> None:
    core = InboxCore(MemoryStore(1000))
    backlogs = [Backlog(core.store, Query(to=to, after=0), 1000) for to in MANY_SLOW]
    with ExitStack() as stack:
        for backlog in backlogs:
            stack.enter_context(core.listening(backlog.add))
        simplifying = measure(lambda: [to_near_key(to) for to in MANY_SLOW])
        assert measure(lambda: fill(core, [SLOW])) < simplifying / 4


def test_ways_to_write_an_address_have_one_key() -> None:
    ways = ["ann+1@example.com", " Ann 1@EXAMPLE.com", "Ann <ann%2B1@example.com>", "\uff41nn+1@example.com"]
    assert {to_near_key(way) for way in ways} == {"ann+1@example.com"}
    longest = f"{'a' * (MAX_ADDRESS_CHARACTERS - 12)}@example.com"
    assert to_near_key(longest.upper()) == longest
    for too_long in ("a" + longest, "\ufdfa" * MAX_ADDRESS_CHARACTERS):
        assert to_near_key(too_long) is None


# A blank for a plus, and any letter case.


@pytest.mark.parametrize("letter", "+ ")
@pytest.mark.parametrize("ignore_case", [False, True])
def test_a_long_recipient_is_not_read_for_a_plus_in_it(
    store: Store, letter: str, *, ignore_case: bool
) -> None:
    def ask() -> Query:
        return Query(to=letter * 60_000 + "y", blank_is_plus=True, ignore_case=ignore_case)

    fill(InboxCore(store), LONG)
    asked = ask()
    reading = measure(lambda: [max(to) for to in LONG])
    assert measure(ask) < reading / 20
    assert measure(lambda: store.select_ids(asked, None, newest=True)) < reading / 4
    assert store.select_ids(asked, None, newest=True) == []


@pytest.mark.parametrize("asked", ["y", "É" * 100_000 + "y"], ids=["short", "long"])
def test_a_long_recipient_is_not_read_for_its_letter_case(store: Store, asked: str) -> None:
    query = Query(to=asked, ignore_case=True)
    fill(InboxCore(store), LONG_LETTERS)
    folding = measure(lambda: [to.casefold() for to in LONG_LETTERS])
    assert measure(lambda: store.select_ids(query, None, newest=True)) < folding / 4
    assert store.select_ids(query, None, newest=True) == []


def test_a_recipient_up_to_the_longest_address_has_variants(store: Store) -> None:
    fits = f"Ann+1+{'a' * (MAX_ADDRESS_CHARACTERS - 6)}"
    fill(InboxCore(store), [fits, fits + "a"])

    def select(to: str, *, ignore_case: bool = False) -> list[int]:
        query = Query(to=to, blank_is_plus=True, ignore_case=ignore_case)
        found = store.select_ids(query, None, newest=False)
        assert [id for id in (1, 2) if query.matches(store.get(id) or ())] == found
        return found

    assert select(fits.replace("+", " ")) == [1]
    assert select(fits.replace("+", " ", 1)) == [1]
    assert select(fits.replace("+", " ").lower()) == []
    assert select(fits.replace("+", " ").upper(), ignore_case=True) == [1]
    assert select(fits.replace("+", ".", 1)) == []
    # A longer one is no address: it is compared exactly.
    assert select(fits + "a", ignore_case=True) == [2]
    assert select(fits + "A", ignore_case=True) == []
    assert select(fits.replace("+", " ") + "a") == []


# Deletion.


def test_a_deletion_of_many_variants_is_one_step(store: Store) -> None:
    core = InboxCore(store)
    fill(core, [*VARIANTS, "other"])
    events: list[Event] = []
    one = measure_deletion(core, Query(to=VARIANTS[0]))
    with core.listening(events.append):
        assert measure_deletion(core, Query(to="ABCDEFGHIJ", ignore_case=True)) < 100 * one
    assert events == [Deleted(frozenset(VARIANTS[1:]))]
    assert [found.to for found in store.select(Query(), 10, newest=True)] == ["other"]


def measure_deletion(core: InboxCore, query: Query) -> float:
    start = time.thread_time()
    core.delete(query)
    return time.thread_time() - start


def test_a_deletion_of_many_variants_is_one_event_to_each_stream_until_it_is_sent() -> None:
    limits = ApiLimits(max_queued_events=5)
    with serving(api_limits=limits) as server:
        server.call(lambda: record_in_loop(server.endpoint.inbox, [*VARIANTS[:300], "other"]))
        target = "/api/events?to=abcdefghij"
        with (
            server.api.events("/api/events") as everything,
            server.api.events(f"{target}&toCaseInsensitive=1") as variants,
            server.api.events(target) as exact,
            server.api.events("/api/events?to=other") as other,
        ):
            for stream in (everything, variants, exact, other):
                assert stream.read_event()[0] == "hello"
            deleted = server.api.request("DELETE", "/api/messages?to=abcdefghij&toCaseInsensitive=1").json
            assert deleted == {"deleted": 300}
            server.call(lambda: record_in_loop(server.endpoint.inbox, ["abcdefghij", "other"]))
            for stream in (everything, variants):
                events = [stream.read_event() for _ in range(301)]
                assert {to for name, to in events[:300] if name == "deleted"} == set(VARIANTS[:300])
                assert events[300] == ("message", "abcdefghij")
            assert [exact.read_event() for _ in range(2)] == [
                ("deleted", "abcdefghij"),
                ("message", "abcdefghij"),
            ]
            assert other.read_event() == ("message", "other")
