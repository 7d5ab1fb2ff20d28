"""Exchanges a second with a FastAPI receiver, beside Schemathesis and a bare loop; whole runs; --help."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from _fastapi_receiver import app
from _measure import alternate, judge, print_medians, schemathesis_python
from _whole_runs import compare_whole_runs

from logto_mail_contract import catalogue
from logto_mail_contract.commands.sample import generate_messages
from logto_mail_contract.connector.channel import UrlTarget
from logto_mail_contract.connector.encoding import connector_call
from logto_mail_contract.connector.posting import deliver
from logto_mail_contract.judging.javascript_json import stringify
from logto_mail_contract.judging.responses import is_accepted
from logto_mail_contract.receivers.receiver import Receiver, Settings
from logto_mail_contract.receivers.run import ReceiverRun
from logto_mail_contract.suite.engine import run_rule

HERE = Path(__file__).parent
PREPARED = 1500
GENERATED = 600
SCHEMATHESIS_EXAMPLES = 300
RUNS = 3

FROM_ASGI = """
import json, sys, time
sys.path.insert(0, sys.argv[1])
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from _fastapi_receiver import app

app.openapi = lambda: json.load(open(sys.argv[2]))
operation = schemathesis.openapi.from_asgi("/openapi.json", app)["/"]["POST"]
count = 0

@given(case=operation.as_strategy())
@settings(max_examples=int(sys.argv[3]), deadline=None, database=None, phases=[Phase.generate],
          suppress_health_check=list(HealthCheck))
def run(case):
    global count
    assert case.call().status_code < 500
    count += 1

