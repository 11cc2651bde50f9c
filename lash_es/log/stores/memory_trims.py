"""Retention in a store in memory: what goes and what comes back, pins, and the record format."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Protocol

import attrs
from eventsourcing.persistence import StoredEvent
from eventsourcing.popo import POPOApplicationRecorder

from lash_es.codec.records import RECORD_FORMAT
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.retention import Pin
from lash_es.log.appends import StoredBody, StoredSnapshot
from lash_es.log.port import StreamHead
from lash_es.log.retaining import (
    Beginning,
    RecordFormats,
    Removal,
    Return,
    SnapshotsForgotten,
    require_pinnable,
    require_unpinned,
)
from lash_es.log.stores.memory_blobs import MemoryBlobs
from lash_es.log.stores.memory_snapshots import unsuperseded


class MemoryRecorder(POPOApplicationRecorder):
    """The library's recorder; a page of a dense stream is read by position, not by scanning."""

    def __init__(self) -> None:
        super().__init__()
        self._oldest: dict[str, int] = {}

    def select_page(self, key: str, first: int, events_max: int) -> Iterable[StoredEvent]:
        """Select up to ``events_max`` events from position ``first`` on."""
        places = self._stored_events_index.get(key, {})
        oldest = self._oldest.get(key, 0)
        first = max(first, oldest)
        for position in range(first, min(first + events_max, oldest + len(places))):
            yield self._stored_events[places[position]]

    def begin_at(self, key: str, oldest: int) -> None:
        """Say where a stream begins; what is in front of it is let go."""
        places = self._stored_events_index[key]
        for position in range(self._oldest.get(key, 0), oldest):
            place = places.pop(position, None)
            if place is not None:
                self._stored_events[place] = StoredEvent(key, position, "", b"")
        self._oldest[key] = oldest

    def put_in_front(self, key: str, oldest: int, events: Sequence[StoredEvent]) -> None:
        """Insert events that end where the stream begins; from now on it begins at ``oldest``."""
        self.insert_events(events)
        self._oldest[key] = oldest


class KeptStream(Protocol):
    """What is kept of a stream beside its facts, as far as retention is concerned."""

    head: StreamHead
    bodies: dict[BodyRef, StoredBody]
    snapshots: tuple[StoredSnapshot, ...]
    pins: dict[str, Pin]


class MemoryRetention(ABC):
    """The part of a ``MemoryStore`` that retention uses."""

    _recorder: MemoryRecorder
    _blobs: MemoryBlobs

    @abstractmethod
    def _kept(self, stream: StreamId) -> KeptStream | None: ...

    @abstractmethod
    def _keep(self, head: StreamHead) -> None: ...

    def remove_facts(self, removal: Removal) -> None:
        """Let facts and bodies go, and move the oldest."""
        kept = self._kept(removal.stream)
        if kept is None:
            return
        require_unpinned(removal, tuple(kept.pins.values()))
        oldest = Position(max(kept.head.oldest, removal.below))
        self._recorder.begin_at(removal.stream.key, oldest)
        for ref in removal.bodies:
            kept.bodies.pop(ref, None)
        kept.snapshots = tuple(each for each in kept.snapshots if each.version >= removal.below)
        kept.head = attrs.evolve(kept.head, oldest=oldest, trim_position=removal.trim)

    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        """Let superseded snapshots go."""
        kept = self._kept(stream)
        if kept is None:
            return SnapshotsForgotten(retained_count=0, deleted_count=0)
        before = len(kept.snapshots)
        kept.snapshots = unsuperseded(kept.snapshots)
        left = len(kept.snapshots)
        return SnapshotsForgotten(retained_count=left, deleted_count=before - left)

    def return_facts(self, back: Return) -> bool:
        """Put facts back in front of the oldest."""
        kept = self._kept(back.stream)
        oldest = None if kept is None else back.oldest_after(kept.head.oldest)
        if kept is None or oldest is None:
            return False
        key = back.stream.key
        events = [StoredEvent(key, r.position, r.name, r.stored) for r in back.records]
        self._recorder.put_in_front(key, oldest, events)
        for body in back.bodies:
            kept.bodies.setdefault(body.ref, body)
        self._blobs.write(back.blobs, back.at_ms)
        kept.head = attrs.evolve(kept.head, oldest=oldest)
        return True

    def begin_trimmed(self, beginning: Beginning) -> bool:
        """Make the head row of a stream that begins later."""
        if self._kept(beginning.stream) is not None:
            return False
        self._recorder.begin_at(beginning.stream.key, beginning.version)
        self._keep(
            StreamHead(
                stream=beginning.stream,
                version=beginning.version,
                digest=beginning.digest,
                generation=Generation(0),
                status="arriving",
                at_ms=beginning.at_ms,
                activity_seq=0,
                oldest=Position(beginning.version),
                trim_position=beginning.trim,
            )
        )
        return True

    def pins(self, stream: StreamId) -> tuple[Pin, ...]:
        """List the pins of a stream."""
        kept = self._kept(stream)
        return () if kept is None else tuple(kept.pins[name] for name in sorted(kept.pins))

    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        """Set or move a pin, if its version is kept."""
        del at_ms
        kept = self._kept(stream)
        pins: dict[str, Pin] = {} if kept is None else kept.pins
        oldest, version = (
            (Position(0), Version(0)) if kept is None else (kept.head.oldest, kept.head.version)
        )
        require_pinnable(stream, pin, tuple(pins.values()), oldest, version)
        pins[pin.name] = pin

    def unpin(self, stream: StreamId, name: str) -> bool:
        """Remove a pin."""
        kept = self._kept(stream)
        return kept is not None and kept.pins.pop(name, None) is not None

    def record_formats(self) -> RecordFormats:
        """Say that what dies with the process is always in its newest format."""
        return RecordFormats(reads_from=RECORD_FORMAT, writes=RECORD_FORMAT)

    def raise_format(self, writes: int) -> RecordFormats:
        """Have nothing to raise."""
        del writes
        return self.record_formats()
