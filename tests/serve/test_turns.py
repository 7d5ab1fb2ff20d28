"""Work that is put off: a little in each turn of the event loop, the oldest first."""

from __future__ import annotations

import asyncio
import time
from itertools import groupby
from typing import TYPE_CHECKING

import pytest

from logto_mail_contract.serve.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable


def run_in_turns(
    seconds: float, start: Callable[[Turns, Callable[[str], None]], None]
) -> list[tuple[int, str]]:
    """Return in which turn of the event loop each piece of work was done.

    Args:
        seconds: How long the work of a turn may take.
        start: Adds work to the turns, which calls the function that it is given.
    """
    done: list[tuple[int, str]] = []

    async def run() -> None:
        turn = 0
        start(Turns(seconds), lambda name: done.append((turn, name)))
        for turn in range(1, 30):  # noqa: B007 - the function above reads it
            await asyncio.sleep(0)

    asyncio.run(run())
    return done


def add_three(turns: Turns, note: Callable[[str], None]) -> None:
    for name in "abc":
        turns.add(lambda name=name: note(name))  # type: ignore[misc]


@pytest.mark.parametrize(("seconds", "turns"), [(0, 3), (60, 1)])
def test_a_turn_does_as_much_as_it_has_time_for_and_always_one_piece(seconds: float, turns: int) -> None:
    done = run_in_turns(seconds, add_three)
    assert [name for _, name in done] == ["a", "b", "c"]
    assert len({turn for turn, _ in done}) == turns


@pytest.mark.parametrize("count", [1, 2])
def test_work_that_puts_itself_off_again_is_done_once_in_a_turn(count: int) -> None:
    def start(turns: Turns, note: Callable[[str], None]) -> None:
        def work(name: str, left: int) -> None:
            note(name)
            if left:
                turns.add(lambda: work(name, left - 1))

        for number in range(count):
            turns.add(lambda number=number: work(str(number), 9))  # type: ignore[misc]

    done = run_in_turns(60, start)
    assert len(done) == 10 * count
    names = [str(number) for number in range(count)]
    assert [[name for _, name in those] for _, those in groupby(done, lambda one: one[0])] == [names] * 10


def test_small_work_goes_first_and_large_work_is_not_kept_for_ever() -> None:
    def start(turns: Turns, note: Callable[[str], None]) -> None:
        turns.add(lambda: note("large 1"))
        turns.add(lambda: note("large 2"))
        for number in (1, 2, 3):
            turns.add(lambda number=number: note(f"small {number}"), is_small=True)  # type: ignore[misc]

    assert [name for _, name in run_in_turns(60, start)] == [
        *("small 1", "small 2", "small 3", "large 1", "large 2"),
    ]
    done = run_in_turns(0, start)
    turns = [[name for _, name in those] for _, those in groupby(done, lambda one: one[0])]
    assert turns == [["small 1", "large 1"], ["small 2", "large 2"], ["small 3"]]


@pytest.mark.parametrize("is_small", [True, False])
def test_work_that_raises_does_not_end_the_rest(is_small: bool) -> None:
    done: list[str] = []

    async def run() -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: faults.append(context["exception"])
        )
        turns = Turns(60)
        for name in "abc":
            turns.add(lambda name=name: done.append(name) or 1 / (name != "a"), is_small=is_small)  # type: ignore[func-returns-value,misc]
        for _ in range(5):
            await asyncio.sleep(0)
        assert [type(fault) for fault in faults] == [ZeroDivisionError]

    asyncio.run(run())
    assert done == ["a", "b", "c"]


def test_a_turn_is_over_when_its_time_is_and_the_next_one_begins_anew() -> None:
    async def run() -> list[bool]:
        turns = Turns(0.05)
        seen = [turns.is_over()]
        deadline = time.monotonic() + 0.06
        while time.monotonic() < deadline:
            pass
        seen.append(turns.is_over())
        await asyncio.sleep(0)
        return [*seen, turns.is_over()]

    assert asyncio.run(run()) == [False, True, False]
