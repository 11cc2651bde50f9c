"""What any store owes to activity's retention, and to whoever follows a stream."""

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId, Version
from lash_es.log.activities import ActivityWindow
from lash_es.log.appends import ActivityAppended, ActivityRefused, Appended
from lash_es.log.errors import StoreClosed
from lash_es.log.pages import Offset, Page, offset_of
from lash_es.log.port import Store
from tests.log.conformance import (
    A,
    B,
    Clause,
    MakeStore,
    activity_of,
    add_activity,
    an_append,
    refused,
)

C = StreamId("default", SessionId("c"))
EVER = 10**15


def window(records_max: int = EVER, age_ms_max: int = EVER) -> ActivityWindow:
    """Make a window that is wide where nothing is said."""
    return ActivityWindow(records_max=records_max, age_ms_max=age_ms_max)


def low_water(store: Store) -> tuple[int, int] | None:
    """Read the low-water of stream A."""
    head = store.head(A)
    return None if head is None else head.low_water


def kept(store: Store) -> list[tuple[int, int]]:
    """Read the offsets of stream A's activity."""
    return [offset_of(each) for each in activity_of(store, most=9_999)]


def page_after(store: Store, version: int, seq: int, items_max: int = 99) -> Page:
    """Read a page of stream A."""
    return store.read_page(A, (Version(version), seq), items_max)


def offsets(page: Page, items_max: int = 99) -> list[Offset]:
    """Name what a page hands out."""
    return [offset_of(item) for item in page.in_order(items_max)]


def three_facts_and_six_activities(store: Store) -> None:
    """Write offsets 1.0 1.1 1.2 2.0 3.0 3.1 3.2 3.3 3.4; activity is as old as its number."""
    store.append([an_append(A, 0), an_append(B, 0)])
    add_activity(store, 1, b"a", at_ms=1)
    add_activity(store, 1, b"b", at_ms=2)
    add_activity(store, 1, b"another stream's", at_ms=0, stream=B)
    store.append([an_append(A, 1, 2)])
    for at_ms, payload in enumerate((b"c", b"d", b"e", b"f"), start=3):
        add_activity(store, 3, payload, at_ms=at_ms)


ALL = [(1, 1), (1, 2), (3, 1), (3, 2), (3, 3), (3, 4)]


def a_trim_keeps_the_newest_records_of_the_window(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)
    head = store.head(A)
    assert head is not None
    assert low_water(store) == (0, 0)

    assert store.trim_activity(A, window(records_max=6), 9) == 0
    assert (kept(store), low_water(store)) == (ALL, (0, 0))
    assert store.trim_activity(A, window(records_max=4), 9) == 2
    assert (kept(store), low_water(store)) == (ALL[2:], (1, 2))
    assert store.trim_activity(A, window(records_max=4), 9) == 0
    assert low_water(store) == (1, 2)
    assert store.trim_activity(A, window(records_max=0), 9) == 4
    assert (kept(store), low_water(store)) == ([], (3, 4))
    assert store.trim_activity(C, window(records_max=0), 9) == 0
    assert len(store.read_activity(B, after=(Version(0), 0), activities_max=9)) == 1
    again = store.head(A)
    assert again is not None
    assert (again.version, again.activity_seq, again.digest) == (3, 4, head.digest)


def a_trim_drops_what_is_older_than_the_window(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)

    assert store.trim_activity(A, window(age_ms_max=5), 6) == 0
    assert store.trim_activity(A, window(age_ms_max=5), 9) == 3
    assert (kept(store), low_water(store)) == (ALL[3:], (3, 1))
    # Whichever of the two says more counts.
    assert store.trim_activity(A, window(records_max=2, age_ms_max=5), 9) == 1
    assert store.trim_activity(A, window(records_max=2, age_ms_max=0), 6) == 1
    assert (kept(store), low_water(store)) == ([(3, 4)], (3, 3))


def a_write_prunes_what_was_there_before_it(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)
    added = add_activity(store, 3, b"g", b"h", at_ms=7, window=window(records_max=4))

    assert added == ActivityAppended(version=Version(3), seq=6)
    assert (kept(store), low_water(store)) == ([(3, 3), (3, 4), (3, 5), (3, 6)], (3, 2))
    add_activity(store, 3, b"i", at_ms=8, window=window(age_ms_max=1))
    assert (kept(store), low_water(store)) == ([(3, 5), (3, 6), (3, 7)], (3, 4))
    # What is written is kept, also where the window is narrower.
    add_activity(store, 3, b"j", b"k", b"l", at_ms=8, window=window(records_max=1))
    assert (kept(store), low_water(store)) == ([(3, 8), (3, 9), (3, 10)], (3, 7))
    add_activity(store, 3, b"m", at_ms=8)
    assert len(kept(store)) == 4
    refusal = add_activity(store, 2, b"n", at_ms=8, window=window(records_max=1))
    assert isinstance(refusal, ActivityRefused)
    assert (len(kept(store)), low_water(store)) == (4, (3, 7))


