"""
Activity in a PostgreSQL store: each function is one statement.

The row lock on the head comes first and shows its newest version: what is refused is refused for a
reason that was true, and activity is numbered on from what is there. What is pruned is chosen from
what the statement saw when it began. Others may have written since, but only behind that, since
numbers are given under the lock.
"""

from typing import Final

from psycopg import Cursor
from psycopg.types.numeric import Int8

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import ActivityAppended, ActivityRefused, ActivityResult
from lash_es.log.stores.postgres_arrays import INT8_MAX, Blobs
from lash_es.log.stores.postgres_reads import Row, ask

_ACTIVITY: Final = """
    WITH head AS MATERIALIZED (
        SELECT stream_no, version, generation, activity_seq FROM lash_es_heads
         WHERE stream = %b FOR NO KEY UPDATE),
    new AS MATERIALIZED (
        SELECT stream_no, activity_seq + ordinality AS seq, payload
          FROM head, unnest(%b) WITH ORDINALITY AS new (payload)
         WHERE head.version = %b AND head.generation = %b),
    activity AS (
        INSERT INTO lash_es_activity (stream_no, version, seq, at_ms, payload)
        SELECT stream_no, %b, seq, %b, payload FROM new),
    numbered AS (
        UPDATE lash_es_heads AS h SET activity_seq = last.seq
          FROM (SELECT stream_no, max(seq) AS seq FROM new GROUP BY stream_no) AS last
         WHERE h.stream_no = last.stream_no)
    SELECT version, generation, activity_seq FROM head
"""
_LAST_PRUNED: Final = """
    last AS MATERIALIZED (
        SELECT version, seq FROM (
            (SELECT a.version, a.seq FROM head JOIN lash_es_activity AS a USING (stream_no)
              ORDER BY a.version DESC, a.seq DESC LIMIT 1 OFFSET %b)
            UNION ALL
            (SELECT a.version, a.seq FROM head JOIN lash_es_activity AS a USING (stream_no)
              WHERE a.at_ms < %b ORDER BY a.version DESC, a.seq DESC LIMIT 1)) AS either
         ORDER BY version DESC, seq DESC LIMIT 1),
    pruned AS (
        DELETE FROM lash_es_activity AS a USING head, last
         WHERE a.stream_no = head.stream_no AND (a.version, a.seq) <= (last.version, last.seq)
        RETURNING 1)
"""


def _with_pruning(statement: str) -> str:
    """Put the part in which rows are chosen and deleted into a statement."""
    return statement.replace("<pruning>", _LAST_PRUNED)


# A number that is left out after a loss is pruned as it is given.
_ACTIVITY_AND_LOW_WATER: Final = _with_pruning("""
    WITH found AS MATERIALIZED (
        SELECT stream_no, version, generation, activity_seq, low_version, low_seq
          FROM lash_es_heads WHERE stream = %b FOR NO KEY UPDATE),
    head AS MATERIALIZED (
        SELECT *, %b AS lost FROM found WHERE version = %b AND generation = %b),
    <pruning>,
    low AS MATERIALIZED (
        SELECT version, seq FROM (
            SELECT low_version AS version, low_seq AS seq FROM head
            UNION ALL SELECT version, seq FROM last
            UNION ALL SELECT version, activity_seq + 1 FROM head WHERE lost = 1) AS any_of
         ORDER BY version DESC, seq DESC LIMIT 1),
    numbered AS (
        UPDATE lash_es_heads AS h
           SET activity_seq = head.activity_seq + head.lost + %b,
               low_version = low.version, low_seq = low.seq
          FROM head, low WHERE h.stream_no = head.stream_no),
    activity AS (
        INSERT INTO lash_es_activity (stream_no, version, seq, at_ms, payload)
        SELECT stream_no, version, activity_seq + lost + ordinality, %b, payload
          FROM head, unnest(%b) WITH ORDINALITY AS new (payload))
    SELECT version, generation, activity_seq FROM found
""")
_TRIM: Final = _with_pruning("""
    WITH head AS MATERIALIZED (
        SELECT stream_no, low_version, low_seq FROM lash_es_heads
         WHERE stream = %b FOR NO KEY UPDATE),
    <pruning>,
    lowered AS (
        UPDATE lash_es_heads AS h SET low_version = last.version, low_seq = last.seq
          FROM head, last
         WHERE h.stream_no = head.stream_no
               AND (head.low_version, head.low_seq) < (last.version, last.seq))
    SELECT count(*) FROM pruned
""")
_NO_WINDOW: Final = ActivityWindow(records_max=INT8_MAX, age_ms_max=INT8_MAX)


def append_activity(cursor: Cursor[Row], new: NewActivity) -> ActivityResult:
    """Number activity on from the head row and insert it; refuse it if the head has moved on."""
    if new.window is None and not new.is_after_loss:
        statement, parameters = _ACTIVITY, _parameters(new)
    else:
        statement, parameters = _ACTIVITY_AND_LOW_WATER, _parameters_and_window(new)
    row = ask(cursor, statement, parameters).fetchone()
    version, generation, seq = row or (0, 0, 0)
    if (version, generation) != (new.version, new.generation) or row is None:
        return ActivityRefused(version=Version(version), generation=Generation(generation))
    last = seq + new.is_after_loss + len(new.payloads)
    return ActivityAppended(version=new.version, seq=last)


def _parameters(new: NewActivity) -> tuple[object, ...]:
    return (
        new.stream.key,
        Blobs(new.payloads),
        Int8(new.version),
        Int8(new.generation),
        Int8(new.version),
        Int8(new.at_ms),
    )


def _parameters_and_window(new: NewActivity) -> tuple[object, ...]:
    window = _NO_WINDOW if new.window is None else new.window
    return (
        new.stream.key,
        Int8(new.is_after_loss),
        Int8(new.version),
        Int8(new.generation),
        *_bounds(window, len(new.payloads), new.at_ms),
        Int8(len(new.payloads)),
        Int8(new.at_ms),
        Blobs(new.payloads),
    )


def _bounds(window: ActivityWindow, coming: int, at_ms: int) -> tuple[Int8, Int8]:
    """Return how many records are passed over, from the newest on, and what is too old."""
    return (Int8(max(0, window.records_max - coming)), Int8(at_ms - window.age_ms_max))


def trim_activity(
    cursor: Cursor[Row], stream: StreamId, window: ActivityWindow, at_ms: int
) -> int:
    """Prune a stream's activity by a window; returns how many records went."""
    ((count,),) = ask(cursor, _TRIM, (stream.key, *_bounds(window, 0, at_ms)))
    return int(count)
