"""Slice: the effects of the open turn. Requested in order, settled once, told as messages."""

import attrs
import pytest

from lash_es.core.agenda import agenda
from lash_es.core.bodies import NewBody
from lash_es.core.commands import RequestEffect, SettleEffect
from lash_es.core.effects import Effect, EffectRequest, ModelCall, ToolCall
from lash_es.core.errors import (
    EffectNotOpen,
    EffectOutcomeMismatch,
    EffectRequestRefused,
    ImpossibleEvent,
    LimitExceeded,
    SessionExecutionLeaseExpired,
    TurnNotOpen,
)
from lash_es.core.events import Event
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import CallId, EffectId, Generation, Position, TurnId
from lash_es.core.limits import Limits
from lash_es.core.messages import FinishReason, Role, TokenUsage, ToolStatus
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.state import NOT_OPENED, Open, State
from lash_es.core.transcripts import FromReply, FromResults, ResultRef
from lash_es.core.turns import (
    BatchDone,
    Interrupted,
    ModelCallFailed,
    OpenTurn,
    Replied,
)
from lash_es.verify.spec import given
from tests.core.examples import (
    ANSWER,
    ANSWER_NODE,
    ANSWERED,
    ASK,
    ASKED_NODE,
    ASKING,
    BATCH_DONE,
    BEGUN,
    BOBS_FENCE,
    CALLED,
    CALLING,
    CALLS_AT,
    E1,
    E2,
    E3,
    E4,
    FENCE,
    IDLE,
    LATER_MS,
    LEASED,
    READ,
    REPLIED,
    REPLY,
    RESULT,
    RESULTS_NODE,
    RETURNED,
    TURN,
    USAGE,
    acquired,
    at,
    call,
    node,
    requested,
    settled,
)

FAILED = EffectFailed(code="timeout", is_retryable=True)
STOPPED = EffectCancelled()
SILENT = ModelReplied(
    finish=FinishReason.STOP, has_content=False, tool_calls=(), usage=TokenUsage()
)


def request(effect_id: EffectId, asked: EffectRequest, turn_id: TurnId = TURN) -> RequestEffect:
    return RequestEffect(
        now_ms=60, fence=FENCE, turn_id=turn_id, effect_id=effect_id, request=asked
    )


def settle(
    effect_id: EffectId, outcome: EffectOutcome, body: NewBody | None = REPLY
) -> SettleEffect:
    return SettleEffect(
        now_ms=70, fence=FENCE, turn_id=TURN, effect_id=effect_id, outcome=outcome, body=body
    )


def refusal(effect_id: EffectId, reason: str) -> EffectRequestRefused:
    return EffectRequestRefused(effect_id=effect_id, reason=reason)


def turn_of(state: State) -> OpenTurn:
    assert isinstance(state, Open)
    assert isinstance(state.turn, OpenTurn)
    return state.turn


# Requesting


def test_a_turn_asks_the_model() -> None:
    decision = given(*BEGUN).when(request(E1, ASK)).then(requested(E1, ASK))

    turn = turn_of(decision.state)
    expected = Effect(effect_id=E1, request=ASK, position=Position(3), attempt=1)
    assert turn.effects == {E1: expected}
    assert (turn.effects_count, turn.last) == (1, 3)


def test_effects_are_numbered_without_a_gap() -> None:
    given(*BEGUN).when(request(E2, ASK)).refused(refusal(E2, "the turn's next effect is 't1/1'"))


def test_a_model_is_not_asked_while_an_effect_is_open() -> None:
    given(*ASKING).when(request(E2, ASK)).refused(refusal(E2, "an effect is open"))


def test_a_model_is_not_asked_while_the_last_reply_has_unanswered_calls() -> None:
    given(*REPLIED).when(request(E2, ASK)).refused(
        refusal(E2, "the last reply has calls without an outcome")
    )


