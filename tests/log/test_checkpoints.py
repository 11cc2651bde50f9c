"""No commit moves pages into the database: a thread does, and loses nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lash_es.core.ids import Position
from lash_es.log.appends import Appended
from lash_es.log.loading import load
from lash_es.log.stores.sqlite import Durability, SQLiteStore
from lash_es.log.stores.sqlite_checkpoints import CheckpointBounds, Checkpoints
from tests.log.conformance import A, an_append, stored_body
from tests.log.processes import STREAM

SMALL = "x" * 4_000
LARGE = "x" * 100_000
FOR_EVER = CheckpointBounds(commits_per_checkpoint=10**9, growth_bytes_max=10**12)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with closing(SQLiteStore.open(path, create=True, durability=Durability.NORMAL)) as made:
        yield made


def _with_bounds(store: SQLiteStore, bounds: CheckpointBounds) -> Checkpoints:
    """Let a store checkpoint by other bounds."""
    connections = store._connections
    before = connections.checkpoints
    connections.checkpoints = Checkpoints(connections.place.path, before._connect, bounds)
    before.close()
    return connections.checkpoints


def _append(store: SQLiteStore, count: int, text: str = SMALL, *, settles: bool = True) -> None:
    head = store.head(A)
    first = 0 if head is None else head.version
    for position in range(first, first + count):
        body = stored_body(position, text)
        assert isinstance(store.append([an_append(A, position, bodies=(body,))]), Appended)
        if settles:
            store._connections.checkpoints.settle()


def _log_bytes(path: Path) -> int:
    return Path(f"{path}-wal").stat().st_size


def _pages_moved_by_commits(store: SQLiteStore, path: Path) -> bool:
    """Append far more than SQLite's thousand pages while the thread is held up."""
    gate = threading.Event()
    checkpoints = store._connections.checkpoints

    def held_up() -> None:
        assert gate.wait(60)

    checkpoints._under_way = checkpoints._thread.submit(held_up)
    try:
        before = path.read_bytes()
        statements: set[int] = set()
        for _ in range(300):
            counted = store._connections._sqlite_writer.statements_count
            _append(store, 1, LARGE if len(statements) < 2 else SMALL, settles=False)
            statements.add(store._connections._sqlite_writer.statements_count - counted)
        # The first one makes the head row, which is one statement less or more than to move it.
        assert len(statements) <= 2
        return path.read_bytes() != before
    finally:
        gate.set()
        checkpoints.settle()


def test_no_commit_moves_pages_however_long_the_log_is(store: SQLiteStore, path: Path) -> None:
    assert not _pages_moved_by_commits(store, path)
    assert _log_bytes(path) > 5_000_000
    before = path.stat().st_size
    _append(store, 1)
    assert path.stat().st_size > before + 1_000_000
    assert store._connections.checkpoints.made_count == 1


def test_a_commit_that_did_would_be_seen(store: SQLiteStore, path: Path) -> None:
    store._connections._sqlite_writer.execute("PRAGMA wal_autocheckpoint = 1000")
    assert _pages_moved_by_commits(store, path)


def test_it_is_time_after_so_many_commits_or_so_many_bytes(store: SQLiteStore) -> None:
    checkpoints = _with_bounds(store, CheckpointBounds(commits_per_checkpoint=8))
    _append(store, 7)
    assert checkpoints.made_count == 0
    _append(store, 33)
    assert checkpoints.made_count == 5
    _append(store, 1, "x" * 5_000_000)
    assert checkpoints.made_count == 6


def test_the_log_keeps_its_size_and_is_never_cut(store: SQLiteStore, path: Path) -> None:
    checkpoints = _with_bounds(store, CheckpointBounds(commits_per_checkpoint=16))
    _append(store, 64)
    steady = _log_bytes(path)
    sizes: set[int] = set()
    for _ in range(128):
        _append(store, 1)
        sizes.add(_log_bytes(path))
    assert min(sizes) == steady
    assert max(sizes) < 1.5 * steady
    assert (checkpoints.made_count, checkpoints.restarts_count) == (12, 0)


def test_without_checkpoints_it_would_grow(store: SQLiteStore, path: Path) -> None:
    _with_bounds(store, FOR_EVER)
    _append(store, 64)
    before = _log_bytes(path)
    _append(store, 64)
    assert _log_bytes(path) > 1.8 * before


