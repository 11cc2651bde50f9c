"""Pasts to ask questions of: stored and read whole, of one life, and a scan to compare with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.state import NOT_OPENED, State
from lash_es.log.loading import Fact
from lash_es.timetravel.history import History, read_history
from lash_es.timetravel.past import StoredHistory
from tests.core.lives import Life
from tests.log.test_snapshots import LIFE_STREAM, lived


def both(life: Life, every: int) -> tuple[StoredHistory, History]:
    """Store a life with a snapshot every so many facts; return it as it lies, and read whole."""
    store, _, _ = lived(life, every)
    whole = read_history(store, LIFE_STREAM, facts_per_mark=every)
    return StoredHistory.of(store, LIFE_STREAM), whole


def scanned(events: tuple[Event, ...]) -> Iterator[State]:
    """Fold facts one by one, and tell the state in front of the first, and after each."""
    state: State = NOT_OPENED
    yield state
    for event in events:
        state = evolve(state, event)
        yield state


class Folds:
    """Counts the facts that are folded where pasts are read."""

    def __init__(self, step: Callable[[State, Fact], State]) -> None:
        self._step = step
        self.count = 0

    def __call__(self, state: State, fact: Fact) -> State:
        self.count += 1
        return self._step(state, fact)

    @contextmanager
    def at_most(self, count: int) -> Iterator[None]:
        """Demand that so many are folded meanwhile, and at least one."""
        before = self.count
        yield
        assert 0 < self.count - before <= count
