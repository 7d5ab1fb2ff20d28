"""The stores of a standing endpoint: what they store, in which order, and how they fail."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logto_mail_contract.inbox.matching import Query
from logto_mail_contract.inbox.recorded import Recorded
from logto_mail_contract.inbox.store import MemoryStore, Store, StoreProblem
from logto_mail_contract.serve.store import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Opens = Callable[[int], Store]


def recorded(id: int, to: str | None = "foo@example.com", **changed: Any) -> Recorded:
    usual = Recorded(
        id=id,
        arrived=1_700_000_000.0 + id,
        status=200,
        valid=True,
        to=to,
        type="SignIn",
        code=None,
        link=None,
        near_key="foo@example.com",
        locale=None,
        response="200",
        method="POST",
        target="/mail",
        framing="",
        head="Content-Type\napplication/json\nX-Twice\na\nX-Twice\nb",
        findings="",
        more_findings=0,
        body=b'{"to":"foo@example.com","payload":{}}',
    )
    return usual._replace(**changed)


def add_all(store: Store, *those: Recorded) -> None:
    problems: list[StoreProblem | None] = []

    async def add() -> None:
        for one in those:
            store.add(one, problems.append)
        await asyncio.sleep(0)

    asyncio.run(add())
    assert len(problems) == len(those)
    for problem in filter(None, problems):
        raise problem


def ids(store: Store, query: Query | None = None, limit: int = 100, *, newest: bool = False) -> list[int]:
    return [one.id for one in store.select(query or Query(), limit, newest=newest)]


@pytest.fixture(params=["memory", "file"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Opens:
    def opened(max_deliveries: int) -> Store:
        store = open_store(
            "memory" if request.param == "memory" else str(tmp_path / "inbox.sqlite"), max_deliveries
        )
        request.addfinalizer(store.close)
        return store

    return opened


def test_stored_deliveries_are_read_back_unchanged(open_one: Opens) -> None:
    store = open_one(10)
    odd = recorded(
        2,
        to="\ud800@example.com",
        type="\0\u2028",
        status=400,
        valid=False,
        response="a reset (scripted)",
        method="PUT",
        target="/\xff?x=1",
        framing="a body that broke off",
        head="X-\xe9\n\xff\nno name: x\n\nEmpty\n",
        findings='[{"rule": "x"}]',
        body=b"\xff\0{",
    )
    none = recorded(3, to=None, type=None, head="", body=b"")
    add_all(store, recorded(1), odd, none)
    assert store.select(Query(), 10, newest=False) == [recorded(1), odd, none]
    assert (store.last, store.total, store.dropped) == (3, 3, 0)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), [1, 2, 3, 4]),
        (Query(to="bar@example.com"), [2, 4]),
        (Query(to="BAR@example.com"), []),
        (Query(to=""), []),
        (Query(type="Register"), [3]),
        (Query(since=1_700_000_003.0), [3, 4]),
        (Query(after=2), [3, 4]),
        (Query(after=4), []),
        (Query(invalid=True), [4]),
        (Query(payload={}), [1, 2, 3, 4]),
        (Query(payload={"code": "3"}), [3]),
        (Query(to="bar@example.com", payload={"code": "3"}), []),
        (Query(accepted=True), [1, 2, 3]),
        (Query(to="bar@example.com", accepted=True), [2]),
    ],
)
def test_a_query_finds_the_matching_deliveries(open_one: Opens, query: Query, found: list[int]) -> None:
    store = open_one(10)
    add_all(
        store,
        recorded(1),
        recorded(2, "bar@example.com"),
        recorded(3, type="Register", body=b'{"payload": {"code": "3"}}'),
        recorded(4, "bar@example.com", status=400, valid=False),
    )
    assert ids(store, query) == found
    assert ids(store, query, 1, newest=True) == found[-1:]
    assert ids(store, query, 1, newest=False) == found[:1]
    assert ids(store, query, 2, newest=True) == found[-2:]
    assert [one.id for one in store.select(Query(), 10, newest=False) if query.matches(one)] == found


def test_the_oldest_are_dropped_first_and_counted(open_one: Opens) -> None:
    store = open_one(3)
    add_all(store, *map(recorded, range(1, 9)))
    assert ids(store) == [6, 7, 8]
    assert (store.last, store.total, store.dropped) == (8, 3, 5)


def test_a_limit_of_one_keeps_the_last_delivery(open_one: Opens) -> None:
    store = open_one(1)
    add_all(store, *map(recorded, range(1, 4)))
    assert ids(store) == [3]


def test_the_memory_store_is_limited_by_bytes_too() -> None:
    bare = recorded(0, None, type=None, method="", target="", head="", body=b"")

    def sized(number: int, size: int) -> Recorded:
        return bare._replace(id=number, body=bytes(size))

    memory = MemoryStore(100, max_bytes=10_000)
    add_all(memory, *(sized(number, 2500) for number in range(1, 6)))
    assert (ids(memory), memory.total, memory.dropped) == ([3, 4, 5], 3, 2)
    add_all(memory, sized(6, 50_000))
    assert (ids(memory), memory.total, memory.dropped) == ([6], 1, 5)
    memory.delete(None)
    add_all(memory, sized(7, 8000), sized(8, 100))
    assert ids(memory) == [7, 8]


@pytest.mark.parametrize(
    "member",
    ["to", "type", "code", "link", "locale", "response", "method", "target", "framing", "head", "findings"],
)
def test_every_text_of_a_delivery_counts_in_the_bytes(member: str) -> None:
    memory = MemoryStore(100, max_bytes=10_000)
    # Text of a script that Python keeps with two bytes a character.
    add_all(memory, recorded(1), recorded(2, **{"to": None, member: "\u0434" * 4900}))
    assert ids(memory) == [2]
    memory = MemoryStore(100, max_bytes=10_000)
    add_all(memory, recorded(1), recorded(2, **{"to": None, member: "\u0434" * 3000}))
    assert ids(memory) == [1, 2]


def test_deleting_by_recipient_leaves_the_others(open_one: Opens) -> None:
    store = open_one(10)
    add_all(store, recorded(1), recorded(2, "bar@example.com"), recorded(3, None), recorded(4))
    assert store.delete(frozenset({"foo@example.com"})) == 2
    assert store.delete(frozenset({"foo@example.com"})) == 0
    assert ids(store) == [2, 3]
    assert (store.last, store.total, store.dropped) == (4, 2, 0)
    add_all(store, recorded(5))
    assert store.delete(None) == 3
    assert (ids(store), store.last, store.total) == ([], 5, 0)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", "b", (), ("a",), ("b",), ("a", "b")]), max_size=30),
    st.integers(1, 5),
    st.integers(0, 4),
    st.sampled_from([1, 10**6]),
)
def test_the_file_store_behaves_as_the_memory_store(
    steps: list[str | tuple[str, ...]], limit: int, surplus: int, removed: int
) -> None:
    """A letter is a message to it. A tuple deletes the messages to its letters, or all if it is empty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(
            SqliteStore(str(Path(folder) / "inbox"), limit, max_surplus=surplus, max_removed_bytes=removed)
        ) as file,
    ):
        memory = MemoryStore(limit)
        for number, step in enumerate(steps, 1):
            if isinstance(step, str):
                add_all(memory, recorded(number, step))
                add_all(file, recorded(number, step))
            else:
                those = frozenset(step) or None
                assert memory.delete(those) == file.delete(those)
            assert ids(memory) == ids(file)
            assert memory.recipients(Query()) == file.recipients(Query())
            assert [memory.get(id) for id in range(1, 31)] == [file.get(id) for id in range(1, 31)]
            assert (memory.last, memory.total, memory.dropped) == (file.last, file.total, file.dropped)


