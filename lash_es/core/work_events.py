"""
Facts of queued work: what was enqueued, who holds it, what became of it.

They are members of ``events.Event`` and obey what is said there.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import DeliveryPolicy, MergeKey, SlotPolicy, WorkKind
from lash_es.core.bodies import Commitment
from lash_es.core.ids import BatchId, ClaimId, Generation


@frozen(kw_only=True)
class WorkEnqueued:
    """A batch was taken, durably; ``kinds`` and ``bodies`` are those of its items, in order."""

    at_ms: int
    batch_id: BatchId
    sequence: int
    source_key: str | None
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    kinds: tuple[WorkKind, ...]
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class WorkClaimed:
    """An owner holds these batches for as long as its generation holds the lease."""

    at_ms: int
    generation: Generation
    claim_id: ClaimId
    token: str
    batch_ids: tuple[BatchId, ...]


@frozen(kw_only=True)
class WorkClaimAbandoned:
    """The batches of a claim were given back."""

    at_ms: int
    claim_id: ClaimId
    batch_ids: tuple[BatchId, ...]


@frozen(kw_only=True)
class WorkCancelled:
    """A batch was withdrawn before anybody had done it."""

    at_ms: int
    batch_id: BatchId


@frozen(kw_only=True)
class WorkCompleted:
    """All that a claim held was done; in the same append is what it came to."""

    at_ms: int
    generation: Generation
    claim_id: ClaimId
    batch_ids: tuple[BatchId, ...]


@frozen(kw_only=True)
class FinishedWorkPruned:
    """Batches that had finished by now are forgotten: their source keys are free again."""

    at_ms: int
    batches_count: int


WorkEvent: TypeAlias = (
    WorkEnqueued
    | WorkClaimed
    | WorkCompleted
    | WorkClaimAbandoned
    | WorkCancelled
    | FinishedWorkPruned
)
