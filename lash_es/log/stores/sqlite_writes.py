"""What is written into a SQLite store, inside a transaction that holds the write lock."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

from attrs import define
from eventsourcing.persistence import StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import (
    ActivityAppended,
    ActivityRefused,
    ActivityResult,
    Appended,
    Conflict,
    StoredBody,
    StreamAppend,
)
from lash_es.log.stores import sqlite_snapshots as snapshots
from lash_es.log.stores.facts import stored_events
from lash_es.log.stores.sqlite_blobs import write_blobs

_NEW_HEAD: Final = """
    INSERT INTO lash_es_heads (version, digest, generation, status, at_ms, activity_seq, stream)
    VALUES (?, ?, ?, ?, ?, 0, ?)
"""
_NEXT_HEAD: Final = """
    UPDATE lash_es_heads
       SET version = ?, digest = ?, generation = ?, status = ?, at_ms = ?, activity_seq = 0
     WHERE stream_no = ?
"""
_LOSS: Final = """
    UPDATE lash_es_heads
       SET low_version = version, low_seq = activity_seq + 1, activity_seq = activity_seq + 1
     WHERE stream_no = ?
"""
_ONE_TOO_MANY: Final = """
    SELECT version, seq FROM lash_es_activity WHERE stream_no = ?
     ORDER BY version DESC, seq DESC LIMIT 1 OFFSET ?
"""
_TOO_OLD: Final = """
    SELECT version, seq FROM lash_es_activity WHERE stream_no = ? AND at_ms < ?
     ORDER BY version DESC, seq DESC LIMIT 1
"""
_PRUNE: Final = """
    DELETE FROM lash_es_activity WHERE stream_no = ? AND (version, seq) <= (?, ?)
"""
_LOW_WATER: Final = """
    UPDATE lash_es_heads SET low_version = ?, low_seq = ?
     WHERE stream_no = ? AND (low_version, low_seq) < (?, ?)
"""
_BODY: Final = """
    INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content, sealing)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ACTIVITY: Final = """
    INSERT INTO lash_es_activity (stream_no, version, seq, at_ms, payload) VALUES (?, ?, ?, ?, ?)
"""
INDEX_ROW: Final = """
    INSERT INTO lash_es_index (stream_no, kind, key, value) VALUES (?, ?, ?, ?)
    ON CONFLICT (stream_no, kind, key) DO UPDATE SET value = excluded.value
"""


_HEADS: Final = (
    "SELECT stream, stream_no, version, activity_seq FROM lash_es_heads WHERE stream IN"
)
_KEYS_MAX: Final = 256
"""A power of two, far below the number of parameters that SQLite takes."""


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


@define
class _Head:
    """A stream's row as it will stand; without a number it is not in the table yet."""

    stream_no: int | None
    version: Version
    activity_seq: int = 0


def append_each(
    connection: sqlite3.Connection,
    recorder: FactRecorder,
    batches: Sequence[Sequence[StreamAppend]],
) -> tuple[Appended | Conflict, ...]:
    """
    Read the head rows concerned, drop the batches that lose, write the others.

    Later batches are judged by what earlier ones make of a stream; one that lost wrote nothing.
    """
    heads = _heads(connection, {append.stream.key for batch in batches for append in batch})
    results = tuple(_judged(batch, heads) for batch in batches)
    winners = [
        append
        for batch, result in zip(batches, results, strict=True)
        if isinstance(result, Appended)
        for append in batch
    ]
    if winners:
        recorder.insert_into(connection, [e for each in winners for e in stored_events(each)])
        _write_beside(connection, [(_write_head(connection, a, heads), a) for a in winners])
    return results


def _heads(connection: sqlite3.Connection, keys: Collection[str]) -> dict[str, _Head]:
    """Read head rows, in one statement for up to ``_KEYS_MAX`` streams."""
    heads = {key: _Head(None, Version(0)) for key in keys}
    for chunk in _chunks(sorted(keys)):
        # Few lengths, so that few statements are prepared; the last key fills up.
        length = 1 << (len(chunk) - 1).bit_length()
        asked = chunk + chunk[-1:] * (length - len(chunk))
        marks = ", ".join("?" * length)
        for key, stream_no, version, seq in connection.execute(f"{_HEADS} ({marks})", asked):
            heads[key] = _Head(stream_no, Version(version), seq)
    return heads


