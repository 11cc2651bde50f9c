"""Slice: the open turn. Started once, continued by whoever holds the lease, committed or ended."""

import attrs
import pytest

from lash_es.core.bodies import NewBody, RecordedBody
from lash_es.core.commands import (
    CommitTurn,
    ContinueTurn,
    EndTurn,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.errors import (
    BlankValue,
    EffectsUnsettled,
    ImpossibleEvent,
    LimitExceeded,
    SessionExecutionLeaseExpired,
    TurnIdConflict,
    TurnInProgress,
    TurnInputClaimSuperseded,
    TurnNotOpen,
)
from lash_es.core.events import (
    DirectInput,
    Event,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputsClaimed,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import (
    ClaimId,
    EffectId,
    Generation,
    NodeId,
    Position,
    Revision,
    TurnId,
)
from lash_es.core.ingress import ActiveTurn
from lash_es.core.limits import Limits
from lash_es.core.messages import Role, TokenUsage
from lash_es.core.outcomes import Finished, Stopped, StopReason, TurnOutcome
from lash_es.core.owners import Fence
from lash_es.core.state import Open, State
from lash_es.core.transcripts import FromInputs, Node, TurnLimitNotice, node_name
from lash_es.core.turns import (
    NO_TURN,
    Begun,
    OpenTurn,
    effect_name,
)
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER,
    ASKED_NODE,
    ASKING,
    BEGUN,
    BOBS_FENCE,
    CLAIM,
    CLAIMED,
    COMMITTED,
    COMMITTED_FACT,
    DRAINING,
    E1,
    FENCE,
    GOODBYE,
    HELLO,
    HELLO_AGAIN,
    I1,
    I2,
    I3,
    LATER_MS,
    LEASED,
    OPENED,
    PENDING,
    POLICY,
    TURN,
    USAGE,
    acquired,
    at,
    claimed,
    drained,
    enqueued,
    started,
)

ENDED_FACT = TurnEnded(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
    usage=TokenUsage(),
    returned_input_ids=(),
    failed_input_ids=(),
    deferred_input_ids=(),
)
FINISHED = Finished()
TAKEN_OVER: tuple[Event, ...] = (*ASKING, acquired(BOBS_FENCE, at_ms=LATER_MS))
CONTINUED = TurnContinued(at_ms=LATER_MS, generation=Generation(2), turn_id=TURN)


def start(
    body: NewBody = HELLO, turn_id: TurnId = TURN, now_ms: int = 50, fence: Fence = FENCE
) -> StartTurn:
    return StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=WithInput(body=body))


def drain(
    claim_id: ClaimId = CLAIM, turn_id: TurnId = TURN, token: str = "claim-token"
) -> StartTurn:
    source = WithClaim(claim_id=claim_id, token=token)
    return StartTurn(now_ms=50, fence=FENCE, turn_id=turn_id, source=source)


def go_on(fence: Fence = FENCE, turn_id: TurnId = TURN, now_ms: int = 80) -> ContinueTurn:
    return ContinueTurn(now_ms=now_ms, fence=fence, turn_id=turn_id)


def commit(outcome: TurnOutcome = FINISHED, turn_id: TurnId = TURN) -> CommitTurn:
    return CommitTurn(now_ms=80, fence=FENCE, turn_id=turn_id, outcome=outcome)


def end(turn_id: TurnId = TURN) -> EndTurn:
    outcome = Stopped(reason=StopReason.RUNTIME_ERROR)
    return EndTurn(now_ms=80, fence=FENCE, turn_id=turn_id, outcome=outcome)


def turn_of(state: State) -> OpenTurn:
    assert isinstance(state, Open)
    assert isinstance(state.turn, OpenTurn)
    return state.turn


def not_open(requested: str, found: str | None) -> TurnNotOpen:
    return TurnNotOpen(
        session_id="s1",
        requested_turn_id=TurnId(requested),
        open_turn_id=None if found is None else TurnId(found),
    )


# Starting


def test_a_turn_is_accepted_with_its_own_input() -> None:
    decision = given(*LEASED).when(start()).then(started())

    assert turn_of(decision.state) == OpenTurn(
        turn_id=TURN,
        started=Position(2),
        started_at_ms=50,
        last=Position(2),
        generation=Generation(1),
        origin=DirectInput(),
        content=RecordedBody(ref=at(2), commitment=HELLO.commitment),
        policy=POLICY,
        model_calls_max=100,
        step=Begun(),
        iteration=0,
        effects_count=0,
        effects={},
        results={},
        nodes=(ASKED_NODE,),
        usage=TokenUsage(),
        digests=(f"1.0:{HELLO.commitment.digest}",),
    )


