"""
Many appends in one statement: each batch is all or nothing, and a conflict fails only its own.

1. The head rows are locked first, in the order of their keys, so that no two groups wait for each
   other; what a lock shows is the newest version, whatever the statement saw when it began.
2. A batch wins if every stream of it is where it was expected. What it writes is joined to that.
3. A stream that somebody else creates meanwhile breaks the statement, which has then written
   nothing: run again, it sees the new head row. It breaks as a duplicate; or, if its creator has
   moved it on in a group that waits for a stream this one creates, as the server's deadlock.
4. A stream occurs once in a statement; batches that share one take turns, in their order.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

from psycopg import Cursor
from psycopg.errors import DeadlockDetected, UniqueViolation

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.appends import (
    Appended,
    AppendResult,
    Conflict,
    StoredSnapshot,
    StreamAppend,
    Unknown,
)
from lash_es.log.stores.postgres_arrays import Blobs, Integers, Texts
from lash_es.log.stores.postgres_blobs import WRITE_BLOBS, blob_parameters
from lash_es.log.stores.postgres_reads import Row, ask
from lash_es.log.stores.postgres_snapshots import WITH_FACTS

Batch: TypeAlias = Sequence[StreamAppend]

_HEADS_CONSTRAINT: Final = "lash_es_heads_stream"

_GROUP_BEGINNING: Final = """
    WITH wanted AS MATERIALIZED (
        SELECT * FROM unnest(%b, %b, %b, %b, %b, %b, %b, %b, %b) WITH ORDINALITY AS wanted
            (stream, batch, expected, version, digest, generation, status, at_ms, loss, no)),
    found AS MATERIALIZED (
        SELECT stream_no, stream, version FROM lash_es_heads
         WHERE stream = ANY(%b) ORDER BY stream FOR NO KEY UPDATE),
    judged AS MATERIALIZED (
        SELECT wanted.*, found.stream_no, coalesce(found.version, 0) AS found,
               bool_and(wanted.expected = coalesce(found.version, 0))
                   OVER (PARTITION BY wanted.batch) AS wins
          FROM wanted LEFT JOIN found USING (stream)),
    moved AS (
        UPDATE lash_es_heads AS h
           SET version = j.version, digest = j.digest, generation = j.generation,
               status = j.status, at_ms = j.at_ms, activity_seq = 0,
               low_version = CASE j.loss WHEN 1 THEN h.version ELSE h.low_version END,
               low_seq = CASE j.loss WHEN 1 THEN h.activity_seq + 1 ELSE h.low_seq END
          FROM judged AS j WHERE j.wins AND h.stream_no = j.stream_no
        RETURNING j.no, h.stream_no, h.stream),
    created AS (
        INSERT INTO lash_es_heads
               (stream, version, digest, generation, status, at_ms, activity_seq)
        SELECT stream, version, digest, generation, status, at_ms, 0
          FROM judged WHERE wins AND stream_no IS NULL ORDER BY stream
        RETURNING stream_no, stream),
    written AS MATERIALIZED (
        SELECT no, stream_no, stream FROM moved
         UNION ALL
        SELECT no, created.stream_no, stream FROM created JOIN wanted USING (stream)),
    facts AS (
        INSERT INTO stored_events (originator_id, originator_version, topic, state)
        SELECT stream, position, topic, state
          FROM written JOIN unnest(%b, %b, %b, %b) AS new (no, position, topic, state) USING (no)
         ORDER BY no, position),
    bodies AS (
        INSERT INTO lash_es_bodies
               (stream_no, position, ordinal, media_type, salt, content, sealing)
        SELECT stream_no, position, ordinal, media_type, salt, content, sealing
          FROM written JOIN unnest(%b, %b, %b, %b, %b, %b, %b)
               AS new (no, position, ordinal, media_type, salt, content, sealing) USING (no)),
    index AS (
        INSERT INTO lash_es_index (stream_no, kind, key, value)
        SELECT stream_no, kind, key, value
          FROM written JOIN unnest(%b, %b, %b, %b) AS new (no, kind, key, value) USING (no)
        ON CONFLICT (stream_no, kind, key) DO UPDATE SET value = excluded.value)
"""
_GROUP_END: Final = """
    SELECT no, found, wins, written.no IS NOT NULL
      FROM judged LEFT JOIN written USING (no)
"""
_SNAPSHOTS: Final = """
    , snapshot AS (
        SELECT stream_no, version, fingerprint, digest, content, kept <> 0 AS is_kept
          FROM written JOIN unnest(%b, %b, %b, %b, %b, %b)
               AS new (no, version, fingerprint, digest, content, kept) USING (no))
