"""A delivery that got status 200 survives kill -9 at a random moment, two hundred times."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.commands.main import main
from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.serve.store import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from logto_mail_contract.inbox.recorded import Recorded
    from logto_mail_contract.inbox.store import OnStored

KILLS = 200
CONNECTIONS = 4
MAX_MESSAGES = 10_000_000


def post(connection: socket.socket, recipient: str) -> int:
    """Post a message on an open connection and return the status.

    Raises:
        OSError: The connection breaks.
    """
    body = json.dumps({"to": recipient, "type": "SignIn", "payload": {"code": "012345"}}).encode()
    head = "POST /mail HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    response = b""
    while not response.endswith(b"}"):
        part = connection.recv(4096)
        if not part:
            raise ConnectionError
        response += part
    return int(response.split(b" ", 2)[1])


class Load:
    """Clients that post each message once until the server dies; both lists are by client."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = [[] for _ in range(CONNECTIONS)]
        self.acknowledged: list[list[str]] = [[] for _ in range(CONNECTIONS)]

    def start(self, port: int) -> list[threading.Thread]:
        """Start the clients, each in a thread."""
        threads = [threading.Thread(target=self._client, args=(n, port)) for n in range(CONNECTIONS)]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, number: int, port: int) -> None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                while True:
                    recipient = f"{number}-{len(self.sent[number])}@example.com"
                    self.sent[number].append(recipient)
                    assert post(connection, recipient) == 200
                    self.acknowledged[number].append(recipient)
        except OSError:
            pass  # killed


def run_and_kill(folder: Path, serve: Callable[[list[str]], int], kills: int, seed: int) -> list[str]:
    """Kill servers while clients post, and return what is wrong with what they stored."""
    # A process that has imported the server already forks off each one, since so many starts of Python would
    # take longer than all that is tested.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(
        ["logto_mail_contract.commands.serve", "logto_mail_contract.serve.server"]
    )
    moments = random.Random(seed)
    file, port_file = folder / "inbox.sqlite", folder / "port"
    arguments = ["serve", "--port", "0", "--store", str(file), "--port-file", str(port_file)]
    arguments += ["--max-messages", str(MAX_MESSAGES)]
    load = Load()
    for _ in range(kills):
        port_file.unlink(missing_ok=True)
        server = processes.Process(target=serve, args=(arguments,))
        server.start()
        try:
            until = time.monotonic() + 20
            while not port_file.exists():
                assert server.is_alive()
                assert time.monotonic() < until
                time.sleep(0.002)
            clients = load.start(int(port_file.read_text()))
            time.sleep(moments.uniform(0.0, 0.1))
        finally:
            server.kill()
            server.join()
            server.close()
        for client in clients:
            client.join()
    assert sum(map(len, load.acknowledged)) > kills
    with closing(SqliteStore(str(file), MAX_MESSAGES)) as store:
        stored = store.select(Query(), MAX_MESSAGES, newest=False)
    return list(faults(load, [(one.id, one.to or "") for one in stored]))


def faults(load: Load, stored: list[tuple[int, str]]) -> Iterator[str]:
    if [id for id, _ in stored] != sorted({id for id, _ in stored}):
        yield "ids that do not rise"
    if len({to for _, to in stored}) != len(stored):
        yield "a delivery that is stored twice"
    place = {to: number for number, (_, to) in enumerate(stored)}
    for sent, acknowledged in zip(load.sent, load.acknowledged, strict=True):
        if not place.keys() >= set(acknowledged):
            yield "a delivery that got 200 and is not stored"
        places = [place[to] for to in sent if to in place]
        if places != sorted(places):
            yield "another order than that of arrival"


@pytest.mark.parametrize("seed", [1, 2])
def test_acknowledged_deliveries_are_stored_once_and_in_order(tmp_path: Path, seed: int) -> None:
    assert run_and_kill(tmp_path, main, KILLS // 2, seed) == []


def main_that_responds_early(arguments: list[str]) -> int:
    """Serve, and respond before the delivery is committed."""
    add = SqliteStore.add

    def respond_early(store: SqliteStore, recorded: Recorded, on_stored: OnStored) -> None:
        asyncio.get_running_loop().call_later(0.01, add, store, recorded, print)
        on_stored(None)

    SqliteStore.add = respond_early  # type: ignore[method-assign,assignment] # its own calls when it is committed
    return main(arguments)


def test_a_store_that_responds_before_the_commit_is_detected(tmp_path: Path) -> None:
    found = run_and_kill(tmp_path, main_that_responds_early, 15, 1)
    assert set(found) == {"a delivery that got 200 and is not stored"}