def test_a_turn_is_accepted_with_the_inputs_of_a_claim() -> None:
    decision = given(*CLAIMED).when(drain()).then(drained(I1, I2))

    turn = turn_of(decision.state)
    first = Node(node_id=NodeId("t1:m1"), role=Role.USER, source=FromInputs(bodies=(at(2), at(3))))
    assert turn.nodes == (first,)
    assert turn.content is None
    assert turn.input_ids == (I1, I2)


def test_a_direct_turn_takes_no_pending_input() -> None:
    assert turn_of(fold(BEGUN)).input_ids == ()


def test_a_turn_has_a_name_of_bounded_length() -> None:
    given(*LEASED).when(start(turn_id=TurnId(" "))).refused(BlankValue(field="turn_id"))
    given(*LEASED, limits=Limits(turn_id_chars_max=1)).when(start()).refused(
        LimitExceeded(limit="turn_id_chars_max", found=2, allowed=1)
    )


def test_a_direct_input_is_bounded() -> None:
    given(*LEASED, limits=Limits(body_bytes_max=6)).when(start()).refused(
        LimitExceeded(limit="body_bytes_max", found=7, allowed=6)
    )


def test_a_turn_needs_the_lease() -> None:
    given(OPENED).when(start()).refused(
        SessionExecutionLeaseExpired(
            session_id="s1",
            presented_generation=Generation(1),
            current_generation=Generation(0),
            reason="the lease is free",
        )
    )


def test_model_calls_are_bounded_by_the_policy() -> None:
    short = attrs.evolve(OPENED, policy=attrs.evolve(POLICY, max_turns=3))

    given(short, acquired()).when(start()).then(attrs.evolve(started(), model_calls_max=3))


def test_model_calls_are_bounded_by_the_limit_whatever_the_policy_says() -> None:
    long = attrs.evolve(OPENED, policy=attrs.evolve(POLICY, max_turns=1_000))

    given(long, acquired()).when(start()).then(started())


def test_one_turn_is_open_at_a_time() -> None:
    given(*BEGUN).when(start(turn_id=TurnId("t2"))).refused(
        TurnInProgress(session_id="s1", requested_turn_id=TurnId("t2"), open_turn_id=TURN)
    )


@pytest.mark.parametrize("history", [BEGUN, COMMITTED, (*BEGUN, ENDED_FACT)], ids=len)
def test_starting_a_turn_again_with_its_input_records_nothing(history: tuple[Event, ...]) -> None:
    given(*history, bodies=[HELLO]).when(start(HELLO_AGAIN)).nothing_happened()


@pytest.mark.parametrize("history", [BEGUN, COMMITTED, (*BEGUN, ENDED_FACT)], ids=len)
def test_starting_a_turn_again_with_another_input_is_a_conflict(
    history: tuple[Event, ...],
) -> None:
    given(*history, bodies=[HELLO]).when(start(GOODBYE)).refused(
        TurnIdConflict(session_id="s1", turn_id=TURN)
    )


def test_an_erased_input_counts_as_the_same_input() -> None:
    given(*COMMITTED).when(start(GOODBYE)).nothing_happened()


def test_draining_under_the_name_of_a_drained_turn_records_nothing() -> None:
    given(*DRAINING).when(drain()).nothing_happened()


def test_draining_under_the_name_of_a_direct_turn_is_a_conflict() -> None:
    given(*COMMITTED, bodies=[HELLO]).when(drain()).refused(
        TurnIdConflict(session_id="s1", turn_id=TURN)
    )


def test_a_direct_turn_under_the_name_of_a_drained_one_is_a_conflict() -> None:
    given(*DRAINING).when(start()).refused(TurnIdConflict(session_id="s1", turn_id=TURN))


@pytest.mark.parametrize("command", [drain(ClaimId("tic:9:1")), drain(token="other")], ids=repr)
def test_a_claim_that_holds_nothing_starts_no_turn(command: StartTurn) -> None:
    wanted = command.source
    assert isinstance(wanted, WithClaim)

    given(*CLAIMED).when(command).refused(
        TurnInputClaimSuperseded(session_id="s1", claim_id=wanted.claim_id)
    )


def test_a_claim_of_an_earlier_generation_starts_no_turn() -> None:
    taken_over = (*CLAIMED, acquired(BOBS_FENCE, at_ms=LATER_MS))
    bobs = attrs.evolve(drain(), fence=BOBS_FENCE, now_ms=LATER_MS)

    given(*taken_over).when(bobs).refused(
        TurnInputClaimSuperseded(session_id="s1", claim_id=CLAIM)
    )