def test_who_reads_an_old_state_keeps_it_and_holds_up_nobody(
    store: SQLiteStore, path: Path
) -> None:
    bounds = CheckpointBounds(commits_per_checkpoint=16, log_bytes_max=0)
    checkpoints = _with_bounds(store, bounds)
    _append(store, 32)
    assert checkpoints.restarts_count == 2
    facts = "SELECT count(*) FROM stored_events"
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute(facts).fetchone() == (32,)
        _append(store, 96)
        assert reader.execute(facts).fetchone() == (32,)
        # Nobody was made to wait for a reader that was not going to end.
        assert (checkpoints.made_count, checkpoints.restarts_count) == (8, 2)
        reader.execute("COMMIT")
        assert reader.execute(facts).fetchone() == (128,)
    _append(store, 16)
    grown = _log_bytes(path)
    assert checkpoints.restarts_count == 3
    _append(store, 128)
    assert _log_bytes(path) == grown


def test_who_writes_without_a_pause_is_held_up_before_the_log_is_endless(
    store: SQLiteStore, path: Path
) -> None:
    bounds = CheckpointBounds(commits_per_checkpoint=8, log_bytes_max=1_000_000)
    checkpoints = _with_bounds(store, bounds)
    for _ in range(8):
        # Commits go on while the thread works; it only has to come round now and then.
        _append(store, 30, settles=False)
        checkpoints.settle()
    assert _log_bytes(path) < 6_000_000
    assert checkpoints.failures_count == 0
    assert [each.position for each in store.read(A, Position(0), 999)] == list(range(240))


def test_what_fails_is_tried_again_and_no_commit_hears_of_it(store: SQLiteStore) -> None:
    checkpoints = _with_bounds(store, CheckpointBounds(commits_per_checkpoint=1))
    connect, attempts = checkpoints._connect, list[str]()

    def fails_once() -> sqlite3.Connection:
        attempts.append("to connect")
        if len(attempts) == 1:
            raise sqlite3.OperationalError("disk I/O error")
        return connect()

    checkpoints._connect = fails_once
    _append(store, 3)
    assert (checkpoints.failures_count, checkpoints.made_count, len(attempts)) == (1, 2, 2)


def test_who_holds_the_lock_fails_a_restart_and_loses_nothing(
    store: SQLiteStore, path: Path
) -> None:
    bounds = CheckpointBounds(commits_per_checkpoint=4, log_bytes_max=0)
    checkpoints = _with_bounds(store, bounds)
    _append(store, 3)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        checkpoints._checkpoint()
        other.execute("COMMIT")
    assert checkpoints.made_count == 1
    _append(store, 8)
    assert len(store.read(A, Position(0), 99)) == 11


def test_where_no_log_can_be_looked_at_commits_are_counted(tmp_path: Path) -> None:
    def cannot() -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    checkpoints = Checkpoints(tmp_path / "nowhere", cannot, CheckpointBounds())
    for _ in range(128):
        checkpoints.committed()
    checkpoints.settle()
    assert checkpoints.failures_count == 1
    checkpoints.close()
    checkpoints.close()


def test_the_last_to_close_leaves_everything_in_the_database(path: Path) -> None:
    store, other = (SQLiteStore.open(path, create=True) for _ in range(2))
    _with_bounds(store, CheckpointBounds(commits_per_checkpoint=2))
    _append(store, 5)
    store.close()
    store.close()
    assert not [each for each in threading.enumerate() if "lash-es-checkpoints" in each.name]
    assert _log_bytes(path) > 0
    other.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["log.db"]
    with closing(SQLiteStore.open(path, create=False)) as again:
        assert len(again.read(A, Position(0), 99)) == 5


@pytest.mark.parametrize("facts_count", [40, 90, 170])
def test_a_process_killed_among_checkpoints_loses_nothing_acknowledged(
    path: Path, facts_count: int
) -> None:
    words = [sys.executable, "-m", "tests.log.checkpointing", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(facts_count)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().splitlines()]
    assert told == list(range(1, len(told) + 1))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    with closing(SQLiteStore.open(path, create=False)) as store:
        # The chain is checked; the one that was being written may be there, too.
        assert load(store, STREAM).version in {len(told), len(told) + 1}
