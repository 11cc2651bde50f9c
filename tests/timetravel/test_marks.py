"""
Goal: any state of the past is a short fold, and the same as the long one.

Method: the states of generated lives are compared with the fold of their events, at every version;
on long sessions the facts that are folded, and the records that are read, are counted.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import Position, Version
from lash_es.core.state import State
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT
from lash_es.log.snapshotting import write_snapshot
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import Durability, SQLiteStore
from lash_es.timetravel import history as histories
from lash_es.timetravel.history import History, open_state, read_history, read_state
from tests.core.effort import effort
from tests.core.lives import Life, lives
from tests.log.tapes import SESSION, STREAM
from tests.log.test_snapshots import LIFE_STREAM, grown, lived, prefix
from tests.log.trims import over, trimming

FACTS = 1_000


class Folds:
    """Folds as ``evolve`` does, and counts the facts."""

    def __init__(self) -> None:
        self.facts_count = 0

    def __call__(self, events: Iterable[Event], start: State) -> State:
        counted = tuple(events)
        self.facts_count += len(counted)
        return fold(counted, start)


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> Folds:
    made = Folds()
    monkeypatch.setattr(histories, "fold", made)
    return made


def test_every_state_equals_the_plain_fold_whatever_is_marked() -> None:
    met: Counter[str] = Counter()

    @effort(40)
    @given(life=lives(), facts_per_mark=st.integers(1, 9), every=st.integers(1, 9))
    def check(life: Life, facts_per_mark: int, every: int) -> None:
        store, folded, _ = lived(life, every)
        history = read_history(store, LIFE_STREAM, facts_per_mark=facts_per_mark)
        assert len(history.marks) == folded.version // facts_per_mark
        for version in range(folded.version + 1):
            plain = prefix(life, version).state
            before = history.as_of(version)
            assert repr(before.state) == repr(plain)
            assert repr(read_state(store, LIFE_STREAM, version)) == repr(plain)
            supposed = before.with_(*history.since(version))
            assert supposed.state == folded.state
            met["from the start"] += not before.marks
            met["from a mark"] += bool(before.marks)
            met["at a mark"] += bool(before.marks) and before.marks[-1] == plain

    check()
    assert min(met[each] for each in ("from the start", "from a mark", "at a mark")) > 0, met


def test_a_state_of_the_past_folds_less_than_one_interval(folds: Folds) -> None:
    store = MemoryStore()
    grown(store, FACTS)
    history = read_history(store, STREAM)
    assert folds.facts_count == 0  # What reading has folded is not folded again.
    for version in (0, 1, 63, 64, 65, 500, 959, 960, FACTS):
        before = folds.facts_count
        _ = history.as_of(version).state
        assert folds.facts_count - before == version % FACTS_PER_SNAPSHOT


def test_without_marks_it_would_fold_everything(folds: Folds) -> None:
    store = MemoryStore()
    grown(store, FACTS)
    marked = read_history(store, STREAM)
    _ = History(stream=STREAM, entries=marked.entries).as_of(500).state
    assert folds.facts_count == 500


def test_what_is_marked_is_no_part_of_what_a_history_is() -> None:
    store = MemoryStore()
    grown(store, 200)
    assert read_history(store, STREAM, facts_per_mark=7) == read_history(store, STREAM)


class CountingStore(SQLiteStore):
    """Counts the records that it hands out."""

    records_count = 0

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        found = super().read(stream, first, records_max)
        self.records_count += len(found)
        return found


def test_one_state_is_read_from_the_snapshot_in_front_of_it(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    store = CountingStore.open(path, create=True, durability=Durability.NORMAL)
    assert isinstance(store, CountingStore)
    grown(store, FACTS)
    assert write_snapshot(store, STREAM, 400) is not None
    history = read_history(store, STREAM)
    # The fact that a snapshot ends with, and the page behind it: 400, 900, and from the start.
    for version, records_count in ((430, 1 + 256), (FACTS - 1, 1 + 100), (300, 2 * 256)):
        store.records_count = 0
        assert read_state(store, STREAM, version) == history.as_of(version).state
        assert store.records_count == records_count
    store.close()

    assert open_state(path, SESSION, 430) == history.as_of(430).state
    assert open_state(path, SESSION, 0, namespace="other") == history.as_of(0).state
    for version in (-1, FACTS + 1):
        with pytest.raises(VersionOutOfRange):
            open_state(path, SESSION, version)


def test_states_of_a_trimmed_session_are_read_from_where_its_facts_begin() -> None:
    store = MemoryStore()
    player = over(store)
    whole = read_history(store, STREAM)
    trimming(store).trim(STREAM, Version(9))
    for _ in range(2):
        history = read_history(store, STREAM, facts_per_mark=4)
        assert history.marks[0] == whole.as_of(12).state
        for version in range(9, whole.version + 1):
            assert history.as_of(version).state == read_state(store, STREAM, version)
            assert history.as_of(version).state == whole.as_of(version).state
        with pytest.raises(HistoryTrimmedBelow):
            read_state(store, STREAM, 8)
        store._streams[STREAM.key].snapshots = ()  # And without them.
    assert player.folded.version == whole.version
