"""The waits of a test that were made, until they are awaited, and where a test made them."""

from __future__ import annotations

import inspect
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from .matching import Query

_PACKAGE = __name__.partition(".")[0]
_Result = TypeVar("_Result")


class _Made(NamedTuple):
    wait: Coroutine[object, None, object]
    call: str
    query: Query
    place: str

    def is_unawaited(self) -> bool:
        return inspect.getcoroutinestate(self.wait) == inspect.CORO_CREATED


class Waits:
    """The waits of an endpoint that were made, until they are awaited.

    It keeps each coroutine alive until then. Otherwise Python warns of it whenever it collects garbage, and
    the warning may meet another test.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: list[_Made] = []

    def track(
        self, wait: Coroutine[object, None, _Result], call: str, query: Query
    ) -> Coroutine[object, None, _Result]:
        """Return a wait that was just made, and remember it until it is awaited.

        Args:
            wait: The coroutine.
            call: The name of the function that made it.
            query: What it looks for.
        """
        with self._lock:
            self._made = [*filter(_Made.is_unawaited, self._made), _Made(wait, call, query, find_caller())]
        return wait

    def take_unawaited(self) -> list[str]:
        """Return which waits were never awaited and where they were made, a line each, and forget them."""
        with self._lock:
            unawaited, self._made = list(filter(_Made.is_unawaited, self._made)), []
        for made in unawaited:
            # Python does not warn of a coroutine that is closed: the test fails for it once.
            made.wait.close()
        return [f"{made.call} for a {made.query}, made at {made.place}" for made in unawaited]


def find_caller() -> str:
    """Return the place, ``file:line``, that called this package."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    if frame is None:
        return "an unknown place"
    path = Path(frame.f_code.co_filename)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{frame.f_lineno}"
