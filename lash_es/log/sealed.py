"""
A store whose bodies and activity lie sealed: one layer in front of any backend.

What comes in is sealed, what goes out is opened; facts, heads and index pass through, so that
folding, chaining and proving need no key. Large bodies go, with the facts and in their
transaction, into the backend's table of blobs; or, before them, into a directory.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Protocol

import attrs

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import is_trim_content
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
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
from lash_es.log.blobs import Address, Blob, KeptBlob
from lash_es.log.changes import Changes
from lash_es.log.pages import Offset, Page
from lash_es.log.placing import WaitsFor
from lash_es.log.port import Store, StoreClock, StreamHead
from lash_es.log.retaining_passed_on import PassedOnRetention
from lash_es.log.sealed_bodies import (
    blob_named,
    lies_plain,
    open_activity,
    open_body,
    seal_activity,
    seal_body,
)
from lash_es.log.sealing import AtRest
from lash_es.log.sealing_errors import SealBroken
from lash_es.log.statistics import StoreStatistics
from lash_es.log.steadiness import ClockAnchor


class BlobFolder(Protocol):
    """A place of blobs outside of the store (``stores/directory_blobs.py``)."""

    def read(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs, unchecked; one that is missing is left out."""
        ...

    @contextmanager
    def holding(self, blobs: Sequence[Blob]) -> Generator[None]:
        """Write blobs durably; until the end no sweep begins."""
        ...

    def close(self) -> None:
        """Let the place go; twice is once."""
        ...


