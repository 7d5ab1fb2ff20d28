"""Whole runs against the good receivers of the tests, with ten seeds and real delays: no MUST may fail."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from _measure import judge

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.broken_receivers import TOKEN  # noqa: E402 - after its path
from tests.support.good_receivers import GOOD, serve_mailing  # noqa: E402 - after its path

COMMAND = Path(sys.executable).with_name("mail-contract")
SEEDS = range(10)
PARALLEL_RUNS = 3
# Seconds for an answer; a seed has one of them. A serial receiver would need minutes with the longer ones.
DELAYS = (0.1, 0.5, 1.0)
SERIAL_DELAYS = (0.0, 0.02, 0.1)
SERIAL = ("serial", "one-connection")
OPTIONS = {"limited": ("--pace", "40")}


def list_failed(name: str, seed: int, delay: float) -> list[str]:
    """Return the rules that fail at MUST; the exit code where it says that the run itself failed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        smtp_port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, serve_mailing(GOOD[name], smtp_port, delay) as url:
        report = Path(folder) / "report.json"
        command = [str(COMMAND), "verify", url, "--authorization-env", "MAIL_AUTHORIZATION"]
        options = ["--smtp-sink", str(smtp_port), "--seed", str(seed), "--report", f"json={report}"]
        done = subprocess.run(
            [*command, *options, *OPTIONS.get(name, ())],
            env={"MAIL_AUTHORIZATION": TOKEN},
            capture_output=True,
            check=False,
        )
        if not report.exists():
            return [f"exit code {done.returncode}"]
        rules = json.loads(report.read_text())["rules"]
    failed = [rule["rule"] for rule in rules if rule["outcome"] == "failed"]
    return failed if done.returncode in (0, 1) else [*failed, f"exit code {done.returncode}"]


def main() -> None:
    for name in GOOD:
        delays = SERIAL_DELAYS if name in SERIAL else DELAYS
        trials = [(name, seed, delays[seed % len(delays)]) for seed in SEEDS]
        # The runs mostly wait.
        with ThreadPoolExecutor(PARALLEL_RUNS) as pool:
            found = pool.map(list_failed, *zip(*trials, strict=True))
        failures = [rule for rules in found for rule in rules]
        judge(f"{name}, failures over {len(SEEDS)} seeds", len(failures), 0, at_most=True)
        for failed in sorted(set(failures)):
            print(f"    {failed}")


if __name__ == "__main__":
    main()
