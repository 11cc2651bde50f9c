"""Retention in front of another store: it is that store's, word for word."""

from abc import ABC, abstractmethod

from lash_es.codec.streams import StreamId
from lash_es.core.retention import Pin
from lash_es.log.port import Store
from lash_es.log.retaining import Beginning, RecordFormats, Removal, Return, SnapshotsForgotten


class PassedOnRetention(ABC):
    """Passes on what retention asks; facts and bodies that come back were taken as they lay."""

    @property
    @abstractmethod
    def inner(self) -> Store:
        """The store behind."""

    def remove_facts(self, removal: Removal) -> None:
        """Delete facts, bodies and snapshots, and move the oldest."""
        self.inner.remove_facts(removal)

    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        """Delete superseded snapshots."""
        return self.inner.forget_snapshots(stream)

    def return_facts(self, back: Return) -> bool:
        """Put facts back in front of the oldest."""
        return self.inner.return_facts(back)

    def begin_trimmed(self, beginning: Beginning) -> bool:
        """Make the head row of a stream that begins later."""
        return self.inner.begin_trimmed(beginning)

    def pins(self, stream: StreamId) -> tuple[Pin, ...]:
        """List the pins of a stream."""
        return self.inner.pins(stream)

    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        """Set or move a pin."""
        self.inner.pin(stream, pin, at_ms)

    def unpin(self, stream: StreamId, name: str) -> bool:
        """Remove a pin."""
        return self.inner.unpin(stream, name)

    def record_formats(self) -> RecordFormats:
        """Read which format is written now."""
        return self.inner.record_formats()

    def raise_format(self, writes: int) -> RecordFormats:
        """Write a newer format from now on."""
        return self.inner.raise_format(writes)
