"""Activity is pruned by a window and what was lost is told: on both stores, and by the log."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import attrs
import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, SessionId, Version
from lash_es.log.activities import (
    STREAMS_REMEMBERED_MAX,
    ActivityWindow,
    NewActivity,
    Pruning,
)
from lash_es.log.appends import (
    ActivityRefused,
    ActivityResult,
    Appended,
    AppendResult,
    StreamAppend,
    Unknown,
)
from lash_es.log.errors import StoreFailed
from lash_es.log.log import StoreLog
from lash_es.log.pages import Offset, Page
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.memory_changes import MemoryChanges
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log import activity_clauses as suite
from tests.log.activity_clauses import ACTIVITY_CLAUSES, kept, low_water, window
from tests.log.conformance import A, B, Clause, MakeStore, an_append


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    made: list[Store] = []

    def make() -> Store:
        path = tmp_path / f"{len(made)}.db"
        is_memory = request.param == "memory"
        made.append(MemoryStore() if is_memory else SQLiteStore.open(path, create=True))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.mark.parametrize("clause", ACTIVITY_CLAUSES, ids=lambda clause: clause.__name__)
def test_every_store_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


# Planted faults


class PrunesOneTooMany(MemoryStore):
    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        fewer = attrs.evolve(window, records_max=max(0, window.records_max - 1))
        return super().trim_activity(stream, fewer, at_ms)


class ForgetsAge(MemoryStore):
    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        return super().trim_activity(stream, window, min(at_ms, 0))


class NeverPrunes(MemoryStore):
    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        return super().append_activity(attrs.evolve(new, window=None), may_wait=may_wait)


class NumbersWhatIsKept(MemoryStore):
    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        stream = self._streams[new.stream.key]
        stream.head = attrs.evolve(stream.head, activity_seq=len(stream.activities))
        return super().append_activity(new, may_wait=may_wait)


class ForgetsLosses(MemoryStore):
    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        return super().append_activity(attrs.evolve(new, is_after_loss=False), may_wait=may_wait)

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        forgotten = [[attrs.evolve(each, is_after_loss=False) for each in b] for b in batches]
        return super().append_each(forgotten, may_wait=may_wait)


class ReadsAPageAgain(MemoryStore):
    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        return super().read_page(stream, (after[0], after[1] - 1), items_max)


class SkipsInPages(MemoryStore):
    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        page = super().read_page(stream, after, items_max)
        return attrs.evolve(page, activities=page.activities[-items_max + 1 :])


class TellsOfNothing(MemoryStore):
    def changes(self) -> MemoryChanges:
        return _Deaf(lambda: 0, lambda _: {})


class _Deaf(MemoryChanges):
    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        return set(watched) & {A} if self._seen < 0 else ()


class StaysOpen(MemoryStore):
    def close(self) -> None:
        pass


CAUGHT: tuple[tuple[type[MemoryStore], Clause], ...] = (
    (PrunesOneTooMany, suite.a_trim_keeps_the_newest_records_of_the_window),
    (ForgetsAge, suite.a_trim_drops_what_is_older_than_the_window),
    (NeverPrunes, suite.a_write_prunes_what_was_there_before_it),
    (NumbersWhatIsKept, suite.no_number_is_given_twice),
    (ForgetsLosses, suite.a_loss_is_told_by_the_next_activity),
    (ForgetsLosses, suite.a_loss_is_told_by_the_next_facts),
    (ReadsAPageAgain, suite.a_page_is_a_stretch_of_both_in_order),
    (SkipsInPages, suite.a_page_that_is_cut_leaves_nothing_out),
    (TellsOfNothing, suite.commits_are_told_to_whoever_watches),
    (StaysOpen, suite.a_closed_store_is_not_followed),
)


@pytest.mark.parametrize(
    ("faulty", "clause"), CAUGHT, ids=lambda each: getattr(each, "__name__", None)
)
def test_the_suite_catches_a_store_that(faulty: Callable[[], Store], clause: Clause) -> None:
    with pytest.raises(AssertionError):
        clause(faulty)


def test_every_clause_catches_a_fault() -> None:
    assert {clause for _, clause in CAUGHT} == set(ACTIVITY_CLAUSES)


# When a writer prunes


def test_a_writer_prunes_at_its_first_write_and_then_by_parts_of_the_window() -> None:
    pruning = Pruning(ActivityWindow())
    due = [pruning.window_for(A, 1, 0) is not None for _ in range(200)]

    assert [number for number, is_due in enumerate(due) if is_due] == [0, 64, 128, 192]
    assert pruning.window_for(B, 1, 0) == ActivityWindow()
    assert pruning.window_for(B, 63, 3_750) is None
    assert pruning.window_for(B, 0, 3_751) is not None
    assert pruning.window_for(B, 64, 3_751) is not None


def test_a_narrow_window_is_kept_by_every_write() -> None:
    pruning = Pruning(window(records_max=1))

    assert all(pruning.window_for(A, 1, 0) is not None for _ in range(9))


def test_a_stream_that_was_forgotten_is_pruned_again() -> None:
    pruning = Pruning(ActivityWindow())
    for number in range(STREAMS_REMEMBERED_MAX + 1):
        pruning.window_for(StreamId("default", SessionId(str(number))), 1, 0)

    assert pruning.window_for(StreamId("default", SessionId("1")), 1, 0) is None
    assert pruning.window_for(StreamId("default", SessionId("0")), 1, 0) is not None


@pytest.mark.parametrize("bounds", [(-1, 1), (1, -1)])
def test_a_window_is_not_negative(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be >= 0"):
        window(*bounds)


def test_the_log_keeps_its_window(make_store: MakeStore) -> None:
    store = make_store()

    async def write() -> None:
        log = StoreLog(store, lambda: 5, activity_window=ActivityWindow(records_max=64))
        await log.append([an_append(A, 0)])
        for _ in range(200):
            await log.append_activity(
                A, version=Version(1), generation=Generation(1), payloads=[b"x"]
            )
        assert 64 <= len(kept(store)) < 64 + 2
        assert low_water(store) == (1, 200 - len(kept(store)))
        await log.aclose()

    asyncio.run(write())


# What was lost


class Losing(MemoryStore):
    """Refuses activity, or forgets whether facts were written, while it is told to."""

    is_broken = False
    is_vague = False

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        if self.is_broken:
            raise StoreFailed(where=self.where, reason="on purpose")
        return super().append_activity(new, may_wait=may_wait)

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        if self.is_vague:
            return tuple(Unknown(reason="on purpose") for _ in batches)
        return super().append_each(batches, may_wait=may_wait)


async def _write(log: StoreLog, version: int, generation: int = 1) -> ActivityResult:
    return await log.append_activity(
        A, version=Version(version), generation=Generation(generation), payloads=[b"x"]
    )


def test_a_failed_write_is_told_once_by_the_next_activity() -> None:
    async def scene() -> None:
        store = Losing()
        log = StoreLog(store, lambda: 5)
        await log.append([an_append(A, 0)])
        await _write(log, 1)
        store.is_broken = True
        for _ in range(2):
            with pytest.raises(StoreFailed):
                await _write(log, 1)
        store.is_broken = False
        assert isinstance(await _write(log, 9), ActivityRefused)
        assert low_water(store) == (0, 0)
        await _write(log, 1)
        await _write(log, 1)
        assert (kept(store), low_water(store)) == ([(1, 1), (1, 3), (1, 4)], (1, 2))

    asyncio.run(scene())


def test_a_failed_write_is_told_once_by_the_next_facts_that_are_written() -> None:
    async def scene() -> None:
        store = Losing()
        log = StoreLog(store, lambda: 5)
        await log.append([an_append(A, 0), an_append(B, 0)])
        log.lose_activity(A)
        await log.append([an_append(B, 1)])
        store.is_vague = True
        assert isinstance(await log.append([an_append(A, 1)]), Unknown)
        store.is_vague = False
        assert low_water(store) == (0, 0)
        assert isinstance(await log.append([an_append(B, 2), an_append(A, 1)]), Appended)
        await log.append([an_append(A, 2)])
        assert low_water(store) == (1, 1)
        heads = store.heads("default", after="", heads_max=9)
        assert [head.low_water for head in heads] == [(1, 1), (0, 0)]

    asyncio.run(scene())
