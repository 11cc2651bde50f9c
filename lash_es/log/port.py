"""
What a log does, for the runtime (``Log``, async) and for whoever only reads (``Store``, sync).

A store is one transaction per call and knows no rule of a session: ``decide`` has refused before.
What it owes: facts dense and in order, a compare-and-set on the head row, bodies, index and head
in the facts' own transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from attrs import frozen

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
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
)
from lash_es.log.blobs import Address, KeptBlob
from lash_es.log.changes import Changes
from lash_es.log.pages import Offset, Page
from lash_es.log.placing import WaitsFor
from lash_es.log.retaining import Retaining
from lash_es.log.statistics import LogStatistics, LogTally, StoreStatistics
from lash_es.log.steadiness import AnchorKeeping, ClockLook

_R = TypeVar("_R")

FIRST: Final = Position(0)
NOTHING_PRUNED: Final = (Version(0), 0)


@frozen(kw_only=True)
class StreamHead:
    """
    A stream's head row: what an append is compared with, and what a cut-off tail disagrees with.

    ``activity_seq`` is the last activity after the last fact; it starts again from 0 with each
    fact. ``oldest`` is the first fact that is kept, ``trim_position`` the fact that tells of the
    last trim; a cursor below ``low_water``, a ``(version, seq)``, has missed pruned activity.
    """

    stream: StreamId
    version: Version
    digest: bytes
    generation: Generation
    status: str
    at_ms: int
    activity_seq: int
    oldest: Position = FIRST
    trim_position: Position | None = None
    low_water: tuple[Version, int] = NOTHING_PRUNED


@frozen(kw_only=True)
class ClockReading:
    """
    What asking a store for its time came to, in microseconds: when, by this process's monotonic
    clock; how far the store's time was ahead of that; and by how much that may be wrong.
    """

    measured_us: int
    offset_us: int
    uncertainty_us: int


class StoreClock(Protocol):
    """A store's own time: told between two askings, and asked where waiting is no harm."""

    def told_ms(self) -> int:
        """Tell the time in epoch milliseconds, without asking; it never falls."""
        ...

    @property
    def is_due(self) -> bool:
        """Tell whether it should be asked again."""
        ...

    def ask(self) -> ClockReading:
        """
        Ask the store; nothing is told differently before the reading is taken.

        Raises:
            StorageError: it cannot be asked.
        """
        ...

    def take(self, reading: ClockReading | None) -> None:
        """Go by a new reading; without one, by the last until it is due again."""
        ...

    def look(self) -> ClockLook:
        """Compare it, as it was asked last, with the machine's boot-time clock."""
        ...


