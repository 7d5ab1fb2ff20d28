"""The store of ``serve`` that outlives the process: a SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..inbox.matching import MAX_ADDRESS_CHARACTERS, Query
from ..inbox.recorded import Recorded
from ..inbox.store import MemoryStore, StoreProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..inbox.store import OnStored, Store

T = TypeVar("T")

_APPLICATION = 0x4C4D4331  # "LMC1"
_VERSION = 4
_BUSY_SECONDS = 1.0
# In UTF-8.
_MAX_ADDRESS_BYTES = 4 * MAX_ADDRESS_CHARACTERS
_COLUMNS = (
    "id, arrived, status, valid, recipient, type, near_key, code, link, locale, response, method, target, "
    "framing, head, findings, more_findings, body"
)
_INSERT = f"INSERT INTO deliveries ({_COLUMNS}) VALUES ({','.join('?' * len(_COLUMNS.split(',')))})"  # noqa: S608 - constants
_TABLES = """
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    arrived REAL NOT NULL,
    status INTEGER NOT NULL,
    valid INTEGER NOT NULL,
    recipient BLOB,
    type BLOB,
    near_key BLOB,
    code BLOB,
    link BLOB,
    locale BLOB,
    response TEXT NOT NULL,
    method TEXT NOT NULL,
    target TEXT NOT NULL,
    framing TEXT NOT NULL,
    head TEXT NOT NULL,
    findings TEXT NOT NULL,
    more_findings INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE hidden (id INTEGER PRIMARY KEY);
