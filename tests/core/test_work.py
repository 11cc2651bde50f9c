"""Queued work: taken once, claimed from the front, done exactly, remembered until pruned."""

import attrs
import pytest

from lash_es.core.batches import (
    NEVER_MERGE,
    BatchStatus,
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    PayloadDefault,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
    wake_name,
    wake_source_key,
)
from lash_es.core.causes import cause
from lash_es.core.commands import CommitTurn, TrimHistory, new_bodies
from lash_es.core.errors import (
    BlankValue,
    ImpossibleEvent,
    LimitExceeded,
    QueueFull,
    SessionExecutionLeaseExpired,
    TrimHeldBack,
)
from lash_es.core.events import Event, HistoryTrimmed
from lash_es.core.evolve import evolve, fold
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.ids import BatchId, ClaimId, Generation, Position, Version
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.limits import Limits
from lash_es.core.outcomes import Finished
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
)
from lash_es.core.work_errors import (
    BatchIdConflict,
    BatchNotOfOneClass,
    QueuedWorkClaimSuperseded,
)
from lash_es.core.work_events import (
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
)
from lash_es.core.work_receipts import (
    BatchFinished,
    BatchHeld,
    BatchUnknown,
    BatchWaits,
    standing,
    work_claimed,
    work_enqueued,
    work_open,
    work_pending,
)
from lash_es.verify.spec import given
from tests.core.examples import (
    AFTER_COMMIT,
    ANSWER,
    B1,
    B2,
    B3,
    BOBS_FENCE,
    EARLIEST,
    FENCE,
    GOODBYE,
    HELLO,
    IDLE,
    LATER_MS,
    LEASED,
    REFRESH,
    TURN,
    WAKE,
    WORK,
    WORK_CLAIM,
    WORK_HELD,
    acquired,
    queued,
    work_held,
)

KEY = "source:first"
G1 = Generation(1)
GROUP = MergeGroup("a")


def enqueue(
    batch_id: BatchId = B1,
    *,
    kinds: tuple[WorkKind, ...] = (WAKE,),
    source_key: str | None = None,
    merge_key: MergeKey = NEVER_MERGE,
    bodies_count: int | None = None,
    delivery: DeliveryPolicy = EARLIEST,
    slot: SlotPolicy = SlotPolicy.EXCLUSIVE,
) -> EnqueueWork:
    return EnqueueWork(
        now_ms=20,
        batch_id=batch_id,
        source_key=source_key,
        delivery=delivery,
        slot=slot,
        merge_key=merge_key,
        available_at_ms=0,
        kinds=kinds,
        bodies=(HELLO,) * (len(kinds) if bodies_count is None else bodies_count),
    )


def claim(batches_max: int = 10, *, checkpoint: bool = False, now_ms: int = 40) -> ClaimWork:
    boundary = WorkBoundary.ACTIVE_TURN_CHECKPOINT if checkpoint else WorkBoundary.IDLE
    selection = LeadingTurnWork(boundary=boundary, batches_max=batches_max)
    return ClaimWork(now_ms=now_ms, fence=FENCE, token="work-token", selection=selection)


def claim_these(*batch_ids: BatchId) -> ClaimWork:
    these = TheseBatches(boundary=WorkBoundary.IDLE, batch_ids=batch_ids)
    return attrs.evolve(claim(), selection=these)


def done(*batch_ids: BatchId, claim_id: ClaimId = WORK_CLAIM) -> WorkCompletion:
    return WorkCompletion(claim_id=claim_id, token="work-token", batch_ids=batch_ids)


def complete(*completions: WorkCompletion) -> CompleteWork:
    return CompleteWork(now_ms=50, fence=FENCE, completions=completions)


def completed(*batch_ids: BatchId, claim_id: ClaimId = WORK_CLAIM) -> WorkCompleted:
    return WorkCompleted(at_ms=50, generation=G1, claim_id=claim_id, batch_ids=batch_ids)


