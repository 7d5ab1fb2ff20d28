"""Runs the Node workers of this folder: one line of JSON in, one line of JSON out."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parent
PACKAGES = Path(os.environ.get("LOGTO_PACKAGES") or FOLDER)
"""The folder of the packages and workers to run: this one, or another that ``make upstream`` has filled."""
PREFIX = "tests/logto"
OLDEST_NODE = 20


class WorkerError(AssertionError):
    """A worker ended, or returned no result in time."""


def lacking(folder: Path | None = None, prefix: str = PREFIX) -> str | None:
    """Return what this machine lacks to run what uses Logto's packages, and the remedy; None if nothing.

    Args:
        folder: Where the packages are wanted; ``PACKAGES`` if None.
        prefix: The same folder, as seen from the project's.
    """
    folder = folder or PACKAGES
    install = f"npm ci --prefix {prefix}"
    needs = f"the Node packages of {prefix} need Node {OLDEST_NODE} or later"
    node = shutil.which("node")
    if node is None:
        return f"{needs}: install it, then run: {install}"
    version = subprocess.check_output([node, "--version"], text=True).strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"{needs}, not {version}; then run: {install}"
    # npm writes this file last: it lists what is installed.
    installed = folder / "node_modules" / ".package-lock.json"
    if not installed.is_file():
        return f"the Node packages of {prefix} are not installed: run: {install}"
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    present = json.loads(installed.read_text(encoding="utf-8"))["packages"]
    wanted = {name: entry["version"] for name, entry in packages.items() if name}
    if wanted != {name: entry["version"] for name, entry in present.items()}:
        return f"other packages are installed than package-lock.json says: run: {install}"
    return None


def list_kits(folder: Path = PACKAGES) -> tuple[str, ...]:
    """Return the names of the connector-kits that ``guards.mjs`` judges with, oldest first."""
    dependencies = json.loads((folder / "package.json").read_bytes())["dependencies"]
    return tuple(name.removeprefix("kit-") for name in dependencies if name.startswith("kit-"))


def require_packages(folder: Path | None = None, prefix: str = PREFIX) -> None:
    """Skip where Node or the packages are missing; in CI (``CI=true``) fail instead."""
    skip_or_fail(lacking(folder, prefix))


def skip_or_fail(reason: str | None) -> None:
    """Skip for a reason, if there is one; in CI fail for it."""
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class NodeWorker:
    """A long-lived Node process that returns one line for each line; a context manager.

    Entering it skips the test, or in CI fails it, where Node or the packages are missing.

    Args:
        script: The file name of the worker, in the folder of the packages.
        arguments: The worker's command line arguments.
        environment: Variables to set for it, beside those of this process.
        folder: The folder of the packages.
    """

    def __init__(
        self,
        script: str,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        folder: Path = PACKAGES,
    ) -> None:
        self._script = script
        self._folder = folder
        self._command = ["node", str(folder / script), *map(str, arguments)]
        self._environment = {**os.environ, **(environment or {})}
        self._results: queue.Queue[bytes | None] = queue.Queue()

    def __enter__(self) -> Self:
        require_packages(self._folder)
        # A file, not a pipe: nothing reads it, and a full pipe would stop the worker.
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=self._environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            with contextlib.suppress(BrokenPipeError):  # it has ended already
                self._stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._reader.join()
        finally:
            self._stderr.close()

    def _read(self, stdout: IO[bytes]) -> None:
        with stdout:
            for line in stdout:
                self._results.put(line)
        self._results.put(None)

    def _failed(self, what: str) -> WorkerError:
        self._stderr.seek(0)
        stderr = self._stderr.read().decode(errors="replace").strip() or "(nothing)"
        return WorkerError(f"{self._script} {what}; on standard error it said:\n{stderr}")

    def send(self, job: object) -> None:
        """Write one job without waiting for its result."""
        self.write_line(json.dumps(job).encode())

    def write_line(self, line: bytes) -> None:
        """Write one line, which is a job if it is JSON."""
        try:
            self._stdin.write(line + b"\n")
            self._stdin.flush()
        except BrokenPipeError as error:
            raise self._failed("has ended") from error

    def receive(self, *, timeout: float = 30) -> Any:
        """Return the next result.

        Args:
            timeout: The seconds to wait for it.

        Raises:
            WorkerError: The worker returned no result. The error has the standard error of the worker.
        """
        try:
            line = self._results.get(timeout=timeout)
        except queue.Empty:
            raise self._failed(f"gave no answer within {timeout} s") from None
        if line is None:
            self._results.put(None)
            raise self._failed(f"ended, with status {self._process.wait()}")
        return json.loads(line)

    def ask(self, job: object, *, timeout: float = 30) -> Any:
        """Write one job, usually a batch, and return its result: see ``receive``."""
        self.send(job)
        return self.receive(timeout=timeout)
