"""Facts of queued work, told in sentences: what was queued, and what became of it."""

from typing import assert_never

from lash_es.core.work_events import (
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkEvent,
    WorkFailed,
)


def told_work(event: WorkEvent) -> str:
    """Tell one fact; what the items say is not quoted."""
    match event:
        case WorkEnqueued():
            return f"work is queued: {', '.join(kind.value for kind in event.kinds)}"
        case WorkClaimed():
            into = "" if event.turn_id is None else " for the open turn"
            return f"{_batches(len(event.batch_ids))} claimed as {event.claim_id}{into}"
        case WorkClaimAbandoned():
            return f"{_batches(len(event.batch_ids))} of {event.claim_id} given back"
        case WorkCancelled():
            return f"batch {event.batch_id[:24]} withdrawn"
        case WorkCompleted() | WorkFailed():
            return _ended(event)
        case FinishedWorkPruned():
            return f"{_batches(event.batches_count)} forgotten"
        case _:
            assert_never(event)


def _ended(event: WorkCompleted | WorkFailed) -> str:
    batches = _batches(len(event.batch_ids))
    if isinstance(event, WorkFailed):
        return f"{batches} tried too often"
    return f"{batches} of {event.claim_id} done"


def _batches(count: int) -> str:
    return "1 batch" if count == 1 else f"{count} batches"
