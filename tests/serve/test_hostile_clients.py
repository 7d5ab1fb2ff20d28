"""One client that is hostile, beside others: turns of the event loop stay short, and memory is bounded."""

from __future__ import annotations

import json
import random
import threading
import time
import tracemalloc
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from tests.support.http_client import MESSAGE, TIMEOUT, Client, exchange
from tests.support.serving import Serving, serving

from logto_mail_contract import validate
from logto_mail_contract.commands.main import main
from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.inbox.recorded import Recorded
from logto_mail_contract.inbox.store import MemoryStore
from logto_mail_contract.judging.javascript_json import parse, stringify
from logto_mail_contract.judging.requests import MAX_FINDINGS
from logto_mail_contract.serve.event_stream import ApiLimits, Backlog
from logto_mail_contract.serve.limits import Limits
from logto_mail_contract.wire.request_reader import Received, RequestReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


HEAD = b"POST /mail HTTP/1.1\r\nHost: mail.test\r\nContent-Type: application/json\r\n"
SMALL_BODY = json.dumps(MESSAGE).encode()


def to_request(body: bytes) -> bytes:
    """Return a request with a body."""
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


SMALL = to_request(SMALL_BODY)


class LoopWatcher:
    """Looks at a server once in each turn of its event loop.

    Attributes:
        longest: The most processor seconds that the loop's thread used in a turn. Other threads and processes
            do not count.
        most_counted: By how much the counter rose in a turn at most.
    """

    def __init__(self, server: Serving, count: Callable[[], int]) -> None:
        self.longest = 0.0
        self.most_counted = 0
        self._server = server
        self._count = count
        self._is_running = True
        self._used: float | None = None
        self._counted = 0

    def tick(self) -> None:
        """Compare with the turn before."""
        used, counted = time.thread_time(), self._count()
        if self._used is not None:
            self.longest = max(self.longest, used - self._used)
            self.most_counted = max(self.most_counted, counted - self._counted)
        self._used, self._counted = used, counted
        if self._is_running:
            self._server.loop.call_soon(self.tick)

    def stop(self) -> None:
        """Look no more."""
        self._is_running = False


@contextmanager
def watching(server: Serving, count: Callable[[], int] | None = None) -> Iterator[LoopWatcher]:
    """Watch a server's event loop during a block, with a counter; that of the deliveries when None."""
    watcher = LoopWatcher(server, count or (lambda: len(server.log.deliveries)))
    server.call(watcher.tick)
    try:
        yield watcher
    finally:
        server.call(watcher.stop)


def measure(work: Callable[[], object]) -> float:
    """Return the processor seconds of some work in this thread."""
    start = time.thread_time()
    work()
    return time.thread_time() - start


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


# Large bodies.

