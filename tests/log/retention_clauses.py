"""What any store owes of retention and pins; as ``conformance.py``, clause by clause."""

from collections.abc import Callable
from functools import partial

import attrs

from lash_es.core.bodies import BodyRef
from lash_es.core.errors import BlankValue, LimitExceeded, TrimHeldBack
from lash_es.core.ids import Position, Version
from lash_es.core.retention import Pin
from lash_es.log.appends import Appended, StoredBody, StreamAppend
from lash_es.log.blobs import FIRST_ADDRESS, Blob
from lash_es.log.errors import StoreClosed
from lash_es.log.port import Store, StreamHead
from lash_es.log.retaining import (
    PINS_MAX,
    Beginning,
    PinOutOfRange,
    Removal,
    Return,
    SnapshotsForgotten,
)
from tests.log.conformance import (
    A,
    B,
    Clause,
    MakeStore,
    a_snapshot,
    an_append,
    head_after,
    record,
    refused,
    snapshots_of,
    stored_body,
)

BODIES = tuple(stored_body(position, f"said {position}") for position in range(6))
REFS = tuple(body.ref for body in BODIES)


def filled(make_store: MakeStore) -> Store:
    """Make a store with six facts in each of two streams, each with a body."""
    store = make_store()
    for stream in (A, B):
        store.append([an_append(stream, 0, 6, bodies=BODIES)])
    return store


def removal(below: int, *bodies: BodyRef, trim: int = 5) -> Removal:
    """Let facts of the first stream go."""
    return Removal(stream=A, below=Version(below), trim=Position(trim), bodies=bodies)


def positions(store: Store) -> list[int]:
    """List the facts of the first stream."""
    return [each.position for each in store.read(A, Position(0), 99)]


def kept_from(oldest: int, append: StreamAppend) -> StreamHead:
    """Say what the head row must be after facts went, told of by the one at 5."""
    head = head_after(append)
    return attrs.evolve(head, oldest=Position(oldest), trim_position=Position(5))


def pin(name: str, version: int) -> Pin:
    """Make a pin."""
    return Pin(name=name, version=Version(version))


def back(first: int, end: int, *bodies: StoredBody, blobs: tuple[Blob, ...] = ()) -> Return:
    """Bring facts of the first stream back."""
    records = tuple(record(position) for position in range(first, end))
    return Return(stream=A, records=records, bodies=bodies, blobs=blobs, at_ms=2_000)


def facts_go_from_the_oldest_on_and_the_rest_stays(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(2, REFS[0]))
    assert store.head(A) == kept_from(2, an_append(A, 0, 6))
    assert positions(store) == [2, 3, 4, 5]
    assert store.read(A, Position(0), 2) == (record(2), record(3))
    assert store.read(A, Position(3), 1) == (record(3),)
    assert set(store.read_bodies(A, REFS)) == set(REFS[1:])
    store.remove_facts(removal(4, REFS[1], REFS[3]))
    assert positions(store) == [4, 5]
    assert set(store.read_bodies(A, REFS)) == {REFS[2], REFS[4], REFS[5]}
    assert store.head(B) == head_after(an_append(B, 0, 6))
    assert len(store.read(B, Position(0), 99)) == 6
    assert set(store.read_bodies(B, REFS)) == set(REFS)


def the_oldest_never_moves_back_by_a_removal(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(4))
    store.remove_facts(removal(4))
    store.remove_facts(removal(1, REFS[5], trim=4))
    head = store.head(A)
    assert head is not None
    assert (head.oldest, head.trim_position) == (4, 4)
    assert positions(store) == [4, 5]
    store.remove_facts(attrs.evolve(removal(1), stream=attrs.evolve(A, namespace="nowhere")))


def a_stream_goes_on_behind_its_removals(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(5))
    append = an_append(A, 6, 2)
    assert store.append([append]) == Appended(versions=(Version(8),))
    assert store.head(A) == attrs.evolve(
        head_after(append), oldest=Position(5), trim_position=Position(5)
    )
    assert positions(store) == [5, 6, 7]
    assert store.read_page(A, (Version(0), 0), 9).oldest == 5


def snapshots_in_front_of_what_is_kept_go(make_store: MakeStore) -> None:
    store = filled(make_store)
    for version in (1, 3, 4):
        assert store.write_snapshot(A, a_snapshot(version))
    store.remove_facts(removal(3))
    assert [snapshot.version for snapshot in snapshots_of(store, A)] == [4, 3]


