"""Whole runs of ``verify`` with authorization and mails, by the receiver's speed, beside Schemathesis."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _measure import alternate, judge, print_medians

from logto_mail_contract import SmtpSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

RECEIVER = Path(__file__).parent / "servers" / "mailing_receiver.py"
COMMAND = Path(sys.executable).with_name("mail-contract")
AUTHORIZATION = "Bearer s3cret"
ENVIRONMENT = {**os.environ, "MAIL_AUTHORIZATION": AUTHORIZATION, "NO_COLOR": "1"}
# A run that takes longer is killed, so that a receiver that hangs does not stop the benchmark.
MAX_RUN_SECONDS = 400.0
MAX_START_SECONDS = 20.0
QUICK_ROUNDS = 3
STARTS = 5
WORKERS = 16


@dataclass(frozen=True)
class WholeRun:
    """One kind of receiver, the options of the run against it, and what is wanted of the run.

    Attributes:
        name: Says what the receiver does.
        receiver: The receiver's options.
        verify: The options of ``verify``.
        exit_code: The exit code that is right.
        max_seconds: How long the run may take; None where nothing is wanted.
        rounds: How often it is measured.
    """

    name: str
    receiver: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    exit_code: int = 0
    max_seconds: float | None = None
    rounds: int = 1


IN_PARALLEL = {
    0.0: WholeRun("0 s in parallel", max_seconds=5, rounds=QUICK_ROUNDS),
    0.2: WholeRun("0.2 s in parallel", ("--delay", "0.2")),
    1.0: WholeRun("1 s in parallel", ("--delay", "1"), max_seconds=45),
    3.0: WholeRun("3 s in parallel", ("--delay", "3")),
}
RUNS = (
    *IN_PARALLEL.values(),
    WholeRun("0 s serially", ("--serial",), rounds=QUICK_ROUNDS),
    WholeRun("0.2 s serially", ("--serial", "--delay", "0.2")),
    WholeRun(
        "3 s serially, --max-time 60",
        ("--serial", "--delay", "3"),
        ("--max-time", "60"),
        exit_code=5,
        max_seconds=65,
    ),
    WholeRun("ten faults, 1 s in parallel", ("--faults", "--delay", "1"), exit_code=1),
    WholeRun("hanging, --fail-after 10", ("--hang",), ("--fail-after", "10"), exit_code=1, max_seconds=35),
)
BESIDE_SCHEMATHESIS = (IN_PARALLEL[0.0], IN_PARALLEL[1.0])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def receiving(options: tuple[str, ...], smtp_port: int) -> Iterator[str]:
    """Run the receiver as a process of its own, and return its URL."""
    port = free_port()
    process = subprocess.Popen([sys.executable, RECEIVER, str(port), str(smtp_port), *options])
    try:
        deadline = time.monotonic() + MAX_START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def count_requests(url: str) -> int:
    with urllib.request.urlopen(f"{url}count") as response:
        return int(response.read())


def make_command(url: str, smtp_port: int) -> list[str]:
    options = ["--authorization-env", "MAIL_AUTHORIZATION", "--smtp-sink", str(smtp_port)]
    return [str(COMMAND), "verify", url, *options]


def time_verify(run: WholeRun) -> tuple[float, str, int]:
    """Return the seconds of a whole run, its exit code, and how many requests the receiver had."""
    smtp_port = free_port()
    with receiving(run.receiver, smtp_port) as url:
        start = time.perf_counter()
        try:
            done = subprocess.run(
                [*make_command(url, smtp_port), *run.verify],
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=MAX_RUN_SECONDS,
                check=False,
            )
            code = str(done.returncode)
        except subprocess.TimeoutExpired:
            code = "killed"
        return time.perf_counter() - start, code, count_requests(url)


def time_schemathesis(
    python: Path, document: Mapping[str, Any], run: WholeRun, requests: int
) -> tuple[float, int]:
    """Return the seconds of ``schemathesis run``, and how many requests the receiver had.

    Its workers share out the operations of a document, so the document has one for each worker.
    """
    [operation] = document["paths"].values()
    shared = {**document, "paths": {f"/{number}": operation for number in range(WORKERS)}}
    with (
        tempfile.TemporaryDirectory() as folder,
        SmtpSink() as sink,
        receiving(run.receiver, sink.port) as url,
    ):
        path = Path(folder) / "openapi.json"
        path.write_text(json.dumps(shared))
        command = [
            *(str(python.with_name("schemathesis")), "run", str(path), "--url", url),
            *("--phases", "fuzzing", "--mode", "positive", "--checks", "not_a_server_error"),
            *("--max-examples", str(max(1, requests // WORKERS)), "--workers", str(WORKERS)),
            *("--header", f"Authorization: {AUTHORIZATION}", "--suppress-health-check", "all"),
        ]
        start = time.perf_counter()
        subprocess.run(
            command,
            cwd=folder,
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=MAX_RUN_SECONDS,
            check=False,
        )
        return time.perf_counter() - start, count_requests(url)


def time_to_first_byte() -> float:
    """Return the seconds from the start of the process to the first byte at the receiver."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(MAX_START_SECONDS)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        start = time.perf_counter()
        process = subprocess.Popen(
            make_command(url, free_port()),
            env=ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                # A connection without a byte only asks whether the receiver listens.
                connection, _ = server.accept()
                with connection:
                    if connection.recv(1):
                        return time.perf_counter() - start
        finally:
            process.kill()
            process.wait()


def compare_whole_runs(python: Path | None, document: Mapping[str, Any]) -> None:
    """Measure and judge every run.

    Args:
        python: The Python of an environment with Schemathesis, if there is one.
        document: The OpenAPI document of the receiver, with one operation.
    """
    figures = alternate({"mail-contract verify": time_to_first_byte}, STARTS)
    (first,) = print_medians("From process start to the first byte at the receiver", figures, "s").values()
    judge("seconds to the first byte", first, 0.5, at_most=True)

    answers: dict[str, tuple[str, int]] = {}

    def measuring(run: WholeRun) -> Callable[[], float]:
        def measure() -> float:
            elapsed, code, requests = time_verify(run)
            answers[run.name] = code, requests
            return elapsed

        return measure

    seconds: dict[str, list[float]] = {}
    for rounds in sorted({run.rounds for run in RUNS}, reverse=True):
        sides = {run.name: measuring(run) for run in RUNS if run.rounds == rounds}
        seconds |= alternate(sides, rounds)
    medians = print_medians("A whole verify with authorization and the SMTP sink", seconds, "s")
    for run in RUNS:
        code, requests = answers[run.name]
        right = "" if code == str(run.exit_code) else f", wanted {run.exit_code}: MISSED"
        print(f"  {run.name}: {requests} requests, exit code {code}{right}")
        if run.max_seconds is not None:
            judge(f"{run.name}, seconds", medians[run.name], run.max_seconds, at_most=True)
    if python is None:
        return
    print(f"\nschemathesis run --workers {WORKERS}, with as many requests")
    for run in BESIDE_SCHEMATHESIS:
        ours = answers[run.name][1]
        theirs, requests = time_schemathesis(python, document, run, ours)
        print(f"  {run.name}: {requests} requests in {theirs:.4g} s")
        rates = (ours / medians[run.name]) / (requests / theirs)
        print(f"  {run.name}, requests a second of verify / of schemathesis run: {rates:.4g}")