MEMBERS = ",".join(f'"{number}":1,"k{number}":[{{}}]' for number in range(40_000))
LARGE = {
    "integer-like keys": f'{{"to":"large@example.com","type":"SignIn","payload":{{{MEMBERS}}}}}'.encode(),
    "brackets": b'{"to":"large@example.com","type":"SignIn","payload":{"x":[' + b"{},[]," * 250_000 + b"1]}}",
    "duplicate keys": (
        b'{"to":"large@example.com","type":"SignIn","payload":{%s}}'
        % b",".join(b'"%d":1' % (number // 2) for number in range(150_000))
    ),
}


@pytest.mark.parametrize("body", LARGE.values(), ids=LARGE)
def test_a_large_body_is_judged_and_shown_apart_from_the_event_loop(body: bytes) -> None:
    work = measure(lambda: parse(body))
    with serving() as server, watching(server) as watcher:
        assert b" 200 OK" in exchange(server.url, to_request(body))
        detail = server.api.get("/api/messages/latest?to=large@example.com")
        assert stringify(detail["message"]) == stringify(parse(body))
        for path in ("/api/messages", "/api/violations", "/api/messages/1", "/api/messages/1/raw"):
            assert server.api.request("GET", path).status == 200
        assert server.api.read_refusal("/api/messages/latest?to=none@example.com", 404)
        with server.api.events("/api/events?after=0") as stream:
            assert [stream.read_event()[0] for _ in range(2)] == ["hello", "message"]
    assert watcher.longest < work / 2


def test_a_large_script_is_read_apart_from_the_event_loop() -> None:
    body = b'{"x":[' + b"{},[]," * 300_000 + b"1]}"
    work = measure(lambda: parse(body))
    with serving() as server, watching(server) as watcher:
        assert 'has no "x"' in server.api.read_refusal("/api/replies", 400, "POST", body)
    assert watcher.longest < work / 2


def test_writing_integer_like_keys_takes_time_in_proportion_to_their_number() -> None:
    def write(count: int) -> float:
        value = {str(number if number % 2 else f"k{number}"): 1 for number in range(count)}
        return min(measure(lambda: stringify(value)) for _ in range(3))

    # Quadratic, it would be 400 times as long.
    assert write(100_000) < 100 * write(5_000)


def test_a_body_of_the_smallest_chunks_is_read_in_short_turns() -> None:
    pieces = b"1\r\n1\r\n" * 400_000
    with serving() as server, watching(server) as watcher, Client(server.url) as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
        assert client.read_response().status == 400
    reading = measure(lambda: [int(piece, 16) for piece in pieces.split(b"\r\n") if piece])
    assert watcher.longest < reading / 3


# Many findings.


def test_at_most_a_hundred_findings_of_a_delivery_are_kept_and_the_rest_are_counted() -> None:
    duplicates = b'{"to":"a@example.com","type":"SignIn","payload":{%s}}' % b",".join(
        b'"k%d":1' % (number // 2) for number in range(40_000)
    )
    with serving() as server:
        assert b" 200 OK" in exchange(server.url, to_request(duplicates))
        (listed,) = server.api.get("/api/messages?limit=1")["messages"]
        assert (len(listed["findings"]), listed["moreFindings"]) == (MAX_FINDINGS, 20_000 - MAX_FINDINGS)
        (recorded,) = server.log.deliveries
        assert len(recorded.findings) < 100_000
        server.deliver()
        assert "moreFindings" not in server.api.get("/api/messages/2")


def test_findings_about_a_message_are_limited_as_well_but_for_validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # In the oldest revision every variable is text.
    body = json.dumps({**MESSAGE, "payload": {f"k{number}": 1 for number in range(300)}})
    with serving(revision="1.22") as server:
        came = exchange(server.url, to_request(body.encode()))
        assert b" 400 " in came
        assert b"and 200 more" in came
        (listed,) = server.api.get("/api/messages")["messages"]
        assert (len(listed["findings"]), listed["moreFindings"]) == (MAX_FINDINGS, 200)
    assert len(validate(body, "1.22")) == 300
    file = tmp_path / "message.json"
    file.write_text(body)
    assert main(["validate", "--revision", "1.22", str(file)]) == 1
    printed = capsys.readouterr().out
    assert printed.count("message/guard/values") == MAX_FINDINGS
    assert "\n  and 200 more\n" in printed


# Many requests at once.


def test_requests_sent_together_are_handled_in_turns() -> None:
    limits = Limits(turn_requests=3)
    with serving(limits=limits) as server, watching(server) as watcher, Client(server.url) as client:
        client.send(SMALL * 400)
        assert [client.read_response().status for _ in range(400)] == [200] * 400
    assert 0 < watcher.most_counted <= limits.turn_requests


def test_requests_before_the_end_of_a_connection_are_all_recorded() -> None:
    with serving(limits=Limits(turn_requests=3)) as server:
        with Client(server.url) as client:
            client.send(SMALL * 100)
        wait_until(lambda: len(server.log.deliveries) == 100)
        wait_until(lambda: not server.server.connections)


@pytest.mark.parametrize("end", ["close", "reset", "time-out"])
def test_requests_that_end_together_before_they_are_whole_are_recorded_in_turns(end: str) -> None:
    seconds = 0.3 if end == "time-out" else TIMEOUT
    limits = Limits(request_seconds=seconds, sweep_seconds=0.1, turn_seconds=0)
    with serving(limits=limits) as server, ExitStack() as stack, watching(server) as watcher:
        clients = [stack.enter_context(Client(server.url)) for _ in range(40)]
        for client in clients:
            client.send(HEAD + b"Content-Length: 1000\r\n\r\nx")
        if end != "time-out":
            wait_until(lambda: len(server.server.connections) == 40)
            closed = threading.Event()
            # The event loop finds all ends in one turn.
            server.loop.call_soon_threadsafe(closed.wait)
            for client in clients:
                (client.reset if end == "reset" else client.close)()
            closed.set()
        wait_until(lambda: len(server.log.deliveries) == 40)
        wait_until(lambda: end == "time-out" or not server.server.connections)
    assert watcher.most_counted == 1


def test_small_requests_of_many_clients_that_are_slow_to_judge_are_handled_in_turns() -> None:
    body = b'{"to":"foo@example.com","type":"SignIn","payload":{%s}}' % b",".join([b'"k":1'] * 1300)
    with serving(limits=Limits(turn_seconds=0)) as server, ExitStack() as stack, watching(server) as watcher:
        clients = [stack.enter_context(Client(server.url)) for _ in range(40)]
        wait_until(lambda: len(server.server.connections) == 40)
        sent = threading.Event()
        # The event loop finds all of them in one turn.
        server.loop.call_soon_threadsafe(sent.wait)
        for client in clients:
            client.send(to_request(body))
        sent.set()
        assert [client.read_response().status for client in clients] == [200] * 40
    assert watcher.most_counted == 1


def test_requests_before_a_half_closed_end_are_all_answered_however_long_they_wait() -> None:
    limits = Limits(turn_seconds=0, turn_requests=1, half_closed_seconds=0.02)
    busy = threading.Event()
    with serving(limits=limits) as server, Client(server.url) as client:

        def keep_busy() -> None:
            time.sleep(0.005)
            if not busy.is_set():
                server.loop.call_soon(keep_busy)

        server.loop.call_soon_threadsafe(keep_busy)
        client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + SMALL * 20)
        client.end()
        assert client.read().count(b"HTTP/1.1 200 OK") == 21
        busy.set()


def test_a_held_request_with_many_header_lines_counts() -> None:
    lines = "".join(f"a{number}:\r\n" for number in range(5000)).encode()
    get = b"GET /api/messages/latest?wait=60 HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % lines
    with serving(limits=Limits(held_bytes=4_000_000)) as server, ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Client(server.url)).send(get)
        wait_until(lambda: server.log.problems)
        assert "requests that are not handled yet" in server.log.problems[0]


def test_another_client_is_served_between_the_requests_of_one() -> None:
    get = b"GET /api/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with serving() as server, Client(server.url) as flooding:
        flooding.send(get * 5000)
        assert server.deliver().status == 200
        server.stop()
        wait_until(lambda: not server.server.connections)
        # It has stopped before it responded to all of the flood, which resets the connection.
        with suppress(ConnectionResetError):
            assert flooding.read().count(b"HTTP/1.1 200 OK") < 5000


class ScannedStore(MemoryStore):
    """A store that counts how often it is looked through."""

    def __init__(self, _: str, limit: int) -> None:
        super().__init__(limit)
        self.scans = 0

    def select_ids(self, query: Query, limit: int | None, *, newest: bool) -> list[int]:
        self.scans += 1
        return super().select_ids(query, limit, newest=newest)

    def delete(self, recipients: frozenset[str] | None) -> int:
        self.scans += 1
        return super().delete(recipients)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/messages"), ("GET", "/api/violations"), ("DELETE", "/api/messages")],
)
def test_many_clients_have_the_inbox_looked_through_in_turns(method: str, path: str) -> None:
    request = f"{method} {path}?to=none@example.com HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with serving(opening=ScannedStore) as server, ExitStack() as stack:
        store = server.endpoint.store
        assert isinstance(store, ScannedStore)
        clients = [stack.enter_context(Client(server.url)) for _ in range(10)]
        with watching(server, lambda: store.scans) as watcher:
            for client in clients:
                client.send(request * 10)
            for client in clients:
                assert [client.read_response().status for _ in range(10)] == [200] * 10
        assert store.scans == 100
    assert watcher.most_counted == 1


