"""A delivery received, judged and recorded, against bare pytest-httpserver that judges nothing."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from urllib.parse import urlsplit

from _measure import alternate, judge, print_medians
from pytest_httpserver import HTTPServer

from logto_mail_contract import MailServer
from logto_mail_contract.connector.encoding import encode_request

BODY = (
    b'{"to":"foo@example.com","type":"SignIn","payload":{"code":"123456","locale":"en","application":'
    b'{"id":"demo-app","name":"Live Preview"}},"ip":"::ffff:127.0.0.1"}'
)


def load(url: str, clients: int, total: int) -> None:
    """Post from ``clients`` connections, reconnecting where the server closes, and print the latencies."""
    parts = urlsplit(url)
    address = (parts.hostname, parts.port)
    data = encode_request(url, BODY)
    latencies: list[float] = []

    def post(times: int) -> None:
        connection: socket.socket | None = None
        for _ in range(times):
            start = time.perf_counter()
            if connection is None:
                connection = socket.create_connection(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(data)
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = connection.recv(65536)
                assert part, "the server closed without an answer"
                answer += part
            head, _, body = answer.partition(b"\r\n\r\n")
            head = head.lower()
            assert head.startswith(b"http/1.1 200"), head
            length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(body) < length:
                body += connection.recv(65536)
            latencies.append(time.perf_counter() - start)
            if b"connection: close" in head:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    threads = [threading.Thread(target=post, args=(total // clients,)) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"seconds": time.perf_counter() - start, "latencies": latencies}))


def measured(url: str, clients: int, total: int) -> tuple[float, list[float]]:
    """Return requests per second and the latencies, the load being a process of its own."""
    command = [sys.executable, __file__, url, str(clients), str(total)]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return total / result["seconds"], result["latencies"]


def percentile(latencies: list[float], share: float) -> float:
    return sorted(latencies)[int(len(latencies) * share)] * 1e3


def main() -> None:
    # The bare server writes a log line per request; muting it makes it faster, so the comparison is fair.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with MailServer() as server, HTTPServer(host="127.0.0.1") as bare:
        bare.expect_request("/mail").respond_with_json({"accepted": True})
        for clients in (1, 16):

            def ours(clients: int) -> float:
                endpoint = server.endpoint()
                rate = measured(endpoint.url, clients, 4000)[0]
                assert len(endpoint.inbox) == 4000
                endpoint.close()
                return rate

            def theirs(clients: int) -> float:
                rate = measured(bare.url_for("/mail"), clients, 4000)[0]
                bare.clear_log()
                return rate

            sides = {
                "mail_endpoint, judging and recording": partial(ours, clients),
                "pytest-httpserver, a constant": partial(theirs, clients),
            }
            figures = alternate(sides, 5)
            first, second = print_medians(
                f"(b) Deliveries, {clients} client(s)", figures, "requests/s"
            ).values()
            judge("ours / bare pytest-httpserver", first / second, 1, at_most=False)

        endpoint = server.endpoint()
        latencies = measured(endpoint.url, 1, 20_000)[1]
        windows = [percentile(latencies[start : start + 4000], 0.99) for start in range(0, 20_000, 4000)]
        print(
            "\n(b) p99 of 20,000 deliveries to one inbox, by fifths, ms:",
            ", ".join(f"{p:.3g}" for p in windows),
        )
        print(f"  the worst single delivery: {max(latencies) * 1e3:.3g} ms")
        judge("p99 of the last fifth / of the first", windows[-1] / windows[0], 2, at_most=True)
        endpoint.close()

    def stop_ours() -> float:
        stopping = MailServer()
        stopping.start()
        start = time.perf_counter()
        stopping.stop()
        return (time.perf_counter() - start) * 1e3

    def stop_theirs() -> float:
        stopping = HTTPServer(host="127.0.0.1")
        stopping.start()
        start = time.perf_counter()
        stopping.stop()
        return (time.perf_counter() - start) * 1e3

    stops = {"the mail endpoint's server": stop_ours, "pytest-httpserver": stop_theirs}
    ours_ms = print_medians("(d) Stopping the server", alternate(stops, 7), "ms")[
        "the mail endpoint's server"
    ]
    judge("milliseconds", ours_ms, 50, at_most=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        load(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
