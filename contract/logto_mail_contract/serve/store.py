"""Where a standing endpoint keeps what was delivered: in memory, or in a SQLite file that outlives it."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

_APPLICATION = 0x4C4D4331  # "LMC1"
_VERSION = 1
_BUSY_SECONDS = 1.0
_COLUMNS = "id, arrived, status, broken, recipient, type, answered, method, target, headers, findings, body"
_TABLES = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    arrived REAL NOT NULL,
    status INTEGER NOT NULL,
    broken INTEGER NOT NULL,
    recipient BLOB,
    type BLOB,
    answered TEXT NOT NULL,
    method TEXT NOT NULL,
    target TEXT NOT NULL,
    headers TEXT NOT NULL,
    findings TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE state (last INTEGER NOT NULL, dropped INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0);
"""


class StoreProblem(Exception):
    """The store cannot be opened, read or written; the text says what it is, and what to do."""


class Recorded(NamedTuple):
    """One delivery as a store keeps it.

    Attributes:
        id: Its number, rising and never used again.
        arrived: When the request had come in whole, seconds since 1970.
        status: The status that the judgement asks for.
        broken: Whether it breaks a rule of level MUST.
        to: The recipient, None where there is no message with one.
        type: The template type, None where there is no message with one.
        answered: What it was answered with, for a person to read.
        method: The request's method.
        target: The request's target.
        headers: The header lines as they came.
        findings: What it breaks, a JSON array; empty where it breaks nothing.
        body: The body's bytes.
    """

    id: int
    arrived: float
    status: int
    broken: bool
    to: str | None
    type: str | None
    answered: str
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    findings: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Query:
    """Which deliveries are wanted; what is None or False is not looked at.

    Attributes:
        to: The recipient, exactly.
        type: The template type, exactly.
        since: Arrived at that time or later, seconds since 1970.
        after: With an id above this.
        broken: Only those that break a rule of level MUST.
        accepted: Only those that the judgement accepts.
    """

    to: str | None = None
    type: str | None = None
    since: float | None = None
    after: int | None = None
    broken: bool = False
    accepted: bool = False

    def matches(self, recorded: tuple[Any, ...]) -> bool:
        """Return whether a delivery is wanted.

        Args:
            recorded: A Recorded, or a tuple that begins with the same.
        """
        id, arrived, status, broken, to, type = recorded[:6]
        return bool(
            (self.to is None or to == self.to)
            and (self.type is None or type == self.type)
            and (self.since is None or arrived >= self.since)
            and (self.after is None or id > self.after)
            and (broken or not self.broken)
            and (status == 200 or not self.accepted)
        )


Kept = Callable[[StoreProblem | None], None]


class Store(Protocol):
    """Keeps deliveries in the order of arrival, up to a number; the oldest go first.

    Attributes:
        last: The highest id ever kept, 0 at first.
        total: How many deliveries are kept now.
        dropped: How many went to make room, ever.
    """

    last: int
    total: int
    dropped: int

    def add(self, recorded: Recorded, kept: Kept) -> None:
        """Keep a delivery.

        Args:
            recorded: The delivery.
            kept: Called when it is kept, in the order of the calls; with what is wrong when it cannot be.
        """

    def flush(self) -> None:
        """Keep now what waits to be kept."""

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        """Return what is wanted, oldest first.

        Args:
            query: What is wanted.
            limit: How many at most.
            newest: Whether the newest of them are wanted, not the oldest.

        Raises:
            StoreProblem: The store cannot be read.
        """

    def delete(self, to: str | None) -> int:
        """Delete the deliveries to a recipient, all of them when None, and return how many there were.

        Raises:
            StoreProblem: The store cannot be written.
        """

    def close(self) -> None:
        """Let go of the store."""


_NEW = 1000

MOST_BYTES = 256 * 1024 * 1024
"""Bytes of all bodies together that are kept in memory; the oldest go first here too."""


