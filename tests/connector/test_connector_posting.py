"""The client that posts as the connector does: connections, deadlines, TLS, redirects.

``tests/logto`` compares its bytes and its verdicts with those of the real connector.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import ssl
import struct
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme
from tests.logto.wire import Reply, Wire, reply

from logto_mail_contract.connector.channel import UrlTarget
from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.connector.posting import MAX_REDIRECTS, deliver, post
from logto_mail_contract.receivers.receiver import Receiver
from logto_mail_contract.wire.calls import Call
from logto_mail_contract.wire.outcomes import NoResponse, Response
from logto_mail_contract.wire.responses import MAX_STORED_BODY_BYTES
from logto_mail_contract.wire.urls import mask_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

MESSAGE = {"to": "foo@example.com", "type": "SignIn", "payload": {"code": "031415"}}


@contextmanager
def serving(serve: Callable[[socket.socket], object], address: str = "127.0.0.1") -> Iterator[str]:
    """Pass every connection to a function in a new thread, and close it afterwards."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    threads: list[threading.Thread] = []

    def run(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            serve(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threads.append(threading.Thread(target=run, args=(connection,)))
                threads[-1].start()

    with socket.create_server((address, 0), family=family) as server:
        accepting = threading.Thread(target=accept)
        accepting.start()
        name = f"[{address}]" if ":" in address else address
        yield f"http://{name}:{server.getsockname()[1]}/mail"
        server.shutdown(socket.SHUT_RDWR)
        accepting.join()
    for thread in threads:
        thread.join()


def read_request(connection: socket.socket) -> bytes:
    """Read one request whose body is small."""
    data = b""
    while not data.endswith(b"}"):
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    return data


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


# Deadlines.


def drip(connection: socket.socket, data: Iterable[bytes], pause: float) -> None:
    read_request(connection)
    for piece in data:
        connection.sendall(piece)
        time.sleep(pause)


DRIPPING = {
    "silence": ([], 0.0, "no response"),
    "dripping head": ([b"%c" % byte for byte in OK], 0.05, "part of a head, and no end"),
    "dripping body": (
        itertools.chain([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"], itertools.repeat(b"x", 50)),
        0.05,
        r"status 200 and \d+ bytes of body, and no end",
    ),
    "endless body": (
        itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n"], itertools.repeat(b"x" * 65536)),
        0.0,
        r"status 200 and \d+ bytes of body, and no end",
    ),
    "endless 102": (
        itertools.repeat(b"HTTP/1.1 102 Processing\r\n\r\n"),
        0.02,
        "no response|part of a head.*",
    ),
}


@pytest.mark.parametrize("name", DRIPPING)
def test_a_slow_response_ends_at_the_deadline(name: str) -> None:
    pieces, pause, problem = DRIPPING[name]

    def serve(connection: socket.socket) -> None:
        drip(connection, pieces, pause)
        connection.recv(1)

    with serving(serve) as url:
        start = time.monotonic()
        outcome = post(url, MESSAGE, timeout=1)
        assert 0.95 < time.monotonic() - start < 10
    assert isinstance(outcome, NoResponse)
    assert outcome.kind == "timeout"
    assert re.fullmatch(problem, outcome.problem)


def test_a_long_body_is_stored_up_to_a_maximum() -> None:
    with Wire(reply("200 OK", body=b"x" * 2 * MAX_STORED_BODY_BYTES)) as wire:
        outcome = post(f"{wire.origin}/mail", MESSAGE)
    assert isinstance(outcome, Response)
    assert MAX_STORED_BODY_BYTES <= len(outcome.body) < MAX_STORED_BODY_BYTES + 100_000


def test_an_endless_head_is_reported_as_garbled() -> None:
    lines = itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(b"x: y\r\n" * 1000))
    with serving(lambda connection: drip(connection, lines, 0)) as url:
        outcome = post(url, MESSAGE)
    assert isinstance(outcome, NoResponse)
    assert (outcome.kind, outcome.problem) == ("garbled", "a head of more than 16384 bytes")


# Connections.


def test_a_connection_is_reused() -> None:
    with Wire() as wire:
        target = UrlTarget(f"{wire.origin}/mail")
        with closing(target.open()) as channel:
            for _ in range(3):
                deliver(channel, connector_call(target, b"{}"), 5)
    assert [request.connection for request in wire.requests] == [0, 0, 0]


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_stale_connection_is_replaced(then: str) -> None:
    connections: list[socket.socket] = []
    requests: list[int] = []
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        number = len(connections)
        connections.append(connection)
        while read_request(connection):
            requests.append(number)
            connection.sendall(OK)
            if number == 0:
                if then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                ended.set()
                return

    with serving(serve) as url:
        target = UrlTarget(url)
        with closing(target.open()) as channel:
            call = connector_call(target, b"{}")
            assert isinstance(channel.exchange(call, 5), Response)
            assert ended.wait(10)
            assert isinstance(channel.exchange(call, 5), Response)
            assert isinstance(channel.exchange(call, 5), Response)
    assert requests == [0, 1, 1]


def test_a_connection_that_ends_during_a_request_is_replaced_once() -> None:
    """The receiver reads the second request and closes the idle connection."""
    with Wire(Reply(OK), Reply(b"", "close"), Reply(OK)) as wire:
        target = UrlTarget(f"{wire.origin}/mail")
        with closing(target.open()) as channel:
            assert isinstance(deliver(channel, connector_call(target, b"{}"), 5), Response)
            assert isinstance(deliver(channel, connector_call(target, b"{}"), 5), Response)
    assert [request.connection for request in wire.requests] == [0, 0, 1]


def test_a_connection_that_ends_without_a_response_is_reported() -> None:
    with Wire(Reply(b"", "close")) as wire:
        outcome = post(f"{wire.origin}/mail", MESSAGE)
    assert isinstance(outcome, NoResponse)
    assert (outcome.kind, outcome.problem) == ("cut", "the connection ended without a response")
    assert len(wire.requests) == 1


@pytest.mark.parametrize("line", [b"connection: close", b"connection: x, Close"])
def test_a_connection_is_not_reused_after_connection_close(line: bytes) -> None:
    with Wire(Reply(OK.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n"))) as wire:
        target = UrlTarget(f"{wire.origin}/mail")
        with closing(target.open()) as channel:
            call = connector_call(target, b"{}")
            assert isinstance(channel.exchange(call, 5), Response)
            assert channel.exchange_again(call, 5) is None
            assert isinstance(channel.exchange(call, 5), Response)
    assert [request.connection for request in wire.requests] == [0, 1]


def test_late_bytes_are_reported() -> None:
    """An empty line is not reported, other bytes are."""
    wanted = [threading.Event(), threading.Event()]
    is_sent = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK)
        wanted[0].wait(10)
        connection.sendall(b"\r\n")
        is_sent.set()
        wanted[1].wait(10)
        connection.sendall(b"late")
        connection.recv(1)

    with serving(serve) as url, closing(UrlTarget(url).open()) as channel:
        assert isinstance(channel.exchange(connector_call(UrlTarget(url), b"{}"), 5), Response)
        assert channel.late_bytes(0.02) == ()
        wanted[0].set()
        assert is_sent.wait(10)
        assert channel.late_bytes(0.1) == ()
        wanted[1].set()
        assert channel.late_bytes(10) == ("4 bytes after the end of the response",)


@pytest.mark.parametrize("then", ["reads on", "closes"])
def test_a_response_before_the_request_was_read_is_accepted(then: str) -> None:
    """A receiver may refuse a large body before it has read it."""

    def serve(connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        if then == "reads on":
            time.sleep(0.1)
            while connection.recv(65536):
                pass

    with serving(serve) as url:
        outcome = post(url, b"x" * 20_000_000, timeout=5)
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.body) == (413, b"no")


def test_a_large_request_is_sent_completely() -> None:
    with Wire() as wire:
        assert isinstance(post(f"{wire.origin}/mail", b"x" * 20_000_000), Response)
    assert len(wire.requests[0].body) == 20_000_000


def test_a_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    outcome = post(f"http://127.0.0.1:{port}/", MESSAGE)
    assert isinstance(outcome, NoResponse)
    assert (outcome.kind, outcome.problem) == ("unreachable", "Connection refused")


def test_posting_works_with_many_open_files() -> None:
    """``select`` fails for descriptors from 1024 on."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2000:
        pytest.skip("not so many open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    open_ones = [socket.socket() for _ in range(1100)]
    try:
        with Wire() as wire, closing(UrlTarget(f"{wire.origin}/").open()) as channel:
            call = connector_call(UrlTarget(f"{wire.origin}/"), b"{}")
            assert isinstance(channel.exchange(call, 5), Response)
            assert isinstance(channel.exchange(call, 5), Response)
    finally:
        for one in open_ones:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_ipv6_address_is_reached() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 here")
    requests = []

    def serve(connection: socket.socket) -> None:
        requests.append(read_request(connection))
        connection.sendall(OK)

    with serving(serve, "::1") as url:
        assert isinstance(post(url, MESSAGE), Response)
    assert f"Host: {url.split('/')[2]}\r\n".encode() in requests[0]


# TLS.


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def tls_serving(authority: trustme.CA, name: str = "localhost") -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def serve(plain: socket.socket) -> None:
        with context.wrap_socket(plain, server_side=True) as connection:
            while read_request(connection):
                connection.sendall(OK)

    with serving(serve) as url:
        yield url.replace("http://127.0.0.1", "https://localhost")


def test_tls_with_a_custom_authority_is_accepted(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with tls_serving(authority) as url, closing(Receiver.url(url, ca_file=file)) as receiver:
        call = connector_call(receiver.target, b"{}")
        assert call.scheme == "https"
        with closing(receiver.target.open()) as channel:
            for _ in range(2):
                assert isinstance(channel.exchange(call, 5), Response)
            assert channel.late_bytes(0.05) == ()
            assert isinstance(channel.exchange_again(call, 5), Response)


@pytest.mark.parametrize("fault", ["authority", "name"])
def test_untrusted_tls_is_reported(fault: str, authority: trustme.CA) -> None:
    context = ssl.create_default_context()
    if fault == "name":
        authority.configure_trust(context)
    with tls_serving(authority, "other.test") as url:
        outcome = post(url, MESSAGE, tls=context)
    assert isinstance(outcome, NoResponse)
    assert outcome.kind == "unreachable"
    assert "certificate verify failed" in outcome.problem.lower()


def test_a_missing_tls_handshake_ends_at_the_deadline() -> None:
    """The deadline includes the handshake."""
    with serving(lambda connection: connection.recv(10_000) and connection.recv(1)) as url:
        start = time.monotonic()
        outcome = post(url.replace("http:", "https:"), MESSAGE, timeout=0.3)
        assert time.monotonic() - start < 10
    assert isinstance(outcome, NoResponse)
    assert outcome.kind == "unreachable"


# Redirects.


@pytest.mark.parametrize(
    "location",
    [
        "https://{host}/there",
        "http://127.0.0.1:1/there",
        "http://localhost:{port}/there",
        "//example.com/there",
        "ftp://{host}/there",
        "http://[",
        "http://{host}:x/",
        "http://%zz@{host}/there",
        "mailto:foo@example.com",
    ],
)
def test_a_redirect_to_another_origin_is_not_followed(location: str) -> None:
    with Wire() as wire:
        written = location.format(host=wire.host, port=wire.host.split(":")[1])
        line = b"HTTP/1.1 307 Moved\r\ncontent-length: 0\r\nlocation: " + written.encode("latin-1")
        wire.reply_with(Reply(line + b"\r\n\r\n"))
        outcome = post(f"{wire.origin}/mail", MESSAGE)
    assert isinstance(outcome, Response)
    assert (outcome.status, outcome.redirects, len(wire.requests)) == (307, (), 1)


def test_the_time_of_a_redirect_is_included() -> None:
    slow = Reply(reply("307 Moved", "location: /there").data, before=lambda: time.sleep(0.2))
    with Wire(slow, Reply()) as wire:
        outcome = post(f"{wire.origin}/mail", MESSAGE)
    assert isinstance(outcome, Response)
    assert outcome.redirects == (307,)
    assert outcome.seconds >= 0.2


# URLs.


@pytest.mark.parametrize(
    "url",
    ["", "mail", "/mail", "ftp://127.0.0.1/", "http://", "http:///", "http://127.0.0.1:x/", "http://\ud800/"],
)
def test_an_invalid_url_raises(url: str) -> None:
    with pytest.raises(ValueError, match=r"^An endpoint is an http or https URL with a host, "):
        UrlTarget(url)


@pytest.mark.parametrize(
    "url", ["ftp://foo:s3cret@127.0.0.1/", "http://foo:s3cret@[/", "http://foo:s3cret%@127.0.0.1/"]
)
def test_the_password_of_an_invalid_url_is_not_printed(url: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - any message
        UrlTarget(url)
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "host", "address"),
    [
        ("http://LOCALHOST/", "localhost", ("localhost", 80)),
        ("http://localhost:80/", "localhost", ("localhost", 80)),
        ("https://localhost:443", "localhost", ("localhost", 443)),
        ("https://localhost:80", "localhost:80", ("localhost", 80)),
        ("http://[::1]:3000/", "[::1]:3000", ("::1", 3000)),
        ("http://bücher.example/", "xn--bcher-kva.example", ("xn--bcher-kva.example", 80)),
        ("http://straße.example/", "xn--strae-oqa.example", ("xn--strae-oqa.example", 80)),
        ("http:///localhost", "localhost", ("localhost", 80)),
        ("http://127.1:8080/", "127.0.0.1:8080", ("127.0.0.1", 8080)),
    ],
)
def test_host_and_address_follow_from_the_url(url: str, host: str, address: tuple[str, int]) -> None:
    target = UrlTarget(url)
    assert (target.host, target.address) == (host, address)


# Requests.


def test_a_call_encodes_other_methods() -> None:
    call = Call("/x", (("a", "ü"),), b"", "GET")
    assert call.encode() == "GET /x HTTP/1.1\r\na: ü\r\n\r\n".encode()
    assert MAX_REDIRECTS == 10


def test_bytes_after_a_response_do_not_fail_the_next_request() -> None:
    """A body that arrives late after a 204 garbles only the next response on the connection."""
    arrived = threading.Event()

    def serve(listener: socket.socket) -> None:
        first, _ = listener.accept()
        with first:
            first.recv(65536)
            first.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            first.recv(65536)
            first.sendall(b"late body\r\n")
            second, _ = listener.accept()
            with second:
                second.recv(65536)
                second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                arrived.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        target = UrlTarget(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with closing(target.open()) as channel:
            call = connector_call(target, b"{}")
            outcomes = [channel.exchange(call, 10) for _ in range(2)]
        arrived.set()
        thread.join()
    assert [outcome.status for outcome in outcomes if isinstance(outcome, Response)] == [204, 200]


def test_a_request_that_ends_the_receiver_is_reported_as_cut() -> None:
    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
            connection.recv(65536)
            listener.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = UrlTarget(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        with closing(target.open()) as channel:
            call = connector_call(target, b"{}")
            outcomes = [channel.exchange(call, 10) for _ in range(3)]
        thread.join()
    kinds = [outcome.kind for outcome in outcomes if isinstance(outcome, NoResponse)]
    assert kinds == ["cut", "unreachable"]


@pytest.mark.parametrize(
    ("url", "shown", "plain"),
    [
        ("http://x.test/hook", "http://x.test/hook", "http://x.test/hook"),
        ("http://x.test", "http://x.test/", "http://x.test/"),
        ("http://a:b@x.test:80/", "http://(masked)@x.test/", "http://x.test/"),
        ("http:/a:b@x.test:81/#f", "http://(masked)@x.test:81/#f", "http://x.test:81/#f"),
        (" http:\\\\a:b@x.test\\h?k=s ", "http://(masked)@x.test/h?k=(masked)", "http://x.test/h?k=s"),
        (
            "https://x.test/?a=1&b=&c&&d=e=f",
            "https://x.test/?a=(masked)&b=&(masked)&&d=(masked)",
            "https://x.test/?a=1&b=&c&&d=e=f",
        ),
    ],
)
def test_a_url_is_printed_with_its_secrets_masked(url: str, shown: str, plain: str) -> None:
    assert mask_url(url) == shown
    assert UrlTarget(url).plain_url == plain
