"""The index is compared with the facts and rebuilt from them, also while others append."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lash_es.codec.errors import CorruptHistory, UndecodableValue
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.core.known import IndexKey, IndexKind
from lash_es.log import reindexing
from lash_es.log.appends import IndexRow
from lash_es.log.errors import StreamBusy
from lash_es.log.reindexing import REWRITE_ATTEMPTS_MAX, compare_index, rebuild_index
from lash_es.log.stores.memory import MemoryStore
from tests.core.effort import effort
from tests.log.tapes import STREAM, Player, commands, play

NOT_MINE = IndexKey(IndexKind.TURN, "never")


class BusyStore(MemoryStore):
    """Lets something happen around reading a page, and before rewriting one."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None
        self.rewrites: list[tuple[int, int, int]] = []

    def read_index_page(
        self, stream: StreamId, after: IndexKey | None, rows_max: int
    ) -> tuple[IndexRow, ...]:
        self.meanwhile()
        page = super().read_index_page(stream, after, rows_max)
        self.meanwhile()
        return page

    def rewrite_index(
        self,
        stream: StreamId,
        *,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        self.meanwhile()
        self.rewrites.append((version, len(rows), len(gone)))
        return super().rewrite_index(stream, version=version, rows=rows, gone=gone)

    @property
    def index(self) -> dict[IndexKey, bytes]:
        return self._streams[STREAM.key].index


def test_a_sound_index_is_right_and_nothing_is_written() -> None:
    store = BusyStore()
    player = play(store)

    for report in (compare_index(store, STREAM), rebuild_index(store, STREAM)):
        assert report.different == ()
        assert (report.version, report.rows_count) == (player.folded.version, len(store.index))
    assert store.rewrites == []
    nothing = compare_index(MemoryStore(), STREAM)
    assert (nothing.version, nothing.rows_count, nothing.different) == (0, 0, ())


@pytest.mark.parametrize("rows_per_page", [1, 2, 3, 256])
def test_whatever_differs_is_said_and_put_right(
    monkeypatch: pytest.MonkeyPatch, rows_per_page: int
) -> None:
    monkeypatch.setattr(reindexing, "INDEX_ROWS_PER_PAGE", rows_per_page)

    @effort(12)
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        store = BusyStore()
        play(store)
        right = dict(store.index)
        fates = {key: data.draw(st.sampled_from("oxm")) for key in right}
        store.index.update({key: b"{}" for key, fate in fates.items() if fate == "x"})
        for key, fate in fates.items():
            if fate == "m":
                del store.index[key]
        extra = data.draw(st.sets(st.sampled_from([NOT_MINE, IndexKey(IndexKind.INPUT, "")])))
        store.index.update(dict.fromkeys(extra, b"{}"))
        compared = compare_index(store, STREAM)

        assert rebuild_index(store, STREAM) == compared
        assert set(compared.missing) == {key for key, fate in fates.items() if fate == "m"}
        assert set(compared.wrong) == {key for key, fate in fates.items() if fate == "x"}
        assert set(compared.extra) == extra
        assert store.index == right
        assert all(rows + gone <= rows_per_page for _, rows, gone in store.rewrites)
        assert compare_index(store, STREAM).different == ()

    check()


@pytest.fixture
def busy() -> Player:
    """A session of which the rest is written while its index is read or rewritten."""
    player = Player(BusyStore())
    tape = commands()
    for _ in range(10):
        player.send(next(tape))
    store = player.store
    assert isinstance(store, BusyStore)

    def meanwhile() -> None:
        for command in tape:
            player.send(command)
            return

    store.meanwhile = meanwhile
    return player


@pytest.mark.parametrize("rows_per_page", [1, 2, 256])
def test_others_may_append_meanwhile(
    monkeypatch: pytest.MonkeyPatch, busy: Player, rows_per_page: int
) -> None:
    monkeypatch.setattr(reindexing, "INDEX_ROWS_PER_PAGE", rows_per_page)
    store = busy.store
    assert isinstance(store, BusyStore)
    first = next(iter(store.index))
    del store.index[first]
    store.index[NOT_MINE] = b"{}"

    report = rebuild_index(store, STREAM)

    assert (report.missing, report.wrong, report.extra) == ((first,), (), (NOT_MINE,))
    assert len(store.rewrites) > (2 if rows_per_page == 1 else 1)
    store.meanwhile = lambda: None
    assert compare_index(store, STREAM).different == ()
    assert NOT_MINE not in store.index


def test_a_row_that_is_rewritten_again_and_again_is_not_accused(busy: Player) -> None:
    assert compare_index(busy.store, STREAM).different == ()


def test_whoever_appends_all_the_time_ends_it_with_an_error() -> None:
    store = BusyStore()
    player = Player(store)
    tape = commands()
    for _ in range(3):
        player.send(next(tape))
    store.index.clear()
    head = store._streams[STREAM.key]

    class NeverThere(BusyStore):
        def __init__(self) -> None:
            super().__init__()
            self._recorder, self._streams = store._recorder, {STREAM.key: head}

        def rewrite_index(
            self,
            stream: StreamId,
            *,
            version: Version,
            rows: Sequence[IndexRow],
            gone: Sequence[IndexKey],
        ) -> bool:
            return super().rewrite_index(
                stream, version=Version(version + 1), rows=rows, gone=gone
            )

    never = NeverThere()
    with pytest.raises(StreamBusy) as caught:
        rebuild_index(never, STREAM)
    assert len(never.rewrites) == caught.value.attempts == REWRITE_ATTEMPTS_MAX
    assert caught.value.is_retryable
    assert f"{REWRITE_ATTEMPTS_MAX} attempts" in caught.value.summary()


def test_corrupt_facts_and_unknown_kinds_are_refused() -> None:
    class Odd(MemoryStore):
        def read_index_page(
            self, stream: StreamId, after: IndexKey | None, rows_max: int
        ) -> tuple[IndexRow, ...]:
            raise UndecodableValue(what=stream.key, reason=f"no kind {after!r} {rows_max}")

    class Cut(MemoryStore):
        def read(self, stream: StreamId, first: Position, most: int) -> tuple[Record, ...]:
            return super().read(stream, first, most)[:5]

    for store, error in ((Odd(), UndecodableValue), (Cut(), CorruptHistory)):
        play(store)
        with pytest.raises(error):
            rebuild_index(store, STREAM)