def superseded(claim_id: ClaimId = WORK_CLAIM) -> QueuedWorkClaimSuperseded:
    return QueuedWorkClaimSuperseded(session_id="s1", claim_id=claim_id)


def join(
    batch_id: BatchId,
    sequence: int,
    merge_key: MergeKey = GROUP,
    delivery: DeliveryPolicy = EARLIEST,
) -> WorkEnqueued:
    return queued(batch_id, sequence, slot=SlotPolicy.JOIN, merge_key=merge_key, delivery=delivery)


# Taking


def test_a_batch_is_taken_with_the_next_sequence() -> None:
    given(*IDLE, queued(B1, 1)).when(enqueue(B2)).then(queued(B2, 2))


def test_a_session_command_needs_no_lease_to_be_queued() -> None:
    given(*IDLE).when(enqueue(kinds=(REFRESH,))).then(queued(B1, 1, REFRESH))


def test_a_batch_holds_several_items_of_one_class() -> None:
    kinds = (REFRESH, WorkKind.RESET_SESSION)

    given(*IDLE).when(enqueue(kinds=kinds)).then(queued(B1, 1, *kinds))


@pytest.mark.parametrize(
    ("kinds", "bodies_count", "classes"),
    [
        ((), 0, ()),
        ((WAKE, REFRESH), 2, ("turn_work", "session_command")),
        ((REFRESH, WAKE), 2, ("turn_work", "session_command")),
        ((WAKE,), 0, ("turn_work",)),
    ],
)
def test_an_empty_a_mixed_and_an_unsaid_batch_are_refused(
    kinds: tuple[WorkKind, ...], bodies_count: int, classes: tuple[str, ...]
) -> None:
    refusal = BatchNotOfOneClass(
        batch_id=B1, classes=classes, kinds_count=len(kinds), bodies_count=bodies_count
    )

    given(*IDLE).when(enqueue(kinds=kinds, bodies_count=bodies_count)).refused(refusal)


def test_a_source_key_names_its_first_batch_whatever_comes_under_it() -> None:
    keyed = queued(B1, 1, source_key=KEY)
    other = enqueue(B2, source_key=KEY, kinds=(REFRESH,))

    decision = given(*IDLE, keyed).when(other).nothing_happened()

    assert isinstance(decision.state, Open)
    assert work_enqueued(decision.state, other, decision.known).batch_id == B1


@pytest.mark.parametrize("ending", [completed(B1), WorkCancelled(at_ms=50, batch_id=B1)])
def test_finished_work_keeps_its_source_key_until_it_is_pruned(ending: Event) -> None:
    keyed = (*LEASED, queued(B1, 1, source_key=KEY), work_held(B1), ending)
    again = enqueue(B2, source_key=KEY)
    pruned = FinishedWorkPruned(at_ms=60, batches_count=1)
    is_completed = isinstance(ending, WorkCompleted)

    decision = given(*keyed).when(again).nothing_happened()
    assert isinstance(decision.state, Open)
    receipt = work_enqueued(decision.state, again, decision.known)
    assert (receipt.batch_id, receipt.enqueued) == (B1, 2)
    assert receipt.status is (BatchStatus.COMPLETED if is_completed else BatchStatus.CANCELLED)

    taken = attrs.evolve(queued(B2, 2, source_key=KEY), at_ms=60)
    given(*keyed).when(MaintainSession(now_ms=60)).then(pruned).when(again).then(taken)


def test_what_finishes_after_a_prune_is_remembered() -> None:
    keyed = (*LEASED, queued(B1, 1, source_key=KEY), queued(B2, 2), work_held(B1))
    other = WorkCancelled(at_ms=45, batch_id=B2)
    pruned = FinishedWorkPruned(at_ms=46, batches_count=1)

    decision = given(*keyed, other, pruned, completed(B1)).when(enqueue(B3, source_key=KEY))

    decision.nothing_happened()


