"""
Laws: what holds of every life, whatever the rules are.

Each is checked on lives drawn at random, and then asked whether it was ever put to the test: a law
about takeovers says nothing if nobody ever took over.
"""

import os
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given as for_all
from hypothesis import seed

from lash_es.core.agenda import agenda
from lash_es.core.causes import cause
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    CancelTurnInput,
    ConfigureSession,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
    ReleaseLease,
    StartTurn,
    TrimHistory,
)
from lash_es.core.decide import decide
from lash_es.core.errors import CommandRejected
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    OwnerEvent,
    TurnCommitted,
    TurnEnded,
    TurnInputEnqueued,
    TurnStarted,
)
from lash_es.core.evolve import evolve, fold
from lash_es.core.fork_events import SessionForked
from lash_es.core.ids import InputId
from lash_es.core.index import index_rows
from lash_es.core.known import (
    AppendEntry,
    BatchEntry,
    FrameEntry,
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SequenceEntry,
    TombstoneEntry,
    TurnEntry,
    WorkKeyEntry,
)
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import InputStatus, ModelReplied
from lash_es.core.state import NOT_OPENED, Deleted, NotOpened, Open, State
from lash_es.core.turns import OpenTurn
from lash_es.verify.spec import Decision
from tests.core.effort import EXAMPLES, effort
from tests.core.lives import Life, lives
from tests.core.replay import replayed

REPEATABLE = (
    OpenSession,
    ConfigureSession,
    ParkSession,
    ReleaseLease,
    AbandonTurnInputClaim,
    CancelTurnInput,
    StartTurn,
    TrimHistory,
)
"""What asks for a state of affairs: asked again at once, it is fulfilled."""


BATCHES_MAX = 6
"""Two are checked, and more only for as long as a law has not met what it has to."""


def facts(life: Life) -> tuple[Event, ...]:
    return life[-1].afterwards.events


@cache
def sample(batch: int) -> tuple[Life, ...]:
    """Draw lives on which every law is checked. Drawing takes far longer than checking."""
    drawn: list[Life] = []

    @effort(examples_max=60)
    @for_all(lives())
    def draw(life: Life) -> None:
        drawn.append(life)

    if EXAMPLES is None:
        seed(batch)(draw)
    draw()
    return tuple(drawn)


def always(
    law: Callable[[Life], list[str]], *sometimes: str, batches_max: int = BATCHES_MAX
) -> None:
    """Check the law on many lives: it names what it met, and must have met ``sometimes``."""
    met: Counter[str] = Counter()
    for batch in range(batches_max):
        try:
            for life in sample(batch):
                met.update(law(life))
        except AssertionError:
            shrink(law)
            raise
        if batch > 0 and met.keys() >= set(sometimes):
            return
    raise AssertionError(f"never met: {sorted(set(sometimes) - met.keys())}; met: {met}")


def shrink(law: Callable[[Life], list[str]]) -> None:
    """Look for the shortest life that breaks the law, which Hypothesis prints."""

    @effort(examples_max=500)
    @for_all(lives())
    def broken(life: Life) -> None:
        law(life)

    broken()


def kind_of(state: State) -> str:
    if isinstance(state, Open):
        return "in a turn" if isinstance(state.turn, OpenTurn) else "between turns"
    return type(state).__name__


# 1, 7: a fold is a fold


def test_replay_splits_anywhere_and_a_version_is_a_count() -> None:
    def law(life: Life) -> list[str]:
        everything = facts(life)
        whole = fold(everything)
        kinds: list[str] = []
        for version in range(len(everything) + 1):
            prefix = fold(everything[:version])
            assert fold(everything[version:], prefix) == whole
            assert isinstance(prefix, NotOpened) or prefix.version == version
            kinds.append(kind_of(prefix))
        return kinds

    always(law, "NotOpened", "Deleted", "in a turn", "between turns")


# 2: the same question, the same answer