def test_a_type_of_any_length_gets_a_short_answer() -> None:
    with serving() as server:
        refusal = server.api.read_refusal(f"/api/messages?type={'SignIn' * 8000}", 400)
        assert refusal.startswith("Revision 1.35 has no template type 'SignInSignIn")
        assert len(refusal) < 1000


def test_a_miss_lists_few_large_messages() -> None:
    with serving() as server:
        for number in range(5):
            body = json.dumps({**MESSAGE, "to": f"{number}{'x' * 900_000}@example.com"}).encode()
            assert b" 200 OK" in exchange(server.url, to_request(body))
        missed = server.api.request("GET", "/api/messages/latest?to=none@example.com")
        assert (missed.status, [one["id"] for one in missed.json["arrived"]]) == (404, [4, 5])


# Refused requests.

BOTH = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = {
    "both lengths, 70,000 bytes behind": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"x" * 70_000,
    "both lengths, empty lines behind": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"\n" * 70_000,
    "a line too long": b"X-A: " + b"y" * 70_000,
    "a line too long, and an end": b"X-A: " + b"y" * 70_000 + b"\r\n\r\n",
    "too many lines": b"A: b\r\n" * 20_000 + b"\r\n",
    "a folded line": b"A: b\r\n c\r\n\r\n" + b"z" * 70_000,
    "a trailer too long": b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"b" * 70_000,
    "a size that is none": b"Transfer-Encoding: chunked\r\n\r\n" + b"z" * 70_000,
    "a body too long": b"Content-Length: 99999999\r\n\r\n" + b"x" * 70_000,
}


