"""
Checking a stored session whole: chain, fold, head row, bodies, index. The verdict names what is
wrong, and where.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lash_es.codec.errors import CorruptBody, StoredDataError, UndecodableValue
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.index import index_rows
from lash_es.core.known import IndexKey
from lash_es.log.appends import IndexRow
from lash_es.log.encoding import (
    Folded,
    encode_index_row,
    generation,
    nothing_folded,
    status,
)
from lash_es.log.loading import Fact, body_refs, load_facts, require_body
from lash_es.log.port import Store, StreamHead
from lash_es.log.sealing_errors import BodySealed

INDEX_ROWS_PER_PAGE: Final = 256


@frozen(kw_only=True)
class Problem:
    """
    Something that is not as it was written.

    ``position`` is the fact concerned, none for an index row.
    """

    check: str
    position: Position | None
    reason: str


@frozen(kw_only=True)
class Verdict:
    """
    What was checked, and what was found. ``digest`` is the last record's, in hexadecimal.

    ``bodies_sealed_count`` bodies could not be checked, since their keys are not there.
    """

    session_id: str
    version: Version
    digest: str
    bodies_count: int
    bodies_bytes: int
    bodies_sealed_count: int
    index_rows_count: int
    problems: tuple[Problem, ...]

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing was found."""
        return not self.problems


def verify_session(store: Store, stream: StreamId) -> Verdict:
    """
    Check everything that is stored of a session.

    A damaged chain ends the check: what follows a damaged fact cannot be trusted. Damaged bodies
    and index rows are all listed. Others may append meanwhile: the index is read between two
    folds, and a row is right if it was at either, or in between.

    Cost: reads every record, body and index row once.
    """
    check = _Check(store, stream)
    if check.facts() and check.read_index() and check.facts():
        check.compare_index()
    return check.verdict()


class _Check:
    """What has been seen so far."""

    def __init__(self, store: Store, stream: StreamId) -> None:
        self._problems: list[Problem] = []
        self._store = store
        self._stream = stream
        self._folded = nothing_folded(stream)
        self._bodies_count = 0
        self._bodies_bytes = 0
        self._bodies_sealed_count = 0
        self._written: list[IndexRow] = []
        self._due: dict[IndexKey, IndexRow] = {}
        self._found: tuple[IndexRow, ...] = ()

    def facts(self) -> bool:
        """Check what was not folded yet, and tell whether the chain holds."""
        head = self._store.head(self._stream)
        try:
            for fact, folded in load_facts(self._store, self._folded):
                self._fact(fact, folded)
                if head is not None and head.version == folded.version:
                    self._head(head, fact)
        except StoredDataError as damage:
            position = damage.fields.get("position")
            at = Position(position) if isinstance(position, int) else None
            self._add("chain", at, damage.summary())
            return False
        return True

    def _fact(self, fact: Fact, folded: Folded) -> None:
        """Note one fact and the index rows that it writes, and check its bodies."""
        rows = index_rows(self._folded.state, fact.event)
        self._written.extend(encode_index_row(key, entry) for key, entry in rows)
        self._folded = folded
        self._bodies(fact)

    def _head(self, head: StreamHead, last: Fact) -> None:
        """Compare what the head row says besides version and digest, which loading compares."""
        state = self._folded.state
        found = (head.generation, head.status, head.at_ms)
        expected = (generation(state), status(state), last.event.at_ms)
        if found != expected:
            reason = f"the head row says {found}, the facts say {expected}"
            self._add("head", last.position, reason)

    def _bodies(self, fact: Fact) -> None:
        for ref in body_refs(fact.header):
            try:
                stored = self._store.read_bodies(self._stream, (ref,)).get(ref)
                body = require_body(fact.header, ref.ordinal, stored)
            except CorruptBody as damage:
                self._add("bodies", fact.position, damage.reason)
            except BodySealed:
                self._bodies_sealed_count += 1
            else:
                self._bodies_count += 1
                self._bodies_bytes += len(body.content)

    def read_index(self) -> bool:
        """Read the whole index, and tell whether it can be read."""
        self._due = {row.key: row for row in self._written}
        self._written.clear()
        try:
            self._found = tuple(self._index_rows())
        except UndecodableValue as damage:
            self._add("index", None, damage.summary())
            return False
        return True

    def compare_index(self) -> None:
        """Compare the index with what was due before it was read, or written while it was."""
        right = {*self._due.values(), *self._written}
        named = {row.key for row in right}
        for key in sorted(self._due.keys() - {row.key for row in self._found}, key=_name):
            self._add("index", None, f"{_name(key)} is missing")
        for row in self._found:
            if row not in right:
                what = "is not what the facts say" if row.key in named else "follows from no fact"
                self._add("index", None, f"{_name(row.key)} {what}")

    def _index_rows(self) -> Iterator[IndexRow]:
        after: IndexKey | None = None
        while page := self._store.read_index_page(self._stream, after, INDEX_ROWS_PER_PAGE):
            yield from page
            after = page[-1].key

    def _add(self, check: str, position: Position | None, reason: str) -> None:
        self._problems.append(Problem(check=check, position=position, reason=reason))

    def verdict(self) -> Verdict:
        """Put it together."""
        return Verdict(
            session_id=self._stream.session_id,
            version=self._folded.version,
            digest=self._folded.digest.hex(),
            bodies_count=self._bodies_count,
            bodies_bytes=self._bodies_bytes,
            bodies_sealed_count=self._bodies_sealed_count,
            index_rows_count=len(self._found),
            problems=tuple(self._problems),
        )


def _name(key: IndexKey) -> str:
    return f"{key.kind.value} {key.key!r}"
