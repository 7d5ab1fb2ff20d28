"""A healthy client's response times while one client of each hostile kind works, and memory over a soak.

``hostile.py`` does both, ``hostile.py soak`` the second alone. SECONDS is the time for each kind, and
SOAK_SECONDS that of the soak.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BIN = Path(sys.executable).parent
SECONDS = float(os.environ.get("SECONDS", "5"))
SOAK_SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
MAX_P99_MS = 50
MAX_PARSING_P99_MS = 150
MAX_GROWTH = 1.1
SIZE = 1_900_000
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PATIENCE = 30.0
IDLE = "nobody"


class Endpoint:
    """A running ``mail-contract serve``.

    Args:
        port: The port that it listens at.
        process: Its process.
    """

    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.port = port
        self.process = process

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def exchange(self, data: bytes) -> int:
        """Send bytes, and return how many came until the server closed the connection."""
        came = 0
        with self.connect() as client:
            reader = threading.Thread(target=send_quietly, args=(client, data), daemon=True)
            reader.start()
            with suppress(OSError):
                while part := client.recv(1 << 16):
                    came += len(part)
            reader.join(PATIENCE)
        return came

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        found = re.search(r"VmRSS:\s+([0-9]+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found
        return int(found[1]) / 1024


def send_quietly(client: socket.socket, data: bytes) -> None:
    # The server may refuse the request while it is still being sent.
    with suppress(OSError):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)


@contextmanager
def running(*options: str) -> Iterator[Endpoint]:
    """Run an endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = int(listening.getsockname()[1])
    process = subprocess.Popen(
        [str(BIN / "mail-contract"), "serve", "--port", str(port), "--lenient", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    endpoint = Endpoint(port, process)
    try:
        while True:
            try:
                endpoint.connect().close()
                break
            except OSError:
                assert process.poll() is None, "serve does not start"
                time.sleep(0.05)
        yield endpoint
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


# What hostile clients send.


def post(body: bytes, lines: bytes = b"") -> bytes:
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: str, last: bool = True) -> bytes:
    close = "Connection: close\r\n" if last else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n".encode()


def message(payload: bytes, to: bytes = b"large@example.com") -> bytes:
    return b'{"to":"%s","type":"SignIn","payload":%s}' % (to, payload)


def members(count: int, form: bytes) -> bytes:
    return b"{" + b",".join(form % number for number in range(count)) + b"}"


SMALL = post(message(b'{"code":"123456"}', b"foo@example.com"))
LARGE = post(message(b'{"code":"%s"}' % ("é".encode() * (SIZE // 2))))
COSTLY = post(message(members(1300, b'"k":%d')))
DETAIL = get("/api/messages/latest?to=foo@example.com", last=False)
BODIES = {
    "integer-like keys": message(
        members(SIZE // 20, b'"%d":1')[:-1] + b"," + members(SIZE // 20, b'"k%d":1')[1:]
    ),
    "brackets": message(b'{"x":[' + b"[]," * (SIZE // 3) + b"1]}"),
    "objects": message(b'{"x":[' + b"{}," * (SIZE // 3) + b"1]}"),
    "duplicate keys": message(members(SIZE // 12, b'"k":%d')),
    "long texts": message(b"{}", "é".encode() * (SIZE // 2)),
}


def parsing(body: bytes) -> Callable[[Endpoint], None]:
    def attack(endpoint: Endpoint) -> None:
        endpoint.exchange(post(body))
        endpoint.exchange(get("/api/messages/latest?to=large@example.com"))

    return attack


def sending(*those: bytes) -> Callable[[Endpoint], None]:
    def attack(endpoint: Endpoint) -> None:
        for data in those:
            endpoint.exchange(data)

    return attack


def leave_unread(endpoint: Endpoint) -> None:
    clients = [endpoint.connect() for _ in range(20)]
    for client in clients:
        client.sendall(get("/api/events?after=0") + get("/api/messages?limit=1000") * 50)
    time.sleep(0.2)
    for client in clients:
        client.close()


def leave_details_unread(endpoint: Endpoint) -> None:
    endpoint.exchange(LARGE)
    clients = [endpoint.connect() for _ in range(24)]
    for client in clients:
        client.sendall(get("/api/messages/latest?to=large@example.com"))
    time.sleep(0.2)
    for client in clients:
        client.close()


def leave_unfinished(endpoint: Endpoint) -> None:
    clients = [endpoint.connect() for _ in range(200)]
    for client in clients:
        # The server turns the later ones away.
        with suppress(OSError):
            client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % (SIZE + 1) + b"x" * SIZE)
    for client in clients:
        client.close()


def deliver_together(endpoint: Endpoint) -> None:
    clients = [endpoint.connect() for _ in range(300)]
    for client in clients:
        client.sendall(COSTLY)
    for client in clients:
        client.recv(1 << 16)
        client.close()


def trickle(endpoint: Endpoint) -> None:
    with endpoint.connect() as client, suppress(OSError):
        for byte in HEAD:
            client.sendall(bytes([byte]))


MANY_LINES = b"".join(b"a%d:\r\n" % number for number in range(7000))
SCRIPT = b"POST /api/replies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PARSING = {f"a body of {name}, and its detail": parsing(body) for name, body in BODIES.items()} | {
    "a script of brackets": sending(
        SCRIPT + b"Content-Length: %d\r\n\r\n" % len(BODIES["brackets"]) + BODIES["brackets"]
    ),
    "large details left unread": leave_details_unread,
}
OTHERS = {
    "near misses in a full inbox": sending(get("/api/messages?to=NONE@example.com", last=False) * 200),
    "lists of what is there": sending(get("/api/messages?limit=1000"), get("/api/messages/latest?to=none")),
    "20,000 GETs in one segment": sending(get("/healthz", last=False) * 20_000),
    "the page 2,000 times": sending(get("/", last=False) * 2000),
    "5,000 deliveries in one segment": sending(SMALL * 5000),
    "thousands of header lines": sending(post(b"{}", MANY_LINES)),
    "chunks of one byte": sending(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n1\r\n" * 300_000 + b"0\r\n\r\n"
    ),
    "an endless head": sending(HEAD + b"x" * 10_000_000),
    "an endless trailer": sending(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a:b\r\n" * 200_000),
    "bytes of no protocol": sending(b"\x16\x03\x01" + b"\0\xff" * 1_000_000),
    "300 deliveries at once, each slow to judge": deliver_together,
    "a byte at a time": trickle,
    "requests that are never whole": leave_unfinished,
    "responses left unread": leave_unread,
}
KINDS: dict[str, Callable[[Endpoint], None]] = {IDLE: lambda _: time.sleep(0.1), **OTHERS, **PARSING}


# The measurements.


def repeat(endpoint: Endpoint, attack: Callable[[Endpoint], None]) -> None:
    while True:
        attack(endpoint)


def measure(endpoint: Endpoint, attack: Callable[[Endpoint], None]) -> list[float]:
    """Return a healthy client's times in milliseconds, sorted, while an attack is repeated.

    It delivers a small message and shows it, again and again.
    """
    # In a process of its own: in one with the attack, the client would wait for the interpreter.
    hostile = multiprocessing.get_context("fork").Process(target=repeat, args=(endpoint, attack))
    hostile.start()
    times: list[float] = []
    deadline = time.monotonic() + SECONDS
    with endpoint.connect() as client:
        while time.monotonic() < deadline:
            for request in (SMALL, DETAIL):
                begin = time.perf_counter()
                client.sendall(request)
                assert b" 200 OK" in client.recv(1 << 16)
                times.append((time.perf_counter() - begin) * 1000)
            time.sleep(0.002)
    hostile.terminate()
    hostile.join()
    return sorted(times)


def response_times() -> None:
    print(f"a healthy client beside a hostile one, {SECONDS:g} s for each kind")
    slowest = {"kinds": 0.0, "parses": 0.0}
    with running() as endpoint:
        for name, attack in KINDS.items():
            times = measure(endpoint, attack)
            p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
            print(
                f"  {name:<48} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  most {times[-1]:7.2f} ms  "
                f"{len(times):>5} responses  {endpoint.memory():6.1f} MiB"
            )
            group = "parses" if name in PARSING else "kinds"
            slowest[group] = max(slowest[group], p99)
    judge("the slowest p99 in ms", slowest["kinds"], MAX_P99_MS, at_most=True)
    judge("the slowest p99 in ms during C parses", slowest["parses"], MAX_PARSING_P99_MS, at_most=True)


def soak(folder: Path) -> None:
    """Repeat all attacks, and compare the memory after the inbox was full with that at the end."""
    for options in ((), ("--store", str(folder / "inbox.sqlite"))):
        with running("--max-messages", "50", *options) as endpoint:
            marks: list[float] = []
            deadline = time.monotonic() + SOAK_SECONDS / 2
            # Three rounds fill the inbox and whatever else is bounded.
            while len(marks) < 5 or time.monotonic() < deadline:
                for attack in KINDS.values():
                    attack(endpoint)
                marks.append(endpoint.memory())
        what = "SQLite" if options else "memory"
        print(f"\n{what}: after each of {len(marks)} rounds of all kinds, MiB")
        print("  " + " ".join(f"{mark:.0f}" for mark in marks))
        judge("growth after three rounds", max(marks[3:]) / max(marks[:3]), MAX_GROWTH, at_most=True)


def main() -> None:
    if sys.argv[1:] != ["soak"]:
        response_times()
    with tempfile.TemporaryDirectory() as name:
        soak(Path(name))


if __name__ == "__main__":
    main()