# Only a file survives the process, belongs to one process, and can fail.


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inbox.sqlite"


def test_a_reopened_file_has_its_deliveries_and_counts(path: Path) -> None:
    with closing(SqliteStore(str(path), 3)) as store:
        add_all(store, *map(recorded, range(1, 6)))
    with closing(SqliteStore(str(path), 3)) as store:
        assert ids(store) == [3, 4, 5]
        assert (store.last, store.total, store.dropped) == (5, 3, 2)
        store.delete(None)
    with closing(SqliteStore(str(path), 3)) as store:
        # An id is never reused: a cursor must not find another message.
        assert (ids(store), store.last) == ([], 5)


def test_dropped_deliveries_do_not_come_back(path: Path) -> None:
    with closing(SqliteStore(str(path), 3)) as store:
        add_all(store, *map(recorded, range(1, 6)))
    with closing(SqliteStore(str(path), 10)) as store:
        assert (ids(store), store.total, store.dropped) == ([3, 4, 5], 3, 2)


def test_dropped_deliveries_are_deleted_together(path: Path) -> None:
    statements: list[str] = []
    connecting = Connecting()
    with closing(SqliteStore(str(path), 3, max_surplus=4, connect=connecting)) as store:
        connecting.connection.set_trace_callback(statements.append)
        for number in range(1, 14):
            add_all(store, recorded(number))
        assert len([one for one in statements if one.startswith("DELETE FROM deliveries")]) == 2
        assert (ids(store), store.dropped) == ([11, 12, 13], 10)


