"""Stores that lie to one client, in front of real ones: what the judge has to find out."""

from collections.abc import Sequence

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position
from lash_es.log.appends import Appended, AppendResult, Conflict, StreamAppend
from lash_es.log.port import Store, StreamHead
from tests.session.stores import Shared


def honest(store: Store) -> Store:
    """Say what is there."""
    return store


class Owning(Shared):
    """One that closes what it stands in front of."""

    def close(self) -> None:
        self.inner.close()


class Stale(Owning):
    """
    Answers reads from what it saw before, until its client appends something: a cache that nobody
    tells of what others write.
    """

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self._seen: dict[StreamId, StreamHead | None] = {}

    def head(self, stream: StreamId) -> StreamHead | None:
        if stream not in self._seen:
            self._seen[stream] = super().head(stream)
        return self._seen[stream]

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        head = self.head(stream)
        version = 0 if head is None else head.version
        return super().read(stream, first, min(records_max, max(0, version - first)))

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        self._seen.clear()
        return super().append_each(batches, may_wait=may_wait)


class Flattering(Owning):
    """Tells its client of a lost race that it was won."""

    def append_each(
        self, batches: Sequence[Sequence[StreamAppend]], *, may_wait: bool = True
    ) -> tuple[AppendResult, ...]:
        results = super().append_each(batches, may_wait=may_wait)
        return tuple(
            _won(batch) if isinstance(result, Conflict) else result
            for batch, result in zip(batches, results, strict=True)
        )


def _won(batch: Sequence[StreamAppend]) -> Appended:
    return Appended(versions=tuple(append.version for append in batch))
