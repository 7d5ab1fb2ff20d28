"""How a sender under test is asked to send: a callable, or a command that reads jobs and writes results."""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Protocol

from ..clock import read_monotonic, sleep
from ..masking import escape_unprintable, format_value
from ..suite.results import SubjectLost

if TYPE_CHECKING:
    from collections.abc import Sequence

GRACE_SECONDS = 2.0
"""Seconds that a sender has left when every connection that it could wait for has been ended."""

END_SECONDS = 2.0
"""Seconds in which a command is to end by itself, once its input has ended."""

MAX_WAIT_SECONDS = 0.1
"""Longest wait until the next look at the deadline of a run, which may have been set meanwhile."""

_MAX_ANSWER_BYTES = 1 << 20
_MAX_SHOWN_LINES = 20
_MAX_UNASKED_RESULTS = 1000
_POLL_INTERVAL = 0.01

Send = Callable[[dict[str, Any], str, "str | None"], object]
"""Sends a message to an endpoint with an authorization; returns when it was accepted, else raises."""


class SenderUnusable(SubjectLost):
    """The sender cannot be driven: it does not start, ends, or writes a line that is no result.

    Attributes:
        context: The job that it had, in more lines.
    """

    context = ""

    def __str__(self) -> str:
        return super().__str__() + self.context


@dataclass(frozen=True, slots=True)
class Report:
    """The result that a sender reports for one message.

    Attributes:
        ok: Whether it says that the message was accepted; None when it said nothing in time.
        text: Why it was not, in the sender's words.
    """

    ok: bool | None
    text: str = ""

    def __str__(self) -> str:
        said = {True: "success reported", False: "failure reported", None: "no report"}[self.ok]
        return f"{said}{f': {_one_line(self.text)}' if self.text else ''}"


class Patience:
    """How long a sender has for one message; the deadline of the run may shorten it meanwhile.

    Args:
        seconds: Seconds from now.
        deadline: Returns the time of the monotonic clock after which nothing is waited for.

    Attributes:
        seconds: As given.
        deadline: As given.
    """

    def __init__(self, seconds: float, deadline: Callable[[], float] = lambda: math.inf) -> None:
        self.seconds = seconds
        self.deadline = deadline
        self._end = read_monotonic() + seconds

    def __str__(self) -> str:
        return f"{self.seconds:g} s"

    def next_wait(self) -> float:
        """Return how many seconds to wait until the next look at the deadline."""
        left = min(self._end, self.deadline()) - read_monotonic()
        return max(0.0, min(left, MAX_WAIT_SECONDS))

    def is_over(self) -> bool:
        """Return whether nothing more is waited for."""
        return read_monotonic() >= min(self._end, self.deadline())


class Driver(Protocol):
    """Asks one sender to send."""

    def send(
        self,
        message: dict[str, Any],
        endpoint: str,
        authorization: str | None,
        patience: Patience,
        release: Callable[[], None],
    ) -> Report:
        """Send a message and return what the sender says.

        Args:
            message: The message; the sender may change it.
            endpoint: The URL to send to.
            authorization: The value of ``Authorization``; None when none is configured.
            patience: How long to wait until ``release`` is called.
            release: Ends every connection that the sender may wait for.

        Raises:
            SenderUnusable: The sender cannot be driven.
        """

    def close(self) -> None:
        """End what still runs."""


class CallableDriver:
    """Drives a function, in the thread that asks.

    Args:
        function: Sends a message; what it raises is a failure that it reports.
    """

    def __init__(self, function: Send) -> None:
        self._function = function

    def send(
        self,
        message: dict[str, Any],
        endpoint: str,
        authorization: str | None,
        patience: Patience,
        release: Callable[[], None],
    ) -> Report:
        """See ``Driver.send``."""
        late = threading.Event()
        done = threading.Event()

        def give_up_late() -> None:
            while not done.wait(patience.next_wait()):
                if patience.is_over():
                    late.set()
                    release()
                    return

        watch = threading.Thread(target=give_up_late, daemon=True)
        watch.start()
        try:
            returned = self._function(message, endpoint, authorization)
        # A sender may end its program where it fails.
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a sender raises is its report
            report = Report(False, f"{type(problem).__name__}: {problem}")
        else:
            report = Report(True)
        finally:
            done.set()
            watch.join()
        if report.ok and inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            raise SenderUnusable(
                "the sender returns before it has sent: send() gave an awaitable. Wait for it there, with "
                "asyncio.run() for example"
            )
        return Report(None, f"within {patience}, then {report}") if late.is_set() else report

    def close(self) -> None:
        """Nothing runs between two messages."""


