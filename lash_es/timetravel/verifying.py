"""
Checking a stored session whole: chain, fold, head row, bodies, index. The verdict names what is
wrong, and where.
"""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from lash_es.codec.errors import CorruptBody, StoredDataError
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.index import index_rows
from lash_es.core.known import IndexKey
from lash_es.log.appends import IndexRow
from lash_es.log.encoding import Folded, encode_index_row, nothing_folded
from lash_es.log.loading import Fact, body_refs, load_facts, require_body
from lash_es.log.port import Store

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
    """What was checked, and what was found. ``digest`` is the last record's, in hexadecimal."""

    session_id: str
    version: Version
    digest: str
    bodies_count: int
    bodies_bytes: int
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
    and index rows are all listed.

    Cost: reads every record, body and index row once.
    """
    check = _Check(store, stream)
    try:
        for fact, folded in load_facts(store, nothing_folded(stream)):
            check.fact(fact, folded)
    except StoredDataError as damage:
        position = damage.fields.get("position")
        check.problems.append(
            Problem(
                check="chain",
                position=Position(position) if isinstance(position, int) else None,
                reason=damage.summary(),
            )
        )
    else:
        check.index()
    return check.verdict()


class _Check:
    """What has been seen so far."""

    def __init__(self, store: Store, stream: StreamId) -> None:
        self.problems: list[Problem] = []
        self._store = store
        self._stream = stream
        self._folded = nothing_folded(stream)
        self._bodies_count = 0
        self._bodies_bytes = 0
        self._rows: dict[IndexKey, IndexRow] = {}
        self._rows_count = 0

    def fact(self, fact: Fact, folded: Folded) -> None:
        """Note one fact and what its index rows must be, and check its bodies."""
        for key, entry in index_rows(self._folded.state, fact.event):
            self._rows[key] = encode_index_row(key, entry)
        self._folded = folded
        self._bodies(fact)

    def _bodies(self, fact: Fact) -> None:
        refs = body_refs(fact.header)
        stored = self._store.read_bodies(self._stream, refs)
        for ref in refs:
            try:
                body = require_body(fact.header, ref.ordinal, stored.get(ref))
            except CorruptBody as damage:
                self._add("bodies", fact.position, damage.reason)
            else:
                self._bodies_count += 1
                self._bodies_bytes += len(body.content)

    def index(self) -> None:
        """Compare the index with the fold of the facts."""
        found = {row.key: row for row in self._index_rows()}
        self._rows_count = len(found)
        for key, row in self._rows.items():
            if key not in found:
                self._add("index", None, f"{key.kind.value} {key.key!r} is missing")
            elif found[key].value != row.value:
                self._add("index", None, f"{key.kind.value} {key.key!r} is not what the facts say")
        for key in found.keys() - self._rows.keys():
            self._add("index", None, f"{key.kind.value} {key.key!r} follows from no fact")

    def _index_rows(self) -> Iterator[IndexRow]:
        after: IndexKey | None = None
        while page := self._store.read_index_page(self._stream, after, INDEX_ROWS_PER_PAGE):
            yield from page
            after = page[-1].key

    def _add(self, check: str, position: Position | None, reason: str) -> None:
        self.problems.append(Problem(check=check, position=position, reason=reason))

    def verdict(self) -> Verdict:
        """Put it together."""
        return Verdict(
            session_id=self._stream.session_id,
            version=self._folded.version,
            digest=self._folded.digest.hex(),
            bodies_count=self._bodies_count,
            bodies_bytes=self._bodies_bytes,
            index_rows_count=self._rows_count,
            problems=tuple(self.problems),
        )
