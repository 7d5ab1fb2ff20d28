"""Ends a run early: after its longest time, or on a signal."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

MAX_SECONDS = 1_000_000.0
"""Longest time until a deadline; no socket waits much longer, and no run lasts as long."""

SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
"""The signals that end a run, and what they are called."""


class Ending:
    """Ends a run at a deadline and on SIGINT and SIGTERM, while the block lasts.

    A thread does it, and not the signal handler: the handler may find any lock taken. A second signal raises
    KeyboardInterrupt, which ends everything at once.

    Args:
        end: Ends the run; gets the reason.
        seconds: Seconds after which to end it; None for no deadline.

    Attributes:
        signal: The signal that ended the run; None where none did.
    """

    def __init__(self, end: Callable[[str], None], seconds: float | None) -> None:
        self.signal: signal.Signals | None = None
        self._end = end
        self._seconds = seconds
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._before = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._reader, self._writer = socket.socketpair()
        # Python demands it of the socket that a signal writes its number to.
        self._writer.setblocking(False)
        if threading.current_thread() is threading.main_thread():
            before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
            self._before.callback(signal.set_wakeup_fd, before)
            for number in SIGNALS:
                handler = signal.getsignal(number)
                # A shell lets what runs in the background ignore Ctrl-C.
                if handler not in (signal.SIG_IGN, None):
                    signal.signal(number, self._take)
                    self._before.callback(signal.signal, number, handler)
        self._thread.start()
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._before.close()
        self._writer.close()
        self._thread.join()
        self._reader.close()

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as Python calls it
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def _watch(self) -> None:
        self._reader.settimeout(None if self._seconds is None else min(self._seconds, MAX_SECONDS))
        while True:
            try:
                received = self._reader.recv(1)
            except TimeoutError:
                self._end(f"--max-time {self._seconds:g} is over")
                self._reader.settimeout(None)
                continue
            if not received:
                return
            for number, reason in SIGNALS.items():
                if received[0] == number:
                    self._end(reason)
