"""Work that is put off: a little in each turn of the event loop, the oldest first."""

from __future__ import annotations

import asyncio
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
