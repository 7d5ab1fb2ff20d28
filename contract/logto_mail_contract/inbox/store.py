"""The stores that an inbox keeps deliveries in: the protocol of one, and the one in memory."""

from __future__ import annotations

import gc
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from itertools import compress, islice
from operator import itemgetter
from sys import getsizeof
from typing import TYPE_CHECKING, Any, Protocol

from .recorded import Recorded

if TYPE_CHECKING:
    from .matching import Query

MAX_STORED_BYTES = 256 * 1024 * 1024
"""Bytes of all deliveries together that a store in memory keeps, with their findings."""

_ROWS_PER_COLLECTION = 1000
# Where the texts of a row begin; and what its tuple and the numbers before them take.
_FIRST_TEXT = Recorded._fields.index("to")
_ROW_BYTES = 300


class StoreProblem(Exception):
    """The store cannot be opened, read or written; the text says what happened, and what to do."""


OnStored = Callable[[StoreProblem | None], None]


class Store(Protocol):
    """Keeps deliveries in the order of arrival, up to a number; the oldest go first.

    Attributes:
        last: The highest id ever stored, 0 at first.
        total: How many deliveries are stored now.
        dropped: How many were ever dropped to make room.
    """

    last: int
    total: int
    dropped: int

    def add(self, recorded: Recorded, on_stored: OnStored) -> None:
        """Store a delivery.

        Args:
            recorded: The delivery.
            on_stored: Called when it is stored, in the order of the calls; with the problem where it is not.
        """

    def flush(self) -> None:
        """Store now what waits to be stored."""

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        """Return the wanted deliveries, oldest first.

        Args:
            query: Which deliveries are wanted.
            limit: How many at most.
            newest: Whether the newest of them are wanted, not the oldest.

        Raises:
            StoreProblem: The store cannot be read.
        """

    def select_ids(self, query: Query, limit: int | None, *, newest: bool) -> list[int]:
        """Return the ids of the deliveries that ``select`` returns; all of them when ``limit`` is None.

        Raises:
            StoreProblem: The store cannot be read.
        """

    def get(self, id: int) -> Recorded | None:
        """Return the delivery with an id; None where there is none.

        Raises:
            StoreProblem: The store cannot be read.
        """

    def recipients(self, query: Query) -> list[str]:
        """Return the recipients of the wanted deliveries, each once.

        Args:
            query: Which deliveries are wanted. A store in a file does not look at the payload.

        Raises:
            StoreProblem: The store cannot be read.
        """

    def delete(self, recipients: frozenset[str] | None) -> int:
        """Delete the deliveries to some recipients, all of them when None, and return how many there were.

        Raises:
            StoreProblem: The store cannot be written.
        """

    def close(self) -> None:
        """Store what waits, and release the store."""


class MemoryStore:
    """A store that lives as long as the process.

    Args:
        max_deliveries: How many deliveries it keeps.
        max_bytes: How many bytes it keeps, all deliveries together.
    """

    def __init__(self, max_deliveries: int, max_bytes: int = MAX_STORED_BYTES) -> None:
        # Plain tuples of text and numbers: the garbage collector untracks them after one look. It would scan
        # a hundred thousand objects of any other kind again and again, and stop every request meanwhile.
        self._rows: deque[tuple[Any, ...]] = deque()
        self._sizes: deque[int] = deque()
        self._max_deliveries = max_deliveries
        self._max_bytes = max_bytes
        self._bytes = 0
        self.last = 0
        self.total = 0
        self.dropped = 0

    def add(self, recorded: Recorded, on_stored: OnStored) -> None:
        row = tuple(recorded)
        size = _size(row)
        self._bytes += size
        while self.total >= self._max_deliveries or (self._bytes > self._max_bytes and self._rows):
            self._rows.popleft()
            self._bytes -= self._sizes.popleft()
            self.total -= 1
            self.dropped += 1
        self._rows.append(row)
        self._sizes.append(size)
        self.total += 1
        self.last = recorded.id
        if recorded.id % _ROWS_PER_COLLECTION == 0:
            # The collector counts allocations less deallocations. A full inbox allocates as much as it frees,
            # so that no collection would run for long, and then one over everything.
            gc.collect(0)
        on_stored(None)

    def flush(self) -> None:
        pass

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        return [Recorded(*row) for row in self._select_rows(query, limit, newest)]

    def select_ids(self, query: Query, limit: int | None, *, newest: bool) -> list[int]:
        return [row[0] for row in self._select_rows(query, limit, newest)]

    def get(self, id: int) -> Recorded | None:
        place = bisect_left(self._rows, id, key=itemgetter(0))
        found = place < self.total and self._rows[place][0] == id
        return Recorded(*self._rows[place]) if found else None

    def _select_rows(self, query: Query, limit: int | None, newest: bool) -> list[tuple[Any, ...]]:
        # Ids rise, so the cursor bounds how many rows can stand behind it: skip the others unseen.
        later = self.total if query.after is None else min(max(self.last - query.after, 0), self.total)
        rows = reversed(self._rows) if newest else iter(self._rows)
        possible = islice(rows, later) if newest else islice(rows, self.total - later, None)
        found = list(islice(filter(query.matches, possible), limit))
        return found[::-1] if newest else found

    def recipients(self, query: Query) -> list[str]:
        return list(dict.fromkeys(row[4] for row in self._rows if row[4] is not None and query.matches(row)))

    def delete(self, recipients: frozenset[str] | None) -> int:
        before = self.total
        is_left = [recipients is not None and row[4] not in recipients for row in self._rows]
        self._rows = deque(compress(self._rows, is_left))
        self._sizes = deque(compress(self._sizes, is_left))
        self._bytes = sum(self._sizes)
        self.total = len(self._rows)
        return before - self.total

    def close(self) -> None:
        pass


def _size(row: tuple[Any, ...]) -> int:
    # As Python keeps it: text beyond ISO 8859-1 takes up to four bytes a character.
    return sum(map(getsizeof, row[_FIRST_TEXT:]), _ROW_BYTES)