def test_the_same_commands_lead_to_the_same_facts_under_any_hash_seed() -> None:
    played = [[decision.command for decision in life] for life in sample(0)]
    met = Counter(type(event).__name__ for life in sample(0) for event in facts(life))
    root = Path(__file__).parent.parent.parent
    printed = [
        subprocess.run(
            [sys.executable, "-m", "tests.core.replay"],
            input=pickle.dumps(played),
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=root,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout.decode()
        for seed in ("1", "2")
    ]

    assert printed[0] == printed[1] == replayed(played)
    assert met["TurnCommitted"] > 0
    assert met["TurnInputsClaimed"] > 0


# 3, 4: decide and evolve agree, and a refusal is nothing


def test_what_was_decided_can_be_applied() -> None:
    def law(life: Life) -> list[str]:
        met: list[str] = []
        for decision in life:
            state = decision.given.state
            for event in decision.events:
                state = evolve(state, event)
                met.append(type(event).__name__)
            assert state == decision.state
        return met

    # A fork begins a stream of its own: no command in a life leads to it (``test_forks.py``).
    always(law, *(kind.__name__ for kind in get_args(Event) if kind is not SessionForked))


def test_a_refusal_changes_nothing_and_is_given_again() -> None:
    def law(life: Life) -> list[str]:
        met: list[str] = []
        for decision in life:
            if not isinstance(decision.found, CommandRejected):
                continue
            before = fold(decision.given.events)
            with pytest.raises(type(decision.found)) as again:
                decide(decision.given.state, decision.command, decision.known)
            assert again.value.fields == decision.found.fields
            assert decision.given.state == decision.state == before
            met.append(type(decision.found).__name__)
        return met

    always(law, "SessionExecutionLeaseExpired", "SourceKeyConflict", "SessionDeleted")


# 5: twice is once


def test_what_is_fulfilled_is_not_recorded_again() -> None:
    def law(life: Life) -> list[str]:
        met: list[str] = []
        for decision in life:
            if isinstance(decision.command, REPEATABLE) and decision.events:
                decision.when(decision.command).nothing_happened()
                met.append(type(decision.command).__name__)
        return met

    always(law, *(kind.__name__ for kind in REPEATABLE))


def test_a_source_key_is_taken_for_the_rest_of_a_life() -> None:
    def law(life: Life) -> list[str]:
        met: list[str] = []
        end = life[-1]
        if isinstance(end.state, Deleted):
            return met
        for decision in life:
            command = decision.command
            if not isinstance(command, EnqueueTurnInput) or command.source_key is None:
                continue
            if decision.events:
                if is_forgotten(end, command.input_id):
                    continue
                end.when(command).nothing_happened()
                waits = (
                    isinstance(end.state, Open) and command.input_id in end.state.inputs.pending
                )
                met.append("waits" if waits else "settled")
        return met

    always(law, "waits", "settled")


def is_forgotten(end: Decision, input_id: InputId) -> bool:
    """Tell whether an input was settled and then pruned: its key is free again."""
    entry = end.afterwards.known.settled_input(input_id)
    pruned_below = end.state.inputs.pruned_below if isinstance(end.state, Open) else 0
    return entry is not None and entry.settled < pruned_below


# Conservation: nothing accepted is lost, nothing is counted twice


def test_every_input_waits_or_has_an_entry_that_says_what_became_of_it() -> None:
    def law(life: Life) -> list[str]:
        end = life[-1]
        index = end.afterwards.known.entries
        accepted = [e.input_id for e in facts(life) if isinstance(e, TurnInputEnqueued)]
        became = {e.input_id: e.status for e in index.values() if isinstance(e, InputEntry)}
        if isinstance(end.state, Open):
            waiting = list(end.state.inputs.pending)
            assert sorted([*waiting, *became]) == sorted(accepted)
        assert became.keys() <= set(accepted)
        return [status.value for status in became.values()]

    always(law, *(s.value for s in (InputStatus.COMPLETED, InputStatus.CANCELLED)))


def test_every_effect_has_one_outcome_or_is_owed() -> None:
    def law(life: Life) -> list[str]:
        everything = facts(life)
        asked = [e.effect_id for e in everything if isinstance(e, EffectRequested)]
        ended = [e.effect_id for e in everything if isinstance(e, EffectSettled)]
        owed = [effect.effect_id for effect in agenda(life[-1].state)]
        assert len(set(asked)) == len(asked)
        if not isinstance(life[-1].state, Deleted):
            assert sorted([*ended, *owed]) == sorted(asked)
        return ["settled"] * bool(ended) + ["owed"] * bool(owed)

    always(law, "settled", "owed")


def test_every_token_is_in_the_ledger_once_its_turn_is_over() -> None:
    def law(life: Life) -> list[str]:
        state = life[-1].state
        if not isinstance(state, Open):
            return []
        replies = [e.outcome for e in facts(life) if isinstance(e, EffectSettled)]
        spent = sum((r.usage for r in replies if isinstance(r, ModelReplied)), TokenUsage())
        recorded = sum(state.ledger.rows.values(), TokenUsage())
        running = state.turn.usage if isinstance(state.turn, OpenTurn) else TokenUsage()
        assert spent == recorded + running
        return ["recorded"] * (recorded != TokenUsage()) + ["running"] * (running != TokenUsage())

    always(law, "recorded", "running")


def test_every_turn_has_an_entry_that_says_how_it_ended() -> None:
    def law(life: Life) -> list[str]:
        everything = facts(life)
        index = life[-1].afterwards.known.entries
        found = {
            e.turn_id: e.is_committed
            for e in index.values()
            if isinstance(e, TurnEntry) and e.ended is not None
        }
        over = [e for e in everything if isinstance(e, TurnCommitted | TurnEnded)]
        assert found == {e.turn_id: isinstance(e, TurnCommitted) for e in over}
        begun = {e.turn_id for e in everything if isinstance(e, TurnStarted)}
        assert {e.turn_id for e in index.values() if isinstance(e, TurnEntry)} == begun
        return ["committed" if committed else "ended" for committed in found.values()]

    always(law, "committed", "ended")


# Order


def test_times_and_generations_never_fall_and_causes_come_first() -> None:
    def law(life: Life) -> list[str]:
        met: list[str] = []
        state: State = NOT_OPENED
        time_ms, generation = 0, 0
        for position, event in enumerate(facts(life)):
            assert event.at_ms >= time_ms
            time_ms = event.at_ms
            if isinstance(event, get_args(OwnerEvent)):
                assert event.generation >= generation
                generation = event.generation
            because = cause(state, event)
            assert because is None or because < position
            met += ["caused"] * (because is not None)
            met += ["a later generation"] * (isinstance(event, LeaseAcquired) and generation > 1)
            state = evolve(state, event)
        return met

    always(law, "caused", "a later generation")


def test_the_index_is_a_fold_of_the_facts_and_has_a_key_for_every_entry() -> None:
    def law(life: Life) -> list[str]:
        index: dict[IndexKey, IndexEntry] = {}
        state: State = NOT_OPENED
        for event in facts(life):
            index.update(index_rows(state, event))
            state = evolve(state, event)
        assert index == life[-1].afterwards.known.entries
        named = {
            InputEntry: IndexKind.INPUT,
            SequenceEntry: IndexKind.SEQUENCE,
            TurnEntry: IndexKind.TURN,
            WorkKeyEntry: IndexKind.WORK_KEY,
            BatchEntry: IndexKind.BATCH,
            FrameEntry: IndexKind.FRAME,
            AppendEntry: IndexKind.APPEND,
            TombstoneEntry: IndexKind.TOMBSTONE,
        }
        for key, entry in index.items():
            assert key.kind is named.get(type(entry), IndexKind.SOURCE_KEY)
        return [key.kind.value for key in index]

    always(law, *(kind.value for kind in IndexKind))


def test_a_law_that_is_never_put_to_the_test_fails() -> None:
    with pytest.raises(AssertionError, match=r"never met: .*a thing that never happens"):
        always(lambda _life: [], "a thing that never happens", batches_max=1)


def test_a_law_that_is_broken_is_shown_by_the_shortest_life() -> None:
    tried: list[int] = []

    def law(life: Life) -> list[str]:
        tried.append(len(life))
        raise AssertionError

    with pytest.raises(AssertionError):
        always(law)

    assert tried[-1] == min(map(len, sample(0)))
