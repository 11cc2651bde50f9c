"""
Goal: a fork reads as its parent did at that version, by itself, on every store that keeps bodies.

Method: the tape, forked at places of it on memory and on SQLite; and calls that are cut off.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import attrs
import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.commit_errors import BusyWithTurn
from lash_es.core.errors import BlankValue, HistoryTrimmedBelow, SessionDeleted
from lash_es.core.forks import inherited
from lash_es.core.ids import AppendId, SessionId, Version
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.state import Open
from lash_es.log.appends import AppendResult, Conflict, StreamAppend, Unknown
from lash_es.log.archiving import export_streams
from lash_es.log.contents import read_contents, read_nodes
from lash_es.log.encoding import encode_append
from lash_es.log.errors import StoreFailed, VersionOutOfRange
from lash_es.log.forking import Forked, Forking, SessionExists
from lash_es.log.formats import FormatTooOld
from lash_es.log.loading import load, refold
from lash_es.log.port import Store
from lash_es.log.reindexing import compare_index
from lash_es.log.restoring import restore
from lash_es.log.retaining import RecordFormats
from lash_es.log.snapshotting import load_as_of
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.turns.transcript import content_kinds
from tests.log.sealed_stores import sealed
from tests.log.tapes import STREAM, Player, play, said
from tests.log.test_snapshots import further
from tests.log.trims import lived, over, trimming

CHILD = StreamId("default", SessionId("forked"))
COMMITTED = 22
"""How many facts the tape has after its commit."""


def forking(store: Store) -> Forking:
    tokens, salts = count(), count(1)
    return Forking(
        store=store,
        now_ms=lambda: 5_000,
        token=lambda: f"fork-{next(tokens)}",
        salt=lambda: next(salts).to_bytes(16, "big"),
    )


@pytest.fixture(params=["memory", "sqlite", "sealed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        made: Store = MemoryStore()
    else:
        made = SQLiteStore.open(tmp_path / "a.db", create=True)
    if request.param == "sealed":
        made = sealed(made, "all", tmp_path / "blobs")
    yield made
    made.close()


def transcript(store: Store, stream: StreamId) -> object:
    state = load(store, stream).state
    assert isinstance(state, Open)
    nodes = read_nodes(store, stream, state.head.leaf)
    kinds = {ref: kind for node in nodes for ref, kind in content_kinds(node).items()}
    return nodes, read_contents(store, stream, kinds)


def test_a_fork_says_what_its_parent_said(store: Store) -> None:
    lived(store)
    forked = forking(store).fork(STREAM, COMMITTED, CHILD)

    assert forked == Forked(stream=CHILD, version=Version(COMMITTED), bodies_count=5)
    assert transcript(store, CHILD) == transcript(store, STREAM)
    found = load(store, CHILD)
    parent = load_as_of(store, STREAM, COMMITTED)
    assert found == refold(store, CHILD)
    assert isinstance(found.state, Open)
    assert isinstance(parent.state, Open)
    begun = attrs.evolve(
        found.state,
        version=parent.version,
        at_ms=parent.state.at_ms,
        opened_at_ms=parent.state.opened_at_ms,
        trim=None,
    )
    assert begun == inherited(parent.state, CHILD.session_id)
    report = compare_index(store, CHILD)
    assert (report.missing, report.wrong, report.extra) == ((), (), ())


def test_what_waits_is_free_in_a_fork_and_its_turns_are_known(store: Store) -> None:
    lived(store)
    forking(store).fork(STREAM, COMMITTED, CHILD)
    keys = [IndexKey(IndexKind.SOURCE_KEY, "mail/1"), IndexKey(IndexKind.TURN, "t1")]

    assert [*store.read_index(STREAM, keys)] == keys
    assert [*store.read_index(CHILD, keys)] == keys[1:]


def test_a_fork_goes_on_and_its_parent_does_not_notice(store: Store) -> None:
    player = over(store)
    before = load(store, STREAM)
    forking(store).fork(STREAM, COMMITTED, CHILD)
    child = Player(store, CHILD)
    child.folded = load(store, CHILD)
    append, after = encode_append(
        child.folded, further(child.folded, 1), (said("again and again"),), AppendId("next")
    )
    store.append((append,))

    assert load(store, CHILD).version == after.version == COMMITTED + 2
    assert load(store, STREAM) == before == player.folded


def test_a_fork_can_be_forked_trimmed_archived_and_brought_back(tmp_path: Path) -> None:
    store = SQLiteStore.open(tmp_path / "a.db", create=True)
    lived(store)
    forking(store).fork(STREAM, COMMITTED, CHILD)
    again = StreamId("default", SessionId("again"))
    forking(store).fork(CHILD, COMMITTED + 1, again)
    said_once = transcript(store, STREAM)
    assert transcript(store, again) == said_once

    export_streams(store, (CHILD, again), tmp_path / "forks.jsonl.gz")
    other = SQLiteStore.open(tmp_path / "b.db", create=True)
    restore(other, tmp_path / "forks.jsonl.gz")
    for stream in (CHILD, again):
        assert load(other, stream) == load(store, stream)
        assert transcript(other, stream) == said_once
    trimming(other).trim(CHILD, Version(COMMITTED + 1))
    assert transcript(other, CHILD) == said_once
    store.close()
    other.close()


def test_a_trimmed_parent_is_forked_from_what_is_kept() -> None:
    store = MemoryStore()
    over(store)
    trimming(store).trim(STREAM, Version(9))
    expected = transcript(store, STREAM)
    forking(store).fork(STREAM, COMMITTED, CHILD)

    assert transcript(store, CHILD) == expected
    with pytest.raises(HistoryTrimmedBelow):
        forking(store).fork(STREAM, 8, StreamId("default", SessionId("too early")))


def test_what_was_erased_in_the_parent_is_not_in_the_fork() -> None:
    store = MemoryStore()
    lived(store)
    bodies = store._streams[STREAM.key].bodies
    (ref, *_) = bodies
    del bodies[ref]

    assert forking(store).fork(STREAM, COMMITTED, CHILD).bodies_count == 4


# What is refused


def test_an_id_is_used_once() -> None:
    store = MemoryStore()
    lived(store)
    forking(store).fork(STREAM, COMMITTED, CHILD)
    with pytest.raises(SessionExists, match="to session 'forked': it exists already"):
        forking(store).fork(STREAM, COMMITTED, CHILD)
    with pytest.raises(SessionExists):
        forking(store).fork(CHILD, COMMITTED + 1, STREAM)
    gone = StreamId("default", SessionId("gone"))
    play(store, gone)
    with pytest.raises(SessionDeleted):
        forking(store).fork(STREAM, COMMITTED, gone)


def test_where_it_cannot_be_forked_nothing_is_written() -> None:
    store = MemoryStore()
    lived(store)
    for version, error in ((12, BusyWithTurn), (99, VersionOutOfRange)):
        with pytest.raises(error):
            forking(store).fork(STREAM, version, CHILD)
    with pytest.raises(BlankValue):
        forking(store).fork(STREAM, COMMITTED, StreamId("default", SessionId(" ")))
    assert store.head(CHILD) is None


class Older(MemoryStore):
    def record_formats(self) -> RecordFormats:
        return RecordFormats(reads_from=1, writes=1)


def test_a_database_of_an_older_format_is_to_be_upgraded_first() -> None:
    store = Older()
    lived(store)
    with pytest.raises(FormatTooOld):
        forking(store).fork(STREAM, COMMITTED, CHILD)


# Calls that are cut off

Answer = Callable[[MemoryStore, Sequence[StreamAppend]], AppendResult]


class Answering(MemoryStore):
    """Answers the fork's append as it is told to."""

    answer: Answer | None = None

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        if self.answer is None or appends[0].stream != CHILD:
            return super().append(appends)
        answer, self.answer = self.answer, None
        return answer(self, appends)


