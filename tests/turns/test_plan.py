"""The plan as a table: where a turn stands, and what follows from it."""

from textwrap import dedent
from typing import Final, get_args

import attrs
import pytest

from lash_es.core.commands import CommitTurn, EndTurn, RequestEffect
from lash_es.core.effects import ModelCall
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import EffectId
from lash_es.core.messages import FinishReason, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    TurnOutcome,
)
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn, Replied, Step
from lash_es.turns.standard import (
    AskModel,
    Commit,
    End,
    Plan,
    RunTools,
    Wait,
    next_commands,
    plan,
    requests,
)
from tests.core.examples import (
    ASKING,
    BATCH_DONE,
    BEGUN,
    CALLING,
    CALLS_AT,
    DRAINING,
    E1,
    E2,
    E4,
    FENCE,
    READ,
    REPLIED,
    REPLY,
    TURN,
    call,
    requested,
    settled,
)

ASKED_AGAIN: Final = (*BATCH_DONE, requested(E4, ModelCall(iteration=1)))
SILENT_FAILURE: Final = EffectFailed(code="rate_limited", is_retryable=True)


def says(finish: FinishReason, *calls: ToolCallRef, has_content: bool = True) -> ModelReplied:
    return ModelReplied(
        finish=finish, has_content=has_content, tool_calls=calls, usage=TokenUsage()
    )


STOP: Final = FinishReason.STOP


def first(outcome: EffectOutcome) -> tuple[Event, ...]:
    """The outcome of the turn's first model call."""
    return (*ASKING, settled(E1, outcome, REPLY))


def second(outcome: EffectOutcome) -> tuple[Event, ...]:
    """The outcome of the model call after the tools."""
    return (*ASKED_AGAIN, settled(E4, outcome, REPLY))


def turn_of(history: tuple[Event, ...]) -> OpenTurn:
    state = fold(history)
    assert isinstance(state, Open)
    assert isinstance(state.turn, OpenTurn)
    return state.turn


TURNS: Final = {
    "begun": turn_of(BEGUN),
    "begun on drained inputs": turn_of(DRAINING),
    "model asked": turn_of(ASKING),
    "model failed": turn_of(first(SILENT_FAILURE)),
    "model stopped": turn_of(first(EffectCancelled())),
    "answer": turn_of(first(says(STOP))),
    "answer, of unknown finish": turn_of(first(says(FinishReason.UNKNOWN))),
    "answer, cut off": turn_of(first(says(FinishReason.OUTPUT_LIMIT))),
    "answer, filtered": turn_of(first(says(FinishReason.CONTENT_FILTER))),
    "answer, broken off": turn_of(first(says(FinishReason.ERROR))),
    "nothing": turn_of(first(says(STOP, has_content=False))),
    "nothing, after tools": turn_of(second(says(STOP, has_content=False))),
    "nothing, cut off, after tools": turn_of(
        second(says(FinishReason.OUTPUT_LIMIT, has_content=False))
    ),
    "answer, after tools": turn_of(second(says(STOP))),
    "calls": turn_of(REPLIED),
    "calls, without a word": turn_of(
        first(says(FinishReason.TOOL_CALLS, READ, has_content=False))
    ),
    "calls, though finished": turn_of(first(says(STOP, READ))),
    "calls, cut off": turn_of(first(says(FinishReason.OUTPUT_LIMIT, READ))),
    "calls, filtered": turn_of(first(says(FinishReason.CONTENT_FILTER, READ))),
    "calls running": turn_of(CALLING),
    "calls done": turn_of(BATCH_DONE),
    "calls done, one model call left": attrs.evolve(turn_of(BATCH_DONE), model_calls_max=2),
    "calls done, no model call left": attrs.evolve(turn_of(BATCH_DONE), model_calls_max=1),
}

