"""Every store keeps the clauses of retention, and each clause catches a store that does not."""

from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.retention import Pin
from lash_es.log.appends import Unknown
from lash_es.log.errors import StoreFailed
from lash_es.log.port import Store
from lash_es.log.retaining import Beginning, RecordFormats, Removal, Return, SnapshotsForgotten
from lash_es.log.sealed import SealedStore
from lash_es.log.sealing import AtRest
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log import retention_clauses as suite
from tests.log.conformance import A, Clause, MakeStore
from tests.log.retention_clauses import RETENTION_CLAUSES, filled, removal


@pytest.fixture(params=["memory", "sqlite", "sealed"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    made: list[Store] = []

    def make() -> Store:
        store: Store = MemoryStore()
        if request.param == "sqlite":
            store = SQLiteStore.open(tmp_path / f"{len(made)}.db", create=True)
        if request.param == "sealed":
            store = SealedStore(MemoryStore(), AtRest(compressor=None))
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.mark.parametrize("clause", RETENTION_CLAUSES, ids=lambda clause: clause.__name__)
def test_every_store_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


class KeepsFacts(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        super().remove_facts(attrs.evolve(removal, below=Version(0)))


class ForgetsTheTrim(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        super().remove_facts(attrs.evolve(removal, trim=Position(0)))


class MovesBack(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        super().remove_facts(removal)
        kept = self._streams.get(removal.stream.key)
        if kept is not None:
            oldest = Position(removal.below)
            kept.head = attrs.evolve(kept.head, oldest=oldest)


class BeginsAnew(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        super().remove_facts(removal)
        kept = self._streams[removal.stream.key]
        kept.head = attrs.evolve(kept.head, version=Version(0))


class KeepsSnapshots(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        before = self._streams[removal.stream.key].snapshots
        super().remove_facts(removal)
        self._streams[removal.stream.key].snapshots = before


class ForgetsAllSnapshots(MemoryStore):
    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        kept = self._streams.get(stream.key)
        if kept is not None:
            kept.snapshots = kept.snapshots[-1:]
        return super().forget_snapshots(stream)


class LeavesHoles(MemoryStore):
    def return_facts(self, back: Return) -> bool:
        kept = self._streams.get(back.stream.key)
        if kept is not None and back.records:
            end = Position(back.records[-1].position + 1)
            kept.head = attrs.evolve(kept.head, oldest=end)
        return super().return_facts(back)


class ReplacesBodies(MemoryStore):
    def return_facts(self, back: Return) -> bool:
        for body in back.bodies:
            self._streams[A.key].bodies.pop(body.ref, None)
        return super().return_facts(back)


class BeginsTwice(MemoryStore):
    def begin_trimmed(self, beginning: Beginning) -> bool:
        self._streams.pop(beginning.stream.key, None)
        return super().begin_trimmed(beginning)


class IgnoresPins(MemoryStore):
    def remove_facts(self, removal: Removal) -> None:
        kept = self._streams.get(removal.stream.key)
        if kept is not None:
            kept.pins.clear()
        super().remove_facts(removal)


class KeepsTheFirstPin(MemoryStore):
    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        if all(pin.name != other.name for other in self.pins(stream)):
            super().pin(stream, pin, at_ms)


class PinsAnything(MemoryStore):
    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        kept = self._streams.get(stream.key)
        if kept is not None and at_ms:
            kept.pins[pin.name] = pin


class LowersTheFormat(MemoryStore):
    writes = 2

    def record_formats(self) -> RecordFormats:
        return RecordFormats(reads_from=1, writes=self.writes)

    def raise_format(self, writes: int) -> RecordFormats:
        before = self.record_formats()
        self.writes = writes
        return before


class StaysOpen(MemoryStore):
    def close(self) -> None:
        pass


CAUGHT: tuple[tuple[type[MemoryStore], Clause], ...] = (
    (KeepsFacts, suite.facts_go_from_the_oldest_on_and_the_rest_stays),
    (ForgetsTheTrim, suite.facts_go_from_the_oldest_on_and_the_rest_stays),
    (MovesBack, suite.the_oldest_never_moves_back_by_a_removal),
    (BeginsAnew, suite.a_stream_goes_on_behind_its_removals),
    (KeepsSnapshots, suite.snapshots_in_front_of_what_is_kept_go),
    (ForgetsAllSnapshots, suite.superseded_snapshots_go_and_what_was_asked_for_stays),
    (LeavesHoles, suite.facts_come_back_in_front_of_the_oldest_only),
    (ReplacesBodies, suite.bodies_come_back_without_facts_and_replace_none),
    (BeginsTwice, suite.a_stream_may_begin_where_it_was_trimmed),
    (IgnoresPins, suite.a_pin_holds_facts_back_in_the_store_itself),
    (KeepsTheFirstPin, suite.pins_are_listed_moved_and_removed),
    (PinsAnything, suite.only_a_version_that_is_kept_can_be_pinned),
    (PinsAnything, suite.pins_are_bounded_in_number),
    (LowersTheFormat, suite.a_format_is_raised_and_never_lowered),
    (StaysOpen, suite.a_closed_store_retains_nothing),
)


@pytest.mark.parametrize(
    ("faulty", "clause"), CAUGHT, ids=lambda each: getattr(each, "__name__", None)
)
def test_the_suite_catches_a_store_that(faulty: Callable[[], Store], clause: Clause) -> None:
    with pytest.raises(AssertionError):
        clause(faulty)


def test_every_clause_catches_a_fault() -> None:
    assert {clause for _, clause in CAUGHT} == set(RETENTION_CLAUSES)


def test_a_removal_whose_answer_is_lost_is_said_and_may_be_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteStore.open(tmp_path / "log.db", create=True)
    filled(lambda: store)
    connections = store._connections
    with monkeypatch.context() as patched:
        patched.setattr(type(connections), "write", lambda *_: Unknown(reason="torn"))
        with pytest.raises(StoreFailed, match="torn"):
            store.remove_facts(removal(2))
    store.remove_facts(removal(2))
    store.close()