"""


def append_each(cursor: Cursor[Row], batches: Sequence[Batch]) -> tuple[AppendResult, ...]:
    """
    Append every batch, each by itself, in one statement for all that share no stream.

    An error is raised where nothing at all was written; later it makes what was still to be
    written ``Unknown``, which is looked up as after a lost connection.
    """
    results: list[AppendResult] = []
    for turn in _turns(batches):
        try:
            results += append_group(cursor, turn)
        except Exception as cause:
            if not results:
                raise
            unknown = Unknown(reason=f"{type(cause).__name__} after others were written")
            return (*results, *[unknown] * (len(batches) - len(results)))
    return tuple(results)


def _turns(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    turn: list[Batch] = []
    seen: set[StreamId] = set()
    for batch in batches:
        streams = {append.stream for append in batch}
        if not seen.isdisjoint(streams):
            yield turn
            turn, seen = [], set()
        turn.append(batch)
        seen |= streams
    yield turn


def append_group(cursor: Cursor[Row], batches: Sequence[Batch]) -> list[AppendResult]:
    """Append batches that share no stream, in one statement."""
    appends = [(number, each) for number, batch in enumerate(batches) for each in batch]
    numbered = list(enumerate((each for _, each in appends), start=1))
    parameters = [*_heads(appends), *_facts(numbered), *_bodies(numbered), *_index(numbered)]
    statement = _GROUP_BEGINNING
    if any(each.blobs for _, each in appends):
        statement += f", {WRITE_BLOBS}"
        parameters += blob_parameters(numbered)
    taken = [(no, each.snapshot) for no, each in numbered if each.snapshot is not None]
    if taken:
        statement += _SNAPSHOTS + WITH_FACTS
        parameters += _snapshots(taken)
    statement += _GROUP_END
    rows = iter(sorted(_run(cursor, statement, parameters, reruns_max=len(appends))))
    return [_result(batch, [next(rows) for _ in batch]) for batch in batches]


def _run(
    cursor: Cursor[Row], statement: str, parameters: Sequence[object], reruns_max: int
) -> list[Row]:
    """Run the statement, again for each stream that is created between its sight and its write."""
    try:
        return ask(cursor, statement, parameters).fetchall()
    except DeadlockDetected:
        if not reruns_max:
            raise
    except UniqueViolation as cause:
        if cause.diag.constraint_name != _HEADS_CONSTRAINT or not reruns_max:
            raise
    return _run(cursor, statement, parameters, reruns_max - 1)


def _result(batch: Batch, rows: Sequence[Row]) -> AppendResult:
    """Say what became of a batch; a row is (number, version found, wins, is written)."""
    for append, (_, found, _, _) in zip(batch, rows, strict=True):
        if found != append.expected_version:
            expected = append.expected_version
            return Conflict(stream=append.stream, expected=expected, found=Version(found))
    if not all(is_written for *_, is_written in rows):
        # A belief about the server: a row that is locked does not change before it is updated.
        return Unknown(reason="a head row changed under its lock")
    return Appended(versions=tuple(append.version for append in batch))


def _heads(appends: Sequence[tuple[int, StreamAppend]]) -> Iterator[object]:
    each = [append for _, append in appends]
    streams = Texts([append.stream.key for append in each])
    yield streams
    yield Integers([number for number, _ in appends])
    yield Integers([append.expected_version for append in each])
    yield Integers([append.version for append in each])
    yield Blobs([append.digest for append in each])
    yield Integers([append.generation for append in each])
    yield Texts([append.status for append in each])
    yield Integers([append.at_ms for append in each])
    yield Integers([append.is_after_loss for append in each])
    yield streams


def _facts(appends: Sequence[tuple[int, StreamAppend]]) -> Iterator[object]:
    facts = [(no, record) for no, append in appends for record in append.records]
    yield Integers([no for no, _ in facts])
    yield Integers([record.position for _, record in facts])
    yield Texts([record.name for _, record in facts])
    yield Blobs([record.stored for _, record in facts])


def _bodies(appends: Sequence[tuple[int, StreamAppend]]) -> Iterator[object]:
    bodies = [(no, body) for no, append in appends for body in append.bodies]
    yield Integers([no for no, _ in bodies])
    yield Integers([body.ref.position for _, body in bodies])
    yield Integers([body.ref.ordinal for _, body in bodies])
    yield Texts([body.media_type for _, body in bodies])
    yield Blobs([body.salt for _, body in bodies])
    yield Blobs([body.content for _, body in bodies])
    yield Texts([body.sealing for _, body in bodies])


def _index(appends: Sequence[tuple[int, StreamAppend]]) -> Iterator[object]:
    rows = {(no, row.key): row.value for no, append in appends for row in append.index}
    yield Integers([no for no, _ in rows])
    yield Texts([key.kind.value for _, key in rows])
    yield Blobs([key.key.encode() for _, key in rows])
    yield Blobs(list(rows.values()))


def _snapshots(taken: Sequence[tuple[int, StoredSnapshot]]) -> Iterator[object]:
    yield Integers([no for no, _ in taken])
    yield Integers([snapshot.version for _, snapshot in taken])
    yield Texts([snapshot.fingerprint for _, snapshot in taken])
    yield Blobs([snapshot.digest for _, snapshot in taken])
    yield Blobs([snapshot.content for _, snapshot in taken])
    yield Integers([snapshot.is_kept for _, snapshot in taken])
