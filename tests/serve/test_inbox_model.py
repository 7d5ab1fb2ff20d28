"""The inbox API against a model: whatever is interleaved, a client misses nothing and sees nothing twice."""

from __future__ import annotations

import json
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.http_client import MESSAGE, Client
from tests.support.serving import Serving, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

RECIPIENTS = ("a@example.com", "b@example.com")
STEPS = st.one_of(
    st.tuples(st.just("post"), st.sampled_from(RECIPIENTS), st.integers(1, 40)),
    st.tuples(st.just("list"), st.integers(1, 7)),
    st.tuples(st.just("read"), st.integers(1, 60)),
    st.tuples(st.just("delete"), st.sampled_from([*RECIPIENTS, None])),
    st.tuples(st.just("settle")),
    st.tuples(st.just("restart")),
)


class Posting(threading.Thread):
    """Posts messages over one connection, all in one segment, and notes which were accepted."""

    def __init__(self, url: str, to: str, count: int) -> None:
        super().__init__(daemon=True)
        body = json.dumps({**MESSAGE, "to": to}).encode()
        head = b"POST / HTTP/1.1\r\nHost: mail.test\r\nContent-Type: application/json\r\n"
        self._client = Client(url)
        self._client.send((head + b"Content-Length: %d\r\n\r\n" % len(body) + body) * count)
        self._count = count
        self.accepted = 0

    def run(self) -> None:
        """Read the responses."""
        with self._client:
            for _ in range(self._count):
                self.accepted += self._client.read_response().status == 200


class Follower:
    """Follows the inbox with a cursor, by listings or by events.

    Attributes:
        seen: How often it saw each id.
    """

    def __init__(self) -> None:
        self.seen: Counter[int] = Counter()
        self.cursor = 0

    def poll(self, server: Serving, limit: int) -> int:
        """Ask for what came since the last time, and return how many messages there were."""
        listing = server.api.get(f"/api/messages?after={self.cursor}&limit={limit}")
        ids = [one["id"] for one in listing["messages"]]
        self.seen.update(ids)
        # A listing that is not full says that nothing else came up to its `last`.
        self.cursor = ids[-1] if len(ids) == limit else max(self.cursor, listing["last"])
        return len(ids)


class Model:
    """The server with its followers, and what they must have seen in the end."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._posting: list[Posting] = []
        self.listing, self.streaming = Follower(), Follower()
        self.accepted = 0
        self.deleted: set[int] = set()
        self.ids: set[int] = set()

    def run(self, steps: list[tuple[Any, ...]]) -> None:
        """Take the steps; a restart begins with the next server."""
        rest = iter(steps)
        is_over = False
        while not is_over:
            with serving(self._path) as server:
                is_over = self._run_server(server, rest)
        with serving(self._path) as server:
            while self.listing.poll(server, 1000):
                pass
            self._stream(server, None)
            self.ids |= self._list_ids(server)
            assert max(self.ids, default=0) == server.api.get("/healthz")["last"] or self.deleted

    def _run_server(self, server: Serving, steps: Iterator[tuple[Any, ...]]) -> bool:
        for step in steps:
            match step:
                case ("post", to, count):
                    posting = Posting(server.url, to, count)
                    posting.start()
                    self._posting.append(posting)
                case ("list", limit):
                    self.listing.poll(server, limit)
                case ("read", count):
                    self._stream(server, count)
                case ("delete", to):
                    self._delete(server, to)
                case ("settle",):
                    self._settle()
                case _:
                    self._settle()
                    return False
        self._settle()
        return True

    def _settle(self) -> None:
        for posting in self._posting:
            posting.join()
            self.accepted += posting.accepted
        self._posting.clear()

    def _list_ids(self, server: Serving) -> set[int]:
        return {one["id"] for one in server.api.get("/api/messages?after=0&limit=1000")["messages"]}

    def _delete(self, server: Serving, to: str | None) -> None:
        # What stands there when nobody posts is what is deleted.
        self._settle()
        listed = server.api.get("/api/messages?after=0&limit=1000")["messages"]
        self.ids |= {one["id"] for one in listed}
        self.deleted |= {one["id"] for one in listed if to in (None, one["to"])}
        server.api.request("DELETE", "/api/messages" + (f"?to={to}" if to else ""))

    def _stream(self, server: Serving, most: int | None) -> None:
        """Read events from the cursor on: some, or all that are there now."""
        target = f"/api/events?after={self.streaming.cursor}"
        with server.api.events(target) as stream:
            hello = stream.next()
            assert hello is not None
            waiting = server.api.get(f"/api/messages?after={self.streaming.cursor}&limit=1000")["messages"]
            for _ in waiting[:most]:
                event = stream.next()
                assert event is not None
                assert event.name == "message"
                assert event.id is not None
                self.streaming.seen[event.id] += 1
                self.streaming.cursor = event.id


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=14))
def test_nothing_is_missed_and_nothing_is_seen_twice(steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = Model(str(Path(folder) / "inbox.sqlite"))
        model.run(steps)
    assert len(model.ids) == model.accepted
    for follower in (model.listing, model.streaming):
        assert set(follower.seen.values()) <= {1}
        # One that was deleted may have been seen before.
        assert model.ids - model.deleted <= set(follower.seen) <= model.ids
