"""Work in a turn: begun with or taken in, told once, settled at its end."""

import attrs
import pytest

from lash_es.core.batches import BatchStatus, MergeGroup, SlotPolicy, WorkBoundary
from lash_es.core.causes import cause
from lash_es.core.commands import CommitTurn, EndTurn, RequestEffect, StartTurn, WithInput
from lash_es.core.effects import ModelCall
from lash_es.core.errors import ImpossibleEvent, TurnIdConflict, TurnNotOpen
from lash_es.core.events import Event, TurnCommitted, TurnEnded, TurnStarted
from lash_es.core.evolve import fold
from lash_es.core.ids import BatchId, ClaimId, EffectId, Generation, TurnId
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.limits import Limits
from lash_es.core.messages import Role
from lash_es.core.outcomes import Finished, Stopped, StopReason
from lash_es.core.owners import Fence
from lash_es.core.stamps import commit_hash, meant
from lash_es.core.state import Open
from lash_es.core.transcripts import FromReply, FromWork, TurnLimitNotice
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    LeadingTurnWork,
    WithWork,
)
from lash_es.core.work_errors import QueuedWorkClaimSuperseded
from lash_es.core.work_events import WorkClaimed, WorkCompleted, WorkFailed
from lash_es.core.work_receipts import BatchFinished, standing, work_pending
from lash_es.verify.spec import Decision, given
from tests.core.examples import (
    ANSWERED,
    ASK,
    B1,
    B2,
    B3,
    BEGUN,
    BOBS_FENCE,
    E1,
    E2,
    FENCE,
    HELLO,
    LATER_MS,
    LEASED,
    REFRESH,
    TURN,
    WORK_CLAIM,
    acquired,
    at,
    node,
    queued,
    requested,
    settled,
    started_on_work,
    work_held,
)
from tests.core.test_work import done

G1 = Generation(1)
GROUP = MergeGroup("a")
ENDED = Stopped(reason=StopReason.PROVIDER_ERROR)
PAIR = tuple(
    queued(batch_id, number, slot=SlotPolicy.JOIN, merge_key=GROUP)
    for number, batch_id in enumerate((B1, B2), 1)
)


def start(
    turn_id: TurnId = TURN, *, claim_id: ClaimId = WORK_CLAIM, fence: Fence = FENCE
) -> StartTurn:
    source = WithWork(claim_id=claim_id, token="work-token")
    now_ms = 50 if fence is FENCE else LATER_MS
    return StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source)


def take_in(turn_id: TurnId = TURN, *, batches_max: int = 9) -> ClaimWork:
    selection = LeadingTurnWork(
        boundary=WorkBoundary.ACTIVE_TURN_CHECKPOINT, batches_max=batches_max, turn_id=turn_id
    )
    return ClaimWork(now_ms=60, fence=FENCE, token="work-token", selection=selection)


def ask(effect_id: EffectId = E1, iteration: int = 0) -> RequestEffect:
    return RequestEffect(
        now_ms=60,
        fence=FENCE,
        turn_id=TURN,
        effect_id=effect_id,
        request=ModelCall(iteration=iteration),
    )


def commit(fence: Fence = FENCE) -> CommitTurn:
    now_ms = 80 if fence is FENCE else LATER_MS
    return CommitTurn(now_ms=now_ms, fence=fence, turn_id=TURN, outcome=Finished())


def end() -> EndTurn:
    return EndTurn(now_ms=80, fence=FENCE, turn_id=TURN, outcome=ENDED)


def open_turn(decision: Decision) -> OpenTurn:
    assert isinstance(decision.state, Open)
    assert isinstance(decision.state.turn, OpenTurn)
    return decision.state.turn


def completed(*batch_ids: BatchId, claim_id: ClaimId = WORK_CLAIM) -> WorkCompleted:
    return WorkCompleted(at_ms=80, generation=G1, claim_id=claim_id, batch_ids=batch_ids)


ON_WORK: tuple[Event, ...] = (*LEASED, *PAIR, work_held(B1, B2), started_on_work(B1, B2))
"""A turn that began with two batches."""
LEASED_WORK: tuple[Event, ...] = (*LEASED, queued(B1, 1))
INTO: tuple[Event, ...] = (*BEGUN, queued(B1, 1), work_held(B1, turn_id=TURN))
"""A turn that has claimed a batch at a checkpoint and has told no model of it."""
TOLD: tuple[Event, ...] = (*INTO, requested(E1, ASK), settled(E1, ANSWERED))


# How it begins


def test_a_turn_begins_with_the_work_of_a_claim() -> None:
    decision = given(*LEASED, *PAIR, work_held(B1, B2)).when(start())
    decision.then(started_on_work(B1, B2))
    turn = open_turn(decision)
    assert turn.nodes == (node(1, Role.EVENT, FromWork(bodies=(at(2), at(3)))),)
    assert (turn.batch_ids, turn.input_ids, turn.content) == ((B1, B2), (), None)
    digests = tuple(f"1.{part}:{each.bodies[0].digest}" for part, each in enumerate(PAIR))
    assert turn.digests == digests


