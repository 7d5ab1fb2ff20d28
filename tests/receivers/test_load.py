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
    under_way: list[tuple[float, float]] = []
    while started < requests or under_way:
        while started < requests and len(under_way) < window.size:
            begin = max(now, heapq.heappop(free))
            heapq.heappush(free, begin + seconds)
            heapq.heappush(under_way, (begin + seconds, now))
            started += 1
            most = max(most, len(under_way))
        now, start = heapq.heappop(under_way)
        window.learn(start, now)
    return now, most


@pytest.mark.parametrize("seconds", [0.05, 0.2, 1, 2])
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


def test_no_response_of_a_serial_receiver_comes_after_the_limit() -> None:
    for seconds in (1.0, 3.0, 4.5):
        longest = 0.0

        class Watched(Window):
            def learn(self, started: float, ended: float) -> None:
                nonlocal longest
                longest = max(longest, ended - started)
                super().learn(started, ended)

        simulate(Watched(32, fail_after=10), seconds, capacity=1, requests=60)
        assert longest < 10


def test_a_fast_receiver_gets_one_connection() -> None:
    assert simulate(Window(32, fail_after=10), 0.001, capacity=1000)[1] == 1


def test_no_more_are_under_way_than_workers() -> None:
    assert simulate(Window(3, fail_after=10), 1, capacity=1000)[1] == 3
    window = Window(32, fail_after=10)
    window.restrict(1)
    assert simulate(window, 1, capacity=1000, requests=40)[1] == 1
    window.widen(9)
    assert window.size == 1