class SealedStore(PassedOnRetention):
    """A ``Store`` in front of another one, which it owns and closes, as it does the folder."""

    def __init__(self, inner: Store, at_rest: AtRest, folder: BlobFolder | None = None) -> None:
        self._inner = inner
        self._at_rest = at_rest
        self._folder = folder

    @property
    def inner(self) -> Store:
        """The store behind: what it gives is sealed, and what it gets must be."""
        return self._inner

    @property
    def as_stored(self) -> Store:
        """The store behind."""
        return self._inner

    def read_named_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs from the folder and from the store behind."""
        return self._read_blobs(addresses)

    @property
    def where(self) -> str:
        """Say where the store behind is."""
        return self._inner.where

    @property
    def waits_for(self) -> WaitsFor:
        """Say what the store behind waits for."""
        return self._inner.waits_for

    # What is sealed

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Seal every body, then append."""
        (result,) = self.append_each((appends,))
        return result

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        """Seal every body of every batch, then append them."""
        blobs: dict[Address, Blob] = {}
        sealed = [[self._sealed(append, blobs) for append in batch] for batch in batches]
        holding = (
            nullcontext() if self._folder is None else self._folder.holding([*blobs.values()])
        )
        with holding:
            return self._inner.append_each(sealed, may_wait=may_wait)

    def _sealed(self, append: StreamAppend, outside: dict[Address, Blob]) -> StreamAppend:
        """Seal an append's bodies; their blobs go along, or into ``outside`` for the folder."""
        if all(lies_plain(self._at_rest, body) for body in append.bodies):
            return append  # What most appends are where nobody has asked for more.
        blobs = {blob.address: blob for blob in append.blobs}
        bodies: list[StoredBody] = []
        for body in append.bodies:
            kept, blob = self._sealed_body(append.stream, body, blobs)
            bodies.append(kept)
            if blob is not None:
                (blobs if self._folder is None else outside)[blob.address] = blob
        return attrs.evolve(append, bodies=tuple(bodies), blobs=tuple(blobs.values()))

    def _sealed_body(
        self, stream: StreamId, body: StoredBody, given: Mapping[Address, Blob]
    ) -> tuple[StoredBody, Blob | None]:
        if not body.sealing:
            if is_trim_content(body.media_type):
                return body, None  # It is folded from, which needs no layer and no key.
            return seal_body(self._at_rest, stream, body)
        # Copied as it lay, by a fork: what it names is written again, so that no sweep takes it.
        address = blob_named(stream, body)
        if address is None or address in given:
            return body, None
        content = self._read_blobs((address,)).get(address)
        if content is None:
            raise SealBroken(
                session_id=stream.session_id,
                position=body.ref.position,
                ordinal=body.ref.ordinal,
                reason="its blob is missing",
            )
        return body, Blob(address=address, content=content)

    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        """
        Read and open bodies; one whose key is not there stays as it lies, with its sealing.

        Raises:
            SealBroken: one does not open.
        """
        stored = self._inner.read_bodies(stream, refs)
        if not any(body.sealing for body in stored.values()):
            return stored
        named = {ref: blob_named(stream, body) for ref, body in stored.items() if body.sealing}
        blobs = self._read_blobs([address for address in named.values() if address is not None])
        return {
            ref: open_body(self._at_rest, stream, body, blobs.get(named.get(ref) or Address(b"")))
            for ref, body in stored.items()
        }

    def _read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read from the folder, and what is not there from the store: it may be older than it."""
        if not addresses:
            return {}
        found = {} if self._folder is None else dict(self._folder.read(addresses))
        missing = [address for address in addresses if address not in found]
        return {**found, **self._inner.read_blobs(missing)} if missing else found

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        """Seal activity, then append it."""
        payloads = [
            seal_activity(self._at_rest, new.stream, new.version, payload)
            for payload in new.payloads
        ]
        sealed = attrs.evolve(new, payloads=payloads)
        return self._inner.append_activity(sealed, may_wait=may_wait)

    def read_activity(
        self, stream: StreamId, *, after: tuple[Version, int], activities_max: int
    ) -> tuple[Activity, ...]:
        """
        Read and open activity.

        Raises:
            ActivitySealed, ActivityBroken: it does not open.
        """
        found = self._inner.read_activity(stream, after=after, activities_max=activities_max)
        return tuple(open_activity(self._at_rest, stream, each) for each in found)

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        """Read facts and activity, and open the latter; raises as ``read_activity``."""
        page = self._inner.read_page(stream, after, items_max)
        activities = tuple(open_activity(self._at_rest, stream, each) for each in page.activities)
        return attrs.evolve(page, activities=activities)

    # What passes through

    def head(self, stream: StreamId) -> StreamHead | None:
        """Read the head row."""
        return self._inner.head(stream)

    def heads(self, namespace: str, *, after: str, heads_max: int) -> tuple[StreamHead, ...]:
        """List head rows."""
        return self._inner.heads(namespace, after=after, heads_max=heads_max)

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        """Read records."""
        return self._inner.read(stream, first, records_max)

    def read_index(self, stream: StreamId, keys: Sequence[IndexKey]) -> Mapping[IndexKey, bytes]:
        """Read the values of index keys."""
        return self._inner.read_index(stream, keys)

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        """Read the whole index page by page."""
        return self._inner.read_index_page(stream, after, rows_max)

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        """Replace and remove index rows."""
        return self._inner.rewrite_index(stream, version=version, rows=rows, gone=gone)

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        """Read a snapshot; it holds nothing that is sealed."""
        return self._inner.read_snapshot(stream, version_max)

    def write_snapshot(self, stream: StreamId, snapshot: StoredSnapshot) -> bool:
        """Write a snapshot that was asked for."""
        return self._inner.write_snapshot(stream, snapshot)

    def trim_activity(self, stream: StreamId, window: ActivityWindow, at_ms: int) -> int:
        """Prune activity by a window."""
        return self._inner.trim_activity(stream, window, at_ms)

    def changes(self) -> Changes:
        """Open what tells of commits."""
        return self._inner.changes()

    def announce(self, streams: Iterable[StreamId]) -> None:
        """Hint that streams have grown."""
        self._inner.announce(streams)

    def clock(self) -> StoreClock | None:
        """Make a clock that goes by the store's own time."""
        return self._inner.clock()

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        """Read the anchor of a boot."""
        return self._inner.read_anchor(boot_id)

    def keep_anchor(
        self, seen: ClockAnchor, running_ms: int, *, may_wait: bool = True
    ) -> ClockAnchor:
        """Keep how a clock runs."""
        return self._inner.keep_anchor(seen, running_ms, may_wait=may_wait)

    def read_blobs(self, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
        """Read blobs of the store's own table, as they lie."""
        return self._inner.read_blobs(addresses)

    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        """List blobs of the store's own table."""
        return self._inner.read_blob_page(after, blobs_max)

    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        """List the addresses that bodies name."""
        return self._inner.read_blob_names(after, names_max)

    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        """Delete blobs of the store's own table."""
        return self._inner.delete_blobs(kept)

    def statistics(self) -> StoreStatistics:
        """Say what the store behind did."""
        return self._inner.statistics()

    def close(self) -> None:
        """Close the store behind, and the folder."""
        self._inner.close()
        if self._folder is not None:
            self._folder.close()
