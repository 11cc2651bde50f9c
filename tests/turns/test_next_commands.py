"""
Goal: what the protocol asks for next is never refused, in lives longer and wider than those that
can be tried one by one.

Method: Hypothesis picks what arrives, up to four calls a reply, over several turns, with inputs
enqueued and owners dying in between; ``worlds.py`` raises what ``decide`` refuses. Rare things are
counted as they happen; the test fails if one never did.
"""

from collections import Counter
from typing import Final

from hypothesis import given

from lash_es.core.events import DrainedInputs, Event, TurnCommitted, TurnContinued, TurnStarted
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.turns.standard import Wait, plan
from tests.core.effort import effort
from tests.turns.lives import lives
from tests.turns.worlds import World

RARE: Final = {
    "a batch of four",
    "a commit on a commit",
    "a turn into its limit",
    "a turn on drained inputs",
    "a turn that was taken over twice",
    "an input deferred by a commit",
}


def seen_in(events: tuple[Event, ...]) -> set[str]:
    commits = [event for event in events if isinstance(event, TurnCommitted)]
    starts = [event for event in events if isinstance(event, TurnStarted)]
    takeovers = Counter(event.turn_id for event in events if isinstance(event, TurnContinued))
    results = [len(getattr(n.source, "results", ())) for c in commits for n in c.nodes]
    seen = {
        "a batch of four": 4 in results,
        "a commit on a commit": any(commit.parent is not None for commit in commits),
        "a turn into its limit": any("max_turns" in str(commit.outcome) for commit in commits),
        "a turn on drained inputs": any(isinstance(s.origin, DrainedInputs) for s in starts),
        "a turn that was taken over twice": any(times > 1 for times in takeovers.values()),
        "an input deferred by a commit": any(commit.deferred_input_ids for commit in commits),
    }
    return {what for what, happened in seen.items() if happened}


def test_what_the_protocol_asks_for_is_never_refused() -> None:
    happened: set[str] = set()

    @effort(examples_max=120)
    @given(lives())
    def check(world: World) -> None:
        assert isinstance(world.state, Open)
        turn = world.state.turn
        if isinstance(turn, OpenTurn):
            assert plan(turn, is_cancelled=False) == Wait()
            assert plan(turn, is_cancelled=True) == Wait()
        happened.update(seen_in(world.events))

    check()

    assert sorted(RARE - happened) == []
