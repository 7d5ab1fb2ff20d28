"""Requests a second of ``mail-contract serve`` beside Prism, WireMock, fastify with Ajv, and a constant.

Every one judges the same valid message on each request, the constant apart. The load is wrk's, from the other
core: without it nothing is measured. Sides that need Node or Java are left out if it is missing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from _measure import alternate, judge, print_medians

from logto_mail_contract import catalogue
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.judging.typical import typical

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
SERVERS = HERE / "servers"
BIN = Path(sys.executable).parent
BOUNDED = "WireMock, bounded as serve is"
NEEDS = {"fastify with Ajv": "npm", "Prism": "npm", "WireMock": "java", BOUNDED: "java"}
RUNS = int(os.environ.get("RUNS", "3"))
SECONDS = int(os.environ.get("SECONDS", "5"))
CONNECTIONS = (1, 16, 128)
STARTS = 5
MANY = 100_000
MILLION = 1_000_000
MESSAGE = stringify(typical("SignIn", catalogue.current_revision()) | {"ip": "203.0.113.7"})


class Server(NamedTuple):
    """A server under load.

    Attributes:
        process: Its process.
        port: The port that it listens at.
        start: Seconds from its start to its first response.
    """

    process: subprocess.Popen[bytes]
    port: int
    start: float


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def post(port: int, body: bytes = MESSAGE) -> int:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@contextmanager
def running(name: str, folder: Path) -> Iterator[Server]:
    """Run a server, and check that it accepts the message and, the constant apart, refuses a broken one."""
    port = free_port()
    begin = time.perf_counter()
    process = subprocess.Popen(
        command(name, port, folder),
        cwd=HERE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while True:
            try:
                status = post(port)
                break
            except OSError:
                if process.poll() is not None or time.perf_counter() - begin > 60:
                    raise SystemExit(f"{name} does not start: {command(name, port, folder)}") from None
                time.sleep(0.005)
        start = time.perf_counter() - begin
        assert status == 200, (name, status)
        assert name == "constant" or post(port, b'{"to": "foo@example.com"}') >= 400, name
        yield Server(process, port, start)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def command(name: str, port: int, folder: Path) -> list[str]:
    serve = [str(BIN / "mail-contract"), "serve", "--port", str(port)]
    if name == "serve":
        return [*serve, "--max-messages", str(MANY)]
    if name == "serve, bounded":
        return serve
    if name == "serve, SQLite":
        return [*serve, "--store", str(folder / f"{port}.sqlite")]
    if name == "constant":
        quiet = ["--no-access-log", "--log-level", "error", "--lifespan", "off"]
        return [str(BIN / "uvicorn"), "--http", "httptools", *quiet, "--port", str(port), "constant_app:app"]
    if name == "fastify with Ajv":
        return ["node", str(SERVERS / "fastify.mjs"), str(port), str(write_schema(folder))]
    if name == "Prism":
        document = folder / "openapi.json"
        document.write_text(json.dumps(openapi()))
        prism = SERVERS / "node_modules" / ".bin" / "prism"
        return [str(prism), "mock", "--errors", "-v", "error", "-p", str(port), str(document)]
    assert name in ("WireMock", BOUNDED)
    mappings = folder / "wiremock" / "mappings"
    mappings.mkdir(parents=True, exist_ok=True)
    matcher = {
        "matchesJsonSchema": write_schema(folder).read_text(),
        "schemaVersion": "V202012",
    }
    mapping = {
        "request": {"method": "POST", "urlPath": "/", "bodyPatterns": [matcher]},
        "response": {"status": 200, "jsonBody": {"accepted": True}},
    }
    (mappings / "mail.json").write_text(json.dumps(mapping))
    (jar,) = (SERVERS / "node_modules" / "wiremock" / "build").glob("*.jar")
    return [
        *("java", "-jar", str(jar), "--port", str(port), "--bind-address", "127.0.0.1"),
        *("--root-dir", str(mappings.parent), "--disable-banner"),
        # By default it keeps every request.
        *(("--max-request-journal-entries", "10000") if name == BOUNDED else ()),
    ]


def write_schema(folder: Path) -> Path:
    path = folder / "schema.json"
    path.write_text(json.dumps(catalogue.schema(catalogue.current_revision(), "guard")))
    return path


def openapi() -> dict[str, object]:
    document: dict[str, object] = catalogue.load("openapi.json")
    (path,) = catalogue.load("openapi.json")["paths"].values()
    return {**document, "servers": [{"url": "/"}], "paths": {"/": path}}


def load(port: int, connections: int, seconds: float, script: Path) -> tuple[float, float]:
    """Return requests a second and the 99th percentile in milliseconds."""
    out = subprocess.run(
        [
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(script)),
            f"http://127.0.0.1:{port}/",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "Non-2xx" not in out, out
    found = re.search(r"99%\s+([0-9.]+)(us|ms|s)", out)
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", out)
    assert found, out
    assert rate, out
    return float(rate[1]), float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


def resident(process: subprocess.Popen[bytes]) -> float:
    """Return the memory of a process in MiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+([0-9]+) kB", status)
    assert found
    return int(found[1]) / 1024