# Going on


def test_another_generation_goes_on_with_the_turn() -> None:
    decision = given(*TAKEN_OVER).when(go_on(BOBS_FENCE, now_ms=LATER_MS)).then(CONTINUED)

    turn = turn_of(decision.state)
    assert (turn.generation, turn.last) == (2, 5)
    assert [(e.effect_id, e.attempt, e.position) for e in turn.effects.values()] == [(E1, 2, 3)]


def test_going_on_under_the_same_generation_tries_again_what_was_in_flight() -> None:
    # The owner came back before its lease ran out: nobody took over, yet nothing is in flight.
    again = TurnContinued(at_ms=80, generation=Generation(1), turn_id=TURN)

    decision = given(*ASKING).when(go_on()).then(again)

    assert [e.attempt for e in turn_of(decision.state).effects.values()] == [2]


def test_going_on_under_the_same_generation_with_nothing_in_flight_records_nothing() -> None:
    given(*ANSWER).when(go_on()).nothing_happened()


def test_another_generation_goes_on_even_with_nothing_in_flight() -> None:
    taken_over = (*ANSWER, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*taken_over).when(go_on(BOBS_FENCE, now_ms=LATER_MS)).then(CONTINUED)


def test_only_the_open_turn_goes_on() -> None:
    given(*ASKING).when(go_on(turn_id=TurnId("t2"))).refused(not_open("t2", "t1"))
    given(*LEASED).when(go_on()).refused(not_open("t1", None))


# Committing


def test_a_commit_makes_the_turn_part_of_the_history() -> None:
    decision = given(*ANSWER).when(commit()).then(COMMITTED_FACT)

    assert isinstance(decision.state, Open)
    assert decision.state.turn == NO_TURN


def test_the_next_commit_follows_the_last_one() -> None:
    again = (*COMMITTED, started(turn_id=TurnId("t2"), at_ms=90))
    first = Node(node_id=NodeId("t2:m1"), role=Role.USER, source=FromInputs(bodies=(at(6),)))

    given(*again).when(commit(turn_id=TurnId("t2"))).then(
        TurnCommitted(
            at_ms=90,
            generation=Generation(1),
            turn_id=TurnId("t2"),
            turn_index=2,
            revision=Revision(2),
            outcome=Finished(),
            parent=Position(5),
            nodes=(first,),
            usage=TokenUsage(),
            completed_input_ids=(),
            deferred_input_ids=(),
        )
    )


def test_a_commit_settles_what_the_turn_took_and_defers_what_missed_it() -> None:
    into = enqueued(I3, 3, ingress=ActiveTurn(TURN), at_ms=55)

    decision = given(*DRAINING, into).when(commit())

    (event,) = decision.events
    assert isinstance(event, TurnCommitted)
    assert event.completed_input_ids == (I1, I2)
    assert event.deferred_input_ids == (I3,)


def test_a_turn_that_ran_into_its_limit_says_so_in_the_transcript() -> None:
    decision = given(*BEGUN).when(commit(Stopped(reason=StopReason.MAX_TURNS)))

    (event,) = decision.events
    assert isinstance(event, TurnCommitted)
    assert event.nodes == (
        ASKED_NODE,
        Node(
            node_id=NodeId("t1:m2"),
            role=Role.SYSTEM,
            source=TurnLimitNotice(model_calls_max=100),
        ),
    )


def test_a_turn_that_stopped_for_another_reason_adds_no_notice() -> None:
    decision = given(*BEGUN).when(commit(Stopped(reason=StopReason.CANCELLED)))

    (event,) = decision.events
    assert isinstance(event, TurnCommitted)
    assert event.nodes == (ASKED_NODE,)


def test_a_turn_with_an_open_effect_is_not_committed() -> None:
    given(*ASKING).when(commit()).refused(EffectsUnsettled(turn_id=TURN, effect_ids=(E1,)))


def test_only_the_open_turn_is_committed() -> None:
    given(*ANSWER).when(commit(turn_id=TurnId("t2"))).refused(not_open("t2", "t1"))
    given(*COMMITTED).when(commit()).refused(not_open("t1", None))


def test_an_owner_that_lost_the_lease_does_not_commit() -> None:
    taken_over = (*ANSWER, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*taken_over).when(commit()).refused(
        SessionExecutionLeaseExpired(
            session_id="s1",
            presented_generation=Generation(1),
            current_generation=Generation(2),
            reason="superseded",
        )
    )