class CommandDriver:
    """Drives a command: one job a line to its standard input, one result a line from its standard output.

    A job is ``{"message": …, "endpoint": …, "authorization": …}``, the last absent where none is configured.
    A result is ``{"ok": true}`` or ``{"ok": false, "error": …}``. The command is started for the first job,
    and again after a job without a result.

    Args:
        command: The program and its arguments.
        grace_seconds: Seconds that it has left when every connection that it could wait for has been ended.
        end_seconds: Seconds in which it is to end by itself, once its input has ended.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        grace_seconds: float = GRACE_SECONDS,
        end_seconds: float = END_SECONDS,
    ) -> None:
        self._command = list(command)
        self._grace_seconds = grace_seconds
        self._end_seconds = end_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._results: queue.Queue[bytes | None] = queue.Queue()
        self._jobs: queue.Queue[bytes | None] = queue.Queue()
        self._stderr: IO[bytes] | None = None
        self._threads: list[threading.Thread] = []

    def send(
        self,
        message: dict[str, Any],
        endpoint: str,
        authorization: str | None,
        patience: Patience,
        release: Callable[[], None],
    ) -> Report:
        """See ``Driver.send``."""
        if self._process is not None:
            self._require_quiet(self._process)
        process = self._process or self._start()
        job: dict[str, Any] = {"message": message, "endpoint": endpoint}
        if authorization is not None:
            job["authorization"] = authorization
        self._jobs.put(json.dumps(job).encode() + b"\n")
        late = False
        try:
            line = self._take_result(patience)
        except queue.Empty:
            late = True
            release()
            grace = Patience(self._grace_seconds, patience.deadline)
            try:
                line = self._take_result(grace)
            except queue.Empty:
                said = self._format_stderr()
                self._end(0)
                return Report(None, f"within {patience.seconds + grace.seconds:g} s{said}")
        if line is None:
            raise self._ended(process, "without a result")
        report = self._report(line)
        return Report(None, f"within {patience}, then {report}") if late else report

    def _take_result(self, patience: Patience) -> bytes | None:
        while True:
            try:
                return self._results.get(timeout=patience.next_wait())
            except queue.Empty:
                if patience.is_over():
                    raise

    def _start(self) -> subprocess.Popen[bytes]:
        # A file: a full pipe would stop the command, since it is read only at the end.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - _end closes it
        try:
            process = subprocess.Popen(  # noqa: S603 - the caller chooses the command
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                # A group of its own: what the command starts itself is ended with it.
                start_new_session=True,
            )
        except (OSError, ValueError) as problem:
            self._stderr.close()
            self._stderr = None
            said = getattr(problem, "strerror", None) or str(problem)
            raise SenderUnusable(
                f"the command {format_value(self._command[0])} cannot be started: {said}"
            ) from None
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._results, self._jobs = queue.Queue(_MAX_UNASKED_RESULTS), queue.Queue()
        self._threads = [
            threading.Thread(target=_read, args=(process.stdout, self._results), daemon=True),
            # In a thread of its own: a command that does not read would block the wait for the result.
            threading.Thread(target=_write, args=(process.stdin, self._jobs), daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        return process

    def _require_quiet(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(queue.Empty):
            line = self._results.get_nowait()
            if line is None:
                raise self._ended(process, "between two jobs")
            raise self._unusable(f"wrote what no job had asked for: {_line(line)}")

    def _report(self, line: bytes) -> Report:
        # RecursionError: what it wrote nests too deep.
        with contextlib.suppress(ValueError, RecursionError):
            result = json.loads(line)
            if isinstance(result, dict) and isinstance(result.get("ok"), bool):
                return Report(result["ok"], "" if result["ok"] else _format_error(result.get("error")))
        raise self._unusable(
            f'wrote a line that is no result, {{"ok": true}} or {{"ok": false, "error": "…"}}: '
            f"{_line(line)} (a log belongs on standard error)"
        )

    def _ended(self, process: subprocess.Popen[bytes], when: str) -> SenderUnusable:
        status = _wait_for_end(process, self._end_seconds)
        if status is None:
            return self._unusable(f"closed its standard output {when}")
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return self._unusable(f"{how} {when}")

    def _unusable(self, what: str) -> SenderUnusable:
        said = self._format_stderr()
        self._end(0)
        return SenderUnusable(f"the command {format_value(self._command[0])} {what}{said}")

    def _format_stderr(self) -> str:
        """Return the end of what the command wrote to standard error."""
        assert self._stderr is not None
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _MAX_ANSWER_BYTES))
        lines = self._stderr.read().decode(errors="backslashreplace").strip().splitlines()
        # A program that fails prints the reason last.
        shown_lines = "".join(f"\n  {escape_unprintable(line)}" for line in lines[-_MAX_SHOWN_LINES:])
        return f"; on standard error it said:{shown_lines}" if lines else ""

    def close(self) -> None:
        """End the command and whatever it started."""
        self._end(self._end_seconds)

    def _end(self, patience: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The end of its input: a command that reads to the end ends by itself.
        self._jobs.put(None)
        _wait_for_end(process, patience)
        if hasattr(os, "killpg"):
            # Also where it has ended: it may have left something behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        deadline = read_monotonic() + self._end_seconds
        while any(thread.is_alive() for thread in self._threads) and read_monotonic() < deadline:
            # The thread that reads may wait for room.
            with contextlib.suppress(queue.Empty):
                while True:
                    self._results.get_nowait()
            self._threads[0].join(_POLL_INTERVAL)
        assert self._stderr is not None
        self._stderr.close()


def _wait_for_end(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the status of a process when it has ended; None when it has not in some seconds."""
    # Not Popen.wait: its deadline stands still where a test freezes the clock.
    deadline = read_monotonic() + seconds
    while (status := process.poll()) is None and read_monotonic() < deadline:
        sleep(_POLL_INTERVAL)
    return status


def _read(stdout: IO[bytes], results: queue.Queue[bytes | None]) -> None:
    with stdout, contextlib.suppress(OSError, ValueError):
        while line := stdout.readline(_MAX_ANSWER_BYTES):
            results.put(line)
    results.put(None)


def _write(stdin: IO[bytes], jobs: queue.Queue[bytes | None]) -> None:
    # If the command has ended, the reading thread notices it.
    with contextlib.suppress(OSError, ValueError), stdin:
        while (job := jobs.get()) is not None:
            stdin.write(job)
            stdin.flush()


def _format_error(error: Any) -> str:
    if isinstance(error, str):
        return error
    return "" if error is None else json.dumps(error)


def _line(line: bytes) -> str:
    return format_value(line.decode(errors="backslashreplace").rstrip("\r\n"))


def _one_line(text: str) -> str:
    first, *more = text.strip().splitlines() or [""]
    return escape_unprintable(first[:200]) + ("…" if more or len(first) > 200 else "")