def superseded_snapshots_go_and_what_was_asked_for_stays(make_store: MakeStore) -> None:
    store = filled(make_store)
    for version in (1, 3, 4):
        assert store.write_snapshot(A, a_snapshot(version))
    assert store.write_snapshot(A, attrs.evolve(a_snapshot(2), is_kept=True))
    assert store.forget_snapshots(A) == SnapshotsForgotten(retained_count=2, deleted_count=2)
    assert store.forget_snapshots(A) == SnapshotsForgotten(retained_count=2, deleted_count=0)
    assert [snapshot.version for snapshot in snapshots_of(store, A)] == [4, 2]
    nowhere = attrs.evolve(A, namespace="nowhere")
    nothing = SnapshotsForgotten(retained_count=0, deleted_count=0)
    assert store.forget_snapshots(nowhere) == nothing


def facts_come_back_in_front_of_the_oldest_only(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(4, *REFS[:4]))
    for wrong in (back(1, 3), back(0, 2), back(3, 6)):
        assert not store.return_facts(wrong)
    assert not store.return_facts(attrs.evolve(back(3, 4), stream=attrs.evolve(A, namespace="no")))
    assert positions(store) == [4, 5]

    assert store.return_facts(back(2, 4, *BODIES[2:4]))
    head = store.head(A)
    assert head is not None
    assert (head.oldest, head.trim_position, head.version) == (2, 5, 6)
    assert store.read(A, Position(0), 99) == tuple(record(position) for position in range(2, 6))
    assert not store.return_facts(back(2, 4, *BODIES[2:4]))
    assert store.return_facts(back(0, 2, *BODIES[:2]))
    assert store.read(A, Position(0), 99) == tuple(record(position) for position in range(6))
    assert store.read_bodies(A, REFS) == {body.ref: body for body in BODIES}
    store.remove_facts(removal(3, *REFS[:3]))
    assert positions(store) == [3, 4, 5]


def bodies_come_back_without_facts_and_replace_none(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(3, REFS[0]))
    blob = Blob.of(b"large")
    other = attrs.evolve(BODIES[1], content=b"something else")
    sealed = attrs.evolve(BODIES[0], salt=b"", content=blob.address, sealing="blob")
    assert store.return_facts(back(0, 0, sealed, other, blobs=(blob, blob)))
    as_stored = store.as_stored.read_bodies(A, REFS[:2])
    assert as_stored == {REFS[0]: sealed, REFS[1]: BODIES[1]}
    assert store.read_named_blobs([blob.address]) == {blob.address: b"large"}
    (first,) = store.read_blob_page(FIRST_ADDRESS, 9)
    assert store.return_facts(back(0, 0, sealed, blobs=(blob,)))
    (again,) = store.read_blob_page(FIRST_ADDRESS, 9)
    assert again.token > first.token
    assert positions(store) == [3, 4, 5]


def a_stream_may_begin_where_it_was_trimmed(make_store: MakeStore) -> None:
    store = make_store()
    beginning = Beginning(
        stream=A, version=Version(4), digest=b"d" * 32, trim=Position(5), at_ms=1
    )
    assert store.begin_trimmed(beginning)
    assert not store.begin_trimmed(attrs.evolve(beginning, version=Version(3)))
    assert positions(store) == []
    head = store.head(A)
    assert head is not None
    assert (head.version, head.digest, head.oldest, head.trim_position) == (4, b"d" * 32, 4, 5)
    append = an_append(A, 4, 2)
    assert store.append([append]) == Appended(versions=(Version(6),))
    assert store.head(A) == attrs.evolve(
        head_after(append), oldest=Position(4), trim_position=Position(5)
    )
    assert positions(store) == [4, 5]