@pytest.mark.parametrize("history", [ANSWER, BATCH_DONE], ids=["answered", "batch done"])
def test_a_model_is_asked_again_when_nothing_is_owed(history: tuple[Event, ...]) -> None:
    effect_id = E2 if history == ANSWER else E4

    assert given(*history).when(request(effect_id, ModelCall(iteration=1))).events


def test_the_calls_of_a_reply_run_side_by_side() -> None:
    first = given(*REPLIED).when(request(E2, call(0, CALLS_AT)))
    first.then(attrs.evolve(requested(E2, call(0, CALLS_AT)), at_ms=70))
    second = given(*REPLIED, *first.events).when(request(E3, call(1, CALLS_AT)))

    assert tuple(turn_of(second.state).effects) == (E2, E3)


def test_no_tool_is_called_unless_a_reply_asked_for_it() -> None:
    unasked = refusal(E1, "no reply asked for it")

    given(*BEGUN).when(request(E1, call(0, CALLS_AT))).refused(unasked)


def test_no_tool_is_called_for_another_reply_than_the_last() -> None:
    given(*REPLIED).when(request(E2, call(0, 3))).refused(refusal(E2, "no reply asked for it"))


@pytest.mark.parametrize(
    "asked",
    [
        attrs.evolve(call(1, CALLS_AT), ordinal=2),
        attrs.evolve(call(0, CALLS_AT), call_id=CallId("c9")),
    ],
    ids=["beyond the last", "another id"],
)
def test_no_tool_is_called_that_the_reply_does_not_name(asked: ToolCall) -> None:
    given(*REPLIED).when(request(E2, asked)).refused(refusal(E2, "the reply holds no such call"))


def test_a_call_is_not_requested_twice() -> None:
    twice = refusal(E4, "the call was requested before")

    given(*CALLING).when(request(E4, call(0, CALLS_AT))).refused(twice)
    given(*CALLING, settled(E2, RETURNED)).when(request(E4, call(0, CALLS_AT))).refused(twice)


def test_effects_are_requested_for_the_open_turn_only() -> None:
    given(*LEASED).when(request(E1, ASK)).refused(
        TurnNotOpen(session_id="s1", requested_turn_id=TURN, open_turn_id=None)
    )


def test_effects_are_requested_and_settled_under_the_lease_only() -> None:
    taken_over = (*ASKING, acquired(BOBS_FENCE, at_ms=LATER_MS))
    superseded = SessionExecutionLeaseExpired(
        session_id="s1",
        presented_generation=Generation(1),
        current_generation=Generation(2),
        reason="superseded",
    )

    given(*taken_over).when(request(E2, ASK)).refused(superseded)
    given(*taken_over).when(settle(E1, ANSWERED)).refused(superseded)


# Settling a model call


def test_a_reply_becomes_a_message_and_its_tokens_count() -> None:
    decision = given(*ASKING).when(settle(E1, ANSWERED)).then(settled(E1, ANSWERED))

    turn = turn_of(decision.state)
    assert turn.step == Replied(reply=at(4), outcome=ANSWERED)
    assert turn.nodes == (ASKED_NODE, ANSWER_NODE)
    assert turn.usage == USAGE
    assert turn.effects == {}


def test_tokens_of_several_replies_add_up() -> None:
    again = (*ANSWER, requested(E2, ModelCall(iteration=1)), settled(E2, ANSWERED))

    assert turn_of(given(*again).state).usage == USAGE + USAGE


def test_a_reply_that_says_nothing_is_no_message() -> None:
    turn = turn_of(given(*ASKING, settled(E1, SILENT)).state)

    assert turn.nodes == (ASKED_NODE,)
    assert turn.step == Replied(reply=at(4), outcome=SILENT)


def test_a_reply_that_only_calls_is_a_message() -> None:
    wordless = attrs.evolve(CALLED, has_content=False)

    nodes = turn_of(given(*ASKING, settled(E1, wordless)).state).nodes

    assert nodes == (ASKED_NODE, node(2, Role.ASSISTANT, FromReply(body=at(4))))


