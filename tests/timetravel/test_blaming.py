"""
Goal: blame names the last fact that changed a value, and folds little to find it.

Method: every path of generated lives, as of every version, compared with a plain scan; and facts
counted that are folded on a long session.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.wire_names import EVENT_NAMES
from lash_es.core.evolve import evolve
from lash_es.core.ids import Position, Version
from lash_es.core.state import NOT_OPENED, State
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import Durability, SQLiteStore
from lash_es.timetravel.blaming import blame, first_value, watch
from lash_es.timetravel.differing import differences
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.paths import MISSING, StatePath, plain
from lash_es.timetravel.sieves import _ALWAYS, TOUCHED, Sieve, _meet
from tests.core.effort import effort
from tests.core.lives import Life, lives
from tests.log.tapes import STREAM, play
from tests.log.test_snapshots import grown
from tests.log.trims import over, trimming
from tests.timetravel.pasts import Folds, both, scanned
from tests.timetravel.test_paths import places

FACTS = 2_000
ROUNDS_MAX = 8
GONE_MAX = 2


def paths_of(states: Iterable[object]) -> list[StatePath]:
    """Every path that leads anywhere in one of the states."""
    found = {segments: None for state in states for segments, _ in places((), plain(state))}
    return [StatePath(segments) for segments in found]


def some(data: st.DataObject, paths: list[StatePath]) -> list[StatePath]:
    """Draw a few, since there are hundreds."""
    return data.draw(st.lists(st.sampled_from(paths), max_size=12)) if paths else []


def test_blame_is_what_a_scan_finds() -> None:
    met: Counter[str] = Counter()

    @effort(25)
    @given(life=lives(steps_max=30), every=st.integers(1, 9), data=st.data())
    def check(life: Life, every: int, data: st.DataObject) -> None:
        stored, whole = both(life, every)
        states = list(scanned(whole.events))
        version = data.draw(st.integers(0, whole.version))
        paths = paths_of(states[: version + 1])
        gone = [path for path in paths if plain(path.of(states[version])) == plain(MISSING)]
        for path in (*some(data, paths), *some(data, gone)[:GONE_MAX]):
            values = [plain(path.of(state)) for state in states[: version + 1]]
            changed = [n for n in range(version) if values[n] != values[n + 1]]
            for past in (stored, whole):
                found = blame(past, path, version)
                assert found.value == values[-1]
                at = None if found.change is None else found.change.position
                assert at == (changed[-1] if changed else None), path
            met["changed"] += bool(changed)
            met["never changed"] += not changed
            met["came and went"] += len(changed) > 1 and values[0] == values[-1]
            met["changed long ago"] += bool(changed) and changed[-1] < version - every

    for _ in range(ROUNDS_MAX):
        check()
        if met["came and went"]:  # The rare one: where it has not happened, other lives may do.
            break
    assert min(met[each] for each in ("changed", "came and went", "changed long ago")) > 0, met


def test_watching_tells_every_change_of_a_scan() -> None:
    met: Counter[str] = Counter()

    @effort(20)
    @given(life=lives(steps_max=30), every=st.integers(1, 9), data=st.data())
    def check(life: Life, every: int, data: st.DataObject) -> None:
        stored, whole = both(life, every)
        states = list(scanned(whole.events))
        for path in some(data, paths_of(states)):
            values = [plain(path.of(state)) for state in states]
            expected = [
                (n, values[n], values[n + 1])
                for n in range(whole.version)
                if values[n] != values[n + 1]
            ]
            for past in (stored, whole):
                found = [(each.position, each.before, each.after) for each in watch(past, path)]
                assert found == expected, path
            met["changes"] += len(expected)

    check()
    assert met["changes"] > 0


def test_no_fact_changes_what_the_table_says_it_does_not() -> None:
    met: set[str] = set()

    @effort(40)
    @given(life=lives())
    def check(life: Life) -> None:
        before: State = NOT_OPENED
        for event in (event for decision in life for event in decision.events):
            after = evolve(before, event)
            touched = (*TOUCHED.get(type(event), ()), *_ALWAYS)
            for each in differences(before, after):
                if type(event) in TOUCHED:
                    assert any(_meet(each.path.segments, one) for one in touched), (event, each)
            met.add(EVENT_NAMES[type(event)][0])
            before = after

    check()
    assert len(met) > 20, met


def test_a_fact_without_a_row_is_always_looked_at() -> None:
    player = play(MemoryStore())
    sieve = Sieve(StatePath.parse('inputs.pending."no such input"'))
    held = {
        record.name
        for append in player.appends
        for record in append.records
        if sieve.holds_back(record)
    }

    # The end of a turn has a row, and gives back what it does not name.
    assert held == {"session.opened", "session.tombstoned", "turn.ended"}


def test_the_chain_of_causes_is_told() -> None:
    player = play(MemoryStore())
    past = StoredHistory.of(player.store, STREAM)

    gone = blame(past, StatePath.parse("head.revision"))
    assert (gone.value, gone.causes) == (MISSING, ())
    assert gone.change is not None
    assert gone.change.position == 27  # It was deleted, and has no head any more.
    settled = blame(past, StatePath.parse("turn.step"), 18)
    assert settled.change is not None
    assert [EVENT_NAMES[type(past.fact_at(p).event)][0] for p in settled.causes] == [
        "effect.requested",
        "turn.started",
        "lease.acquired",
    ]


def test_a_value_from_before_a_trim_is_of_no_fact() -> None:
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(9))
    past = StoredHistory.of(store, STREAM)
    path = StatePath.parse("opened_at_ms")

    assert past.oldest == 9
    assert blame(past, path).change is None
    assert first_value(past, path) == blame(past, path).value
    assert first_value(StoredHistory.of(play(MemoryStore()).store, STREAM), path) is MISSING


# Counts


def long_one(tmp_path: Path) -> StoredHistory:
    store = SQLiteStore.open(tmp_path / "a.db", create=True, durability=Durability.NORMAL)
    grown(store, FACTS, facts_per_append=1)
    return StoredHistory.of(store, STREAM)


@pytest.mark.usefixtures("near_milestones")
def test_one_snapshot_in_so_many_facts_stays(tmp_path: Path) -> None:
    past = long_one(tmp_path)

    marks, version = [], past.version
    while version:
        version = past.mark_at(version - 1)
        marks.append(version)
    assert marks == [1984, 1920, 1792, 1536, 1280, 1024, 768, 512, 256, 0]
    past.store.close()


def test_a_state_of_a_long_past_is_a_short_fold(
    tmp_path: Path, near_milestones: int, folds: Folds
) -> None:
    past = long_one(tmp_path)
    for version in (1, 255, 257, 511, 1_000, 1_500, FACTS):
        with folds.at_most(near_milestones - 1):
            past.state_at(version)
    past.store.close()


@pytest.mark.parametrize("version", [300, 700, 1_001, FACTS])
def test_blame_of_what_changed_lately_folds_one_stretch(
    tmp_path: Path, near_milestones: int, folds: Folds, version: int
) -> None:
    past = long_one(tmp_path)

    with folds.at_most(2 * near_milestones):  # The value as of then, and the stretch behind it.
        blamed = blame(past, StatePath.parse("inputs.next_sequence"), version)
    assert blamed.change is not None
    assert version - 2 <= blamed.change.position < version
    past.store.close()


@pytest.mark.parametrize("path", ["policy.model.model_id", 'inputs.pending."i0"', "lease"])
def test_blame_of_what_changed_long_ago_folds_one_stretch_too(
    tmp_path: Path, near_milestones: int, folds: Folds, path: str
) -> None:
    past = long_one(tmp_path)
    looked: list[int] = []

    with folds.at_most(2 * near_milestones):
        blamed = blame(past, StatePath.parse(path), on_facts=looked.append)
    assert blamed.change is not None
    assert blamed.change.position == Position(2 if "i0" in path else 0)
    assert sum(looked) >= FACTS - near_milestones  # Of the others the records were looked at.
    past.store.close()