def a_pin_holds_facts_back_in_the_store_itself(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.pin(A, pin("later", 5), at_ms=1)
    store.pin(A, pin("audit", 3), at_ms=1)
    error = refused(TrimHeldBack, lambda: store.remove_facts(removal(4, REFS[0])))
    assert (error.below, error.allowed) == (4, 3)
    assert "audit" in error.held_back_by
    assert positions(store) == [0, 1, 2, 3, 4, 5]
    assert REFS[0] in store.read_bodies(A, REFS)
    store.remove_facts(removal(3))
    assert positions(store) == [3, 4, 5]
    store.remove_facts(attrs.evolve(removal(4), stream=B))


def pins_are_listed_moved_and_removed(make_store: MakeStore) -> None:
    store = filled(make_store)
    assert store.pins(A) == ()
    store.pin(A, pin("b", 2), at_ms=1)
    store.pin(A, pin("\u00e9", 0), at_ms=1)
    store.pin(A, pin("a", 6), at_ms=1)
    store.pin(A, pin("b", 3), at_ms=2)
    store.pin(B, pin("b", 1), at_ms=2)
    assert store.pins(A) == (pin("a", 6), pin("b", 3), pin("\u00e9", 0))
    assert store.unpin(A, "b")
    assert not store.unpin(A, "b")
    assert not store.unpin(attrs.evolve(A, namespace="nowhere"), "b")
    assert store.pins(A) == (pin("a", 6), pin("\u00e9", 0))
    assert store.pins(B) == (pin("b", 1),)
    assert store.pins(attrs.evolve(A, namespace="nowhere")) == ()


def only_a_version_that_is_kept_can_be_pinned(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.remove_facts(removal(2))
    for version in (1, 7, -1):
        error = refused(PinOutOfRange, partial(store.pin, A, pin("p", version), at_ms=1))
        assert (error.pinned, error.oldest, error.version) == (version, 2, 6)
        assert "expected one from 2 to 6" in error.summary()
    nowhere = attrs.evolve(A, namespace="nowhere")
    for version in (0, 1):
        refused(PinOutOfRange, partial(store.pin, nowhere, pin("p", version), at_ms=1))
    refused(BlankValue, lambda: store.pin(A, pin(" ", 3), at_ms=1))
    refused(LimitExceeded, lambda: store.pin(A, pin("n" * 257, 3), at_ms=1))
    assert store.pins(A) == ()
    store.pin(A, pin("p", 2), at_ms=1)


def pins_are_bounded_in_number(make_store: MakeStore) -> None:
    store = filled(make_store)
    for number in range(PINS_MAX):
        store.pin(A, pin(f"p{number}", 1), at_ms=1)
    error = refused(LimitExceeded, lambda: store.pin(A, pin("one more", 1), at_ms=1))
    assert (error.limit, error.found, error.allowed) == ("pins_max", PINS_MAX + 1, PINS_MAX)
    store.pin(A, pin("p7", 2), at_ms=1)


def a_format_is_raised_and_never_lowered(make_store: MakeStore) -> None:
    store = make_store()
    before = store.record_formats()
    assert store.raise_format(before.writes) == before
    assert store.raise_format(0) == before
    assert store.record_formats() == before


def a_closed_store_retains_nothing(make_store: MakeStore) -> None:
    store = filled(make_store)
    store.close()
    beginning = Beginning(stream=A, version=Version(1), digest=b"", trim=Position(1), at_ms=1)
    acts: tuple[Callable[[], object], ...] = (
        lambda: store.remove_facts(removal(1)),
        lambda: store.return_facts(back(0, 1)),
        lambda: store.begin_trimmed(beginning),
        lambda: store.forget_snapshots(A),
        lambda: store.pins(A),
        lambda: store.pin(A, pin("p", 1), at_ms=1),
        lambda: store.unpin(A, "p"),
        lambda: store.read_named_blobs([FIRST_ADDRESS]),
    )
    for act in acts:
        assert store.where in refused(StoreClosed, act).summary()


RETENTION_CLAUSES: tuple[Clause, ...] = (
    facts_go_from_the_oldest_on_and_the_rest_stays,
    the_oldest_never_moves_back_by_a_removal,
    a_stream_goes_on_behind_its_removals,
    snapshots_in_front_of_what_is_kept_go,
    superseded_snapshots_go_and_what_was_asked_for_stays,
    facts_come_back_in_front_of_the_oldest_only,
    bodies_come_back_without_facts_and_replace_none,
    a_stream_may_begin_where_it_was_trimmed,
    a_pin_holds_facts_back_in_the_store_itself,
    pins_are_listed_moved_and_removed,
    only_a_version_that_is_kept_can_be_pinned,
    pins_are_bounded_in_number,
    a_format_is_raised_and_never_lowered,
    a_closed_store_retains_nothing,
)