start = time.perf_counter()
run()
print(count / (time.perf_counter() - start))
"""


def openapi() -> dict[str, Any]:
    """Return an OpenAPI document whose body is what our strategies generate: the layer emitted."""
    schema = dict(catalogue.schema(catalogue.current_revision(), "emitted"))
    definitions = schema.pop("$defs")
    text = json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    defined = json.loads(json.dumps(definitions).replace("#/$defs/", "#/components/schemas/"))
    body = {name: value for name, value in json.loads(text).items() if name not in ("$id", "$schema")}
    return {
        "openapi": "3.1.0",
        "info": {"title": "receiver", "version": "1"},
        "paths": {
            "/": {
                "post": {
                    "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                    "responses": {"200": {"description": "accepted"}, "4XX": {"description": "refused"}},
                }
            }
        },
        "components": {"schemas": defined},
    }


def received_count(url: str) -> int:
    with urllib.request.urlopen(f"{url}count") as response:
        return int(response.read())


def run_schemathesis(python: Path, url: str, document: Path) -> float:
    """Return exchanges per second of a run, by the receiver's own count, without the program's start."""
    program = [
        str(python.with_name("schemathesis")),
        "run",
        str(document),
        "--url",
        url,
        "--phases",
        "fuzzing",
    ]
    options = [
        "--phases",
        "fuzzing",
        "--max-examples",
        str(SCHEMATHESIS_EXAMPLES),
        "--checks",
        "not_a_server_error",
        "--mode",
        "positive",
    ]
    before = received_count(url)
    process = subprocess.Popen(
        [*program, *options, "--suppress-health-check", "all"],
        cwd=document.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )
    while process.poll() is None and received_count(url) == before:
        time.sleep(0.005)
    start, first = time.perf_counter(), received_count(url)
    process.wait()
    return (received_count(url) - first) / (time.perf_counter() - start)


def run_from_asgi(python: Path, document: Path) -> float:
    """Return exchanges per second with the application in process."""
    command = [str(python), "-c", FROM_ASGI, str(HERE), str(document), "100"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1])


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    server = subprocess.Popen([sys.executable, HERE / "_fastapi_receiver.py", str(port)])
    try:
        wait(port)
        compare(url)
    finally:
        server.terminate()
        server.wait()


def wait(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the FastAPI receiver did not start")


def compare(url: str) -> None:
    receiver = Receiver.url(url)
    address = UrlTarget(url).address
    in_process = Receiver.asgi(app, "/")
    bodies = [stringify(message) for message in generate_messages(300)]
    calls = [connector_call(receiver.target, body) for body in bodies]
    calls = [calls[number % len(calls)] for number in range(PREPARED)]

    def prepared(clients: int) -> float:
        def send(own: list[Any]) -> None:
            channel = receiver.target.open()
            assert all(is_accepted(deliver(channel, call, 10)) for call in own)
            channel.close()

        threads = [threading.Thread(target=send, args=(calls[start::clients],)) for start in range(clients)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return len(calls) / (time.perf_counter() - start)

    def generated(of: Receiver) -> float:
        with closing(ReceiverRun(of, Settings(examples=GENERATED, seed=time.monotonic_ns()))) as run:
            run.send_ordinary()
            start = time.perf_counter()
            result = run_rule(run, "receiver/accept/generated")
            seconds = time.perf_counter() - start
        assert result.outcome == "passed"
        return result.cases / seconds

    def prepared_in_process() -> float:
        own = [connector_call(in_process.target, call.body) for call in calls]
        with closing(in_process.target.open()) as channel:
            start = time.perf_counter()
            assert all(is_accepted(deliver(channel, call, 10)) for call in own)
            return len(own) / (time.perf_counter() - start)

    def bare() -> float:
        data = [call.encode() for call in calls]
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        start = time.perf_counter()
        for request in data:
            connection.sendall(request)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        seconds = time.perf_counter() - start
        connection.close()
        return len(data) / seconds

    sides = {
        "prepared messages, 1 connection": lambda: prepared(1),
        "prepared messages, 16 connections": lambda: prepared(16),
        "messages generated by Hypothesis": lambda: generated(receiver),
        "prepared messages, the application in process": prepared_in_process,
        "floor: bare socket loop posting prepared bytes": bare,
    }
    python = schemathesis_python()
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder) / "openapi.json"
        document.write_text(json.dumps(openapi()))
        if python is None:
            print("Schemathesis could not be installed: no comparison with it.")
        else:
            sides["schemathesis run"] = lambda: run_schemathesis(python, url, document)
            sides["schemathesis from_asgi"] = lambda: run_from_asgi(python, document)
        figures = alternate(sides, RUNS)
    one, sixteen, hypothesis, asgi, floor, *theirs = print_medians("Exchanges", figures, "a second").values()
    judge("prepared, 1 connection / bare socket loop", one / floor, 0.5, at_most=False)
    if theirs:
        judge("prepared, 1 connection / schemathesis run", one / theirs[0], 15, at_most=False)
        judge("prepared, 16 connections / schemathesis run", sixteen / theirs[0], 25, at_most=False)
        judge("generated / schemathesis run", hypothesis / theirs[0], 5, at_most=False)
        judge("in process / schemathesis from_asgi", asgi / theirs[1], 50, at_most=False)
    in_process.close()
    receiver.close()

    command = Path(sys.executable).with_name("mail-contract")

    def seconds(arguments: list[Any]) -> float:
        start = time.perf_counter()
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    # The receiver of this benchmark refuses no method and no type, so not every rule passes. All of them run.
    whole = [command, "verify", url, "--exclude", "receiver/reject/*", "receiver/respond/error-*"]
    (verify,) = print_medians(
        "A whole verify", alternate({"mail-contract verify": lambda: seconds(whole)}, RUNS), "s"
    ).values()
    judge("seconds", verify, 15, at_most=True)
    starts = {
        "mail-contract --help": lambda: seconds([command, "--help"]),
        "python -c pass": lambda: seconds([sys.executable, "-c", "pass"]),
    }
    helped, passed = print_medians("The command's start", alternate(starts, 15), "s").values()
    judge("--help / python -c pass", helped / passed, 4, at_most=True)
    compare_whole_runs(python, openapi())


if __name__ == "__main__":
    main()
