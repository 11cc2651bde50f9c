"""
Reading a stream: every record is hashed, checked and folded, in pages; nothing is trusted.

Opening begins at the newest snapshot that fits the facts after it, and folds all of them if there
is none. An altered, removed, inserted or reordered fact is ``CorruptHistory`` at its position; a
tail that was cut off disagrees with the head row, and so does one that was added.

Where facts were trimmed, the first that can be folded follows the state that the trim committed
to, and is chained to the digest that it tells (ADR 0022).
"""

from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Final

from attrs import frozen

from lash_es.codec.errors import CorruptHistory, StoredDataError, UndecodableValue
from lash_es.codec.records import GENESIS, Header, Record, chain_digest, decode_header, read_event
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import decode_trim_content
from lash_es.core.errors import HistoryTrimmedBelow, ImpossibleEvent
from lash_es.core.events import Event, HistoryTrimmed, body_ref
from lash_es.core.evolve import evolve
from lash_es.core.fork_events import SessionForked
from lash_es.core.ids import Position, Version
from lash_es.core.makers import maker
from lash_es.core.state import State
from lash_es.core.trims import KeptState
from lash_es.log.commitments import corrupt_body, require_body
from lash_es.log.encoding import Folded, nothing_folded
from lash_es.log.port import Store, StreamHead
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT, SNAPSHOTS_TRIED_MAX, Ignored, state_of

RECORDS_PER_PAGE: Final = 256
FIRST: Final = Position(0)
_ANY_VERSION: Final = Version(2**53)


@frozen(kw_only=True)
class Fact:
    """A fact as it was read: its record, and the event that it holds."""

    stream: StreamId
    record: Record
    event: Event

    @property
    def position(self) -> Position:
        """Where it is in its stream."""
        return self.record.position

    @property
    def digest(self) -> bytes:
        """The digest of its record."""
        return self.record.digest

    @cached_property
    def header(self) -> Header:
        """Who wrote it, when and why. Folding does without, so it is read when it is asked for."""
        return decode_header(self.stream, self.record)


_fact = maker(Fact)
_folded = maker(Folded)


def read_facts(
    store: Store, stream: StreamId, first: Position = FIRST, before: bytes = GENESIS
) -> Iterator[Fact]:
    """
    Read facts from ``first`` on; ``before`` is the digest of the record in front of it.

    Raises:
        CorruptHistory: a record is not the one that was written here.
        WrittenByNewerVersion: a record is of a kind that this version does not know.

    Cost: one query per 256 records, read when they are asked for.
    """
    for record, event in _checked(store, stream, first, before):
        yield _fact(stream=stream, record=record, event=event)


def _checked(
    store: Store, stream: StreamId, first: Position, before: bytes
) -> Iterator[tuple[Record, Event]]:
    while True:
        page = store.read(stream, first, RECORDS_PER_PAGE)
        for expected, record in enumerate(page, start=first):
            yield record, _checked_event(stream, record, expected, before)
            before = record.digest
        if len(page) < RECORDS_PER_PAGE:
            return
        first = Position(first + len(page))


def checked_fact(
    stream: StreamId, record: Record, expected: Position, before: bytes | None
) -> Fact:
    """
    Read a record that is to be at a position, after the one with digest ``before``; none if that
    was trimmed.

    Raises:
        As ``read_facts``.
    """
    event = _checked_event(stream, record, expected, before)
    return _fact(stream=stream, record=record, event=event)


def _checked_event(stream: StreamId, record: Record, expected: int, before: bytes | None) -> Event:
    if record.position != expected:
        raise _corrupt(
            stream, Position(expected), f"missing: the next record is at {record.position}"
        )
    if before is not None and chain_digest(before, record.header) != record.digest:
        raise _corrupt(stream, Position(expected), "the record's digest does not match its bytes")
    return read_event(stream, record)


@frozen(kw_only=True)
class Loaded:
    """
    A stream as it was opened: ``start`` is the version of the snapshot that was used, 0 if none
    was, ``ignored`` those that could not be.
    """

    folded: Folded
    start: Version
    ignored: tuple[Ignored, ...]

    @property
    def facts_count(self) -> int:
        """How many facts were folded."""
        return self.folded.version - self.start


def load(store: Store, stream: StreamId, after: Folded | None = None) -> Folded:
    """
    Fold a stream, or what came after it was folded last, and compare the end with the head row.

    Raises:
        CorruptHistory: as ``read_facts``; or a fact cannot follow; or the end disagrees with the
            head row.
    """
    if after is None or after.version == 0:
        return open_stream(store, stream).folded
    return _folded_on(store, after)