def test_what_was_pruned_is_not_pruned_again() -> None:
    finished = (*LEASED, queued(B1, 1), WorkCancelled(at_ms=45, batch_id=B1))
    prune = MaintainSession(now_ms=60)
    again = WorkCancelled(at_ms=70, batch_id=B2)

    decision = given(*finished).when(prune)

    decision.when(prune).nothing_happened()
    later = given(*finished, *decision.events, attrs.evolve(queued(B2, 2), at_ms=65), again)
    later.when(attrs.evolve(prune, now_ms=80)).then(FinishedWorkPruned(at_ms=80, batches_count=1))


def test_nothing_is_pruned_where_nothing_has_finished() -> None:
    given(*WORK_HELD).when(MaintainSession(now_ms=60)).nothing_happened()


def test_a_sequence_is_never_used_again() -> None:
    cancelled = WorkCancelled(at_ms=20, batch_id=B1)

    given(*IDLE, queued(B1, 1), cancelled).when(enqueue(B2)).then(queued(B2, 2))


def test_a_batch_id_is_used_once() -> None:
    given(*WORK).when(enqueue(B1)).refused(BatchIdConflict(session_id="s1", batch_id=B1))


def test_as_many_batches_wait_as_the_limit_allows() -> None:
    limits = Limits(batches_open_max=2)

    given(*WORK, limits=limits).when(enqueue(B3)).refused(
        QueueFull(limit="batches_open_max", allowed=2)
    )
    given(*IDLE, queued(B1, 1), limits=limits).when(enqueue(B2)).then(queued(B2, 2))


def test_names_and_sizes_of_a_batch_are_bounded() -> None:
    limits = Limits(
        items_per_batch_max=1,
        body_bytes_max=len(HELLO.content) - 1,
        merge_group_chars_max=2,
        source_key_chars_max=3,
    )
    sized = attrs.evolve(limits, body_bytes_max=99)

    given(*IDLE, limits=sized).when(enqueue(kinds=(WAKE, WAKE))).refused(
        LimitExceeded(limit="items_per_batch_max", found=2, allowed=1)
    )
    given(*IDLE, limits=limits).when(enqueue()).refused(
        LimitExceeded(limit="body_bytes_max", found=7, allowed=6)
    )
    given(*IDLE, limits=sized).when(enqueue(merge_key=MergeGroup("abc"))).refused(
        LimitExceeded(limit="merge_group_chars_max", found=3, allowed=2)
    )
    given(*IDLE, limits=sized).when(enqueue(source_key="four")).refused(
        LimitExceeded(limit="source_key_chars_max", found=4, allowed=3)
    )
    given(*IDLE).when(enqueue(source_key=" ")).refused(BlankValue(field="source_key"))
    given(*IDLE).when(enqueue(merge_key=MergeGroup(""))).refused(BlankValue(field="merge_group"))


def test_a_batch_brings_a_body_for_each_item() -> None:
    command = attrs.evolve(enqueue(kinds=(WAKE, WAKE)), bodies=(HELLO, GOODBYE))

    assert new_bodies(command) == (HELLO, GOODBYE)


def test_a_wake_has_a_name_and_a_key_of_its_own() -> None:
    named = "wake:0d6574cdf50445b7ad91a03172e3948ca9f212c82b2c32c0918b7383977f30ab"

    assert wake_name("root", "p:7") != wake_name("root", "p:8") != wake_name("r", "oot")
    # SHA-256 of ["root","p:7"], by another program.
    assert wake_name("root", "p:7") == named
    assert wake_source_key("p", 7) == "process:p:event:7:wake"


# Claiming


def test_an_exclusive_head_is_claimed_alone() -> None:
    work = (*LEASED, queued(B1, 1), join(B2, 2))

    given(*work).when(claim()).then(work_held(B1))


def test_an_exclusive_batch_ends_a_group() -> None:
    exclusive = queued(B2, 2, merge_key=GROUP)

    given(*LEASED, join(B1, 1), exclusive, join(B3, 3)).when(claim()).then(work_held(B1))


