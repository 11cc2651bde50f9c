"""Each of these stores breaks one promise, and the clause that is about it must say so."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import pytest

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.known import IndexKey
from lash_es.log.activities import NewActivity
from lash_es.log.appends import (
    Activity,
    ActivityResult,
    Appended,
    AppendResult,
    Conflict,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
)
from lash_es.log.port import Store, StreamHead
from lash_es.log.statistics import StoreStatistics
from lash_es.log.stores.memory import MemoryStore
from tests.log import conformance as suite
from tests.log.conformance import CLAUSES, Clause


class StartsWithARecord(MemoryStore):
    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        return super().read(stream, first, records_max) or (suite.record(0),)


class StopsAtNul(MemoryStore):
    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        whole = super().read(stream, first, records_max)
        return tuple(attrs.evolve(r, header=r.header.split(b"\0")[0]) for r in whole)


class ReadsFromTheStart(MemoryStore):
    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        return super().read(stream, Position(0), first + records_max)


class ComparesNothing(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        return super().append([self._moved(each) for each in appends])

    def _moved(self, append: StreamAppend) -> StreamAppend:
        found = self._version(append.stream)
        moved = enumerate(append.records, start=found)
        records = tuple(attrs.evolve(r, position=Position(place)) for place, r in moved)
        return attrs.evolve(append, expected_version=found, records=records)


class AcceptsAnyPositions(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        for each in appends:
            found = self._version(each.stream)
            if found != each.expected_version:
                return Conflict(stream=each.stream, expected=each.expected_version, found=found)
            self._write(each)
        return Appended(versions=tuple(each.version for each in appends))


class AppendsOneByOne(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        for each in appends:
            result = super().append([each])
            if isinstance(result, Conflict):
                return result
        return Appended(versions=tuple(each.version for each in appends))


class FailsTogether(MemoryStore):
    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - nothing waits here
    ) -> tuple[AppendResult, ...]:
        result = self._append([append for batch in batches for append in batch])
        return (result,) * len(batches)


class JudgesAllByWhatWasThere(MemoryStore):
    """Judges the group before it writes any of it, and lets later batches overwrite earlier."""

    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - nothing waits here
    ) -> tuple[AppendResult, ...]:
        found = {each.stream: self._version(each.stream) for batch in batches for each in batch}
        return tuple(self._one(batch, found) for batch in batches)

    def _one(
        self, batch: Sequence[StreamAppend], found: Mapping[StreamId, Version]
    ) -> AppendResult:
        for each in batch:
            if found[each.stream] != each.expected_version:
                return Conflict(
                    stream=each.stream,
                    expected=each.expected_version,
                    found=found[each.stream],
                )
        return super().append_each([batch])[0]


class LooksAtEachInTurn(MemoryStore):
    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - nothing waits here
    ) -> tuple[AppendResult, ...]:
        alone = super().append_each
        return tuple(alone([batch])[0] for batch in batches)


class CountsConflictsAsAppends(MemoryStore):
    def statistics(self) -> StoreStatistics:
        found = super().statistics()
        return attrs.evolve(found, appends=found.appends + found.conflicts)


class WritesNoBodies(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        return super().append([attrs.evolve(each, bodies=()) for each in appends])


class WritesNoIndex(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        return super().append([attrs.evolve(each, index=()) for each in appends])


class SharesBodies(MemoryStore):
    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        own = super().read_bodies(stream, refs)
        return {**super().read_bodies(suite.A, refs), **own, **super().read_bodies(suite.B, refs)}


class ReadsOnePageOfBodies(MemoryStore):
    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        return super().read_bodies(stream, refs[:256])


class KeepsTheFirstIndexRow(MemoryStore):
    def _write(self, append: StreamAppend) -> None:
        kept = self._streams.get(append.stream.key)
        before = {} if kept is None else dict(kept.index)
        super()._write(append)
        self._streams[append.stream.key].index.update(before)


class ForgetsTheOrderOfKeys(MemoryStore):
    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        return super().read_index_page(stream, after, rows_max)[::-1]


class AsksForAnyKey(MemoryStore):
    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        found = self.read_index_page(stream, None, 999)
        return {row.key: row.value for row in found if row.key in keys}


class ListsByPrefix(MemoryStore):
    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        keys = sorted(key for key in self._streams if key.startswith(namespace) and key > after)
        return tuple(self._streams[key].head for key in keys[:heads_max])


class IgnoresCase(MemoryStore):
    def head(self, stream: StreamId) -> StreamHead | None:
        return super().head(StreamId(stream.namespace, SessionId(stream.session_id.lower())))


class CountsActivityOn(MemoryStore):
    def _write(self, append: StreamAppend) -> None:
        before = self.head(append.stream)
        super()._write(append)
        kept = self._streams[append.stream.key]
        seq = 0 if before is None else before.activity_seq
        kept.head = attrs.evolve(kept.head, activity_seq=seq)


class ForgetsTheFence(MemoryStore):
    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        head = self.head(new.stream)
        generation = new.generation if head is None else head.generation
        return super().append_activity(attrs.evolve(new, generation=generation), may_wait=may_wait)


class CountsNothingAsOne(MemoryStore):
    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        return super().append_activity(
            attrs.evolve(new, payloads=new.payloads or [b""]), may_wait=may_wait
        )


class ReadsActivityAgain(MemoryStore):
    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        inclusive = (after[0], after[1] - 1)
        return super().read_activity(stream, after=inclusive, activities_max=activities_max)


class KeepsEverySnapshot(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        result = super().append([attrs.evolve(each, snapshot=None) for each in appends])
        for each in appends:
            if isinstance(result, Appended) and each.snapshot is not None:
                super().write_snapshot(each.stream, each.snapshot)
        return result


class ReadsTheOldestSnapshot(MemoryStore):
    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        found = super().read_snapshot(stream, version_max)
        while found is not None and (
            older := super().read_snapshot(stream, Version(found.version - 1))
        ):
            found = older
        return found


class ForgetsWhatWasAskedFor(MemoryStore):
    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        return super().write_snapshot(stream, attrs.evolve(snapshot, is_kept=False))


class LetsEverySnapshotPass(MemoryStore):
    def _write(self, append: StreamAppend) -> None:
        if append.snapshot is not None:
            passing = attrs.evolve(append.snapshot, is_kept=False)
            append = attrs.evolve(append, snapshot=passing)
        super()._write(append)


class TakesSnapshotsOfTheFuture(MemoryStore):
    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        return super().write_snapshot(stream, snapshot) or self.head(stream) is not None


class RewritesAtAnyVersion(MemoryStore):
    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        version = self._version(stream) or version
        return super().rewrite_index(stream, version=version, rows=rows, gone=gone)


class StaysOpen(MemoryStore):
    def close(self) -> None:
        pass


CAUGHT: tuple[tuple[type[MemoryStore], Clause], ...] = (
    (StartsWithARecord, suite.a_new_store_holds_nothing),
    (StopsAtNul, suite.an_append_is_read_back_byte_for_byte),
    (StopsAtNul, suite.hostile_ids_name_streams_of_their_own),
    (ReadsFromTheStart, suite.records_are_read_in_pages),
    (ComparesNothing, suite.another_version_than_expected_is_a_conflict),
    (AppendsOneByOne, suite.appends_to_several_streams_are_all_or_nothing),
    (AcceptsAnyPositions, suite.a_gap_is_refused),
    (AcceptsAnyPositions, suite.two_appends_to_one_stream_in_one_call_are_refused),
    (FailsTogether, suite.a_conflict_fails_only_its_own_batch_of_a_group),
    (JudgesAllByWhatWasThere, suite.batches_of_a_group_that_share_a_stream_take_turns),
    (LooksAtEachInTurn, suite.a_group_with_a_batch_that_cannot_be_writes_nothing),
    (CountsConflictsAsAppends, suite.what_was_done_is_counted),
    (SharesBodies, suite.bodies_are_read_by_reference),
    (ReadsOnePageOfBodies, suite.many_bodies_are_read_at_once),
    (WritesNoBodies, suite.a_played_tape_is_read_back_as_it_was_encoded),
    (WritesNoIndex, suite.the_index_equals_the_fold_of_the_facts),
    (KeepsTheFirstIndexRow, suite.a_later_index_row_replaces_an_earlier_one),
    (KeepsTheFirstIndexRow, suite.the_index_equals_the_fold_of_the_facts),
    (ForgetsTheOrderOfKeys, suite.the_index_is_read_in_pages_ordered_by_kind_and_key),
    (AsksForAnyKey, suite.a_key_that_is_no_text_is_refused),
    (ListsByPrefix, suite.heads_are_listed_by_namespace_and_key),
    (IgnoresCase, suite.hostile_ids_name_streams_of_their_own),
    (CountsActivityOn, suite.activity_is_numbered_after_each_fact),
    (ForgetsTheFence, suite.activity_of_another_version_or_generation_is_refused),
    (CountsNothingAsOne, suite.no_activity_is_activity_of_nothing),
    (ReadsActivityAgain, suite.activity_is_read_after_a_place_in_pages),
    (KeepsEverySnapshot, suite.a_snapshot_comes_with_its_facts_and_the_two_newest_stay),
    (ReadsTheOldestSnapshot, suite.the_newest_snapshot_up_to_a_version_is_read),
    (ForgetsWhatWasAskedFor, suite.a_snapshot_that_was_asked_for_stays),
    (LetsEverySnapshotPass, suite.a_snapshot_that_stays_comes_with_its_facts),
    (
        TakesSnapshotsOfTheFuture,
        suite.a_snapshot_of_a_version_that_is_not_there_is_not_written,
    ),
    (
        RewritesAtAnyVersion,
        suite.index_rows_are_rewritten_at_the_version_they_were_compared_at,
    ),
    (StaysOpen, suite.a_closed_store_says_so),
)


@pytest.mark.parametrize(
    ("faulty", "clause"), CAUGHT, ids=lambda each: getattr(each, "__name__", None)
)
def test_the_suite_catches_a_store_that(faulty: Callable[[], Store], clause: Clause) -> None:
    with pytest.raises(AssertionError):
        clause(faulty)


def test_every_clause_catches_a_fault() -> None:
    assert {clause for _, clause in CAUGHT} == set(CLAUSES)