TABLE: Final = """
    turn                            | goes on                      | is cancelled
    begun                           | ask the model                | commit: cancelled
    begun on drained inputs         | ask the model                | commit: cancelled
    model asked                     | wait                         | wait
    model failed                    | end: provider_error          | commit: cancelled
                                    |   rate_limited               |
    model stopped                   | commit: cancelled            | commit: cancelled
    answer                          | commit: finished             | commit: cancelled
    answer, of unknown finish       | commit: incomplete           | commit: cancelled
                                    |   unknown                    |
    answer, cut off                 | commit: incomplete           | commit: cancelled
                                    |   output_limit               |
    answer, filtered                | end: provider_error          | commit: cancelled
                                    |   content_filter             |
    answer, broken off              | end: provider_error          | commit: cancelled
                                    |   error                      |
    nothing                         | end: provider_error          | commit: cancelled
                                    |   empty_response             |
    nothing, after tools            | commit: finished             | commit: cancelled
    nothing, cut off, after tools   | commit: incomplete           | commit: cancelled
                                    |   output_limit               |
    answer, after tools             | commit: finished             | commit: cancelled
    calls                           | run read, list               | commit: cancelled
    calls, without a word           | run read                     | commit: cancelled
    calls, though finished          | run read                     | commit: cancelled
    calls, cut off                  | commit: incomplete           | commit: cancelled
                                    |   output_limit               |
    calls, filtered                 | end: provider_error          | commit: cancelled
                                    |   content_filter             |
    calls running                   | wait                         | wait
    calls done                      | ask the model                | commit: cancelled
    calls done, one model call left | ask the model                | commit: cancelled
    calls done, no model call left  | commit: max_turns            | commit: cancelled
"""


def shown(wanted: Plan) -> tuple[str, str]:
    """A plan in words: the first line of its cell, and the second."""
    match wanted:
        case Wait():
            return "wait", ""
        case AskModel():
            return "ask the model", ""
        case RunTools():
            return f"run {', '.join(ref.tool for ref in wanted.calls)}", ""
        case Commit():
            return outcome_shown("commit", wanted.outcome)
        case End():
            return outcome_shown("end", wanted.outcome)


def outcome_shown(verb: str, outcome: TurnOutcome) -> tuple[str, str]:
    if isinstance(outcome, Finished):
        return f"{verb}: finished", ""
    assert isinstance(outcome, Stopped)
    return f"{verb}: {outcome.reason.value}", "" if outcome.code is None else f"  {outcome.code}"


def computed() -> list[str]:
    rows = [("turn", "goes on", "is cancelled")]
    for name, turn in TURNS.items():
        goes_on, why = shown(plan(turn, is_cancelled=False))
        stops, _ = shown(plan(turn, is_cancelled=True))
        rows.append((name, goes_on, stops))
        if why:
            rows.append(("", why, ""))
    return [f"{a:31} | {b:28} | {c}".rstrip() for a, b, c in rows]


def test_the_plan_is_the_table() -> None:
    assert computed() == dedent(TABLE).strip().splitlines()


def test_the_table_names_every_step_every_finish_and_every_plan() -> None:
    plans = [plan(turn, is_cancelled=False) for turn in TURNS.values()]
    steps = [turn.step for turn in TURNS.values()]

    assert {type(step) for step in steps} == set(get_args(Step))
    assert {type(wanted) for wanted in plans} == set(get_args(Plan))
    assert {s.outcome.finish for s in steps if isinstance(s, Replied)} == set(FinishReason)


def test_a_waiting_turn_asks_for_nothing() -> None:
    assert next_commands(TURNS["calls running"], FENCE, 90, is_cancelled=True) == ()


def test_a_model_call_knows_how_many_came_before_it() -> None:
    (command,) = next_commands(TURNS["calls done"], FENCE, 90, is_cancelled=False)

    assert command == RequestEffect(
        now_ms=90,
        fence=FENCE,
        turn_id=TURN,
        effect_id=E4,
        request=ModelCall(iteration=1),
    )


def test_all_calls_of_a_reply_are_asked_for_at_once_in_their_order() -> None:
    asked = next_commands(TURNS["calls"], FENCE, 90, is_cancelled=False)

    assert asked == tuple(
        RequestEffect(
            now_ms=90,
            fence=FENCE,
            turn_id=TURN,
            effect_id=effect_id,
            request=call(ordinal, CALLS_AT),
        )
        for ordinal, effect_id in enumerate((E2, EffectId("t1/3")))
    )


def test_a_plan_to_ask_the_model_is_one_request() -> None:
    assert requests(TURNS["begun"], AskModel()) == (ModelCall(iteration=0),)


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        (
            "answer",
            CommitTurn(now_ms=90, fence=FENCE, turn_id=TURN, outcome=Finished()),
        ),
        (
            "nothing",
            EndTurn(
                now_ms=90,
                fence=FENCE,
                turn_id=TURN,
                outcome=Stopped(reason=StopReason.PROVIDER_ERROR, code="empty_response"),
            ),
        ),
    ],
)
def test_an_ending_is_one_command(turn: str, expected: CommitTurn | EndTurn) -> None:
    assert next_commands(TURNS[turn], FENCE, 90, is_cancelled=False) == (expected,)
