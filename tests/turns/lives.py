"""Lives of sessions, as Hypothesis strategies: turns, arrivals, takeovers, inputs in between."""

from typing import Final

from hypothesis import strategies as st

from lash_es.core.commands import ClaimTurnInputs, StartTurn, WithClaim
from lash_es.core.events import TurnInputsClaimed
from lash_es.core.ids import InputId, TurnId
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.messages import FinishReason
from lash_es.core.outcomes import EffectOutcome
from tests.turns.worlds import (
    FAILED,
    Arrives,
    Cancelled,
    Enqueued,
    Move,
    TakenOver,
    World,
    acquire,
    arrivals,
    opened,
    replied,
)

MOVES_MAX: Final = 25


# Drawn from often, so made once. Most replies simply end, or a turn would hardly ever get to its
# limit; most moves are arrivals, or it would hardly ever get anywhere.
FINISHES: Final = st.sampled_from((FinishReason.STOP,) * 6 + tuple(FinishReason))
REPLIES: Final[st.SearchStrategy[EffectOutcome]] = st.one_of(
    st.builds(replied, st.integers(0, 4), has_content=st.booleans(), finish=FINISHES),
    st.just(FAILED),
)
MOVES: Final = st.sampled_from(
    ("arrival",) * 8
    + ("takeover", "cancellation", "cancellation and arrival", "for the next", "for this one")
)
WHICH: Final = st.integers(0, 7)


@st.composite
def lives(draw: st.DrawFn) -> World:
    """Draw a session that was driven for a while."""
    world = opened(model_calls_max=draw(st.integers(1, 3)))
    for number in range(draw(st.integers(0, MOVES_MAX))):
        world = world.after(next_move(draw, world, number)) if world.turn else begun(draw, world)
    return world


def begun(draw: st.DrawFn, world: World) -> World:
    """Begin a turn, on its own input or on those that wait."""
    turn_id = TurnId(f"t{len(world.events)}")
    if not world.session.inputs.pending or draw(st.booleans()):
        return world.started(turn_id)
    if world.session.lease.holder is None:
        world = world.do(acquire(world))
    world = world.do(
        ClaimTurnInputs(now_ms=world.now_ms, fence=world.fence, token="claim", inputs_max=9)
    )
    claimed = world.events[-1]
    assert isinstance(claimed, TurnInputsClaimed)
    source = WithClaim(claim_id=claimed.claim_id, token="claim")
    start = StartTurn(now_ms=world.now_ms, fence=world.fence, turn_id=turn_id, source=source)
    return world.do(start).advanced()


def next_move(draw: st.DrawFn, world: World, number: int) -> Move:
    """Draw what happens to the open turn next."""
    assert world.turn is not None
    input_id = InputId(f"i{number}")
    match draw(MOVES):
        case "takeover":
            return TakenOver()
        case "cancellation":
            return Cancelled()
        case "cancellation and arrival":
            return Cancelled((arrival(draw, world),))
        case "for the next":
            return Enqueued(input_id, NextTurn())
        case "for this one":
            return Enqueued(input_id, ActiveTurn(world.turn.turn_id))
        case _:
            return arrival(draw, world)


def arrival(draw: st.DrawFn, world: World) -> Arrives:
    """Draw an outcome for one of the effects that the turn waits for."""
    possible = tuple(arrivals(world, (draw(REPLIES),)))
    return possible[draw(WHICH) % len(possible)]