@contextmanager
def watching_exceptions(server: Serving) -> Iterator[list[dict[str, Any]]]:
    """Yield what the event loop's exception handler is called with; each makes the test fail."""
    contexts: list[dict[str, Any]] = []
    server.call(lambda: server.loop.set_exception_handler(lambda _, context: contexts.append(context)))
    yield contexts
    assert contexts == []
    assert [line for line in server.log.problems if "a fault of mail-contract" in line] == []


@pytest.mark.parametrize("rest", REFUSED.values(), ids=REFUSED)
def test_a_refused_request_is_recorded_once(rest: bytes) -> None:
    with serving() as server, watching_exceptions(server):
        with Client(server.url) as client:
            client.send(b"POST /mail HTTP/1.1\r\nHost: mail.test\r\n" + rest)
            assert client.read_response().status == 400
        wait_until(lambda: not server.server.connections)
        assert [one.status for one in server.log.deliveries] == [400]


PARTS = [
    b"POST / HTTP/1.1\r\n",
    b"GET /healthz HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"PUT /a HTTP/1.1\r\n",
    *(b"Host: localhost\r\n", b"Content-Type: application/json\r\n", b"Expect: 100-continue\r\n"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n"),
    *(b"\r\n", b"\n", b"5\r\nabcde\r\n", b"0\r\n\r\n", b"ffffff\r\n", b"A: b\r\n", b" c\r\n", b"\0", b"\xff"),
    *(b"x" * 70_000, b"a:\r\n" * 17_000, b"\n" * 70_000, SMALL, SMALL_BODY, b"\x16\x03\x01\x02\x00"),
]


def test_no_bytes_of_a_client_cause_an_exception() -> None:
    drawn = random.Random(10)
    with serving() as server, watching_exceptions(server):
        for _ in range(400):
            pieces = drawn.choices(PARTS, k=drawn.randrange(1, 9))
            with Client(server.url) as client:
                for piece in pieces:
                    try:
                        client.send(piece)
                    except OSError:  # the server has refused it
                        break
        wait_until(lambda: not server.server.connections)
        assert server.deliver().status == 200


def test_trailers_do_not_judge() -> None:
    chunked = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n" % (len(SMALL_BODY), SMALL_BODY)
    with serving(authorization="Bearer secret") as server:
        for trailer in (b"Authorization: Bearer secret\r\n", b"X: y\r\n"):
            assert b" 401 " in exchange(server.url, HEAD + chunked + trailer + b"\r\n")
    with serving() as server:
        head = b"POST /mail HTTP/1.1\r\nHost: mail.test\r\n"
        trailed = exchange(server.url, head + chunked + b"Content-Type: application/json\r\n\r\n")
        assert b" 415 " in trailed
        assert [name for one in server.log.deliveries for name, _ in one.headers] == [
            "Host",
            "Transfer-Encoding",
        ]


# Pages of other sites.

FOREIGN = [
    ("Origin: https://stranger.test",),
    ("Origin: http://mail.test:81",),
    ("Origin: http://mail.test.stranger.test",),
    ("Origin: null",),
    ("Origin: http://mail.test", "Origin: http://stranger.test"),
    ("Sec-Fetch-Site: cross-site",),
    ("Origin: http://mail.test", "sec-fetch-site: cross-site"),
]
OWN = [
    (),
    ("Origin: http://mail.test",),
    ("Origin: https://MAIL.test",),
    ("Origin: http://mail.test:80",),
    ("Sec-Fetch-Site: same-origin",),
    ("Sec-Fetch-Site: none",),
    ("X-Origin: http://stranger.test",),
]


def to_lines(lines: tuple[str, ...]) -> bytes:
    """Return header lines as bytes."""
    return "".join(f"{line}\r\n" for line in lines).encode()


@pytest.mark.parametrize("lines", FOREIGN, ids=" ".join)
@pytest.mark.parametrize("body", [SMALL_BODY, b"text", LARGE["brackets"]], ids=["message", "text", "large"])
def test_a_request_of_a_foreign_page_is_refused_and_not_recorded(lines: tuple[str, ...], body: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: mail.test\r\nContent-Type: text/plain\r\n" + to_lines(lines)
    with serving() as server:
        came = exchange(server.url, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert came.startswith(b"HTTP/1.1 403 ")
        broken = exchange(server.url, head + b"Content-Length: x\r\n\r\n")
        assert broken.startswith(b"HTTP/1.1 403 ")
        listed = server.api.request("GET", "/api/messages", "Host: mail.test", *lines)
        assert listed.status == 403
        assert server.api.request("DELETE", "/api/messages", "Host: mail.test", *lines).status == 403
        assert (server.log.deliveries, server.endpoint.violations) == ([], 0)


@pytest.mark.parametrize("lines", OWN, ids=" ".join)
def test_a_request_of_the_own_page_or_of_a_program_is_accepted(lines: tuple[str, ...]) -> None:
    with serving() as server:
        assert b" 200 OK" in exchange(
            server.url, SMALL.replace(b"\r\n\r\n", b"\r\n" + to_lines(lines) + b"\r\n", 1)
        )


def test_a_link_of_another_site_opens_the_inbox_page() -> None:
    lines = ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Connection: close")
    with serving() as server:
        for path, status in (("/", 200), ("/api/messages", 403)):
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + to_lines(lines) + b"\r\n"
            assert exchange(server.url, request).startswith(b"HTTP/1.1 %d " % status)


# Open files.


def test_clients_beyond_the_limit_of_open_files_are_reported_in_one_line() -> None:
    # As many files are reserved as the process may open: each client is one too many.
    with serving(limits=Limits(reserved_files=2**62)) as server:
        for _ in range(3):
            with Client(server.url) as client:
                assert client.read() == b""
        (line,) = server.log.problems
        assert "limit of open files" in line


# Requests that are not whole.


@pytest.mark.parametrize(
    "start",
    [
        b"Content-Length: 1900000\r\n\r\n" + b"x" * 600_000,
        b"Transfer-Encoding: chunked\r\n\r\n" + b"927c0\r\n" + b"x" * 600_000 + b"\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n" + b"fffff\r\n" + b"x" * 600_000,
    ],
    ids=["sized", "chunk", "part of a chunk"],
)
def test_clients_that_hold_too_much_together_are_turned_away_in_one_line(start: bytes) -> None:
    with serving(limits=Limits(held_bytes=1_000_000)) as server:
        with ExitStack() as stack:
            clients = [stack.enter_context(Client(server.url)) for _ in range(3)]
            for client in clients:
                with suppress(OSError):
                    client.send(HEAD + start)
            wait_until(lambda: server.log.problems and len(server.server.connections) == 1)
            assert server.deliver().status == 200
            (line,) = server.log.problems
            assert "more than 1000000 bytes of requests that are not handled yet" in line
        wait_until(lambda: not server.server.connections)
        # What is gone or handled does not count.
        server.log.deliveries.clear()
        with Client(server.url) as client:
            for _ in range(3):
                client.send(to_request(b"x" * 900_000))
                assert client.read_response().status == 400
        assert [one.status for one in server.log.deliveries] == [400] * 3


def test_an_idle_connection_keeps_no_large_request() -> None:
    reader = RequestReader()
    reader.feed(to_request(b"x" * 900_000) + SMALL[:10])
    assert isinstance(reader.next_event(), Received)
    assert (reader.held, reader.buffered) == (10, 10)
    reader.feed(SMALL[10:])
    assert isinstance(reader.next_event(), Received)


# Clients that do not read.

WHOLE = json.dumps({**MESSAGE, "payload": {"code": "é" * 900_000}}, ensure_ascii=False).encode()
MEDIUM = json.dumps({**MESSAGE, "payload": {"code": "1" * 9000}}).encode()
PATIENT = Limits(request_seconds=1000, sweep_seconds=0.05)


@contextmanager
def leaving_unread(server: Serving, path: str, count: int) -> Iterator[list[Client]]:
    """Ask for a large response on each of some connections, and read none of them."""
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server.url)) for _ in range(count)]
        for client in clients:
            client.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield clients


