"""
A store in memory: what the others do, without surviving the process.

For tests, for notebooks, and for a builder that names no store.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs
from attrs import Factory, define

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey
from lash_es.core.retention import Pin
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import (
    Activity,
    ActivityAppended,
    ActivityRefused,
    ActivityResult,
    Appended,
    AppendResult,
    Conflict,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
    require_appendable,
    require_text,
)
from lash_es.log.blobs import BLOB, Address, KeptBlob
from lash_es.log.errors import StoreClosed
from lash_es.log.pages import Offset, Page, offset_of
from lash_es.log.placing import WaitsFor
from lash_es.log.port import StreamHead
from lash_es.log.statistics import StoreStatistics, StoreTally
from lash_es.log.steadiness import ClockAnchor, settled
from lash_es.log.stores import memory_snapshots as snapshots
from lash_es.log.stores.facts import stored_events, stored_record
from lash_es.log.stores.memory_blobs import MemoryBlobs
from lash_es.log.stores.memory_changes import MemoryChanges
from lash_es.log.stores.memory_heads import head_after
from lash_es.log.stores.memory_trims import MemoryRecorder, MemoryRetention

_WHERE: Final = "memory"


@define
class _Stream:
    """What is kept of a stream beside its facts."""

    head: StreamHead
    bodies: dict[BodyRef, StoredBody] = Factory(dict[BodyRef, StoredBody])
    index: dict[IndexKey, bytes] = Factory(dict[IndexKey, bytes])
    activities: list[Activity] = Factory(list[Activity])
    snapshots: tuple[StoredSnapshot, ...] = ()
    pins: dict[str, Pin] = Factory(dict[str, Pin])


class MemoryStore(MemoryRetention):
    """A ``Store`` in this process's memory."""

    def __init__(self) -> None:
        self._recorder = MemoryRecorder()
        self._streams: dict[str, _Stream] = {}
        self._blobs = MemoryBlobs()
        self._anchors: dict[str, ClockAnchor] = {}
        self._commits_count = 0
        self._tally = StoreTally()
        self._is_closed = False

    @property
    def where(self) -> str:
        """Say that it is in memory."""
        return _WHERE

    @property
    def waits_for(self) -> WaitsFor:
        """Say that nothing is waited for."""
        return WaitsFor.NOTHING

    @property
    def as_stored(self) -> "MemoryStore":
        """Be that store: nothing is sealed here."""
        return self

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs from the table, the only place there is."""
        return self.read_blobs(addresses)

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Check every append, then write every append: in between nothing can fail."""
        (result,) = self.append_each((appends,))
        return result

    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - nothing waits here
    ) -> tuple[AppendResult, ...]:
        """Append each batch by itself, after all of them were looked at; nothing waits here."""
        self._require_open()
        for batch in batches:
            require_appendable(batch)
        results = tuple(map(self._append, batches))
        self._tally.appended(batches, results)
        return results

    def _append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        for append in appends:
            found, expected = self._version(append.stream), append.expected_version
            if found != expected:
                return Conflict(stream=append.stream, expected=expected, found=found)
        heads = [self.head(append.stream) for append in appends]
        seqs = tuple(0 if head is None else head.activity_seq for head in heads)
        for append in appends:
            self._write(append)
        return Appended(versions=tuple(append.version for append in appends), seqs=seqs)

    def _version(self, stream: StreamId) -> Version:
        head = self.head(stream)
        return Version(0) if head is None else head.version

    def _write(self, append: StreamAppend) -> None:
        self._recorder.insert_events(stored_events(append))
        before = self.head(append.stream)
        head = head_after(append)
        if before is not None:
            head = attrs.evolve(
                head,
                oldest=before.oldest,
                trim_position=before.trim_position,
                low_water=lost_offset(before) if append.is_after_loss else before.low_water,
            )
        self._commits_count += 1
        kept = self._streams.setdefault(append.stream.key, _Stream(head))
        kept.head = head
        kept.bodies.update((body.ref, body) for body in append.bodies)
        self._blobs.write(append.blobs, append.at_ms)
        kept.index.update((row.key, row.value) for row in append.index)
        if append.snapshot is not None:
            kept.snapshots = snapshots.replaced(kept.snapshots, append.snapshot)

    def head(self, stream: StreamId) -> StreamHead | None:
        """Read the head row."""
        kept = self._kept(stream)
        return None if kept is None else kept.head

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        """List head rows of a namespace, ordered by key."""
        self._require_open()
        keys = sorted(
            key
            for key, kept in self._streams.items()
            if kept.head.stream.namespace == namespace and key > after
        )
        return tuple(self._streams[key].head for key in keys[:heads_max])

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        """Read records from position ``first`` on."""
        self._require_open()
        events = self._recorder.select_page(stream.key, first, records_max)
        return tuple(stored_record(event) for event in events)

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """Read bodies."""
        kept = self._kept(stream)
        bodies = {} if kept is None else kept.bodies
        return {ref: bodies[ref] for ref in refs if ref in bodies}

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        """Read the values of index keys."""
        kept = self._kept(stream)
        require_text(keys)
        index = {} if kept is None else kept.index
        return {key: index[key] for key in keys if key in index}

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """Read the whole index page by page."""
        kept = self._kept(stream)
        index = {} if kept is None else kept.index
        keys = sorted(index, key=_order)
        later = (key for key in keys if after is None or _order(key) > _order(after))
        return tuple(IndexRow(key=key, value=index[key]) for key in later)[:rows_max]

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        """Replace and remove index rows."""
        require_text([row.key for row in rows] + list(gone))
        kept = self._kept(stream)
        if kept is None or kept.head.version != version:
            return False
        for key in gone:
            kept.index.pop(key, None)
        kept.index.update((row.key, row.value) for row in rows)
        return True

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        """Read the newest snapshot of at most that version."""
        kept = self._kept(stream)
        if kept is None:
            return None
        return snapshots.newest(kept.snapshots, min(version_max, kept.head.version))

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        """Write a snapshot that was asked for."""
        kept = self._kept(stream)
        if kept is None or kept.head.version < snapshot.version:
            return False
        kept.snapshots = snapshots.kept(kept.snapshots, snapshot)
        return True

    def append_activity(
        self,
        new: NewActivity,
        *,
        may_wait: bool = True,  # noqa: ARG002 - nothing waits here
    ) -> ActivityResult:
        """Add activity after the fact at ``version - 1``."""
        result = self._append_activity(new)
        self._tally.streamed(new.payloads, result)
        return result

    def _append_activity(self, new: NewActivity) -> ActivityResult:
        kept = self._kept(new.stream)
        if kept is None:
            return ActivityRefused(version=Version(0), generation=Generation(0))
        head = kept.head
        if (head.version, head.generation) != (new.version, new.generation):
            return ActivityRefused(version=head.version, generation=head.generation)
        if new.window is not None:
            _prune(kept, new.window, len(new.payloads), new.at_ms)
        if new.is_after_loss:
            kept.head = attrs.evolve(
                kept.head, activity_seq=head.activity_seq + 1, low_water=lost_offset(head)
            )
        for seq, payload in enumerate(new.payloads, start=kept.head.activity_seq + 1):
            kept.activities.append(
                Activity(version=new.version, seq=seq, at_ms=new.at_ms, payload=payload)
            )
            kept.head = attrs.evolve(kept.head, activity_seq=seq)
        self._commits_count += 1
        return ActivityAppended(version=new.version, seq=kept.head.activity_seq)

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        """Prune activity by a window."""
        kept = self._kept(stream)
        return 0 if kept is None else _prune(kept, window, 0, at_ms)

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``."""
        kept = self._kept(stream)
        activities = [] if kept is None else kept.activities
        first = bisect_right(activities, after, key=offset_of)
        return tuple(activities[first : first + activities_max])

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        """Read facts and activity after a place."""
        head = self.head(stream)
        if head is None:
            return Page()
        return Page(
            end=(head.version, head.activity_seq),
            oldest=head.oldest,
            low_water=head.low_water,
            records=self.read(stream, Position(after[0]), items_max),
            activities=self.read_activity(stream, after=after, activities_max=items_max),
        )

    def changes(self) -> MemoryChanges:
        """Compare how much was written."""
        self._require_open()
        return MemoryChanges(lambda: self._commits_count, self._ends)

    def _ends(self, streams: Collection[StreamId]) -> Mapping[StreamId, Offset]:
        heads = filter(None, map(self.head, streams))
        return {head.stream: (head.version, head.activity_seq) for head in heads}

    def announce(self, streams: Iterable[StreamId]) -> None:
        """Do nothing: there is no other process."""

    def clock(self) -> None:
        """Have no clock: whoever made it brings one."""

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        """Read the anchor of a boot."""
        self._require_open()
        return self._anchors.get(boot_id)

    def keep_anchor(
        self,
        seen: ClockAnchor,
        running_ms: int,
        *,
        may_wait: bool = True,  # noqa: ARG002 - there is nobody to wait for
    ) -> ClockAnchor:
        """Keep what counts."""
        self._require_open()
        kept = settled(self._anchors.get(seen.boot_id), seen, running_ms)
        self._anchors[seen.boot_id] = kept
        return kept

    def statistics(self) -> StoreStatistics:
        """Say what was done; there are no statements."""
        return self._tally.statistics(0)

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs."""
        self._require_open()
        return self._blobs.read(addresses)

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs, ordered by address."""
        self._require_open()
        return self._blobs.page(after, blobs_max)

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        """List the addresses that bodies name."""
        self._require_open()
        bodies = (body for kept in self._streams.values() for body in kept.bodies.values())
        named = {Address(body.content) for body in bodies if body.sealing.startswith(BLOB)}
        return tuple(sorted(address for address in named if address > after)[:names_max])

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        """Delete blobs whose token is unchanged."""
        self._require_open()
        return self._blobs.delete(kept)

    def close(self) -> None:
        """Forget everything."""
        self._is_closed = True
        self._blobs = MemoryBlobs()
        self._streams.clear()
        self._recorder = MemoryRecorder()

    def _kept(self, stream: StreamId) -> _Stream | None:
        self._require_open()
        return self._streams.get(stream.key)

    def _keep(self, head: StreamHead) -> None:
        self._commits_count += 1
        self._streams[head.stream.key] = _Stream(head)

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreClosed(where=_WHERE)


def lost_offset(head: StreamHead) -> Offset:
    """Say where activity was lost that was to be written now."""
    return (head.version, head.activity_seq + 1)


def _prune(kept: _Stream, window: ActivityWindow, coming: int, at_ms: int) -> int:
    """Drop what is too old or one too many, with everything in front of it."""
    pruned_count = max(0, len(kept.activities) + coming - window.records_max)
    pruned_count = min(pruned_count, len(kept.activities))
    for number, activity in enumerate(kept.activities[pruned_count:], start=pruned_count + 1):
        if activity.at_ms < at_ms - window.age_ms_max:
            pruned_count = number
    if pruned_count:
        low_water = max(kept.head.low_water, offset_of(kept.activities[pruned_count - 1]))
        kept.head = attrs.evolve(kept.head, low_water=low_water)
        del kept.activities[:pruned_count]
    return pruned_count


def _order(key: IndexKey) -> tuple[str, str]:
    return (key.kind.value, key.key)
