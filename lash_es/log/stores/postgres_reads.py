"""What is read from a PostgreSQL store: each function is one statement."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg import Cursor

from lash_es.codec.errors import UndecodableValue
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey, IndexKind
from lash_es.log.appends import Activity, IndexRow, StoredBody
from lash_es.log.port import StreamHead
from lash_es.log.stores.facts import row_record
from lash_es.log.stores.postgres_arrays import Blobs, Integers, Texts, int8

_HEAD: Final = """
    SELECT stream, version, digest, generation, status, at_ms, activity_seq,
           oldest, trim_position, low_version, low_seq
      FROM lash_es_heads WHERE stream = %b
"""
_HEADS: Final = """
    SELECT stream, version, digest, generation, status, at_ms, activity_seq,
           oldest, trim_position, low_version, low_seq
      FROM lash_es_heads WHERE stream > %b AND stream < %b ORDER BY stream LIMIT %b
"""
_RECORDS: Final = """
    SELECT originator_version, topic, state FROM stored_events
     WHERE originator_id = %b AND originator_version >= %b ORDER BY originator_version LIMIT %b
"""
_BODIES: Final = """
    SELECT position, ordinal, media_type, salt, content, sealing
      FROM unnest(%b, %b) AS wanted (position, ordinal)
           JOIN lash_es_bodies USING (position, ordinal)
           JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b
"""
_INDEX: Final = """
    SELECT wanted.ordinality, value
      FROM unnest(%b, %b) WITH ORDINALITY AS wanted (kind, key)
           JOIN lash_es_index AS i ON (i.kind, i.key) = (wanted.kind, wanted.key)
           JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b
"""
_INDEX_PAGE: Final = """
    SELECT kind, key, value FROM lash_es_index JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b AND (kind, key) > (%b, %b) ORDER BY kind, key LIMIT %b
"""
_ACTIVITY: Final = """
    SELECT a.version, a.seq, a.at_ms, a.payload
      FROM lash_es_activity AS a JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b AND (a.version, a.seq) > (%b, %b) ORDER BY a.version, a.seq LIMIT %b
"""
_NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

Row = tuple[Any, ...]  # psycopg's own word for a row: what is in it, the statement says.


def ask(cursor: Cursor[Row], statement: str, parameters: Sequence[object] = ()) -> Cursor[Row]:
    """Run a prepared statement; its rows are there until the cursor's next one."""
    return cursor.execute(statement.encode(), parameters, prepare=True)


def head(cursor: Cursor[Row], stream: StreamId) -> StreamHead | None:
    """Read the head row."""
    row = ask(cursor, _HEAD, [stream.key]).fetchone()
    return None if row is None else _head(row)


def heads(
    cursor: Cursor[Row], namespace: str, after: str, heads_max: int
) -> tuple[StreamHead, ...]:
    """List head rows: a namespace's keys lie between ``namespace/`` and ``namespace0``."""
    first = max(after, f"{namespace}/")
    rows = ask(cursor, _HEADS, [first, f"{namespace}0", int8(heads_max)])
    return tuple(_head(row) for row in rows)


def _head(row: Row) -> StreamHead:
    key, version, digest, generation, status, at_ms, activity_seq, *lower = row
    oldest, trim_position, low_version, low_seq = lower
    return StreamHead(
        stream=StreamId.of_key(key),
        version=Version(version),
        digest=digest,
        generation=Generation(generation),
        status=status,
        at_ms=at_ms,
        activity_seq=activity_seq,
        oldest=Position(oldest),
        trim_position=None if trim_position is None else Position(trim_position),
        low_water=(Version(low_version), low_seq),
    )


def records(
    cursor: Cursor[Row], stream: StreamId, first: Position, records_max: int
) -> tuple[Record, ...]:
    """Read records from a position on."""
    rows = ask(cursor, _RECORDS, [stream.key, int8(first), int8(records_max)])
    return tuple([row_record(*row) for row in rows])


def bodies(
    cursor: Cursor[Row], stream: StreamId, refs: Sequence[BodyRef]
) -> Mapping[BodyRef, StoredBody]:
    """Read bodies."""
    positions = Integers([ref.position for ref in refs])
    ordinals = Integers([ref.ordinal for ref in refs])
    rows = ask(cursor, _BODIES, [positions, ordinals, stream.key])
    return {body.ref: body for body in map(_body, rows)}


def _body(row: Row) -> StoredBody:
    position, ordinal, media_type, salt, content, sealing = row
    ref = BodyRef(position=Position(position), ordinal=ordinal)
    return StoredBody(ref=ref, media_type=media_type, salt=salt, content=content, sealing=sealing)


def index(
    cursor: Cursor[Row], stream: StreamId, keys: Sequence[IndexKey]
) -> Mapping[IndexKey, bytes]:
    """Read the values of index keys."""
    kinds = Texts([key.kind.value for key in keys])
    texts = Blobs([key.key.encode() for key in keys])
    rows = ask(cursor, _INDEX, [kinds, texts, stream.key])
    return {keys[number - 1]: value for number, value in rows}


def index_page(
    cursor: Cursor[Row], stream: StreamId, after: IndexKey | None, rows_max: int
) -> tuple[IndexRow, ...]:
    """Read index rows after a key, ordered by kind and key."""
    bound = ("", b"") if after is None else (after.kind.value, after.key.encode())
    rows = ask(cursor, _INDEX_PAGE, [stream.key, *bound, int8(rows_max)])
    return tuple(IndexRow(key=_index_key(kind, key), value=value) for kind, key, value in rows)


def _index_key(kind: str, key: bytes) -> IndexKey:
    try:
        return IndexKey(IndexKind(kind), key.decode())
    except ValueError as cause:  # A decoding error is one, too.
        reason = f"no kind {kind!r} or no text"
        raise UndecodableValue(what=f"index row {key!r}", reason=reason) from cause


def activity(
    cursor: Cursor[Row], stream: StreamId, after: tuple[Version, int], activities_max: int
) -> tuple[Activity, ...]:
    """Read activity after a version and sequence."""
    version, seq = after
    rows = ask(cursor, _ACTIVITY, [stream.key, *map(int8, (version, seq, activities_max))])
    return tuple(
        Activity(version=Version(version), seq=seq, at_ms=at_ms, payload=payload)
        for version, seq, at_ms, payload in rows
    )


def now_us(cursor: Cursor[Row]) -> int:
    """Read the server's clock, in epoch microseconds."""
    ((now,),) = ask(cursor, _NOW)
    return int(now)
