"""The real clock, for every deadline and every measured time, also while a test freezes the clock.

Libraries that freeze it replace the functions of the module ``time``, and those that other modules hold.
One of them, time-machine, replaces what the functions do.
"""

from __future__ import annotations

import sys
from importlib.machinery import BuiltinImporter
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


def _copy_time() -> Any:
    # A copy of its own, new from the interpreter: the clock may be frozen already when this is loaded.
    spec = BuiltinImporter.find_spec("time")
    assert spec is not None
    copy = module_from_spec(spec)
    BuiltinImporter.exec_module(copy)
    return copy


_TIME = _copy_time()


read_monotonic: Callable[[], float] = _TIME.monotonic
"""Returns the seconds of the monotonic clock."""

sleep: Callable[[float], None] = _TIME.sleep
"""Lets the thread sleep for some seconds."""


def read_time() -> float:
    """Return the seconds since 1970."""
    # time-machine reaches the copy too, and offers the real clock to those that need it.
    machine = sys.modules.get("time_machine")
    if machine is not None:
        try:
            real: float = machine.escape_hatch.time.time()
        except ValueError:
            pass  # The clock is not frozen.
        else:
            return real
    seconds: float = _TIME.time()
    return seconds


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return an event loop of asyncio whose timers use the real clock."""
    import asyncio

    loop = asyncio.new_event_loop()
    # Loops that are no part of the standard library have a clock of their own.
    if isinstance(loop, asyncio.BaseEventLoop):
        loop.time = read_monotonic  # type: ignore[method-assign]  # loops read the time only here
    return loop
