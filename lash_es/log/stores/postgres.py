"""
A store in a PostgreSQL database, for any number of processes on any number of machines.

Facts are rows of the library's ``stored_events``, in the shape that its stock recorder makes and
reads; the rest is in our tables (``postgres_schema.py``). The recorder itself is not used: it
locks the table against every other writer, and its methods send again what may have been carried
out.

An append is one statement and one round trip (``postgres_writes.py``, ``postgres_groups.py``);
what is known after a lost connection is said in ``postgres_connections.py``.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from psycopg import Cursor

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
from lash_es.log.errors import StoreDisconnected, StoreFailed
from lash_es.log.pages import Offset, Page
from lash_es.log.placing import WaitsFor
from lash_es.log.port import StreamHead
from lash_es.log.statistics import StoreStatistics, StoreTally
from lash_es.log.steadiness import ClockAnchor
from lash_es.log.stores import postgres_activity as activity
from lash_es.log.stores import postgres_blobs as blobs
from lash_es.log.stores import postgres_clock_anchors as anchors
from lash_es.log.stores import postgres_hints as hints
from lash_es.log.stores import postgres_reads as reads
from lash_es.log.stores import postgres_snapshots as snapshots
from lash_es.log.stores import postgres_writes as writes
from lash_es.log.stores.postgres_changes import PostgresChanges, ends, read_page
from lash_es.log.stores.postgres_clock import ServerClock
from lash_es.log.stores.postgres_connections import Connections, connect
from lash_es.log.stores.postgres_feed import FEED_START, FeedCursor, FeedFact, read_feed
from lash_es.log.stores.postgres_hints import Listener
from lash_es.log.stores.postgres_inspecting import PostgresInspection
from lash_es.log.stores.postgres_reads import Row
from lash_es.log.stores.postgres_servers import server_at
from lash_es.log.stores.postgres_sessions import connected
from lash_es.log.stores.postgres_trims import PostgresRetention

_R = TypeVar("_R")

LOCK_WAIT_MS: Final = 5_000


class PostgresStore(PostgresRetention):
    """A ``Store`` in a schema of a PostgreSQL database; made by ``open``."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._tally = StoreTally()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        create: bool,
        schema: str = "public",
        lock_wait_ms: int = LOCK_WAIT_MS,
        for_reading: bool = False,
    ) -> "PostgresStore":
        """
        Open the log at ``url``.

        Args:
            url: as libpq reads it, ``postgresql://user@host/database`` or ``key=value`` words; it
                is never repeated, in no message and no ``repr``.
            create: make schema and tables if they do not exist.
            schema: where the tables are; each schema is a log of its own.
            lock_wait_ms: how long to wait for another process that writes to the same stream.
            for_reading: write nothing (``StoreReadOnly``), and bring no tables forward.

        Raises:
            StoreUnavailable: no server lets us in, or there is no log, or another program's.
            StoreFormatNewer: a newer version of this library wrote it.
            StoreTablesOlder: its tables would have to be brought forward to be read.
            StoreReadOnly, StoreBusy, StoreFull, StoreFailed: it could not be opened.
        """
        server = server_at(url, schema=schema, lock_wait_ms=lock_wait_ms, for_reading=for_reading)
        return cls(connect(server, create=create, for_reading=for_reading))

    @property
    def where(self) -> str:
        """Say which server, database and schema; never a password."""
        return self._connections.server.where

    @property
    def waits_for(self) -> WaitsFor:
        """Say that every call is a round trip."""
        return WaitsFor.NETWORK

    @property
    def as_stored(self) -> "PostgresStore":
        """Be that store: nothing is sealed here."""
        return self

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs from the table, the only place there is."""
        return self.read_blobs(addresses)

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Compare every head row and write everything, in one statement."""
        require_appendable(appends)
        result = self._connections.write(lambda cursor: writes.append(cursor, appends))
        self._tally.appended((appends,), (result,))
        return result

    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - who may not wait does not ask over a network
    ) -> tuple[AppendResult, ...]:
        """
        Append many batches as ``append`` does each, in one statement: group commit.

        Returns:
            A result for each batch, in their order; a conflict fails only its own batch.

        Raises:
            As ``append``; then no batch was written.
        """
        for batch in batches:
            require_appendable(batch)
        written = self._connections.write(lambda cursor: writes.append_each(cursor, batches))
        results = (written,) * len(batches) if isinstance(written, Unknown) else written
        self._tally.appended(batches, results)
        return results

    def head(self, stream: StreamId) -> StreamHead | None:
        """Read the head row."""
        return self._connections.read(lambda cursor: reads.head(cursor, stream))

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        """List head rows of a namespace, ordered by key."""
        return self._connections.read(
            lambda cursor: reads.heads(cursor, namespace, after, heads_max)
        )

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        """Read records from position ``first`` on."""
        return self._connections.read(
            lambda cursor: reads.records(cursor, stream, first, records_max)
        )

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """Read bodies, all in one statement."""
        return self._connections.read(lambda cursor: reads.bodies(cursor, stream, refs))

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        """Read the values of index keys, all in one statement."""
        require_text(keys)
        return self._connections.read(lambda cursor: reads.index(cursor, stream, keys))

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """Read the whole index page by page."""
        return self._connections.read(
            lambda cursor: reads.index_page(cursor, stream, after, rows_max)
        )

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        """Replace and remove index rows, in one statement with the lock on the head row."""
        require_text([row.key for row in rows] + list(gone))
        return self._certainly(
            lambda cursor: snapshots.rewrite_index(cursor, stream, version, rows, gone)
        )

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        """Read the newest snapshot of at most that version."""
        return self._connections.read(lambda cursor: snapshots.read(cursor, stream, version_max))

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        """Write a snapshot that was asked for."""
        return self._certainly(lambda cursor: snapshots.keep(cursor, stream, snapshot))

    def _certainly(self, work: Callable[[Cursor[Row]], _R]) -> _R:
        """Write what can be written again: an answer that was lost is an error."""
        result = self._connections.write(work)
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def append_activity(
        self,
        new: NewActivity,
        *,
        may_wait: bool = True,  # noqa: ARG002 - who may not wait does not ask over a network
    ) -> ActivityResult:
        """Add activity, in one statement with the head row that numbers it."""
        result = self._connections.write(lambda cursor: activity.append_activity(cursor, new))
        if isinstance(result, Unknown):
            # Activity may be lost: whoever streams goes on, and a reader finds a gap at worst.
            raise StoreFailed(where=self.where, reason=result.reason)
        self._tally.streamed(new.payloads, result)
        return result

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        """Prune activity by a window, in one statement."""
        result = self._connections.write(
            lambda cursor: activity.trim_activity(cursor, stream, window, at_ms)
        )
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``."""
        return self._connections.read(
            lambda cursor: reads.activity(cursor, stream, after, activities_max)
        )

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs, all in one statement."""
        return self._connections.read(lambda cursor: blobs.read(cursor, addresses))

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs, ordered by address."""
        return self._connections.read(lambda cursor: blobs.page(cursor, after, blobs_max))

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        """List the addresses that bodies name, from an index of them."""
        return self._connections.read(lambda cursor: blobs.names(cursor, after, names_max))

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        """Delete blobs whose token is unchanged, and that nobody is writing."""
        result = self._connections.write(lambda cursor: blobs.delete(cursor, kept))
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.where, reason=result.reason)
        return result

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        """Read facts and activity after an offset, in one statement."""
        return self._connections.read(lambda cursor: read_page(cursor, stream, after, items_max))

    def read_feed(self, after: FeedCursor, facts_max: int) -> tuple[FeedFact, ...]:
        """Read facts of all streams, in an order that follows commits and has no holes."""
        return self._connections.read(lambda cursor: read_feed(cursor, after, facts_max))

    def clock(self) -> ServerClock:
        """Make a clock that goes by the server's; it asks on the reading connection."""
        return ServerClock(lambda: self._connections.read(reads.now_us))

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        """Read the anchor of a boot."""
        return self._connections.read(lambda cursor: anchors.read(cursor, boot_id))

    def keep_anchor(
        self,
        seen: ClockAnchor,
        running_ms: int,
        *,
        may_wait: bool = True,  # noqa: ARG002 - who may not wait does not ask over a network
    ) -> ClockAnchor:
        """Keep what counts, in one statement."""
        return self._certainly(lambda cursor: anchors.keep(cursor, seen, running_ms))

    def changes(self) -> PostgresChanges:
        """Open a connection that hears hints; where streams end is asked on the reading one."""
        return PostgresChanges(self.listen, self._ends)

    def _ends(self, streams: Collection[StreamId]) -> Mapping[StreamId, Offset]:
        return self._connections.read(lambda cursor: ends(cursor, streams))

    def announce(self, streams: Iterable[StreamId]) -> None:
        """Hint that these streams have grown."""
        self.notify(streams)

    def notify(self, streams: Iterable[StreamId]) -> None:
        """Hint to other processes that these streams have grown: once, after many commits."""
        schema = self._connections.server.schema
        self._connections.read(lambda cursor: hints.notify(cursor, schema, streams))

    def listen(self) -> Listener:
        """Open a connection of its own that hears hints, from now on."""
        self._connections.require_open()
        server = self._connections.server
        return Listener(server, connected(server))

    def inspection(self) -> PostgresInspection:
        """Look at the database as whoever runs it does; good until this is closed."""
        return PostgresInspection(self._connections)

    def statistics(self) -> StoreStatistics:
        """Say what was done since it was opened."""
        return self._tally.statistics(self._connections.statements_count)

    def close(self) -> None:
        """Close both connections; a listener is closed by whoever opened it."""
        self._connections.close()


__all__ = [
    "FEED_START",
    "LOCK_WAIT_MS",
    "FeedCursor",
    "FeedFact",
    "Listener",
    "PostgresStore",
    "ServerClock",
    "StoreDisconnected",
]
