"""
Slice: pending turn input. What was enqueued and has not been settled, in the order of its
sequence.

A claim holds an input while its generation holds the lease, or while the open turn has taken it;
settled inputs leave the state and are found in the index.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import frozen

from lash_es.core.bodies import Commitment, RecordedBody
from lash_es.core.errors import impossible
from lash_es.core.events import (
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
    body_ref,
)
from lash_es.core.ids import ClaimId, Generation, InputId, Position, TurnId
from lash_es.core.ingress import ActiveTurn, NextTurn, TurnInputIngress
from lash_es.core.makers import maker
from lash_es.core.maps import with_entries, with_entry, without
from lash_es.core.outcomes import InputStatus


@frozen(kw_only=True)
class Claim:
    """Who holds an input, and under which generation of the lease."""

    claim_id: ClaimId
    token: str
    generation: Generation


@frozen(kw_only=True)
class PendingInput:
    """
    An input that waits. ``attempts`` counts the turns that took it and ended without a commit.

    ``submitted`` is the ingress it came with and never changes; ``ingress`` is where it goes now.
    """

    input_id: InputId
    sequence: int
    source_key: str | None
    submitted: TurnInputIngress
    ingress: TurnInputIngress
    enqueued_at_ms: int
    position: Position
    commitment: Commitment
    claim: Claim | None = None
    claims_count: int = 0
    attempts: int = 0

    @property
    def content(self) -> RecordedBody:
        """What it says: where, and what was committed to."""
        return RecordedBody(ref=body_ref(self.position), commitment=self.commitment)

    def status(self, *, is_held: bool) -> InputStatus:
        """
        Say the input's state in the seed's words; ``is_held``: a live claim or the open turn has
        it.
        """
        if isinstance(self.ingress, NextTurn):
            return InputStatus.DEFERRED_NEXT_TURN
        return InputStatus.ACCEPTED if is_held else InputStatus.PENDING_ACTIVE


_NEVER = Position(0)


@frozen(kw_only=True)
class Inputs:
    """
    ``pending`` is ordered by sequence, ascending; a sequence number is never used twice.

    ``settled_count`` counts the inputs that were settled since the last time they were pruned;
    what was settled below ``pruned_below`` is forgotten.
    """

    pending: Mapping[InputId, PendingInput]
    next_sequence: int
    settled_count: int = 0
    pruned_below: Position = _NEVER


_claim = maker(Claim)
_pending_input = maker(PendingInput)
_inputs = maker(Inputs)

NO_INPUTS = Inputs(pending=MappingProxyType({}), next_sequence=1)


def wanting_into(inputs: Inputs, turn_id: TurnId) -> tuple[InputId, ...]:
    """List the inputs that wait for a checkpoint of this turn."""
    return tuple(
        entry.input_id
        for entry in inputs.pending.values()
        if isinstance(entry.ingress, ActiveTurn) and entry.ingress.turn_id == turn_id
    )


def accepted_by(
    inputs: Inputs, turn_id: TurnId, generation: Generation
) -> tuple[PendingInput, ...]:
    """
    List what the turn has accepted under this generation, delivered or not, in order.

    Cost: the inputs that wait.
    """
    if not inputs.pending:
        return ()
    return tuple(
        entry
        for entry in inputs.pending.values()
        if isinstance(entry.ingress, ActiveTurn)
        and entry.ingress.turn_id == turn_id
        and entry.claim is not None
        and entry.claim.generation == generation
    )


def claim_name(first: PendingInput) -> ClaimId:
    """
    Name a claim after its first input and how often that one was claimed: unique, and the same on
    every run.
    """
    return ClaimId(f"tic:{first.sequence}:{first.claims_count + 1}")


def enqueued(inputs: Inputs, event: TurnInputEnqueued, position: Position) -> Inputs:
    """One more, at the end."""
    if event.sequence != inputs.next_sequence or event.input_id in inputs.pending:
        raise impossible(event, found=inputs.next_sequence, expected=event.sequence)
    if not event.bodies:
        raise impossible(event, found="no body", expected="the content of the input")
    entry = _pending_input(
        input_id=event.input_id,
        sequence=event.sequence,
        source_key=event.source_key,
        submitted=event.ingress,
        ingress=event.ingress,
        enqueued_at_ms=event.at_ms,
        position=position,
        commitment=event.bodies[0],
    )
    pending = with_entry(inputs.pending, entry.input_id, entry)
    return _inputs(
        pending=pending,
        next_sequence=event.sequence + 1,
        settled_count=inputs.settled_count,
        pruned_below=inputs.pruned_below,
    )


def claimed(inputs: Inputs, event: TurnInputsClaimed | TurnInputsAccepted) -> Inputs:
    """The listed inputs are held."""
    claim = _claim(claim_id=event.claim_id, token=event.token, generation=event.generation)
    changes: list[PendingInput] = []
    for input_id in event.input_ids:
        entry = _entry(inputs, input_id, event)
        changes.append(_changed(entry, claim=claim, claims_count=entry.claims_count + 1))
    return _replaced(inputs, changes)


def abandoned(inputs: Inputs, event: TurnInputClaimAbandoned) -> Inputs:
    """The listed inputs wait again."""
    return _replaced(
        inputs, [_changed(_entry(inputs, input_id, event)) for input_id in event.input_ids]
    )


def deferred(inputs: Inputs, event: TurnInputsDeferred) -> Inputs:
    """The listed inputs wait for the next turn."""
    return _deferred(inputs, event.input_ids, event)


def cancelled(inputs: Inputs, event: TurnInputCancelled) -> Inputs:
    """The input is gone."""
    _entry(inputs, event.input_id, event)
    return _without(inputs, (event.input_id,))


def cancelled_together(inputs: Inputs, event: TurnInputsCancelled) -> Inputs:
    """The inputs are gone."""
    for input_id in event.input_ids:
        _entry(inputs, input_id, event)
    return _without(inputs, event.input_ids)


def pruned(inputs: Inputs, event: TurnInputTombstonesPruned, position: Position) -> Inputs:
    """What was settled so far is forgotten."""
    if event.tombstones_count != inputs.settled_count:
        raise impossible(event, found=inputs.settled_count, expected=event.tombstones_count)
    return _inputs(
        pending=inputs.pending,
        next_sequence=inputs.next_sequence,
        settled_count=0,
        pruned_below=position,
    )


def settled_by_commit(inputs: Inputs, event: TurnCommitted) -> Inputs:
    """What the turn took is done; what missed it waits for the next turn."""
    for input_id in event.completed_input_ids:
        _entry(inputs, input_id, event)
    rest = _without(inputs, event.completed_input_ids)
    return _deferred(rest, event.deferred_input_ids, event)


def returned_by_end(inputs: Inputs, event: TurnEnded) -> Inputs:
    """What the turn took waits again, one attempt older, unless it has failed too often."""
    for input_id in event.failed_input_ids:
        _entry(inputs, input_id, event)
    older: list[PendingInput] = []
    for input_id in event.returned_input_ids:
        entry = _entry(inputs, input_id, event)
        older.append(_changed(entry, attempts=entry.attempts + 1))
    rest = _without(_replaced(inputs, older), event.failed_input_ids)
    return _deferred(rest, event.deferred_input_ids, event)


def _deferred(inputs: Inputs, input_ids: tuple[InputId, ...], event: object) -> Inputs:
    if not input_ids:
        return inputs
    entries = [_entry(inputs, input_id, event) for input_id in input_ids]
    return _replaced(inputs, [_changed(entry, ingress=NextTurn()) for entry in entries])


def _entry(inputs: Inputs, input_id: InputId, event: object) -> PendingInput:
    entry = inputs.pending.get(input_id)
    if entry is None:
        raise impossible(event, found="no such pending input", expected=input_id)
    return entry


def _changed(
    entry: PendingInput,
    *,
    ingress: TurnInputIngress | None = None,
    claim: Claim | None = None,
    claims_count: int | None = None,
    attempts: int | None = None,
) -> PendingInput:
    """Copy the entry; whoever does not name a claim clears it."""
    return _pending_input(
        input_id=entry.input_id,
        sequence=entry.sequence,
        source_key=entry.source_key,
        submitted=entry.submitted,
        ingress=entry.ingress if ingress is None else ingress,
        enqueued_at_ms=entry.enqueued_at_ms,
        position=entry.position,
        commitment=entry.commitment,
        claim=claim,
        claims_count=entry.claims_count if claims_count is None else claims_count,
        attempts=entry.attempts if attempts is None else attempts,
    )


def _replaced(inputs: Inputs, entries: Iterable[PendingInput]) -> Inputs:
    changes = {entry.input_id: entry for entry in entries}
    if not changes:
        return inputs
    return _inputs(
        pending=with_entries(inputs.pending, changes),
        next_sequence=inputs.next_sequence,
        settled_count=inputs.settled_count,
        pruned_below=inputs.pruned_below,
    )


def _without(inputs: Inputs, input_ids: tuple[InputId, ...]) -> Inputs:
    """These are settled: they leave the state and stay in the index."""
    if not input_ids:
        return inputs
    return _inputs(
        pending=without(inputs.pending, input_ids),
        next_sequence=inputs.next_sequence,
        settled_count=inputs.settled_count + len(input_ids),
        pruned_below=inputs.pruned_below,
    )