@pytest.mark.parametrize("merge_key", [GROUP, PayloadDefault()])
def test_batches_behind_the_head_that_merge_with_it_are_claimed_with_it(
    merge_key: MergeKey,
) -> None:
    work = (*LEASED, join(B1, 1, merge_key), join(B2, 2, merge_key), join(B3, 3, merge_key))

    given(*work).when(claim()).then(work_held(B1, B2, B3))
    given(*work).when(claim(2)).then(work_held(B1, B2))
    given(*work, limits=Limits(batches_per_claim_max=1)).when(claim()).then(work_held(B1))


@pytest.mark.parametrize(
    "other",
    [
        join(B2, 2, MergeGroup("b")),
        join(B2, 2, PayloadDefault()),
        join(B2, 2, delivery=AFTER_COMMIT),
        queued(B2, 2, REFRESH, slot=SlotPolicy.JOIN, merge_key=GROUP),
    ],
)
def test_a_group_ends_at_the_first_that_differs(other: WorkEnqueued) -> None:
    given(*LEASED, join(B1, 1), other, join(B3, 3)).when(claim()).then(work_held(B1))


def test_never_merges_with_nothing() -> None:
    work = (*LEASED, join(B1, 1, NEVER_MERGE), join(B2, 2, NEVER_MERGE))

    given(*work).when(claim()).then(work_held(B1))


def test_at_a_checkpoint_a_head_that_waits_for_idle_holds_up_what_follows() -> None:
    work = (*LEASED, queued(B1, 1, delivery=AFTER_COMMIT), queued(B2, 2))

    given(*work).when(claim(checkpoint=True)).nothing_happened()
    given(*work).when(claim()).then(work_held(B1))
    given(*work, work_held(B1)).when(claim(checkpoint=True)).then(
        work_held(B2, claim_id=ClaimId("qwc:2:1"))
    )


def test_what_is_not_ready_blocks_nothing() -> None:
    work = (*LEASED, queued(B1, 1, available_at_ms=41), queued(B2, 2))

    given(*work).when(claim()).then(work_held(B2, claim_id=ClaimId("qwc:2:1")))
    given(*work).when(claim(now_ms=41)).then(attrs.evolve(work_held(B1), at_ms=41))


def test_turn_work_is_never_claimed_past_a_session_command_that_is_ready() -> None:
    work = (*LEASED, queued(B1, 1, REFRESH), queued(B2, 2))

    given(*work).when(claim()).nothing_happened()
    given(*work).when(claim_these(B2)).nothing_happened()
    given(*work).when(attrs.evolve(claim(), selection=LeadingCommand())).then(work_held(B1))


def test_a_leading_command_is_claimed_only_where_it_leads() -> None:
    command = attrs.evolve(claim(), selection=LeadingCommand())

    given(*WORK).when(command).nothing_happened()
    given(*LEASED).when(command).nothing_happened()
    given(*LEASED, queued(B1, 1, REFRESH), queued(B2, 2, REFRESH)).when(command).then(
        work_held(B1)
    )


def test_selected_batches_lead_belong_together_and_are_in_order() -> None:
    work = (*LEASED, join(B1, 1), join(B2, 2), queued(B3, 3))

    given(*work).when(claim_these(B1, B2)).then(work_held(B1, B2))
    given(*work).when(claim_these(B1)).then(work_held(B1))
    for selection in ((B2, B1), (B2,), (B1, B2, B3), (B3,), (BatchId("nobody"),)):
        given(*work).when(claim_these(*selection)).nothing_happened()