class MemoryStore:
    """A store that is gone with the process.

    Args:
        most: How many deliveries it keeps.
    """

    def __init__(self, most: int) -> None:
        # As rows: a tuple of texts and numbers alone the garbage collector leaves out once it has seen it. At
        # a hundred thousand of any other kind it would look again and again, and hold up whoever waits.
        self._kept: deque[_Row] = deque()
        self._most = most
        self._bytes = 0
        self.last = 0
        self.total = 0
        self.dropped = 0

    def add(self, recorded: Recorded, kept: Kept) -> None:
        """Keep a delivery."""
        self._bytes += len(recorded.body)
        while self.total >= self._most or (self._bytes > MOST_BYTES and self._kept):
            self._bytes -= len(self._kept.popleft()[-1])
            self.total -= 1
            self.dropped += 1
        self._kept.append(_row(recorded))
        self.total += 1
        self.last = recorded.id
        if recorded.id % _NEW == 0:
            # It counts what is new less what is gone: of a full inbox it would see nothing for long, and then
            # everything at once.
            gc.collect(0)
        kept(None)

    def flush(self) -> None:
        """Do nothing: nothing waits."""

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        """Return what is wanted, oldest first."""
        # Ids rise, so that a cursor says how many can be after it: the others need not be looked at.
        later = self.total if query.after is None else min(max(self.last - query.after, 0), self.total)
        rows = reversed(self._kept) if newest else iter(self._kept)
        possible = islice(rows, later) if newest else islice(rows, self.total - later, None)
        found = list(map(_recorded, islice(filter(query.matches, possible), limit)))
        return found[::-1] if newest else found

    def delete(self, to: str | None) -> int:
        """Delete the deliveries to a recipient, all of them when None, and return how many there were."""
        before = self.total
        gone = Query(to=to)
        self._kept = deque(row for row in self._kept if not gone.matches(row))
        self.total = len(self._kept)
        self._bytes = sum(len(row[-1]) for row in self._kept)
        return before - self.total

    def close(self) -> None:
        """Do nothing."""