def test_a_commit_removes_few_bytes_from_the_file_and_closing_the_rest(path: Path) -> None:
    connecting = Connecting()

    def count_rows() -> int:
        ((count,),) = connecting.connection.execute("SELECT count(*) FROM deliveries")
        return int(count)

    def large(number: int) -> Recorded:
        return recorded(number, f"{number % 2}@example.com", body=bytes(40_000))

    removed: list[int] = []
    with closing(
        SqliteStore(str(path), 20, max_surplus=4, max_removed_bytes=100_000, connect=connecting)
    ) as store:
        for number in range(1, 61):
            before = count_rows()
            add_all(store, large(number))
            removed.append(before + 1 - count_rows())
        assert max(removed) == 2
        assert sum(removed) >= 35
        assert (ids(store), store.total, store.dropped) == (list(range(41, 61)), 20, 40)
        before = count_rows()
        assert store.delete(frozenset({"0@example.com"})) == 10
        assert before - count_rows() <= 2
        assert ids(store) == list(range(41, 61, 2))
        before = count_rows()
        assert store.delete(None) == 10
        assert store.delete(None) == 0
        assert 0 < before - count_rows() <= 4
        assert (ids(store), store.recipients(Query()), store.get(59)) == ([], [], None)
        # As after a crash.
        for name in (path.name, f"{path.name}-wal"):
            shutil.copy(path.with_name(name), path.with_name(f"copied-{name}"))
        with closing(SqliteStore(str(path.with_name(f"copied-{path.name}")), 100)) as copied:
            assert (ids(copied), copied.total, copied.last, copied.dropped) == ([], 0, 60, 40)
        add_all(store, large(61))
        assert (ids(store), store.total) == ([61], 1)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT id FROM deliveries").fetchall() == [(61,)]
        assert database.execute("SELECT id FROM hidden").fetchall() == []


def test_a_commit_removes_as_many_bytes_as_it_adds(path: Path) -> None:
    connecting = Connecting()
    with closing(SqliteStore(str(path), 10, max_surplus=0, max_removed_bytes=1, connect=connecting)) as store:
        for start in range(1, 200, 10):
            add_all(store, *(recorded(number, body=bytes(5000)) for number in range(start, start + 10)))
        ((count,),) = connecting.connection.execute("SELECT count(*) FROM deliveries")
        assert count == 10


def test_a_smaller_limit_applies_to_stored_deliveries(path: Path) -> None:
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, *map(recorded, range(1, 6)))
    with closing(SqliteStore(str(path), 2)) as store:
        assert (ids(store), store.dropped) == ([4, 5], 3)


class Connecting:
    """Connects as a store does, and exposes the connection to the test."""

    connection: sqlite3.Connection

    def __call__(self, path: Path, **options: Any) -> sqlite3.Connection:
        self.connection = sqlite3.connect(path, **options)
        return self.connection


def test_deliveries_added_together_are_committed_together(path: Path) -> None:
    statements: list[str] = []
    connecting = Connecting()
    with closing(SqliteStore(str(path), 100, connect=connecting)) as store:
        connecting.connection.set_trace_callback(statements.append)
        add_all(store, *map(recorded, range(1, 21)))
        assert statements.count("COMMIT") == 1
        assert ids(store) == list(range(1, 21))


def test_pending_deliveries_are_committed_at_close(path: Path) -> None:
    problems: list[StoreProblem | None] = []

    async def leave() -> None:
        store = SqliteStore(str(path), 10)
        store.add(recorded(1), problems.append)
        store.close()

    asyncio.run(leave())
    assert problems == [None]
    with closing(SqliteStore(str(path), 10)) as store:
        assert ids(store) == [1]


def test_a_file_in_use_cannot_be_opened_again(path: Path) -> None:
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, recorded(1))
        with pytest.raises(StoreProblem, match=r"inbox\.sqlite: .*locked.*Another process has the file"):
            SqliteStore(str(path), 10)
        add_all(store, recorded(2))
        assert ids(store) == [1, 2]