def test_who_asks_for_nothing_needs_no_lease() -> None:
    given(*IDLE, queued(B1, 1)).when(claim(0)).nothing_happened()
    given(*IDLE, queued(B1, 1)).when(claim(-1)).nothing_happened()
    given(*IDLE, queued(B1, 1)).when(claim_these()).nothing_happened()
    given(*IDLE, queued(B1, 1)).when(claim()).refused(
        SessionExecutionLeaseExpired(
            session_id="s1",
            presented_generation=G1,
            current_generation=Generation(0),
            reason="the lease is free",
        )
    )


def test_nothing_is_claimed_twice_under_one_generation() -> None:
    given(*LEASED, queued(B1, 1), work_held(B1)).when(claim()).nothing_happened()


def test_the_next_generation_takes_what_the_last_one_held() -> None:
    taken = (*WORK_HELD, acquired(BOBS_FENCE, at_ms=LATER_MS))
    command = attrs.evolve(claim(now_ms=LATER_MS), fence=BOBS_FENCE)
    again = work_held(B1, fence=BOBS_FENCE, claim_id=ClaimId("qwc:1:2"))

    decision = given(*taken).when(command).then(attrs.evolve(again, at_ms=LATER_MS))

    assert isinstance(decision.state, Open)
    receipt = work_claimed(decision.state, decision.events)
    assert receipt is not None
    assert (receipt.generation, receipt.fencing_token) == (2, 2)
    assert receipt.owner.owner_id == "bob"
    assert receipt.batch_ids == (B1,)


def test_a_claim_is_named_after_its_head_and_how_often_that_was_claimed() -> None:
    earlier: list[Event] = []
    for count in (1, 2):
        claim_id = ClaimId(f"qwc:7:{count}")
        given_back = WorkClaimAbandoned(at_ms=40, claim_id=claim_id, batch_ids=(B1,))
        earlier += [work_held(B1, claim_id=claim_id), given_back]
    seventh = [queued(BatchId(f"x{n}"), n) for n in range(1, 7)]
    gone = [WorkCancelled(at_ms=20, batch_id=each.batch_id) for each in seventh]
    story = (*LEASED, *seventh, *gone, attrs.evolve(queued(B1, 7), at_ms=30), *earlier)

    decision = given(*story).when(claim()).then(work_held(B1, claim_id=ClaimId("qwc:7:3")))

    assert isinstance(decision.state, Open)
    receipt = work_claimed(decision.state, decision.events)
    assert receipt is not None
    assert (receipt.fencing_token, receipt.token) == (3, "work-token")


def test_no_claim_has_no_receipt() -> None:
    decision = given(*LEASED).when(claim()).nothing_happened()

    assert isinstance(decision.state, Open)
    assert work_claimed(decision.state, decision.events) is None
    with pytest.raises(LookupError, match="nobody holds"):
        work_claimed(fold((*IDLE, queued(B1, 1))), (work_held(B1),))  # type: ignore[arg-type]


# Giving back, withdrawing


def test_what_is_given_back_can_be_claimed_and_cancelled_again() -> None:
    abandon = AbandonWorkClaim(now_ms=50, claim_id=WORK_CLAIM, token="work-token")
    given_back = WorkClaimAbandoned(at_ms=50, claim_id=WORK_CLAIM, batch_ids=(B1,))

    decision = given(*WORK_HELD).when(abandon).then(given_back)
    decision.when(CancelWork(now_ms=60, batch_id=B1)).then(WorkCancelled(at_ms=60, batch_id=B1))
    decision.when(claim(now_ms=60)).then(
        attrs.evolve(work_held(B1, claim_id=ClaimId("qwc:1:2")), at_ms=60)
    )


@pytest.mark.parametrize(("claim_id", "token"), [("qwc:1:1", "other"), ("qwc:1:2", "work-token")])
def test_a_stale_claim_gives_nothing_back(claim_id: str, token: str) -> None:
    stale = AbandonWorkClaim(now_ms=50, claim_id=ClaimId(claim_id), token=token)

    given(*WORK_HELD).when(stale).nothing_happened()