class SqliteStore:
    """A store in a SQLite file.

    What came within one turn of the event loop is committed together. A commit outlives the process; it
    outlives the machine once SQLite has moved it from its write-ahead log to the file.

    Args:
        path: The file; it is made when it is not there.
        most: How many deliveries it keeps.

    Raises:
        StoreProblem: It cannot be opened, is no inbox, is in use, or was written by a newer version.
    """

    def __init__(self, path: str, most: int) -> None:
        self._path = path
        self._file = Path(path).absolute()
        self._most = most
        self._waiting: list[tuple[Recorded, Kept]] = []
        try:
            # SQLite opens a file that it may not write all the same, and fails on its lock.
            with suppress(FileNotFoundError):
                self._file.open("r+b").close()
        except OSError as error:
            raise StoreProblem(f"{path}: {error.strerror}. {_ADVICE['SQLITE_READONLY']}") from None
        try:
            # Absolute: to SQLite, file:x?mode=memory and :memory: are no files.
            self._database = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise self._problem(error) from None
        try:
            self._open()
        except sqlite3.Error as error:
            self._database.close()
            raise self._problem(error) from None
        except StoreProblem:
            self._database.close()
            raise

    def _open(self) -> None:
        run = self._database.execute
        # One process at a time: two would give the same ids.
        run("PRAGMA locking_mode = EXCLUSIVE")
        ((application,),) = run("PRAGMA application_id")
        ((version,),) = run("PRAGMA user_version")
        ((tables,),) = run("SELECT count(*) FROM sqlite_schema")
        if application != _APPLICATION and (tables or application):
            raise StoreProblem(
                f"{self._path} is a SQLite file of something else, and was left as it is. "
                "Name another file; one that is not there is made."
            )
        if version > _VERSION:
            raise StoreProblem(
                f"{self._path} was written by a newer mail-contract (its format is {version}, this one knows "
                f"{_VERSION}), and was left as it is. Update mail-contract, or name another file."
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        if not tables:
            self._database.executescript(
                f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION}; "
                f"PRAGMA user_version = {_VERSION}; COMMIT;"
            )
        ((self.last, self.dropped),) = run("SELECT last, dropped FROM state")
        ((self.total,),) = run("SELECT count(*) FROM deliveries")
        self._write([])
        self._identity = self._seen()

    def _seen(self) -> tuple[int, int] | None:
        try:
            state = self._file.stat()
        except OSError:
            return None
        return state.st_dev, state.st_ino

    def add(self, recorded: Recorded, kept: Kept) -> None:
        """Keep a delivery; ``kept`` is called when it is committed."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((recorded, kept))

    def flush(self) -> None:
        """Commit now what waits."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        problem = None
        if self._seen() != self._identity:
            # What is written to it now, nobody could read again.
            problem = StoreProblem(
                f"{self._path} was deleted or replaced while it was in use, and nothing is kept any more. "
                "Start mail-contract serve again."
            )
        else:
            try:
                self._write([recorded for recorded, _ in waiting])
            except sqlite3.Error as error:
                problem = self._problem(error)
        for _, kept in waiting:
            kept(problem)

    def _write(self, batch: Sequence[Recorded]) -> None:
        excess = max(self.total + len(batch) - self._most, 0)
        last = batch[-1].id if batch else self.last
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        try:
            self._database.executemany(
                f"INSERT INTO deliveries ({_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608 - constants
                map(_sql, batch),
            )
            if excess:
                run(
                    "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries ORDER BY id LIMIT ?)",
                    [excess],
                )
            run("UPDATE state SET last = ?, dropped = ?", (last, self.dropped + excess))
            run("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                run("ROLLBACK")
            raise
        self.last = last
        self.dropped += excess
        self.total += len(batch) - excess

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        """Return what is wanted, oldest first.

        Raises:
            StoreProblem: The file cannot be read.
        """
        wanted = [
            ("recipient = ?", _blob(query.to)),
            ("type = ?", _blob(query.type)),
            ("arrived >= ?", query.since),
            ("id > ?", query.after),
            ("broken = ?", query.broken or None),
            ("status = ?", 200 if query.accepted else None),
        ]
        conditions = [(condition, value) for condition, value in wanted if value is not None]
        where = " AND ".join(condition for condition, _ in conditions) or "1"
        order = "DESC" if newest else "ASC"
        try:
            with closing(
                self._database.execute(
                    f"SELECT {_COLUMNS} FROM deliveries WHERE {where} ORDER BY id {order} LIMIT ?",  # noqa: S608 - constants
                    [*(value for _, value in conditions), limit],
                )
            ) as rows:
                found = [_from_sql(row) for row in rows]
        except sqlite3.Error as error:
            raise self._problem(error) from None
        return found[::-1] if newest else found

    def delete(self, to: str | None) -> int:
        """Delete the deliveries to a recipient, all of them when None, and return how many there were.

        Raises:
            StoreProblem: The file cannot be written.
        """
        try:
            deleted = (
                self._database.execute("DELETE FROM deliveries")
                if to is None
                else self._database.execute("DELETE FROM deliveries WHERE recipient = ?", [_blob(to)])
            ).rowcount
        except sqlite3.Error as error:
            raise self._problem(error) from None
        self.total -= deleted
        return deleted

    def close(self) -> None:
        """Commit what waits, move it from the log to the file, and let go of it."""
        self.flush()
        self._database.close()

    def _problem(self, error: sqlite3.Error) -> StoreProblem:
        name = getattr(error, "sqlite_errorname", "")
        advice = next((text for start, text in _ADVICE.items() if name.startswith(start)), "")
        return StoreProblem(f"{self._path}: {error}{f' ({name})' if name else ''}. {advice}".strip())


_ADVICE = {
    "SQLITE_FULL": "What was kept before is there; make room on the disk, then deliveries are taken again.",
    "SQLITE_READONLY": "Nothing was changed; make the file and its folder writable, or name another file.",
    "SQLITE_BUSY": "Another process has the file open, another mail-contract serve say: end that first.",
    "SQLITE_NOTADB": "It is no SQLite file and was left as it is; name another file.",
    "SQLITE_CANTOPEN": "The folder must be there and be writable.",
    "SQLITE_CORRUPT": "The file is damaged; keep a copy of it, and name another file.",
    "SQLITE_IOERR": "The disk failed or is full; what was kept before is there.",
}


def _blob(text: str | None) -> bytes | None:
    # SQLite's text takes no lone surrogates, and JSON can have them.
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _text(blob: bytes | None) -> str | None:
    return None if blob is None else blob.decode("utf-8", "surrogatepass")


_Row = tuple[int, float, int, bool, str | None, str | None, str, str, str, str, str, bytes]
"""The members of a Recorded, the header lines as one text: none of them can have a line break."""


def _row(recorded: Recorded) -> _Row:
    return (*recorded[:9], "\n".join(map(": ".join, recorded.headers)), *recorded[10:])


def _recorded(row: _Row) -> Recorded:
    lines = (line.partition(": ") for line in row[9].split("\n") if line)
    return Recorded(*row[:9], tuple((name, value) for name, _, value in lines), *row[10:])


def _sql(recorded: Recorded) -> tuple[object, ...]:
    row = _row(recorded)
    return (*row[:4], _blob(row[4]), _blob(row[5]), *row[6:])


def _from_sql(row: tuple[Any, ...]) -> Recorded:
    return _recorded((*row[:3], bool(row[3]), _text(row[4]), _text(row[5]), *row[6:]))


def open_store(where: str, most: int) -> Store:
    """Return the store that ``--store`` names.

    Args:
        where: ``memory``, or the path of a file.
        most: How many deliveries it keeps.

    Raises:
        StoreProblem: The file cannot be used.
    """
    if where == "memory":
        return MemoryStore(most)
    if Path(where).is_dir():
        raise StoreProblem(f"{where} is a folder; name a file in it, {Path(where) / 'inbox.sqlite'} say.")
    return SqliteStore(where, most)
