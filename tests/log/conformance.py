"""
What any store owes, clause by clause; a clause is a function of a factory of empty stores.

Records here are opaque bytes: a store knows no rule of a session. What needs real facts plays the
tape.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from lash_es.codec.errors import UnencodableValue
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import AppendId, Generation, Position, SessionId, Version
from lash_es.core.index import index_rows
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.state import NOT_OPENED, State
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import (
    Activity,
    ActivityAppended,
    ActivityRefused,
    Appended,
    Conflict,
    IndexRow,
    StoredBody,
    StoredSnapshot,
    StreamAppend,
)
from lash_es.log.encoding import encode_index_row
from lash_es.log.errors import MalformedAppend, RepeatedStream, StorageError, StoreClosed
from lash_es.log.loading import load, read_facts, step
from lash_es.log.port import Store, StreamHead
from tests.codec import golden_graph, golden_work
from tests.log.tapes import STREAM, play

MakeStore: TypeAlias = Callable[[], Store]
Clause: TypeAlias = Callable[[MakeStore], None]
_E = TypeVar("_E", bound=Exception)

A, B, C, D = (StreamId("default", SessionId(session_id)) for session_id in "abcd")
HOSTILE_IDS = (
    "../weird/session",
    "weird/session",
    "/",
    "a%b_c",
    "a%2fb",
    "%00",
    "\x00",
    "a\x00b",
    "a\x00c",
    "tab\tnewline\nescape\x1b[2J",
    "\x9b31m",
    " ",
    "A",
    "a",
    "a ",
    "\u00e9",
    "e\u0301",
    "\U0001f642" * 3,
    "'; DROP TABLE stored_events; --",
    "x" * 300,
)


def refused(kind: type[_E], act: Callable[[], object]) -> _E:
    """Return the error that is due, or fail."""
    try:
        found = act()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, found {found!r}")


def record(position: int, text: str = "") -> Record:
    """Make an opaque record."""
    return Record(
        position=Position(position),
        name=f"name-{position}",
        digest=position.to_bytes(32, "big"),
        header=f"header {position} {text} \x00 \u00e9".encode(),
    )


def stored_body(position: int, text: str, ordinal: int = 0) -> StoredBody:
    """Make a body."""
    ref = BodyRef(position=Position(position), ordinal=ordinal)
    return StoredBody(ref=ref, media_type="m", salt=b"salt", content=text.encode())


def row(key: str, value: str, kind: IndexKind = IndexKind.TURN) -> IndexRow:
    """Make an index row."""
    return IndexRow(key=IndexKey(kind, key), value=value.encode())


def an_append(
    stream: StreamId,
    expected: int,
    count: int = 1,
    *,
    text: str = "",
    generation: int = 1,
    bodies: tuple[StoredBody, ...] = (),
    index: tuple[IndexRow, ...] = (),
    is_after_loss: bool = False,
    snapshot: StoredSnapshot | None = None,
) -> StreamAppend:
    """Make an append of opaque records."""
    return StreamAppend(
        stream=stream,
        expected_version=Version(expected),
        append_id=AppendId("append"),
        records=tuple(record(expected + offset, text) for offset in range(count)),
        bodies=bodies,
        index=index,
        generation=Generation(generation),
        status="open",
        at_ms=1_000 + expected,
        is_after_loss=is_after_loss,
        snapshot=snapshot,
    )


def head_after(append: StreamAppend, activity_seq: int = 0) -> StreamHead:
    """Say what the head row must be."""
    return StreamHead(
        stream=append.stream,
        version=Version(append.expected_version + len(append.records)),
        digest=append.records[-1].digest,
        generation=append.generation,
        status=append.status,
        at_ms=append.at_ms,
        activity_seq=activity_seq,
    )


def everything(store: Store, stream: StreamId) -> tuple[object, ...]:
    """Read all that a store has of a stream."""
    refs = [BodyRef(position=Position(p), ordinal=o) for p in range(50) for o in range(3)]
    return (
        store.head(stream),
        store.read(stream, Position(0), 1_000),
        dict(store.read_bodies(stream, refs)),
        store.read_index_page(stream, None, 1_000),
        store.read_activity(stream, after=(Version(0), 0), activities_max=1_000),
        snapshots_of(store, stream),
    )


NOTHING: tuple[object, ...] = (None, (), {}, (), (), ())


def snapshots_of(
    store: Store, stream: StreamId, newest: int = 2**64
) -> tuple[StoredSnapshot, ...]:
    """Read every snapshot, the newest first."""
    found: list[StoredSnapshot] = []
    while (stored := store.read_snapshot(stream, Version(newest))) is not None:
        assert stored.version <= newest
        found.append(stored)
        newest = stored.version - 1
    return tuple(found)


def a_snapshot(version: int, text: str = "", *, is_kept: bool = False) -> StoredSnapshot:
    """Make an opaque snapshot."""
    return StoredSnapshot(
        version=Version(version),
        fingerprint=f"fingerprint {text}",
        digest=version.to_bytes(32, "big"),
        content=f"content {version} {text} \x00 \u00e9".encode(),
        is_kept=is_kept,
    )


def add_activity(
    store: Store,
    version: int,
    *payloads: bytes,
    generation: int = 1,
    stream: StreamId = A,
    at_ms: int = 5,
    is_after_loss: bool = False,
    window: ActivityWindow | None = None,
) -> object:
    """Append activity."""
    return store.append_activity(
        NewActivity(
            stream=stream,
            version=Version(version),
            generation=Generation(generation),
            payloads=payloads,
            at_ms=at_ms,
            is_after_loss=is_after_loss,
            window=window,
        )
    )


def activity_of(
    store: Store, after: tuple[int, int] = (0, 0), most: int = 99
) -> Sequence[Activity]:
    """Read activity of stream A."""
    return store.read_activity(A, after=(Version(after[0]), after[1]), activities_max=most)


# Facts


def a_new_store_holds_nothing(make_store: MakeStore) -> None:
    store = make_store()

    assert everything(store, A) == NOTHING
    assert store.heads("default", after="", heads_max=10) == ()
    assert store.where


def an_append_is_read_back_byte_for_byte(make_store: MakeStore) -> None:
    store = make_store()
    first, second = an_append(A, 0, 3), an_append(A, 3, 2, text="more")

    assert store.append([first]) == Appended(versions=(Version(3),))
    assert store.head(A) == head_after(first)
    assert store.append([second]) == Appended(versions=(Version(5),))
    assert store.head(A) == head_after(second)
    assert store.read(A, Position(0), 100) == first.records + second.records
    assert everything(store, B) == NOTHING


def records_are_read_in_pages(make_store: MakeStore) -> None:
    store = make_store()
    append = an_append(A, 0, 7)
    store.append([append])

    assert store.read(A, Position(0), 3) == append.records[:3]
    assert store.read(A, Position(3), 3) == append.records[3:6]
    assert store.read(A, Position(6), 3) == append.records[6:]
    assert store.read(A, Position(7), 3) == ()
    assert store.read(A, Position(2**64), 3) == ()


def another_version_than_expected_is_a_conflict(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 2)])
    before = everything(store, A)

    for stream, expected, found in ((A, 0, 2), (A, 1, 2), (A, 3, 2), (B, 1, 0)):
        late = an_append(
            stream, expected, bodies=(stored_body(expected, "x"),), index=(row("k", "v"),)
        )
        conflict = Conflict(stream=stream, expected=Version(expected), found=Version(found))
        assert store.append([late]) == conflict
        assert everything(store, A) == before
        assert everything(store, B) == NOTHING


def appends_to_several_streams_are_all_or_nothing(make_store: MakeStore) -> None:
    store = make_store()
    both = [an_append(A, 0, 2, index=(row("k", "v"),)), an_append(B, 0, 1)]

    assert store.append(both) == Appended(versions=(Version(2), Version(1)))
    before = everything(store, A), everything(store, B)
    for second in (an_append(A, 2), an_append(B, 0)), (an_append(B, 1), an_append(A, 1)):
        assert isinstance(store.append(second), Conflict)
        assert (everything(store, A), everything(store, B)) == before


def a_gap_is_refused(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 2)])
    before = everything(store, A)

    for positions in ((3,), (1,), (2, 4), (2, 2), (3, 2), ()):
        gap = StreamAppend(
            stream=A,
            expected_version=Version(2),
            append_id=AppendId("append"),
            records=tuple(record(position) for position in positions),
            bodies=(),
            index=(),
            generation=Generation(1),
            status="open",
            at_ms=1,
        )
        error = refused(MalformedAppend, partial(store.append, [an_append(B, 0), gap]))
        assert error.positions == positions
        assert everything(store, A) == before
        assert everything(store, B) == NOTHING


def two_appends_to_one_stream_in_one_call_are_refused(make_store: MakeStore) -> None:
    store = make_store()

    error = refused(RepeatedStream, lambda: store.append([an_append(A, 0), an_append(A, 1)]))
    assert error.session_id == "a"
    assert everything(store, A) == NOTHING


# Groups


def a_conflict_fails_only_its_own_batch_of_a_group(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 2), an_append(B, 0, 3)])
    before = everything(store, B)
    lost = [
        an_append(C, 0),
        an_append(B, 2, bodies=(stored_body(2, "x"),), index=(row("k", "v"),)),
    ]
    won = [an_append(A, 2, bodies=(stored_body(2, "y"),), index=(row("k", "w"),))]

    assert store.append_each([won, lost, [an_append(D, 0, 2)], []]) == (
        Appended(versions=(Version(3),)),
        Conflict(stream=B, expected=Version(2), found=Version(3)),
        Appended(versions=(Version(2),)),
        Appended(versions=()),
    )
    assert everything(store, B) == before
    assert everything(store, C) == NOTHING
    assert everything(store, A)[0] == head_after(won[0])
    assert everything(store, A)[2:4] == ({won[0].bodies[0].ref: won[0].bodies[0]}, won[0].index)
    assert everything(store, D)[:2] == (head_after(an_append(D, 0, 2)), an_append(D, 0, 2).records)
    assert store.append_each([]) == ()


def batches_of_a_group_that_share_a_stream_take_turns(make_store: MakeStore) -> None:
    store = make_store()
    second = an_append(A, 1, 2, text="second", index=(row("k", "2"),))

    assert store.append_each(
        [
            [an_append(A, 0, index=(row("k", "1"),))],
            [an_append(A, 0, text="late"), an_append(B, 0)],
            [second, an_append(B, 0, text="theirs")],
            [an_append(A, 1, text="late")],
        ]
    ) == (
        Appended(versions=(Version(1),)),
        Conflict(stream=A, expected=Version(0), found=Version(1)),
        Appended(versions=(Version(3), Version(1))),
        Conflict(stream=A, expected=Version(1), found=Version(3)),
    )
    assert store.head(A) == head_after(second)
    assert store.read(A, Position(0), 9) == an_append(A, 0).records + second.records
    assert store.read(B, Position(0), 9) == an_append(B, 0, text="theirs").records
    assert store.read_index_page(A, None, 9) == second.index


def a_group_with_a_batch_that_cannot_be_writes_nothing(make_store: MakeStore) -> None:
    store = make_store()
    gap = StreamAppend(
        stream=B,
        expected_version=Version(0),
        append_id=AppendId("append"),
        records=(record(1),),
        bodies=(),
        index=(),
        generation=Generation(1),
        status="open",
        at_ms=1,
    )

    refused(MalformedAppend, lambda: store.append_each([[an_append(A, 0)], [gap]]))
    twice = [an_append(B, 0), an_append(B, 1)]
    refused(RepeatedStream, lambda: store.append_each([[an_append(A, 0)], twice]))
    assert everything(store, A) == everything(store, B) == NOTHING


def what_was_done_is_counted(make_store: MakeStore) -> None:
    store = make_store()
    assert store.statistics().appends == store.statistics().bytes_written == 0
    store.append([an_append(A, 0, 2), an_append(B, 0)])
    store.append_each([[an_append(A, 2)], [an_append(B, 0)], [an_append(B, 1)]])
    add_activity(store, 3, b"12345", b"67")
    add_activity(store, 9, b"refused")
    found = store.statistics()

    assert (found.appends, found.conflicts, found.unknowns) == (3, 1, 0)
    assert (found.facts, found.activities) == (5, 2)
    assert found.commits == 3
    records = [*an_append(A, 0, 3).records, *an_append(B, 0, 2).records]
    assert found.bytes_written == sum(len(each.stored) for each in records) + 7


# Bodies and index


def bodies_are_read_by_reference(make_store: MakeStore) -> None:
    store = make_store()
    first, second, empty = stored_body(0, "one"), stored_body(0, "two", 1), stored_body(1, "")
    store.append([an_append(A, 0, 2, bodies=(first, second, empty))])
    other = stored_body(0, "another stream's")
    store.append([an_append(B, 0, bodies=(other,))])
    missing = BodyRef(position=Position(9), ordinal=0)

    wanted = [empty.ref, missing, second.ref]
    assert dict(store.read_bodies(A, wanted)) == {empty.ref: empty, second.ref: second}
    assert dict(store.read_bodies(B, [first.ref, empty.ref])) == {other.ref: other}
    assert dict(store.read_bodies(A, [])) == {}


def many_bodies_are_read_at_once(make_store: MakeStore) -> None:
    store = make_store()
    bodies = tuple(stored_body(0, f"body {ordinal}", ordinal) for ordinal in range(300))
    store.append([an_append(A, 0, bodies=bodies)])
    wanted = [body.ref for body in bodies]
    nowhere = stored_body(1, "").ref

    found = store.read_bodies(A, [nowhere, *wanted, wanted[0]])
    assert dict(found) == {body.ref: body for body in bodies}


def a_later_index_row_replaces_an_earlier_one(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, index=(row("k", "1"), row("l", "1")))])
    store.append([an_append(A, 1, index=(row("k", "2"), row("k", "i", IndexKind.INPUT)))])
    store.append([an_append(B, 0, index=(row("k", "b"),))])
    keys = [IndexKey(IndexKind.TURN, key) for key in ("k", "l", "m")]

    assert dict(store.read_index(A, keys)) == {keys[0]: b"2", keys[1]: b"1"}
    assert dict(store.read_index(B, keys)) == {keys[0]: b"b"}
    assert dict(store.read_index(A, [])) == {}


def the_index_is_read_in_pages_ordered_by_kind_and_key(make_store: MakeStore) -> None:
    store = make_store()
    keys = ("b", "a", "\U0001f642", "\uffff", "", "a\x00", "a\x00b", "B")
    rows = [row(key, key, kind) for kind in IndexKind for key in keys]
    store.append([an_append(A, 0, index=tuple(rows))])
    store.append([an_append(B, 0, index=(row("other", "other"),))])
    pages: list[IndexRow] = []
    after: IndexKey | None = None
    while page := store.read_index_page(A, after, 5):
        assert len(page) <= 5
        pages.extend(page)
        after = page[-1].key

    # Source keys and inputs may hold anything but the empty text; what was there is read.
    expected = sorted(rows, key=lambda each: (each.key.kind.value, each.key.key))
    assert pages == expected


def a_key_that_is_no_text_is_refused(make_store: MakeStore) -> None:
    store = make_store()
    key = IndexKey(IndexKind.SOURCE_KEY, "lone \ud800")

    refused(UnencodableValue, lambda: store.read_index(A, [key]))
    bad = an_append(A, 0, index=(row("good", "v"), row("lone \udfff", "v")))
    refused(UnencodableValue, lambda: store.append([an_append(B, 0), bad]))
    assert everything(store, A) == everything(store, B) == NOTHING
    refused(UnencodableValue, lambda: StreamId("default", SessionId("lone \ud800")))


# Heads


def heads_are_listed_by_namespace_and_key(make_store: MakeStore) -> None:
    store = make_store()
    names = ("one", "two", "three", "0", "\U0001f642", "a\x00")
    namespaces = ("n", "n-1", "n0", "m", "nn")
    appends = [an_append(StreamId(ns, SessionId(n)), 0) for ns in namespaces for n in names]
    store.append(appends)
    mine = sorted((a for a in appends if a.stream.namespace == "n"), key=lambda a: a.stream.key)

    assert store.heads("n", after="", heads_max=99) == tuple(map(head_after, mine))
    assert store.heads("n", after="", heads_max=2) == tuple(map(head_after, mine[:2]))
    later = store.heads("n", after=mine[1].stream.key, heads_max=2)
    assert later == tuple(map(head_after, mine[2:4]))
    assert store.heads("n", after=mine[-1].stream.key, heads_max=9) == ()
    assert store.heads("unknown", after="", heads_max=9) == ()


def hostile_ids_name_streams_of_their_own(make_store: MakeStore) -> None:
    store = make_store()
    streams = [StreamId(ns, SessionId(i)) for ns in ("n", "m") for i in HOSTILE_IDS]
    for number, stream in enumerate(streams):
        text = str(number)
        append = an_append(
            stream,
            0,
            1 + number % 2,
            text=text,
            bodies=(stored_body(0, text),),
            index=(row("k", text),),
        )
        assert store.append([append]) == Appended(versions=(append.version,))
    for number, stream in enumerate(streams):
        text = str(number)
        again = an_append(stream, 1 + number % 2, text=text)
        assert store.append([again]) == Appended(versions=(again.version,))
        first = an_append(stream, 0, 1 + number % 2, text=text).records
        assert everything(store, stream) == (
            head_after(again),
            first + again.records,
            {stored_body(0, text).ref: stored_body(0, text)},
            (row("k", text),),
            (),
            (),
        )
    listed = [head.stream for head in store.heads("m", after="", heads_max=999)]
    assert sorted(listed, key=str) == sorted(streams[len(HOSTILE_IDS) :], key=str)


# Activity


def activity_is_numbered_after_each_fact(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0)])

    assert add_activity(store, 1, b"x", b"y") == ActivityAppended(version=Version(1), seq=2)
    assert add_activity(store, 1, b"z") == ActivityAppended(version=Version(1), seq=3)
    assert store.head(A) == head_after(an_append(A, 0), activity_seq=3)
    store.append([an_append(A, 1)])
    assert store.head(A) == head_after(an_append(A, 1), activity_seq=0)
    assert add_activity(store, 2, b"w") == ActivityAppended(version=Version(2), seq=1)
    found = [(each.version, each.seq, each.at_ms, each.payload) for each in activity_of(store)]
    assert found == [(1, 1, 5, b"x"), (1, 2, 5, b"y"), (1, 3, 5, b"z"), (2, 1, 5, b"w")]


def activity_of_another_version_or_generation_is_refused(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 2, generation=4)])
    store.append([an_append(B, 0)])
    is_now = ActivityRefused(version=Version(2), generation=Generation(4))

    assert add_activity(store, 1, b"x", generation=4) == is_now
    assert add_activity(store, 3, b"x", generation=4) == is_now
    assert add_activity(store, 2, b"x", generation=3) == is_now
    assert add_activity(store, 2, b"x", generation=5) == is_now
    unknown = StreamId("default", SessionId("unknown"))
    nothing = ActivityRefused(version=Version(0), generation=Generation(0))
    assert add_activity(store, 0, b"x", generation=0, stream=unknown) == nothing
    assert activity_of(store) == ()
    assert store.head(A) == head_after(an_append(A, 0, 2, generation=4))


def activity_is_read_after_a_place_in_pages(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0), an_append(B, 0)])
    add_activity(store, 1, b"1", b"2", b"3")
    add_activity(store, 1, b"another stream's", stream=B)
    store.append([an_append(A, 1)])
    add_activity(store, 2, b"4", b"5")

    assert [each.payload for each in activity_of(store, (1, 1), 3)] == [b"2", b"3", b"4"]
    assert [each.payload for each in activity_of(store, (1, 99))] == [b"4", b"5"]
    assert [each.payload for each in activity_of(store, (2, 2))] == []
    assert activity_of(store, (2**64, 2**64)) == ()


def no_activity_is_activity_of_nothing(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0)])
    add_activity(store, 1, b"x")

    assert add_activity(store, 1) == ActivityAppended(version=Version(1), seq=1)
    assert len(activity_of(store)) == 1


# Snapshots


def append_with_snapshots(store: Store, stream: StreamId, *versions: int) -> None:
    """Append a fact at a time up to each version, the last of them with a snapshot."""
    head = store.head(stream)
    start = 0 if head is None else head.version
    for version in versions:
        made = a_snapshot(version, stream.key)
        append = an_append(stream, start, version - start, snapshot=made)
        assert store.append([append]) == Appended(versions=(Version(version),))
        start = version


def a_snapshot_comes_with_its_facts_and_the_two_newest_stay(make_store: MakeStore) -> None:
    store = make_store()
    append_with_snapshots(store, B, 2)
    expected: list[StoredSnapshot] = []
    for version in (1, 2, 7, 9):
        append_with_snapshots(store, A, version)
        expected.insert(0, a_snapshot(version, A.key))
        assert snapshots_of(store, A) == tuple(expected[:2])
    both = an_append(A, 9, 40, snapshot=a_snapshot(49)), an_append(B, 2, snapshot=a_snapshot(3))
    assert store.append(both) == Appended(versions=(Version(49), Version(3)))

    assert snapshots_of(store, A) == (a_snapshot(49), a_snapshot(9, A.key))
    assert snapshots_of(store, B) == (a_snapshot(3), a_snapshot(2, B.key))
    late = an_append(A, 48, snapshot=a_snapshot(49, "late"))
    assert isinstance(store.append([late]), Conflict)
    store.append([an_append(A, 49, 2)])
    assert snapshots_of(store, A) == (a_snapshot(49), a_snapshot(9, A.key))


def the_newest_snapshot_up_to_a_version_is_read(make_store: MakeStore) -> None:
    store = make_store()
    append_with_snapshots(store, A, 3, 5)
    older, newer = a_snapshot(3, A.key), a_snapshot(5, A.key)

    for version, found in ((2, None), (3, older), (4, older), (5, newer), (2**64, newer)):
        assert store.read_snapshot(A, Version(version)) == found
    assert store.read_snapshot(B, Version(9)) is None


def a_snapshot_that_was_asked_for_stays(make_store: MakeStore) -> None:
    store = make_store()
    append_with_snapshots(store, A, 4)
    asked = a_snapshot(2, "asked", is_kept=True)

    assert store.write_snapshot(A, asked)
    assert store.write_snapshot(A, a_snapshot(4, "too", is_kept=True))
    append_with_snapshots(store, A, 6, 8, 9)
    kept = (a_snapshot(4, "too", is_kept=True), asked)
    assert snapshots_of(store, A) == (a_snapshot(9, A.key), a_snapshot(8, A.key), *kept)
    assert store.write_snapshot(A, a_snapshot(4, "again"))
    assert store.read_snapshot(A, Version(4)) == a_snapshot(4, "again", is_kept=True)


def a_snapshot_that_stays_comes_with_its_facts(make_store: MakeStore) -> None:
    store = make_store()
    stays = a_snapshot(2, "stays", is_kept=True), a_snapshot(3, "stays, too", is_kept=True)
    store.append([an_append(A, 0, 2, snapshot=stays[0])])
    # In a group of several it is the same.
    other = an_append(B, 0, snapshot=a_snapshot(1, B.key, is_kept=True))
    store.append_each([[an_append(A, 2, snapshot=stays[1])], [other]])
    append_with_snapshots(store, A, 5, 6, 7)

    newest = (a_snapshot(7, A.key), a_snapshot(6, A.key))
    assert snapshots_of(store, A) == (*newest, stays[1], stays[0])
    assert snapshots_of(store, B) == (a_snapshot(1, B.key, is_kept=True),)


def a_snapshot_of_a_version_that_is_not_there_is_not_written(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 3)])

    assert not store.write_snapshot(A, a_snapshot(4))
    assert not store.write_snapshot(B, a_snapshot(1))
    assert store.write_snapshot(A, a_snapshot(3))
    assert snapshots_of(store, A) == (a_snapshot(3),)
    assert everything(store, B) == NOTHING


def index_rows_are_rewritten_at_the_version_they_were_compared_at(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0, 2, index=(row("k", "1"), row("l", "1"), row("m", "1")))])
    store.append([an_append(B, 0, 2, index=(row("k", "b"),))])
    rows = (row("k", "2"), row("new", "2"), row("k", "2", IndexKind.INPUT))
    gone = (row("l", "").key, row("nobody", "").key, row("m", "", IndexKind.INPUT).key)
    before = everything(store, A), everything(store, B)

    for stream, version in ((A, 1), (A, 3), (StreamId("default", SessionId("c")), 0)):
        moved_on = store.rewrite_index(stream, version=Version(version), rows=rows, gone=gone)
        assert moved_on is False
        assert (everything(store, A), everything(store, B)) == before
    assert store.rewrite_index(A, version=Version(2), rows=rows, gone=gone)
    found = {each.key: each.value for each in store.read_index_page(A, None, 99)}
    assert found == {each.key: each.value for each in (*rows, row("m", "1"))}
    assert everything(store, B) == before[1]
    assert store.rewrite_index(A, version=Version(2), rows=(), gone=())
    bad = [row("lone \udfff", "v")]
    refused(
        UnencodableValue, lambda: store.rewrite_index(A, version=Version(2), rows=bad, gone=())
    )


# Whole lives


def a_played_tape_is_read_back_as_it_was_encoded(make_store: MakeStore) -> None:
    store = make_store()
    player = play(store)
    records = [record for append in player.appends for record in append.records]
    bodies = {body.ref: body for append in player.appends for body in append.bodies}

    assert store.read(STREAM, Position(0), 999) == tuple(records)
    assert dict(store.read_bodies(STREAM, list(bodies))) == bodies
    assert len(bodies) == 8
    assert load(store, STREAM) == player.folded


def the_index_equals_the_fold_of_the_facts(make_store: MakeStore) -> None:
    store = make_store()
    play(store)
    golden_work.life(store)
    golden_graph.life(store)
    kinds: set[IndexKind] = set()
    for stream in (STREAM, golden_work.STREAM, golden_graph.STREAM):
        folded = _index_of_facts(store, stream)
        stored = store.read_index_page(stream, None, 999)
        assert {each.key: each for each in stored} == folded
        kinds |= {key.kind for key in folded}
    assert kinds == set(IndexKind)


def _index_of_facts(store: Store, stream: StreamId) -> dict[IndexKey, IndexRow]:
    folded: dict[IndexKey, IndexRow] = {}
    state: State = NOT_OPENED
    for fact in read_facts(store, stream):
        for key, entry in index_rows(state, fact.event):
            folded[key] = encode_index_row(key, entry)
        state = step(state, fact)
    return folded


def a_closed_store_says_so(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0)])
    store.close()
    store.close()
    ref = BodyRef(position=Position(0), ordinal=0)
    key = IndexKey(IndexKind.TURN, "k")
    acts: tuple[Callable[[], object], ...] = (
        lambda: store.append([an_append(A, 1)]),
        lambda: store.append_each([[an_append(A, 1)]]),
        lambda: store.head(A),
        lambda: store.heads("default", after="", heads_max=1),
        lambda: store.read(A, Position(0), 1),
        lambda: store.read_bodies(A, [ref]),
        lambda: store.read_index(A, [key]),
        lambda: store.read_index_page(A, None, 1),
        lambda: add_activity(store, 1, b"x"),
        lambda: activity_of(store),
        lambda: store.read_snapshot(A, Version(1)),
        lambda: store.write_snapshot(A, a_snapshot(1)),
        lambda: store.rewrite_index(A, version=Version(1), rows=(), gone=()),
    )

    for act in acts:
        error: StorageError = refused(StoreClosed, act)
        assert store.where in error.summary()


CLAUSES: tuple[Clause, ...] = (
    a_new_store_holds_nothing,
    an_append_is_read_back_byte_for_byte,
    records_are_read_in_pages,
    another_version_than_expected_is_a_conflict,
    appends_to_several_streams_are_all_or_nothing,
    a_gap_is_refused,
    two_appends_to_one_stream_in_one_call_are_refused,
    a_conflict_fails_only_its_own_batch_of_a_group,
    batches_of_a_group_that_share_a_stream_take_turns,
    a_group_with_a_batch_that_cannot_be_writes_nothing,
    what_was_done_is_counted,
    bodies_are_read_by_reference,
    many_bodies_are_read_at_once,
    a_later_index_row_replaces_an_earlier_one,
    the_index_is_read_in_pages_ordered_by_kind_and_key,
    a_key_that_is_no_text_is_refused,
    heads_are_listed_by_namespace_and_key,
    hostile_ids_name_streams_of_their_own,
    activity_is_numbered_after_each_fact,
    activity_of_another_version_or_generation_is_refused,
    activity_is_read_after_a_place_in_pages,
    no_activity_is_activity_of_nothing,
    a_snapshot_comes_with_its_facts_and_the_two_newest_stay,
    the_newest_snapshot_up_to_a_version_is_read,
    a_snapshot_that_was_asked_for_stays,
    a_snapshot_that_stays_comes_with_its_facts,
    a_snapshot_of_a_version_that_is_not_there_is_not_written,
    index_rows_are_rewritten_at_the_version_they_were_compared_at,
    a_played_tape_is_read_back_as_it_was_encoded,
    the_index_equals_the_fold_of_the_facts,
    a_closed_store_says_so,
)
