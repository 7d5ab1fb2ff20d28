"""The search for the smallest failing example."""

from __future__ import annotations

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


def test_nothing_is_found_where_nothing_fails() -> None:
    tried: list[int] = []

    def fails(number: int) -> bool:
        tried.append(number)
        return False

    assert find_smallest(st.integers(), fails, examples=50, seed=0) is None
    assert len(tried) == 50


def test_a_failure_that_does_not_come_again_is_flaky() -> None:
    tried: list[int] = []

    def fails(number: int) -> bool:
        tried.append(number)
        return len(tried) == 7

    found = find_smallest(st.integers(), fails, examples=50, seed=1)
    assert found is not None
    assert (found.example, found.is_flaky) == (tried[6], True)


def test_the_search_for_a_smaller_one_is_given_up_in_time() -> None:
    tried: list[list[int]] = []

    def fails(numbers: list[int]) -> bool:
        tried.append(numbers)
        return len(numbers) > 5

    found = find_smallest(
        st.lists(st.integers(), min_size=6, max_size=50),
        fails,
        examples=50,
        seed=1,
        shrink_seconds=lambda: 0.0,
    )
    assert found is not None
    # That nothing fails any more says nothing of the subject.
    assert (found.example, found.is_flaky) == (tried[0], False)
    assert len(tried) == 1


def test_an_exception_ends_the_search_and_is_raised() -> None:
    tried: list[int] = []

    def fails(number: int) -> bool:
        tried.append(number)
        if len(tried) == 6:
            raise KeyError("mine")
        return False

    with pytest.raises(KeyError, match="mine"):
        find_smallest(st.integers(), fails, examples=50, seed=1)
    assert len(tried) == 6


def test_the_same_seed_draws_the_same() -> None:
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
