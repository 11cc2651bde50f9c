"""
``History``: an immutable prefix of a stream. ``state`` is its fold; nothing here writes, or runs
anything again.

A version is a count: ``as_of(0)`` is empty, ``as_of(p + 1)`` is the history up to and including
position ``p``.

Reading folds every fact to check it, and keeps the state at every so many: from there on any
state is a short fold. Who wants one state of a long session, and not its history, is served from
the store's snapshots (``read_state``).
"""

from bisect import bisect_right
from collections.abc import Iterator
from os import PathLike

from attrs import field, frozen

from lash_es.codec.records import Header
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import Event
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.state import NOT_OPENED, NotOpened, State
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import Begun, begin, load_facts
from lash_es.log.port import Store
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT
from lash_es.log.snapshotting import load_as_of
from lash_es.timetravel.opening import open_store
from lash_es.timetravel.past import Step
from lash_es.timetravel.sieves import Sieve


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
    ``marks`` are states on its way that somebody has folded already, oldest first.
    """

    stream: StreamId
    entries: tuple[Entry, ...] = ()
    start: State = NOT_OPENED
    marks: tuple[State, ...] = field(default=(), eq=False, repr=False)

    @property
    def oldest(self) -> Position:
        """Where its first entry is, or would be."""
        return Position(_version(self.start))

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
        """Fold it. Cost: one step per fact behind the last mark."""
        mark = self.marks[-1] if self.marks else self.start
        behind = self.entries[_version(mark) - self.oldest :]
        return fold((entry.event for entry in behind), mark)

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
        marks = self.marks[: bisect_right(self.marks, version, key=_version)]
        return History(stream=self.stream, entries=entries, start=self.start, marks=marks)

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
        entries = self.entries + supposed
        return History(stream=self.stream, entries=entries, start=self.start, marks=self.marks)

    def state_at(self, version: int) -> State:
        """Return the state of ``as_of(version)``."""
        return self.as_of(version).state

    def mark_at(self, version: int) -> Version:
        """Return the newest version up to this one whose state is kept."""
        marks = self.marks[: bisect_right(self.marks, version, key=_version)]
        return _version(marks[-1] if marks else self.start)

    def steps(self, first: int, end: int) -> Iterator[Step]:
        """Fold on from a version, as ``Past.steps``."""
        state = self.state_at(first)
        for position in range(first, min(end, self.version)):
            event = self.entries[position - self.oldest].event
            state = evolve(state, event)
            yield Step(position=Position(position), event=event, state=state)

    def is_touched(self, first: int, end: int, sieve: Sieve) -> bool:
        """Look at the events between two versions, without folding."""
        stretch = self.entries[first - self.oldest : end - self.oldest]
        return any(sieve.holds_back_event(entry.event) for entry in stretch)

    def header_at(self, position: int) -> Header | None:
        """Return the header of a fact; none if it was only supposed."""
        return self.entries[position - self.oldest].header

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


def _version(state: State) -> Version:
    return Version(0) if isinstance(state, NotOpened) else state.version


def read_history(
    store: Store, stream: StreamId, *, facts_per_mark: int = FACTS_PER_SNAPSHOT
) -> History:
    """
    Read a session's whole history, every record checked, or what a trim has left of it; an unknown
    session has an empty one.

    Raises:
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.

    Cost: reads and folds every fact, and keeps the state at each ``facts_per_mark``-th.
    """
    while True:
        begun = begin(store, stream)
        try:
            return _history(store, begun, facts_per_mark)
        except HistoryTrimmedBelow:
            continue  # It was trimmed meanwhile, and can be read from there on.


def _history(store: Store, begun: Begun, facts_per_mark: int) -> History:
    start = begun.folded
    entries: list[Entry] = []
    marks: list[State] = []
    for fact, folded in load_facts(store, start, begun.trim):
        entries.append(Entry(event=fact.event, header=fact.header))
        if folded.version % facts_per_mark == 0:
            marks.append(folded.state)
    return History(
        stream=start.stream, entries=tuple(entries), start=start.state, marks=tuple(marks)
    )


def read_state(store: Store, stream: StreamId, version: int) -> State:
    """
    Read the state that a session had when it held ``version`` facts, and nothing else of it.

    Raises:
        VersionOutOfRange: it never did, or not yet.
        HistoryTrimmedBelow: it did, and that was trimmed.
        CorruptHistory, WrittenByNewerVersion: a fact that was folded cannot be read.

    Cost: folds from the newest usable snapshot in front of it, or where facts begin.
    """
    return load_as_of(store, stream, version).state


def open_history(
    place: str | PathLike[str],
    session_id: str,
    *,
    namespace: str = "default",
    schema: str = "public",
) -> History:
    """
    Read a session's whole history from where it is, and close that again.

    Args:
        place: a SQLite file, or a URL ``postgresql://...``.
        session_id: the session's; an unknown one has an empty history.
        namespace: which sessions of the log.
        schema: which schema of a PostgreSQL database.

    Raises:
        StoreUnavailable, StoreTablesOlder: there is no log at ``place``, or one to be upgraded.
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.

    Cost: as ``read_history``. ``past.open_past`` is for sessions that are long.
    """
    with open_store(place, schema=schema) as store:
        return read_history(store, StreamId(namespace, SessionId(session_id)))


def open_state(
    place: str | PathLike[str],
    session_id: str,
    version: int,
    *,
    namespace: str = "default",
    schema: str = "public",
) -> State:
    """
    Read one state of a session from where it is, and close that again.

    Raises:
        StoreUnavailable, StoreTablesOlder: there is no log at ``place``, or one to be upgraded.
        As ``read_state``.
    """
    with open_store(place, schema=schema) as store:
        return read_state(store, StreamId(namespace, SessionId(session_id)), version)
