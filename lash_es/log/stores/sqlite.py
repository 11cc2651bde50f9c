"""
A store in one SQLite file, for any number of processes of one machine.

Facts are rows of the library's ``stored_events``; the rest is in our tables
(``sqlite_schema.py``). Every append is one transaction that takes the write lock first, so that
the versions it compares cannot move under it.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Final

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey
from lash_es.log.appends import (
    Activity,
    ActivityResult,
    AppendResult,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
    Unknown,
    require_appendable,
    require_text,
)
from lash_es.log.errors import StoreFailed
from lash_es.log.port import StreamHead
from lash_es.log.stores import sqlite_reads as reads
from lash_es.log.stores import sqlite_reindexing as reindexing
from lash_es.log.stores import sqlite_snapshots as snapshots
from lash_es.log.stores import sqlite_writes as writes
from lash_es.log.stores.filesystems import require_local
from lash_es.log.stores.sqlite_connections import Connections, Durability, Place, connect
from lash_es.log.stores.sqlite_writes import FactRecorder

BUSY_WAIT_MS: Final = 5_000


class SQLiteStore:
    """A ``Store`` in a SQLite file; made by ``open``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._recorder = FactRecorder(connections)

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool,
        durability: Durability = Durability.FULL,
        busy_wait_ms: int = BUSY_WAIT_MS,
        allow_network_filesystem: bool = False,
    ) -> "SQLiteStore":
        """
        Open the log at ``path``.

        Args:
            path: the database file; beside it SQLite keeps two more while it is open.
            create: make it if it does not exist.
            durability: what an acknowledged append survives.
            busy_wait_ms: how long to wait for another process that writes.
            allow_network_filesystem: use it even where it cannot be locked for certain.

        Raises:
            StoreUnavailable: there is no log, or it is no database, or another program's, or it
                is on a network file system.
            StoreFormatNewer: a newer version of this library wrote it.
            StoreReadOnly, StoreBusy, StoreFull, StoreFailed: it could not be opened.
        """
        place = Place(path=Path(path), durability=durability, busy_wait_ms=busy_wait_ms)
        if not allow_network_filesystem:
            require_local(place.path)
        return cls(connect(place, create=create))

    @property
    def where(self) -> str:
        """Say which file."""
        return self._connections.place.where

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Compare every head row, then write everything, in one transaction."""
        require_appendable(appends)
        return self._connections.write(
            lambda connection: writes.append(connection, self._recorder, appends)
        )

    def head(self, stream: StreamId) -> StreamHead | None:
        """Read the head row."""
        return self._connections.read(lambda connection: reads.head(connection, stream))

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        """List head rows of a namespace, ordered by key."""
        return self._connections.read(
            lambda connection: reads.heads(connection, namespace, after, heads_max)
        )

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        """Read records from position ``first`` on, from the library's own table."""
        return self._connections.read(
            lambda connection: reads.records(connection, stream, first, records_max)
        )

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """Read bodies, by a statement each: in SQLite that is cheaper than a clever one."""
        return self._connections.read(lambda connection: reads.bodies(connection, stream, refs))

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        """Read the values of index keys, by a statement each."""
        require_text(keys)
        return self._connections.read(lambda connection: reads.index(connection, stream, keys))

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """Read the whole index page by page."""
        return self._connections.read(
            lambda connection: reads.index_page(connection, stream, after, rows_max)
        )

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        """Replace and remove index rows, under the write lock."""
        require_text([row.key for row in rows] + list(gone))
        return self._certainly(
            lambda connection: reindexing.rewrite(connection, stream, version, rows, gone)
        )

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        """Read the newest snapshot of at most that version."""
        return self._connections.read(
            lambda connection: snapshots.read(connection, stream, version_max)
        )

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        """Write a snapshot that was asked for."""
        return self._certainly(lambda connection: snapshots.keep(connection, stream, snapshot))

    def _certainly(self, work: Callable[[sqlite3.Connection], bool]) -> bool:
        """Write what can be written again: an answer that was lost is an error."""
        result = self._connections.write(work)
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
        at_ms: int,
    ) -> ActivityResult:
        """Add activity, in one transaction with the head row that numbers it."""
        new = writes.NewActivity(
            stream=stream, version=version, generation=generation, payloads=payloads, at_ms=at_ms
        )
        result = self._connections.write(
            lambda connection: writes.append_activity(connection, new)
        )
        if isinstance(result, Unknown):
            # Activity may be lost: whoever streams goes on, and a reader finds a gap at worst.
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``."""
        return self._connections.read(
            lambda connection: reads.activity(connection, stream, after, activities_max)
        )

    def close(self) -> None:
        """Close both connections."""
        self._connections.close()


__all__ = ["BUSY_WAIT_MS", "Durability", "SQLiteStore"]