def _chunks(keys: list[str]) -> Iterable[list[str]]:
    return (keys[first : first + _KEYS_MAX] for first in range(0, len(keys), _KEYS_MAX))


def _judged(batch: Sequence[StreamAppend], heads: Mapping[str, _Head]) -> Appended | Conflict:
    """Compare a batch with the heads, and move them on if it wins."""
    for append in batch:
        found = heads[append.stream.key].version
        if found != append.expected_version:
            expected = append.expected_version
            return Conflict(stream=append.stream, expected=expected, found=found)
    seqs: list[int] = []
    for append in batch:
        head = heads[append.stream.key]
        seqs.append(head.activity_seq)
        head.version, head.activity_seq = append.version, 0
    return Appended(versions=tuple(append.version for append in batch), seqs=tuple(seqs))


def _write_head(
    connection: sqlite3.Connection, append: StreamAppend, heads: Mapping[str, _Head]
) -> int:
    head = heads[append.stream.key]
    values = (append.version, append.digest, append.generation, append.status, append.at_ms)
    if head.stream_no is None:
        inserted = connection.execute(_NEW_HEAD, (*values, append.stream.key))
        head.stream_no = inserted.lastrowid or 0
        return head.stream_no
    if append.is_after_loss:
        connection.execute(_LOSS, (head.stream_no,))
    connection.execute(_NEXT_HEAD, (*values, head.stream_no))
    return head.stream_no


def _write_beside(
    connection: sqlite3.Connection, appends: Sequence[tuple[int, StreamAppend]]
) -> None:
    bodies = [(no, *_body(body)) for no, append in appends for body in append.bodies]
    rows = [
        (no, row.key.kind.value, row.key.key, row.value)
        for no, append in appends
        for row in append.index
    ]
    if bodies:
        connection.executemany(_BODY, bodies)
    if rows:
        connection.executemany(INDEX_ROW, rows)
    write_blobs(connection, [append for _, append in appends])
    for no, append in appends:
        if append.snapshot is not None:
            snapshots.replace(connection, no, append.snapshot)


def _body(body: StoredBody) -> tuple[object, ...]:
    place = (body.ref.position, body.ref.ordinal)
    return (*place, body.media_type, body.salt, body.content, body.sealing)


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
    if new.window is not None:
        _prune(connection, stream_no, new.window, len(new.payloads), new.at_ms)
    if new.is_after_loss:
        connection.execute(_LOSS, (stream_no,))
        seq += 1
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


def trim_activity(
    connection: sqlite3.Connection, stream: StreamId, window: ActivityWindow, at_ms: int
) -> int:
    """Prune a stream's activity by a window; returns how many records went."""
    row = connection.execute(
        "SELECT stream_no FROM lash_es_heads WHERE stream = ?", (stream.key,)
    ).fetchone()
    return 0 if row is None else _prune(connection, row["stream_no"], window, 0, at_ms)


def _prune(
    connection: sqlite3.Connection,
    stream_no: int,
    window: ActivityWindow,
    coming: int,
    at_ms: int,
) -> int:
    """Delete what is too old or one too many, with everything in front of it."""
    kept = max(0, window.records_max - coming)
    rows = (
        *connection.execute(_ONE_TOO_MANY, (stream_no, kept)),
        *connection.execute(_TOO_OLD, (stream_no, at_ms - window.age_ms_max)),
    )
    either: list[tuple[int, int]] = [(row["version"], row["seq"]) for row in rows]
    if not either:
        return 0
    last = max(either)
    connection.execute(_LOW_WATER, (*last, stream_no, *last))
    return connection.execute(_PRUNE, (stream_no, *last)).rowcount
