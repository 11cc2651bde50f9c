"""
A store in memory: what the others do, without surviving the process.

For tests, for notebooks, and for a builder that names no store.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs
from attrs import Factory, define
from eventsourcing.persistence import StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey
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
from lash_es.log.errors import StoreClosed
from lash_es.log.port import StreamHead
from lash_es.log.stores import memory_snapshots as snapshots
from lash_es.log.stores.facts import stored_events, stored_record

_WHERE: Final = "memory"


class MemoryRecorder(POPOApplicationRecorder):
    """The library's recorder; a page of a dense stream is read by position, not by scanning."""

    def select_page(self, key: str, first: int, events_max: int) -> Iterable[StoredEvent]:
        """Select up to ``events_max`` events from position ``first`` on."""
        places = self._stored_events_index.get(key, {})
        for position in range(first, min(first + events_max, len(places))):
            yield self._stored_events[places[position]]


@define
class _Stream:
    """What is kept of a stream beside its facts."""

    head: StreamHead
    bodies: dict[BodyRef, StoredBody] = Factory(dict[BodyRef, StoredBody])
    index: dict[IndexKey, bytes] = Factory(dict[IndexKey, bytes])
    activities: list[Activity] = Factory(list[Activity])
    snapshots: tuple[StoredSnapshot, ...] = ()


class MemoryStore:
    """A ``Store`` in this process's memory."""

    def __init__(self) -> None:
        self._recorder = MemoryRecorder()
        self._streams: dict[str, _Stream] = {}
        self._is_closed = False

    @property
    def where(self) -> str:
        """Say that it is in memory."""
        return _WHERE

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Check every append, then write every append: in between nothing can fail."""
        self._require_open()
        require_appendable(appends)
        for append in appends:
            found = self._version(append.stream)
            if found != append.expected_version:
                return Conflict(
                    stream=append.stream, expected=append.expected_version, found=found
                )
        for append in appends:
            self._write(append)
        return Appended(versions=tuple(append.version for append in appends))

    def _version(self, stream: StreamId) -> Version:
        head = self.head(stream)
        return Version(0) if head is None else head.version

    def _write(self, append: StreamAppend) -> None:
        self._recorder.insert_events(stored_events(append))
        head = append_head(append)
        kept = self._streams.setdefault(append.stream.key, _Stream(head))
        kept.head = head
        kept.bodies.update((body.ref, body) for body in append.bodies)
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
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
        at_ms: int,
    ) -> ActivityResult:
        """Add activity after the fact at ``version - 1``."""
        kept = self._kept(stream)
        if kept is None:
            return ActivityRefused(version=Version(0), generation=Generation(0))
        head = kept.head
        if (head.version, head.generation) != (version, generation):
            return ActivityRefused(version=head.version, generation=head.generation)
        for seq, payload in enumerate(payloads, start=head.activity_seq + 1):
            kept.activities.append(
                Activity(version=version, seq=seq, at_ms=at_ms, payload=payload)
            )
        kept.head = attrs.evolve(head, activity_seq=head.activity_seq + len(payloads))
        return ActivityAppended(version=version, seq=kept.head.activity_seq)

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``."""
        kept = self._kept(stream)
        activities = [] if kept is None else kept.activities
        later = [each for each in activities if (each.version, each.seq) > after]
        return tuple(later[:activities_max])

    def close(self) -> None:
        """Forget everything."""
        self._is_closed = True
        self._streams.clear()
        self._recorder = MemoryRecorder()

    def _kept(self, stream: StreamId) -> _Stream | None:
        self._require_open()
        return self._streams.get(stream.key)

    def _require_open(self) -> None:
        if self._is_closed:
            raise StoreClosed(where=_WHERE)


def append_head(append: StreamAppend) -> StreamHead:
    """Say what the head row is after an append."""
    return StreamHead(
        stream=append.stream,
        version=append.version,
        digest=append.digest,
        generation=append.generation,
        status=append.status,
        at_ms=append.at_ms,
        activity_seq=0,
    )


def _order(key: IndexKey) -> tuple[str, str]:
    return (key.kind.value, key.key)
