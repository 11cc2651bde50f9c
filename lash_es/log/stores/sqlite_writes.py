"""What is written into a SQLite store, inside a transaction that holds the write lock."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from attrs import frozen
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.appends import (
    ActivityAppended,
    ActivityRefused,
    ActivityResult,
    Appended,
    Conflict,
    StreamAppend,
)
from lash_es.log.stores import sqlite_snapshots as snapshots
from lash_es.log.stores.facts import stored_events

_NEW_HEAD: Final = """
    INSERT INTO lash_es_heads (version, digest, generation, status, at_ms, activity_seq, stream)
    VALUES (?, ?, ?, ?, ?, 0, ?)
"""
_NEXT_HEAD: Final = """
    UPDATE lash_es_heads
       SET version = ?, digest = ?, generation = ?, status = ?, at_ms = ?, activity_seq = 0
     WHERE stream_no = ?
"""
_BODY: Final = """
    INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)
    VALUES (?, ?, ?, ?, ?, ?)
"""
_ACTIVITY: Final = """
    INSERT INTO lash_es_activity (stream_no, version, seq, at_ms, payload) VALUES (?, ?, ?, ?, ?)
"""
INDEX_ROW: Final = """
    INSERT INTO lash_es_index (stream_no, kind, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (stream_no, kind, key) DO UPDATE SET value = excluded.value
"""


class _Transaction(Protocol):
    """A connection or a cursor: whatever takes a statement and many rows."""

    def executemany(self, sql: str, parameters: Iterable[tuple[object, ...]], /) -> object: ...


class FactRecorder(SQLiteApplicationRecorder):
    """The library's recorder, with many events in one statement instead of a statement each."""

    def insert_into(self, transaction: _Transaction, stored_events: Sequence[StoredEvent]) -> None:
        """Insert events in a transaction that was begun elsewhere."""
        transaction.executemany(
            self.insert_events_statement,
            [(e.originator_id, e.originator_version, e.topic, e.state) for e in stored_events],
        )

    def _insert_events(
        self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: object
    ) -> Sequence[int]:
        self.insert_into(c, stored_events)
        c.execute("SELECT last_insert_rowid()")
        (last,) = c.fetchone()
        # Nobody else inserts in a transaction that holds the write lock: the numbers have no gap.
        return list(range(last - len(stored_events) + 1, last + 1))


@frozen(kw_only=True)
class NewActivity:
    """Activity on its way in."""

    stream: StreamId
    version: Version
    generation: Generation
    payloads: Sequence[bytes]
    at_ms: int


def append(
    connection: sqlite3.Connection, recorder: FactRecorder, appends: Sequence[StreamAppend]
) -> Appended | Conflict:
    """Compare the head row of every stream, then write: a conflict has written nothing."""
    stream_nos: list[int | None] = []
    for each in appends:
        stream_no, found = _find(connection, each.stream)
        if found != each.expected_version:
            return Conflict(stream=each.stream, expected=each.expected_version, found=found)
        stream_nos.append(stream_no)
    for each, stream_no in zip(appends, stream_nos, strict=True):
        recorder.insert_into(connection, stored_events(each))
        _write_beside(connection, _write_head(connection, each, stream_no), each)
    return Appended(versions=tuple(each.version for each in appends))


def _find(connection: sqlite3.Connection, stream: StreamId) -> tuple[int | None, Version]:
    row = connection.execute(
        "SELECT stream_no, version FROM lash_es_heads WHERE stream = ?", (stream.key,)
    ).fetchone()
    return (None, Version(0)) if row is None else (row["stream_no"], Version(row["version"]))


def _write_head(
    connection: sqlite3.Connection, append: StreamAppend, stream_no: int | None
) -> int:
    head = (append.version, append.digest, append.generation, append.status, append.at_ms)
    if stream_no is not None:
        connection.execute(_NEXT_HEAD, (*head, stream_no))
        return stream_no
    inserted = connection.execute(_NEW_HEAD, (*head, append.stream.key))
    return inserted.lastrowid or 0


def _write_beside(connection: sqlite3.Connection, stream_no: int, append: StreamAppend) -> None:
    connection.executemany(
        _BODY,
        [
            (
                stream_no,
                body.ref.position,
                body.ref.ordinal,
                body.media_type,
                body.salt,
                body.content,
            )
            for body in append.bodies
        ],
    )
    connection.executemany(
        INDEX_ROW,
        [(stream_no, row.key.kind.value, row.key.key, row.value) for row in append.index],
    )
    if append.snapshot is not None:
        snapshots.replace(connection, stream_no, append.snapshot)


def append_activity(connection: sqlite3.Connection, new: NewActivity) -> ActivityResult:
    """Number activity on from the head row and insert it; refuse it if the head has moved on."""
    row = connection.execute(
        "SELECT stream_no, version, generation, activity_seq FROM lash_es_heads WHERE stream = ?",
        (new.stream.key,),
    ).fetchone()
    if row is None:
        return ActivityRefused(version=Version(0), generation=Generation(0))
    stream_no, version, generation, seq = row
    if (version, generation) != (new.version, new.generation):
        return ActivityRefused(version=Version(version), generation=Generation(generation))
    connection.executemany(
        _ACTIVITY,
        [
            (stream_no, version, number, new.at_ms, payload)
            for number, payload in enumerate(new.payloads, start=seq + 1)
        ],
    )
    last = seq + len(new.payloads)
    connection.execute(
        "UPDATE lash_es_heads SET activity_seq = ? WHERE stream_no = ?", (last, stream_no)
    )
    return ActivityAppended(version=new.version, seq=last)
