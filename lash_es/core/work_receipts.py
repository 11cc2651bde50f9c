"""
What callers are told of queued work, computed from state, ``known`` and the facts that were
appended.
"""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import (
    BatchStatus,
    DeliveryPolicy,
    MergeKey,
    SlotPolicy,
    WorkClass,
    WorkKind,
    classes_of,
)
from lash_es.core.events import Event
from lash_es.core.ids import BatchId, ClaimId, Generation, Position
from lash_es.core.known import BatchEntry, Known
from lash_es.core.owners import LeaseOwner
from lash_es.core.rules.work import finished, is_held, named
from lash_es.core.state import Open
from lash_es.core.work import Batch
from lash_es.core.work_commands import EnqueueWork
from lash_es.core.work_events import WorkClaimed


@frozen(kw_only=True)
class BatchReceipt:
    """A batch as the log knows it, without its items, whose bodies are those of ``enqueued``."""

    batch_id: BatchId
    sequence: int
    source_key: str | None
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    enqueued_at_ms: int
    kinds: tuple[WorkKind, ...]
    enqueued: Position
    status: BatchStatus

    @property
    def work_class(self) -> WorkClass:
        """The class of all its items."""
        return classes_of(self.kinds)[0]


@frozen(kw_only=True)
class WorkClaimReceipt:
    """
    What a claim holds. ``fencing_token`` is how often its first batch was claimed;
    ``generation`` the one of the lease that it lives by.
    """

    claim_id: ClaimId
    token: str
    owner: LeaseOwner
    fencing_token: int
    generation: Generation
    batches: tuple[BatchReceipt, ...]

    @property
    def batch_ids(self) -> tuple[BatchId, ...]:
        """What a completion of it lists."""
        return tuple(batch.batch_id for batch in self.batches)


@frozen
class BatchUnknown:
    """No batch of this id was ever enqueued, or it finished and was pruned."""


@frozen
class BatchWaits:
    """Nobody holds it."""


@frozen
class BatchHeld:
    """A live claim holds it."""


@frozen
class BatchFinished:
    """It was completed or cancelled."""

    batch: BatchReceipt


BatchStanding: TypeAlias = BatchUnknown | BatchWaits | BatchHeld | BatchFinished


def described(batch: Batch | BatchEntry) -> BatchReceipt:
    """Describe a batch, open or finished."""
    return BatchReceipt(
        batch_id=batch.batch_id,
        sequence=batch.sequence,
        source_key=batch.source_key,
        delivery=batch.delivery,
        slot=batch.slot,
        merge_key=batch.merge_key,
        available_at_ms=batch.available_at_ms,
        enqueued_at_ms=batch.enqueued_at_ms,
        kinds=batch.kinds,
        enqueued=batch.position if isinstance(batch, Batch) else batch.enqueued,
        status=BatchStatus.OPEN if isinstance(batch, Batch) else batch.status,
    )


def work_enqueued(after: Open, command: EnqueueWork, known: Known) -> BatchReceipt:
    """
    Describe the batch that the command made, or the one that its source key had named before.
    """
    made = after.work.batches.get(command.batch_id)
    batch = made or named(after, command.source_key or "", known)
    if batch is None:
        raise LookupError(f"batch {command.batch_id!r} is neither open nor finished")
    return described(batch)


def work_claimed(after: Open, events: Sequence[Event]) -> WorkClaimReceipt | None:
    """Describe the claim that was made, if there was anything to claim."""
    claims = [event for event in events if isinstance(event, WorkClaimed)]
    if not claims:
        return None
    (claim,) = claims
    holder = after.lease.holder
    if holder is None:
        raise LookupError("a claim was made under a lease that nobody holds")
    batches = [after.work.batches[batch_id] for batch_id in claim.batch_ids]
    return WorkClaimReceipt(
        claim_id=claim.claim_id,
        token=claim.token,
        owner=holder.owner,
        fencing_token=batches[0].claims_count,
        generation=claim.generation,
        batches=tuple(map(described, batches)),
    )


def standing(session: Open, batch_id: BatchId, known: Known, now_ms: int) -> BatchStanding:
    """Say where a batch is."""
    batch = session.work.batches.get(batch_id)
    if batch is not None:
        return BatchHeld() if is_held(session, batch, now_ms) else BatchWaits()
    entry = finished(session, batch_id, known)
    return BatchUnknown() if entry is None else BatchFinished(described(entry))


def work_pending(session: Open, now_ms: int) -> tuple[BatchReceipt, ...]:
    """List the batches that no live claim holds, ready or not, in the order of their sequence."""
    batches = session.work.batches.values()
    return tuple(described(each) for each in batches if not is_held(session, each, now_ms))


def work_open(session: Open) -> tuple[BatchReceipt, ...]:
    """List every batch that has not finished, claimed or not, in the order of their sequence."""
    return tuple(map(described, session.work.batches.values()))
