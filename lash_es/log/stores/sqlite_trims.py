"""Retention in a SQLite store: what goes and what comes back, pins, and the record format."""

import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar

from eventsourcing.persistence import StoredEvent

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
from lash_es.log.stores.sqlite_connections import Connections

_R = TypeVar("_R")

_HEAD: Final = "SELECT stream_no, version, oldest FROM lash_es_heads WHERE stream = ?"
_PINS: Final = "SELECT name, version FROM lash_es_pins WHERE stream_no = ? ORDER BY name"
_PIN: Final = """
    INSERT INTO lash_es_pins (stream_no, name, version, at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (stream_no, name) DO UPDATE SET version = excluded.version, at_ms = excluded.at_ms
"""
_UNPIN: Final = """
    DELETE FROM lash_es_pins WHERE name = ?
       AND stream_no = (SELECT stream_no FROM lash_es_heads WHERE stream = ?)
"""
_DELETE_FACTS: Final = """
    DELETE FROM stored_events
     WHERE originator_id = ? AND originator_version >= ? AND originator_version < ?
"""
_DELETE_BODY: Final = """
    DELETE FROM lash_es_bodies WHERE stream_no = ? AND position = ? AND ordinal = ?
"""
_DELETE_SNAPSHOTS: Final = "DELETE FROM lash_es_snapshots WHERE stream_no = ? AND version < ?"
_SUPERSEDED: Final = """
    DELETE FROM lash_es_snapshots AS old
     WHERE stream_no = ? AND NOT is_kept AND version < (
           SELECT max(version) FROM lash_es_snapshots AS new WHERE new.stream_no = old.stream_no)
"""
_SNAPSHOTS: Final = "SELECT count(*) FROM lash_es_snapshots WHERE stream_no = ?"
_TRIMMED: Final = """
    UPDATE lash_es_heads SET oldest = max(oldest, ?), trim_position = ? WHERE stream_no = ?
"""
_FACT: Final = """
    INSERT INTO stored_events (originator_id, originator_version, topic, state)
    VALUES (?, ?, ?, ?)
"""
_BODY: Final = """
    INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content, sealing)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream_no, position, ordinal) DO NOTHING
"""
_BEGIN: Final = """
    INSERT INTO lash_es_heads (stream, version, digest, generation, status, at_ms, activity_seq,
                               oldest, trim_position)
    VALUES (?, ?, ?, 0, 'arriving', ?, 0, ?, ?) ON CONFLICT (stream) DO NOTHING
"""
_BLOB: Final = """
    INSERT INTO lash_es_blobs (address, content, at_ms) VALUES (?, ?, ?)
    ON CONFLICT (address) DO UPDATE SET at_ms = max(at_ms + 1, excluded.at_ms)
"""
_FORMATS: Final = "SELECT reads_from, writes FROM lash_es_format"


class SQLiteRetention:
    """The part of a ``SQLiteStore`` that retention uses."""

    _connections: Connections

    def remove_facts(self, removal: Removal) -> None:
        """Delete facts, bodies and snapshots, and move the oldest."""
        self._write(lambda connection: _remove(connection, removal))

    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        """Delete superseded snapshots."""
        return self._write(lambda connection: _forget(connection, stream))

    def return_facts(self, back: Return) -> bool:
        """Put facts back in front of the oldest."""
        return self._write(lambda connection: _return(connection, back))

    def begin_trimmed(self, beginning: Beginning) -> bool:
        """Make the head row of a stream that begins later."""
        return self._write(lambda connection: _begin(connection, beginning))

    def pins(self, stream: StreamId) -> tuple[Pin, ...]:
        """List the pins of a stream."""
        return self._connections.read(lambda connection: _pins_of(connection, stream))

    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        """Set or move a pin, if its version is kept."""
        self._write(lambda connection: _pin(connection, stream, pin, at_ms))

    def unpin(self, stream: StreamId, name: str) -> bool:
        """Remove a pin."""
        return self._write(
            lambda connection: connection.execute(_UNPIN, (name, stream.key)).rowcount == 1
        )

    def record_formats(self) -> RecordFormats:
        """Read which format is written now."""
        return self._connections.read(_formats)

    def raise_format(self, writes: int) -> RecordFormats:
        """Write a newer format from now on."""
        return self._write(lambda connection: _raise_format(connection, writes))

    def _write(self, work: Callable[[sqlite3.Connection], _R]) -> _R:
        result = self._connections.write(work)
        if isinstance(result, Unknown):
            # It may have happened; whoever asks again finds it done, or does it.
            raise StoreFailed(where=self._connections.place.where, reason=result.reason)
        return result


