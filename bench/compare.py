"""This checkout beside another one: what users wait for, in alternating runs.

    python bench/compare.py ../other-checkout

Both need the environment that ``make install`` makes. Only commands and the public API are measured, so the
two may differ in everything else.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from _measure import alternate, judge, print_medians

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parents[1]
RUNS = 5
SHORT_RUNS = 25
"""For measurements of milliseconds."""

AT_MOST = 1.05
IMPORT = (
    "import sys, time, pytest; start = time.perf_counter(); import logto_mail_contract.plugin; "
    "print(time.perf_counter() - start)"
)
FIXTURE = """
from logto_mail_contract import MailServer
with MailServer() as server:
    print(server.endpoint().url, flush=True)
    input()
"""
BODY = (
    b'{"to":"foo@example.com","type":"SignIn","payload":{"code":"123456","locale":"en","application":'
    b'{"id":"demo-app","name":"Live Preview"}},"ip":"::ffff:127.0.0.1"}'
)
DELIVERIES = 4000
# The receiver of the benchmarks refuses no method and no type, so that not every rule passes; all are run.
VERIFY = ["--exclude", "receiver/reject/*", "receiver/respond/error-*"]


def program(checkout: Path, name: str) -> str:
    """Return the path of a program in the environment of a checkout."""
    return str(checkout / ".venv" / "bin" / name)


def import_seconds(checkout: Path) -> float:
    """Return how long a pytest run waits for the plugin's module."""
    done = subprocess.run(
        [program(checkout, "python"), "-c", IMPORT], cwd=checkout, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def command_seconds(checkout: Path, *arguments: str) -> float:
    """Return how long a command runs, whatever its exit code."""
    start = time.perf_counter()
    subprocess.run([program(checkout, "mail-contract"), *arguments], stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def first_request_seconds(checkout: Path) -> float:
    """Return how long after its start ``verify`` sends its first request."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        start = time.perf_counter()
        command = [program(checkout, "mail-contract"), "verify", url, "--fail-after", "60"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            while True:
                # The first connection may only ask whether anybody listens.
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1):
                        seconds = time.perf_counter() - start
                        process.kill()
                        return seconds


def deliveries_a_second(checkout: Path, clients: int) -> float:
    """Return how many deliveries a second the fixture's endpoint records."""
    with subprocess.Popen(
        [program(checkout, "python"), "-c", FIXTURE],
        cwd=checkout,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        parts = urlsplit(process.stdout.readline().strip())
        head = (
            f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n"
        )

        def post() -> None:
            with socket.create_connection((parts.hostname, parts.port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for _ in range(DELIVERIES // clients):
                    connection.sendall(head.encode() + BODY)
                    response = b""
                    while b'{"accepted":true}' not in response:
                        part = connection.recv(65536)
                        assert part, response
                        response += part

        threads = [threading.Thread(target=post) for _ in range(clients)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        process.kill()
    return DELIVERIES / seconds


@contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """Run a server until the end of the block."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < deadline, command
                time.sleep(0.02)
        try:
            yield
        finally:
            process.kill()


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def served_a_second(checkout: Path, clients: int, script: Path) -> float:
    """Return how many deliveries a second ``serve`` records, by wrk."""
    port = free_port()
    with listening([program(checkout, "mail-contract"), "serve", "--port", str(port)], port):
        wrk = ["wrk", "-t1", f"-c{clients}", "-d3s", "-s", str(script), f"http://127.0.0.1:{port}/"]
        output = subprocess.run(wrk, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    return float(output.split("Requests/sec:")[1].split()[0])


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    checkouts = {"this checkout": HERE, "the other": Path(sys.argv[1]).resolve()}

    def compare(
        title: str, unit: str, measure: partial[float], *, runs: int = RUNS, faster_is_more: bool = False
    ) -> None:
        for checkout in checkouts.values():
            measure(checkout)  # writes what Python caches
        sides = {name: partial(measure, checkout) for name, checkout in checkouts.items()}
        ours, theirs = print_medians(title, alternate(sides, runs), unit).values()
        ratio = theirs / ours if faster_is_more else ours / theirs
        judge("time of this checkout / of the other", ratio, AT_MOST, at_most=True)

    compare("Importing the plugin, pytest being there", "s", partial(import_seconds), runs=SHORT_RUNS)
    compare("mail-contract --help", "s", partial(help_seconds), runs=SHORT_RUNS)
    compare("From the start of verify to its first request", "s", partial(first_request_seconds))
    port = free_port()
    with listening([sys.executable, str(HERE / "bench" / "_fastapi_receiver.py"), str(port)], port):
        url = f"http://127.0.0.1:{port}/"
        compare("A whole verify", "s", partial(verify_seconds, url=url))
    for clients in (1, 16):
        title = f"Deliveries to the fixture, {clients} connections"
        compare(title, "a second", partial(deliveries_a_second, clients=clients), faster_is_more=True)
    if shutil.which("wrk") is None:
        print("\nwrk is not here: serve is not measured.")
        return
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "post.lua"
        body = BODY.decode().replace('"', '\\"')
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = "{body}"\nwrk.headers["Content-Type"] = "application/json"\n'
        )
        for clients in (1, 16):
            title = f"Deliveries to serve, {clients} connections"
            compare(
                title,
                "a second",
                partial(served_a_second, clients=clients, script=script),
                faster_is_more=True,
            )


def help_seconds(checkout: Path) -> float:
    """Return the time of ``--help``."""
    return command_seconds(checkout, "--help")


def verify_seconds(checkout: Path, url: str) -> float:
    """Return the time of a whole ``verify``."""
    return command_seconds(checkout, "verify", url, *VERIFY)


if __name__ == "__main__":
    main()