@pytest.mark.parametrize(
    "history",
    [
        LEASED_WORK,
        (*LEASED, queued(B1, 1, REFRESH), work_held(B1)),
        (*LEASED_WORK, work_held(B1), work_held(B1, claim_id=ClaimId("qwc:1:2"))),
    ],
    ids=["nobody claimed it", "it is no turn work", "another claim holds it"],
)
def test_a_claim_that_holds_no_turn_work_starts_no_turn(history: tuple[Event, ...]) -> None:
    refusal = QueuedWorkClaimSuperseded(session_id="s1", claim_id=WORK_CLAIM)
    given(*history).when(start()).refused(refusal)


def test_a_claim_of_a_dead_generation_starts_no_turn() -> None:
    taken_over = (*LEASED_WORK, work_held(B1), acquired(BOBS_FENCE, at_ms=LATER_MS))
    refusal = QueuedWorkClaimSuperseded(session_id="s1", claim_id=WORK_CLAIM)
    given(*taken_over).when(start(fence=BOBS_FENCE)).refused(refusal)


def test_a_turn_on_work_is_recognised_and_no_input_may_have_its_id() -> None:
    given(*ON_WORK).when(start()).nothing_happened()
    source = WithInput(body=HELLO)
    refusal = TurnIdConflict(session_id="s1", turn_id=TURN)
    given(*ON_WORK).when(attrs.evolve(start(), source=source)).refused(refusal)


def test_a_turn_on_its_own_input_is_no_turn_on_work() -> None:
    refusal = TurnIdConflict(session_id="s1", turn_id=TURN)
    given(*BEGUN).when(start()).refused(refusal)


# How it is taken in


def test_work_is_claimed_for_the_open_turn() -> None:
    decision = given(*BEGUN, queued(B1, 1)).when(take_in())
    decision.then(attrs.evolve(work_held(B1, turn_id=TURN), at_ms=60))
    assert open_turn(decision).batch_ids == ()


def test_work_is_claimed_for_no_other_turn() -> None:
    refusal = TurnNotOpen(session_id="s1", requested_turn_id=TurnId("t9"), open_turn_id=TURN)
    given(*BEGUN, queued(B1, 1)).when(take_in(TurnId("t9"))).refused(refusal)


def test_the_next_model_call_tells_of_it_once() -> None:
    turn = open_turn(given(*INTO).when(ask()))
    assert turn.nodes[1:] == (node(2, Role.EVENT, FromWork(bodies=(at(3),))),)
    assert turn.batch_ids == (B1,)
    again = open_turn(given(*TOLD).when(ask(E2, 1)))
    sources = [type(each.source) for each in again.nodes[1:]]
    assert sources == [FromWork, FromReply]


def test_work_that_was_claimed_for_nothing_is_not_told() -> None:
    turn = open_turn(given(*BEGUN, queued(B1, 1), work_held(B1)).when(ask()))
    assert (len(turn.nodes), turn.batch_ids) == (1, ())


def test_what_a_dead_owner_claimed_and_told_no_model_waits_again() -> None:
    taken_over = (*INTO, acquired(BOBS_FENCE, at_ms=LATER_MS))
    state = fold(taken_over)
    assert isinstance(state, Open)
    assert [each.batch_id for each in work_pending(state, LATER_MS)] == [B1]
    again = attrs.evolve(take_in(), fence=BOBS_FENCE, now_ms=LATER_MS)
    (fact,) = given(*taken_over).when(again).events
    assert isinstance(fact, WorkClaimed)
    assert fact.claim_id == ClaimId("qwc:1:2")


# While the turn has it


@pytest.mark.parametrize("history", [ON_WORK[:-2] + ON_WORK[-2:], TOLD], ids=["begun", "told"])
def test_what_the_turn_has_nobody_else_takes(history: tuple[Event, ...]) -> None:
    taken_over = (*history, acquired(BOBS_FENCE, at_ms=LATER_MS))
    state = fold(taken_over)
    assert isinstance(state, Open)
    assert work_pending(state, LATER_MS) == ()
    abandon = AbandonWorkClaim(now_ms=LATER_MS, claim_id=WORK_CLAIM, token="work-token")
    given(*taken_over).when(abandon).nothing_happened()
    given(*taken_over).when(CancelWork(now_ms=LATER_MS, batch_id=B1)).nothing_happened()
    claim = attrs.evolve(take_in(), fence=BOBS_FENCE, now_ms=LATER_MS)
    given(*taken_over).when(claim).nothing_happened()


# How it is settled


def test_a_commit_completes_what_its_turn_began_with() -> None:
    decision = given(*ON_WORK).when(commit())
    assert decision.events[0] == completed(B1, B2)
    assert isinstance(decision.events[-1], TurnCommitted)
    state = decision.state
    assert isinstance(state, Open)
    assert not state.work.batches


def test_a_commit_completes_what_a_model_was_told_of_whoever_holds_the_lease() -> None:
    taken_over = (*TOLD, acquired(BOBS_FENCE, at_ms=LATER_MS))
    done_it, over = given(*taken_over).when(commit(BOBS_FENCE)).events
    assert done_it == attrs.evolve(completed(B1), at_ms=LATER_MS, generation=Generation(2))
    assert isinstance(over, TurnCommitted)