def open_stream(store: Store, stream: StreamId) -> Loaded:
    """
    Fold a stream from its newest usable snapshot on; from the start if there is none.

    Raises:
        CorruptHistory: as ``load``; of facts in front of the snapshot only ``refold`` can tell.

    Cost: four statements, and ``FACTS_PER_SNAPSHOT`` facts at most, however long the stream is.
    """
    ignored: list[Ignored] = []
    newest = _ANY_VERSION
    while len(ignored) < SNAPSHOTS_TRIED_MAX:
        stored = store.read_snapshot(stream, newest)
        if stored is None:
            break
        try:
            state = state_of(stream, stored)
            start = Folded(stream=stream, state=state, digest=stored.digest)
            folded = _folded_on(store, start)
        except (UndecodableValue, CorruptHistory) as cause:
            # Whether it is the snapshot or the facts that are wrong, the facts will tell.
            ignored.append(Ignored(version=stored.version, reason=cause.summary()))
            newest = Version(stored.version - 1)
        else:
            return _loaded(folded, stored.version, ignored)
    return _loaded(refold(store, stream), Version(0), ignored)


def refold(store: Store, stream: StreamId) -> Folded:
    """
    Fold a stream from its first fact on, or from its trim, whatever its snapshots say.

    Raises:
        CorruptHistory: as ``load``.
    """
    return _folded_on(store, nothing_folded(stream))


@frozen(kw_only=True)
class Begun:
    """Where folding begins, and the trim that said so; none where nothing was trimmed."""

    folded: Folded
    trim: Fact | None = None


def begin(store: Store, stream: StreamId) -> Begun:
    """
    Say where a stream can be folded from: its first fact, or the state at its last trim.

    Raises:
        CorruptHistory: the head row points at no trim.
        CorruptBody: the state is not the one that was committed to.
        WrittenByNewerVersion: the trim is of a kind that this version does not know.

    Cost: the head row; where facts were trimmed, a record and a body more.
    """
    while True:
        head = store.head(stream)
        if head is None or head.trim_position is None or head.oldest == 0:
            return Begun(folded=nothing_folded(stream))
        try:
            trim = read_trim(store, head, head.trim_position)
            return Begun(folded=_folded_at(store, trim), trim=trim)
        except StoredDataError:
            if not was_trimmed_since(store, head):
                raise


def was_trimmed_since(store: Store, head: StreamHead) -> bool:
    """Tell whether facts went since a head row was read: what is missing may be among them."""
    later = store.head(head.stream)
    return later is not None and later.oldest > head.oldest


def read_trim(store: Store, head: StreamHead, position: Position) -> Fact:
    """
    Read a trim that reading may begin at; its place in the chain is checked when it is met.

    Raises:
        CorruptHistory: there is none.
    """
    records = store.read(head.stream, position, 1)
    if not 0 <= position < head.version or not records or records[0].position != position:
        raise _corrupt(head.stream, position, "the head row points at a trim that is not there")
    event = read_event(head.stream, records[0])
    if (
        not isinstance(event, HistoryTrimmed | SessionForked)
        or not head.oldest <= event.below <= position
    ):
        raise _corrupt(head.stream, position, "the head row points at something else than a trim")
    return _fact(stream=head.stream, record=records[0], event=event)


def trim_event(fact: Fact) -> HistoryTrimmed | SessionForked:
    """Return the event of a fact that ``read_trim`` has read."""
    assert isinstance(fact.event, HistoryTrimmed | SessionForked)
    return fact.event


def _folded_at(store: Store, trim: Fact) -> Folded:
    """Read the state that a trim has committed to."""
    stream, event, ref = trim.stream, trim_event(trim), body_ref(trim.position)
    if not event.bodies:
        raise _corrupt(stream, trim.position, "the trim has no state")
    body = require_body(trim.header, 0, store.read_bodies(stream, (ref,)).get(ref))
    try:
        kept = decode_trim_content(body.content, body.media_type)
        digest = bytes.fromhex(event.digest)
    except (UndecodableValue, ValueError) as cause:
        raise corrupt_body(stream, ref, f"it holds no state: {cause}") from cause
    if not isinstance(kept, KeptState) or kept.state.version != event.below:
        raise corrupt_body(stream, ref, f"it holds no state of version {event.below}")
    return _folded(stream=stream, state=kept.state, digest=digest)


