"""
Goal: a stored state that today's code does not make any more is found, with the facts between.

Method: a session with many snapshots, of which one was forged with another state; and a log that
was trimmed.
"""

from collections.abc import Callable

import attrs
import pytest

from lash_es.core.ids import Version
from lash_es.core.state import Open, State
from lash_es.log.appends import StoredSnapshot
from lash_es.log.loading import load
from lash_es.log.snapshots import snapshot_of
from lash_es.log.snapshotting import load_as_of
from lash_es.log.stores.memory import MemoryStore
from lash_es.timetravel.past import StoredHistory
from lash_es.timetravel.refolding import refold
from tests.log.tapes import STREAM
from tests.log.test_snapshots import grown
from tests.log.trims import over, trimming


@pytest.fixture
def store(near_milestones: int) -> MemoryStore:
    made = MemoryStore()
    grown(made, 1_300, facts_per_append=1)
    assert near_milestones == 256
    return made


def replace(
    store: MemoryStore, version: int, change: Callable[[StoredSnapshot], StoredSnapshot]
) -> None:
    kept = store._streams[STREAM.key]
    kept.snapshots = tuple(
        change(each) if each.version == version else each for each in kept.snapshots
    )


def forged(store: MemoryStore, change: Callable[[Open], State]) -> Callable[[object], object]:
    """Make a snapshot of another state, as older code with a bug might have."""

    def make(stored: StoredSnapshot) -> StoredSnapshot:
        folded = load_as_of(store, STREAM, stored.version)
        assert isinstance(folded.state, Open)
        made = snapshot_of(change(folded.state), stored.digest, is_kept=stored.is_kept)
        assert made is not None
        return made

    return make  # type: ignore[return-value]


def test_what_is_as_of_old_is_said_to_be(store: MemoryStore) -> None:
    told: list[int] = []
    found = refold(StoredHistory.of(store, STREAM), told.append)

    assert found.differs is None
    assert found.suspects is None
    assert found.version == 1_300
    assert (
        found.compared_count == 6
    )  # Five that stay, the last of them also one of the newest two.
    assert found.foreign_count == 0
    assert sum(told) == 1_300


def test_the_first_state_that_is_another_one_is_found(store: MemoryStore) -> None:
    parked = forged(store, lambda state: attrs.evolve(state, is_parked=True))
    for version in (768, 1_024):
        replace(store, version, parked)  # type: ignore[arg-type]
    found = refold(StoredHistory.of(store, STREAM))

    assert (found.agrees, found.differs) == (512, 768)
    assert found.suspects == (512, 767)
    assert load(store, STREAM).version == 1_300


def test_states_of_other_shapes_are_counted(store: MemoryStore) -> None:
    replace(store, 512, lambda stored: attrs.evolve(stored, fingerprint="of another day"))
    found = refold(StoredHistory.of(store, STREAM))

    assert (found.differs, found.foreign_count, found.compared_count) == (None, 1, 5)


def test_a_trimmed_session_is_folded_from_its_trim_on() -> None:
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(9))
    past = StoredHistory.of(store, STREAM)
    found = refold(past)

    assert found.differs is None
    assert found.version == past.version
    assert found.agrees >= 9
