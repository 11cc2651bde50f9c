"""What SQLite adds to the clauses: opening, durability, other processes, what files can do."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eventsourcing.persistence import PersistenceError
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from lash_es.codec.records import RECORD_FORMAT
from lash_es.core.ids import Position, Version
from lash_es.log.activities import ActivityWindow
from lash_es.log.appends import Appended, Conflict, Unknown
from lash_es.log.errors import (
    StoreBusy,
    StoreFailed,
    StoreFormatNewer,
    StoreFull,
    StoreReadOnly,
    StoreTablesOlder,
    StoreUnavailable,
)
from lash_es.log.retaining import RecordFormats
from lash_es.log.stores import sqlite_schema
from lash_es.log.stores.sqlite import Durability, SQLiteStore
from lash_es.log.stores.sqlite_connections import Place, typed_errors
from lash_es.log.stores.sqlite_schema import APPLICATION_ID
from lash_es.log.stores.sqlite_steps import STEPS, TABLES_STEP
from lash_es.timetravel.history import open_history
from tests.log.conformance import (
    A,
    B,
    a_snapshot,
    add_activity,
    an_append,
    everything,
    stored_body,
)
from tests.log.tapes import SESSION, STREAM, play
from tests.log.threads import threads_take_turns


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    made = SQLiteStore.open(path, create=True, busy_wait_ms=50)
    yield made
    made.close()


def _pragma(connection: sqlite3.Connection, name: str) -> object:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


# Opening


def test_a_log_is_there_when_it_is_opened_again(path: Path) -> None:
    first = SQLiteStore.open(path, create=True)
    play(first)
    before = everything(first, STREAM)
    first.close()
    again = SQLiteStore.open(str(path), create=False)

    assert everything(again, STREAM) == before
    again.close()


def test_the_library_s_own_recorder_reads_the_facts(store: SQLiteStore, path: Path) -> None:
    player = play(store)
    datastore = SQLiteDatastore(str(path), originator_id_type="text")
    events = SQLiteApplicationRecorder(datastore).select_events(STREAM.key)
    notifications = SQLiteApplicationRecorder(datastore).select_notifications(None, 999)
    datastore.close()

    records = [record for append in player.appends for record in append.records]
    assert [(e.originator_version, e.topic, e.state) for e in events] == [
        (record.position, record.name, record.digest + record.header) for record in records
    ]
    assert [n.originator_version for n in notifications] == list(range(len(records)))


@pytest.mark.usefixtures("store")
def test_a_new_database_says_what_it_is(path: Path) -> None:
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT reads_from, writes FROM lash_es_format").fetchall()

    assert _pragma(connection, "application_id") == APPLICATION_ID
    assert _pragma(connection, "journal_mode") == "wal"
    assert row == [(RECORD_FORMAT, RECORD_FORMAT)]
    connection.close()


@pytest.mark.parametrize(("durability", "level"), [(Durability.FULL, 2), (Durability.NORMAL, 1)])
def test_durability_is_what_was_asked_for(path: Path, durability: Durability, level: int) -> None:
    store = SQLiteStore.open(path, create=True, durability=durability)

    assert _pragma(store._connections._sqlite_writer, "synchronous") == level
    store.close()


def test_the_default_survives_the_loss_of_power(store: SQLiteStore) -> None:
    assert store._connections.place.durability is Durability.FULL


def test_a_missing_database_is_made_only_on_request(path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="there is no such file") as caught:
        SQLiteStore.open(path, create=False)

    assert str(path) in caught.value.summary()
    assert not path.exists()


def test_a_directory_is_no_log(tmp_path: Path) -> None:
    for create in (False, True):
        with pytest.raises(StoreUnavailable, match="it is a directory"):
            SQLiteStore.open(tmp_path, create=create)


def test_a_directory_that_does_not_exist_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="unable to open"):
        SQLiteStore.open(tmp_path / "missing" / "log.db", create=True)

    assert not (tmp_path / "missing").exists()


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for create in (False, True):
        with pytest.raises(StoreUnavailable):
            SQLiteStore.open(f"{tmp_path}/a\0b", create=create)

    assert list(tmp_path.iterdir()) == []


def test_names_that_mean_something_in_a_uri_are_only_names(tmp_path: Path) -> None:
    for name in ("a?mode=memory", "a#b", "a%41", "\u00e9 x", ":memory:"):
        store = SQLiteStore.open(tmp_path / name, create=True)
        store.append([an_append(A, 0)])
        store.close()
        assert (tmp_path / name).exists()


@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_is_no_database_is_left_alone(path: Path, *, create: bool) -> None:
    path.write_bytes(b"this is a letter to my mother\n" * 99)
    before = path.read_bytes()

    with pytest.raises(StoreUnavailable, match="not a database"):
        SQLiteStore.open(path, create=create)

    assert path.read_bytes() == before


def test_an_empty_file_holds_no_log_and_becomes_one_on_request(path: Path) -> None:
    path.touch()

    with pytest.raises(StoreUnavailable, match="it holds no log"):
        SQLiteStore.open(path, create=False)
    SQLiteStore.open(path, create=True).close()
    SQLiteStore.open(path, create=False).close()


@pytest.mark.parametrize("create", [False, True])
def test_another_program_s_database_is_left_alone(path: Path, *, create: bool) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE letters (text)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreUnavailable, match="another program's"):
        SQLiteStore.open(path, create=create)

    assert path.read_bytes() == before


def test_tables_for_newer_code_are_refused(path: Path) -> None:
    SQLiteStore.open(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE lash_es_format SET tables_work_for = tables + 1, tables = tables + 1"
    )
    connection.commit()
    connection.close()

    with pytest.raises(StoreFormatNewer) as caught:
        SQLiteStore.open(path, create=True)

    assert caught.value.is_terminal
    assert f"knows up to {RECORD_FORMAT} and {TABLES_STEP}" in caught.value.summary()


@pytest.mark.parametrize("column", ["tables", "writes", "reads_from"])
def test_newer_tables_that_work_for_this_step_and_newer_records_are_used(
    path: Path, column: str
) -> None:
    SQLiteStore.open(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE lash_es_format SET {column} = {column} + 1")
    connection.commit()
    connection.close()

    SQLiteStore.open(path, create=False).close()


@pytest.mark.parametrize("create", [True, False])
def test_old_tables_are_brought_forward_with_all_that_is_in_them(
    tmp_path: Path, path: Path, create: bool
) -> None:
    old = tmp_path / "old.db"
    with contextlib.closing(SQLiteStore.open(path, create=True)) as store:
        play(store)
        # The first step had no snapshots: they are a cache, and written again.
        *before, _ = everything(store, STREAM)
    _copy_to_first_step(path, old)

    with contextlib.closing(SQLiteStore.open(old, create=create)) as store:
        assert everything(store, STREAM) == (*before, ())
        # What is written is raised by an upgrade only, since old processes may be about.
        assert store.record_formats() == RecordFormats(reads_from=1, writes=1)
    connection = sqlite3.connect(old, isolation_level=None)
    connection.execute(
        "UPDATE lash_es_format SET reads_from = ?, writes = ?", (RECORD_FORMAT, RECORD_FORMAT)
    )
    connection.close()
    assert _layout(old) == _layout(path)


def test_who_only_reads_brings_no_tables_forward(tmp_path: Path, path: Path) -> None:
    old = tmp_path / "old.db"
    with contextlib.closing(SQLiteStore.open(path, create=True)) as store:
        play(store)
    _copy_to_first_step(path, old)
    before = _layout(old)

    with pytest.raises(StoreTablesOlder, match="lash-es db upgrade") as caught:
        SQLiteStore.open(old, create=False, for_reading=True)
    assert (caught.value.found, caught.value.needed) == (1, TABLES_STEP)
    with pytest.raises(StoreTablesOlder):
        open_history(old, SESSION)
    assert _layout(old) == before

    SQLiteStore.open(old, create=False).close()
    assert open_history(old, SESSION) == open_history(path, SESSION)


def test_who_opens_for_reading_can_write_nothing(path: Path) -> None:
    SQLiteStore.open(path, create=True).close()
    with contextlib.closing(SQLiteStore.open(path, create=False, for_reading=True)) as store:
        with pytest.raises(StoreReadOnly):
            store.append([an_append(A, 0)])
        assert store.head(A) is None


def _copy_to_first_step(path: Path, old: Path) -> None:
    """Make a database as the first step's code left it, with the rows of a newer one."""
    connection = sqlite3.connect(old, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("ATTACH ? AS newer", (str(path),))
    for statement in STEPS[0].statements:
        connection.execute(statement)
    for (table,) in connection.execute("SELECT name FROM main.sqlite_master").fetchall():
        if table.startswith("sqlite_") or table == "lash_es_format":
            continue
        columns = ", ".join(
            row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")
        )
        connection.execute(
            f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
        )
    connection.execute(f"PRAGMA main.application_id = {APPLICATION_ID}")
    connection.close()


def _layout(path: Path) -> list[tuple[object, ...]]:
    """List what makes a database's tables: names, statements, and what it says of itself."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    found += connection.execute("SELECT * FROM lash_es_format").fetchall()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM lash_es_format", "holds nothing"),
        ("UPDATE lash_es_format SET writes = 'one'", "holds no numbers"),
        ("UPDATE lash_es_format SET tables = NULL", "holds no numbers"),
    ],
)
def test_a_log_that_does_not_say_its_format_is_refused(
    path: Path, statement: str, found: str
) -> None:
    SQLiteStore.open(path, create=True).close()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()

    with pytest.raises(StoreUnavailable, match=f"it is damaged: lash_es_format, .* {found}"):
        SQLiteStore.open(path, create=False)


# Other processes


def test_what_another_connection_appends_is_seen(store: SQLiteStore, path: Path) -> None:
    other = SQLiteStore.open(path, create=False)
    other.append([an_append(A, 0, 2)])

    assert store.append([an_append(A, 0)]) == Conflict(
        stream=A, expected=Version(0), found=Version(2)
    )
    assert store.append([an_append(A, 2)]) == Appended(versions=(Version(3),))
    assert everything(other, A) == everything(store, A)
    other.close()


def test_a_lock_that_is_held_too_long_is_busy(store: SQLiteStore, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusy) as caught:
        store.append([an_append(A, 0)])

    assert (caught.value.waited_ms, caught.value.is_retryable) == (50, True)
    assert store.read(A, Position(0), 1) == ()
    other.execute("ROLLBACK")
    other.close()
    assert store.append([an_append(A, 0)]) == Appended(versions=(Version(1),))


def test_threads_that_share_a_store_take_turns(path: Path) -> None:
    with contextlib.closing(SQLiteStore.open(path, create=True)) as store:
        threads_take_turns(store)


def test_who_must_not_wait_does_not_wait_for_another_thread_either(store: SQLiteStore) -> None:
    def meanwhile() -> None:
        with pytest.raises(StoreBusy) as caught:
            store.append_each([[an_append(A, 0)]], may_wait=False)
        assert caught.value.waited_ms == 0

    def in_the_transaction(_: sqlite3.Connection) -> None:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(meanwhile).result(timeout=60)

    store._connections.write(in_the_transaction)
    assert store.append([an_append(A, 0)]) == Appended(versions=(Version(1),))


def test_opening_waits_for_a_lock_and_gives_up(path: Path) -> None:
    sqlite3.connect(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    other.execute("CREATE TABLE t (a)")

    with pytest.raises(StoreBusy):
        SQLiteStore.open(path, create=True, busy_wait_ms=20)

    other.execute("ROLLBACK")
    other.close()
    SQLiteStore.open(path, create=True).close()


def test_making_a_database_waits_for_another_process_that_makes_it(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    # SQLite itself gives up at once here: another connection may be on its way to the same mode.
    with pytest.raises(StoreBusy):
        SQLiteStore.open(path, create=True, busy_wait_ms=20)
    timer = threading.Timer(0.05, other.execute, ["ROLLBACK"])
    timer.start()
    SQLiteStore.open(path, create=True, busy_wait_ms=10_000).close()
    timer.join()
    other.close()


# What can go wrong with a file


def test_a_full_disk_is_said_and_writes_nothing(store: SQLiteStore) -> None:
    store.append([an_append(A, 0)])
    before = everything(store, A)
    writer = store._connections._sqlite_writer
    pages = _pragma(writer, "page_count")
    assert _pragma(writer, f"max_page_count = {pages}") == pages
    large = an_append(A, 1, bodies=(stored_body(1, "x" * 100_000),))

    with pytest.raises(StoreFull):
        store.append([an_append(B, 0), large])

    assert everything(store, A) == before
    assert store.head(B) is None
    _pragma(writer, "max_page_count = 1000000")
    assert store.append([an_append(B, 0), large]) == Appended(versions=(Version(1), Version(2)))


class FailingConnection:
    """A connection whose COMMIT answers what a disk would."""

    def __init__(self, real: sqlite3.Connection, code: int, *, is_written: bool) -> None:
        self.real = real
        self.code = code
        self.is_written = is_written

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def execute(
        self, statement: str, parameters: tuple[str | int | bytes, ...] = ()
    ) -> sqlite3.Cursor:
        if statement != "COMMIT":
            return self.real.execute(statement, parameters)
        if self.is_written:
            self.real.execute(statement)
        error = sqlite3.OperationalError("the disk said no")
        error.sqlite_errorcode = self.code
        raise error


def _break_commits(store: SQLiteStore, code: int, *, is_written: bool) -> None:
    connections = store._connections
    broken = FailingConnection(connections._sqlite_writer, code, is_written=is_written)
    connections._sqlite_writer = broken  # type: ignore[assignment]


@pytest.mark.parametrize("is_written", [False, True])
def test_a_disk_that_fails_in_the_commit_leaves_the_outcome_unknown(
    store: SQLiteStore, *, is_written: bool
) -> None:
    sound = store._connections._sqlite_writer
    _break_commits(store, sqlite3.SQLITE_IOERR_FSYNC, is_written=is_written)

    assert store.append([an_append(A, 0)]) == Unknown(reason="COMMIT: the disk said no")
    assert (store.head(A) is not None) is is_written
    store._connections._sqlite_writer = sound
    assert isinstance(store.append([an_append(A, 0)]), Conflict if is_written else Appended)


def test_activity_whose_commit_is_unknown_has_failed(store: SQLiteStore) -> None:
    store.append([an_append(A, 0)])
    _break_commits(store, sqlite3.SQLITE_IOERR_WRITE, is_written=False)

    with pytest.raises(StoreFailed, match="the disk said no"):
        add_activity(store, 1, b"x")


def test_what_can_be_written_again_has_failed_if_its_commit_is_unknown(
    store: SQLiteStore,
) -> None:
    store.append([an_append(A, 0)])
    _break_commits(store, sqlite3.SQLITE_IOERR_WRITE, is_written=False)

    with pytest.raises(StoreFailed, match="the disk said no"):
        store.write_snapshot(A, a_snapshot(1))
    with pytest.raises(StoreFailed, match="the disk said no"):
        store.rewrite_index(A, version=Version(1), rows=(), gone=())


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_BUSY, StoreBusy),
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreReadOnly),
    ],
)
def test_a_commit_that_was_refused_has_written_nothing(
    store: SQLiteStore, code: int, kind: type[Exception]
) -> None:
    sound = store._connections._sqlite_writer
    _break_commits(store, code, is_written=False)

    with pytest.raises(kind):
        store.append([an_append(A, 0)])

    store._connections._sqlite_writer = sound
    assert store.append([an_append(A, 0)]) == Appended(versions=(Version(1),))


def test_whatever_else_goes_wrong_has_failed(store: SQLiteStore, path: Path) -> None:
    store.append([an_append(A, 0)])
    other = sqlite3.connect(path)
    other.execute("DROP TABLE lash_es_index")
    other.execute("ALTER TABLE stored_events RENAME TO gone")
    other.commit()
    other.close()

    for act in (
        lambda: store.append([an_append(A, 1)]),
        lambda: store.read(A, Position(0), 1),
        lambda: store.read_index_page(A, None, 1),
    ):
        with pytest.raises(StoreFailed, match="no such table"):
            act()


def test_an_interrupted_append_writes_nothing_and_blocks_nobody(store: SQLiteStore) -> None:
    class Interrupting(tuple[object, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[object]:
            raise KeyboardInterrupt

    append = an_append(A, 0)
    object.__setattr__(append, "index", Interrupting())

    with pytest.raises(KeyboardInterrupt):
        store.append([append])

    assert store.head(A) is None
    assert store.append([an_append(A, 0)]) == Appended(versions=(Version(1),))


# Costs


def test_an_append_is_one_transaction_and_one_statement_per_row(store: SQLiteStore) -> None:
    store.append([an_append(A, 0)])
    statements: list[str] = []
    store._connections._sqlite_writer.set_trace_callback(statements.append)
    bodies = (stored_body(1, "x"), stored_body(2, "y"))
    store.append([an_append(A, 1, 5, bodies=bodies)])

    verbs = [statement.split()[0] for statement in statements]
    assert verbs == ["BEGIN", "SELECT", *["INSERT"] * 5, "UPDATE", *["INSERT"] * 2, "COMMIT"]


def test_a_conflict_costs_one_read(store: SQLiteStore) -> None:
    statements: list[str] = []
    store._connections._sqlite_writer.set_trace_callback(statements.append)
    store.append([an_append(A, 5)])

    assert [statement.split()[0] for statement in statements] == ["BEGIN", "SELECT", "COMMIT"]


def test_activity_is_fenced_and_numbered_in_one_transaction(store: SQLiteStore) -> None:
    store.append([an_append(A, 0)])
    statements: list[str] = []
    store._connections._sqlite_writer.set_trace_callback(statements.append)
    add_activity(store, 1, b"x", b"y")

    verbs = [statement.split()[0] for statement in statements]
    assert verbs == ["BEGIN", "SELECT", "INSERT", "INSERT", "UPDATE", "COMMIT"]


def test_tables_that_another_process_has_brought_forward_are_left_as_they_are(
    store: SQLiteStore, path: Path
) -> None:
    before = _layout(path)
    writer = store._connections._sqlite_writer

    assert sqlite_schema._bring_forward(writer, store.where).tables == TABLES_STEP
    assert _layout(path) == before


@pytest.mark.parametrize(
    "act",
    [
        lambda store: store.trim_activity(STREAM, ActivityWindow(), 1),
        lambda store: store.delete_blobs([]),
    ],
    ids=["activity", "blobs"],
)
def test_a_removal_whose_answer_was_lost_has_failed(
    store: SQLiteStore, act: Callable[[SQLiteStore], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store._connections, "write", lambda _: Unknown(reason="lost"))

    with pytest.raises(StoreFailed, match="lost"):
        act(store)


def test_what_the_library_raises_is_named_by_its_cause(path: Path) -> None:
    place = Place(path=path, durability=Durability.FULL, busy_wait_ms=1)
    full = sqlite3.OperationalError("full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    wrapped = PersistenceError(full)
    wrapped.__cause__ = full

    with pytest.raises(StoreFull), typed_errors(place):
        raise wrapped