def deliver_large_and_medium(server: Serving) -> None:
    for body in (WHOLE, MEDIUM):
        assert b" 200 OK" in exchange(server.url, to_request(body))


@pytest.mark.parametrize("path", ["/api/messages/1", "/api/messages/latest?to=none@example.com"])
def test_clients_that_do_not_read_delay_no_others_details(path: str) -> None:
    # Without room made for the new ones, they would wait for as long as a client may stall.
    api_limits = ApiLimits(max_unread_bytes=10_000_000, read_seconds=0.05)
    with serving(limits=PATIENT, api_limits=api_limits) as server:
        deliver_large_and_medium(server)
        with leaving_unread(server, path, 24):
            assert server.api.get("/api/messages/2")["code"] == "1" * 9000
            assert server.api.get("/api/messages/1")["code"] == "é" * 900_000
            assert server.api.read_refusal("/api/messages/latest?to=other@example.com", 404)
            assert len(server.server.connections) < 24


def test_a_medium_detail_does_not_wait_behind_large_ones() -> None:
    with serving(limits=PATIENT, api_limits=ApiLimits(max_unread_bytes=0, read_seconds=1000)) as server:
        deliver_large_and_medium(server)
        with leaving_unread(server, "/api/messages/1", 3) as clients:
            assert clients[0].head()[0] == 200
            assert server.api.get("/api/messages/2")["code"] == "1" * 9000
            assert len(server.server.connections) >= 3


