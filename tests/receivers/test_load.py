"""How many requests may be under way at once, learned from simulated receivers."""

from __future__ import annotations

import heapq

import pytest

from logto_mail_contract.receivers.load import Window


def simulate(window: Window, seconds: float, capacity: int, requests: int = 600) -> tuple[float, int]:
    """Send requests; return how long that took, and how many were under way at most.

    Args:
        window: The window; it learns from each response.
        seconds: How long the receiver works on a request.
        capacity: On how many it works at once.
        requests: How many are sent.
    """
    now, most, started = 0.0, 0, 0
    free = [0.0] * capacity
    under_way: list[tuple[float, float, float]] = []
    while started < requests or under_way:
        while started < requests and len(under_way) < window.size:
            begin = max(now, heapq.heappop(free))
            heapq.heappush(free, begin + seconds)
            heapq.heappush(under_way, (begin + seconds, now, window.patience))
            started += 1
            most = max(most, len(under_way))
        now, start, patience = heapq.heappop(under_way)
        assert now - start < patience
        window.learn(start, now)
    return now, most


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1, 2, 3, 4.5, 6, 9.5])
def test_a_parallel_receiver_gets_as_many_as_are_allowed(seconds: float) -> None:
    took, most = simulate(Window(32, fail_after=10), seconds, capacity=1000)
    assert most == 32
    # Little more than if all connections had been used from the start.
    assert took / seconds < 600 / 32 + 8


def test_a_serial_receiver_gets_hardly_more_than_one() -> None:
    window = Window(32, fail_after=10)
    took, most = simulate(window, 0.2, capacity=1)
    assert most <= 4
    assert window.size <= 2
    assert took < 600 * 0.2 * 1.01


@pytest.mark.parametrize("capacity", [2, 4, 8, 16])
def test_a_receiver_with_some_workers_gets_about_as_many(capacity: int) -> None:
    took, most = simulate(Window(32, fail_after=10), 0.5, capacity)
    assert took < 600 / capacity * 0.5 * 1.5
    assert most <= 4 * capacity


@pytest.mark.parametrize("seconds", [1.0, 3.0, 4.5, 6.0, 9.5])
@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_no_response_comes_after_the_patience_of_the_window(seconds: float, capacity: int) -> None:
    """A receiver that works on few at once is late while more are tried, and not again."""
    ends: list[float] = []

    class Watched(Window):
        def learn(self, started: float, ended: float) -> None:
            if ended - started > 10:
                ends.append(ended)
            super().learn(started, ended)

    window = Watched(32, fail_after=10)
    simulate(window, seconds, capacity, requests=60)
    assert len(ends) <= 8
    assert max(ends, default=0.0) < 12 * seconds
    assert window.patience == 10


def test_a_fast_receiver_gets_one_connection() -> None:
    assert simulate(Window(32, fail_after=10), 0.001, capacity=1000)[1] == 1


def test_no_more_are_under_way_than_workers() -> None:
    assert simulate(Window(3, fail_after=10), 1, capacity=1000)[1] == 3
    window = Window(32, fail_after=10)
    window.restrict(1)
    assert simulate(window, 1, capacity=1000, requests=40)[1] == 1
    window.widen(9)
    assert window.size == 1


@pytest.mark.parametrize(("refused", "size"), [(3, 32), (4, 16)])
def test_refusals_that_outnumber_the_accepted_halve_what_is_under_way(refused: int, size: int) -> None:
    window = Window(32, fail_after=10)
    window.widen(32)
    for _ in range(refused):
        window.learn_refusal(1.0, 2.0)
    assert window.size == size
    window.widen(32)
    assert window.size == size


def test_a_few_refusals_among_accepted_messages_change_nothing() -> None:
    window = Window(32, fail_after=10)
    window.widen(32)
    for _ in range(10):
        window.learn(1.0, 2.0)
        window.learn(1.0, 2.0)
        window.learn_refusal(1.0, 2.0)
    assert window.size == 32
