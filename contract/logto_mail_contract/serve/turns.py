"""Work that connections put off: a little is done in each turn of the event loop, so that none waits long."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from ..clock import read_monotonic

if TYPE_CHECKING:
    from collections.abc import Callable


class Turns:
    """What is to be done in later turns of the running event loop, the oldest first.

    Args:
        seconds: How long the work of one turn may take, but for its last piece.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[Callable[[], None]] = deque()
        self._has_turn = False

    def add(self, work: Callable[[], None]) -> None:
        """Have some work done later, in a turn that has time for it.

        Args:
            work: One short piece of it.
        """
        self._waiting.append(work)
        self._ask_for_turn()

    def _ask_for_turn(self) -> None:
        if self._waiting and not self._has_turn:
            self._has_turn = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        # The loop's own time may stand still within a turn.
        end = read_monotonic() + self._seconds
        # What this turn's work puts off is for the next one.
        for _ in range(len(self._waiting)):
            self._waiting.popleft()()
            if read_monotonic() >= end:
                break
        self._has_turn = False
        self._ask_for_turn()
