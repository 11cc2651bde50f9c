"""
Goal: whatever arrives in whatever order, a turn comes to its end, and asks for nothing twice.

Method: every order of arrivals is tried, up to a bound that no turn reaches: model replies with
none to two calls, failures, calls that return or fail in either order, a cancellation at every
moment, with and without an arrival in the same moment, and takeovers. Planted bugs show that each
of the rules can be broken and is seen.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import pytest
from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.commands import Command, ContinueTurn, RequestEffect
from lash_es.core.effects import ModelCall, ToolCall
from lash_es.core.errors import CommandRejected
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnCommitted,
    TurnEnded,
)
from lash_es.core.messages import FinishReason
from lash_es.core.outcomes import EffectOutcome, Finished, Stopped
from lash_es.core.owners import Fence
from lash_es.core.turns import BatchDone, ModelCallFailed, OpenTurn, Replied
from lash_es.turns.standard import next_commands
from tests.turns.worlds import (
    FAILED,
    Cancelled,
    Endless,
    Move,
    NextCommands,
    TakenOver,
    World,
    arrivals,
    begun,
    replied,
    takeovers_count,
)

REPLIES: Final[tuple[EffectOutcome, ...]] = (
    replied(),
    replied(has_content=False),
    replied(1, finish=FinishReason.TOOL_CALLS),
    replied(2, finish=FinishReason.TOOL_CALLS),
    replied(1, finish=FinishReason.OUTPUT_LIMIT),
    replied(finish=FinishReason.CONTENT_FILTER),
    FAILED,
)
MODEL_CALLS_MAX: Final = 2
MOVES_MAX: Final = MODEL_CALLS_MAX * 3
"""A reply and two results a model call. A turn that is not over by then will never be."""


@frozen(kw_only=True)
class Witness:
    """A rule that was broken, and the moves after which it was."""

    rule: str
    moves: tuple[Move, ...]
    found: str


@frozen
class Exploration:
    """What was seen: endings by kind, and the first broken rule, if there was one."""

    endings: Counter[str]
    witness: Witness | None


def explore(planner: NextCommands, *, takeovers_max: int) -> Exploration:
    """Try every order of moves, the shortest first."""
    endings: Counter[str] = Counter()
    worlds: deque[tuple[World, tuple[Move, ...]]] = deque()
    worlds.append((begun(model_calls_max=MODEL_CALLS_MAX, planner=planner), ()))
    while worlds:
        world, moves = worlds.popleft()
        try:
            require_sound(world, moves, MOVES_MAX + takeovers_max)
            for move in moves_from(world, takeovers_max):
                worlds.append((tried(world, move, moves), (*moves, move)))
        except BrokenRule as broken:
            return Exploration(endings, broken.witness)
        if world.turn is None:
            endings[ending(world)] += 1
    return Exploration(endings, None)


_E = TypeVar("_E")


class BrokenRule(Exception):
    """Stops the exploration."""

    def __init__(self, rule: str, moves: tuple[Move, ...], found: object) -> None:
        super().__init__(rule)
        self.witness = Witness(rule=rule, moves=moves, found=str(found))


def moves_from(world: World, takeovers_max: int) -> Iterator[Move]:
    """List what may happen next; nothing does once the turn is over."""
    if world.turn is None:
        return
    for arrival in arrivals(world, REPLIES):
        yield arrival
        yield Cancelled((arrival,))
    yield Cancelled()
    if takeovers_count(world) < takeovers_max:
        yield TakenOver()


def tried(world: World, move: Move, moves: tuple[Move, ...]) -> World:
    try:
        later = world.after(move)
    except CommandRejected as refusal:
        raise BrokenRule("nothing that follows is refused", (*moves, move), refusal) from refusal
    except Endless as endless:
        raise BrokenRule("an append ends", (*moves, move), "no end") from endless
    new = later.events[len(world.events) :]
    if isinstance(move, Cancelled) and (later.turn or of_type(new, EffectRequested)):
        raise BrokenRule("a cancelled turn asks for nothing more", (*moves, move), new)
    return later


def require_sound(world: World, moves: tuple[Move, ...], moves_max: int) -> None:
    requests = of_type(world.events, EffectRequested)
    asked = [request.effect_id for request in requests]
    settled = [event.effect_id for event in of_type(world.events, EffectSettled)]
    questions = Counter(question(request) for request in requests)
    twice = [asked_for for asked_for, times in questions.items() if times > 1]
    open_now = [effect.effect_id for effect in world.agenda]
    if twice:
        raise BrokenRule("nothing is asked for twice", moves, twice)
    if sorted(settled + open_now) != sorted(asked):
        raise BrokenRule("each effect has one outcome, or is awaited", moves, (asked, settled))
    if world.turn is None:
        return
    if not open_now:
        raise BrokenRule("an open turn waits for something", moves, world.turn.step)
    if len(moves) >= moves_max:
        raise BrokenRule("a turn comes to its end", moves, world.turn.step)


def question(request: EffectRequested) -> tuple[object, ...]:
    """What makes two requests the same question; names are counted, so they never repeat."""
    asked = request.request
    if isinstance(asked, ToolCall):
        return ("tool", asked.reply, asked.ordinal)
    return ("model", asked.iteration)


def of_type(events: Sequence[Event], kind: type[_E]) -> list[_E]:
    return [event for event in events if isinstance(event, kind)]


def ending(world: World) -> str:
    last = world.events[-1]
    assert isinstance(last, TurnCommitted | TurnEnded)
    kind = "commit" if isinstance(last, TurnCommitted) else "end"
    outcome = last.outcome
    if isinstance(outcome, Finished):
        return f"{kind}: finished"
    assert isinstance(outcome, Stopped)
    return f"{kind}: {outcome.reason.value} {outcome.code or ''}".rstrip()


def test_every_order_of_arrivals_ends_the_turn_and_asks_for_nothing_twice() -> None:
    seen = explore(next_commands, takeovers_max=1)

    assert seen.witness is None
    assert sorted(seen.endings) == [
        "commit: cancelled",
        "commit: finished",
        "commit: incomplete output_limit",
        "commit: max_turns",
        "end: provider_error broken",
        "end: provider_error content_filter",
        "end: provider_error empty_response",
    ]
    # A round of one call goes 2 ways of 2 moves, a round of two calls 8 ways of 3 moves, and
    # before each move the owner may die, or never: (2 * 2) * 5 + 2 * (2 * 8) * 6 + (8 * 8) * 7.
    assert seen.endings["commit: max_turns"] == 660


# Planted bugs


Commands = Sequence[Command]


def gives_up_after_tools(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    if isinstance(turn.step, BatchDone) and not is_cancelled:
        return ()
    return next_commands(turn, fence, now_ms, is_cancelled=is_cancelled)


def forgets_the_limit(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    unlimited = with_changes(turn, model_calls_max=99)
    return next_commands(unlimited, fence, now_ms, is_cancelled=is_cancelled)


def forgets_the_cancellation(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    del is_cancelled
    return next_commands(turn, fence, now_ms, is_cancelled=False)


def counts_no_iterations(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    commands = next_commands(turn, fence, now_ms, is_cancelled=is_cancelled)
    again = ModelCall(iteration=0)
    return [
        with_changes(command, request=again)
        if isinstance(command, RequestEffect) and isinstance(command.request, ModelCall)
        else command
        for command in commands
    ]


def runs_each_call_twice(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    commands = next_commands(turn, fence, now_ms, is_cancelled=is_cancelled)
    return [*commands, *commands] if isinstance(turn.step, Replied) else commands


def does_nothing_for_ever(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool
) -> Commands:
    if isinstance(turn.step, ModelCallFailed):
        return [ContinueTurn(now_ms=now_ms, fence=fence, turn_id=turn.turn_id)]
    return next_commands(turn, fence, now_ms, is_cancelled=is_cancelled)


@pytest.mark.parametrize(
    ("planner", "rule", "moves_count"),
    [
        (gives_up_after_tools, "an open turn waits for something", 2),
        (forgets_the_limit, "a turn comes to its end", MOVES_MAX),
        (forgets_the_cancellation, "a cancelled turn asks for nothing more", 1),
        (counts_no_iterations, "nothing is asked for twice", 2),
        (runs_each_call_twice, "nothing that follows is refused", 1),
        (does_nothing_for_ever, "an append ends", 1),
    ],
)
def test_a_planted_bug_is_found_by_its_shortest_way(
    planner: NextCommands, rule: str, moves_count: int
) -> None:
    witness = explore(planner, takeovers_max=0).witness

    assert witness is not None
    assert (witness.rule, len(witness.moves)) == (rule, moves_count)


def test_an_outcome_that_is_recorded_twice_is_found() -> None:
    # No planner can bring this about, so the world is forged.
    world = begun(model_calls_max=1)
    over = world.after(next(arrivals(world, REPLIES)))
    settled = of_type(over.events, EffectSettled)
    forged = with_changes(over, events=(*over.events, *settled))

    with pytest.raises(BrokenRule, match="each effect has one outcome"):
        require_sound(forged, (), MOVES_MAX)
