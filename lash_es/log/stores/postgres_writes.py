"""
What is written into a PostgreSQL store: every function's last statement is its one transaction.

One stream and few rows is one statement of scalars, cut to size: a row of ``VALUES`` costs the
server a third of what the same row costs out of ``unnest`` arrays. Anything larger, several
streams, and whoever lost a race goes by ``postgres_groups.py``.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from psycopg import Cursor
from psycopg.types.numeric import Int8

from lash_es.core.known import IndexKey
from lash_es.log.appends import Appended, AppendResult, StreamAppend
from lash_es.log.stores import postgres_groups as groups
from lash_es.log.stores import postgres_snapshots as snapshots
from lash_es.log.stores.postgres_reads import Row, ask

PARAMETERS_MAX: Final = 50
"""Up to so many psycopg keeps what it parsed of a statement; a turn's commit stays below."""

_HEAD_PARAMETERS: Final = 7
_SNAPSHOT_PARAMETERS: Final = 5
_FACT, _BODY, _ROW = "(%b, %b, %b)", "(%b, %b, %b, %b, %b, %b)", "(%b, %b, %b)"

_NEW_HEAD: Final = """
    INSERT INTO lash_es_heads (version, digest, generation, status, at_ms, stream, activity_seq)
    VALUES (%b, %b, %b, %b, %b, %b, %b) ON CONFLICT (stream) DO NOTHING RETURNING stream_no, stream
"""
_NEXT_HEAD: Final = """
    UPDATE lash_es_heads SET version = %b, digest = %b, generation = %b, status = %b, at_ms = %b,
           activity_seq = 0
     WHERE stream = %b AND version = %b RETURNING stream_no, stream
"""
_FACTS: Final = """
    , facts AS (
        INSERT INTO stored_events (originator_id, originator_version, topic, state)
        SELECT head.stream, new.* FROM head, (VALUES {rows}) AS new)
"""
_BODIES: Final = """
    , bodies AS (
        INSERT INTO lash_es_bodies
               (stream_no, position, ordinal, media_type, salt, content, sealing)
        SELECT head.stream_no, new.* FROM head, (VALUES {rows}) AS new)
"""
_INDEX: Final = """
    , index AS (
        INSERT INTO lash_es_index (stream_no, kind, key, value)
        SELECT head.stream_no, new.* FROM head, (VALUES {rows}) AS new
        ON CONFLICT (stream_no, kind, key) DO UPDATE SET value = excluded.value)
"""
_SNAPSHOT: Final = """
    , snapshot AS (
        SELECT head.stream_no, new.*
          FROM head, (VALUES (%b, %b, %b, %b, %b))
               AS new (version, fingerprint, digest, content, is_kept))
"""


def append(cursor: Cursor[Row], appends: Sequence[StreamAppend]) -> AppendResult:
    """Append in one statement; a second one only tells which version a loser lost to."""
    if not appends:
        return Appended(versions=())
    if len(appends) == 1 and not appends[0].is_after_loss and _append_one(cursor, appends[0]):
        return Appended(versions=(appends[0].version,))
    (result,) = groups.append_group(cursor, [appends])
    return result


def append_each(
    cursor: Cursor[Row], batches: Sequence[Sequence[StreamAppend]]
) -> tuple[AppendResult, ...]:
    """Append batches, each by itself; one alone, as most are, needs no group."""
    if len(batches) == 1:
        return (append(cursor, batches[0]),)
    return groups.append_each(cursor, batches)


def _append_one(cursor: Cursor[Row], append: StreamAppend) -> bool:
    """Append to one stream if few parameters say all; tell whether it was written."""
    index = {row.key: row.value for row in append.index}
    facts, bodies = len(append.records), len(append.bodies)
    has_snapshot = append.snapshot is not None
    parameters = _HEAD_PARAMETERS + 3 * facts + 6 * bodies + 3 * len(index)
    parameters += _SNAPSHOT_PARAMETERS * has_snapshot
    if append.blobs or parameters > PARAMETERS_MAX:
        return False
    is_new = append.expected_version == 0
    statement = _statement(is_new, facts, bodies, len(index), has_snapshot)
    return ask(cursor, statement, _parameters(append, index)).fetchone() is not None


@lru_cache(maxsize=256)
def _statement(is_new: bool, facts: int, bodies: int, index: int, has_snapshot: bool) -> str:
    """Compose the statement for so many rows; there are fewer such than a connection prepares."""
    parts = ["WITH head AS (", _NEW_HEAD if is_new else _NEXT_HEAD, ")"]
    for part, row, count in (
        (_FACTS, _FACT, facts),
        (_BODIES, _BODY, bodies),
        (_INDEX, _ROW, index),
    ):
        if count:
            parts.append(part.format(rows=", ".join([row] * count)))
    if has_snapshot:
        parts += (_SNAPSHOT, snapshots.WITH_FACTS)
    return "".join([*parts, "SELECT 1 FROM head"])


def _parameters(append: StreamAppend, index: dict[IndexKey, bytes]) -> list[object]:
    """Return the parameters in the statement's order."""
    parameters: list[object] = [
        Int8(append.version),
        append.digest,
        Int8(append.generation),
        append.status,
        Int8(append.at_ms),
        append.stream.key,
        # A new head's activity is 0, as its expected version is; another one is compared with it.
        Int8(append.expected_version),
    ]
    for record in append.records:
        parameters += (Int8(record.position), record.name, record.stored)
    for body in append.bodies:
        place = (Int8(body.ref.position), Int8(body.ref.ordinal))
        parameters += (*place, body.media_type, body.salt, body.content, body.sealing)
    for key, value in index.items():
        parameters += (key.kind.value, key.key.encode(), value)
    if append.snapshot is not None:
        parameters += snapshots.parameters_of(append.snapshot)
    return parameters