def lost_after(store: MemoryStore, appends: Sequence[StreamAppend]) -> AppendResult:
    store.append(appends)
    return Unknown(reason="the line was cut")


def lost_before(_: MemoryStore, __: Sequence[StreamAppend]) -> AppendResult:
    return Unknown(reason="the line was cut")


def faster(_: MemoryStore, appends: Sequence[StreamAppend]) -> AppendResult:
    return Conflict(stream=CHILD, expected=appends[0].expected_version, found=Version(99))


def test_a_fork_whose_answer_was_lost_is_there() -> None:
    store = Answering()
    lived(store)
    store.answer = lost_after

    assert forking(store).fork(STREAM, COMMITTED, CHILD).bodies_count == 5
    assert transcript(store, CHILD) == transcript(store, STREAM)


def test_a_fork_that_was_cut_off_is_made_again_from_the_same_place_only() -> None:
    store = Answering()
    lived(store)
    store.answer = lost_before
    with pytest.raises(StoreFailed, match="the line was cut"):
        forking(store).fork(STREAM, COMMITTED, CHILD)
    head = store.head(CHILD)
    assert head is not None
    assert (head.status, head.version, head.oldest) == ("arriving", COMMITTED, COMMITTED)
    with pytest.raises(SessionExists):
        forking(store).fork(STREAM, COMMITTED + 1, CHILD)
    forking(store).fork(STREAM, COMMITTED, CHILD)

    assert transcript(store, CHILD) == transcript(store, STREAM)


def test_of_two_forks_to_one_id_one_is_told() -> None:
    store = Answering()
    lived(store)
    store.answer = faster
    with pytest.raises(SessionExists):
        forking(store).fork(STREAM, COMMITTED, CHILD)