def test_a_model_call_may_fail() -> None:
    decision = given(*ASKING).when(settle(E1, FAILED)).then(settled(E1, FAILED))

    assert turn_of(decision.state).step == ModelCallFailed(failure=FAILED)


def test_a_model_call_may_be_stopped() -> None:
    decision = given(*ASKING).when(settle(E1, STOPPED, None)).then(settled(E1, STOPPED, None))

    assert turn_of(decision.state).step == Interrupted()


def test_a_reply_asks_for_a_bounded_number_of_tools() -> None:
    one = Limits(tool_calls_per_reply_max=1)

    given(*ASKING, limits=one).when(settle(E1, CALLED)).refused(
        LimitExceeded(limit="tool_calls_per_reply_max", found=2, allowed=1)
    )


@pytest.mark.parametrize(
    "ref",
    [attrs.evolve(READ, tool="read!"), attrs.evolve(READ, call_id=CallId("c1234"))],
    ids=repr,
)
def test_what_a_model_calls_a_tool_by_is_bounded(ref: ToolCallRef) -> None:
    wordy = attrs.evolve(CALLED, tool_calls=(READ, ref))

    given(*ASKING, limits=Limits(tool_name_chars_max=4)).when(settle(E1, wordy)).refused(
        LimitExceeded(limit="tool_name_chars_max", found=5, allowed=4)
    )


def test_an_outcome_is_bounded() -> None:
    given(*ASKING, limits=Limits(body_bytes_max=8)).when(settle(E1, ANSWERED)).refused(
        LimitExceeded(limit="body_bytes_max", found=9, allowed=8)
    )


# Settling tool calls


def test_a_batch_waits_for_its_last_call() -> None:
    turn = turn_of(given(*CALLING, settled(E3, RETURNED, RESULT)).state)

    assert isinstance(turn.step, Replied)
    assert tuple(turn.effects) == (E2,)
    assert tuple(turn.results) == (1,)
    assert turn.iteration == 0


def test_the_last_result_closes_the_batch_in_the_order_of_the_calls() -> None:
    last = given(*CALLING, settled(E3, RETURNED, RESULT)).when(settle(E2, RETURNED, RESULT))

    turn = turn_of(last.state)
    assert turn.step == BatchDone()
    assert turn.nodes[-1] == RESULTS_NODE
    assert (turn.iteration, turn.results) == (1, {})


@pytest.mark.parametrize(
    ("outcome", "status", "body"),
    [
        (RETURNED, ToolStatus.SUCCEEDED, RESULT),
        (FAILED, ToolStatus.FAILED, RESULT),
        (STOPPED, ToolStatus.CANCELLED, None),
    ],
    ids=["returned", "failed", "cancelled"],
)
def test_a_result_says_how_its_call_ended(
    outcome: EffectOutcome, status: ToolStatus, body: NewBody | None
) -> None:
    one_call = (*ASKING, settled(E1, attrs.evolve(CALLED, tool_calls=(READ,))))
    calling = (*one_call, requested(E2, call(0, CALLS_AT)))

    turn = turn_of(given(*calling).when(settle(E2, outcome, body)).state)

    ref = ResultRef(
        call_id=READ.call_id,
        tool="read",
        status=status,
        body=None if body is None else at(6),
    )
    assert turn.nodes[-1].source == FromResults(results=(ref,))


# Settling at all


def test_an_effect_is_settled_once() -> None:
    given(*ANSWER).when(settle(E1, ANSWERED)).refused(EffectNotOpen(effect_id=E1))


def test_an_effect_that_was_never_requested_is_not_settled() -> None:
    given(*ASKING).when(settle(E2, ANSWERED)).refused(EffectNotOpen(effect_id=E2))


