"""
Goal: a search finds everything that is wrong, by the shortest way to it, and stops by itself.

Method: plant a bug for each rule (``plants.py``) and look at the counterexample; search the same
space plainly, a world at a time, and by rows, and compare all that is reported.
"""

from collections.abc import Callable

import attrs
import pytest

from lash_es.core.commands import AcquireLease, ReleaseLease, TrimHistory
from lash_es.core.errors import SessionDeleted
from lash_es.core.ids import Version
from lash_es.core.limits import Limits
from lash_es.verify.alphabet import ALPHABET, GRAPH, Bounds, moves
from lash_es.verify.exhaust import exhaust
from lash_es.verify.explore import explore
from lash_es.verify.findings import APPLICABLE, LOST, Report, Rules
from lash_es.verify.printing import as_test
from lash_es.verify.properties import ALWAYS, EVENTUALLY, SOMETIMES
from lash_es.verify.spec import NotAsSpecified
from lash_es.verify.worlds import Ask, ClockJump, Move, Reducers, World, begin, moved
from tests.verify.plants import PLANTS, saying, seeing, without_claims

Search = Callable[[World, Bounds], Report]
LIMITS = Limits(drain_attempts_max=0)
EVERYTHING = (*ALPHABET, *GRAPH)
NOTHING = Bounds(
    owners=1, inputs=0, batches=0, turns=0, source_keys=0, crashes=0, jumps=0, setbacks=0
)
SMALL = Bounds(inputs=1, batches=1, turns=1, model_calls_per_turn=0, source_keys=0, shapes=1)
PLANTED = Bounds(inputs=2, batches=2, crashes=0, depth_max=7)
SPACES = {
    "lease": (attrs.evolve(NOTHING, owners=2, crashes=1, jumps=2, setbacks=1), ALPHABET),
    "inputs": (attrs.evolve(NOTHING, inputs=1, source_keys=1, jumps=1), ALPHABET),
    "work": (attrs.evolve(NOTHING, batches=1, shapes=3, source_keys=1, jumps=1), ALPHABET),
    "turn": (attrs.evolve(NOTHING, inputs=1, turns=1, tool_calls_per_reply=0), ALPHABET),
    "graph": (attrs.evolve(NOTHING, turns=1, model_calls_per_turn=0, depth_max=5), EVERYTHING),
    "everything, not deep": (Bounds(shapes=8, boundaries=2, setbacks=1, depth_max=3), EVERYTHING),
}
"""Small spaces that together have every letter."""

WITNESS_LENGTHS = {
    "Who does not hold the lease writes nothing that an owner writes": 3,
    "An owner's fact carries the generation of the lease, and a lease the next one": 3,
    "A lease that somebody else holds is not taken, unless its process is dead": 3,
    "A lease is released by its holder only": 3,
    "One turn is open at a time, and a turn's id is used once": 4,
    "An effect is settled once, and only if it was asked for": 5,
    "One model call is open at a time, or the tool calls of one reply, each once": 5,
    "A turn does not end while an effect of it is open": 5,
    "The ledger grows by what the turn used, when it ends, and by nothing else": 6,
    "The revision counts commits": 4,
    "An input is held by one at a time": 5,
    "A claim passes over nothing that waits for the same": 5,
    "What is held is not withdrawn": 5,
    "What a turn has taken is not given back before its end": 6,
    "An input that was acknowledged waits, or is settled, and never both": 5,
    "What an open turn has taken waits for the turn's end": 5,
    "A turn that drains takes what a claim of this generation holds, all of it": 7,
    "A commit completes what its turn took and what it names, and defers what missed it": 5,
    "No input waits for a turn that is over": 5,
    "A source key names one input for as long as that is remembered": 3,
    "A batch is held by one at a time, and only when its time has come": 5,
    "A claim of work takes what leads, and passes over nothing that is ready and free": 5,
    "A claim of several batches holds turn work only, of batches that may be joined": 5,
    "A batch that is held is not withdrawn": 5,
    "Work is completed as it was claimed, under this generation or by the turn that has it": 5,
    "What a turn has taken, and what is said to be done, is completed with its commit": 6,
    "Work that a turn has taken is not given back before its end": 6,
    "A batch that was acknowledged waits, or has finished, and never both": 5,
    "A source key names one batch for as long as that is remembered": 3,
}
"""How many moves it takes to break each rule, counted by hand: opening is the first."""