def test_a_detail_waits_for_clients_that_read() -> None:
    with serving(api_limits=ApiLimits(max_unread_bytes=0, read_seconds=1000)) as server:
        deliver_large_and_medium(server)
        with leaving_unread(server, "/api/messages/1", 4) as clients:
            for client in clients:
                assert client.read_response().json["code"] == "é" * 900_000


def test_a_response_that_is_not_read_whole_in_time_is_cut_but_no_stream_and_no_wait() -> None:
    limits = Limits(request_seconds=1000, response_seconds=0.05, sweep_seconds=0.01)
    with serving(limits=limits) as server, server.api.events("/api/events") as stream:
        assert stream.read_event()[0] == "hello"
        with server.api.send("GET", "/api/messages/latest?wait=30&to=late@example.com") as waiting:
            assert b" 200 OK" in exchange(server.url, to_request(WHOLE))
            assert stream.read_event()[0] == "message"
            with leaving_unread(server, "/api/messages/1", 1) as (client,):
                assert client.head()[0] == 200
                wait_until(lambda: len(server.server.connections) == 2)
            assert server.deliver({**MESSAGE, "to": "late@example.com"}).status == 200
            assert waiting.read_response().json["id"] == 2
            assert stream.read_event()[0] == "message"


# The cursor of a listing.