CREATE TABLE state (last INTEGER NOT NULL, dropped INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0);
"""
# Those that were dropped or deleted, and are still in the file.
_SHOWN = "id NOT IN (SELECT id FROM hidden)"
# Of a row, about; SQLite knows the length of a blob without reading it.
_ROW_BYTES = "200 + length(body) + length(head) + length(findings) + " + " + ".join(
    f"coalesce(length({name}), 0)" for name in ("recipient", "type", "code", "link", "locale")
)


class SqliteStore:
    """A store in a SQLite file.

    All that came within one turn of the event loop is committed together. A commit outlives the process. It
    outlives the machine once SQLite has moved it from its write-ahead log to the file.

    Removing many large deliveries from the file would take seconds. So what is dropped or deleted is hidden
    first. Each commit then removes some of it, and closing removes the rest.

    Args:
        path: The file; it is created where it does not exist.
        max_deliveries: How many deliveries it keeps.
        max_surplus: How many of those that were dropped may stay in the file for a while, unseen.
        max_removed_bytes: How many bytes of hidden deliveries a commit removes, about; it always removes one
            delivery, and as many bytes as it adds.
        connect: Opens the file, as ``sqlite3.connect`` does.

    Raises:
        StoreProblem: It cannot be opened, is no inbox, is in use, or was written by another version.
    """

    def __init__(
        self,
        path: str,
        max_deliveries: int,
        *,
        max_surplus: int = 100,
        max_removed_bytes: int = 1024 * 1024,
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self._path = path
        self._file = Path(path).absolute()
        # It is looked up for each commit.
        self._name = str(self._file)
        self._max_deliveries = max_deliveries
        self._max_surplus = max_surplus
        self._max_removed_bytes = max_removed_bytes
        # How many of the oldest that are not hidden are dropped, but not hidden yet.
        self._surplus = 0
        self._waiting: list[tuple[Recorded, OnStored]] = []
        try:
            # SQLite opens a file that it may not write all the same, and fails on its lock.
            with suppress(FileNotFoundError):
                self._file.open("r+b").close()
        except OSError as error:
            raise StoreProblem(f"{path}: {error.strerror}. {_ADVICE['SQLITE_READONLY']}") from None
        try:
            # Absolute: to SQLite, file:x?mode=memory and :memory: are no files.
            self._database = connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
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
        _prepare(self._path, self._database)
        ((self.last, self.dropped),) = run(
            "SELECT max(last, (SELECT coalesce(max(id), 0) FROM deliveries)), dropped FROM state"
        )
        ((self._hidden,),) = run("SELECT count(*) FROM hidden")
        ((self.total,),) = run(f"SELECT count(*) FROM deliveries WHERE {_SHOWN}")  # noqa: S608 - constants
        self._write([])
        self._identity = _identify(self._name)

    def add(self, recorded: Recorded, on_stored: OnStored) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((recorded, on_stored))

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        problem = None
        if _identify(self._name) != self._identity:
            # A write would succeed, but no program can open that file again.
            problem = StoreProblem(
                f"{self._path} was deleted or replaced while it was in use, and nothing more is stored. "
                "Start mail-contract serve again."
            )
        else:
            try:
                self._write([recorded for recorded, _ in waiting])
            except sqlite3.Error as error:
                problem = self._problem(error)
        for _, on_stored in waiting:
            on_stored(problem)

    def _write(self, batch: Sequence[Recorded]) -> None:
        excess = max(self.total + len(batch) - self._max_deliveries, 0)
        surplus = self._surplus + excess
        is_due = surplus > self._max_surplus
        hidden = self._hidden + (surplus if is_due else 0)
        last = batch[-1].id if batch else self.last
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        try:
            self._database.executemany(_INSERT, map(_to_sql, batch))
            # Else the state stays as it is: hiding each time would triple what a commit writes.
            if is_due:
                self._hide_surplus(surplus, self.dropped + excess)
            if hidden:
                hidden -= _remove_hidden(self._database, self._max_removed_bytes, batch)
            run("COMMIT")
        except sqlite3.Error:
            self._roll_back()
            raise
        self._surplus = 0 if is_due else surplus
        self._hidden = hidden
        self.last = last
        self.dropped += excess
        self.total += len(batch) - excess

    def _hide_surplus(self, surplus: int, dropped: int) -> None:
        self._database.execute(
            f"INSERT INTO hidden SELECT id FROM deliveries WHERE {_SHOWN} ORDER BY id LIMIT ?",  # noqa: S608 - constants
            [surplus],
        )
        self._database.execute("UPDATE state SET dropped = ?", [dropped])

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def select(self, query: Query, limit: int, *, newest: bool) -> list[Recorded]:
        # Conditions that SQLite cannot check are checked here.
        return self._read(
            _COLUMNS, lambda rows: filter(query.matches, map(_from_sql, rows)), query, limit, newest
        )

    def select_ids(self, query: Query, limit: int | None, *, newest: bool) -> list[int]:
        if query.payload is not None:
            return [found.id for found in self.select(query, limit or self.total, newest=newest)]
        # Without their bodies, of which a list may have gigabytes.
        return self._read("id", lambda rows: map(itemgetter(0), rows), query, limit, newest)

    def get(self, id: int) -> Recorded | None:
        found = self.select(Query(after=id - 1), 1, newest=False)
        return found[0] if found and found[0].id == id else None

    def recipients(self, query: Query) -> list[str]:
        where, values = self._to_condition(query)
        try:
            rows = self._database.execute(
                f"SELECT recipient FROM deliveries WHERE recipient IS NOT NULL AND {where} "  # noqa: S608 - constants
                "GROUP BY recipient ORDER BY min(id)",
                values,
            ).fetchall()
        except sqlite3.Error as error:
            raise self._problem(error) from None
        return [recipient.decode("utf-8", "surrogatepass") for (recipient,) in rows]

    def _read(
        self,
        columns: str,
        convert: Callable[[Iterable[Any]], Iterator[T]],
        query: Query,
        limit: int | None,
        newest: bool,
    ) -> list[T]:
        where, values = self._to_condition(query)
        order = "DESC" if newest else "ASC"
        try:
            with closing(
                self._database.execute(
                    f"SELECT {columns} FROM deliveries WHERE {where} ORDER BY id {order}",  # noqa: S608 - constants
                    values,
                )
            ) as rows:
                # SQLite reads rows as they are asked for.
                found = list(islice(convert(rows), limit))
        except sqlite3.Error as error:
            raise self._problem(error) from None
        return found[::-1] if newest else found

    def _to_condition(self, query: Query) -> tuple[str, list[Any]]:
        """Return a condition of SQL, all that of a query that SQLite can check, and its values."""
        wanted = [
            _to_recipient_condition(self._database, query),
            ("type = ?", _blob(query.type)),
            ("arrived >= ?", query.since),
            ("id > ?", query.after),
            ("valid = ?", 0 if query.invalid else None),
            ("status = ?", 200 if query.accepted else None),
            (
                f"id > (SELECT id FROM deliveries WHERE {_SHOWN} ORDER BY id LIMIT 1 OFFSET ? - 1)",  # noqa: S608 - constants
                self._surplus or None,
            ),
        ]
        conditions = [(condition, value) for condition, value in wanted if value is not None]
        where = " AND ".join([*(condition for condition, _ in conditions), _SHOWN])
        return where, [value for _, value in conditions]

    def delete(self, recipients: frozenset[str] | None) -> int:
        run = self._database.execute
        try:
            run("BEGIN IMMEDIATE")
            try:
                # No id is used again, also where the last delivery is deleted.
                run("UPDATE state SET last = ?", [self.last])
                self._hide_surplus(self._surplus, self.dropped)
                hide = f"INSERT INTO hidden SELECT id FROM deliveries WHERE {_SHOWN}"  # noqa: S608 - constants
                if recipients is None:
                    deleted = run(hide).rowcount
                else:
                    gone = set(map(_blob, recipients))
                    self._database.create_function("gone", 1, lambda blob: blob in gone)
                    deleted = run(f"{hide} AND gone(recipient)").rowcount
                hidden = self._hidden + self._surplus + deleted
                hidden -= _remove_hidden(self._database, self._max_removed_bytes)
                run("COMMIT")
            except sqlite3.Error:
                self._roll_back()
                raise
        except sqlite3.Error as error:
            raise self._problem(error) from None
        self._surplus = 0
        self._hidden = hidden
        self.total -= deleted
        return deleted

    def close(self) -> None:
        self.flush()
        self._max_surplus = 0
        with suppress(sqlite3.Error):  # what is left is hidden when the file is opened again
            self._write([])
            while self._hidden:
                self._write([])
        # Also moves what was committed from the write-ahead log to the file.
        self._database.close()

    def _problem(self, error: sqlite3.Error) -> StoreProblem:
        name = getattr(error, "sqlite_errorname", "")
        advice = next((text for start, text in _ADVICE.items() if name.startswith(start)), "")
        return StoreProblem(f"{self._path}: {error}{f' ({name})' if name else ''}. {advice}".strip())


def _remove_hidden(database: sqlite3.Connection, max_bytes: int, batch: Sequence[Recorded] = ()) -> int:
    """Remove some of the hidden deliveries from the file, and return how many.

    Args:
        database: The open file.
        max_bytes: How many bytes of them, about.
        batch: What the same commit adds; as many bytes may be removed.
    """
    # A row can have the body's texts a second time.
    added = sum(200 + len(one.head) + len(one.findings) + 2 * len(one.body) for one in batch)
    most = max(max_bytes, added)
    count = last = size = 0
    # CROSS JOIN has SQLite begin with the table that it names first.
    with closing(
        database.execute(
            f"SELECT id, {_ROW_BYTES} FROM hidden CROSS JOIN deliveries USING (id) ORDER BY id"  # noqa: S608 - constants
        )
    ) as rows:
        for id, row_bytes in rows:
            size += row_bytes
            if count and size > most:
                break
            count, last = count + 1, id
    database.execute("DELETE FROM deliveries WHERE id IN (SELECT id FROM hidden WHERE id <= ?)", [last])
    database.execute("DELETE FROM hidden WHERE id <= ?", [last])
    return count


def _prepare(path: str, database: sqlite3.Connection) -> None:
    """Make the tables in a file that is empty.

    Raises:
        StoreProblem: The file is no inbox, was written by another version, or has no state.
        sqlite3.Error: It lacks a table or a column.
    """
    run = database.execute
    ((application,),) = run("PRAGMA application_id")
    ((version,),) = run("PRAGMA user_version")
    ((tables,),) = run("SELECT count(*) FROM sqlite_schema")
    if application != _APPLICATION and (tables or application):
        raise StoreProblem(
            f"{path} is a SQLite file of something else, and was left as it is. "
            "Name another file; it is created where it does not exist."
        )
    if version > _VERSION:
        raise StoreProblem(
            f"{path} was written by a newer mail-contract (its format is {version}, this one "
            f"knows {_VERSION}), and was left as it is. Update mail-contract, or name another file."
        )
    if tables and version < _VERSION:
        raise StoreProblem(
            f"{path} was written by an older mail-contract (its format is {version}, this one "
            f"knows {_VERSION}), and was left as it is. Delete it, or name another file."
        )
    if tables:
        # Here, where it can be refused: each delivery would fail later.
        run(f"SELECT {_COLUMNS}, last, dropped FROM deliveries, state LIMIT 0")  # noqa: S608 - constants
        run("SELECT id FROM hidden LIMIT 0")
        if run("SELECT count(*) FROM state").fetchone() != (1,):
            raise StoreProblem(f"{path}: its table state has not one row. {_ADVICE['SQLITE_ERROR']}")
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = NORMAL")
    if not tables:
        database.executescript(
            f"BEGIN; {_TABLES} PRAGMA application_id = {_APPLICATION}; "
            f"PRAGMA user_version = {_VERSION}; COMMIT;"
        )


_ADVICE = {
    "SQLITE_FULL": "Nothing stored before is lost. Make room on the disk, then deliveries are stored again.",
    "SQLITE_READONLY": "Nothing was changed; make the file and its folder writable, or name another file.",
    "SQLITE_BUSY": "Another process has the file open, for example another mail-contract serve: stop it.",
    "SQLITE_NOTADB": "It is no SQLite file and was left as it is; name another file.",
    "SQLITE_CANTOPEN": "The folder must exist and be writable.",
    "SQLITE_ERROR": "It is not as mail-contract made it, and was left as it is; name another file.",
    "SQLITE_CORRUPT": "The file is damaged; keep a copy of it, and name another file.",
    "SQLITE_IOERR": "The disk failed or is full. Nothing stored before is lost.",
}


def _identify(name: str) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None where there is none."""
    try:
        state = os.stat(name)  # noqa: PTH116 - a Path takes as long as a write
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _blob(text: str | None) -> bytes | None:
    # SQLite's text refuses lone surrogates, and JSON can have them.
    return None if text is None else text.encode("utf-8", "surrogatepass")