def test_effects_are_settled_in_the_open_turn_only() -> None:
    other = attrs.evolve(settle(E1, ANSWERED), turn_id=TurnId("t2"))

    given(*ASKING).when(other).refused(
        TurnNotOpen(session_id="s1", requested_turn_id=TurnId("t2"), open_turn_id=TURN)
    )


def test_a_model_call_does_not_end_as_a_tool() -> None:
    given(*ASKING).when(settle(E1, RETURNED)).refused(
        EffectOutcomeMismatch(effect_id=E1, requested="ModelCall", outcome="ToolReturned")
    )


def test_a_tool_call_does_not_end_as_a_reply() -> None:
    given(*CALLING).when(settle(E2, ANSWERED)).refused(
        EffectOutcomeMismatch(effect_id=E2, requested="ToolCall", outcome="ModelReplied")
    )


@pytest.mark.parametrize("outcome", [ANSWERED, FAILED], ids=lambda o: type(o).__name__)
def test_an_outcome_comes_with_its_words(outcome: EffectOutcome) -> None:
    wordless = f"{type(outcome).__name__} without a body"

    given(*ASKING).when(settle(E1, outcome, None)).refused(
        EffectOutcomeMismatch(effect_id=E1, requested="ModelCall", outcome=wordless)
    )


def test_a_tools_outcome_comes_with_its_words() -> None:
    given(*CALLING).when(settle(E2, RETURNED, None)).refused(
        EffectOutcomeMismatch(
            effect_id=E2, requested="ToolCall", outcome="ToolReturned without a body"
        )
    )


def test_what_was_stopped_has_no_words() -> None:
    given(*ASKING).when(settle(E1, STOPPED, REPLY)).refused(
        EffectOutcomeMismatch(
            effect_id=E1, requested="ModelCall", outcome="EffectCancelled with a body"
        )
    )


# The agenda


def test_a_session_that_is_not_there_owes_nothing() -> None:
    assert agenda(NOT_OPENED) == ()


def test_a_session_without_a_turn_owes_nothing() -> None:
    assert agenda(fold(IDLE)) == ()


def test_what_was_requested_and_has_no_outcome_is_owed_in_order() -> None:
    assert [effect.effect_id for effect in agenda(fold(CALLING))] == [E2, E3]


def test_what_has_an_outcome_is_never_owed_again() -> None:
    assert agenda(fold(BATCH_DONE)) == ()


# What cannot be


def test_an_effect_has_the_turns_next_name() -> None:
    with pytest.raises(ImpossibleEvent, match="found t1/2, expected t1/1"):
        evolve(fold(BEGUN), requested(E2, ASK))


def test_an_outcome_belongs_to_an_open_effect() -> None:
    with pytest.raises(ImpossibleEvent, match="no such open effect, expected t1/1"):
        evolve(fold(ANSWER), settled(E1, ANSWERED))


def test_a_model_call_cannot_have_ended_as_a_tool() -> None:
    with pytest.raises(ImpossibleEvent, match="found ToolReturned"):
        evolve(fold(ASKING), settled(E1, ToolReturned()))


def test_a_tool_call_cannot_have_ended_as_a_reply() -> None:
    with pytest.raises(ImpossibleEvent, match="found ModelReplied"):
        evolve(fold(CALLING), settled(E2, ANSWERED))


def test_a_tool_cannot_have_run_that_the_reply_does_not_name() -> None:
    beyond = attrs.evolve(call(1, CALLS_AT), ordinal=2)

    with pytest.raises(ImpossibleEvent, match="expected one of 2 calls"):
        evolve(fold((*REPLIED, requested(E2, beyond))), settled(E2, RETURNED))


def test_a_tool_cannot_have_run_that_no_reply_asked_for() -> None:
    unasked = (*BEGUN, requested(E1, call(0, CALLS_AT)))

    with pytest.raises(ImpossibleEvent, match="a reply that asked for tools"):
        evolve(fold(unasked), settled(E1, RETURNED))
