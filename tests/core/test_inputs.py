"""Slice: pending turn input. Enqueued, claimed, given back, cancelled, settled."""

import attrs
import pytest

from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    CancelTurnInput,
    ClaimTurnInputs,
    EnqueueTurnInput,
)
from lash_es.core.errors import (
    BlankValue,
    ImpossibleEvent,
    InputIdConflict,
    LimitExceeded,
    QueueFull,
    SessionExecutionLeaseExpired,
    SourceKeyConflict,
)
from lash_es.core.events import (
    Event,
    LeaseReleased,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsClaimed,
    TurnInputTombstonesPruned,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import ClaimId, Generation, InputId, Position, TurnId
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.inputs import Claim, Inputs, PendingInput, wanting_into
from lash_es.core.limits import Limits
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import InputStatus, Stopped, StopReason
from lash_es.core.state import Open, State
from lash_es.verify.spec import given
from tests.core.examples import (
    BEGUN,
    BOBS_FENCE,
    CLAIM,
    CLAIMED,
    COMMITTED_FACT,
    DRAINING,
    FENCE,
    GOODBYE,
    HELLO,
    HELLO_AGAIN,
    I1,
    I2,
    I3,
    IDLE,
    LATER_MS,
    LEASED,
    NEXT_TURN,
    PENDING,
    TURN,
    acquired,
    claimed,
    drained,
    enqueued,
)

KEY = "host:k1"
INTO_TURN = ActiveTurn(TURN)
KEYED = enqueued(I1, 1, source_key=KEY)
CANCELLED = TurnInputCancelled(at_ms=80, input_id=I1)
ABANDONED = TurnInputClaimAbandoned(at_ms=80, claim_id=CLAIM, input_ids=(I1, I2))
ENDED = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=TokenUsage(),
    returned_input_ids=(I1, I2),
    failed_input_ids=(),
    deferred_input_ids=(),
)


def enqueue(
    input_id: InputId = I1,
    source_key: str | None = None,
    body: NewBody = HELLO,
    ingress: ActiveTurn | NextTurn = NEXT_TURN,
) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=20, input_id=input_id, source_key=source_key, ingress=ingress, body=body
    )


def claim(inputs_max: int = 64, now_ms: int = 40) -> ClaimTurnInputs:
    return ClaimTurnInputs(now_ms=now_ms, fence=FENCE, token="claim-token", inputs_max=inputs_max)


def abandon(claim_id: ClaimId = CLAIM, token: str = "claim-token") -> AbandonTurnInputClaim:
    return AbandonTurnInputClaim(now_ms=80, claim_id=claim_id, token=token)


def cancel(input_id: InputId = I1, now_ms: int = 80) -> CancelTurnInput:
    return CancelTurnInput(now_ms=now_ms, input_id=input_id)


def inputs_of(state: State) -> Inputs:
    assert isinstance(state, Open)
    return state.inputs


def conflict() -> SourceKeyConflict:
    return SourceKeyConflict(session_id="s1", source_key=KEY, existing_input_id=I1)


# Enqueueing


def test_an_input_is_taken_without_a_lease() -> None:
    decision = given(*IDLE).when(enqueue()).then(enqueued(I1, 1))

    assert inputs_of(decision.state).pending[I1] == PendingInput(
        input_id=I1,
        sequence=1,
        source_key=None,
        submitted=NextTurn(),
        ingress=NextTurn(),
        enqueued_at_ms=20,
        position=Position(1),
        commitment=HELLO.commitment,
    )


def test_inputs_are_numbered_in_order() -> None:
    given(*IDLE, enqueued(I1, 1)).when(enqueue(I2)).then(enqueued(I2, 2))


def test_a_number_is_never_used_again() -> None:
    given(*IDLE, enqueued(I1, 1), CANCELLED).when(enqueue(I2)).then(enqueued(I2, 2, at_ms=80))


def test_what_was_settled_and_forgotten_stays_so_when_more_is_enqueued() -> None:
    pruned = TurnInputTombstonesPruned(at_ms=85, tombstones_count=1)
    history = (*IDLE, enqueued(I1, 1), CANCELLED)

    settled = given(*history, enqueued(I2, 2, at_ms=90)).state
    forgotten = given(*history, pruned, enqueued(I2, 2, at_ms=90)).state

    assert (inputs_of(settled).settled_count, inputs_of(settled).pruned_below) == (1, 0)
    assert (inputs_of(forgotten).settled_count, inputs_of(forgotten).pruned_below) == (0, 3)


def test_without_a_source_key_the_same_content_is_another_input() -> None:
    given(*IDLE, enqueued(I1, 1), bodies=[HELLO]).when(enqueue(I2)).then(enqueued(I2, 2))


