"""Who is woken, by what, how often the poller looks, and that nothing of it is left behind."""

import asyncio
import gc
import socket
from collections.abc import Collection, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.announcing import ANNOUNCED_EVERY_MS, Announcing
from lash_es.log.appends import Appended
from lash_es.log.changes import Changes, Pace
from lash_es.log.errors import StoreClosed, StoreFailed
from lash_es.log.log import StoreLog
from lash_es.log.polling import Rhythm
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.memory_changes import MemoryChanges
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.subscribing import subscribe
from lash_es.log.watching import Wakes
from tests.log.conformance import A, B, an_append
from tests.log.following import InlineLog
from tests.log.tapes import STREAM, play
from tests.session.stores import Through
from tests.session.virtual_time import VirtualTime, settle

PACE = Pace(busy_ms=1, busy_for_ms=2_000, idle_ms=50)


# The rhythm


def test_a_poller_is_busy_for_two_seconds_and_then_slows_down() -> None:
    rhythm, pauses, now_ms = Rhythm(0), list[int](), 0
    while now_ms < 3_000:
        pauses.append(rhythm.pause_ms(PACE, now_ms, has_moved=now_ms == 0))
        now_ms += pauses[-1]

    assert pauses[:2_000] == [1] * 2_000
    assert pauses[2_000:2_008] == [2, 4, 8, 16, 32, 50, 50, 50]
    assert rhythm.pause_ms(PACE, now_ms, has_moved=True) == 1


