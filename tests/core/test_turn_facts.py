"""Slice: the open turn. What each of its facts leaves behind, to the last field."""

import attrs
import pytest

from lash_es.core import turns
from lash_es.core.bodies import RecordedBody
from lash_es.core.effects import Effect, ModelCall
from lash_es.core.events import EffectSettled, Event, TurnContinued
from lash_es.core.evolve import fold
from lash_es.core.ids import EffectId, Generation, NodeId, Position
from lash_es.core.messages import Role
from lash_es.core.outcomes import EffectCancelled, EffectFailed
from lash_es.core.transcripts import FromInputs, FromWork, Node, TurnLimitNotice
from lash_es.core.turns import (
    Interrupted,
    ModelCallFailed,
    OpenTurn,
    Replied,
    Step,
    effect_name,
    told,
    told_work,
)
from tests.core.examples import (
    ANSWER,
    ANSWERED,
    ASK,
    ASKING,
    B1,
    B2,
    BATCH_DONE,
    BEGUN,
    CALLED,
    CALLING,
    CALLS_AT,
    E1,
    E2,
    E3,
    GOODBYE,
    HELLO,
    I1,
    I2,
    REPLIED,
    REPLY,
    RESULT,
    RETURNED,
    TURN,
    USAGE,
    at,
    call,
    requested,
    settled,
    started,
)
from tests.core.test_turns import turn_of

FAILED = EffectFailed(code="overloaded", is_retryable=False)
SAID = f"1.0:{HELLO.commitment.digest}"
REPLIED_THEN = f"2.0:{REPLY.commitment.digest}"


def turn(*history: Event) -> OpenTurn:
    return turn_of(fold(history))


def stopped(outcome: EffectFailed | EffectCancelled) -> EffectSettled:
    return settled(E1, outcome, None if isinstance(outcome, EffectCancelled) else REPLY)


def went(before: OpenTurn, last: int, step: Step) -> OpenTurn:
    """What a model call without an answer changes: where the turn stands, and nothing else."""
    return attrs.evolve(before, last=Position(last), step=step, effects={})


def test_a_failed_model_call_leaves_the_transcript_alone() -> None:
    expected = went(turn(*ASKING), 4, ModelCallFailed(failure=FAILED))

    assert turn(*ASKING, stopped(FAILED)) == expected


def test_a_cancelled_model_call_leaves_the_transcript_alone() -> None:
    expected = went(turn(*ASKING), 4, Interrupted())

    assert turn(*ASKING, stopped(EffectCancelled())) == expected


def test_a_reply_is_the_next_message_and_its_content_is_noted() -> None:
    before, after = turn(*ASKING), turn(*ANSWER)

    assert after == attrs.evolve(
        before,
        last=Position(4),
        step=Replied(reply=at(4), outcome=ANSWERED),
        effects={},
        nodes=after.nodes,
        usage=USAGE,
        digests=(SAID, REPLIED_THEN),
    )
    assert [node.node_id for node in after.nodes] == ["t1:m1", "t1:m2"]


def test_a_result_waits_for_the_others_of_its_reply() -> None:
    before, after = turn(*CALLING), turn(*CALLING, settled(E3, RETURNED, RESULT))

    assert list(after.results) == [1]
    assert after == attrs.evolve(
        before,
        last=Position(7),
        effects={E2: before.effects[E2]},
        results=after.results,
        digests=(SAID, REPLIED_THEN, f"3.1:{RESULT.commitment.digest}"),
    )


def test_the_last_result_makes_the_message_and_ends_the_round() -> None:
    before, after = turn(*CALLING), turn(*BATCH_DONE)

    assert (after.last, after.results, after.effects) == (8, {}, {})
    assert (before.iteration, after.iteration) == (0, 1)
    assert after.digests[2:] == (
        f"3.1:{RESULT.commitment.digest}",
        f"3.0:{RESULT.commitment.digest}",
    )
    assert (after.usage, after.effects_count, after.generation) == (USAGE, 3, 1)
    assert [node.node_id for node in after.nodes] == ["t1:m1", "t1:m2", "t1:m3"]


def test_a_request_waits_from_where_it_was_made() -> None:
    assert turn(*REPLIED[:-1]) == attrs.evolve(
        turn(*BEGUN),
        last=Position(3),
        effects_count=1,
        effects={E1: Effect(effect_id=E1, request=ASK, position=Position(3), attempt=1)},
    )


