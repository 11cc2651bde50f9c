"""
Goal: a past that stays in its store answers as one that was read whole, and refuses alike.

Method: generated lives, asked both ways; and a session of a file, damaged, trimmed, unknown.
"""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptHistory
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import LeaseAcquired, TurnEnded
from lash_es.core.ids import Version
from lash_es.core.state import NOT_OPENED
from lash_es.log.errors import StoreUnavailable, VersionOutOfRange
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.timetravel.differing import differences
from lash_es.timetravel.moments import (
    NothingYet,
    UnknownTurn,
    version_at_ms,
    versions_of_turn,
)
from lash_es.timetravel.opening import open_place
from lash_es.timetravel.past import StoredHistory, open_past, records_of
from lash_es.timetravel.paths import MISSING, plain
from tests.cli.sessions import edit
from tests.core.effort import effort
from tests.core.examples import ASKING, COMMITTED, IDLE
from tests.core.lives import Life, lives
from tests.log.tapes import SESSION, STREAM, play
from tests.log.trims import over, trimming
from tests.timetravel.pasts import both
from tests.timetravel.test_history import history_of


def test_a_stored_past_answers_as_a_history_does() -> None:
    met: Counter[str] = Counter()

    @effort(40)
    @given(life=lives(steps_max=30), every=st.integers(1, 9), data=st.data())
    def check(life: Life, every: int, data: st.DataObject) -> None:
        stored, whole = both(life, every)
        assert (stored.version, stored.oldest) == (whole.version, whole.oldest)
        first = data.draw(st.integers(0, whole.version))
        end = data.draw(st.integers(0, whole.version))
        assert stored.state_at(first) == whole.state_at(first)
        assert list(stored.steps(first, end)) == list(whole.steps(first, end))
        for position in range(first, end):
            assert stored.fact_at(position).event == whole.entries[position].event
            assert stored.header_at(position) == whole.header_at(position)
        assert [each.position for each in records_of(stored, first, end)] == [*range(first, end)]
        met["some"] += first < end
        met["none"] += first >= end

    check()
    assert min(met["some"], met["none"]) > 0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "log.db"
    store = SQLiteStore.open(found, create=True)
    play(store)
    store.close()
    return found


def test_a_past_is_opened_where_it_is_and_closed_again(path: Path) -> None:
    with open_past(path, SESSION) as past:
        assert past.version == 28
        assert past.state_at(past.version) == play(MemoryStore()).folded.state
    with open_past(str(path), "nobody") as past:
        assert (past.version, past.state_at(0)) == (0, NOT_OPENED)
        assert list(past.steps(0, 5)) == []
    assert [p for p in path.parent.iterdir() if p.name.endswith(("-wal", "-shm"))] == []


def test_a_place_without_a_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable), open_past(tmp_path / "nowhere.db", SESSION):
        pass
    with pytest.raises(StoreUnavailable):
        open_place("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=1", for_reading=True)


def test_what_never_was_or_is_gone_is_refused() -> None:
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(9))
    past = StoredHistory.of(store, STREAM)

    for version in (-1, past.version + 1):
        with pytest.raises(VersionOutOfRange):
            past.state_at(version)
    with pytest.raises(HistoryTrimmedBelow):
        past.fact_at(8)
    assert past.fact_at(9).position == 9
    assert past.mark_at(past.version) >= 9


def test_a_fact_that_is_damaged_or_gone_is_refused_by_itself(path: Path) -> None:
    damage = "CAST(replace(CAST(state AS TEXT), 'tic', 'tac') AS BLOB)"
    edit(
        path,
        f"UPDATE stored_events SET state = {damage} WHERE originator_version = 6",
        "DELETE FROM stored_events WHERE originator_version = 12",
    )
    with open_past(path, SESSION) as past:
        for position in (6, 12):
            with pytest.raises(CorruptHistory) as refused:
                past.fact_at(position)
            assert refused.value.position == position


# Moments


def test_a_time_means_all_that_was_recorded_up_to_it() -> None:
    past = StoredHistory.of(play(MemoryStore()).store, STREAM)
    times = [past.header_at(position).recorded_at_ms for position in range(past.version)]

    for at_ms in {*times, *(each + 1 for each in times), *(each - 1 for each in times)}:
        expected = sum(each <= at_ms for each in times)
        if expected:
            assert version_at_ms(past, at_ms) == expected
        else:
            with pytest.raises(NothingYet) as refused:
                version_at_ms(past, at_ms)
            assert "the first is of 10 ms" in refused.value.summary()
    nobody = StoredHistory.of(MemoryStore(), STREAM)
    with pytest.raises(NothingYet, match="it has none"):
        version_at_ms(nobody, 10)


def test_a_turn_means_its_facts_from_the_first_to_the_last() -> None:
    player = play(MemoryStore())
    past = StoredHistory.of(player.store, STREAM)

    before, after = versions_of_turn(past, "t2")
    assert isinstance(past.fact_at(after - 1).event, TurnEnded)
    assert after == before + 2
    with pytest.raises(UnknownTurn, match="has no turn 't9'"):
        versions_of_turn(past, "t9")


def test_an_open_turn_lasts_until_now() -> None:
    store = MemoryStore()
    player = play(store)
    cut = MemoryStore()
    for append in player.appends[:14]:
        cut.append((append,))
    past = StoredHistory.of(cut, STREAM)

    assert versions_of_turn(past, "t1")[1] == past.version
    assert isinstance(past.fact_at(5).event, LeaseAcquired)


def test_a_turn_that_was_trimmed_is_said_to_be() -> None:
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(23))

    with pytest.raises(HistoryTrimmedBelow):
        versions_of_turn(StoredHistory.of(store, STREAM), "t1")


# Differences


def test_differences_are_few_and_lead_from_one_state_to_the_other() -> None:
    met: Counter[str] = Counter()

    @effort(60)
    @given(life=lives(), data=st.data())
    def check(life: Life, data: st.DataObject) -> None:
        whole = history_of(*(event for decision in life for event in decision.events))
        one, other = (whole.state_at(data.draw(st.integers(0, whole.version))) for _ in range(2))
        found = differences(one, other)
        assert (found == ()) == (plain(one) == plain(other))
        paths = [each.path.segments for each in found]
        assert all(a[: len(b)] != b for a in paths for b in paths if a is not b)
        for each in found:
            assert plain(each.path.of(one)) == each.before
            assert plain(each.path.of(other)) == each.after
            met["added"] += each.before is MISSING
            met["removed"] += each.after is MISSING
            met["changed"] += MISSING not in (each.before, each.after)

    check()
    assert min(met[each] for each in ("added", "removed", "changed")) > 0, met


def test_another_member_of_a_union_is_one_difference() -> None:
    idle, asking = history_of(*IDLE).state, history_of(*ASKING).state
    (turn,) = (each for each in differences(idle, asking) if each.path.segments[0] == "turn")

    assert str(turn.path) == "turn"
    assert turn.before == {"kind": "no_turn"}
    assert differences(asking, asking) == ()
    (whole,) = differences(NOT_OPENED, idle)
    assert whole.path.segments == ()
    assert [str(each.path) for each in differences(asking, history_of(*COMMITTED).state)]
