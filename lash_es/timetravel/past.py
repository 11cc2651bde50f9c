"""
A session's past, as questions see it: any state, and the facts between two versions, folded.

A ``History`` is a past that was read whole. A ``StoredHistory`` stays in its store and reads what
a question needs: from the newest snapshot in front of it on, one page at a time. Both answer the
same, and neither writes, or runs anything again.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice
from os import PathLike
from typing import Final, Protocol, TypeAlias

from attrs import frozen

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Header, Record
from lash_es.codec.streams import StreamId
from lash_es.core.errors import HistoryTrimmedBelow
from lash_es.core.events import Event
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.makers import maker
from lash_es.core.state import State
from lash_es.log.contents import read_header
from lash_es.log.encoding import Folded
from lash_es.log.errors import VersionOutOfRange
from lash_es.log.loading import Fact, begin, checked_fact, read_facts, step
from lash_es.log.port import Store
from lash_es.log.snapshotting import load_as_of
from lash_es.timetravel.opening import open_store
from lash_es.timetravel.sieves import Sieve

RECORDS_PER_PAGE: Final = 256
FACTS_PER_REPORT: Final = 1_000

Placed: TypeAlias = tuple[Position, Event]
"""A fact and where it is."""


@frozen(kw_only=True)
class Step:
    """A fact, and the state after it."""

    position: Position
    event: Event
    state: State


_step = maker(Step)


class Past(Protocol):
    """What questions about the past need."""

    @property
    def stream(self) -> StreamId:
        """Whose past it is."""
        ...

    @property
    def oldest(self) -> Position:
        """The first fact that is there; in front of it facts were trimmed."""
        ...

    @property
    def version(self) -> Version:
        """How many facts there were, with those that were trimmed."""
        ...

    def state_at(self, version: int) -> State:
        """
        Return the state that the session had when it held so many facts.

        Raises:
            VersionOutOfRange: it never did, or not yet.
            HistoryTrimmedBelow: it did, and that was trimmed.
        """
        ...

    def mark_at(self, version: int) -> Version:
        """Return the newest version up to this one whose state needs no fold, or the oldest."""
        ...

    def steps(self, first: int, end: int) -> Iterator[Step]:
        """Go through the facts from position ``first`` up to ``end``, without it, and fold."""
        ...

    def is_touched(self, first: int, end: int, sieve: Sieve) -> bool:
        """Tell whether a fact at ``first`` up to ``end`` may be one that a sieve holds back."""
        ...

    def header_at(self, position: int) -> Header | None:
        """Return the header of a fact; none if it was only supposed."""
        ...


@frozen(kw_only=True)
class StoredHistory:
    """
    A session's history that stays in its store. Whoever reads it keeps the store open.

    It ends at ``version``, as it was when this was made; facts that come later are not seen.
    """

    store: Store
    stream: StreamId
    oldest: Position
    version: Version

    @classmethod
    def of(cls, store: Store, stream: StreamId) -> "StoredHistory":
        """Look at a session as it is now; an unknown one has no facts. Cost: its head row."""
        head = store.head(stream)
        return cls(
            store=store,
            stream=stream,
            oldest=Position(0) if head is None else head.oldest,
            version=Version(0) if head is None else head.version,
        )

    def state_at(self, version: int) -> State:
        """
        Read one state.

        Raises:
            CorruptHistory, WrittenByNewerVersion: a fact that was folded cannot be read.
            VersionOutOfRange, HistoryTrimmedBelow: as ``Past.state_at``.

        Cost: folds from the newest usable snapshot in front of it.
        """
        return self._folded(version).state

    def mark_at(self, version: int) -> Version:
        """Find the newest snapshot. Cost: reads it, and folds if it cannot be used."""
        stored = self.store.read_snapshot(self.stream, Version(version))
        if stored is None or stored.version <= self.oldest:
            return Version(self.oldest)
        return stored.version

    def steps(self, first: int, end: int) -> Iterator[Step]:
        """
        Fold on from a version.

        Raises:
            As ``state_at``.

        Cost: a query per 256 facts, read when they are asked for.
        """
        folded = self._folded(first)
        state = folded.state
        for fact in islice(self._facts(folded), max(0, end - first)):
            state = step(state, fact)
            yield _step(position=fact.position, event=fact.event, state=state)

    def is_touched(self, first: int, end: int, sieve: Sieve) -> bool:
        """Look at the records between two versions, newest pages first, without folding."""
        while first < end:
            start = max(first, end - RECORDS_PER_PAGE)
            records = self.store.read(self.stream, Position(start), end - start)
            if any(map(sieve.holds_back, records)):
                return True
            end = start
        return False

    def facts(self, on_facts: Callable[[int], object] = lambda _: None) -> Iterator[Placed]:
        """
        Go through all facts with their positions, chained but not folded.

        Raises:
            CorruptHistory, WrittenByNewerVersion: a fact cannot be read.
        """
        start = begin(self.store, self.stream).folded
        facts = islice(self._facts(start), max(0, self.version - start.version))
        for count, fact in enumerate(facts, start=1):
            yield fact.position, fact.event
            if count % FACTS_PER_REPORT == 0:
                on_facts(FACTS_PER_REPORT)

    def header_at(self, position: int) -> Header:
        """
        Read one fact's header.

        Raises:
            CorruptHistory, HistoryTrimmedBelow: there is none, or none any more.
        """
        return read_header(self.store, self.stream, Position(position))

    def fact_at(self, position: int) -> Fact:
        """
        Read one fact by itself.

        Raises:
            CorruptHistory, HistoryTrimmedBelow: there is none, or none any more.
        """
        self.require(position)
        first = max(self.oldest, position - 1)
        records = self.store.read(self.stream, Position(first), position - first + 1)
        by_position = {record.position: record for record in records}
        record = by_position.get(Position(position))
        before = by_position.get(Position(position - 1))
        if record is None:
            raise CorruptHistory(
                session_id=self.stream.session_id, position=Position(position), reason="missing"
            )
        digest = None if before is None else before.digest
        return checked_fact(self.stream, record, record.position, digest)

    def require(self, version: int) -> None:
        """Refuse a version that never was, or is gone; raises as ``Past.state_at``."""
        session_id = self.stream.session_id
        if not 0 <= version <= self.version:
            raise VersionOutOfRange(session_id=session_id, requested=version, version=self.version)
        if version < self.oldest:
            raise HistoryTrimmedBelow(
                session_id=session_id, asked=Position(version), oldest=self.oldest
            )

    def _folded(self, version: int) -> Folded:
        self.require(version)
        return load_as_of(self.store, self.stream, version)

    def _facts(self, folded: Folded) -> Iterator[Fact]:
        return read_facts(self.store, self.stream, Position(folded.version), folded.digest)


@contextmanager
def open_past(
    place: str | PathLike[str],
    session_id: str,
    *,
    namespace: str = "default",
    schema: str = "public",
) -> Generator[StoredHistory]:
    """
    Open a session's past where it is, for questions that need not read all of it.

    Args:
        place: a SQLite file, or a URL ``postgresql://...``.
        session_id: the session's.
        namespace: which sessions of the log.
        schema: which schema of a PostgreSQL database.

    Raises:
        StorageError: there is no log, or one that cannot be read.
    """
    with open_store(place, schema=schema) as store:
        yield StoredHistory.of(store, StreamId(namespace, SessionId(session_id)))


def records_of(past: StoredHistory, first: int, end: int) -> Iterator[Record]:
    """Read records as they lie, in pages, without folding them."""
    while first < end:
        page = past.store.read(past.stream, Position(first), min(RECORDS_PER_PAGE, end - first))
        yield from page
        if not page:
            return
        first += len(page)
