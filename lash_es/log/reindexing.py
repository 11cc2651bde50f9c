"""
The index compared with the facts, and rebuilt from them.

Both fold the stream from its first fact and read the index once, page by page. Others may append
meanwhile: what differs in a page is held against the facts that came since, and rows are rewritten
only at the version up to which the facts were folded.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.core.index import index_rows
from lash_es.core.known import IndexEntry, IndexKey
from lash_es.log.appends import IndexRow
from lash_es.log.encoding import Folded, encode_index_row, nothing_folded
from lash_es.log.errors import StreamBusy
from lash_es.log.loading import Fact, begin, load_facts
from lash_es.log.port import Store
from lash_es.log.trims import KeptHistory

INDEX_ROWS_PER_PAGE: Final = 256
"""How many rows are read at once, and rewritten in one transaction."""

REWRITE_ATTEMPTS_MAX: Final = 64
"""How often rows are rewritten again because somebody appended in between."""


@frozen(kw_only=True)
class IndexReport:
    """What was compared, and what differed: not there, not what the facts say, of no fact."""

    version: Version
    rows_count: int
    missing: tuple[IndexKey, ...]
    wrong: tuple[IndexKey, ...]
    extra: tuple[IndexKey, ...]

    @property
    def different(self) -> tuple[IndexKey, ...]:
        """List every key that differed."""
        return self.missing + self.wrong + self.extra


class IndexFold:
    """
    The index rows that follow from the facts of a stream, as far as they were folded.

    Cost: holds every row of the stream's index in memory.
    """

    def __init__(self, store: Store, stream: StreamId) -> None:
        self.store = store
        self.stream = stream
        self.folded = nothing_folded(stream)
        self.trim: Fact | None = None
        """Where the fold began, if facts were trimmed."""
        self.due: dict[IndexKey, bytes] = {}
        self.fresh: set[IndexRow] = set()
        """What was folded since this was last cleared: a row of it may have been read before."""
        self._in_order: list[IndexKey] = []

    def facts(self) -> Iterator[tuple[Fact, Folded]]:
        """
        Fold what was not folded yet, and hand on each fact with the fold up to it.

        Raises:
            CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
            HistoryTrimmedBelow: it was trimmed meanwhile; a new fold begins at the trim.
        """
        if not self.folded.version:
            self.begin()
        for fact, folded in load_facts(self.store, self.folded, self.trim):
            self._take(index_rows(self.folded.state, fact.event))
            self.folded = folded
            yield fact, folded

    def begin(self) -> Folded:
        """Go to where folding begins; there the index is what a trim has kept of it."""
        begun = begin(self.store, self.stream)
        self.folded, self.trim = begun.folded, begun.trim
        if begun.trim is not None:
            kept = KeptHistory(store=self.store, fact=begun.trim)
            self._take(kept.entries().items())
        return begun.folded

    def _take(self, entries: Iterable[tuple[IndexKey, IndexEntry]]) -> None:
        for key, entry in entries:
            row = encode_index_row(key, entry)
            self.due[key] = row.value
            self.fresh.add(row)

    def catch_up(self) -> None:
        """Fold what was not folded yet."""
        for _ in self.facts():
            pass

    def between(self, after: IndexKey | None, last: IndexKey | None) -> Sequence[IndexKey]:
        """List the keys that are due after one and up to another, in the order of a store."""
        if len(self._in_order) != len(self.due):
            self._in_order = sorted(self.due, key=_order)
        keys = self._in_order
        first = 0 if after is None else bisect_right(keys, _order(after), key=_order)
        end = len(keys) if last is None else bisect_right(keys, _order(last), key=_order)
        return keys[first:end]


def compare_index(store: Store, stream: StreamId) -> IndexReport:
    """
    Compare a stream's index with its facts, and write nothing.

    Raises:
        CorruptHistory, WrittenByNewerVersion: the facts cannot be folded.
        UndecodableValue: a row is of a kind that is not known here.
    """
    index = IndexFold(store, stream)
    index.catch_up()
    return compared(index, index.catch_up)


def rebuild_index(store: Store, stream: StreamId) -> IndexReport:
    """
    Make a stream's index what its facts say, and return what differed before.

    Only what differs is written, some rows in a transaction: whoever reads meanwhile misses no
    row that is right. What was written is right also if an error ends it.

    Raises:
        StreamBusy: others append faster than rows can be rewritten.
        As ``compare_index``.
    """
    index = IndexFold(store, stream)
    index.catch_up()
    report = compared(index, index.catch_up)
    for first in range(0, len(report.different), INDEX_ROWS_PER_PAGE):
        _rewrite(index, report.different[first : first + INDEX_ROWS_PER_PAGE])
    return report


def compared(index: IndexFold, catch_up: Callable[[], object]) -> IndexReport:
    """Compare the stored index with one that is folded; ``catch_up`` folds what came since."""
    missing: list[IndexKey] = []
    wrong: list[IndexKey] = []
    extra: list[IndexKey] = []
    rows_count = 0
    index.fresh.clear()
    for after, page, last in _pages(index.store, index.stream):
        rows_count += len(page)
        there = {row.key for row in page}
        missing.extend(key for key in index.between(after, last) if key not in there)
        doubtful = [row for row in page if index.due.get(row.key) != row.value]
        if doubtful:
            catch_up()
        for row in doubtful:
            if index.due.get(row.key) != row.value and row not in index.fresh:
                (wrong if row.key in index.due else extra).append(row.key)
    return IndexReport(
        version=index.folded.version,
        rows_count=rows_count,
        missing=tuple(missing),
        wrong=tuple(wrong),
        extra=tuple(extra),
    )


def _pages(
    store: Store, stream: StreamId
) -> Iterator[tuple[IndexKey | None, tuple[IndexRow, ...], IndexKey | None]]:
    """Read the index: each page with the key before it and its last one, none at either end."""
    after: IndexKey | None = None
    while True:
        page = store.read_index_page(stream, after, INDEX_ROWS_PER_PAGE)
        is_last = len(page) < INDEX_ROWS_PER_PAGE
        last = None if is_last else page[-1].key
        yield after, page, last
        if is_last:
            return
        after = last


def _rewrite(index: IndexFold, keys: Sequence[IndexKey]) -> None:
    """Write what the facts say of these keys, at a version at which they are all folded."""
    for _ in range(REWRITE_ATTEMPTS_MAX):
        rows = [IndexRow(key=key, value=index.due[key]) for key in keys if key in index.due]
        gone = [key for key in keys if key not in index.due]
        version = index.folded.version
        if index.store.rewrite_index(index.stream, version=version, rows=rows, gone=gone):
            return
        index.catch_up()
    raise StreamBusy(session_id=index.stream.session_id, attempts=REWRITE_ATTEMPTS_MAX)


def _order(key: IndexKey) -> tuple[str, str]:
    return (key.kind.value, key.key)