def test_what_is_in_flight_when_a_turn_goes_on_is_the_same_effect_again() -> None:
    again = TurnContinued(at_ms=90, generation=Generation(1), turn_id=TURN)

    after = turn(*CALLING, again)

    assert after == attrs.evolve(turn(*CALLING), last=Position(7), effects=after.effects)
    assert list(after.effects.values()) == [
        Effect(effect_id=E2, request=call(0, CALLS_AT), position=Position(5), attempt=2),
        Effect(effect_id=E3, request=call(1, CALLS_AT), position=Position(6), attempt=2),
    ]


def test_what_was_said_meanwhile_is_the_next_message_with_its_contents_noted() -> None:
    before = turn(*ANSWER)
    first = RecordedBody(ref=at(7), commitment=GOODBYE.commitment)
    second = RecordedBody(ref=at(9), commitment=HELLO.commitment)

    after = told(before, [(I1, first), (I2, second)])

    said = FromInputs(bodies=(at(7), at(9)))
    assert after == attrs.evolve(
        before,
        nodes=(*before.nodes, Node(node_id=NodeId("t1:m3"), role=Role.USER, source=said)),
        delivered_ids=(I1, I2),
        digests=(
            *before.digests,
            f"3.0:{GOODBYE.commitment.digest}",
            f"3.1:{HELLO.commitment.digest}",
        ),
    )
    assert told(after, [(I1, first)]).delivered_ids == (I1, I2, I1)
    assert told(before, []) is before


def test_what_happened_elsewhere_is_the_next_message_with_its_contents_noted() -> None:
    before = turn(*ANSWER)
    first = RecordedBody(ref=at(7), commitment=GOODBYE.commitment)
    second = RecordedBody(ref=at(9), commitment=HELLO.commitment)

    after = told_work(before, [(B1, [first, second]), (B2, [])])

    happened = FromWork(bodies=(at(7), at(9)))
    assert after == attrs.evolve(
        before,
        nodes=(*before.nodes, Node(node_id=NodeId("t1:m3"), role=Role.EVENT, source=happened)),
        batch_ids=(B1, B2),
        digests=(
            *before.digests,
            f"3.0:{GOODBYE.commitment.digest}",
            f"3.1:{HELLO.commitment.digest}",
        ),
    )
    assert told_work(after, [(B1, [first])]).batch_ids == (B1, B2, B1)
    assert told_work(before, []) is before


def test_a_call_after_an_answer_is_the_next_iteration() -> None:
    again = requested(E2, ModelCall(iteration=1))

    assert turn(*ANSWER, again) == attrs.evolve(
        turn(*ANSWER),
        last=Position(5),
        effects_count=2,
        effects={E2: Effect(effect_id=E2, request=again.request, position=Position(5), attempt=1)},
        iteration=1,
    )


@pytest.mark.parametrize(("iteration", "is_told"), [(0, False), (1, True)])
def test_the_remark_on_the_limit_comes_with_the_iteration_that_is_past_it(
    iteration: int, is_told: bool
) -> None:
    # Whoever asks again within the iteration has been told already.
    before = attrs.evolve(turn(*ANSWER), iteration=0, model_calls_max=iteration)

    after = turns.requested(before, requested(E2, ModelCall(iteration=iteration)), Position(5))

    notice = Node(
        node_id=NodeId("t1:m3"),
        role=Role.SYSTEM,
        source=TurnLimitNotice(model_calls_max=iteration),
    )
    assert after.nodes == ((*before.nodes, notice) if is_told else before.nodes)


def test_only_the_first_body_of_a_start_is_the_input() -> None:
    # No rule writes a second one; a fold accepts it.
    two = attrs.evolve(started(), bodies=(HELLO.commitment, GOODBYE.commitment))

    begun = turn(*BEGUN[:-1], two)

    assert begun.content == RecordedBody(ref=at(2), commitment=HELLO.commitment)
    assert (begun.nodes, begun.digests) == (turn(*BEGUN).nodes, (SAID,))


def test_the_effects_after_the_next_have_their_names_already() -> None:
    assert effect_name(turn(*ASKING), 2) == EffectId("t1/4")


def test_calls_of_a_reply_are_known_by_the_reply() -> None:
    assert turn(*REPLIED).step == Replied(reply=at(CALLS_AT), outcome=CALLED)
