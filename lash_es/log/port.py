"""
What a log does, for the runtime (``Log``, async) and for whoever only reads (``Store``, sync).

A store is one transaction per call and knows no rule of a session: ``decide`` has refused before.
What it owes: facts dense and in order, a compare-and-set on the head row, bodies, index and head
in the facts' own transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from attrs import frozen

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Generation, Position, Version
from lash_es.core.known import IndexKey
from lash_es.log.appends import (
    Activity,
    ActivityResult,
    AppendResult,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
)

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


class Store(Protocol):
    """
    One place where streams are kept; synchronous, one transaction a call, safe to use from one
    thread at a time.
    """

    @property
    def where(self) -> str:
        """Say where it is, for people: a path or a name, never a credential."""
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

    def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
        at_ms: int,
    ) -> ActivityResult:
        """
        Add activity after the fact at ``version - 1``, in order, numbered on from the head row's
        sequence.

        Returns:
            ActivityRefused: the head has another version or generation; nothing was written.
        """
        ...

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """Read activity after ``(version, seq)``, ordered by both."""
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

    def now_ms(self) -> int:
        """Tell the time that commands are decided at, in epoch milliseconds."""
        ...

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Add as ``Store.append`` does; acknowledged only after the commit."""
        ...

    async def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
    ) -> ActivityResult:
        """Add as ``Store.append_activity`` does."""
        ...

    async def aclose(self) -> None:
        """Close the store."""
        ...
