"""What is read from a SQLite store: each function is a statement, a few for many, or one a key."""

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from lash_es.codec.errors import UndecodableValue
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey, IndexKind
from lash_es.log.appends import Activity, IndexRow, StoredBody
from lash_es.log.port import StreamHead
from lash_es.log.stores.facts import row_record

INTEGER_MAX: Final = 2**63 - 1
"""SQLite's largest integer: nothing is stored after it."""

# An edited column is read as the type it should have, so that the fold can say what is wrong.
_HEAD: Final = """
    SELECT stream, CAST(version AS INTEGER) AS version, CAST(digest AS BLOB) AS digest,
           generation, status, at_ms, activity_seq, oldest, trim_position, low_version, low_seq
      FROM lash_es_heads WHERE stream = ?
"""
_HEADS: Final = """
    SELECT * FROM lash_es_heads
     WHERE stream > ? AND stream > ? AND stream < ? ORDER BY stream LIMIT ?
"""
_RECORDS: Final = """
    SELECT originator_version, topic, state FROM stored_events
     WHERE originator_id = ? AND originator_version >= ? ORDER BY originator_version LIMIT ?
"""
_BODIES: Final = """
      SELECT position, ordinal, media_type, CAST(salt AS BLOB), CAST(content AS BLOB),
             CAST(sealing AS TEXT)
        FROM asked CROSS JOIN lash_es_heads
        JOIN lash_es_bodies USING (stream_no, position, ordinal)
       WHERE stream = ?
"""
"""A cross join is done in the order in which it is written: the few that are asked for first."""
_REFS_MAX: Final = 256
"""A power of two, far below half the number of parameters that SQLite takes."""
_INDEX_VALUE: Final = """
    SELECT CAST(value AS BLOB) FROM lash_es_index JOIN lash_es_heads USING (stream_no)
     WHERE stream = ? AND kind = ? AND key = ?
"""
_INDEX_PAGE: Final = """
    SELECT kind, key, CAST(value AS BLOB) FROM lash_es_index JOIN lash_es_heads USING (stream_no)
     WHERE stream = ? AND (kind, key) > (?, ?) ORDER BY kind, key LIMIT ?
"""
_ACTIVITY: Final = """
    SELECT a.version, a.seq, a.at_ms, a.payload
      FROM lash_es_activity AS a JOIN lash_es_heads USING (stream_no)
     WHERE stream = ? AND (a.version, a.seq) > (?, ?) ORDER BY a.version, a.seq LIMIT ?
"""


def head(connection: sqlite3.Connection, stream: StreamId) -> StreamHead | None:
    """Read the head row."""
    row = connection.execute(_HEAD, (stream.key,)).fetchone()
    return None if row is None else _head(row)


def heads(
    connection: sqlite3.Connection, namespace: str, after: str, heads_max: int
) -> tuple[StreamHead, ...]:
    """List head rows: a namespace's keys lie between ``namespace/`` and ``namespace0``."""
    rows = connection.execute(
        _HEADS,
        (after, f"{namespace}/", f"{namespace}0", heads_max),
    )
    return tuple(_head(row) for row in rows)


def _head(row: sqlite3.Row) -> StreamHead:
    return StreamHead(
        stream=StreamId.of_key(row["stream"]),
        version=Version(row["version"]),
        digest=row["digest"],
        generation=Generation(row["generation"]),
        status=row["status"],
        at_ms=row["at_ms"],
        activity_seq=row["activity_seq"],
        oldest=Position(row["oldest"]),
        trim_position=None if row["trim_position"] is None else Position(row["trim_position"]),
        low_water=(Version(row["low_version"]), row["low_seq"]),
    )


def records(
    connection: sqlite3.Connection, stream: StreamId, first: Position, records_max: int
) -> tuple[Record, ...]:
    """Read records from a position on."""
    cursor = connection.cursor()
    cursor.row_factory = None  # A tuple is read by place, which is faster than by name.
    rows = cursor.execute(_RECORDS, (stream.key, min(first, INTEGER_MAX), records_max))
    return tuple([row_record(*row) for row in rows])


def bodies(
    connection: sqlite3.Connection, stream: StreamId, refs: Sequence[BodyRef]
) -> Mapping[BodyRef, StoredBody]:
    """Read bodies, in one statement for up to ``_REFS_MAX``."""
    found: dict[BodyRef, StoredBody] = {}
    for first in range(0, len(refs), _REFS_MAX):
        chunk = refs[first : first + _REFS_MAX]
        asked: list[tuple[int, int]] = [(ref.position, ref.ordinal) for ref in chunk]
        # Few lengths, so that few statements are prepared; what fills up is nowhere.
        length = 1 << (len(asked) - 1).bit_length()
        asked += [(-1, 0)] * (length - len(asked))
        marks = ", ".join(["(?, ?)"] * length)
        statement = f"WITH asked (position, ordinal) AS (VALUES {marks}) {_BODIES}"
        rows = connection.execute(statement, (*chain.from_iterable(asked), stream.key))
        found.update((body.ref, body) for body in map(_body, rows))
    return found


def _body(row: sqlite3.Row) -> StoredBody:
    position, ordinal, media_type, salt, content, sealing = row
    return StoredBody(
        ref=BodyRef(position=Position(position), ordinal=ordinal),
        media_type=media_type,
        salt=salt,
        content=content,
        sealing=sealing,
    )


def index(
    connection: sqlite3.Connection, stream: StreamId, keys: Sequence[IndexKey]
) -> Mapping[IndexKey, bytes]:
    """Read the values of index keys."""
    found: dict[IndexKey, bytes] = {}
    for key in keys:
        rows = connection.execute(
            _INDEX_VALUE,
            (stream.key, key.kind.value, key.key),
        )
        found.update((key, value) for (value,) in rows)
    return found


def index_page(
    connection: sqlite3.Connection, stream: StreamId, after: IndexKey | None, rows_max: int
) -> tuple[IndexRow, ...]:
    """Read index rows after a key, ordered by kind and key."""
    bound = ("", "") if after is None else (after.kind.value, after.key)
    rows = connection.execute(
        _INDEX_PAGE,
        (stream.key, *bound, rows_max),
    )
    return tuple(
        IndexRow(key=IndexKey(_index_kind(kind, key), key), value=value)
        for kind, key, value in rows
    )


def _index_kind(kind: str, key: str) -> IndexKind:
    try:
        return IndexKind(kind)
    except ValueError as cause:
        raise UndecodableValue(what=f"index row {key!r}", reason=f"no kind {kind!r}") from cause


def activity(
    connection: sqlite3.Connection,
    stream: StreamId,
    after: tuple[Version, int],
    activities_max: int,
) -> tuple[Activity, ...]:
    """Read activity after a version and sequence."""
    version, seq = (min(number, INTEGER_MAX) for number in after)
    rows = connection.execute(
        _ACTIVITY,
        (stream.key, version, seq, activities_max),
    )
    return tuple(
        Activity(
            version=Version(row["version"]),
            seq=row["seq"],
            at_ms=row["at_ms"],
            payload=row["payload"],
        )
        for row in rows
    )
