"""Which index entries the facts of queued work make; called by ``index.py``."""

from typing import TypeAlias, assert_never

from lash_es.core.batches import BatchStatus
from lash_es.core.ids import BatchId, Position
from lash_es.core.known import BatchEntry, IndexEntry, IndexKey, IndexKind, WorkKeyEntry
from lash_es.core.state import Open
from lash_es.core.work_events import WorkCancelled, WorkCompleted, WorkEnqueued, WorkFailed

_Row: TypeAlias = tuple[IndexKey, IndexEntry]


def work_rows(
    before: Open,
    event: WorkEnqueued | WorkCompleted | WorkFailed | WorkCancelled,
    here: Position,
) -> tuple[_Row, ...]:
    """A source key names its batch, and a finished batch is remembered."""
    match event:
        case WorkEnqueued():
            return _work_named(event)
        case WorkCompleted():
            return _finished(before, event.batch_ids, BatchStatus.COMPLETED, here)
        case WorkFailed():
            return _finished(before, event.batch_ids, BatchStatus.FAILED, here)
        case WorkCancelled():
            return _finished(before, (event.batch_id,), BatchStatus.CANCELLED, here)
        case _:
            assert_never(event)


def _work_named(event: WorkEnqueued) -> tuple[_Row, ...]:
    if event.source_key is None:
        return ()
    entry = WorkKeyEntry(batch_id=event.batch_id)
    return ((IndexKey(IndexKind.WORK_KEY, event.source_key), entry),)


def _finished(
    before: Open, batch_ids: tuple[BatchId, ...], status: BatchStatus, here: Position
) -> tuple[_Row, ...]:
    batches = (before.work.batches[batch_id] for batch_id in batch_ids)
    return tuple(
        (
            IndexKey(IndexKind.BATCH, batch.batch_id),
            BatchEntry(
                batch_id=batch.batch_id,
                sequence=batch.sequence,
                source_key=batch.source_key,
                delivery=batch.delivery,
                slot=batch.slot,
                merge_key=batch.merge_key,
                available_at_ms=batch.available_at_ms,
                enqueued_at_ms=batch.enqueued_at_ms,
                kinds=batch.kinds,
                enqueued=batch.position,
                status=status,
                finished=here,
            ),
        )
        for batch in batches
    )