def test_a_file_of_a_newer_version_is_not_changed(path: Path) -> None:
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, recorded(1))
    set_version(path, 7)
    before = path.read_bytes()
    with pytest.raises(StoreProblem, match=r"newer mail-contract \(its format is 7, this one knows 4\)"):
        SqliteStore(str(path), 10)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ("ALTER TABLE deliveries DROP COLUMN more_findings", "no such column: more_findings"),
        ("ALTER TABLE state DROP COLUMN dropped", "no such column: dropped"),
        ("DROP TABLE deliveries", "no such table: deliveries"),
        ("DROP TABLE state", "no such table: state"),
        ("DROP TABLE hidden", "no such table: hidden"),
        ("DELETE FROM state", "its table state has not one row"),
    ],
)
def test_a_file_that_lacks_a_part_is_refused_and_not_changed(path: Path, change: str, problem: str) -> None:
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, recorded(1))
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        database.executescript(f"{change};")
    before = path.read_bytes()
    with pytest.raises(
        StoreProblem, match=rf"{problem}.*\. It is not as mail-contract made it.* another file"
    ):
        SqliteStore(str(path), 10)
    assert path.read_bytes() == before


def test_a_file_of_an_older_version_is_not_changed(path: Path) -> None:
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, recorded(1))
    set_version(path, 1)
    before = path.read_bytes()
    with pytest.raises(
        StoreProblem, match=r"older .* 1, this one knows 4\).* Delete it, or name another file"
    ):
        SqliteStore(str(path), 10)
    assert path.read_bytes() == before


def set_version(path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


def test_a_database_of_another_application_is_not_changed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE accounts (name TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreProblem, match="something else, and was left as it is"):
        SqliteStore(str(path), 10)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"This is a shopping list. " * 100, b"{}"])
def test_a_file_that_is_no_database_is_not_changed(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreProblem, match="It is no SQLite file and was left as it is"):
        SqliteStore(str(path), 10)
    assert path.read_bytes() == content


def test_an_empty_file_is_accepted(path: Path) -> None:
    path.touch()
    with closing(SqliteStore(str(path), 10)) as store:
        add_all(store, recorded(1))


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match="The folder must exist and be writable"):
        SqliteStore(str(tmp_path / "none" / "inbox.sqlite"), 10)


@pytest.mark.parametrize("name", [":memory:", "file:inbox?mode=memory", "an inbox.sqlite"])
def test_a_file_can_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(name, 10).close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match=r"is a folder; name a file in it, for example .*inbox\.sqlite"):
        open_store(str(tmp_path), 10)


def test_the_store_recovers_from_a_full_disk_without_loss(path: Path) -> None:
    connecting = Connecting()
    with closing(SqliteStore(str(path), 1000, connect=connecting)) as store:
        add_all(store, recorded(1))
        ((pages,),) = connecting.connection.execute("PRAGMA page_count")
        connecting.connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreProblem, match=r"disk is full \(SQLITE_FULL\).*Make room on the disk"):
            add_all(store, recorded(2, body=bytes(100_000)))
        assert (ids(store), store.last, store.total) == ([1], 1, 1)
        connecting.connection.execute("PRAGMA max_page_count = 100000")
        add_all(store, recorded(3, body=bytes(100_000)))
        assert ids(store) == [1, 3]


def test_a_failure_is_reported_for_all_deliveries_added_together(path: Path) -> None:
    connecting = Connecting()
    with closing(SqliteStore(str(path), 1000, connect=connecting)) as store:
        connecting.connection.execute("PRAGMA query_only = 1")

        problems: list[StoreProblem | None] = []

        async def together() -> None:
            for number in (1, 2):
                store.add(recorded(number), problems.append)
            await asyncio.sleep(0)

        asyncio.run(together())
        assert list(map(type, problems)) == [StoreProblem, StoreProblem]
        assert "readonly" in str(problems[0])


def test_a_read_only_file_is_reported_and_loses_nothing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name) / "inbox.sqlite"
        with closing(SqliteStore(str(path), 10)) as store:
            add_all(store, recorded(1))
        path.chmod(stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH)
        folder.chmod(0o555)
        before = path.read_bytes()
        with _not_root(), pytest.raises(StoreProblem, match="make the file and its folder writable"):
            SqliteStore(str(path), 10)
        assert path.read_bytes() == before
        path.chmod(0o666)
        with _not_root(), pytest.raises(StoreProblem, match="make the file and its folder writable"):
            SqliteStore(str(path), 10)
        folder.chmod(0o700)
        assert path.read_bytes() == before


def test_a_damaged_file_is_reported(path: Path) -> None:
    with closing(SqliteStore(str(path), 10_000)) as store:
        add_all(store, *(recorded(number, body=bytes(2000)) for number in range(1, 200)))
    content = bytearray(path.read_bytes())
    for place in random.Random(1).sample(range(4096, len(content)), 20_000):
        content[place] = 255
    path.write_bytes(content)
    with (
        pytest.raises(StoreProblem, match=r"malformed|no SQLite file"),
        closing(SqliteStore(str(path), 9)),
    ):
        pass


@contextmanager
def _not_root() -> Iterator[None]:
    """Give up root's right to write everywhere during a block."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