def test_an_idle_poller_looks_twenty_times_a_second_whatever_the_number_of_subscribers(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        time = VirtualTime()
        with closing(SQLiteStore.open(tmp_path / "log.db", create=True)) as store:
            play(store)
            log = InlineLog(store, time)
            subscriptions = [subscribe(log, STREAM, after=(Version(28), 0)) for _ in range(100)]
            waiting = [asyncio.ensure_future(anext(each, None)) for each in subscriptions]
            await settle()
            time.jump(2_000)
            await time.advance(200)
            before = log.polls_count
            await time.advance(10_000)
            # One statement each, which reads no table: about a thousandth of a core.
            assert log.polls_count - before == 200
            for each in subscriptions:
                await each.aclose()
            await asyncio.gather(*waiting)
            await time.advance(10_000)
            assert log.polls_count - before == 200
            assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


@pytest.mark.parametrize("late_ms", [0, 21, 49])
def test_an_idle_subscriber_sees_what_another_process_wrote_within_fifty_ms(
    tmp_path: Path, late_ms: int
) -> None:
    async def scene() -> None:
        time, path = VirtualTime(), tmp_path / "log.db"
        with (
            closing(SQLiteStore.open(path, create=True)) as mine,
            closing(SQLiteStore.open(path, create=True)) as other,
        ):
            async with subscribe(InlineLog(mine, time), STREAM) as subscription:
                coming = asyncio.ensure_future(anext(subscription))
                await settle()
                time.jump(2_000)
                await time.advance(1_000 + late_ms)
                play(other)
                await time.advance(50)
                assert coming.done()
                await coming

    asyncio.run(scene())


# Who is woken


def test_only_those_who_wait_for_a_stream_are_woken_by_its_log() -> None:
    async def scene() -> None:
        wakes = InlineLog(MemoryStore(), VirtualTime()).wakes
        first, second, other = wakes.watch(A), wakes.watch(A), wakes.watch(B)
        await settle()
        for each in (first, second, other):
            each.about_to_read()
        wakes.wake([A])
        await first.wait()
        await second.wait()
        waiting = asyncio.ensure_future(other.wait())
        await settle()
        assert not waiting.done()
        for each in (first, second, other, other):
            await wakes.leave(each)
        await waiting

    asyncio.run(scene())


def test_a_log_wakes_after_its_commits_without_a_poller() -> None:
    class Silent(MemoryStore):
        def changes(self) -> MemoryChanges:
            raise StoreFailed(where=self.where, reason="on purpose")

    async def scene() -> None:
        log = StoreLog(Silent(), lambda: 5)
        await log.append([an_append(A, 0)])
        watcher = log.wakes.watch(A)
        await settle()
        watcher.about_to_read()
        await log.append([an_append(A, 1)])
        await watcher.wait()
        watcher.about_to_read()
        await log.append_activity(A, version=Version(2), generation=Generation(1), payloads=[b"x"])
        await watcher.wait()
        watcher.about_to_read()
        await log.append([an_append(A, 1)])  # A conflict: nothing has grown.
        waiting = asyncio.ensure_future(watcher.wait())
        await settle()
        assert not waiting.done()
        await log.wakes.leave(watcher)
        await waiting
        await log.aclose()

    asyncio.run(scene())


def test_a_subscription_that_nobody_closed_keeps_no_poller() -> None:
    async def scene() -> None:
        time = VirtualTime()
        log = InlineLog(MemoryStore(), time)
        subscription = subscribe(log, A)
        await time.advance(100)
        assert len(asyncio.all_tasks()) == 2
        del subscription
        gc.collect()
        await time.advance(5_000)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def test_a_poller_that_cannot_look_wakes_everybody_and_looks_again_later() -> None:
    class Unsteady(MemoryStore):
        can_open = False
        looks_left = 1

        def changes(self) -> MemoryChanges:
            if not self.can_open:
                raise StoreFailed(where=self.where, reason="on purpose")
            return super().changes()

    async def scene() -> None:
        time, store = VirtualTime(), Unsteady()
        log = InlineLog(store, time)
        watcher = log.wakes.watch(A)
        await settle()
        await watcher.wait()
        watcher.about_to_read()
        await time.advance(999)
        waiting = asyncio.ensure_future(watcher.wait())
        await settle()
        assert not waiting.done()
        await time.advance(1)
        await waiting
        store.can_open = True
        await time.advance(1_000)
        watcher.about_to_read()
        store.append([an_append(A, 0)])
        await time.advance(50)
        await watcher.wait()
        await log.wakes.leave(watcher)

    asyncio.run(scene())


def test_a_poller_of_a_closed_log_ends_quietly(tmp_path: Path) -> None:
    async def scene() -> None:
        for is_open_at_first in (True, False):
            log = StoreLog(SQLiteStore.open(tmp_path / "log.db", create=True), lambda: 1)
            if is_open_at_first:
                watcher = log.wakes.watch(A)
                await settle()
                log.store.close()
            else:
                await log.aclose()
                watcher = log.wakes.watch(A)
            await asyncio.sleep(0.01)
            await log.wakes.leave(watcher)
            await log.aclose()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def test_changes_of_a_file_that_are_closed_say_so(tmp_path: Path) -> None:
    with closing(SQLiteStore.open(tmp_path / "log.db", create=True)) as store:
        changes = store.changes()
        changes.close()
        with pytest.raises(StoreClosed):
            changes.moved({A})


# What becomes readable


class Ringing:
    """Tells of commits by a socket, as a connection to a server does."""

    pause_ms = 60_000

    def __init__(self, bell: socket.socket) -> None:
        self.bell = bell

    @property
    def pace(self) -> Pace:
        return Pace(busy_ms=self.pause_ms, busy_for_ms=0, idle_ms=self.pause_ms)

    def fileno(self) -> int:
        return self.bell.fileno()

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        try:
            self.bell.recv(99)
        except BlockingIOError:
            return ()
        return watched

    def close(self) -> None:
        pass


class Rung(Through):
    def __init__(self, changes: Changes) -> None:
        super().__init__(MemoryStore())
        self._changes = changes

    def changes(self) -> Changes:
        return self._changes


class Mute(asyncio.SelectorEventLoop):
    """Cannot wait for a socket, as the usual loop on Windows."""

    def add_reader(self, fd: object, callback: object, *args: object) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, Mute])
def test_what_becomes_readable_wakes_at_once_where_the_loop_can_tell(
    loop: type[asyncio.SelectorEventLoop],
) -> None:
    async def scene() -> bool:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            wakes = InlineLog(Rung(Ringing(ours)), VirtualTime()).wakes
            watcher = wakes.watch(A)
            await asyncio.sleep(0.01)
            theirs.send(b"!")
            waiting = asyncio.ensure_future(watcher.wait())
            await asyncio.wait({waiting}, timeout=0.5)
            is_woken = waiting.done()
            await wakes.leave(watcher)
            await waiting
        return is_woken

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(scene()) is (loop is asyncio.SelectorEventLoop)


