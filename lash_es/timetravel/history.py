"""
``History``: an immutable prefix of a stream. ``state`` is its fold; nothing here writes, or runs
anything again.

A version is a count: ``as_of(0)`` is empty, ``as_of(p + 1)`` is the history up to and including
position ``p``.
"""

from collections.abc import Iterator
from os import PathLike

from attrs import field, frozen

from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.state import State
from lash_es.log.encoding import nothing_folded
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import load_facts
from lash_es.log.port import Store
from lash_es.log.stores.sqlite import SQLiteStore


@frozen(kw_only=True)
class Entry:
    """
    An event of a history, with its header if it was recorded.

    Two entries are equal if their events are.
    """

    event: Event
    header: Header | None = field(default=None, eq=False)


@frozen(kw_only=True)
class History:
    """A prefix of a stream, or one that might have been."""

    stream: StreamId
    entries: tuple[Entry, ...] = ()

    @property
    def version(self) -> Version:
        """How many facts it holds."""
        return Version(len(self.entries))

    @property
    def events(self) -> tuple[Event, ...]:
        """Its events, in order."""
        return tuple(entry.event for entry in self.entries)

    @property
    def state(self) -> State:
        """Fold it. Cost: one step per fact."""
        return fold(self.events)

    def positions(self) -> Iterator[tuple[Position, Entry]]:
        """Go through it with each entry's position."""
        return ((Position(position), entry) for position, entry in enumerate(self.entries))

    def as_of(self, version: int) -> "History":
        """
        Return the history as it was when it held ``version`` facts.

        Raises:
            VersionOutOfRange: it never did, or not yet.
        """
        return History(stream=self.stream, entries=self.entries[: self._checked(version)])

    def since(self, version: int) -> tuple[Event, ...]:
        """
        Return the events after the first ``version``.

        Raises:
            VersionOutOfRange: as for ``as_of``.
        """
        return self.events[self._checked(version) :]

    def with_(self, *events: Event) -> "History":
        """Return the history that would be if these had happened next."""
        supposed = tuple(Entry(event=event) for event in events)
        return History(stream=self.stream, entries=self.entries + supposed)

    def _checked(self, version: int) -> int:
        if not 0 <= version <= self.version:
            raise VersionOutOfRange(
                session_id=self.stream.session_id, requested=version, version=self.version
            )
        return version


def read_history(store: Store, stream: StreamId) -> History:
    """
    Read a session's whole history, every record checked; an unknown session has an empty one.

    Raises:
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
    """
    facts = load_facts(store, nothing_folded(stream))
    entries = tuple(Entry(event=fact.event, header=fact.header) for fact, _ in facts)
    return History(stream=stream, entries=entries)


def open_history(
    path: str | PathLike[str], session_id: str, *, namespace: str = "default"
) -> History:
    """
    Read a session's history from a SQLite file, and close the file again.

    Raises:
        StoreUnavailable: there is no log at ``path``.
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
    """
    store = SQLiteStore.open(path, create=False)
    try:
        return read_history(store, StreamId(namespace, SessionId(session_id)))
    finally:
        store.close()