def test_held_work_cannot_be_cancelled_and_can_once_its_lease_is_gone() -> None:
    given(*WORK_HELD).when(CancelWork(now_ms=50, batch_id=B1)).nothing_happened()
    given(*WORK_HELD).when(CancelWork(now_ms=LATER_MS, batch_id=B1)).then(
        WorkCancelled(at_ms=LATER_MS, batch_id=B1)
    )
    given(*WORK).when(CancelWork(now_ms=50, batch_id=B3)).nothing_happened()


# Completing


def test_a_commit_finishes_the_work_that_its_turn_has_done() -> None:
    story = (*ANSWER, queued(B1, 1), work_held(B1))
    story = tuple(
        attrs.evolve(event, at_ms=70) if isinstance(event, WorkEnqueued | WorkClaimed) else event
        for event in story
    )
    commit = CommitTurn(
        now_ms=80, fence=FENCE, turn_id=TURN, outcome=Finished(), work_completions=(done(B1),)
    )

    found = given(*story).when(commit).events

    assert [type(event).__name__ for event in found] == ["WorkCompleted", "TurnCommitted"]
    assert found[0] == attrs.evolve(completed(B1), at_ms=80)


def test_one_stale_completion_refuses_the_whole_commit() -> None:
    commit = CommitTurn(
        now_ms=80, fence=FENCE, turn_id=TURN, outcome=Finished(), work_completions=(done(B1),)
    )

    given(*ANSWER).when(commit).refused(superseded())


def test_work_that_needs_no_turn_is_completed_by_itself() -> None:
    given(*WORK_HELD).when(complete(done(B1))).then(completed(B1))
    given(*WORK_HELD).when(complete()).nothing_happened()


def test_several_claims_are_completed_together_or_not_at_all() -> None:
    second = ClaimId("qwc:2:1")
    story = (*LEASED, queued(B1, 1), queued(B2, 2), work_held(B1))
    both = (*story, work_held(B2, claim_id=second))
    completions = (done(B1), done(B2, claim_id=second))

    given(*both).when(complete(*completions)).then(completed(B1), completed(B2, claim_id=second))
    given(*story).when(complete(*completions)).refused(superseded(second))
    given(*both).when(complete(done(B1), done(B1))).refused(superseded())
    twice = (done(B1), done(B2, claim_id=second), done(B1))
    given(*both).when(complete(*twice)).refused(superseded())


@pytest.mark.parametrize("listed", [(), (B1,), (B2,), (B1, B1), (B1, B2, B3)])
def test_a_completion_lists_exactly_what_the_claim_holds(listed: tuple[BatchId, ...]) -> None:
    story = (*LEASED, join(B1, 1), join(B2, 2), work_held(B1, B2))

    given(*story).when(complete(done(*listed))).refused(superseded())
    given(*story).when(complete(done(B2, B1))).then(completed(B1, B2))


def test_a_claim_that_was_abandoned_and_made_again_is_not_completed_by_the_first() -> None:
    given_back = WorkClaimAbandoned(at_ms=40, claim_id=WORK_CLAIM, batch_ids=(B1,))
    again = work_held(B1, claim_id=ClaimId("qwc:1:2"))

    given(*WORK_HELD, given_back).when(complete(done(B1))).refused(superseded())
    given(*WORK_HELD, given_back, again).when(complete(done(B1))).refused(superseded())


def test_a_claim_of_a_dead_generation_is_completed_by_nobody() -> None:
    story = (*WORK_HELD, acquired(BOBS_FENCE, at_ms=LATER_MS))
    command = CompleteWork(now_ms=LATER_MS, fence=BOBS_FENCE, completions=(done(B1),))

    given(*story).when(command).refused(superseded())


# What callers are told


