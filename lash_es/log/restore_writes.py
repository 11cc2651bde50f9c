"""
Writing what was checked of an archive, group by group of lines, from a scratch file.

A whole stream is appended from the first fact on that is not there. What a trim let go of is put
back from its last group on. Both are made again without harm: what is there is left alone.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import IO, Final

from attrs import Factory, define, frozen

from lash_es.codec.records import Record, decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.retention import Pin
from lash_es.core.state import NotOpened
from lash_es.log.appends import Conflict, StoredBody, StreamAppend, Unknown
from lash_es.log.archive_checks import CheckedFact, StreamCheck, take
from lash_es.log.archive_lines import (
    BlobLine,
    BodyLine,
    FactLine,
    PinLine,
    StreamLine,
    decode_line,
)
from lash_es.log.archive_meetings import differs
from lash_es.log.blobs import Blob
from lash_es.log.encoding import generation, status
from lash_es.log.errors import StoreFailed
from lash_es.log.port import Store
from lash_es.log.retaining import Beginning, Return

INDEX_ROWS_PER_WRITE: Final = 256


@frozen(kw_only=True)
class Written:
    """How much of a stream was written."""

    facts_count: int
    pins_count: int


@frozen(kw_only=True)
class Section:
    """A stream in the scratch file: at which bytes its groups begin, and where the last ends."""

    line: StreamLine
    offsets: tuple[int, ...]

    def groups(self) -> list[tuple[int, int]]:
        """List from where to where each group lies."""
        return list(pairwise(self.offsets))


@define
class _Group:
    """What lies in one group of lines."""

    facts: list[CheckedFact] = Factory(list[CheckedFact])
    records: list[Record] = Factory(list[Record])
    bodies: list[StoredBody] = Factory(list[StoredBody])
    blobs: list[Blob] = Factory(list[Blob])
    pins: list[Pin] = Factory(list[Pin])


def _read(scratch: IO[bytes], start: int, end: int, check: StreamCheck | None) -> _Group:
    """Read a group; what ``check`` folds is in ``facts``."""
    group = _Group()
    blob: Blob | None = None
    scratch.seek(start)
    while scratch.tell() < end:
        line = decode_line(scratch.readline())
        fact = None if check is None else take(check, line, blob)
        blob = line.blob if isinstance(line, BlobLine) else None
        if fact is not None:
            group.facts.append(fact)
        if isinstance(line, FactLine):
            group.records.append(line.record)
        elif isinstance(line, BodyLine):
            group.bodies.append(line.body)
        elif isinstance(line, BlobLine):
            group.blobs.append(line.blob)
        else:
            assert isinstance(line, PinLine)
            group.pins.append(Pin(name=line.name, version=line.version))
    return group


def write_part(
    store: Store, scratch: IO[bytes], section: Section, on_fact: Callable[[], object]
) -> Written:
    """Put facts back, from the last group to the first: a stream never has a hole."""
    stream = StreamId(section.line.namespace, SessionId(section.line.session))
    facts_count = 0
    for start, end in reversed(section.groups()):
        group = _read(scratch, start, end, None)
        head = store.head(stream)
        oldest = Position(0) if head is None else head.oldest
        records = tuple(record for record in group.records if record.position < oldest)
        back = Return(
            stream=stream,
            records=records,
            bodies=tuple(body for body in group.bodies if body.ref.position < oldest),
            blobs=tuple(group.blobs),
            at_ms=0 if head is None else head.at_ms,
        )
        if not store.return_facts(back):
            raise differs(stream, oldest, "somebody else wrote meanwhile")
        facts_count += len(records)
        for _ in group.records:
            on_fact()
    return Written(facts_count=facts_count, pins_count=0)


def write_whole(
    store: Store, scratch: IO[bytes], section: Section, on_fact: Callable[[], object]
) -> Written:
    """Append facts from the first on that is not there."""
    writing = _Whole(store, StreamCheck.of(section.line))
    for start, end in section.groups():
        group = _read(scratch, start, end, writing.check)
        writing.take(group)
        for _ in group.facts:
            on_fact()
    return writing.written()


@define
class _Whole:
    """A whole stream on its way into a store."""

    store: Store
    check: StreamCheck
    pins: list[Pin] = Factory(list[Pin])
    early: list[StoredBody] = Factory(list[StoredBody])
    facts_count: int = 0

    def take(self, group: _Group) -> None:
        """Write a group, without what is there."""
        self.pins.extend(group.pins)
        head = self.store.head(self.check.stream)
        version = Version(0) if head is None else head.version
        if self.check.line.trim is not None and version <= self.check.line.first:
            self._begin(group)
        facts = [fact for fact in group.facts if fact.record.position >= version]
        self.early.extend(body for body in group.bodies if self._is_later(body, version))
        if facts:
            self._append(facts, group)

    def _is_later(self, body: StoredBody, version: Version) -> bool:
        """Tell whether a body goes with a fact; those that a trim brings are there by then."""
        position = body.ref.position
        return position >= max(version, self.check.line.first) and position != self.check.line.trim

    def _begin(self, group: _Group) -> None:
        """Make a stream whose first facts were trimmed, with what the trim has kept of them."""
        line, stream = self.check.line, self.check.stream
        state = self.check.start
        assert line.trim is not None
        assert not isinstance(state, NotOpened)
        self.store.begin_trimmed(
            Beginning(
                stream=stream,
                version=Version(line.first),
                digest=bytes.fromhex(line.before),
                trim=Position(line.trim),
                at_ms=state.at_ms,
            )
        )
        kept = [body for body in group.bodies if not self._is_later(body, Version(0))]
        self.store.return_facts(
            Return(
                stream=stream,
                records=(),
                bodies=tuple(kept),
                blobs=tuple(group.blobs),
                at_ms=state.at_ms,
            )
        )
        rows, self.check.kept_index = self.check.kept_index, []
        for first in range(0, len(rows), INDEX_ROWS_PER_WRITE):
            self.store.rewrite_index(
                stream,
                version=Version(line.first),
                rows=rows[first : first + INDEX_ROWS_PER_WRITE],
                gone=(),
            )

    def _append(self, facts: list[CheckedFact], group: _Group) -> None:
        stream, last = self.check.stream, facts[-1]
        end = last.record.position + 1
        append = StreamAppend(
            stream=stream,
            expected_version=Version(facts[0].record.position),
            append_id=decode_header(stream, facts[0].record).append_id,
            records=tuple(fact.record for fact in facts),
            bodies=tuple(body for body in self.early if body.ref.position < end),
            index=tuple({row.key: row for fact in facts for row in fact.index}.values()),
            generation=generation(last.state),
            status=status(last.state),
            at_ms=last.at_ms,
            blobs=tuple({blob.address: blob for blob in group.blobs}.values()),
        )
        self.early = [body for body in self.early if body.ref.position >= end]
        result = self.store.as_stored.append((append,))
        if isinstance(result, Unknown):
            raise StoreFailed(where=self.store.where, reason=result.reason)
        if isinstance(result, Conflict):
            raise differs(stream, Position(result.found), "somebody else wrote meanwhile")
        self.facts_count += len(facts)

    def written(self) -> Written:
        """Set the pins that are not there, and say what was written."""
        stream = self.check.stream
        head = self.store.head(stream)
        assert head is not None
        there = self.store.pins(stream)
        missing = [pin for pin in self.pins if pin not in there]
        for pin in missing:
            self.store.pin(stream, pin, head.at_ms)
        return Written(facts_count=self.facts_count, pins_count=len(missing))
