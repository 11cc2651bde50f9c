"""
The queues of inputs and of work, without their contents: ids, keys, states and counts, from
resident state.
"""

from attrs import frozen

from lash_es.core.batches import WorkClass
from lash_es.core.ids import BatchId, ClaimId, InputId
from lash_es.core.ingress import TurnInputIngress
from lash_es.core.outcomes import InputStatus
from lash_es.core.rules import work
from lash_es.core.rules.inputs import is_held
from lash_es.core.state import Open


@frozen(kw_only=True)
class PendingEntry:
    """An input that waits, or that a claim or the open turn holds."""

    input_id: InputId
    sequence: int
    source_key: str | None
    status: InputStatus
    ingress: TurnInputIngress
    enqueued_at_ms: int
    claim_id: ClaimId | None
    is_held: bool


@frozen(kw_only=True)
class PendingBatch:
    """A batch of queued work that has not finished."""

    batch_id: BatchId
    sequence: int
    source_key: str | None
    work_class: WorkClass
    available_at_ms: int
    enqueued_at_ms: int
    claim_id: ClaimId | None
    is_held: bool


@frozen(kw_only=True)
class PendingQueues:
    """What waits, in the order of its sequence. The counts are of what nothing holds."""

    inputs: tuple[PendingEntry, ...]
    inputs_count: int
    batches: tuple[PendingBatch, ...] = ()
    batches_count: int = 0


def pending_queues(session: Open, now_ms: int) -> PendingQueues:
    """Describe the queues as of the state; whether a claim is live is a question of ``now_ms``."""
    held = {
        entry.input_id: is_held(session, entry, now_ms)
        for entry in session.inputs.pending.values()
    }
    entries = tuple(
        PendingEntry(
            input_id=entry.input_id,
            sequence=entry.sequence,
            source_key=entry.source_key,
            status=entry.status(is_held=held[entry.input_id]),
            ingress=entry.ingress,
            enqueued_at_ms=entry.enqueued_at_ms,
            claim_id=None if entry.claim is None else entry.claim.claim_id,
            is_held=held[entry.input_id],
        )
        for entry in session.inputs.pending.values()
    )
    batches = _pending_batches(session, now_ms)
    return PendingQueues(
        inputs=entries,
        inputs_count=sum(not entry.is_held for entry in entries),
        batches=batches,
        batches_count=sum(not batch.is_held for batch in batches),
    )


def _pending_batches(session: Open, now_ms: int) -> tuple[PendingBatch, ...]:
    return tuple(
        PendingBatch(
            batch_id=batch.batch_id,
            sequence=batch.sequence,
            source_key=batch.source_key,
            work_class=batch.work_class,
            available_at_ms=batch.available_at_ms,
            enqueued_at_ms=batch.enqueued_at_ms,
            claim_id=None if batch.claim is None else batch.claim.claim_id,
            is_held=work.is_held(session, batch, now_ms),
        )
        for batch in session.work.batches.values()
    )