def test_without_a_ring_the_pause_is_as_long_as_the_pace_says() -> None:
    async def scene() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            looks, has_looked = list[int](), asyncio.Event()

            class Quick(Ringing):
                pause_ms = 1

                def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
                    looks.append(len(watched))
                    if len(looks) == 5:
                        has_looked.set()
                    return ()

            wakes = InlineLog(Rung(Quick(ours)), VirtualTime()).wakes
            watcher = wakes.watch(A)
            await has_looked.wait()
            await wakes.leave(watcher)

    asyncio.run(scene())


# What is announced


class Announced(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.hints: list[set[StreamId]] = []
        self.is_broken = False

    def announce(self, streams: Iterable[StreamId]) -> None:
        self.hints.append(set(streams))
        if self.is_broken:
            raise StoreFailed(where=self.where, reason="on purpose")


def _announcing(store: Store, time: VirtualTime) -> Announcing:
    return Announcing(InlineLog(store, time).read, time.sleep_ms)


def test_commits_are_announced_together_and_off_their_path() -> None:
    async def scene() -> None:
        store, time = Announced(), VirtualTime()
        announcing = _announcing(store, time)
        announcing.add([A])
        announcing.add([B])
        assert store.hints == []
        await settle()
        assert store.hints == [{A, B}]
        for _ in range(100):
            announcing.add([A])
            await asyncio.sleep(0)
        await time.advance(ANNOUNCED_EVERY_MS - 1)
        assert len(store.hints) == 1
        await time.advance(1)
        assert store.hints[1:] == [{A}]
        announcing.add([B])
        await announcing.aclose()
        await announcing.aclose()
        assert store.hints[2:] == [{B}]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def test_who_has_nothing_more_to_announce_rests_until_there_is() -> None:
    async def scene() -> None:
        store, time = Announced(), VirtualTime()
        announcing = _announcing(store, time)
        announcing.add([A])
        await settle()
        await time.advance(ANNOUNCED_EVERY_MS)
        await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        announcing.add([B])
        await settle()
        assert store.hints == [{A}, {B}]
        await announcing.aclose()

    asyncio.run(scene())


def test_a_hint_that_cannot_be_sent_is_no_error() -> None:
    async def scene() -> None:
        store = Announced()
        store.is_broken = True
        log = InlineLog(store, VirtualTime())
        wakes = Wakes(log.read, announces=True)
        wakes.wake([A])
        await settle()
        assert store.hints == [{A}]
        store.is_broken = False
        wakes.wake([B])
        await wakes.aclose()
        assert store.hints == [{A}, {B}]

    asyncio.run(scene())


def test_nothing_is_announced_where_it_is_noticed_anyway() -> None:
    async def scene() -> None:
        store = Announced()
        log = StoreLog(store, lambda: 5)
        await log.append([an_append(A, 0)])
        await log.aclose()
        assert store.hints == []

    asyncio.run(scene())


def test_a_closed_announcer_has_nothing_to_say() -> None:
    store = Announced()
    asyncio.run(_announcing(store, VirtualTime()).aclose())
    assert store.hints == []


@pytest.mark.parametrize("seqs", [(0,), ()], ids=["it says where", "it does not say"])
def test_what_was_appended_is_announced_whatever_the_store_says(seqs: tuple[int, ...]) -> None:
    announced: list[StreamId] = []

    class Announces(MemoryStore):
        def announce(self, streams: Iterable[StreamId]) -> None:
            announced.extend(streams)

    async def scene() -> bool:
        log = InlineLog(Announces(), VirtualTime())
        wakes = Wakes(log.read, announces=True)
        watcher = wakes.watch(A)
        watcher.about_to_read()
        append = an_append(A, 0)
        wakes.appended([append], Appended(versions=(append.version,), seqs=seqs))
        await asyncio.wait_for(watcher.wait(), 5)
        await wakes.leave(watcher)
        await wakes.aclose()
        return bool(watcher.take())

    assert asyncio.run(scene()) is bool(seqs)
    assert announced == [A]
