"""Prints for ``serve`` while it runs: a line for each delivery, and for each problem."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..clock import read_time
from ..masking import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..findings import Finding
    from ..inbox.recorded import Recorded
    from ..judging.requests import Verdict

_FLUSH_SECONDS = 0.05
_CLOSE_SECONDS = 1.0
MAX_QUEUED_LINES = 10_000
MAX_QUEUED_CHARACTERS = 16 * 1024 * 1024
_MAX_SHOWN_CHARACTERS = 200


class PrintedLog:
    """The log on standard output, for one event loop.

    Args:
        as_json: Print a JSON object a line; else text.
        redact: Leave out codes and links.
        on_broken: Called once, in a thread, with the reason when standard output cannot be written. From
            then on nothing is printed.
    """

    def __init__(
        self, *, as_json: bool, redact: bool, on_broken: Callable[[str], None] = lambda _: None
    ) -> None:
        self._as_json = as_json
        self._redact = redact
        self._waiting: list[str] = []
        self._printer = _Printer(self._format_dropped, on_broken)
        self._second = 0
        self._clock = ""

    def delivery(self, recorded: Recorded, message: Any, verdict: Verdict) -> None:
        """Print a delivery."""
        code, link = (None, None) if self._redact else (recorded.code, recorded.link)
        if self._as_json:
            self.event(
                {
                    "event": "delivery",
                    "id": recorded.id,
                    "to": recorded.to,
                    "type": recorded.type,
                    **({} if self._redact else {"code": code, "link": link}),
                    "status": recorded.status,
                    "response": recorded.response,
                    "valid": recorded.valid,
                    "findings": [finding.entry() for finding in verdict.findings],
                    **({"moreFindings": verdict.more_findings} if verdict.more_findings else {}),
                },
                recorded.arrived,
            )
            return
        line = self._format_delivery(recorded, message, code, link, str)
        # Where all of it is short and printable, so is each part.
        if len(line) > _MAX_SHOWN_CHARACTERS or not line.isprintable():
            line = self._format_delivery(recorded, message, code, link, _shorten)
        if verdict.findings:
            more = f"\n    and {verdict.more_findings} more" if verdict.more_findings else ""
            line = "".join([line, *map(_format_finding, verdict.findings), more])
        self._write(line)

    def _format_delivery(
        self,
        recorded: Recorded,
        message: Any,
        code: str | None,
        link: str | None,
        show: Callable[[str], str],
    ) -> str:
        if isinstance(message, dict):
            type = "(none)" if recorded.type is None else recorded.type
            to = "(none)" if recorded.to is None else recorded.to
            what = f"{show(type)} to {show(to)}"
        else:
            what = f"{show(recorded.method)} {show(recorded.target)}, no message"
        if code is not None:
            what += f"  code {show(code)}"
        if link is not None:
            what += f"  link {show(link)}"
        outcome = "valid" if recorded.valid else "invalid"
        clock = self._format_time(recorded.arrived)
        return f"{clock}  #{recorded.id}  {what}  {recorded.response}, {outcome}"

    def problem(self, text: str) -> None:
        """Print a fault of this side, or bytes that are no request."""
        if self._as_json:
            self.event({"event": "problem", "problem": text})
        else:
            self._write(f"{self._format_time(read_time())}  {escape_unprintable(text)}")

    def event(self, members: dict[str, Any], at: float | None = None) -> None:
        """Print a JSON object in a line, with its time.

        Args:
            members: The members of the object.
            at: Seconds since 1970; now when None.
        """
        self._write(_format_event(members, at))

    def flush(self) -> None:
        """Print what waits to be printed, without waiting for the reader."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._printer.print(waiting)

    def close(self) -> None:
        """Print what waits to be printed; give up after a second when the reader does not read it."""
        self.flush()
        self._printer.close()

    def _write(self, text: str) -> None:
        if not self._waiting:
            # A write for each line would cost as much as judging a message does.
            asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        self._waiting.append(text)

    def _format_time(self, seconds: float) -> str:
        second = int(seconds)
        if second != self._second:
            # Cached: local time is slow to compute, and a second may have thousands of lines.
            self._second, self._clock = second, time.strftime("%H:%M:%S", time.localtime(second))
        return f"{self._clock}.{int(seconds % 1 * 1000):03}"

    def _format_dropped(self, count: int) -> str:
        problem = f"lines left out here: {count}. The reader of this output was too slow."
        return _format_event({"event": "problem", "problem": problem}) if self._as_json else problem


class _Printer:
    """Prints in a thread of its own: a reader that stops reading must not delay a response to a sender.

    Args:
        format_dropped: Returns the line that says how many lines were dropped.
        on_broken: See ``PrintedLog``.
    """

    def __init__(self, format_dropped: Callable[[int], str], on_broken: Callable[[str], None]) -> None:
        self._format_dropped = format_dropped
        self._on_broken = on_broken
        self._batches: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        # No lock: each of the two is written by one thread alone.
        self._queued = self._printed = 0
        self._queued_characters = self._printed_characters = 0
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def print(self, lines: list[str]) -> None:
        if (
            self._queued - self._printed > MAX_QUEUED_LINES
            or self._queued_characters - self._printed_characters > MAX_QUEUED_CHARACTERS
        ):
            self._dropped += len(lines)
            return
        if self._dropped:
            lines = [self._format_dropped(self._dropped), *lines]
            self._dropped = 0
        self._queued += len(lines)
        self._queued_characters += sum(map(len, lines))
        self._batches.put(lines)

    def close(self) -> None:
        self._batches.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        # Not through sys.stdout: its lock, held while this waits for a reader, would block the process's end.
        try:
            output, encoding = sys.stdout.fileno(), sys.stdout.encoding
            while (lines := self._batches.get()) is not None:
                data = ("\n".join(lines) + "\n").encode(encoding, "backslashreplace")
                while data:
                    data = data[os.write(output, data) :]
                self._printed += len(lines)
                self._printed_characters += sum(map(len, lines))
        except (OSError, ValueError) as problem:
            self._on_broken(getattr(problem, "strerror", None) or str(problem))


def _format_finding(finding: Finding) -> str:
    where = _shorten(finding.pointer) or "the whole message"
    expected = escape_unprintable(" or ".join(finding.expected))
    return (
        f"\n    {finding.rule}  {finding.level}  at {where}: {escape_unprintable(finding.actual)}; "
        f"expected {expected}"
    )


def _format_event(members: dict[str, Any], at: float | None = None) -> str:
    when = datetime.fromtimestamp(read_time() if at is None else at, UTC).isoformat()
    return json.dumps({"time": when, **members})


def _shorten(text: str) -> str:
    if len(text) <= _MAX_SHOWN_CHARACTERS:
        return escape_unprintable(text)
    return f"{escape_unprintable(text[:_MAX_SHOWN_CHARACTERS])}…"