def test_the_same_source_key_with_the_same_content_is_the_same_input() -> None:
    again = enqueue(I2, KEY, HELLO_AGAIN)

    given(*IDLE, KEYED, bodies=[HELLO]).when(again).nothing_happened()


def test_the_same_source_key_with_other_content_is_a_conflict() -> None:
    changed = enqueue(I2, KEY, GOODBYE)

    given(*IDLE, KEYED, bodies=[HELLO]).when(changed).refused(conflict())


def test_the_same_source_key_with_another_ingress_is_a_conflict() -> None:
    changed = enqueue(I2, KEY, HELLO_AGAIN, INTO_TURN)

    given(*IDLE, KEYED, bodies=[HELLO]).when(changed).refused(conflict())


def test_the_boundary_is_part_of_the_ingress() -> None:
    early = enqueued(I1, 1, source_key=KEY, ingress=INTO_TURN)
    late = ActiveTurn(TURN, Boundary.BEFORE_COMPLETION)

    given(*IDLE, early, bodies=[HELLO]).when(enqueue(I2, KEY, HELLO_AGAIN, late)).refused(
        conflict()
    )


def test_another_source_key_is_another_input() -> None:
    given(*IDLE, KEYED, bodies=[HELLO]).when(enqueue(I2, "host:k2")).then(
        enqueued(I2, 2, source_key="host:k2")
    )


def test_an_erased_body_counts_as_the_same_content() -> None:
    given(*IDLE, KEYED).when(enqueue(I2, KEY, GOODBYE)).nothing_happened()


def test_a_source_key_is_remembered_after_the_cancellation() -> None:
    history = (*IDLE, KEYED, CANCELLED)

    given(*history, bodies=[HELLO]).when(enqueue(I2, KEY, HELLO_AGAIN)).nothing_happened()
    given(*history, bodies=[HELLO]).when(enqueue(I2, KEY, GOODBYE)).refused(conflict())


def test_what_was_submitted_is_compared_and_not_where_it_went_since() -> None:
    into = (*BEGUN, enqueued(I1, 1, source_key=KEY, ingress=INTO_TURN, at_ms=60))
    deferring = attrs.evolve(ENDED, returned_input_ids=(), deferred_input_ids=(I1,))
    again = enqueue(I2, KEY, HELLO_AGAIN, INTO_TURN)

    given(*into, deferring, bodies=[HELLO]).when(again).nothing_happened()


def test_a_source_key_is_not_blank() -> None:
    given(*IDLE).when(enqueue(source_key=" ")).refused(BlankValue(field="source_key"))


def test_a_source_key_is_bounded() -> None:
    given(*IDLE, limits=Limits(source_key_chars_max=3)).when(enqueue(source_key="1234")).refused(
        LimitExceeded(limit="source_key_chars_max", found=4, allowed=3)
    )


def test_content_is_bounded() -> None:
    given(*IDLE, limits=Limits(body_bytes_max=6)).when(enqueue()).refused(
        LimitExceeded(limit="body_bytes_max", found=7, allowed=6)
    )


def test_content_may_be_as_large_as_its_limit() -> None:
    assert given(*IDLE, limits=Limits(body_bytes_max=7)).when(enqueue()).events


def test_an_id_that_waits_is_not_given_to_another_input() -> None:
    given(*IDLE, enqueued(I1, 1)).when(enqueue(I1, body=GOODBYE)).refused(
        InputIdConflict(session_id="s1", input_id=I1)
    )


def test_as_many_inputs_wait_as_the_limit_says() -> None:
    one = Limits(inputs_pending_max=1)

    assert given(*IDLE, limits=one).when(enqueue()).events
    given(*IDLE, enqueued(I1, 1), limits=one).when(enqueue(I2)).refused(
        QueueFull(limit="inputs_pending_max", allowed=1)
    )


def test_a_full_queue_still_answers_for_what_is_in_it() -> None:
    full = given(*IDLE, KEYED, bodies=[HELLO], limits=Limits(inputs_pending_max=1))

    full.when(enqueue(I2, KEY, HELLO_AGAIN)).nothing_happened()


# Claiming


def test_waiting_inputs_are_claimed_in_order() -> None:
    decision = given(*PENDING).when(claim()).then(claimed(I1, I2))

    expected = Claim(claim_id=CLAIM, token="claim-token", generation=Generation(1))
    entries = inputs_of(decision.state).pending
    assert [entry.claim for entry in entries.values()] == [expected, expected]
    assert [entry.claims_count for entry in entries.values()] == [1, 1]


def test_no_more_are_claimed_than_asked_for() -> None:
    given(*PENDING).when(claim(inputs_max=1)).then(claimed(I1))


def test_no_more_are_claimed_than_the_limit_allows() -> None:
    given(*PENDING, limits=Limits(inputs_per_claim_max=1)).when(claim()).then(claimed(I1))


