"""Input of a running turn: accepted at a checkpoint, delivered by a model call, settled."""

import attrs
import pytest

from lash_es.core.commands import (
    AbandonTurnInputClaim,
    CancelTurnInput,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    CommitTurn,
    EndTurn,
    EnqueueTurnInput,
    RequestEffect,
)
from lash_es.core.errors import ImpossibleEvent, SessionExecutionLeaseExpired, TurnNotOpen
from lash_es.core.events import (
    Event,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsAccepted,
    TurnInputsDeferred,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import ClaimId, Generation, InputId, TurnId
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.limits import Limits
from lash_es.core.messages import Role
from lash_es.core.outcomes import Finished, InputStatus, Stopped, StopReason
from lash_es.core.owners import Fence
from lash_es.core.receipts import (
    AlreadyClaimed,
    ForActiveTurn,
    ForNextTurn,
    cancelled,
    claimed,
    pending,
)
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, TurnLimitNotice
from lash_es.core.turns import OpenTurn
from lash_es.verify.spec import Decision, given
from tests.core.examples import (
    ANSWERED,
    ASK,
    BEGUN,
    BOBS_FENCE,
    CALLS_AT,
    CLAIMED,
    COMMITTED,
    E1,
    E2,
    FENCE,
    HELLO,
    I1,
    I2,
    I3,
    IDLE,
    LATER_MS,
    PENDING,
    REPLIED,
    TTL_MS,
    TURN,
    acquired,
    at,
    call,
    enqueued,
    node,
    requested,
    settled,
)

INTO = ActiveTurn(TURN)
AT_THE_END = ActiveTurn(TURN, Boundary.BEFORE_COMPLETION)
ELSEWHERE = ActiveTurn(TurnId("t9"))
STEERED: tuple[Event, ...] = (
    *BEGUN,
    enqueued(I1, 1, ingress=AT_THE_END),
    enqueued(I2, 2, ingress=ELSEWHERE),
    enqueued(I3, 3, ingress=INTO),
)


def accepted(*input_ids: InputId, claim: str = "tic:3:1", at_ms: int = 60) -> TurnInputsAccepted:
    return TurnInputsAccepted(
        at_ms=at_ms,
        generation=Generation(1),
        turn_id=TURN,
        checkpoint=Boundary.AFTER_WORK,
        claim_id=ClaimId(claim),
        token="claim-token",
        input_ids=input_ids,
    )


ACCEPTED = (*STEERED, accepted(I3))
DELIVERED = (*ACCEPTED, requested(E1, ASK))
ANSWERED_IT = (*DELIVERED, settled(E1, ANSWERED))
TAKEN_OVER = acquired(BOBS_FENCE, at_ms=LATER_MS)


def accept(
    checkpoint: Boundary = Boundary.AFTER_WORK, inputs_max: int = 64, turn_id: TurnId = TURN
) -> ClaimActiveTurnInputs:
    return ClaimActiveTurnInputs(
        now_ms=60,
        fence=FENCE,
        token="claim-token",
        turn_id=turn_id,
        checkpoint=checkpoint,
        inputs_max=inputs_max,
    )


def open_turn(decision: Decision) -> OpenTurn:
    assert isinstance(decision.state, Open)
    assert isinstance(decision.state.turn, OpenTurn)
    return decision.state.turn


def test_the_first_checkpoint_admits_what_may_come_after_work() -> None:
    given(*STEERED).when(accept()).then(accepted(I3))


def test_the_last_checkpoint_admits_everything_in_order() -> None:
    last = attrs.evolve(accepted(I1, I3, claim="tic:1:1"), checkpoint=Boundary.BEFORE_COMPLETION)
    given(*STEERED).when(accept(Boundary.BEFORE_COMPLETION)).then(last)


def test_no_more_is_accepted_than_was_asked_for_or_a_claim_may_hold() -> None:
    many = (*BEGUN, enqueued(I1, 1, ingress=INTO), enqueued(I2, 2, ingress=INTO))
    first = accepted(I1, claim="tic:1:1")
    given(*many).when(accept(inputs_max=1)).then(first)
    given(*many, limits=Limits(inputs_per_claim_max=1)).when(accept()).then(first)


def test_a_call_of_a_tool_tells_the_turn_nothing() -> None:
    waiting = (*REPLIED, attrs.evolve(enqueued(I1, 1, ingress=INTO), at_ms=75))
    history = (*waiting, accepted(I1, claim="tic:1:1", at_ms=76))
    asked = attrs.evolve(requested(E2, call(0, CALLS_AT)), at_ms=77)

    before, after = fold(history), fold((*history, asked))

    assert isinstance(before, Open)
    assert isinstance(after, Open)
    assert isinstance(before.turn, OpenTurn)
    assert isinstance(after.turn, OpenTurn)
    assert (after.turn.nodes, after.turn.delivered_ids) == (before.turn.nodes, ())


def test_who_wants_nothing_is_not_asked_for_its_lease() -> None:
    given(*IDLE).when(accept(inputs_max=0)).nothing_happened()
    nothing = ClaimTurnInputs(now_ms=60, fence=FENCE, token="t", inputs_max=0)
    given(*IDLE).when(nothing).nothing_happened()


def test_only_the_holder_accepts_and_only_into_the_open_turn() -> None:
    refusal = SessionExecutionLeaseExpired(
        session_id="s1",
        presented_generation=Generation(1),
        current_generation=Generation(2),
        reason="superseded",
    )
    given(*STEERED, TAKEN_OVER).when(accept()).refused(refusal)
    not_open = TurnNotOpen(session_id="s1", requested_turn_id=TurnId("t9"), open_turn_id=TURN)
    given(*STEERED).when(accept(turn_id=TurnId("t9"))).refused(not_open)


def test_what_is_accepted_is_not_accepted_again() -> None:
    given(*ACCEPTED).when(accept()).nothing_happened()


def test_an_acceptance_is_told_as_a_claim_for_that_turn() -> None:
    decision = given(*STEERED).when(accept())
    assert isinstance(decision.state, Open)
    claim = claimed(decision.state, accept(), decision.events)
    assert claim is not None
    assert (claim.session_id, claim.owner, claim.token) == ("s1", FENCE.owner, "claim-token")
    assert (claim.claim_id, claim.generation, claim.fencing) == ("tic:3:1", 1, 1)
    assert claim.mode == ForActiveTurn(turn_id=TURN, checkpoint=Boundary.AFTER_WORK)
    assert claim.input_ids == (I3,)
    assert claim.inputs[0].status is InputStatus.ACCEPTED


def test_a_claim_for_the_next_turn_leaves_the_state_as_it_is() -> None:
    command = ClaimTurnInputs(now_ms=40, fence=FENCE, token="claim-token", inputs_max=64)
    decision = given(*PENDING).when(command)
    assert isinstance(decision.state, Open)
    claim = claimed(decision.state, command, decision.events)
    assert claim is not None
    assert claim.mode == ForNextTurn()
    assert {each.status for each in claim.inputs} == {InputStatus.DEFERRED_NEXT_TURN}
    assert claimed(decision.state, command, ()) is None


def test_a_model_call_brings_in_what_was_accepted_as_one_message() -> None:
    many = (*STEERED, accepted(I1, I3, claim="tic:1:1"))
    turn = open_turn(
        given(*many).when(
            RequestEffect(now_ms=60, fence=FENCE, turn_id=TURN, effect_id=E1, request=ASK)
        )
    )
    assert turn.nodes[1:] == (node(2, Role.USER, FromInputs(bodies=(at(3), at(5)))),)
    assert (turn.input_ids, turn.drained_ids) == ((I1, I3), ())


def test_a_model_call_brings_in_nothing_twice() -> None:
    again = RequestEffect(now_ms=80, fence=FENCE, turn_id=TURN, effect_id=E2, request=ASK)
    turn = open_turn(given(*ANSWERED_IT).when(again))
    assert [type(each.source).__name__ for each in turn.nodes] == [
        "FromInputs",
        "FromInputs",
        "FromReply",
    ]
    assert turn.delivered_ids == (I3,)


def commit(fence: Fence = FENCE, *, outcome: Finished | Stopped | None = None) -> CommitTurn:
    return CommitTurn(
        now_ms=80 if fence is FENCE else LATER_MS,
        fence=fence,
        turn_id=TURN,
        outcome=outcome or Finished(),
    )


def fact_of(decision: Decision) -> TurnCommitted:
    (event,) = decision.events
    assert isinstance(event, TurnCommitted)
    return event


def test_a_commit_completes_what_was_delivered_and_defers_what_was_not_accepted() -> None:
    event = fact_of(given(*ANSWERED_IT).when(commit()))
    assert (event.completed_input_ids, event.deferred_input_ids) == ((I3,), (I1,))


def test_a_commit_makes_a_message_of_what_no_model_was_told() -> None:
    stopped = Stopped(reason=StopReason.MAX_TURNS)
    event = fact_of(given(*ACCEPTED).when(commit(outcome=stopped)))
    assert event.nodes[1:] == (
        node(2, Role.USER, FromInputs(bodies=(at(5),))),
        attrs.evolve(
            node(3, Role.SYSTEM, FromInputs(bodies=())),
            source=TurnLimitNotice(model_calls_max=100),
        ),
    )
    assert (event.completed_input_ids, event.deferred_input_ids) == ((I3,), (I1,))


def test_an_end_defers_what_it_was_told_once() -> None:
    end = EndTurn(
        now_ms=80, fence=FENCE, turn_id=TURN, outcome=Stopped(reason=StopReason.RUNTIME_ERROR)
    )
    for history in (ACCEPTED, ANSWERED_IT):
        decision = given(*history).when(end)
        (event,) = decision.events
        assert isinstance(event, TurnEnded)
        assert (event.returned_input_ids, event.failed_input_ids) == ((), ())
        assert event.deferred_input_ids == (I1, I3)
        assert isinstance(decision.state, Open)
        entry = decision.state.inputs.pending[I3]
        assert (entry.ingress, entry.claim, entry.submitted) == (NextTurn(), None, INTO)


def test_accepted_input_of_a_dead_generation_waits_again_with_its_ingress() -> None:
    dead = given(*ACCEPTED, TAKEN_OVER)
    assert isinstance(dead.state, Open)
    assert [entry.input_id for entry in pending(dead.state, LATER_MS)] == [I1, I2, I3]
    entry = dead.state.inputs.pending[I3]
    assert (entry.ingress, entry.status(is_held=False)) == (INTO, InputStatus.PENDING_ACTIVE)
    withdrawn = TurnInputCancelled(at_ms=LATER_MS, input_id=I3)
    dead.when(CancelTurnInput(now_ms=LATER_MS, input_id=I3)).then(withdrawn)
    again = attrs.evolve(accept(), now_ms=LATER_MS, fence=BOBS_FENCE)
    dead.when(again).then(
        attrs.evolve(
            accepted(I3, claim="tic:3:2"), at_ms=LATER_MS, generation=BOBS_FENCE.generation
        )
    )


def test_accepted_input_of_a_dead_generation_is_deferred_if_nobody_accepts_it_again() -> None:
    event = fact_of(given(*ACCEPTED, TAKEN_OVER).when(commit(BOBS_FENCE)))
    assert (event.completed_input_ids, event.deferred_input_ids) == ((), (I1, I3))


def test_what_a_model_was_told_stays_with_the_turn_whoever_continues_it() -> None:
    continued = TurnContinued(at_ms=LATER_MS, generation=Generation(2), turn_id=TURN)
    history = (*ANSWERED_IT, TAKEN_OVER, continued)
    dead = given(*history)
    cancel = CancelTurnInput(now_ms=LATER_MS, input_id=I3)
    decision = dead.when(cancel).nothing_happened()
    assert isinstance(dead.state, Open)
    told = cancelled(dead.state, I3, decision.known, decision.events)
    assert isinstance(told, AlreadyClaimed)
    assert told.input.status is InputStatus.ACCEPTED
    assert told.claim is not None
    assert (told.claim.owner, told.claim.status) == (None, InputStatus.ACCEPTED)
    dead.when(attrs.evolve(accept(), now_ms=LATER_MS, fence=BOBS_FENCE)).nothing_happened()
    event = fact_of(dead.when(commit(BOBS_FENCE)))
    assert (event.completed_input_ids, event.deferred_input_ids) == ((I3,), (I1,))
    assert sum(isinstance(each.source, FromInputs) for each in event.nodes) == 2


def test_what_was_accepted_is_given_back_until_a_model_was_told() -> None:
    back = AbandonTurnInputClaim(now_ms=70, claim_id=ClaimId("tic:3:1"), token="claim-token")
    given(*ACCEPTED).when(back).then(
        TurnInputClaimAbandoned(at_ms=70, claim_id=back.claim_id, input_ids=(I3,))
    )
    given(*DELIVERED).when(back).nothing_happened()


def enqueue(ingress: ActiveTurn) -> EnqueueTurnInput:
    return EnqueueTurnInput(now_ms=90, input_id=I1, source_key="k", ingress=ingress, body=HELLO)


def test_an_input_that_comes_after_its_turn_waits_for_the_next_one() -> None:
    taken = enqueued(I1, 1, source_key="k", ingress=INTO, at_ms=90)
    deferred = TurnInputsDeferred(at_ms=90, input_ids=(I1,))
    decision = given(*COMMITTED).when(enqueue(INTO)).then(taken, deferred)
    assert isinstance(decision.state, Open)
    entry = decision.state.inputs.pending[I1]
    assert (entry.ingress, entry.submitted) == (NextTurn(), INTO)
    decision.when(enqueue(INTO)).nothing_happened()  # As submitted, it is the same input.


def test_an_input_for_a_turn_that_is_open_or_to_come_waits_for_it() -> None:
    given(*BEGUN).when(enqueue(INTO)).then(enqueued(I1, 1, source_key="k", ingress=INTO, at_ms=90))
    given(*COMMITTED).when(enqueue(ELSEWHERE)).then(
        enqueued(I1, 1, source_key="k", ingress=ELSEWHERE, at_ms=90)
    )


@pytest.mark.parametrize(
    "event",
    [
        accepted(I1),
        TurnInputsDeferred(at_ms=90, input_ids=(InputId("nobody"),)),
    ],
    ids=["accepted", "deferred"],
)
def test_nothing_is_accepted_without_a_turn_and_nothing_unknown_is_deferred(event: Event) -> None:
    with pytest.raises(ImpossibleEvent):
        evolve(fold(CLAIMED), event)


def test_the_lease_runs_from_an_acceptance_on() -> None:
    state = given(*STEERED, accepted(I3, at_ms=5_000)).state
    assert isinstance(state, Open)
    assert state.lease.holder is not None
    assert state.lease.holder.expires_at_ms == 5_000 + TTL_MS