def _loaded(folded: Folded, start: Version, ignored: Sequence[Ignored]) -> Loaded:
    is_overdue = folded.version - start > FACTS_PER_SNAPSHOT
    folded = Folded(
        stream=folded.stream, state=folded.state, digest=folded.digest, is_overdue=is_overdue
    )
    return Loaded(folded=folded, start=start, ignored=tuple(ignored))


def _folded_on(store: Store, folded: Folded) -> Folded:
    trim: Fact | None = None
    while True:
        try:
            steps = deque(_steps(store, folded, trim), maxlen=1)  # the last step, if any
        except HistoryTrimmedBelow:
            begun = begin(store, folded.stream)
            folded, trim = begun.folded, begun.trim
            continue
        for record, _, state in steps:
            folded = _folded(stream=folded.stream, state=state, digest=record.digest)
        return folded


def load_facts(
    store: Store, folded: Folded, trim: Fact | None = None
) -> Iterator[tuple[Fact, Folded]]:
    """
    Read on from where a stream was folded: each fact with the fold up to it, all checked as by
    ``load``. ``trim`` is the fact that folding began at, if it began at one.

    Raises:
        HistoryTrimmedBelow: what comes next is gone; ``begin`` says where to begin instead.
        As ``load``.
    """
    stream = folded.stream
    for record, event, state in _steps(store, folded, trim):
        fact = _fact(stream=stream, record=record, event=event)
        yield fact, _folded(stream=stream, state=state, digest=record.digest)


def _steps(
    store: Store, folded: Folded, trim: Fact | None = None
) -> Iterator[tuple[Record, Event, State]]:
    """
    Fold on, fact by fact, up to the head row.

    Other processes may append meanwhile: the facts that a head row counts are there when it is
    read, so it is read first; a record past its end is an insertion unless the head has moved on.
    They may trim, too: what was removed since the head row was read is not missing, but gone.
    """
    stream, state, digest = folded.stream, folded.state, folded.digest
    while True:
        head = store.head(stream)
        require_kept(folded, head)
        version = _counted(head)
        facts = _checked(store, stream, Position(folded.version), digest)
        try:
            for record, event in islice(facts, max(0, version - folded.version)):
                state = _evolved(state, stream, record, event)
                digest = record.digest
                _require_same(trim, stream, record)
                yield record, event, state
            folded = _folded(stream=stream, state=state, digest=digest)
            require_head(folded, head)
        except CorruptHistory:
            require_kept(folded, store.head(stream))
            raise
        if not store.read(stream, Position(version), 1):
            return
        later = store.head(stream)
        if later == head:
            raise _corrupt(stream, Position(version), f"the head row counts only {version} facts")


def require_kept(folded: Folded, head: StreamHead | None) -> None:
    """Refuse to read on where what comes next was trimmed."""
    if head is not None and head.trim_position is not None and folded.version < head.oldest:
        raise HistoryTrimmedBelow(
            session_id=folded.stream.session_id,
            asked=Position(folded.version),
            oldest=head.oldest,
        )


def _require_same(trim: Fact | None, stream: StreamId, record: Record) -> None:
    """Refuse a record at the place of the trim that folding began at, but of another digest."""
    if trim is not None and record.position == trim.position and record.digest != trim.digest:
        raise _corrupt(stream, record.position, "it is not the trim that reading began at")


def step(state: State, fact: Fact) -> State:
    """Apply a stored fact; one that cannot follow is corrupt history."""
    return _evolved(state, fact.stream, fact.record, fact.event)


def _evolved(state: State, stream: StreamId, record: Record, event: Event) -> State:
    try:
        return evolve(state, event)
    except ImpossibleEvent as cause:
        raise _corrupt(stream, record.position, cause.summary()) from cause


def _counted(head: StreamHead | None) -> Version:
    """Count the facts that a head row counts; one that was edited may count below nothing."""
    return Version(0 if head is None else max(0, head.version))


def require_head(folded: Folded, head: StreamHead | None) -> None:
    """Refuse a stream whose end is not where the head row says."""
    version = _counted(head)
    if folded.version < version:
        raise _corrupt(
            folded.stream,
            Position(folded.version),
            f"cut off: the head row counts {version} facts",
        )
    if folded.version > version:
        raise _corrupt(
            folded.stream, Position(version), f"cut off: {folded.version} facts were there before"
        )
    if head is not None and head.digest != folded.digest:
        raise _corrupt(
            folded.stream,
            Position(max(0, version - 1)),
            "the head row holds another digest for the last record",
        )


def _corrupt(stream: StreamId, position: Position, reason: str) -> CorruptHistory:
    return CorruptHistory(session_id=stream.session_id, position=position, reason=reason)