@pytest.mark.parametrize("inputs_max", [0, -1])
def test_who_asks_for_no_input_gets_none(inputs_max: int) -> None:
    given(*PENDING).when(claim(inputs_max)).nothing_happened()


def test_nothing_waiting_is_nothing_claimed() -> None:
    given(*LEASED).when(claim()).nothing_happened()


def test_a_live_claim_is_passed_over() -> None:
    third = (*CLAIMED, enqueued(I3, 3, at_ms=45))

    given(*third).when(claim(now_ms=50)).then(
        TurnInputsClaimed(
            at_ms=50,
            generation=Generation(1),
            claim_id=ClaimId("tic:3:1"),
            token="claim-token",
            input_ids=(I3,),
        )
    )


def test_an_input_for_a_running_turn_is_not_claimed_for_the_next() -> None:
    into = (*LEASED, enqueued(I1, 1, ingress=INTO_TURN), enqueued(I2, 2))

    decision = given(*into).when(claim())

    assert [e.input_ids for e in decision.events if isinstance(e, TurnInputsClaimed)] == [(I2,)]


def test_claiming_needs_the_lease() -> None:
    given(*IDLE, enqueued(I1, 1)).when(claim()).refused(
        SessionExecutionLeaseExpired(
            session_id="s1",
            presented_generation=Generation(1),
            current_generation=Generation(0),
            reason="the lease is free",
        )
    )


def test_a_takeover_supersedes_claims_and_names_the_next_ones_anew() -> None:
    taken_over = (*CLAIMED, acquired(BOBS_FENCE, at_ms=LATER_MS))
    bobs = ClaimTurnInputs(now_ms=LATER_MS, fence=BOBS_FENCE, token="bobs", inputs_max=64)

    given(*taken_over).when(bobs).then(
        TurnInputsClaimed(
            at_ms=LATER_MS,
            generation=Generation(2),
            claim_id=ClaimId("tic:1:2"),
            token="bobs",
            input_ids=(I1, I2),
        )
    )


def test_what_the_open_turn_took_stays_with_it_across_a_takeover() -> None:
    taken_over = (*DRAINING, acquired(BOBS_FENCE, at_ms=LATER_MS))
    bobs = ClaimTurnInputs(now_ms=LATER_MS, fence=BOBS_FENCE, token="bobs", inputs_max=64)

    given(*taken_over).when(bobs).nothing_happened()


# Giving back


def test_a_claim_is_given_back_without_a_lease() -> None:
    decision = given(*CLAIMED).when(abandon()).then(ABANDONED)

    entries = inputs_of(decision.state).pending.values()
    assert [entry.claim for entry in entries] == [None, None]
    assert [entry.claims_count for entry in entries] == [1, 1]


@pytest.mark.parametrize(
    "command", [abandon(token="other"), abandon(claim_id=ClaimId("tic:2:1"))], ids=repr
)
def test_a_claim_is_told_by_its_id_and_its_token(command: AbandonTurnInputClaim) -> None:
    given(*CLAIMED).when(command).nothing_happened()


def test_a_claim_is_given_back_once() -> None:
    given(*CLAIMED, ABANDONED).when(abandon()).nothing_happened()


def test_a_superseded_claim_may_be_given_back() -> None:
    given(*CLAIMED, acquired(BOBS_FENCE, at_ms=LATER_MS)).when(abandon()).then(
        attrs.evolve(ABANDONED, at_ms=LATER_MS)
    )


def test_what_the_open_turn_took_is_not_given_back() -> None:
    given(*DRAINING).when(abandon()).nothing_happened()


def test_only_what_no_turn_took_is_given_back() -> None:
    given(*CLAIMED, drained(I1)).when(abandon()).then(attrs.evolve(ABANDONED, input_ids=(I2,)))


# Cancelling


def test_a_waiting_input_is_cancelled_without_a_lease() -> None:
    decision = given(*PENDING).when(cancel()).then(CANCELLED)

    assert tuple(inputs_of(decision.state).pending) == (I2,)


def test_an_input_for_a_running_turn_is_cancelled_while_it_waits() -> None:
    given(*LEASED, enqueued(I1, 1, ingress=INTO_TURN)).when(cancel()).then(CANCELLED)


def test_a_claimed_input_is_no_longer_cancellable() -> None:
    given(*CLAIMED).when(cancel()).nothing_happened()


def test_an_input_is_cancellable_once_its_claims_lease_has_run_out() -> None:
    given(*CLAIMED).when(cancel(now_ms=LATER_MS)).then(attrs.evolve(CANCELLED, at_ms=LATER_MS))


def test_an_input_is_cancellable_once_its_claims_lease_is_released() -> None:
    released = LeaseReleased(at_ms=60, generation=Generation(1))

    given(*CLAIMED, released).when(cancel()).then(CANCELLED)