def test_a_batch_waits_is_held_is_finished_or_is_unknown() -> None:
    finished = given(*WORK_HELD).when(complete(done(B1))).afterwards
    held, over = fold(WORK_HELD), finished.state
    assert isinstance(held, Open)
    assert isinstance(over, Open)
    known = finished.known

    assert standing(held, B1, known, 50) == BatchHeld()
    assert standing(held, B1, known, LATER_MS) == BatchWaits()
    assert standing(held, B2, known, 50) == BatchWaits()
    found = standing(over, B1, known, 50)
    assert isinstance(found, BatchFinished)
    assert found.batch.status is BatchStatus.COMPLETED
    assert found.batch.work_class.value == "turn_work"
    assert standing(over, B3, known, 50) == BatchUnknown()
    pruned = finished.when(MaintainSession(now_ms=60)).state
    assert isinstance(pruned, Open)
    assert standing(pruned, B1, known, 60) == BatchUnknown()


def test_the_pending_list_hides_what_is_held_and_the_full_one_does_not() -> None:
    held = fold(WORK_HELD)
    assert isinstance(held, Open)

    assert [each.batch_id for each in work_pending(held, 50)] == [B2]
    assert [each.batch_id for each in work_pending(held, LATER_MS)] == [B1, B2]
    assert [each.batch_id for each in work_open(held)] == [B1, B2]


def test_a_receipt_of_nothing_is_a_bug_that_is_told() -> None:
    decision = given(*LEASED).when(claim())
    assert isinstance(decision.state, Open)

    with pytest.raises(LookupError, match="neither open nor finished"):
        work_enqueued(decision.state, enqueue(B3), decision.known)


# What the facts do


@pytest.mark.parametrize(
    "event",
    [
        queued(B1, 3),
        queued(B3, 2),
        attrs.evolve(queued(B3, 3), kinds=()),
        attrs.evolve(queued(B3, 3), kinds=(WAKE, REFRESH), bodies=(HELLO.commitment,) * 2),
        attrs.evolve(queued(B3, 3), bodies=()),
        work_held(B3),
        WorkClaimAbandoned(at_ms=50, claim_id=WORK_CLAIM, batch_ids=(B3,)),
        WorkCancelled(at_ms=50, batch_id=B3),
        completed(B3),
        FinishedWorkPruned(at_ms=50, batches_count=1),
    ],
)
def test_a_fact_that_no_rule_would_have_written_is_impossible(event: Event) -> None:
    with pytest.raises(ImpossibleEvent):
        evolve(fold(WORK_HELD), event)


def test_open_work_holds_a_trim_back_and_finished_work_does_not() -> None:
    story = (*IDLE, queued(B1, 1))
    trim = TrimHistory(now_ms=50, below=Version(2), digest="", bodies=())

    given(*story).when(trim).refused(
        TrimHeldBack(
            session_id="s1", below=Version(2), allowed=Version(1), held_back_by="the batch 'b1'"
        )
    )
    gone = WorkCancelled(at_ms=20, batch_id=B1)
    trimmed = HistoryTrimmed(at_ms=50, below=Version(2), digest="", bodies=())
    given(*story, gone).when(trim).then(trimmed)


def test_what_finishes_work_follows_from_what_queued_it() -> None:
    state = fold(WORK_HELD)

    assert cause(state, completed(B1)) == 2
    assert cause(state, WorkCancelled(at_ms=50, batch_id=B2)) == 3
    assert cause(state, WorkCancelled(at_ms=50, batch_id=B3)) is None
    assert cause(state, work_held(B1)) == 1


def test_a_finished_batch_is_in_the_index_as_it_was_queued() -> None:
    keyed = queued(B1, 1, source_key=KEY, available_at_ms=5)
    known = given(*LEASED, keyed, work_held(B1), completed(B1)).known
    entry = known.finished_batch(B1)

    assert known.entries.keys() == {
        IndexKey(IndexKind.WORK_KEY, KEY),
        IndexKey(IndexKind.BATCH, B1),
    }
    assert entry is not None
    assert (entry.source_key, entry.sequence, entry.available_at_ms) == (KEY, 1, 5)
    assert (entry.enqueued, entry.finished) == (Position(2), Position(4))
