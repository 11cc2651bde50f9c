"""
Typed answers to the caller, computed from state, ``known`` and the facts that were appended.

A lost race is told here and not raised: an input that was just claimed, a lease that is another's.
"""

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

import attrs
from attrs import frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import (
    AcquireLease,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    CommitTurn,
    EnqueueTurnInput,
    ReclaimLease,
    StartTurn,
)
from lash_es.core.events import (
    Event,
    LeaseAcquired,
    TurnCommitted,
    TurnInputCancelled,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    body_ref,
)
from lash_es.core.ids import ClaimId, Generation, InputId, Revision, SessionId, TurnId
from lash_es.core.ingress import Boundary, TurnInputIngress
from lash_es.core.inputs import PendingInput
from lash_es.core.known import InputEntry, Known, TurnEntry
from lash_es.core.leases import Holder
from lash_es.core.outcomes import InputStatus
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.rules.inputs import is_held
from lash_es.core.rules.settled import settled_input
from lash_es.core.stamps import stamped
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn


@frozen(kw_only=True)
class TurnInputReceipt:
    """An input as the log knows it, without its content, which is at ``body``."""

    input_id: InputId
    sequence: int
    source_key: str | None
    ingress: TurnInputIngress
    status: InputStatus
    enqueued_at_ms: int
    body: BodyRef


@frozen(kw_only=True)
class ClaimDiagnostics:
    """
    Who holds an input: its claim and the generation of the lease under which it was claimed.

    ``fencing`` counts the claims of the input so far. ``owner`` is none if the lease is another's
    by now: then the open turn has the input.
    """

    status: InputStatus
    claim_id: ClaimId
    generation: Generation
    fencing: int
    owner: LeaseOwner | None


@frozen
class NotFound:
    """No input of this id was ever enqueued."""


@frozen
class AlreadyCancelled:
    """It was cancelled before."""

    input: TurnInputReceipt


@frozen
class AlreadyCompleted:
    """A turn has settled it: completed, or failed after too many tries."""

    input: TurnInputReceipt


@frozen
class AlreadyClaimed:
    """A turn, or a live claim, holds it."""

    input: TurnInputReceipt
    claim: ClaimDiagnostics | None


@frozen
class Cancelled:
    """It is cancelled, by this call."""

    input: TurnInputReceipt


CancelOutcome: TypeAlias = (
    NotFound | AlreadyCancelled | AlreadyCompleted | AlreadyClaimed | Cancelled
)


@frozen
class Acquired:
    """
    The lease is mine.

    ``is_new``: under a new generation, so that earlier claims are superseded.
    """

    fence: Fence
    is_new: bool


@frozen
class Busy:
    """Another owner holds the lease."""

    holder: Holder


LeaseReceipt: TypeAlias = Acquired | Busy


@frozen
class TurnOpen:
    """The turn is open: started by this call, or before."""

    turn_id: TurnId


@frozen
class TurnOver:
    """The turn ran before; its record says how it ended."""

    entry: TurnEntry


TurnReceipt: TypeAlias = TurnOpen | TurnOver


@frozen
class CommitReceipt:
    """What a commit came to; ``is_stored``: it was made before, and nothing happened again."""

    revision: Revision
    commit_hash: str
    is_stored: bool


def committed(
    before: Open, command: CommitTurn, known: Known, events: Sequence[Event]
) -> CommitReceipt:
    """Say which commit it is; ``before`` is the state that it was decided on."""
    made = next((each for each in events if isinstance(each, TurnCommitted)), None)
    if made is not None and isinstance(before.turn, OpenTurn):
        stamp = stamped(before, before.turn, made)
        return CommitReceipt(stamp.revision, stamp.commit_hash, is_stored=False)
    entry = known.turn(command.turn_id)
    if entry is None or entry.stamp is None:
        raise LookupError(f"turn {command.turn_id!r} was neither committed now nor before")
    return CommitReceipt(entry.stamp.revision, entry.stamp.commit_hash, is_stored=True)


def enqueued(after: Open, command: EnqueueTurnInput, known: Known) -> TurnInputReceipt:
    """
    Describe the input that the command made, or the one that its source key had named before.
    """
    entry = known.source_key(command.source_key or "")
    is_new = entry is None or command.input_id in after.inputs.pending
    input_id = command.input_id if entry is None or is_new else entry.input_id
    pending = after.inputs.pending.get(input_id)
    settled_entry = settled_input(after.inputs, known, input_id)
    if pending is not None:
        return waiting(pending, is_held=is_held(after, pending, command.now_ms))
    if settled_entry is not None:
        return settled(settled_entry)
    raise LookupError(f"input {input_id!r} is neither pending nor settled")


def waiting(entry: PendingInput, *, is_held: bool = False) -> TurnInputReceipt:
    """Describe an input that has not been settled; ``is_held``: a claim or the turn has it."""
    return TurnInputReceipt(
        input_id=entry.input_id,
        sequence=entry.sequence,
        source_key=entry.source_key,
        ingress=entry.ingress,
        status=entry.status(is_held=is_held),
        enqueued_at_ms=entry.enqueued_at_ms,
        body=body_ref(entry.position),
    )


