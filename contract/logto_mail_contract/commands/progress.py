"""Says on standard error how far a command is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

from ..clock import read_monotonic
from ..masking import count_noun
from ..program import read_program_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PLAIN_SECONDS = 10.0
"""Seconds between two lines where standard error is no terminal."""

REFRESH_SECONDS = 0.25
"""Seconds between two looks at the command."""


class Stage(Protocol):
    """How far a command is; its text says so to a person."""

    @property
    def share(self) -> tuple[int, int | None]:
        """How much is done, and how much there is in all; None where nobody can say."""

    @property
    def seconds_left(self) -> float | None:
        """At most how long it will take from now; None where nobody can say."""


class Step(NamedTuple):
    """How far a run is.

    Attributes:
        done: How many rules have a result.
        rules: How many rules there are.
        sent: How many requests were sent; None where they are not counted.
        planned: At most how many requests will be sent.
        seconds_left: At most how long it will take from now; None where nobody can say.
    """

    done: int
    rules: int
    sent: int | None = None
    planned: int = 0
    seconds_left: float | None = None

    @property
    def share(self) -> tuple[int, int | None]:
        return (self.done, self.rules) if self.sent is None else (self.sent, self.planned)

    def __str__(self) -> str:
        parts = [f"{self.done} of {count_noun(self.rules, 'rule')}"]
        if self.sent is not None:
            parts.append(f"{self.sent} of at most {count_noun(self.planned, 'request')}")
        if self.seconds_left is not None:
            parts.append(f"at most {self.seconds_left:.0f} s left")
        return ", ".join(parts)


class Progress:
    """Says how far a command is, while the block lasts.

    Args:
        look: Returns how far it is; called in a thread.
        plain_seconds: Seconds between two lines where standard error is no terminal.
        refresh_seconds: Seconds between two looks at the command.
    """

    def __init__(
        self,
        look: Callable[[], Stage],
        *,
        plain_seconds: float = PLAIN_SECONDS,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._look = look
        self._plain_seconds = plain_seconds
        self._refresh_seconds = refresh_seconds
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._bar: tuple[Bar, TaskID] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @contextlib.contextmanager
    def hide(self) -> Iterator[None]:
        """Show no bar while the block prints lines, which may go to the same terminal."""
        with self._lock:
            if self._bar is not None:
                self._bar[0].stop()
            try:
                yield
            finally:
                if self._bar is not None and not self._over.is_set():
                    self._bar[0].start()

    def _run(self) -> None:
        # Without standard error there is nobody to tell; the run goes on.
        with contextlib.suppress(OSError):
            if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
                try:
                    self._show_bar()
                except ModuleNotFoundError:
                    self._print_lines()
            else:
                self._print_lines()

    def _print_lines(self) -> None:
        is_estimated = False
        due = read_monotonic() + self._plain_seconds
        while not self._over.wait(self._refresh_seconds):
            step = self._look()
            # A short run says nothing.
            is_first_estimate = not is_estimated and (step.seconds_left or 0.0) > self._plain_seconds
            if is_first_estimate or read_monotonic() >= due:
                is_estimated = is_estimated or is_first_estimate
                due = read_monotonic() + self._plain_seconds
                sys.stderr.write(f"{read_program_name()}: {step}\n")
                sys.stderr.flush()

    def _show_bar(self) -> None:
        # After the first look: the import takes longer than the first requests.
        if self._over.wait(self._refresh_seconds):
            return
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        bar = Bar(
            BarColumn(bar_width=12),
            TextColumn("{task.description}", markup=False),
            console=Console(stderr=True),
            # The thread of this class refreshes. Output is not redirected: rich would wrap the lines.
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
        )
        task = bar.add_task("")
        with self._lock:
            self._bar = bar, task
            bar.start()
        try:
            while True:
                step = self._look()
                done, total = step.share
                with self._lock:
                    bar.update(task, completed=done, total=total, description=str(step), refresh=True)
                if self._over.wait(self._refresh_seconds):
                    return
        finally:
            with self._lock:
                bar.stop()
                self._bar = None
