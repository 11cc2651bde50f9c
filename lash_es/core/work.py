"""
Slice: queued work. The batches that have not finished, in the order of their sequence.

A claim holds a batch while its generation holds the lease. Finished batches leave the state and
are found in the index until they are pruned; how many there are to prune is counted here, and what
finished in front of ``pruned_below`` is forgotten, though its row may still lie there (ADR 0031).
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from attrs import frozen

from lash_es.core.batches import (
    DeliveryPolicy,
    MergeKey,
    SlotPolicy,
    WorkClass,
    WorkKind,
    classes_of,
)
from lash_es.core.bodies import BodyRef, Commitment, RecordedBody
from lash_es.core.errors import impossible
from lash_es.core.ids import BatchId, ClaimId, Generation, Position, TurnId
from lash_es.core.makers import maker
from lash_es.core.maps import with_entries, with_entry, without
from lash_es.core.work_events import (
    DrainedWork,
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkFailed,
)


@frozen(kw_only=True)
class WorkClaim:
    """
    Who holds a batch, and under which generation of the lease; ``turn_id``: for that turn.
    """

    claim_id: ClaimId
    token: str
    generation: Generation
    turn_id: TurnId | None


@frozen(kw_only=True)
class Batch:
    """
    A batch that has not finished. ``claims_count`` is the fencing number of its last claim;
    ``attempts`` counts the turns that took it and ended without a commit.
    """

    batch_id: BatchId
    sequence: int
    source_key: str | None
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    enqueued_at_ms: int
    kinds: tuple[WorkKind, ...]
    position: Position
    commitments: tuple[Commitment, ...]
    claim: WorkClaim | None = None
    claims_count: int = 0
    attempts: int = 0

    @property
    def contents(self) -> tuple[RecordedBody, ...]:
        """What its items say: where, and what was committed to."""
        return tuple(
            RecordedBody(ref=BodyRef(position=self.position, ordinal=ordinal), commitment=each)
            for ordinal, each in enumerate(self.commitments)
        )

    @property
    def work_class(self) -> WorkClass:
        """The class of all its items."""
        return classes_of(self.kinds)[0]


@frozen(kw_only=True)
class Work:
    """
    ``batches`` are ordered by sequence, ascending; a sequence number is never used twice.

    ``finished_count`` counts the finished ones that are remembered.
    """

    batches: Mapping[BatchId, Batch]
    next_sequence: int
    finished_count: int
    pruned_below: Position


_batch = maker(Batch)
_claim = maker(WorkClaim)
_work = maker(Work)

NO_WORK = Work(
    batches=MappingProxyType({}), next_sequence=1, finished_count=0, pruned_below=Position(0)
)


def claim_name(head: Batch) -> ClaimId:
    """
    Name a claim after its first batch and how often that one was claimed: unique, and the same on
    every run.
    """
    return ClaimId(f"qwc:{head.sequence}:{head.claims_count + 1}")


def accepted_by(work: Work, turn_id: TurnId, generation: Generation) -> tuple[Batch, ...]:
    """
    List what was claimed for the turn under this generation, delivered or not, in order.

    Cost: the batches that are open.
    """
    return tuple(
        batch
        for batch in work.batches.values()
        if batch.claim is not None
        and (batch.claim.turn_id, batch.claim.generation) == (turn_id, generation)
    )


def enqueued(work: Work, event: WorkEnqueued, position: Position) -> Work:
    """One more, at the end."""
    if event.sequence != work.next_sequence or event.batch_id in work.batches:
        raise impossible(event, found=work.next_sequence, expected=event.sequence)
    if len(classes_of(event.kinds)) != 1 or len(event.kinds) != len(event.bodies):
        raise impossible(event, found=event.kinds, expected="items of one class, a body each")
    batch = _batch(
        batch_id=event.batch_id,
        sequence=event.sequence,
        source_key=event.source_key,
        delivery=event.delivery,
        slot=event.slot,
        merge_key=event.merge_key,
        available_at_ms=event.available_at_ms,
        enqueued_at_ms=event.at_ms,
        kinds=event.kinds,
        position=position,
        commitments=event.bodies,
    )
    return _changed(
        work,
        batches=with_entry(work.batches, batch.batch_id, batch),
        next_sequence=event.sequence + 1,
    )


def claimed(work: Work, event: WorkClaimed) -> Work:
    """The listed batches are held."""
    claim = _claim(
        claim_id=event.claim_id,
        token=event.token,
        generation=event.generation,
        turn_id=event.turn_id,
    )
    batches = _listed(work, event.batch_ids, event)
    return _replaced(
        work, [_held(each, claim, claims_count=each.claims_count + 1) for each in batches]
    )


def abandoned(work: Work, event: WorkClaimAbandoned) -> Work:
    """The listed batches wait again."""
    batches = _listed(work, event.batch_ids, event)
    return _replaced(work, [_held(each, None) for each in batches])


def cancelled(work: Work, event: WorkCancelled) -> Work:
    """The batch is gone."""
    return _finished(work, (event.batch_id,), event)


def completed(work: Work, event: WorkCompleted) -> Work:
    """The batches are done."""
    return _finished(work, event.batch_ids, event)


def failed(work: Work, event: WorkFailed) -> Work:
    """The batches are given up."""
    return _finished(work, event.batch_ids, event)


def bodies_of(work: Work, origin: DrainedWork) -> tuple[RecordedBody, ...]:
    """Find what the items of the batches say that a turn begins with."""
    batches = _listed(work, origin.batch_ids, origin)
    return tuple(body for batch in batches for body in batch.contents)


def returned(work: Work, batch_ids: tuple[BatchId, ...]) -> Work:
    """What a turn that did not commit had taken waits again, one attempt older."""
    batches = [work.batches[each] for each in batch_ids if each in work.batches]
    if not batches:
        return work
    return _replaced(work, [_held(each, None, attempts=each.attempts + 1) for each in batches])


def pruned(work: Work, event: FinishedWorkPruned, position: Position) -> Work:
    """What had finished is forgotten."""
    if event.batches_count != work.finished_count:
        raise impossible(event, found=work.finished_count, expected=event.batches_count)
    return _changed(work, finished_count=0, pruned_below=position)


def _finished(work: Work, batch_ids: tuple[BatchId, ...], event: object) -> Work:
    _listed(work, batch_ids, event)
    rest = without(work.batches, batch_ids)
    return _changed(work, batches=rest, finished_count=work.finished_count + len(batch_ids))


def _listed(work: Work, batch_ids: Iterable[BatchId], event: object) -> list[Batch]:
    found = [work.batches[each] for each in batch_ids if each in work.batches]
    if len(found) != len({*batch_ids}):
        raise impossible(event, found="no such open batch", expected=batch_ids)
    return found


def _held(
    batch: Batch,
    claim: WorkClaim | None,
    *,
    claims_count: int | None = None,
    attempts: int | None = None,
) -> Batch:
    return _batch(
        batch_id=batch.batch_id,
        sequence=batch.sequence,
        source_key=batch.source_key,
        delivery=batch.delivery,
        slot=batch.slot,
        merge_key=batch.merge_key,
        available_at_ms=batch.available_at_ms,
        enqueued_at_ms=batch.enqueued_at_ms,
        kinds=batch.kinds,
        position=batch.position,
        commitments=batch.commitments,
        claim=claim,
        claims_count=batch.claims_count if claims_count is None else claims_count,
        attempts=batch.attempts if attempts is None else attempts,
    )


def _replaced(work: Work, batches: Iterable[Batch]) -> Work:
    changes = {each.batch_id: each for each in batches}
    return _changed(work, batches=with_entries(work.batches, changes))


def _changed(
    work: Work,
    *,
    batches: Mapping[BatchId, Batch] | None = None,
    next_sequence: int | None = None,
    finished_count: int | None = None,
    pruned_below: Position | None = None,
) -> Work:
    return _work(
        batches=work.batches if batches is None else batches,
        next_sequence=work.next_sequence if next_sequence is None else next_sequence,
        finished_count=work.finished_count if finished_count is None else finished_count,
        pruned_below=work.pruned_below if pruned_below is None else pruned_below,
    )
