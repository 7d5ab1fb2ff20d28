"""How many requests may be under way at once, learned from how long the responses take."""

from __future__ import annotations

from statistics import fmean

MIN_WAIT_SECONDS = 0.005
"""A response that takes less than this is not worth another connection."""

_SAFE_PART = 0.8
_PATIENCE = 1.25
"""How many times the longest wait that is expected a response may take."""

_MIN_REFUSED = 4
_MIN_SIZE_REFUSED = 4
"""Fewer would take long, and at a limit of requests a second they would be too many all the same."""

_MAX_SLOWDOWN = 1.4
"""Responses that take longer than this many times the wait of a lone request show a queue."""


class Window:
    """How many requests may be under way at once.

    It grows while responses come as soon as those to lone requests, and shrinks to what the receiver works on
    in parallel once they come later.

    Args:
        most: The most that it may be.
        fail_after: Seconds in which each response must come, also where the receiver turns out to be serial.

    Attributes:
        size: What it is.
        patience: Seconds in which each response must come: more than the given ones while more requests than
            before are tried at a receiver whose responses take nearly as long.
    """

    def __init__(self, most: int, fail_after: float) -> None:
        self.size = 1
        self.patience = fail_after
        self._most = most
        self._fail_after = fail_after
        self._lone: float | None = None
        self._since = 0.0
        self._waits: list[float] = []
        self._accepted = 0
        self._refused = 0

    @property
    def lone_wait(self) -> float | None:
        """The seconds that the response to a lone request takes; None before the first."""
        return self._lone

    def widen(self, size: int) -> None:
        """Allow that many from now on, as far as the most allows, to learn from what comes.

        Args:
            size: How many.
        """
        self.size = max(1, min(self._most, size))

    def restrict(self, most: int) -> None:
        """Allow no more than that from now on."""
        self._most = most
        self.size = min(self.size, most)

    def learn(self, started: float, ended: float) -> None:
        """Learn from an accepted message.

        Args:
            started: When it was begun, in seconds of the monotonic clock.
            ended: When the response was there.
        """
        if started < self._since:  # it was begun among more or fewer others than are allowed now
            return
        if self._lone is None:
            self._lone = ended - started
        self._accepted += 1
        self._waits.append(ended - started)
        if len(self._waits) < max(2, self.size):
            return
        wait = fmean(self._waits)
        if self.size == 1:
            self._lone = wait
        lone = max(self._lone, MIN_WAIT_SECONDS)
        if max(self._waits) > self._fail_after:
            # Another try would have responses come after the limit again.
            self._resize(max(1, self.size // 2), ended)
            self.restrict(self.size)
            self.patience = self._fail_after
        elif wait > _MAX_SLOWDOWN * lone:
            self._resize(max(1, int(self.size * lone / wait)), ended)
            self.patience = self._fail_after
        elif self._lone >= MIN_WAIT_SECONDS:
            size = min(self._most, self._next_size(wait))
            expected = _PATIENCE * wait * size / self.size
            self.patience = self._fail_after if size == self.size else max(self._fail_after, expected)
            self._resize(size, ended)
        self._waits.clear()

    def learn_refusal(self, started: float, ended: float) -> None:
        """Learn from a request that was refused among others, perhaps because of them.

        Args:
            started: When it was begun, in seconds of the monotonic clock.
            ended: When the response was there.
        """
        if started < self._since:
            return
        self._refused += 1
        # A few are due to what was in them; where most are refused, there are too many at once.
        if self.size > _MIN_SIZE_REFUSED and self._refused >= max(_MIN_REFUSED, self._accepted):
            self._resize(max(_MIN_SIZE_REFUSED, self.size // 2), ended)
            self.restrict(self.size)

    def _next_size(self, wait: float) -> int:
        # What is served in parallel so far may be all that is: then the wait grows as the size does.
        return self.size * (4 if 4 * wait <= _SAFE_PART * self._fail_after else 2)

    def _resize(self, size: int, now: float) -> None:
        if size != self.size:
            self.size, self._since = size, now
        self._accepted = self._refused = 0
