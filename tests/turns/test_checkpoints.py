"""News for a turn: at which checkpoint it stands, and what follows if something was taken in."""

from textwrap import dedent
from typing import Final

import attrs
import pytest

from lash_es.core.commands import RequestEffect
from lash_es.core.effects import ModelCall
from lash_es.core.turns import OpenTurn
from lash_es.turns.standard import checkpoint, next_commands, plan, requests
from tests.core.examples import FENCE
from tests.turns.test_plan import TURNS, shown

LAST: Final = {
    "answer, the limit reached": attrs.evolve(TURNS["answer"], iteration=1, model_calls_max=1),
    "answer, one call left": attrs.evolve(TURNS["answer"], model_calls_max=1),
}
STANDING: Final[dict[str, OpenTurn]] = {**TURNS, **LAST}

TABLE: Final = """
    turn                            | checkpoint        | with news
    begun                           | -                 | ask the model
    begun on drained inputs         | -                 | ask the model
    model asked                     | -                 | wait
    model failed                    | -                 | end: provider_error
    model stopped                   | -                 | commit: cancelled
    answer                          | before_completion | ask the model
    answer, of unknown finish       | -                 | commit: incomplete
    answer, cut off                 | -                 | commit: incomplete
    answer, filtered                | -                 | end: provider_error
    answer, broken off              | -                 | end: provider_error
    nothing                         | -                 | end: provider_error
    nothing, after tools            | before_completion | ask the model
    nothing, cut off, after tools   | -                 | commit: incomplete
    answer, after tools             | before_completion | ask the model
    calls                           | -                 | run read, list
    calls, without a word           | -                 | run read
    calls, though finished          | -                 | run read
    calls, cut off                  | -                 | commit: incomplete
    calls, filtered                 | -                 | end: provider_error
    calls running                   | -                 | wait
    calls done                      | after_work        | ask the model
    calls done, one model call left | after_work        | ask the model
    calls done, no model call left  | -                 | commit: max_turns
    answer, the limit reached       | before_completion | commit: max_turns
    answer, one call left           | before_completion | ask the model
"""


def row(name: str, turn: OpenTurn) -> str:
    boundary = checkpoint(turn, is_cancelled=False)
    where = "-" if boundary is None else boundary.value
    wanted, _ = shown(plan(turn, is_cancelled=False, has_news=True))
    return f"{name:31} | {where:17} | {wanted}"


def test_where_news_comes_in_and_what_follows() -> None:
    lines = [row(name, turn) for name, turn in STANDING.items()]

    assert lines == dedent(TABLE).strip().splitlines()[1:]


@pytest.mark.parametrize("turn", STANDING.values(), ids=STANDING.keys())
def test_a_cancelled_turn_takes_nothing_in(turn: OpenTurn) -> None:
    assert checkpoint(turn, is_cancelled=True) is None


def test_a_call_for_news_is_the_next_iteration() -> None:
    turn = TURNS["answer"]
    (asked,) = requests(turn, plan(turn, is_cancelled=False, has_news=True))  # type: ignore[arg-type]
    assert asked == ModelCall(iteration=turn.iteration + 1)
    (command,) = next_commands(turn, FENCE, 90, is_cancelled=False, has_news=True)
    assert isinstance(command, RequestEffect)
    assert command.request == asked
    after_tools = TURNS["calls done"]
    (next_one,) = next_commands(after_tools, FENCE, 90, is_cancelled=False, has_news=True)
    assert isinstance(next_one, RequestEffect)
    assert next_one.request == ModelCall(iteration=after_tools.iteration)
