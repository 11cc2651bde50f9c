"""
Retention in a PostgreSQL store: what goes and what comes back, pins, and the record format.

The head row is locked first, as an append does: so a pin and a trim that ask at once take turns.
Facts that come back get the transaction that brings them, and hence a new place in the feed.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from psycopg import Cursor

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.retention import Pin
from lash_es.log.appends import StoredBody, Unknown
from lash_es.log.errors import StoreFailed
from lash_es.log.retaining import (
    Beginning,
    RecordFormats,
    Removal,
    Return,
    SnapshotsForgotten,
    require_pinnable,
    require_unpinned,
)
from lash_es.log.stores.postgres_arrays import Blobs, Integers, Texts, int8
from lash_es.log.stores.postgres_connections import Connections
from lash_es.log.stores.postgres_reads import Row, ask

_R = TypeVar("_R")

_HEAD: Final = """
    SELECT stream_no, version, oldest FROM lash_es_heads WHERE stream = %b FOR UPDATE
"""
_PINS: Final = "SELECT name, version FROM lash_es_pins WHERE stream_no = %b ORDER BY name"
_PINS_OF: Final = """
    SELECT name, lash_es_pins.version FROM lash_es_pins JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b ORDER BY name
"""
_PIN: Final = """
    INSERT INTO lash_es_pins (stream_no, name, version, at_ms) VALUES (%b, %b, %b, %b)
    ON CONFLICT (stream_no, name) DO UPDATE SET version = excluded.version, at_ms = excluded.at_ms
"""
_UNPIN: Final = """
    DELETE FROM lash_es_pins USING lash_es_heads
     WHERE lash_es_pins.stream_no = lash_es_heads.stream_no AND name = %b AND stream = %b
"""
_DELETE_FACTS: Final = """
    DELETE FROM stored_events
     WHERE originator_id = %b AND originator_version >= %b AND originator_version < %b
"""
_DELETE_BODIES: Final = """
    DELETE FROM lash_es_bodies USING unnest(%b, %b) AS gone (position, ordinal)
     WHERE stream_no = %b AND lash_es_bodies.position = gone.position
       AND lash_es_bodies.ordinal = gone.ordinal
"""
_DELETE_SNAPSHOTS: Final = "DELETE FROM lash_es_snapshots WHERE stream_no = %b AND version < %b"
_SUPERSEDED: Final = """
    DELETE FROM lash_es_snapshots AS old
     WHERE stream_no = %b AND NOT is_kept AND version < (
           SELECT max(new.version) FROM lash_es_snapshots AS new
            WHERE new.stream_no = old.stream_no)
"""
_SNAPSHOTS: Final = "SELECT count(*) FROM lash_es_snapshots WHERE stream_no = %b"
_TRIMMED: Final = """
    UPDATE lash_es_heads SET oldest = greatest(oldest, %b), trim_position = %b
     WHERE stream_no = %b
"""
_FACTS: Final = """
    INSERT INTO stored_events (originator_id, originator_version, topic, state)
    SELECT %b, * FROM unnest(%b, %b, %b)
"""
_BODIES: Final = """
    INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content, sealing)
    SELECT %b, * FROM unnest(%b, %b, %b, %b, %b, %b)
    ON CONFLICT (stream_no, position, ordinal) DO NOTHING
"""
_BLOBS: Final = """
    INSERT INTO lash_es_blobs (address, content, at_ms)
    SELECT DISTINCT ON (address) address, content, %b
      FROM unnest(%b, %b) AS new (address, content) ORDER BY address
    ON CONFLICT (address) DO UPDATE SET at_ms = greatest(lash_es_blobs.at_ms + 1, excluded.at_ms)
"""
_OLDEST: Final = "UPDATE lash_es_heads SET oldest = %b WHERE stream_no = %b"
_BEGIN: Final = """
    INSERT INTO lash_es_heads (stream, version, digest, generation, status, at_ms, activity_seq,
                               oldest, trim_position)
    VALUES (%b, %b, %b, 0, 'arriving', %b, 0, %b, %b) ON CONFLICT (stream) DO NOTHING