def _text(blob: bytes | None) -> str | None:
    return None if blob is None else blob.decode("utf-8", "surrogatepass")


def _to_recipient_condition(database: sqlite3.Connection, query: Query) -> tuple[str, bytes | None]:
    """Return a condition of SQL for the recipients that a query wants, and its value; None for all."""
    if query.has_exact_recipient:
        return "recipient = ?", _blob(query.to)
    database.create_function("wants", 1, lambda blob: query.wants_recipient(_text(blob)))
    if query.near:
        # Without a key nothing is near: no text in UTF-8 is this byte.
        key = b"\xff" if query.near_key is None else _blob(query.near_key)
        return "(near_key = ? AND NOT wants(recipient))", key
    # The length first: SQLite knows it without reading a long recipient.
    fits = f"length(recipient) <= {_MAX_ADDRESS_BYTES}"
    return f"(recipient = ? OR ({fits} AND wants(recipient)))", _blob(query.to)


def _to_sql(recorded: Recorded) -> tuple[object, ...]:
    return (*recorded[:4], *map(_blob, recorded[4:10]), *recorded[10:])


def _from_sql(row: tuple[Any, ...]) -> Recorded:
    return Recorded._make((*row[:3], bool(row[3]), *map(_text, row[4:10]), *row[10:]))


def open_store(where: str, max_deliveries: int) -> Store:
    """Return the store that ``--store`` names.

    Args:
        where: ``memory``, or the path of a file.
        max_deliveries: How many deliveries it keeps.

    Raises:
        StoreProblem: The file cannot be used.
    """
    if where == "memory":
        return MemoryStore(max_deliveries)
    if Path(where).is_dir():
        raise StoreProblem(
            f"{where} is a folder; name a file in it, for example {Path(where) / 'inbox.sqlite'}."
        )
    return SqliteStore(where, max_deliveries)
