"""
Requests that concern queued work; they are members of ``commands.Command`` and obey what is said
there.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import (
    DeliveryPolicy,
    MergeKey,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.bodies import NewBody
from lash_es.core.ids import BatchId, ClaimId, TurnId
from lash_es.core.owners import Fence


@frozen(kw_only=True)
class EnqueueWork:
    """Take a batch. A ``source_key`` names the first batch that came with it, whatever it held."""

    now_ms: int
    batch_id: BatchId
    source_key: str | None
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    kinds: tuple[WorkKind, ...]
    bodies: tuple[NewBody, ...]


@frozen
class LeadingCommand:
    """The first batch, if it is a session command."""


@frozen(kw_only=True)
class LeadingTurnWork:
    """
    The first batch, if it is turn work, and what joins it; ``turn_id``: into that open turn.
    """

    boundary: WorkBoundary
    batches_max: int
    turn_id: TurnId | None = None


@frozen(kw_only=True)
class TheseBatches:
    """Exactly these, if they lead and belong together, in this order."""

    boundary: WorkBoundary
    batch_ids: tuple[BatchId, ...]


WorkSelection: TypeAlias = LeadingCommand | LeadingTurnWork | TheseBatches


@frozen(kw_only=True)
class ClaimWork:
    """Hold what is ready and leads."""

    now_ms: int
    fence: Fence
    token: str
    selection: WorkSelection


@frozen(kw_only=True)
class WithWork:
    """The turn runs on the batches of a claim of turn work; a member of ``TurnSource``."""

    claim_id: ClaimId
    token: str


@frozen(kw_only=True)
class AbandonWorkClaim:
    """Give claimed batches back. A claim that holds nothing any more is given back silently."""

    now_ms: int
    claim_id: ClaimId
    token: str


@frozen(kw_only=True)
class CancelWork:
    """Withdraw a batch that nobody holds."""

    now_ms: int
    batch_id: BatchId


@frozen(kw_only=True)
class CompleteWork:
    """Say that claimed work is done where no turn has to be committed for it."""

    now_ms: int
    fence: Fence
    completions: tuple[WorkCompletion, ...]


OwnerWorkCommand: TypeAlias = ClaimWork | CompleteWork
WorkCommand: TypeAlias = EnqueueWork | AbandonWorkClaim | CancelWork | OwnerWorkCommand
