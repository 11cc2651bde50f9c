"""
Goal: except suffix and bulk cancel, listings and maintenance, no command reads or writes more
rows, or copies more of the state, as nodes, turns and finished inputs grow.

Method: every command is asked once of a session with ten turns and of one with a thousand, and
what SQLite and the fold did for it is compared, number by number. On PostgreSQL:
``tests/postgres/test_postgres_flat.py``; up to 100 000: ``python -m tests.flat``.
"""

import json
from pathlib import Path

import attrs
import pytest

from benchmarks.long_sessions import BODY, enqueue
from lash_es import SQLiteStore
from lash_es.codec.streams import StreamId
from lash_es.core.events import TurnInputEnqueued, body_ref
from lash_es.core.evolve import evolve
from lash_es.core.ids import InputId, Position, Version
from lash_es.core.inputs import PendingInput
from lash_es.core.state import Open
from lash_es.log.appends import StoredSnapshot
from lash_es.verify.spec import given
from tests.core.examples import OPENED
from tests.flat.__main__ import RESULTS, STORES, main
from tests.flat.copying import copied
from tests.flat.counting import Cost, grown
from tests.flat.in_sqlite import sqlite_costs

SMALL, LARGE = 10, 1_000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Cost]:
    return sqlite_costs(tmp_path_factory.mktemp("small") / "log.db", SMALL)


def test_no_command_costs_more_after_a_thousand_turns(
    small: dict[str, Cost], tmp_path: Path
) -> None:
    large = sqlite_costs(tmp_path / "log.db", LARGE)

    assert grown(small, large) == []
    assert all(cost.measured["steps"] > 0 for cost in large.values())
    assert sum(cost.facts for cost in large.values()) > 30
    assert max(cost.copied for cost in large.values()) < 60


class NoSnapshots(SQLiteStore):
    """Folds everything, each time."""

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        assert stream.key
        assert version_max >= 0
        return None


def test_a_store_that_reads_the_past_is_caught(small: dict[str, Cost], tmp_path: Path) -> None:
    large = sqlite_costs(tmp_path / "log.db", 100, NoSnapshots)

    assert any(each.startswith("open from the log: measured") for each in grown(small, large))


def hoarding(state: Open, finished: int) -> Open:
    """Keep finished inputs in the state, as if nothing ever left it."""
    kept = {
        InputId(f"i{number}"): PendingInput(
            input_id=InputId(f"i{number}"),
            sequence=number,
            source_key=None,
            submitted=enqueue("x").ingress,
            ingress=enqueue("x").ingress,
            enqueued_at_ms=0,
            position=Position(number),
            commitment=BODY.commitment,
        )
        for number in range(1, finished + 1)
    }
    inputs = attrs.evolve(state.inputs, pending=kept, next_sequence=finished + 1)
    return attrs.evolve(state, inputs=inputs)


def test_a_state_that_holds_the_past_is_caught() -> None:
    counts = []
    for finished in (SMALL, LARGE):
        state = given(OPENED).state
        assert isinstance(state, Open)
        before = hoarding(state, finished)
        (event,) = given(OPENED).when(enqueue("new")).events
        assert isinstance(event, TurnInputEnqueued)
        after = evolve(before, attrs.evolve(event, sequence=finished + 1))
        counts.append(copied(before, after))

    assert counts[1] - counts[0] == LARGE - SMALL


def test_what_is_shared_is_not_counted_as_copied() -> None:
    ref = body_ref(Position(1))
    before = {"a": ref, "b": (1, 2)}

    assert copied(before, before) == 0
    assert copied(before, {**before}) == 1 + 2
    assert copied(before, {**before, "c": (3,)}) == (1 + 3) + (1 + 1)
    assert copied(before, {"a": attrs.evolve(ref, ordinal=1)}) == (1 + 1) + 1


def test_what_grows_is_named() -> None:
    one = Cost(measured={"steps": 5}, copied=3, facts=1)

    assert grown({"it": one}, {"it": one}) == []
    assert grown({"it": one}, {"it": attrs.evolve(one, measured={"steps": 4})}) == []
    more = attrs.evolve(one, measured={"steps": 6}, copied=4)
    assert grown({"it": one}, {"it": more}) == [
        "it: measured {'steps': 5} and {'steps': 6}",
        "it: copied 3 and 4",
    ]


def test_the_long_form_counts_and_keeps_what_it_found(tmp_path: Path) -> None:
    words = ["--small=10", "--large=30", "--store=sqlite", "--to", str(tmp_path)]

    assert main(words) == 0
    (kept,) = tmp_path.glob("flat-sqlite-*.json")
    found = json.loads(kept.read_text("utf-8"))
    assert found["grown"] == []
    assert found["costs"]["commit"]["facts"] == 1


@pytest.mark.parametrize("store", STORES)
def test_the_committed_run_with_a_hundred_thousand_turns_found_nothing(store: str) -> None:
    kept = json.loads(max(RESULTS.glob(f"flat-{store}-*.json")).read_text("utf-8"))

    assert (kept["turns"], kept["grown"]) == ([10, 100_000], [])
    assert {name for name, cost in kept["costs"].items() if cost["facts"]} >= {"commit", "park"}