def no_number_is_given_twice(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)
    store.trim_activity(A, window(records_max=0), 9)

    assert add_activity(store, 3, b"x") == ActivityAppended(version=Version(3), seq=5)
    store.trim_activity(A, window(records_max=0), 9)
    store.append([an_append(A, 3)])
    assert low_water(store) == (3, 5)
    assert add_activity(store, 4, b"x") == ActivityAppended(version=Version(4), seq=1)
    # Low-water never falls.
    assert store.trim_activity(A, window(records_max=1), 9) == 0
    assert low_water(store) == (3, 5)


def a_loss_is_told_by_the_next_activity(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)

    added = add_activity(store, 3, b"x", b"y", is_after_loss=True)
    assert added == ActivityAppended(version=Version(3), seq=7)
    assert (kept(store), low_water(store)) == ([*ALL, (3, 6), (3, 7)], (3, 5))
    assert isinstance(add_activity(store, 2, b"z", is_after_loss=True), ActivityRefused)
    assert low_water(store) == (3, 5)
    nothing = add_activity(store, 3, is_after_loss=True)
    assert nothing == ActivityAppended(version=Version(3), seq=8)
    assert low_water(store) == (3, 8)
    both = add_activity(store, 3, b"z", is_after_loss=True, window=window(records_max=1))
    assert both == ActivityAppended(version=Version(3), seq=10)
    assert (kept(store), low_water(store)) == ([(3, 10)], (3, 9))


def a_loss_is_told_by_the_next_facts(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)

    told = an_append(A, 3, 2, is_after_loss=True)
    result = store.append_each([[told], [an_append(B, 1)], [an_append(C, 0, is_after_loss=True)]])
    assert result[0] == Appended(versions=(Version(5),))
    assert low_water(store) == (3, 5)
    assert add_activity(store, 5, b"x") == ActivityAppended(version=Version(5), seq=1)
    store.append([an_append(A, 5, is_after_loss=True)])
    assert low_water(store) == (5, 2)
    store.append([an_append(A, 6)])
    assert low_water(store) == (5, 2)
    assert [head.low_water for head in store.heads("default", after="", heads_max=9)] == [
        (5, 2),
        (0, 0),
        (0, 0),
    ]


def a_page_is_a_stretch_of_both_in_order(make_store: MakeStore) -> None:
    store = make_store()
    assert page_after(store, 0, 0) == Page()
    three_facts_and_six_activities(store)
    page = page_after(store, 0, 0)

    assert page.records == store.read(A, page.oldest, 99)
    assert page.activities == activity_of(store)
    assert (page.end, page.low_water) == ((3, 4), (0, 0))
    everything = [(1, 0), (1, 1), (1, 2), (2, 0), (3, 0), (3, 1), (3, 2), (3, 3), (3, 4)]
    assert offsets(page) == everything
    for number, (version, seq) in enumerate(everything, start=1):
        assert offsets(page_after(store, version, seq)) == everything[number:]
    store.trim_activity(A, window(records_max=1), 9)
    assert page_after(store, 3, 2).low_water == (3, 3)
    assert offsets(page_after(store, 3, 2)) == [(3, 4)]
    assert offsets(page_after(store, 2**64, 2**64)) == []


def a_page_that_is_cut_leaves_nothing_out(make_store: MakeStore) -> None:
    store = make_store()
    three_facts_and_six_activities(store)
    everything = offsets(page_after(store, 0, 0))
    for items_max in (1, 2, 3, 4, 5):
        seen: list[Offset] = [(Version(0), 0)]
        while found := offsets(page_after(store, *seen[-1], items_max), items_max):
            seen += found
        assert seen[1:] == everything


def commits_are_told_to_whoever_watches(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0), an_append(B, 0)])
    changes = store.changes()
    try:
        # Whoever was not asked for before may have grown.
        assert set(changes.moved({A, C})) >= {A}
        store.append([an_append(C, 0)])
        assert C in changes.moved({A, B, C})
        add_activity(store, 1, b"x")
        assert A in changes.moved({A, B, C})
        store.append([an_append(B, 1)])
        assert B in changes.moved({A, B, C})
        store.announce([A])
        assert 1 <= changes.pace.busy_ms <= changes.pace.idle_ms
    finally:
        changes.close()
        changes.close()


def a_closed_store_is_not_followed(make_store: MakeStore) -> None:
    store = make_store()
    store.append([an_append(A, 0)])
    changes = store.changes()
    store.close()

    refused(StoreClosed, lambda: store.trim_activity(A, window(), 1))
    refused(StoreClosed, lambda: page_after(store, 0, 0))
    refused(StoreClosed, store.changes)
    changes.close()


ACTIVITY_CLAUSES: tuple[Clause, ...] = (
    a_trim_keeps_the_newest_records_of_the_window,
    a_trim_drops_what_is_older_than_the_window,
    a_write_prunes_what_was_there_before_it,
    no_number_is_given_twice,
    a_loss_is_told_by_the_next_activity,
    a_loss_is_told_by_the_next_facts,
    a_page_is_a_stretch_of_both_in_order,
    a_page_that_is_cut_leaves_nothing_out,
    commits_are_told_to_whoever_watches,
    a_closed_store_is_not_followed,
)