"""
_FORMATS: Final = "SELECT reads_from, writes FROM lash_es_format"
_FORMATS_LOCKED: Final = "SELECT reads_from, writes FROM lash_es_format FOR UPDATE"
_RAISE: Final = "UPDATE lash_es_format SET writes = greatest(writes, %b)"


class PostgresRetention:
    """The part of a ``PostgresStore`` that retention uses."""

    _connections: Connections

    def remove_facts(self, removal: Removal) -> None:
        """Delete facts, bodies and snapshots, and move the oldest."""
        self._write(lambda cursor: _remove(cursor, removal))

    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        """Delete superseded snapshots."""
        return self._write(lambda cursor: _forget(cursor, stream))

    def return_facts(self, back: Return) -> bool:
        """Put facts back in front of the oldest."""
        return self._write(lambda cursor: _return(cursor, back))

    def begin_trimmed(self, beginning: Beginning) -> bool:
        """Make the head row of a stream that begins later."""
        return self._write(lambda cursor: _begin(cursor, beginning))

    def pins(self, stream: StreamId) -> tuple[Pin, ...]:
        """List the pins of a stream."""
        return self._connections.read(lambda cursor: _pins(cursor, _PINS_OF, stream.key))

    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        """Set or move a pin, if its version is kept."""
        self._write(lambda cursor: _pin(cursor, stream, pin, at_ms))

    def unpin(self, stream: StreamId, name: str) -> bool:
        """Remove a pin."""
        return self._write(lambda cursor: ask(cursor, _UNPIN, [name, stream.key]).rowcount == 1)

    def record_formats(self) -> RecordFormats:
        """Read which format is written now."""
        return self._connections.read(lambda cursor: _formats(cursor, _FORMATS))

    def raise_format(self, writes: int) -> RecordFormats:
        """Write a newer format from now on."""
        return self._write(lambda cursor: _raise_format(cursor, writes))

    def _write(self, work: Callable[[Cursor[Row]], _R]) -> _R:
        def transact(cursor: Cursor[Row]) -> _R:
            with cursor.connection.transaction():
                return work(cursor)

        result = self._connections.write(transact)
        if isinstance(result, Unknown):
            # It may have happened; whoever asks again finds it done, or does it.
            raise StoreFailed(where=self._connections.server.where, reason=result.reason)
        return result


def _remove(cursor: Cursor[Row], removal: Removal) -> None:
    key, below = removal.stream.key, int8(removal.below)
    head = ask(cursor, _HEAD, [key]).fetchone()
    if head is None:
        return
    stream_no, oldest = int8(head[0]), int8(head[2])
    require_unpinned(removal, _pins(cursor, _PINS, stream_no))
    ask(cursor, _DELETE_FACTS, [key, oldest, below])
    positions = Integers([ref.position for ref in removal.bodies])
    ordinals = Integers([ref.ordinal for ref in removal.bodies])
    ask(cursor, _DELETE_BODIES, [positions, ordinals, stream_no])
    ask(cursor, _DELETE_SNAPSHOTS, [stream_no, below])
    ask(cursor, _TRIMMED, [below, int8(removal.trim), stream_no])


def _forget(cursor: Cursor[Row], stream: StreamId) -> SnapshotsForgotten:
    head = ask(cursor, _HEAD, [stream.key]).fetchone()
    if head is None:
        return SnapshotsForgotten(retained_count=0, deleted_count=0)
    of_stream = [int8(head[0])]
    deleted_count = ask(cursor, _SUPERSEDED, of_stream).rowcount
    (row,) = ask(cursor, _SNAPSHOTS, of_stream).fetchall()
    return SnapshotsForgotten(retained_count=row[0], deleted_count=deleted_count)


def _return(cursor: Cursor[Row], back: Return) -> bool:
    head = ask(cursor, _HEAD, [back.stream.key]).fetchone()
    oldest = None if head is None else back.oldest_after(Position(head[2]))
    if head is None or oldest is None:
        return False
    stream_no = int8(head[0])
    positions = Integers([record.position for record in back.records])
    names = Texts([record.name for record in back.records])
    states = Blobs([record.stored for record in back.records])
    ask(cursor, _FACTS, [back.stream.key, positions, names, states])
    ask(cursor, _BODIES, [stream_no, *_body_columns(back.bodies)])
    addresses = Blobs([blob.address for blob in back.blobs])
    contents = Blobs([blob.content for blob in back.blobs])
    ask(cursor, _BLOBS, [int8(back.at_ms), addresses, contents])
    ask(cursor, _OLDEST, [int8(oldest), stream_no])
    return True


def _body_columns(bodies: Sequence[StoredBody]) -> list[object]:
    return [
        Integers([body.ref.position for body in bodies]),
        Integers([body.ref.ordinal for body in bodies]),
        Texts([body.media_type for body in bodies]),
        Blobs([body.salt for body in bodies]),
        Blobs([body.content for body in bodies]),
        Texts([body.sealing for body in bodies]),
    ]


def _begin(cursor: Cursor[Row], beginning: Beginning) -> bool:
    version = int8(beginning.version)
    row = [
        beginning.stream.key,
        version,
        beginning.digest,
        int8(beginning.at_ms),
        version,
        int8(beginning.trim),
    ]
    return ask(cursor, _BEGIN, row).rowcount == 1


def _pin(cursor: Cursor[Row], stream: StreamId, pin: Pin, at_ms: int) -> None:
    head = ask(cursor, _HEAD, [stream.key]).fetchone()
    stream_no, version, oldest = (0, 0, 0) if head is None else head
    others = _pins(cursor, _PINS, int8(stream_no))
    require_pinnable(stream, pin, others, Position(oldest), Version(version))
    ask(cursor, _PIN, [int8(stream_no), pin.name, int8(pin.version), int8(at_ms)])


def _pins(cursor: Cursor[Row], statement: str, parameter: object) -> tuple[Pin, ...]:
    rows = ask(cursor, statement, [parameter])
    return tuple(Pin(name=name, version=Version(version)) for name, version in rows)


def _formats(cursor: Cursor[Row], statement: str) -> RecordFormats:
    ((reads_from, writes),) = ask(cursor, statement)
    return RecordFormats(reads_from=reads_from, writes=writes)


def _raise_format(cursor: Cursor[Row], writes: int) -> RecordFormats:
    before = _formats(cursor, _FORMATS_LOCKED)
    ask(cursor, _RAISE, [int8(writes)])
    return before