WITHOUT_A_LETTER = ("HistoryTrimmed", "SessionForked", "TrimHistory")
"""
What no letter leads to: a trim compares positions for their order, and likeness knows them as
names. ``tests/core/test_retention.py`` has its rules. A fork begins a stream of its own.
"""

ENDING = """
    found = story.when(CancelTurnInput(now_ms=1000, input_id='i0'))
    found.then(
        TurnInputCancelled(at_ms=1000, input_id='i0'),
    )
"""


@pytest.mark.search
@pytest.mark.parametrize("name", SPACES)
def test_a_search_by_rows_reports_what_a_plain_one_does(name: str) -> None:
    bounds, alphabet = SPACES[name]
    start = begin(*("alice", "bob")[: bounds.owners], limits=LIMITS)

    plain = explore(start, bounds, alphabet=alphabet)

    assert exhaust(start, bounds, alphabet=alphabet) == plain
    assert plain.counterexample is None
    assert plain.states > 30


@pytest.mark.search
@pytest.mark.parametrize(
    "rule",
    [
        "Who does not hold the lease writes nothing that an owner writes",
        "The revision counts commits",
        "What is held is not withdrawn",
        "A batch that is held is not withdrawn",
    ],
)
def test_both_searches_find_a_planted_bug_by_histories_of_one_length(rule: str) -> None:
    start = begin("alice", reducers=PLANTS[rule])
    rules = Rules(always={rule: ALWAYS[rule]})
    bounds = attrs.evolve(NOTHING, inputs=1, batches=1, turns=1)

    one, other = (search(start, bounds, rules=rules) for search in (explore, exhaust))

    assert one.counterexample is not None
    assert other.counterexample is not None
    assert len(one.counterexample.history) == len(other.counterexample.history)
    assert (one.counterexample.rule, other.counterexample.rule) == (rule, rule)


@pytest.mark.search
def test_a_small_space_is_exhausted_and_nothing_is_broken() -> None:
    report = exhaust(begin("alice", "bob", limits=LIMITS), SMALL)

    assert report.counterexample is None
    assert report.is_exhausted
    assert set(report.never) == {
        "several withdrawn at once",
        "an input delivered",
        "an input that came back",
        "effects unsettled",
        "batches claimed together",
    }
    # Whoever changes a rule or a letter finds another number here, and says why it is right.
    assert (report.states, report.depth) == (5_567, 14)
    assert report.transitions > report.states


@pytest.mark.search
def test_arms_that_no_letter_leads_to_are_named() -> None:
    bounds = Bounds(owners=1, inputs=1, turns=1, source_keys=0, crashes=0, jumps=0, depth_max=6)

    report = exhaust(begin("alice", limits=LIMITS), bounds, alphabet=EVERYTHING)

    assert report.arms_missing == WITHOUT_A_LETTER
    assert {"SessionParked", "-"} <= report.decided["ParkSession"].keys()
    assert "BranchToNode" in exhaust(begin("alice"), NOTHING).arms_missing


@pytest.mark.search
@pytest.mark.parametrize("rule", ALWAYS)
def test_a_planted_bug_is_found_by_a_shortest_history(rule: str) -> None:
    start = begin("alice", "bob", limits=LIMITS, reducers=PLANTS[rule])

    found = exhaust(start, PLANTED, rules=Rules(always={rule: ALWAYS[rule]})).counterexample

    assert found is not None
    assert found.rule == rule
    assert found.because
    assert len(found.history) == WITNESS_LENGTHS[rule]


def test_every_rule_has_a_planted_bug() -> None:
    assert list(PLANTS) == list(ALWAYS) == list(WITNESS_LENGTHS)


