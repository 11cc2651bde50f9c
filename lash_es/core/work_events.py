"""
Facts of queued work: what was enqueued, who holds it, what became of it.

They are members of ``events.Event`` and obey what is said there.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import DeliveryPolicy, MergeKey, SlotPolicy, WorkKind
from lash_es.core.bodies import Commitment
from lash_es.core.ids import BatchId, ClaimId, Generation, TurnId


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
    """
    An owner holds these batches for as long as its generation holds the lease.

    ``turn_id`` is the open turn that takes them in at a checkpoint: from its next model call on
    they belong to it whoever holds the lease. None: they are not for an open turn.
    """

    at_ms: int
    generation: Generation
    claim_id: ClaimId
    token: str
    turn_id: TurnId | None
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
class WorkFailed:
    """The turns that took these batches kept ending without a commit: they are not tried again."""

    at_ms: int
    generation: Generation
    batch_ids: tuple[BatchId, ...]


@frozen(kw_only=True)
class FinishedWorkPruned:
    """Batches that had finished by now are forgotten: their source keys are free again."""

    at_ms: int
    batches_count: int


@frozen(kw_only=True)
class DrainedWork:
    """The turn took these batches of turn work, in this order; a member of ``TurnOrigin``."""

    batch_ids: tuple[BatchId, ...]


WorkEvent: TypeAlias = (
    WorkEnqueued
    | WorkClaimed
    | WorkCompleted
    | WorkFailed
    | WorkClaimAbandoned
    | WorkCancelled
    | FinishedWorkPruned
)
