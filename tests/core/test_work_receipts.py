"""What callers are told of queued work: every field of it, open or finished."""

import attrs
import pytest

from lash_es.core.batches import (
    BatchStatus,
    DeliveryPolicy,
    MergeGroup,
    SlotPolicy,
    WorkBoundary,
    WorkKind,
)
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import BatchId, Generation, Position
from lash_es.core.index import index_rows
from lash_es.core.known import BatchEntry, IndexKey, IndexKind, WorkKeyEntry
from lash_es.core.state import Open
from lash_es.core.work_commands import ClaimWork, EnqueueWork, LeadingTurnWork
from lash_es.core.work_events import WorkCancelled, WorkCompleted
from lash_es.core.work_receipts import (
    BatchReceipt,
    WorkClaimReceipt,
    described,
    work_claimed,
    work_enqueued,
)
from lash_es.verify.spec import given
from tests.core.examples import (
    AFTER_COMMIT,
    ALICE,
    B1,
    B2,
    B3,
    FENCE,
    HELLO,
    LEASED,
    WAKE,
    WORK_CLAIM,
    queued,
    work_held,
)

KEY = "source:first"
GROUP = MergeGroup("a")
FIRST = queued(
    B1,
    1,
    source_key=KEY,
    delivery=AFTER_COMMIT,
    slot=SlotPolicy.JOIN,
    merge_key=GROUP,
    available_at_ms=5,
)
SECOND = queued(B2, 2, delivery=AFTER_COMMIT, slot=SlotPolicy.JOIN, merge_key=GROUP)
COMPLETED = WorkCompleted(
    at_ms=50, generation=Generation(1), claim_id=WORK_CLAIM, batch_ids=(B1, B2)
)


def first(status: BatchStatus) -> BatchReceipt:
    return BatchReceipt(
        batch_id=B1,
        sequence=1,
        source_key=KEY,
        delivery=DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT,
        slot=SlotPolicy.JOIN,
        merge_key=GROUP,
        available_at_ms=5,
        enqueued_at_ms=20,
        kinds=(WorkKind.PROCESS_WAKE,),
        enqueued=Position(2),
        status=status,
    )


def enqueue(batch_id: BatchId, source_key: str | None) -> EnqueueWork:
    return EnqueueWork(
        now_ms=20,
        batch_id=batch_id,
        source_key=source_key,
        delivery=AFTER_COMMIT,
        slot=SlotPolicy.JOIN,
        merge_key=GROUP,
        available_at_ms=5,
        kinds=(WAKE,),
        bodies=(HELLO,),
    )


def test_a_new_batch_is_told_as_it_was_taken() -> None:
    decision = given(*LEASED).when(enqueue(B1, KEY))
    assert isinstance(decision.state, Open)

    told = work_enqueued(decision.state, enqueue(B1, KEY), decision.known)

    # The lease was taken at 30, and times never fall.
    assert told == attrs.evolve(first(BatchStatus.OPEN), enqueued_at_ms=30)


def test_a_batch_without_a_key_is_told_as_it_was_taken() -> None:
    decision = given(*LEASED).when(enqueue(B2, None))
    assert isinstance(decision.state, Open)

    told = work_enqueued(decision.state, enqueue(B2, None), decision.known)

    assert (told.batch_id, told.source_key, told.sequence) == (B2, None, 1)


@pytest.mark.parametrize(
    ("history", "status"),
    [
        ((), BatchStatus.OPEN),
        ((WorkCancelled(at_ms=40, batch_id=B1),), BatchStatus.CANCELLED),
        ((SECOND, work_held(B1, B2), COMPLETED), BatchStatus.COMPLETED),
    ],
    ids=["waits", "cancelled", "completed"],
)
def test_what_comes_again_under_a_key_is_told_of_the_first(
    history: tuple[Event, ...], status: BatchStatus
) -> None:
    decision = given(*LEASED, FIRST, *history).when(enqueue(B3, KEY)).nothing_happened()
    assert isinstance(decision.state, Open)

    assert work_enqueued(decision.state, enqueue(B3, KEY), decision.known) == first(status)


def test_a_claim_is_told_with_its_owner_its_generation_and_its_batches() -> None:
    selection = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=10)
    claim = ClaimWork(now_ms=40, fence=FENCE, token="work-token", selection=selection)
    decision = given(*LEASED, FIRST, SECOND).when(claim)
    assert isinstance(decision.state, Open)

    told = work_claimed(decision.state, decision.events)

    assert told == WorkClaimReceipt(
        claim_id=WORK_CLAIM,
        token="work-token",
        owner=ALICE,
        fencing_token=1,
        generation=Generation(1),
        batches=(first(BatchStatus.OPEN), described(decision.state.work.batches[B2])),
    )
    assert told is not None
    assert told.batch_ids == (B1, B2)


def test_a_claim_under_a_lease_of_nobody_is_a_bug_that_is_told() -> None:
    nobody = given(*LEASED[:1], FIRST).state
    assert isinstance(nobody, Open)

    with pytest.raises(LookupError, match=r"^a claim was made under a lease that nobody holds$"):
        work_claimed(nobody, [work_held(B1)])


def test_a_key_and_a_finished_batch_make_their_entries() -> None:
    assert index_rows(fold(LEASED), FIRST) == (
        (IndexKey(IndexKind.WORK_KEY, KEY), WorkKeyEntry(batch_id=B1)),
    )
    assert index_rows(fold(LEASED), SECOND) == ()
    rows = index_rows(fold((*LEASED, FIRST, SECOND, work_held(B1, B2))), COMPLETED)
    assert [key for key, _ in rows] == [IndexKey(IndexKind.BATCH, each) for each in (B1, B2)]
    assert rows[0][1] == BatchEntry(
        batch_id=B1,
        sequence=1,
        source_key=KEY,
        delivery=AFTER_COMMIT,
        slot=SlotPolicy.JOIN,
        merge_key=GROUP,
        available_at_ms=5,
        enqueued_at_ms=20,
        kinds=(WAKE,),
        enqueued=Position(2),
        status=BatchStatus.COMPLETED,
        finished=Position(5),
    )
    gone = WorkCancelled(at_ms=40, batch_id=B1)
    ((_, cancelled),) = index_rows(fold((*LEASED, FIRST)), gone)
    assert isinstance(cancelled, BatchEntry)
    assert (cancelled.status, cancelled.finished) == (BatchStatus.CANCELLED, 3)