# Ending


def test_an_end_leaves_the_history_alone() -> None:
    decision = given(*BEGUN).when(end()).then(ENDED_FACT)

    assert isinstance(decision.state, Open)
    assert decision.state.turn == NO_TURN
    assert decision.state.head.revision == 0


def test_an_ended_turns_tokens_were_spent_all_the_same() -> None:
    given(*ANSWER).when(end()).then(attrs.evolve(ENDED_FACT, usage=USAGE))


def test_an_end_gives_its_inputs_back_and_defers_what_missed_it() -> None:
    into = enqueued(I3, 3, ingress=ActiveTurn(TURN), at_ms=55)

    given(*DRAINING, into).when(end()).then(
        attrs.evolve(ENDED_FACT, returned_input_ids=(I1, I2), deferred_input_ids=(I3,))
    )


def _tries(count: int) -> tuple[Event, ...]:
    """Take the first input, and end, so many times."""
    history: tuple[Event, ...] = PENDING
    for attempt in range(1, count + 1):
        turn_id = TurnId(f"t{attempt}")
        claim_id = ClaimId(f"tic:1:{attempt}")
        history = (
            *history,
            attrs.evolve(claimed(I1), claim_id=claim_id, at_ms=80),
            attrs.evolve(drained(I1), turn_id=turn_id, at_ms=80),
            attrs.evolve(ENDED_FACT, turn_id=turn_id, returned_input_ids=(I1,)),
        )
    return history


@pytest.mark.parametrize("tries_before", [0, 1, 2, 3])
def test_an_input_waits_again_three_times_and_has_failed_then(tries_before: int) -> None:
    claim = TurnInputsClaimed(
        at_ms=80,
        generation=Generation(1),
        claim_id=ClaimId("tic:1:9"),
        token="claim-token",
        input_ids=(I1, I2),
    )
    last = TurnId("last")
    taken = (*_tries(tries_before), claim, attrs.evolve(drained(I1, I2), turn_id=last, at_ms=80))

    decision = given(*taken).when(end(last))

    (event,) = decision.events
    assert isinstance(event, TurnEnded)
    assert event.failed_input_ids == ((I1,) if tries_before == 3 else ())
    assert event.returned_input_ids == ((I2,) if tries_before == 3 else (I1, I2))


def test_how_often_an_input_is_tried_is_a_limit() -> None:
    decision = given(*DRAINING, limits=Limits(drain_attempts_max=0)).when(end())

    decision.then(attrs.evolve(ENDED_FACT, failed_input_ids=(I1, I2)))


def test_a_turn_with_an_open_effect_does_not_end() -> None:
    given(*ASKING).when(end()).refused(EffectsUnsettled(turn_id=TURN, effect_ids=(E1,)))


def test_only_the_open_turn_ends() -> None:
    given(*LEASED).when(end()).refused(not_open("t1", None))


# Names


def test_effects_and_messages_are_named_after_their_turn_in_order() -> None:
    turn = turn_of(fold(ASKING))

    assert effect_name(turn) == EffectId("t1/2")
    assert node_name(TURN, 3) == NodeId("t1:m3")


# What cannot be


def test_a_turn_does_not_start_while_another_is_open() -> None:
    with pytest.raises(ImpossibleEvent, match="found t1, expected no open turn"):
        evolve(fold(BEGUN), started(turn_id=TurnId("t2")))


@pytest.mark.parametrize(
    "event",
    [COMMITTED_FACT, ENDED_FACT, attrs.evolve(CONTINUED, generation=Generation(1))],
    ids=lambda event: type(event).__name__,
)
def test_nothing_follows_of_a_turn_that_is_not_open(event: Event) -> None:
    with pytest.raises(ImpossibleEvent, match="found NoTurn, expected t1"):
        evolve(fold(LEASED), event)


@pytest.mark.parametrize(
    "event",
    [attrs.evolve(started(), bodies=()), attrs.evolve(drained(I1), bodies=started().bodies)],
    ids=["direct without content", "drained with content"],
)
def test_a_turn_has_content_of_its_own_if_and_only_if_it_is_direct(event: Event) -> None:
    with pytest.raises(ImpossibleEvent, match="a body if, and only if, direct"):
        evolve(fold(CLAIMED), event)


def test_nothing_follows_of_another_turn() -> None:
    with pytest.raises(ImpossibleEvent, match="found OpenTurn, expected t2"):
        evolve(fold(BEGUN), attrs.evolve(ENDED_FACT, turn_id=TurnId("t2")))