class ArrivingStore(MemoryStore):
    """A store to which another delivery comes whenever one is read."""

    def __init__(self, _: str, limit: int) -> None:
        super().__init__(limit)

    def get(self, id: int) -> Recorded | None:
        found = super().get(id)
        if found is not None:
            self.add(found._replace(id=self.last + 1), lambda _: None)
        return found


def test_the_cursor_of_a_listing_is_not_ahead_of_what_it_lists() -> None:
    with serving(opening=ArrivingStore) as server:
        server.deliver()
        listing = server.api.get("/api/messages")
        assert [one["id"] for one in listing["messages"]] == [1]
        assert (listing["last"], listing["total"]) == (1, 1)


# Streams.


def test_a_stream_is_complete_when_many_deliveries_come_at_once() -> None:
    for count in (1001, 1003, 1005):
        with serving() as server, server.api.events("/api/events") as stream:
            assert stream.read_event()[0] == "hello"
            with Client(server.url) as client:
                client.send(SMALL * count)
                seen: list[int | None] = []
                while len(seen) < count and (event := stream.next()) is not None:
                    seen.append(event.id)
            assert seen == list(range(1, len(seen) + 1))
            assert len(seen) == count or stream.next() is None


@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_stream_ends_where_a_delivery_was_dropped_unsent(store: str, tmp_path: Path) -> None:
    where = store if store == "memory" else str(tmp_path / "inbox")
    # All in one turn, in which the inbox drops most of them.
    limits = Limits(turn_requests=1000, turn_bytes=1024 * 1024)
    with serving(where, 10, limits=limits) as server, server.api.events("/api/events") as stream:
        assert stream.read_event()[0] == "hello"
        with Client(server.url) as client:
            client.send(SMALL * 200)
            ids: list[int | None] = []
            while (event := stream.next()) is not None and len(ids) < 200:
                ids.append(event.id)
        assert ids == list(range(1, len(ids) + 1))
        assert event is None or len(ids) == 200


@pytest.mark.parametrize("store", ["memory", "file"])
def test_a_stream_that_catches_up_ends_where_a_delivery_was_dropped(store: str, tmp_path: Path) -> None:
    where = store if store == "memory" else str(tmp_path / "inbox")
    body = json.dumps({**MESSAGE, "payload": {"code": "1" * 20_000}}).encode()
    with serving(where, 600) as server, Client(server.url) as client:
        for _ in range(600):
            client.send(to_request(body))
            assert client.read_response().status == 200
        # It reads nothing yet, so that the server waits with most of the messages.
        with server.api.events("/api/events?after=0") as stream:
            wait_until(lambda: server.listeners() == 1)
            client.send(SMALL * 500)
            assert [client.read_response().status for _ in range(500)] == [200] * 500
            assert stream.read_event()[0] == "hello"
            ids: list[int | None] = []
            while (event := stream.next()) is not None:
                ids.append(event.id)
        assert ids == list(range(1, len(ids) + 1))
        assert 0 < len(ids) < 600


