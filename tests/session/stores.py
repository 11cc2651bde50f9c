"""
Places that several cores share, and stores that misbehave on purpose in front of real ones.

A wrapper stands where a disk or a network would: what is under test is never replaced.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lash_es import Durability, MemoryStore, SQLiteStore, StoreFailed
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.events import Event
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.known import IndexKey
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import (
    Activity,
    ActivityResult,
    AppendResult,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
    Unknown,
)
from lash_es.log.blobs import Address, KeptBlob
from lash_es.log.changes import Changes
from lash_es.log.loading import load, read_facts
from lash_es.log.pages import Offset, Page
from lash_es.log.placing import WaitsFor
from lash_es.log.port import Store, StoreClock, StreamHead
from lash_es.log.retaining_passed_on import PassedOnRetention
from lash_es.log.statistics import StoreStatistics
from lash_es.log.steadiness import ClockAnchor


def stream(session_id: str = "s") -> StreamId:
    return StreamId("default", SessionId(session_id))


class Through(PassedOnRetention):
    """A ``Store`` that passes everything on. It does not close what it does not own."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    @property
    def inner(self) -> Store:
        return self._inner

    @property
    def as_stored(self) -> Store:
        return self.inner.as_stored

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        return self.inner.read_named_blobs(addresses)

    @property
    def where(self) -> str:
        return self.inner.where

    @property
    def waits_for(self) -> WaitsFor:
        return self.inner.waits_for

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        return self.inner.append(appends)

    def append_each(
        self,
        batches: Sequence[Sequence[StreamAppend]],
        *,
        may_wait: bool = True,  # noqa: ARG002 - nobody else holds the lock in these tests
    ) -> tuple[AppendResult, ...]:
        """Take a group apart: who misbehaves misbehaves at each append."""
        return tuple(self.append(batch) for batch in batches)

    def head(self, stream: StreamId) -> StreamHead | None:
        return self.inner.head(stream)

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        return self.inner.heads(namespace, after=after, heads_max=heads_max)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        return self.inner.read(stream, first, records_max)

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        return self.inner.read_bodies(stream, refs)

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        return self.inner.read_index(stream, keys)

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        return self.inner.read_index_page(stream, after, rows_max)

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        return self.inner.rewrite_index(stream, version=version, rows=rows, gone=gone)

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        return self.inner.read_snapshot(stream, version_max)

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        return self.inner.write_snapshot(stream, snapshot)

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        return self.inner.append_activity(new, may_wait=may_wait)

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        return self.inner.trim_activity(stream, window, at_ms)

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        return self.inner.read_activity(stream, after=after, activities_max=activities_max)

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        return self.inner.read_page(stream, after, items_max)

    def changes(self) -> Changes:
        return self.inner.changes()

    def announce(self, streams: Iterable[StreamId]) -> None:
        self.inner.announce(streams)

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        return self.inner.read_blobs(addresses)

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        return self.inner.read_blob_page(after, blobs_max)

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        return self.inner.read_blob_names(after, names_max)

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        return self.inner.delete_blobs(kept)

    def clock(self) -> StoreClock | None:
        return self.inner.clock()

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        return self.inner.read_anchor(boot_id)

    def keep_anchor(
        self, seen: ClockAnchor, running_ms: int, *, may_wait: bool = True
    ) -> ClockAnchor:
        return self.inner.keep_anchor(seen, running_ms, may_wait=may_wait)

    def statistics(self) -> StoreStatistics:
        return self.inner.statistics()

    def close(self) -> None:
        pass


class Shared(Through):
    """One of several users of a store; groups stay groups."""

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        return self.inner.append_each(batches, may_wait=may_wait)


class Place(Protocol):
    """Somewhere that several cores can open the same sessions."""

    def store(self) -> Store:
        """Open it once more."""
        ...

    def another(self) -> "Place":
        """Find an empty place of the same kind."""
        ...


class InMemory:
    """One memory store, shared by the cores of one process."""

    def __init__(self) -> None:
        self._kept = MemoryStore()

    def store(self) -> Store:
        return Shared(self._kept)

    def another(self) -> "InMemory":
        return InMemory()


class InFile:
    """One SQLite file; every core has its own connections, as processes have."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._others_count = 0

    def store(self) -> Store:
        return SQLiteStore.open(self.path, create=True, durability=Durability.NORMAL)

    def another(self) -> "InFile":
        self._others_count += 1
        return InFile(self.path.with_name(f"another-{self._others_count}.db"))


class Counting(Through):
    """Keeps what was appended."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.appends: list[StreamAppend] = []
        self.activity_writes_count = 0

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        self.appends.extend(appends)
        return super().append(appends)

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        self.activity_writes_count += 1
        return super().append_activity(new, may_wait=may_wait)


class Unsure(Through):
    """Loses answers: the append happens, or does not, and the caller is not told which."""

    def __init__(self, inner: Store, *, happens: Callable[[int], bool | None]) -> None:
        super().__init__(inner)
        self._happens = happens
        self.lost_count = 0
        self.appends_count = 0

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        self.appends_count += 1
        happens = self._happens(self.appends_count)
        if happens is None:
            return super().append(appends)
        if happens:
            super().append(appends)
        self.lost_count += 1
        return Unknown(reason="the line went dead")


class Failing(Through):
    """Refuses to write while ``is_broken``: the disk is full, the network is gone."""

    is_broken = False
    can_read = True
    can_show = True

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        if self.is_broken:
            raise StoreFailed(where=self.where, reason="broken on purpose")
        return super().append(appends)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        if not self.can_read:
            raise StoreFailed(where=self.where, reason="cannot be read, on purpose")
        return super().read(stream, first, records_max)

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        if not self.can_show:
            raise StoreFailed(where=self.where, reason="no activity, on purpose")
        return super().append_activity(new, may_wait=may_wait)


class Killed(BaseException):
    """The process is dead: nothing that it would have done afterwards happens."""


class Dying(Through):
    """
    Dies before or after its n-th append, and stays dead.

    Like a process that is killed, it catches no one up and lets nobody release anything.
    """

    def __init__(self, inner: Store, *, appends_max: int, is_last_written: bool) -> None:
        super().__init__(inner)
        self._appends_left = appends_max
        self._is_last_written = is_last_written
        self.is_dead = False

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        self._require_alive()
        self._appends_left -= 1
        if self._appends_left > 0:
            return super().append(appends)
        if self._is_last_written:
            super().append(appends)
        self.is_dead = True
        raise Killed

    def head(self, stream: StreamId) -> StreamHead | None:
        self._require_alive()
        return super().head(stream)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        self._require_alive()
        return super().read(stream, first, records_max)

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        self._require_alive()
        return super().append_activity(new, may_wait=may_wait)

    def _require_alive(self) -> None:
        if self.is_dead:
            raise Killed


def facts(store: Store, session_id: str = "s") -> list[Event]:
    """Read every fact of a session, checked."""
    return [fact.event for fact in read_facts(store, stream(session_id))]


def names(store: Store, session_id: str = "s") -> list[str]:
    """Name every fact of a session, in order."""
    return [type(event).__name__ for event in facts(store, session_id)]


def version(store: Store, session_id: str = "s") -> int:
    """Count a session's facts, after checking its chain."""
    return load(store, stream(session_id)).version


def activities(store: Store, session_id: str = "s") -> tuple[Activity, ...]:
    """Read all that a session streamed into the log."""
    return store.read_activity(stream(session_id), after=(Version(0), 0), activities_max=1_000_000)