@pytest.mark.parametrize("search", [explore, exhaust])
def test_what_cannot_be_applied_is_found(search: Search) -> None:
    twice = saying(AcquireLease, lambda _, found: (*found, *found))
    start = begin("alice", reducers=attrs.evolve(twice, evolve=Reducers().evolve))

    found = search(start, NOTHING).counterexample

    assert found is not None
    assert (found.rule, len(found.history)) == (APPLICABLE, 2)
    assert "found.nothing_happened()" in found.text


@pytest.mark.parametrize("search", [explore, exhaust])
def test_a_state_from_which_nothing_comes_to_rest_is_found(search: Search) -> None:
    never_released = begin("alice", reducers=saying(ReleaseLease, lambda *_: ()))

    found = search(never_released, NOTHING).counterexample

    # Nobody but a release takes a lease away; to delete the session is no way out.
    assert found is not None
    assert found.rule in EVENTUALLY
    assert found.because == LOST
    assert [type(move) for move in found.history] == [Ask, Ask]
    assert "assert story.events" not in found.text


def test_what_never_happens_is_listed() -> None:
    assert set(exhaust(begin("alice"), NOTHING).never) == set(SOMETIMES) - {
        "a superseded owner refused",
        "a superseded claim of work",
    }


@pytest.mark.parametrize("search", [explore, exhaust])
def test_a_bound_ends_a_search_and_says_so(search: Search) -> None:
    shallow = search(begin("alice"), Bounds(depth_max=2))
    few = search(begin("alice"), Bounds(states_max=10))

    assert not shallow.is_exhausted
    assert shallow.depth == 2
    assert not few.is_exhausted
    assert few.states >= 10


def test_a_counterexample_is_printed_as_a_test_that_can_be_run() -> None:
    start = begin("alice", "bob", limits=LIMITS, reducers=PLANTS["What is held is not withdrawn"])

    found = exhaust(start, PLANTED).counterexample

    assert found is not None
    assert found.text.endswith(ENDING)
    assert "\nfrom lash_es.core.commands import CancelTurnInput\n" in found.text
    assert "def test_what_is_held_is_not_withdrawn() -> None:" in found.text
    scope: dict[str, object] = {}
    exec(compile(found.text, "found", "exec"), scope)
    # The shipped reducers do it right, so a test that says what the planted ones did fails.
    with pytest.raises(NotAsSpecified, match="found:    nothing"):
        scope["test_what_is_held_is_not_withdrawn"]()  # type: ignore[operator]


def test_a_history_of_the_shipped_reducers_is_printed_as_a_test_that_passes() -> None:
    start, bounds = begin("alice", limits=LIMITS), Bounds()
    world, history = start, list[Move]()
    for wanted in ("OpenSession", "AcquireLease", "EnqueueTurnInput", "DeleteSession", "OpenSess"):
        move = next(
            move
            for move in moves(world, bounds)
            if isinstance(move, Ask) and type(move.command).__name__.startswith(wanted)
        )
        history.append(move)
        world = moved(world, move).after
        scope: dict[str, object] = {}
        exec(compile(as_test("It is so", "why", start, history), "found", "exec"), scope)
        scope["test_it_is_so"]()  # type: ignore[operator]

    assert isinstance(moved(world, history[0]).found, SessionDeleted)
    text = as_test("It is so", "why", start, [*history[:2], ClockJump(1_000)])
    assert "assert story.events, 'ClockJump(by_ms=1000)'" in text


def test_a_trim_is_printed_with_its_fields_one_a_line() -> None:
    start = begin("alice")
    trim = TrimHistory(now_ms=1, below=Version(1), digest="d" * 64, bodies=())
    opening = next(iter(moves(start, Bounds())))

    text = as_test("It is so", "why", start, [opening, Ask(trim)])

    assert "    found = story.when(TrimHistory(\n        now_ms=1," in text
    assert "    found.then(\n        HistoryTrimmed(" in text


def test_a_plant_is_not_taken_for_a_rule_of_its_own() -> None:
    # What plants a bug in one command leaves the others alone.
    start = begin("alice", reducers=seeing(ReleaseLease, without_claims))

    assert exhaust(start, attrs.evolve(NOTHING, inputs=1, depth_max=6)).counterexample is None