class Store(Retaining, AnchorKeeping, Protocol):
    """
    One place where streams are kept; synchronous, one transaction a call.

    Use it from one thread at a time. Threads that share one all the same take turns on its
    connections, and none hangs.
    """

    @property
    def where(self) -> str:
        """Say where it is, for people: a path or a name, never a credential."""
        ...

    @property
    def waits_for(self) -> WaitsFor:
        """Say what a call waits for, and hence on which thread it may be made."""
        ...

    @property
    def as_stored(self) -> "Store":
        """
        The same store without what seals its bodies: they are given and taken as they lie. Not
        to be closed.
        """
        ...

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs, unchecked, from wherever bodies that name them look for them."""
        ...

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """
        Add every append's records after the last one of its stream, or add nothing.

        Returns:
            Appended: all are written, with their bodies, index rows and head rows.
            Conflict: a stream holds another version. Read from there, decide again.
            Unknown: it may have happened. Look for the ``append_id`` from the expected version on.

        Raises:
            MalformedAppend: a gap, or no record.
            StoreReadOnly, StoreFull, StoreBusy, StoreFailed, StoreClosed: nothing was written.

        Cost: one transaction. Source: message-db ``write_message``.
        """
        ...

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        """
        Append many batches, each as ``append`` does, in one transaction: group commit.

        A batch is all or nothing; a conflict fails only its own. Batches that share a stream are
        judged in their order: the second one sees the version that the first one made.

        Args:
            batches: each what one ``append`` would be given.
            may_wait: whether to wait while another process holds the lock. Who says no is
                answered with ``StoreBusy`` at once; a store that waits for a network cannot
                promise that.

        Returns:
            A result for each batch, in their order. If the commit's answer is lost, all of them
            are ``Unknown``.

        Raises:
            As ``append``; then no batch was written, and each can be tried alone.
        """
        ...

    def head(self, stream: StreamId) -> StreamHead | None:
        """Read the head row; none if the stream does not exist."""
        ...

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        """
        List head rows of a namespace whose stream key is greater than ``after``, ordered by key.
        """
        ...

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        """
        Read records from position ``first`` on, ordered by position, as they are stored and
        unchecked.
        """
        ...

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """Read bodies; one that is missing or erased is left out."""
        ...

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        """Read the values of index keys; one that does not exist is left out."""
        ...

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """
        Read the whole index page by page, ordered by kind and key: to compare it with the fold.
        """
        ...

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        """
        Replace index rows and remove others, if the stream is still at ``version``.

        Returns:
            False: it has moved on, or does not exist; nothing was written.

        Cost: one transaction.
        """
        ...

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        """
        Read the newest snapshot of at most that version, unchecked; none of a version that the
        stream does not have.
        """
        ...

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        """
        Write a snapshot that was asked for, in place of one of the same version.

        Returns:
            False: the stream has no such version; nothing was written.
        """
        ...

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        """
        Add activity after the fact at ``version - 1``, in order, numbered on from the head row's
        sequence; leave out a number after a loss; prune what was there before, if that is asked.
        ``may_wait`` as for ``append_each``.

        Returns:
            ActivityRefused: the head has another version or generation; nothing was written.
        """
        ...

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        """
        Prune activity by a window that ends at ``at_ms``; returns how many records went.

        Cost: one transaction, which reads and deletes as many rows as go.
        """
        ...

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``, ordered by both."""
        ...

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        """
        Read facts and activity after a place, up to ``items_max`` of each, in one state of the
        store.

        Cost: one statement.
        """
        ...

    def changes(self) -> Changes:
        """Open what tells of commits, from now on."""
        ...

    def announce(self, streams: Iterable[StreamId]) -> None:
        """Hint to other processes that these streams have grown, where nothing else tells them."""
        ...

    def clock(self) -> StoreClock | None:
        """
        Make a clock that goes by the store's own time, for the thread that reads; none if the
        store has no time of its own, and whoever uses it brings a clock.

        Raises:
            StorageError: its time cannot be asked.
        """
        ...

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs, as they are stored and unchecked; one that is missing is left out."""
        ...

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs after an address, ordered by address, without reading them."""
        ...

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        """
        List the addresses after ``after`` that bodies of any stream name, ordered, each once.
        """
        ...

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        """
        Delete the blobs whose token is still the one that was listed, and count them.

        Whether anything names them is the caller's question (``sweeping.py``).
        """
        ...

    def statistics(self) -> StoreStatistics:
        """Say what was done since it was opened; also after ``close``."""
        ...

    def close(self) -> None:
        """Release everything; twice is once."""
        ...


class Log(Protocol):
    """A log as the runtime uses it: it can be waited for, and it owns the time of commands."""

    @property
    def store(self) -> Store:
        """The synchronous side, for whoever only reads."""
        ...

    @property
    def tally(self) -> LogTally:
        """What is counted; whoever uses the log counts there what only it can see."""
        ...

    def now_ms(self) -> int:
        """Tell the time that commands are decided at, in epoch milliseconds."""
        ...

    async def keep_time(self) -> None:
        """Let other processes find out if they go by another clock; an owner does, by and by."""
        ...

    async def is_steady_for(self, duration_ms: int) -> bool:
        """Tell whether time is known not to have jumped for so long; cost: a read of the store."""
        ...

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """
        Add as ``Store.append`` does; acknowledged only after the commit.

        Raises:
            As ``Store.append``; TooManyAppendsWaiting: nothing was written, and may be later.
        """
        ...

    async def read(self, work: Callable[[Store], _R]) -> _R:
        """Run what only reads, where it does not hold the loop up; raises what ``work`` does."""
        ...

    async def write(self, work: Callable[[Store], _R]) -> _R:
        """Run what writes and is no append, in turn with the appends; raises what it does."""
        ...

    async def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
    ) -> ActivityResult:
        """Add as ``Store.append_activity`` does; what is raised from here was lost."""
        ...

    def lose_activity(self, stream: StreamId) -> None:
        """Take note that activity was given up: the next thing that is written says so."""
        ...

    def statistics(self) -> LogStatistics:
        """Say how it serves its callers."""
        ...

    async def aclose(self) -> None:
        """Commit what waits, take nothing more, and close the store."""
        ...
