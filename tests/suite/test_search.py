"""The search for the smallest failing example."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from logto_mail_contract.suite.search import draw_examples, find_smallest, keep_storage_apart

if TYPE_CHECKING:
    from pathlib import Path


def test_the_smallest_failing_example_is_found() -> None:
    found = find_smallest(st.integers(), lambda number: number > 1000, examples=500, seed=0)
    assert found is not None
    assert (found.example, found.is_flaky) == (1001, False)


def test_nothing_is_found_if_nothing_fails() -> None:
    calls: list[int] = []

    def fails(number: int) -> bool:
        calls.append(number)
        return False

    assert find_smallest(st.integers(), fails, examples=50, seed=0) is None
    assert len(calls) == 50


def test_a_failure_that_is_not_reproduced_is_flaky() -> None:
    calls: list[int] = []

    def fails(number: int) -> bool:
        calls.append(number)
        return len(calls) == 7

    found = find_smallest(st.integers(), fails, examples=50, seed=1)
    assert found is not None
    assert (found.example, found.is_flaky) == (calls[6], True)


def test_shrinking_stops_at_its_time_limit() -> None:
    calls: list[list[int]] = []

    def fails(numbers: list[int]) -> bool:
        calls.append(numbers)
        return len(numbers) > 5

    found = find_smallest(
        st.lists(st.integers(), min_size=6, max_size=50),
        fails,
        examples=50,
        seed=1,
        shrink_seconds=lambda: 0.0,
    )
    assert found is not None
    # Without time to repeat the example, it is not reported as flaky.
    assert (found.example, found.is_flaky) == (calls[0], False)
    assert len(calls) == 1


def test_an_exception_ends_the_search_and_is_raised() -> None:
    calls: list[int] = []

    def fails(number: int) -> bool:
        calls.append(number)
        if len(calls) == 6:
            raise KeyError("mine")
        return False

    with pytest.raises(KeyError, match="mine"):
        find_smallest(st.integers(), fails, examples=50, seed=1)
    assert len(calls) == 6


def test_the_same_seed_draws_the_same_examples() -> None:
    assert (
        draw_examples(st.text(), 20, 1) == draw_examples(st.text(), 20, 1) != draw_examples(st.text(), 20, 2)
    )
    assert len(draw_examples(st.text(), 20, 1)) == 20
    assert sorted(draw_examples(st.booleans(), 20, 1)) == [False, True]


def test_no_file_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with keep_storage_apart():
        draw_examples(st.text(), 20, 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_the_user_chose_is_used_again_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = str(tmp_path / "own")
    monkeypatch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", own)
    with keep_storage_apart():
        draw_examples(st.text(), 20, 1)
        assert os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] != own
    assert list(tmp_path.iterdir()) == []
    assert os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] == own


def test_a_receiver_may_use_random_numbers_meanwhile() -> None:
    drawn = draw_examples(st.integers().map(lambda number: (number, random.random())), 5, seed=0)
    assert drawn
