"""
Two connections to one database file, one more that checkpoints, and what can go wrong on them.

One connection writes and is pinned: its statements stay prepared. The other only reads, so that a
commit that waits for the disk on a thread of its own never keeps a reader waiting. Who comes to
the writer from another thread while it is in a transaction waits for the end of that.
"""

import sqlite3
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from attrs import frozen
from eventsourcing.persistence import PersistenceError
from eventsourcing.sqlite import SQLiteConnection, SQLiteDatastore

from lash_es.log.appends import Unknown
from lash_es.log.errors import (
    StorageError,
    StoreBusy,
    StoreClosed,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
)
from lash_es.log.stores.sqlite_checkpoints import HOLD_UP_MS_MAX, Checkpoints
from lash_es.log.stores.sqlite_counting import CountingConnection
from lash_es.log.stores.sqlite_schema import prepare

_R = TypeVar("_R")

_BEGIN: Final = "BEGIN IMMEDIATE"
_NO_WAITING: Final = "PRAGMA busy_timeout = 0"
_READS_ONLY: Final = "PRAGMA query_only = ON"
_NO_CHECKPOINTS: Final = "PRAGMA wal_autocheckpoint = 0"


class Durability(Enum):
    """What an acknowledged append survives."""

    FULL = "full"
    """Loss of power: every commit waits for the disk."""
    NORMAL = "normal"
    """The death of the process. Loss of power may take the last commits, never half of one."""


@frozen(kw_only=True)
class Place:
    """Where a database is, and how it is used."""

    path: Path
    durability: Durability
    busy_wait_ms: int
    for_reading: bool = False

    @property
    def where(self) -> str:
        """The path, for people."""
        return str(self.path)


class Connections(SQLiteDatastore):
    """The library's datastore, with the two connections in place of its pool."""

    def __init__(
        self, place: Place, writer: CountingConnection, reader: CountingConnection
    ) -> None:
        super().__init__(place.where, originator_id_type="text")
        self.place = place
        self._writer = SQLiteConnection(writer, max_age=None)
        self._reader = SQLiteConnection(reader, max_age=None)
        self._sqlite_writer = writer
        self._sqlite_reader = reader
        self._library_lock = Lock()
        self._turn = Lock()
        self.checkpoints = Checkpoints(place.path, lambda: _checkpointing(place))
        self._is_closed = False

    @contextmanager
    def get_connection(self, *, commit: bool) -> Generator[SQLiteConnection]:
        """Hand the library a connection for its own methods, which threads may share."""
        with self._library_lock:
            yield self._writer if commit else self._reader

    def write(
        self, work: Callable[[sqlite3.Connection], _R], *, may_wait: bool = True
    ) -> _R | Unknown:
        """
        Run ``work`` in one transaction; ``may_wait`` says whether to wait for the write lock.

        Returns:
            What ``work`` returned; or ``Unknown`` if the disk failed in the middle of the commit:
            its pages may be in the file's log, and a crash before the next commit would bring
            them back.
        """
        with self._errors(), self._in_turn(may_wait=may_wait):
            try:
                self._begin(may_wait=may_wait)
                result = work(self._sqlite_writer)
                return self._commit(result)
            finally:
                self._sqlite_writer.rollback()

    @contextmanager
    def _in_turn(self, *, may_wait: bool) -> Generator[None]:
        """Keep other threads out of the transaction: it is the connection's, not the thread's."""
        if not self._turn.acquire(blocking=may_wait):
            raise StoreBusy(where=self.place.where, waited_ms=0)
        try:
            yield
        finally:
            self._turn.release()

    def _begin(self, *, may_wait: bool) -> None:
        try:
            self._sqlite_writer.execute(_BEGIN)
        except sqlite3.OperationalError as cause:
            if _primary_code(cause) != sqlite3.SQLITE_BUSY:
                raise
            if not may_wait:
                raise StoreBusy(where=self.place.where, waited_ms=0) from cause
            self._begin_patiently()

    def _begin_patiently(self) -> None:
        """Wait for the lock; otherwise the writer never does, since it may be the loop's."""
        self._sqlite_writer.execute(f"PRAGMA busy_timeout = {self.place.busy_wait_ms}")
        try:
            self._sqlite_writer.execute(_BEGIN)
        finally:
            self._sqlite_writer.execute(_NO_WAITING)

    def _commit(self, result: _R) -> _R | Unknown:
        try:
            self._sqlite_writer.execute("COMMIT")
        except sqlite3.Error as cause:
            if _primary_code(cause) in _NOT_COMMITTED:
                raise
            return Unknown(reason=f"COMMIT: {cause}")
        self.checkpoints.committed()
        return result

    def read(self, work: Callable[[sqlite3.Connection], _R]) -> _R:
        """Run ``work``, one statement of which sees one state of the database."""
        with self._errors():
            return work(self._sqlite_reader)

    @property
    def statements_count(self) -> int:
        """How many statements were run on both."""
        return self._sqlite_writer.statements_count + self._sqlite_reader.statements_count

    def close(self) -> None:
        """
        Close all; twice is once. SQLite checkpoints for whoever is the last to close a file.
        """
        self._is_closed = True
        self.checkpoints.close()
        self._sqlite_reader.close()
        self._sqlite_writer.close()
        super().close()

    @contextmanager
    def _errors(self) -> Generator[None]:
        if self._is_closed:
            raise StoreClosed(where=self.place.where)
        with typed_errors(self.place):
            yield


