"""Draws messages with Hypothesis, and looks for the smallest one that fails."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from ..clock import read_monotonic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

_STORAGE_VARIABLE = "HYPOTHESIS_STORAGE_DIRECTORY"

MAX_SHRINK_SECONDS = 5.0
"""Longest time for the search for a smaller message, once one has failed."""


class Smallest(NamedTuple, Generic[T]):
    """The result of a search.

    Attributes:
        example: The smallest example that failed when it was last tried.
        is_flaky: Whether it did not fail when it was tried again.
    """

    example: T
    is_flaky: bool


def draw_examples(strategy: SearchStrategy[T], number: int, seed: int) -> list[T]:
    """Return what a strategy draws; the same arguments draw the same.

    Args:
        strategy: What to draw from.
        number: How many; fewer come where the strategy has no more.
        seed: What they are generated from.
    """
    drawn: list[T] = []

    def collect(example: T) -> bool:
        drawn.append(example)
        return False

    find_smallest(strategy, collect, examples=number, seed=seed)
    return drawn[:number]


def find_smallest(
    strategy: SearchStrategy[T],
    fails: Callable[[T], bool],
    *,
    examples: int,
    seed: int,
    shrink_seconds: Callable[[], float] = lambda: MAX_SHRINK_SECONDS,
) -> Smallest[T] | None:
    """Return the smallest example that fails; None when none fails.

    An exception that ``fails`` raises ends the search and is raised.

    Args:
        strategy: What to draw from.
        fails: Tries an example, and returns whether it failed.
        examples: How many to try while none has failed.
        seed: What they are generated from.
        shrink_seconds: Called when the first one has failed: how long to look for a smaller one.
    """
    import hypothesis
    from hypothesis.errors import Flaky, HypothesisDeprecationWarning, NoSuchExample, Unsatisfiable

    smallest: list[T] = []
    raised: list[BaseException] = []
    give_up = float("inf")
    is_flaky = False

    def try_example(example: T) -> bool:
        nonlocal give_up
        # Hypothesis would look for a smaller example of an exception too, and hold it as flaky.
        if raised or read_monotonic() > give_up:
            return False
        try:
            if not fails(example):
                return False
        except BaseException as error:  # noqa: BLE001 - raised again below, outside Hypothesis
            raised.append(error)
            return False
        if not smallest:
            give_up = read_monotonic() + shrink_seconds()
        smallest[:] = [example]
        return True

    settings = hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
        suppress_health_check=list(hypothesis.HealthCheck),
        verbosity=hypothesis.Verbosity.quiet,
        print_blob=False,
    )
    try:
        with warnings.catch_warnings():
            # A receiver in this process may use the module in another thread: it draws nothing.
            unrelated = "Do not use the `random` module inside strategies"
            warnings.filterwarnings("ignore", unrelated, HypothesisDeprecationWarning)
            hypothesis.find(strategy, try_example, settings=settings, random=Random(seed))  # noqa: S311 - no secret
    except (NoSuchExample, Unsatisfiable):
        pass
    except Flaky:
        # After the time for shrinking no example fails: that shows nothing about the subject.
        is_flaky = read_monotonic() <= give_up
    if raised:
        raise raised[0]
    return Smallest(smallest[0], is_flaky) if smallest else None


@contextmanager
def keep_storage_apart() -> Iterator[None]:
    """Keep the files that Hypothesis writes out of the current folder during a block.

    Hypothesis is not imported for it: that takes longer than the first requests of a run.
    """
    before = os.environ.get(_STORAGE_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[_STORAGE_VARIABLE] = folder
        _forget_storage()
        try:
            yield
        finally:
            del os.environ[_STORAGE_VARIABLE]
            if before is not None:
                os.environ[_STORAGE_VARIABLE] = before
            _forget_storage()


def _forget_storage() -> None:
    # Hypothesis reads the variable once, and only where no folder was set.
    if "hypothesis.configuration" in sys.modules:
        from hypothesis.configuration import set_hypothesis_home_dir

        set_hypothesis_home_dir(None)