def _remove(connection: sqlite3.Connection, removal: Removal) -> None:
    head = connection.execute(_HEAD, (removal.stream.key,)).fetchone()
    if head is None:
        return
    stream_no, _, oldest = head
    require_unpinned(removal, _pins(connection, stream_no))
    connection.execute(_DELETE_FACTS, (removal.stream.key, oldest, removal.below))
    refs = [(stream_no, ref.position, ref.ordinal) for ref in removal.bodies]
    connection.executemany(_DELETE_BODY, refs)
    connection.execute(_DELETE_SNAPSHOTS, (stream_no, removal.below))
    connection.execute(_TRIMMED, (removal.below, removal.trim, stream_no))


def _forget(connection: sqlite3.Connection, stream: StreamId) -> SnapshotsForgotten:
    head = connection.execute(_HEAD, (stream.key,)).fetchone()
    if head is None:
        return SnapshotsForgotten(retained_count=0, deleted_count=0)
    of_stream = (head["stream_no"],)
    deleted_count = connection.execute(_SUPERSEDED, of_stream).rowcount
    (retained_count,) = connection.execute(_SNAPSHOTS, of_stream).fetchone()
    return SnapshotsForgotten(retained_count=retained_count, deleted_count=deleted_count)


def _return(connection: sqlite3.Connection, back: Return) -> bool:
    head = connection.execute(_HEAD, (back.stream.key,)).fetchone()
    oldest = None if head is None else back.oldest_after(Position(head["oldest"]))
    if head is None or oldest is None:
        return False
    events = [
        StoredEvent(back.stream.key, record.position, record.name, record.stored)
        for record in back.records
    ]
    connection.executemany(
        _FACT, [(e.originator_id, e.originator_version, e.topic, e.state) for e in events]
    )
    stream_no = head["stream_no"]
    connection.executemany(_BODY, [_body_row(stream_no, body) for body in back.bodies])
    blobs = [(blob.address, blob.content, back.at_ms) for blob in back.blobs]
    connection.executemany(_BLOB, blobs)
    connection.execute(
        "UPDATE lash_es_heads SET oldest = ? WHERE stream_no = ?", (oldest, stream_no)
    )
    return True


def _body_row(stream_no: int, body: StoredBody) -> tuple[object, ...]:
    place = (stream_no, body.ref.position, body.ref.ordinal)
    return (*place, body.media_type, body.salt, body.content, body.sealing)


def _begin(connection: sqlite3.Connection, beginning: Beginning) -> bool:
    row = (
        beginning.stream.key,
        beginning.version,
        beginning.digest,
        beginning.at_ms,
        beginning.version,
        beginning.trim,
    )
    return connection.execute(_BEGIN, row).rowcount == 1


def _pin(connection: sqlite3.Connection, stream: StreamId, pin: Pin, at_ms: int) -> None:
    head = connection.execute(_HEAD, (stream.key,)).fetchone()
    stream_no, version, oldest = (0, 0, 0) if head is None else head
    others = _pins(connection, stream_no)
    require_pinnable(stream, pin, others, Position(oldest), Version(version))
    connection.execute(_PIN, (stream_no, pin.name, pin.version, at_ms))


def _pins_of(connection: sqlite3.Connection, stream: StreamId) -> tuple[Pin, ...]:
    head = connection.execute(_HEAD, (stream.key,)).fetchone()
    return () if head is None else _pins(connection, head["stream_no"])


def _pins(connection: sqlite3.Connection, stream_no: int) -> tuple[Pin, ...]:
    rows = connection.execute(_PINS, (stream_no,))
    return tuple(Pin(name=name, version=Version(version)) for name, version in rows)


def _formats(connection: sqlite3.Connection) -> RecordFormats:
    reads_from, writes = connection.execute(_FORMATS).fetchone()
    return RecordFormats(reads_from=reads_from, writes=writes)


def _raise_format(connection: sqlite3.Connection, writes: int) -> RecordFormats:
    before = _formats(connection)
    connection.execute("UPDATE lash_es_format SET writes = max(writes, ?)", (writes,))
    return before
