"""What is followed comes once and in order, at the seam of replay and live as anywhere else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest

from lash_es.codec.errors import CorruptHistory
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, Version
from lash_es.log.appends import Activity, Appended, AppendResult, StreamAppend
from lash_es.log.errors import StoreClosed, StoreFailed
from lash_es.log.loading import Fact, load, read_facts
from lash_es.log.log import StoreLog
from lash_es.log.pages import START, Offset, Page
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.memory_changes import MemoryChanges
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.subscribing import Gap, GapReason, Item, Subscription, subscribe
from lash_es.log.watching import HANDED_MAX
from tests.log.activity_clauses import window
from tests.log.following import Follow, InlineLog, Life, Model
from tests.log.processes import one_more
from tests.log.tapes import STREAM, play
from tests.session.virtual_time import VirtualTime, settle

MakeStore: TypeAlias = Callable[[], Store]
FACTS_COUNT = 28


def follow(log: InlineLog, after: Offset) -> Subscription:
    return subscribe(log, Life.stream, after=after, items_max=3)


def lives(
    seeds: range,
    mine: MakeStore,
    other: MakeStore | None = None,
    *,
    following: Follow = follow,
    is_alone: bool = False,
) -> list[Item]:
    """Live many times; returns everything that was seen."""
    seen: list[Item] = []
    for seed in seeds:
        with ExitStack() as stack:
            store = stack.enter_context(closing(mine()))
            second = None if is_alone else store
            if other is not None:
                second = stack.enter_context(closing(other()))
            try:
                model: Model = asyncio.run(Life(seed, store, second, following).live(40))
            except AssertionError as error:
                error.add_note(f"seed {seed}")
                raise
            seen += model.seen
    return seen


def test_a_follower_of_a_memory_store_misses_and_repeats_nothing() -> None:
    seen = lives(range(60), MemoryStore)

    assert {type(item) for item in seen} == {Fact, Activity, Gap}
    assert len(seen) > 2_000


def test_a_follower_of_a_file_that_others_write_misses_and_repeats_nothing(
    tmp_path: Path,
) -> None:
    numbers = count()

    def mine() -> Store:
        return SQLiteStore.open(tmp_path / f"{next(numbers) // 2}.db", create=True)

    seen = lives(range(15), mine, mine)

    assert {type(item) for item in seen} == {Fact, Activity, Gap}
    assert len(seen) > 500


# Planted faults


class ForgetsWhatWokeItWhileItRead(Subscription):
    async def _read(self) -> bool:
        found = await super()._read()
        self._watcher.about_to_read()
        return found


class SaysNoGaps(Subscription):
    def _gap(self, page: Page) -> Gap | None:
        return super()._gap(attrs.evolve(page, low_water=START))


class GoesBack(Subscription):
    async def _read(self) -> bool:
        self._read_up_to = (self._read_up_to[0], max(0, self._read_up_to[1] - 1))
        return await super()._read()


class Deaf(MemoryChanges):
    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        return set(watched) - set(watched)


class TellsNobody(MemoryStore):
    def changes(self) -> MemoryChanges:
        return Deaf(lambda: 0, lambda _: {})


class ReadsTwoStates(MemoryStore):
    """Reads activity, and then facts and the head as they are when more was written."""

    stale: tuple[Activity, ...] = ()

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        page = super().read_page(stream, after, items_max)
        before, self.stale = self.stale, page.activities
        return attrs.evolve(page, activities=tuple(a for a in before if a in page.activities))


class TakesWhateverIsHandedOn(Subscription):
    def _take_handed(self) -> bool:
        for handed in self._watcher.take():
            self._read_up_to = max(self._read_up_to, handed.after)
            self._has_taken(handed)
        return bool(self._ready)


class SaysThatNothingWasInFront(MemoryStore):
    """Hands facts on as if no activity had come before them."""

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        result = super().append(appends)
        assert isinstance(result, Appended)
        return attrs.evolve(result, seqs=(0,) * len(result.seqs))


def faulty(kind: type[Subscription]) -> Follow:
    return lambda log, after: kind(log, Life.stream, after, None, 3)


@pytest.mark.parametrize(
    ("make_store", "following", "is_alone"),
    [
        # Where another process writes the poller wakes it once more, so here it is alone.
        (TellsNobody, faulty(ForgetsWhatWokeItWhileItRead), True),
        (MemoryStore, faulty(SaysNoGaps), False),
        (MemoryStore, faulty(GoesBack), False),
        (TellsNobody, follow, False),
        (ReadsTwoStates, follow, False),
        (TellsNobody, faulty(TakesWhateverIsHandedOn), False),
        (SaysThatNothingWasInFront, follow, False),
    ],
    ids=[
        "forgets a wake-up",
        "no gaps",
        "goes back",
        "tells nobody",
        "two states",
        "takes whatever is handed on",
        "says that nothing was in front",
    ],
)
def test_the_model_catches_a_follower_that(
    make_store: MakeStore, following: Follow, *, is_alone: bool
) -> None:
    with pytest.raises((AssertionError, CorruptHistory)):
        lives(range(30), make_store, following=following, is_alone=is_alone)


def test_wake_ups_of_its_own_log_are_enough_for_a_follower() -> None:
    assert len(lives(range(30), TellsNobody, is_alone=True)) > 500


class CountsReads(TellsNobody):
    """No poller has it read once more."""

    reads_count = 0

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        self.reads_count += 1
        return super().read_page(stream, after, items_max)


def test_what_its_own_log_commits_behind_it_is_taken_without_a_read() -> None:
    store = CountsReads()

    async def scene() -> None:
        log = StoreLog(store, lambda: 5)
        subscription, folded = subscribe(log, Life.stream), load(store, Life.stream)
        for number in range(3):
            coming = asyncio.ensure_future(anext(subscription))
            await settle()
            append, folded = one_more(folded, number)
            await log.append([append])
            fact = await coming
            assert isinstance(fact, Fact)
            assert fact.record == append.records[0]
        await subscription.aclose()
        await log.aclose()

    asyncio.run(scene())

    assert store.reads_count == 1


class ForgetsWhatDoesNotFit(Subscription):
    def _take_handed(self) -> bool:
        for handed in self._watcher.take():
            if handed.after == self._read_up_to:
                self._has_taken(handed)
        return bool(self._ready)


@pytest.mark.parametrize("kind", [Subscription, ForgetsWhatDoesNotFit])
def test_what_nobody_told_of_is_read_before_what_is_handed_on(kind: type[Subscription]) -> None:
    async def scene() -> list[Item]:
        store = TellsNobody()
        log = StoreLog(store, lambda: 5)
        subscription = kind(log, Life.stream, START, None, 3)
        coming = asyncio.ensure_future(take(subscription, 2))
        await settle()
        append, folded = one_more(load(store, Life.stream), 0)
        store.append([append])
        append, _ = one_more(folded, 1)
        await log.append([append])
        await settle()
        items = coming.result() if coming.done() else []
        coming.cancel()
        await subscription.aclose()
        await log.aclose()
        return items

    items = asyncio.run(scene())

    assert len(items) == (2 if kind is Subscription else 0)


def test_what_is_handed_on_and_does_not_chain_is_read() -> None:
    async def scene() -> None:
        store = TellsNobody()
        log = StoreLog(store, lambda: 5)
        subscription = subscribe(log, Life.stream)
        coming = asyncio.ensure_future(anext(subscription))
        await settle()
        append, _ = one_more(load(store, Life.stream), 0)
        result = store.append([append])
        assert isinstance(result, Appended)
        forged = attrs.evolve(append.records[0], header=append.records[0].header + b" ")
        log.wakes.appended([attrs.evolve(append, records=(forged,))], result)
        fact = await coming
        assert isinstance(fact, Fact)
        assert fact.record == append.records[0]
        await subscription.aclose()
        await log.aclose()

    asyncio.run(scene())


def test_what_was_lost_in_front_of_a_fact_is_told_though_the_fact_is_an_own_one() -> None:
    async def scene() -> list[Item]:
        store = TellsNobody()
        log = StoreLog(store, lambda: 5)
        append, folded = one_more(load(store, Life.stream), 0)
        await log.append([append])
        subscription = subscribe(log, Life.stream)
        coming = asyncio.ensure_future(take(subscription, 3))
        await settle()
        log.lose_activity(Life.stream)
        await log.append([one_more(folded, 1)[0]])
        items = await coming
        await subscription.aclose()
        await log.aclose()
        return items

    assert [type(item) for item in asyncio.run(scene())] == [Fact, Gap, Fact]


def test_a_slow_follower_is_handed_a_few_appends_and_reads_the_rest() -> None:
    store = CountsReads()

    async def scene() -> list[Item]:
        log = StoreLog(store, lambda: 5)
        subscription, folded = subscribe(log, Life.stream), load(store, Life.stream)
        coming = asyncio.ensure_future(anext(subscription))
        await settle()
        for number in range(HANDED_MAX + 5):
            append, folded = one_more(folded, number)
            result = store.append([append])
            assert isinstance(result, Appended)
            log.wakes.appended([append], result)
        items = [await coming, *await take(subscription, HANDED_MAX + 4)]
        await subscription.aclose()
        await log.aclose()
        return items

    items = asyncio.run(scene())

    assert [item.position for item in items if isinstance(item, Fact)] == [*range(len(items))]
    assert store.reads_count == 2


# One by one


def run(scene: Callable[[Store, StoreLog], Awaitable[None]], store: Store | None = None) -> None:
    """Run a scene on a log with a played tape in it."""

    async def with_log() -> None:
        kept = MemoryStore() if store is None else store
        play(kept)
        log = StoreLog(kept, lambda: 5)
        await scene(kept, log)
        await log.aclose()

    asyncio.run(with_log())


async def take(subscription: Subscription, count: int) -> list[Item]:
    return [await anext(subscription) for _ in range(count)]


def test_facts_are_replayed_as_they_are_read_and_then_come_live() -> None:
    async def scene(store: Store, log: StoreLog) -> None:
        facts: list[Item] = list(read_facts(store, STREAM))
        async with subscribe(log, STREAM) as subscription:
            assert await take(subscription, FACTS_COUNT) == facts
            assert subscription.cursor == (FACTS_COUNT, 0)
            coming = asyncio.ensure_future(anext(subscription))
            await settle()
            assert not coming.done()
            head = store.head(STREAM)
            assert head is not None
            await log.append_activity(
                STREAM, version=head.version, generation=head.generation, payloads=[b"x"]
            )
            activity = await coming
            assert isinstance(activity, Activity)
            assert (activity.payload, subscription.cursor) == (b"x", (FACTS_COUNT, 1))

    run(scene)


@pytest.mark.parametrize("knows_digest", [False, True])
def test_a_follower_goes_on_from_any_cursor(*, knows_digest: bool) -> None:
    async def scene(store: Store, log: StoreLog) -> None:
        facts = list(read_facts(store, STREAM))
        for version in range(1, FACTS_COUNT):
            digest = facts[version - 1].digest if knows_digest else None
            after = (Version(version), 0)
            async with subscribe(log, STREAM, after=after, digest=digest) as subscription:
                assert await take(subscription, FACTS_COUNT - version) == facts[version:]

    run(scene)


def test_a_stream_may_begin_later() -> None:
    async def scene() -> None:
        store, time = MemoryStore(), VirtualTime()
        log = InlineLog(store, time)
        async with subscribe(log, STREAM) as subscription:
            coming = asyncio.ensure_future(anext(subscription))
            await settle()
            play(store)
            time.jump(60)
            assert isinstance(await coming, Fact)

    asyncio.run(scene())


class Altered(MemoryStore):
    """Stores all records and returns some of them changed."""

    def __init__(self, alter: Callable[[list[Record]], list[Record]]) -> None:
        super().__init__()
        self._alter = alter

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        page = super().read_page(stream, after, items_max)
        return attrs.evolve(page, records=tuple(self._alter(list(page.records))))


def _flip(records: list[Record]) -> list[Record]:
    return [
        attrs.evolve(each, digest=bytes(32)) if each.position == 5 else each for each in records
    ]


@pytest.mark.parametrize(
    ("alter", "position", "reason"),
    [
        (_flip, 5, "digest"),
        (lambda records: [each for each in records if each.position != 5], 5, "missing"),
        (lambda records: [each for each in records if each.position < 5], 5, "cut off"),
    ],
)
def test_what_was_altered_is_refused_after_what_is_whole(
    alter: Callable[[list[Record]], list[Record]], position: int, reason: str
) -> None:
    async def scene(_: Store, log: StoreLog) -> None:
        subscription = subscribe(log, STREAM)
        assert len(await take(subscription, position)) == position
        with pytest.raises(CorruptHistory, match=reason) as caught:
            await anext(subscription)
        assert caught.value.position == position
        assert [item async for item in subscription] == []

    run(scene, Altered(alter))


def test_an_altered_fact_does_not_follow_a_digest_that_is_known() -> None:
    async def scene(_: Store, log: StoreLog) -> None:
        async with subscribe(log, STREAM, after=(Version(3), 0), digest=bytes(32)) as subscription:
            with pytest.raises(CorruptHistory):
                await anext(subscription)

    run(scene)


# Gaps


def test_a_cursor_in_front_of_pruned_activity_is_a_gap_and_the_one_after_it_is_none() -> None:
    async def scene(store: Store, log: StoreLog) -> None:
        version = Version(FACTS_COUNT)
        head = store.head(STREAM)
        assert head is not None
        for payload in (b"one", b"two"):
            await log.append_activity(
                STREAM, version=version, generation=head.generation, payloads=[payload]
            )
        store.trim_activity(STREAM, window(records_max=1), 5)

        gap = Gap(
            reason=GapReason.TRIMMED,
            asked=(version, 0),
            kept=(version, 1),
            latest=(version, 2),
            goes_on=(version, 0),
        )
        (two,) = store.read_activity(STREAM, after=(version, 1), activities_max=9)
        async with subscribe(log, STREAM, after=(version, 0)) as subscription:
            assert await take(subscription, 2) == [gap, two]
        async with subscribe(log, STREAM, after=(version, 1)) as subscription:
            assert await take(subscription, 1) == [two]
        async with subscribe(log, STREAM) as subscription:
            items = await take(subscription, FACTS_COUNT + 2)
        assert items == [
            attrs.evolve(gap, asked=START, goes_on=START),
            *read_facts(store, STREAM),
            two,
        ]

    run(scene)


def test_a_cursor_ahead_of_the_log_is_a_gap_that_goes_on_at_its_end() -> None:
    async def scene(store: Store, log: StoreLog) -> None:
        ahead, end = (Version(FACTS_COUNT + 9), 3), (Version(FACTS_COUNT), 0)
        async with subscribe(log, STREAM, after=ahead) as subscription:
            assert await take(subscription, 1) == [
                Gap(reason=GapReason.UNAVAILABLE, asked=ahead, kept=START, latest=end, goes_on=end)
            ]
            assert subscription.cursor == end
            head = store.head(STREAM)
            assert head is not None
            await log.append_activity(
                STREAM, version=end[0], generation=head.generation, payloads=[b"x"]
            )
            assert isinstance(await anext(subscription), Activity)

    run(scene)


class Trimmed(MemoryStore):
    """Keeps facts from position 10 on."""

    def read(self, stream: StreamId, first: Position, records_max: int) -> tuple[Record, ...]:
        return super().read(stream, Position(max(10, first)), records_max)

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        return attrs.evolve(super().read_page(stream, after, items_max), oldest=Position(10))


def test_a_cursor_below_the_oldest_fact_is_a_gap_that_goes_on_there() -> None:
    async def scene(_: Store, log: StoreLog) -> None:
        async with subscribe(log, STREAM, after=(Version(3), 0)) as subscription:
            gap, fact, *_rest = await take(subscription, 1 + FACTS_COUNT - 10)
            assert isinstance(gap, Gap)
            assert (gap.reason, gap.goes_on) == (GapReason.TRIMMED, (10, 0))
            assert isinstance(fact, Fact)
            assert fact.position == 10
        # The digest before the oldest fact is not known any more.
        async with subscribe(log, STREAM, after=(Version(10), 0)) as subscription:
            assert (await take(subscription, 1)) == [fact]

    run(scene, Trimmed())


# Ends


def test_closing_ends_it_also_for_who_waits_and_twice_is_once() -> None:
    async def scene(_: Store, log: StoreLog) -> None:
        subscription = subscribe(log, STREAM)
        await take(subscription, FACTS_COUNT)
        waiting = asyncio.ensure_future(anext(subscription, None))
        await settle()
        await subscription.aclose()
        await subscription.aclose()
        assert await waiting is None
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene)


def test_a_log_that_is_closed_ends_its_followers() -> None:
    async def scene(_: Store, log: StoreLog) -> None:
        subscription = subscribe(log, STREAM)
        await take(subscription, FACTS_COUNT)
        waiting = asyncio.ensure_future(anext(subscription))
        await settle()
        await log.aclose()
        with pytest.raises(StoreClosed):
            await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}
        late = subscribe(log, STREAM)
        with pytest.raises(StoreClosed):
            await anext(late)

    run(scene)


class Broken(MemoryStore):
    is_broken = False

    def read_page(self, stream: StreamId, after: Offset, items_max: int) -> Page:
        if self.is_broken:
            raise StoreFailed(where=self.where, reason="on purpose")
        return super().read_page(stream, after, items_max)


def test_an_error_ends_it_and_the_cursor_says_where_to_go_on() -> None:
    async def scene(store: Store, log: StoreLog) -> None:
        assert isinstance(store, Broken)
        subscription = subscribe(log, STREAM, items_max=3)
        await take(subscription, 3)
        store.is_broken = True
        with pytest.raises(StoreFailed):
            await anext(subscription)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        store.is_broken = False
        async with subscribe(log, STREAM, after=subscription.cursor) as again:
            assert isinstance(await anext(again), Fact)

    run(scene, Broken())


def test_a_restart_is_no_gap(tmp_path: Path) -> None:
    seen: list[Item] = []

    async def scene(_: Store, log: StoreLog) -> None:
        for _visit in range(4):
            after = START if not seen else cursor_of(seen[-1])
            async with subscribe(log, STREAM, after=after) as subscription:
                seen.extend(await take(subscription, 7))

    def cursor_of(item: Item) -> Offset:
        assert isinstance(item, Fact)
        return (Version(item.position + 1), 0)

    run(scene, SQLiteStore.open(tmp_path / "log.db", create=True))
    with closing(SQLiteStore.open(tmp_path / "log.db", create=False)) as again:
        assert seen == list(read_facts(again, STREAM))
        assert load(again, STREAM).version == FACTS_COUNT