def fill(store: MemoryStore, ids: Iterable[int]) -> list[Recorded]:
    """Add deliveries to a store, and return them."""
    added = [
        Recorded(id, 1.0, 200, True, None, None, None, None, None, None, "", "", "", "", "", "", 0, b"")
        for id in ids
    ]
    for recorded in added:
        store.add(recorded, lambda _: None)
    return added


def test_a_stream_that_catches_up_is_complete_when_what_it_has_sent_is_dropped() -> None:
    store = MemoryStore(300)
    fill(store, range(1, 401))
    backlog = Backlog(store, Query(after=0), 1000)
    seen = [backlog.take()]
    for recorded in fill(store, range(401, 451)):
        backlog.add(recorded)
    while (id := backlog.take()) is not None:
        seen.append(id)
    assert (seen, backlog.is_over) == (list(range(101, 451)), False)


def test_a_stream_that_catches_up_ends_where_what_it_has_not_read_is_dropped() -> None:
    store = MemoryStore(300)
    fill(store, range(1, 301))
    backlog = Backlog(store, Query(after=0), 1000)
    seen = [backlog.take() for _ in range(100)]
    for recorded in fill(store, range(301, 451)):
        backlog.add(recorded)
    assert (seen, backlog.take(), backlog.is_over) == (list(range(1, 101)), None, True)


def test_streams_that_wait_for_their_clients_hold_no_list_of_the_inbox() -> None:
    store = MemoryStore(20_000)
    fill(store, range(1, 20_001))
    tracemalloc.start()
    try:
        streams = [Backlog(store, Query(after=0), 1000) for _ in range(100)]
        assert [stream.take() for stream in streams] == [1] * 100
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_deletion_while_a_stream_catches_up_is_sent() -> None:
    body = json.dumps({**MESSAGE, "payload": {"code": "1" * 200_000}}).encode()
    with serving() as server:
        for _ in range(60):
            assert b" 200 OK" in exchange(server.url, to_request(body))
        # It reads nothing yet, so that the server waits with most of the messages.
        with server.api.events("/api/events?after=0") as stream:
            wait_until(lambda: server.listeners() == 1)
            assert server.api.request("DELETE", "/api/messages").json == {"deleted": 60}
            server.deliver()
            names = [stream.read_event()[0]]
            ids: list[int | None] = []
            while (event := stream.next()) is not None:
                names.append(event.name)
                ids.append(event.id)
                if event.id == 61:
                    break
        assert names[-2:] == ["deleted", "message"]
        assert ids[-1] == 61
        assert 0 < len(ids) < 61


def test_a_stream_that_waits_for_its_client_holds_no_bodies() -> None:
    body = json.dumps({**MESSAGE, "payload": {"code": "1", "x": "y" * 1_000_000}}).encode()
    with serving(max_deliveries=2) as server, server.api.events("/api/events"):
        tracemalloc.start()
        try:
            for _ in range(40):
                assert b" 200 OK" in exchange(server.url, to_request(body))
                server.log.deliveries.clear()
            assert tracemalloc.get_traced_memory()[0] < 10_000_000
        finally:
            tracemalloc.stop()


# Requests that were put off.


def test_a_request_that_is_put_off_is_handled_before_the_server_stops_and_is_not_cut_as_slow() -> None:
    with serving(limits=Limits(turn_bytes=1024)) as server, Client(server.url) as client:
        wait_until(lambda: server.server.connections)

        def arrive() -> None:
            (connection,) = server.server.connections
            connection.data_received(to_request(b"x" * 5000))
            connection.cut_if_slow(server.loop.time() + 1000)
            connection.stop()

        server.call(arrive)
        assert client.read_response().status == 400
        wait_until(lambda: not server.server.connections)


def test_a_reader_tells_how_much_of_a_body_is_still_to_come() -> None:
    reader = RequestReader()
    assert reader.lacking == 0
    reader.feed(HEAD + b"Content-Length: 1000\r\n\r\n" + b"x" * 100)
    assert reader.next_event() is None
    assert reader.lacking == 900
    reader.feed(b"x" * 900)
    assert isinstance(reader.next_event(), Received)
    assert reader.lacking == 0