def connect(place: Place, *, create: bool) -> Connections:
    """
    Open both connections, and make the tables if the database is new.

    Raises:
        StoreUnavailable: there is no log, and none could be made.
        StoreTablesOlder: its tables are old, and it is opened for reading.
        StoreReadOnly: the log cannot even be read without writing beside it.
    """
    reason = _why_not(place.path, create=create)
    if reason is not None:
        raise StoreUnavailable(where=place.where, reason=reason)
    with typed_errors(place):
        writer = _connection(place, "rwc" if create else "rw")
        try:
            prepare(
                writer,
                place.where,
                create=create,
                busy_wait_ms=place.busy_wait_ms,
                for_reading=place.for_reading,
            )
            writer.execute(f"PRAGMA synchronous = {place.durability.value}")
            writer.execute(_NO_WAITING)
            writer.execute(_NO_CHECKPOINTS)
            if place.for_reading:
                writer.execute(_READS_ONLY)
            reader = _connection(place, "rw")
            reader.execute(_READS_ONLY)
        except BaseException:
            writer.close()
            raise
    return Connections(place, writer, reader)


def _why_not(path: Path, *, create: bool) -> str | None:
    """Say why there can be no database; what SQLite would say of it is less clear."""
    if "\0" in str(path):
        return "no file can have that name"  # SQLite would take the part before the NUL.
    if path.is_dir():
        return "it is a directory"
    return None if create or path.exists() else "there is no such file"


def _checkpointing(place: Place) -> sqlite3.Connection:
    """Open the connection that checkpoints; it syncs the log before it moves what is in it."""
    connection = _connection(place, "rw")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA busy_timeout = {HOLD_UP_MS_MAX}")
    return connection


def _connection(place: Place, mode: str) -> CountingConnection:
    connection = sqlite3.connect(
        f"{place.path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=place.busy_wait_ms / 1_000,
        factory=CountingConnection,
    )
    connection.row_factory = sqlite3.Row
    return connection


@contextmanager
def typed_errors(place: Place) -> Generator[None]:
    """Give what SQLite raises a type of ours."""
    try:
        yield
    except PersistenceError as cause:
        raise _typed(place, cause.__cause__) from cause
    except sqlite3.Error as cause:
        raise _typed(place, cause) from cause


def _typed(place: Place, cause: BaseException | None) -> StorageError:
    make = _KINDS.get(_primary_code(cause), _failed)
    return make(place, str(cause))


def _primary_code(cause: BaseException | None) -> int | None:
    """Return the low byte of SQLite's extended code; none if Python's module itself raised."""
    code: int | None = getattr(cause, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _failed(place: Place, reason: str) -> StorageError:
    return StoreFailed(where=place.where, reason=reason)


def _busy(place: Place, _: str) -> StorageError:
    return StoreBusy(where=place.where, waited_ms=place.busy_wait_ms)


def _full(place: Place, reason: str) -> StorageError:
    return StoreFull(where=place.where, reason=reason)


def _read_only(place: Place, _: str) -> StorageError:
    return StoreReadOnly(where=place.where)


def _unavailable(place: Place, reason: str) -> StorageError:
    return StoreUnavailable(where=place.where, reason=reason)


_KINDS: Final[Mapping[int | None, Callable[[Place, str], StorageError]]] = {
    sqlite3.SQLITE_BUSY: _busy,
    sqlite3.SQLITE_LOCKED: _busy,
    sqlite3.SQLITE_FULL: _full,
    sqlite3.SQLITE_READONLY: _read_only,
    sqlite3.SQLITE_CANTOPEN: _unavailable,
    sqlite3.SQLITE_NOTADB: _unavailable,
}

_NOT_COMMITTED: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY}
)
"""Answers to COMMIT after which the commit's last page was certainly not written."""