def test_a_commit_leaves_alone_what_no_model_was_told_of() -> None:
    decision = given(*INTO).when(attrs.evolve(commit(), releases_lease=True))
    assert [type(each).__name__ for each in decision.events] == ["TurnCommitted", "LeaseReleased"]
    assert isinstance(decision.state, Open)
    assert [each.batch_id for each in work_pending(decision.state, 80)] == [B1]


def test_each_claim_is_completed_by_a_fact_of_its_own() -> None:
    second = ClaimId("qwc:2:1")
    both = (
        *INTO,
        requested(E1, ASK),
        settled(E1, ANSWERED),
        queued(B2, 2),
        work_held(B2, claim_id=second, turn_id=TURN),
        requested(E2, ModelCall(iteration=1)),
        settled(E2, ANSWERED),
    )
    both = tuple(attrs.evolve(each, at_ms=max(each.at_ms, 20)) for each in both)
    events = given(*both).when(commit()).events
    assert events[:2] == (completed(B1), completed(B2, claim_id=second))


def test_what_a_commit_names_besides_is_completed_once() -> None:
    events = given(*TOLD).when(attrs.evolve(commit(), work_completions=(done(B1),))).events
    assert events[:-1] == (completed(B1),)


def test_what_was_completed_before_is_not_completed_again() -> None:
    once = given(*TOLD).when(CompleteWork(now_ms=75, fence=FENCE, completions=(done(B1),)))
    assert len(once.when(commit()).events) == 1


def test_an_end_without_a_commit_lets_it_wait_again() -> None:
    decision = given(*ON_WORK).when(end())
    assert [type(each) for each in decision.events] == [TurnEnded]
    assert isinstance(decision.state, Open)
    pending = work_pending(decision.state, 80)
    assert [each.batch_id for each in pending] == [B1, B2]
    assert {each.attempts for each in decision.state.work.batches.values()} == {1}
    again = ClaimId("qwc:1:2")
    assert decision.state.work.batches[B1].claim is None
    held = attrs.evolve(
        take_in(), selection=LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=9), now_ms=80
    )
    (claimed,) = decision.when(held).events
    assert isinstance(claimed, WorkClaimed)
    assert (claimed.claim_id, claimed.batch_ids) == (again, (B1, B2))


def test_work_whose_turns_keep_ending_has_failed_and_is_remembered() -> None:
    decision = given(*ON_WORK, limits=Limits(drain_attempts_max=0)).when(end())
    failed = WorkFailed(at_ms=80, generation=G1, batch_ids=(B1, B2))
    assert decision.events[0] == failed
    state = decision.state
    assert isinstance(state, Open)
    assert not state.work.batches
    assert state.work.finished_count == 2
    key = IndexKey(IndexKind.BATCH, B1)
    known = attrs.evolve(decision.afterwards.known)
    assert key in known.entries
    found = standing(state, B1, known, 80)
    assert isinstance(found, BatchFinished)
    assert found.batch.status is BatchStatus.FAILED
    assert cause(fold(ON_WORK), failed) == 3


# What it means


def test_work_takes_part_in_what_a_commit_means() -> None:
    state = fold(TOLD)
    assert isinstance(state, Open)
    assert isinstance(state.turn, OpenTurn)
    without = attrs.evolve(state.turn, nodes=(state.turn.nodes[0], state.turn.nodes[2]))
    assert commit_hash(state.turn, Finished()) != commit_hash(without, Finished())
    presented = meant(state, state.turn, Finished())
    assert presented == commit_hash(state.turn, Finished())
    assert given(*TOLD).when(attrs.evolve(commit(), commit_hash=presented)).events


# One call more for news


def test_a_call_after_an_answer_counts_as_one_more_iteration() -> None:
    turn = open_turn(given(*TOLD).when(ask(E2, 1)))
    assert turn.iteration == 1


def test_one_call_more_than_the_limit_is_told_so_and_the_transcript_says_it_once() -> None:
    limited = tuple(
        attrs.evolve(each, model_calls_max=1) if isinstance(each, TurnStarted) else each
        for each in TOLD
    )
    decision = given(*limited).when(ask(E2, 1))
    turn = open_turn(decision)
    notice = attrs.evolve(
        node(4, Role.SYSTEM, FromWork(bodies=())), source=TurnLimitNotice(model_calls_max=1)
    )
    assert turn.nodes[-1] == notice
    answered = (*limited, requested(E2, ModelCall(iteration=1)), settled(E2, ANSWERED))
    ran_out = attrs.evolve(commit(), outcome=Stopped(reason=StopReason.MAX_TURNS))
    last = given(*answered).when(ran_out).events[-1]
    assert isinstance(last, TurnCommitted)
    assert sum(isinstance(each.source, TurnLimitNotice) for each in last.nodes) == 1


def test_a_batch_that_is_not_there_begins_no_turn() -> None:
    with pytest.raises(ImpossibleEvent):
        fold((*LEASED, started_on_work(B3)))
