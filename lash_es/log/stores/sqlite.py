"""
A store in one SQLite file, for any number of processes of one machine.

Facts are rows of the library's ``stored_events``; the rest is in our tables
(``sqlite_schema.py``). Every append is one transaction that takes the write lock first, so that
the versions it compares cannot move under it.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Final, TypeVar

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.core.known import IndexKey
from lash_es.log.activities import ActivityWindow, NewActivity
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
from lash_es.log.blobs import Address, KeptBlob
from lash_es.log.errors import StoreFailed
from lash_es.log.pages import Offset, Page
from lash_es.log.placing import WaitsFor
from lash_es.log.port import StreamHead
from lash_es.log.statistics import StoreStatistics, StoreTally
from lash_es.log.steadiness import ClockAnchor
from lash_es.log.stores import sqlite_blobs as blobs
from lash_es.log.stores import sqlite_clock as clocks
from lash_es.log.stores import sqlite_reads as reads
from lash_es.log.stores import sqlite_reindexing as reindexing
from lash_es.log.stores import sqlite_snapshots as snapshots
from lash_es.log.stores import sqlite_writes as writes
from lash_es.log.stores.filesystems import require_local
from lash_es.log.stores.sqlite_changes import SQLiteChanges, read_page
from lash_es.log.stores.sqlite_connections import Connections, Durability, Place, connect
from lash_es.log.stores.sqlite_inspecting import SQLiteInspection
from lash_es.log.stores.sqlite_trims import SQLiteRetention
from lash_es.log.stores.sqlite_writes import FactRecorder

_R = TypeVar("_R")

BUSY_WAIT_MS: Final = 5_000


class SQLiteStore(SQLiteRetention):
    """A ``Store`` in a SQLite file; made by ``open``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._recorder = FactRecorder(connections)
        self._tally = StoreTally()
        self._records_reads_count = 0

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        create: bool,
        durability: Durability = Durability.FULL,
        busy_wait_ms: int = BUSY_WAIT_MS,
        allow_network_filesystem: bool = False,
        for_reading: bool = False,
    ) -> "SQLiteStore":
        """
        Open the log at ``path``.

        Args:
            path: the database file; beside it SQLite keeps two more while it is open.
            create: make it if it does not exist.
            durability: what an acknowledged append survives.
            busy_wait_ms: how long to wait for another process that writes.
            allow_network_filesystem: use it even where it cannot be locked for certain.
            for_reading: write nothing (``StoreReadOnly``), and bring no tables forward.

        Raises:
            StoreUnavailable: there is no log, or it is no database, or another program's, or it
                is on a network file system.
            StoreFormatNewer: a newer version of this library wrote it.
            StoreTablesOlder: its tables would have to be brought forward to be read.
            StoreReadOnly, StoreBusy, StoreFull, StoreFailed: it could not be opened.
        """
        place = Place(
            path=Path(path),
            durability=durability,
            busy_wait_ms=busy_wait_ms,
            for_reading=for_reading,
        )
        if not allow_network_filesystem:
            require_local(place.path)
        return cls(connect(place, create=create))

    @property
    def where(self) -> str:
        """Say which file."""
        return self._connections.place.where

    @property
    def waits_for(self) -> WaitsFor:
        """Say that a commit waits for the disk."""
        return WaitsFor.DISK

    @property
    def as_stored(self) -> "SQLiteStore":
        """Be that store: nothing is sealed here."""
        return self

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs from the table, the only place there is."""
        return self.read_blobs(addresses)

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Compare every head row, then write everything, in one transaction."""
        (result,) = self.append_each((appends,))
        return result

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        """Append many batches in one transaction, in a few statements for all of them."""
        for batch in batches:
            require_appendable(batch)
        written = self._connections.write(
            lambda connection: writes.append_each(connection, self._recorder, batches),
            may_wait=may_wait,
        )
        results = (written,) * len(batches) if isinstance(written, Unknown) else written
        self._tally.appended(batches, results)
        return results

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
        self._records_reads_count += 1
        return self._connections.read(
            lambda connection: reads.records(connection, stream, first, records_max)
        )

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """Read bodies, in one statement for many."""
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

    def _certainly(self, work: Callable[[sqlite3.Connection], _R], *, may_wait: bool = True) -> _R:
        """Write what can be written again: an answer that was lost is an error."""
        result = self._connections.write(work, may_wait=may_wait)
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        """Add activity, in one transaction with the head row that numbers it."""
        result = self._connections.write(
            lambda connection: writes.append_activity(connection, new), may_wait=may_wait
        )
        if isinstance(result, Unknown):
            # Activity may be lost: whoever streams goes on, and a reader finds a gap at worst.
            raise StoreFailed(where=self.where, reason=result.reason)
        self._tally.streamed(new.payloads, result)
        return result

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        """Prune activity by a window, in one transaction."""
        result = self._connections.write(
            lambda connection: writes.trim_activity(connection, stream, window, at_ms)
        )
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``."""
        return self._connections.read(
            lambda connection: reads.activity(connection, stream, after, activities_max)
        )

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        """Read facts and activity after a place, in one statement."""
        return self._connections.read(
            lambda connection: read_page(connection, stream, after, items_max)
        )

    def changes(self) -> SQLiteChanges:
        """Open one more connection, which sees the commits of all others."""
        place = self._connections.place
        return self._connections.read(lambda _: SQLiteChanges(place))

    def announce(self, streams: Iterable[StreamId]) -> None:
        """Do nothing: the file tells."""

    def clock(self) -> None:
        """Have no clock: a file knows no time."""

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        """Read the anchor of a boot."""
        return self._connections.read(lambda connection: clocks.read(connection, boot_id))

    def keep_anchor(
        self, seen: ClockAnchor, running_ms: int, *, may_wait: bool = True
    ) -> ClockAnchor:
        """Keep what counts, in one transaction."""
        return self._certainly(
            lambda connection: clocks.keep(connection, seen, running_ms), may_wait=may_wait
        )

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs, by a statement each."""
        return self._connections.read(lambda connection: blobs.read(connection, addresses))

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs, ordered by address."""
        return self._connections.read(lambda connection: blobs.page(connection, after, blobs_max))

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        """List the addresses that bodies name, from an index of them."""
        return self._connections.read(lambda connection: blobs.names(connection, after, names_max))

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        """Delete blobs whose token is unchanged."""
        result = self._connections.write(lambda connection: blobs.delete(connection, kept))
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def inspection(self) -> SQLiteInspection:
        """Look at the database as whoever runs it does; good until this is closed."""
        return SQLiteInspection(self._connections)

    def statistics(self) -> StoreStatistics:
        """Say what was done since it was opened."""
        reads_count = self._records_reads_count
        return self._tally.statistics(self._connections.statements_count + reads_count)

    def close(self) -> None:
        """Close both connections."""
        self._connections.close()


__all__ = ["BUSY_WAIT_MS", "Durability", "SQLiteStore"]
