"""Letters of queued work: enqueue, claim, give back, withdraw, complete, forget."""

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from lash_es.core.batches import (
    NEVER_MERGE,
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    PayloadDefault,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.ids import BatchId, ClaimId
from lash_es.core.known import BatchEntry, IndexKey, IndexKind, WorkKeyEntry
from lash_es.core.owners import Fence
from lash_es.core.state import Open
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WorkSelection,
)
from lash_es.verify.bounds import GONE, TTL_MS, Bounds, holders, late, open_turns
from lash_es.verify.worlds import Ask, Move, World, body

_EARLY: Final = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
_BETWEEN: Final = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
_DEFAULT_MERGE: Final = PayloadDefault()


@frozen(kw_only=True)
class Shape:
    """A kind of batch, as far as it matters to whoever claims."""

    kind: WorkKind = WorkKind.PROCESS_WAKE
    delivery: DeliveryPolicy = _EARLY
    slot: SlotPolicy = SlotPolicy.JOIN
    merge_key: MergeKey = _DEFAULT_MERGE
    after_ms: int = 0


SHAPES: Final = (
    Shape(),
    Shape(kind=WorkKind.REFRESH_TOOL_CATALOG, merge_key=NEVER_MERGE),
    Shape(after_ms=TTL_MS),
    Shape(delivery=_BETWEEN),
    Shape(slot=SlotPolicy.EXCLUSIVE),
    Shape(merge_key=NEVER_MERGE),
    Shape(merge_key=MergeGroup("g")),
    Shape(kind=WorkKind.RESET_SESSION, delivery=_BETWEEN, after_ms=TTL_MS),
)
"""A search with ``shapes=n`` has the first n."""


def enqueues_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """One more batch of each shape, one that is no batch, and those with a key again."""
    is_full = len(world.batches) >= bounds.batches
    for key in (None, *(f"w{number}" for number in range(bounds.source_keys))):
        if is_full and not _is_taken(world, key):
            continue
        for shape in SHAPES[: bounds.shapes]:
            yield Ask(_enqueue(world, key, shape, (shape.kind,)))
    mixed = (WorkKind.PROCESS_WAKE, WorkKind.RESET_SESSION)
    yield Ask(_enqueue(world, None, SHAPES[0], mixed))


def _is_taken(world: World, key: str | None) -> bool:
    """Tell whether a key names a batch that is open or remembered: then nothing new is taken."""
    assert isinstance(world.state, Open)
    entry = None if key is None else world.done.get(IndexKey(IndexKind.WORK_KEY, key))
    if not isinstance(entry, WorkKeyEntry):
        return False
    finished = world.done.get(IndexKey(IndexKind.BATCH, entry.batch_id))
    if not isinstance(finished, BatchEntry):
        return True
    return finished.finished >= world.state.work.pruned_below


def _enqueue(
    world: World, key: str | None, shape: Shape, kinds: tuple[WorkKind, ...]
) -> EnqueueWork:
    return EnqueueWork(
        now_ms=world.now_ms,
        batch_id=BatchId(f"b{len(world.batches)}"),
        source_key=key,
        delivery=shape.delivery,
        slot=shape.slot,
        merge_key=shape.merge_key,
        available_at_ms=world.now_ms + shape.after_ms,
        kinds=kinds,
        bodies=tuple(body(b"work") for _ in kinds),
    )


def claims_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever thinks it holds the lease claims what leads, in every way to say so."""
    for fence in holders(world):
        for selection in _selections(world, bounds):
            yield Ask(_claim(world, fence, selection))
    for fence in late(world):
        yield Ask(_claim(world, fence, LeadingCommand()))


def _claim(world: World, fence: Fence, selection: WorkSelection) -> ClaimWork:
    return ClaimWork(
        now_ms=world.now_ms, fence=fence, token=f"work{world.version}", selection=selection
    )


def _selections(world: World, bounds: Bounds) -> Iterator[WorkSelection]:
    assert isinstance(world.state, Open)
    yield LeadingCommand()
    for boundary in WorkBoundary:
        for most in sorted({1, bounds.batches}):
            yield LeadingTurnWork(boundary=boundary, batches_max=most)
    at_checkpoint = WorkBoundary.ACTIVE_TURN_CHECKPOINT
    for turn in open_turns(world):
        yield LeadingTurnWork(
            boundary=at_checkpoint, batches_max=bounds.batches, turn_id=turn.turn_id
        )
    batch_ids = tuple(world.state.work.batches)
    for chosen in dict.fromkeys((batch_ids, *((each,) for each in batch_ids), batch_ids[::-1])):
        yield TheseBatches(boundary=WorkBoundary.IDLE, batch_ids=chosen)


def work_claims(world: World) -> tuple[tuple[ClaimId, str], ...]:
    """List the claims that batches name, honoured or not, in the order of the batches."""
    assert isinstance(world.state, Open)
    batches = world.state.work.batches.values()
    found = [(b.claim.claim_id, b.claim.token) for b in batches if b.claim is not None]
    return tuple(dict.fromkeys(found))


def abandons_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """A claim is given back, whoever made it, and one of which nothing is left."""
    del bounds
    for claim_id, token in (*work_claims(world), GONE):
        yield Ask(AbandonWorkClaim(now_ms=world.now_ms, claim_id=claim_id, token=token))


def cancels_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """Somebody withdraws a batch, even one that has finished."""
    del bounds
    for batch_id in world.batches:
        yield Ask(CancelWork(now_ms=world.now_ms, batch_id=batch_id))


def completes_work(world: World, bounds: Bounds) -> Iterable[Move]:
    """Whoever thinks it holds the lease says what is done: exactly that, less, nothing, both."""
    del bounds
    for fence in holders(world):
        for chosen in completions(world):
            yield Ask(CompleteWork(now_ms=world.now_ms, fence=fence, completions=chosen))
    for fence in late(world):
        first = next(completions(world))
        yield Ask(CompleteWork(now_ms=world.now_ms, fence=fence, completions=first))


def completions(world: World) -> Iterator[tuple[WorkCompletion, ...]]:
    """List what may be said to be done: a claim at a time, all, one twice, and what is not so."""
    exact = tuple(_completion(world, claim) for claim in work_claims(world))
    for each in exact:
        yield (each,)
        if len(each.batch_ids) > 1:
            yield (_completion(world, (each.claim_id, each.token), 1),)
    yield exact + exact[:1]
    if len(exact) > 1:
        yield exact
    yield (WorkCompletion(claim_id=GONE[0], token=GONE[1], batch_ids=()),)


def _completion(
    world: World, claim: tuple[ClaimId, str], most: int | None = None
) -> WorkCompletion:
    assert isinstance(world.state, Open)
    batch_ids = tuple(
        batch.batch_id
        for batch in world.state.work.batches.values()
        if batch.claim is not None and (batch.claim.claim_id, batch.claim.token) == claim
    )
    return WorkCompletion(claim_id=claim[0], token=claim[1], batch_ids=batch_ids[:most])