def settled(entry: InputEntry) -> TurnInputReceipt:
    """Describe an input that has left the state."""
    return TurnInputReceipt(
        input_id=entry.input_id,
        sequence=entry.sequence,
        source_key=entry.source_key,
        ingress=entry.ingress,
        status=entry.status,
        enqueued_at_ms=entry.enqueued_at_ms,
        body=entry.body,
    )


def cancelled(
    before: Open, input_id: InputId, known: Known, events: Sequence[Event]
) -> CancelOutcome:
    """Say what became of a wish to cancel; ``before`` is the state that it was decided on."""
    pending = before.inputs.pending.get(input_id)
    if pending is not None:
        if input_id in _withdrawn(events):
            return Cancelled(attrs.evolve(waiting(pending), status=InputStatus.CANCELLED))
        return AlreadyClaimed(waiting(pending, is_held=True), _diagnostics(before, pending))
    entry = settled_input(before.inputs, known, input_id)
    if entry is None:
        return NotFound()
    if entry.status is InputStatus.CANCELLED:
        return AlreadyCancelled(settled(entry))
    return AlreadyCompleted(settled(entry))


def _withdrawn(events: Sequence[Event]) -> list[InputId]:
    one = [each.input_id for each in events if isinstance(each, TurnInputCancelled)]
    many = [each.input_ids for each in events if isinstance(each, TurnInputsCancelled)]
    return [*one, *chain.from_iterable(many)]


def _diagnostics(session: Open, entry: PendingInput) -> ClaimDiagnostics | None:
    if entry.claim is None:
        return None
    lease = session.lease
    # A claim that the open turn keeps may be older than the lease; its owner is then not the
    # holder.
    holder = lease.holder if entry.claim.generation == lease.generation else None
    return ClaimDiagnostics(
        status=entry.status(is_held=True),
        claim_id=entry.claim.claim_id,
        generation=entry.claim.generation,
        fencing=entry.claims_count,
        owner=None if holder is None else holder.owner,
    )


@frozen(kw_only=True)
class ForNextTurn:
    """The claim is for the next turn."""


@frozen(kw_only=True)
class ForActiveTurn:
    """The claim was made at a checkpoint of this turn."""

    turn_id: TurnId
    checkpoint: Boundary


ClaimMode: TypeAlias = ForNextTurn | ForActiveTurn


@frozen(kw_only=True)
class TurnInputClaim:
    """
    Inputs that are held, in the order of their sequence; ``fencing`` counts the first one's
    claims.
    """

    session_id: SessionId
    claim_id: ClaimId
    token: str
    owner: LeaseOwner
    generation: Generation
    fencing: int
    mode: ClaimMode
    inputs: tuple[TurnInputReceipt, ...]

    @property
    def input_ids(self) -> tuple[InputId, ...]:
        """The ids of the inputs, in order."""
        return tuple(each.input_id for each in self.inputs)


def claimed(
    after: Open, command: ClaimTurnInputs | ClaimActiveTurnInputs, events: Sequence[Event]
) -> TurnInputClaim | None:
    """Describe the claim that was made; none if nothing was there to be claimed."""
    made = [each for each in events if isinstance(each, TurnInputsClaimed | TurnInputsAccepted)]
    if not made:
        return None
    event = made[0]
    entries = [after.inputs.pending[input_id] for input_id in event.input_ids]
    return TurnInputClaim(
        session_id=after.session_id,
        claim_id=event.claim_id,
        token=event.token,
        owner=command.fence.owner,
        generation=event.generation,
        fencing=entries[0].claims_count,
        mode=ForActiveTurn(turn_id=event.turn_id, checkpoint=event.checkpoint)
        if isinstance(event, TurnInputsAccepted)
        else ForNextTurn(),
        inputs=tuple(waiting(entry, is_held=True) for entry in entries),
    )


def leased(
    after: Open, command: AcquireLease | ReclaimLease, events: Sequence[Event]
) -> LeaseReceipt:
    """Say whether the lease is the caller's."""
    holder = after.lease.holder
    if holder is None:
        raise LookupError("a lease that was asked for is either taken or another's")
    if not events:
        return Busy(holder)
    fence = Fence(owner=command.owner, token=holder.token, generation=after.lease.generation)
    return Acquired(fence, is_new=isinstance(events[0], LeaseAcquired))


def started(command: StartTurn, known: Known) -> TurnReceipt:
    """Say whether the turn is open, or was over before."""
    entry = known.turn(command.turn_id)
    if entry is None or entry.ended is None:
        return TurnOpen(command.turn_id)
    return TurnOver(entry)


def pending(session: Open, now_ms: int) -> tuple[PendingInput, ...]:
    """List the inputs that nothing holds, in the order of their sequence."""
    entries = session.inputs.pending.values()
    return tuple(entry for entry in entries if not is_held(session, entry, now_ms))
