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
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import Event
from lash_es.core.evolve import fold
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.state import NOT_OPENED, NotOpened, State
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import begin, load_facts
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
    """
    A prefix of a stream, or one that might have been.

    ``start`` is the state that the first entry follows: of a trimmed session, the one at the trim.
    """

    stream: StreamId
    entries: tuple[Entry, ...] = ()
    start: State = NOT_OPENED

    @property
    def oldest(self) -> Position:
        """Where its first entry is, or would be."""
        start = self.start
        return Position(0 if isinstance(start, NotOpened) else start.version)

    @property
    def version(self) -> Version:
        """How many facts there were, with those that were trimmed."""
        return Version(self.oldest + len(self.entries))

    @property
    def events(self) -> tuple[Event, ...]:
        """Its events, in order."""
        return tuple(entry.event for entry in self.entries)

    @property
    def state(self) -> State:
        """Fold it. Cost: one step per fact."""
        return fold(self.events, self.start)

    def positions(self) -> Iterator[tuple[Position, Entry]]:
        """Go through it with each entry's position."""
        return (
            (Position(position), entry) for position, entry in enumerate(self.entries, self.oldest)
        )

    def as_of(self, version: int) -> "History":
        """
        Return the history as it was when it held ``version`` facts.

        Raises:
            VersionOutOfRange: it never did, or not yet.
            HistoryTrimmedBelow: it did, and that was trimmed.
        """
        entries = self.entries[: self._count(version)]
        return History(stream=self.stream, entries=entries, start=self.start)

    def since(self, version: int) -> tuple[Event, ...]:
        """
        Return the events after the first ``version``.

        Raises:
            VersionOutOfRange, HistoryTrimmedBelow: as for ``as_of``.
        """
        return self.events[self._count(version) :]

    def with_(self, *events: Event) -> "History":
        """Return the history that would be if these had happened next."""
        supposed = tuple(Entry(event=event) for event in events)
        return History(stream=self.stream, entries=self.entries + supposed, start=self.start)

    def _count(self, version: int) -> int:
        """Count the entries in front of a version."""
        if not 0 <= version <= self.version:
            raise VersionOutOfRange(
                session_id=self.stream.session_id, requested=version, version=self.version
            )
        if version < self.oldest:
            raise HistoryTrimmedBelow(
                session_id=self.stream.session_id, asked=Position(version), oldest=self.oldest
            )
        return version - self.oldest


def read_history(store: Store, stream: StreamId) -> History:
    """
    Read a session's whole history, every record checked, or what a trim has left of it; an unknown
    session has an empty one.

    Raises:
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
    """
    while True:
        begun = begin(store, stream)
        try:
            facts = load_facts(store, begun.folded, begun.trim)
            entries = tuple(Entry(event=fact.event, header=fact.header) for fact, _ in facts)
        except HistoryTrimmedBelow:
            continue  # It was trimmed meanwhile, and can be read from there on.
        return History(stream=stream, entries=entries, start=begun.folded.state)


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