def here(*names: str) -> list[str]:
    """Return those servers that this machine can run."""
    return [name for name in names if name not in NEEDS or all(map(shutil.which, ("npm", NEEDS[name])))]


def throughput(folder: Path, script: Path) -> None:
    names = here("serve", "serve, SQLite", "constant", "fastify with Ajv", "Prism", "WireMock", BOUNDED)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(name, folder)) for name in names}
        for server in servers.values():  # warm: what compiles while it runs has compiled
            load(server.port, 16, SECONDS, script)
        rates: dict[int, dict[str, float]] = {}
        for connections in CONNECTIONS:
            slowest: dict[str, list[float]] = {name: [] for name in names}

            def measure(name: str, connections: int = connections) -> float:
                rate, p99 = load(servers[name].port, connections, SECONDS, script)
                slowest[name].append(p99)  # noqa: B023 - called within this turn of the loop
                return rate

            sides = {name: (lambda name=name: measure(name)) for name in names}
            figures = alternate(sides, RUNS)
            rates[connections] = print_medians(f"{connections} connections, requests a second", figures, "/s")
            print_medians(f"{connections} connections, 99th percentile", slowest, "ms")
    c16 = rates[16]
    print("\nat 16 connections")
    for name, target in (
        ("Prism", 5),
        ("WireMock", 4),
        (BOUNDED, 4),
        ("fastify with Ajv", 1),
        ("constant", 0.7),
    ):
        if name in c16:
            judge(f"serve / {name}", c16["serve"] / c16[name], target, at_most=False)
    judge("SQLite / memory", c16["serve, SQLite"] / c16["serve"], 0.5, at_most=False)


def full_inbox(folder: Path, script: Path) -> None:
    with running("serve", folder) as server:
        while total(server.port) < MANY:
            load(server.port, 16, 2, script)
        found = [load(server.port, 16, SECONDS, script)[1] for _ in range(RUNS)]
    print_medians(f"99th percentile, 16 connections, {MANY} messages in the inbox", {"serve": found}, "ms")
    judge("99th percentile in ms", statistics.median(found), 5, at_most=True)


def total(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as response:
        return int(json.load(response)["total"])


def last(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as response:
        return int(json.load(response)["last"])


def starting(folder: Path) -> None:
    def start(name: str) -> float:
        with running(name, folder) as server:
            return server.start

    sides = {name: (lambda name=name: start(name)) for name in here("serve", "Prism", "WireMock")}
    medians = print_medians("from the start to the first response", alternate(sides, STARTS), "s")
    if "Prism" in medians:
        judge("serve / Prism", medians["serve"] / medians["Prism"], 0.2, at_most=True)


def a_million(folder: Path, script: Path) -> None:
    with running("serve, bounded", folder) as server:
        print("\nmemory over a million requests, at most 10000 messages in the inbox")
        marks: list[float] = []
        while last(server.port) < MILLION + MANY:
            load(server.port, 16, SECONDS, script)
            if last(server.port) >= MANY:
                marks.append(resident(server.process))
        print(f"  after {MANY} requests {marks[0]:.1f} MiB, at the end {marks[-1]:.1f} MiB")
        judge("growth", marks[-1] / marks[0], 1.05, at_most=True)


def main() -> None:
    if shutil.which("wrk") is None:
        print("wrk is not here, so nothing is measured: apt-get install wrk")
        return
    if shutil.which("npm") and not (SERVERS / "node_modules").is_dir():
        subprocess.run(["npm", "ci", "--prefix", str(SERVERS)], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "post.lua"
        headers = {"Content-Type": "application/json", "Authorization": "Bearer s3cret"}
        lines = [f"wrk.headers[{json.dumps(key)}] = {json.dumps(value)}" for key, value in headers.items()]
        body = json.dumps(MESSAGE.decode())
        script.write_text("\n".join(['wrk.method = "POST"', f"wrk.body = {body}", *lines]))
        throughput(folder, script)
        full_inbox(folder, script)
        starting(folder)
        a_million(folder, script)


if __name__ == "__main__":
    main()