def test_an_input_is_cancellable_once_its_claims_generation_is_superseded() -> None:
    given(*CLAIMED, acquired(BOBS_FENCE, at_ms=LATER_MS)).when(cancel()).then(
        attrs.evolve(CANCELLED, at_ms=LATER_MS)
    )


def test_what_the_open_turn_took_is_not_cancellable_even_if_its_lease_ran_out() -> None:
    given(*DRAINING).when(cancel(now_ms=LATER_MS)).nothing_happened()


def test_an_input_that_is_gone_or_never_was_is_not_cancelled_again() -> None:
    given(*PENDING, CANCELLED).when(cancel()).nothing_happened()
    given(*PENDING).when(cancel(InputId("nobody"))).nothing_happened()


# Settling


def test_a_commit_settles_what_its_turn_took() -> None:
    committed = attrs.evolve(COMMITTED_FACT, completed_input_ids=(I1,))

    pending = inputs_of(given(*DRAINING, committed).state).pending

    assert tuple(pending) == (I2,)


def test_a_commit_defers_what_missed_its_turn() -> None:
    into = (*BEGUN, enqueued(I1, 1, ingress=INTO_TURN, at_ms=60))
    committed = attrs.evolve(COMMITTED_FACT, deferred_input_ids=(I1,))

    before = inputs_of(fold(into)).pending[I1]
    after = inputs_of(given(*into, committed).state).pending[I1]

    assert after == attrs.evolve(before, ingress=NextTurn())
    assert before.status(is_held=False) is InputStatus.PENDING_ACTIVE
    assert after.status(is_held=False) is InputStatus.DEFERRED_NEXT_TURN
    assert after.submitted == INTO_TURN


def test_an_end_gives_back_what_its_turn_took_one_attempt_older() -> None:
    pending = inputs_of(given(*DRAINING, ENDED).state).pending.values()

    assert [(entry.attempts, entry.claim) for entry in pending] == [(1, None), (1, None)]


def test_an_end_settles_what_failed_too_often_and_defers_what_missed_it() -> None:
    into = (*DRAINING, enqueued(I3, 3, ingress=INTO_TURN, at_ms=60))
    ended = attrs.evolve(
        ENDED, returned_input_ids=(I2,), failed_input_ids=(I1,), deferred_input_ids=(I3,)
    )

    pending = inputs_of(given(*into, ended).state).pending

    assert tuple(pending) == (I2, I3)
    assert pending[I3].ingress == NextTurn()


def test_only_inputs_for_this_turn_want_into_it() -> None:
    waiting = inputs_of(
        given(
            *LEASED,
            enqueued(I1, 1),
            enqueued(I2, 2, ingress=INTO_TURN),
            enqueued(I3, 3, ingress=ActiveTurn(TurnId("t2"))),
        ).state
    )

    assert wanting_into(waiting, TURN) == (I2,)


# What cannot be


def test_a_sequence_has_no_gap() -> None:
    with pytest.raises(ImpossibleEvent, match="found 1, expected 2"):
        evolve(fold(IDLE), enqueued(I1, 2))


def test_an_input_has_content() -> None:
    with pytest.raises(ImpossibleEvent, match="found no body"):
        evolve(fold(IDLE), attrs.evolve(enqueued(I1, 1), bodies=()))


def test_an_input_does_not_wait_twice() -> None:
    with pytest.raises(ImpossibleEvent, match="TurnInputEnqueued"):
        evolve(fold((*IDLE, enqueued(I1, 1))), enqueued(I1, 2))


FORGED: tuple[TurnCommitted | TurnEnded, ...] = (
    attrs.evolve(COMMITTED_FACT, completed_input_ids=(I3,)),
    attrs.evolve(COMMITTED_FACT, deferred_input_ids=(I3,)),
    attrs.evolve(ENDED, returned_input_ids=(I3,)),
    attrs.evolve(ENDED, failed_input_ids=(I3,)),
    attrs.evolve(ENDED, deferred_input_ids=(I3,)),
)


@pytest.mark.parametrize(
    "event",
    [
        attrs.evolve(claimed(I1), input_ids=(I1, I3)),
        attrs.evolve(ABANDONED, input_ids=(I3,)),
        attrs.evolve(CANCELLED, input_id=I3),
        drained(I1, I3),
    ],
    ids=lambda event: type(event).__name__,
)
def test_nothing_happens_to_an_input_that_does_not_wait(event: Event) -> None:
    with pytest.raises(ImpossibleEvent, match="no such pending input") as refusal:
        evolve(fold(CLAIMED), event)

    assert I3 in refusal.value.expected


@pytest.mark.parametrize("event", FORGED, ids=repr)
def test_no_turn_settles_an_input_that_does_not_wait(event: TurnCommitted | TurnEnded) -> None:
    with pytest.raises(ImpossibleEvent, match="no such pending input, expected i3"):
        evolve(fold(DRAINING), event)
