"""
A random life of a stream that is followed, beside a naive model of what its follower may see.

Two logs write, as two processes do: the follower's own, and another that only the poller notices.
The model is a list of offsets and a set of those that are gone; it knows nothing of pages, heads
or wake-ups.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final, TypeAlias, TypeVar

from attrs import Factory, define

from lash_es.core.ids import Generation, Version
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.appends import Activity, ActivityAppended, Appended
from lash_es.log.loading import Fact, load
from lash_es.log.pages import START, Offset
from lash_es.log.port import Store
from lash_es.log.subscribing import (
    Gap,
    GapReason,
    Item,
    Subscribable,
    Subscription,
    subscribe,
)
from lash_es.log.watching import Wakes
from tests.log.processes import STREAM, enqueue, one_more
from tests.session.virtual_time import VirtualTime

_R = TypeVar("_R")
EVER = 10**12


async def followed(log: Subscribable, facts_count: int) -> list[Item]:
    """Follow until so many facts have come."""
    items: list[Item] = []
    async with subscribe(log, STREAM) as subscription:
        while sum(isinstance(item, Fact) for item in items) < facts_count:
            items.append(await anext(subscription))
    return items


def write_and_prune(store: Store, facts_count: int) -> list[Offset]:
    """Write facts and activity after each, and keep little of that; returns its offsets."""
    folded, offsets = load(store, STREAM), list[Offset]()
    for _ in range(facts_count):
        folded = enqueue(store, folded, folded.version)
        for _ in range(3):
            new = NewActivity(
                stream=STREAM,
                version=folded.version,
                generation=Generation(0),
                payloads=[b"x"],
                at_ms=1,
                window=ActivityWindow(records_max=5, age_ms_max=EVER),
            )
            result = store.append_activity(new)
            assert isinstance(result, ActivityAppended)
            offsets.append((result.version, result.seq))
    return offsets


def require_no_silent_hole(items: Sequence[Item], written: Sequence[Offset]) -> None:
    """Refuse what was followed where activity is missing behind the last gap, or came twice."""
    offsets = [(item.version, item.seq) for item in items if isinstance(item, Activity)]
    told = max((item.kept for item in items if isinstance(item, Gap)), default=START)
    (*_, last) = (item for item in items if isinstance(item, Fact))
    missed = set(written) - set(offsets)
    assert offsets == sorted(set(offsets))
    assert set(offsets) <= set(written)
    assert all(each <= told or each > (last.position + 1, 0) for each in missed)


class InlineLog:
    """What a subscription uses of a log, at a time that the test moves."""

    def __init__(self, store: Store, time: VirtualTime) -> None:
        self.store = store
        self.polls_count = 0
        self.wakes = Wakes(
            self.read, announces=False, monotonic_ms=time.now_ms, sleep_ms=self._sleep_ms(time)
        )

    async def read(self, work: Callable[[Store], _R], /) -> _R:
        return work(self.store)

    def _sleep_ms(self, time: VirtualTime) -> Callable[[int], Awaitable[None]]:
        async def sleep_ms(duration_ms: int) -> None:
            self.polls_count += 1
            await time.sleep_ms(duration_ms)

        return sleep_ms


@define
class Model:
    """What is in the stream, what of it is gone, and what the follower was told."""

    written: list[Offset] = Factory(list[Offset])
    gone: set[Offset] = Factory(set[Offset])
    cursor: Offset = START
    told: Offset = START
    seen: list[Item] = Factory(list[Item])

    def see(self, item: Item) -> None:
        """Refuse an item that may not come now."""
        self.seen.append(item)
        match item:
            case Gap():
                assert item.reason is GapReason.TRIMMED
                assert any(each > self.cursor for each in self.gone), "a gap, and nothing is gone"
                assert item.asked == item.goes_on == self.cursor
                self.told = item.kept
            case Fact():
                self._move((Version(item.position + 1), 0))
            case Activity():
                self._move((item.version, item.seq))

    def _move(self, offset: Offset) -> None:
        assert offset > self.cursor, f"{offset} came after {self.cursor}"
        skipped = [each for each in self.written if self.cursor < each < offset]
        for each in skipped:
            assert each in self.gone, f"{each} was missed"
            assert each <= self.told, f"{each} is gone, and nobody said so"
        self.cursor = offset

    def require_end(self) -> None:
        """Refuse a follower that has not seen everything that is there."""
        left = [each for each in self.written if each > self.cursor and each not in self.gone]
        assert not left, f"never came: {left}"


Follow: TypeAlias = Callable[[InlineLog, Offset], Subscription]


class Life:
    """One random life."""

    stream: Final = STREAM

    def __init__(self, seed: int, mine: Store, other: Store | None, follow: Follow) -> None:
        """``other``: what another process writes to, if there is one."""
        self._chance = Random(seed)
        self._time = VirtualTime()
        self._log = InlineLog(mine, self._time)
        self._other = other
        self._follow = follow
        self._folded = load(mine, STREAM)
        self._seq = 0
        self.model = Model()

    async def live(self, steps_count: int) -> Model:
        """Live, let the follower catch up, and look whether it has."""
        self._subscription = self._follow(self._log, START)
        self._pending: asyncio.Future[Item] | None = None
        steps = (self._facts, self._facts, self._activity, self._activity, self._trim, self._lose)
        followers = (self._take, self._take, self._take, self._wait, self._cancel, self._reopen)
        try:
            for _ in range(steps_count):
                self._chance.choice(steps)()
                for _ in range(self._chance.randrange(3)):
                    await asyncio.sleep(0)
                await self._chance.choice(followers)()
            for _ in range(5):
                await self._catch_up()
                await self._write_while_it_reads()
            await self._catch_up()
        finally:
            await self._stop()
        self.model.require_end()
        return self.model

    async def _write_while_it_reads(self) -> None:
        """Wake it for nothing, and write some turns of the loop later, once it has read."""
        self._log.wakes.wake([STREAM])
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        self._chance.choice((self._facts, self._activity))()

    @contextmanager
    def _store(self) -> Iterator[Store]:
        """Choose who writes: the follower's own log, which wakes it, or another process."""
        if self._other is not None and self._chance.random() < 0.5:
            yield self._other
        else:
            yield self._log.store
            self._log.wakes.wake([STREAM])

    def _facts(self) -> None:
        """Append some; what the follower's own log has appended is handed on to it."""
        other = self._other if self._chance.random() < 0.5 else None
        for _ in range(self._chance.choice((1, 1, 2, 5))):
            append, self._folded = one_more(self._folded, self._folded.version)
            result = (other or self._log.store).append([append])
            assert isinstance(result, Appended)
            if other is None:
                self._log.wakes.appended([append], result)
            self.model.written.append((self._folded.version, 0))
        self._seq = 0

    def _activity(self, *, is_after_loss: bool = False) -> None:
        if self._folded.version == 0:
            return
        count = self._chance.choice((0, 1, 2, 5))
        if is_after_loss:
            self._seq += 1
            self.model.written.append((self._folded.version, self._seq))
            # Nobody knows how much was lost, so everything in front of it is in doubt.
            self.model.gone.add((self._folded.version, self._seq))
        new = NewActivity(
            stream=STREAM,
            version=self._folded.version,
            generation=Generation(0),
            payloads=[b"x"] * count,
            at_ms=1,
            is_after_loss=is_after_loss,
        )
        with self._store() as store:
            store.append_activity(new)
        for _ in range(count):
            self._seq += 1
            self.model.written.append((self._folded.version, self._seq))

    def _lose(self) -> None:
        if self._chance.random() < 0.3:
            self._activity(is_after_loss=True)

    def _trim(self) -> None:
        records_max = self._chance.choice((0, 3, 10))
        window = ActivityWindow(records_max=records_max, age_ms_max=EVER)
        with self._store() as store:
            store.trim_activity(STREAM, window, 1)
        kept = [each for each in self.model.written if each[1] and each not in self.model.gone]
        self.model.gone.update(kept[: max(0, len(kept) - records_max)])

    async def _take(self) -> None:
        for _ in range(self._chance.choice((1, 5, 20))):
            if self._pending is None:
                self._pending = asyncio.ensure_future(anext(self._subscription))
            for _ in range(4):
                await asyncio.sleep(0)
            if not self._pending.done():
                return
            self.model.see(self._pending.result())
            self._pending = None
            assert self._subscription.cursor == self.model.cursor

    async def _wait(self) -> None:
        """Let the poller look once."""
        self._time.jump(60)
        for _ in range(4):
            await asyncio.sleep(0)

    async def _cancel(self) -> None:
        if self._pending is not None and not self._pending.done():
            self._pending.cancel()
            await asyncio.wait({self._pending})
            self._pending = None

    async def _reopen(self) -> None:
        if self._chance.random() < 0.3:
            await self._stop()
            self._subscription = self._follow(self._log, self.model.cursor)

    async def _stop(self) -> None:
        if self._pending is not None:
            if self._pending.done() and self._pending.exception() is None:
                self.model.see(self._pending.result())
            self._pending.cancel()
            await asyncio.wait({self._pending})
            self._pending = None
        await self._subscription.aclose()

    async def _catch_up(self) -> None:
        """Let the poller look, and take until nothing comes."""
        before = -1
        while len(self.model.seen) > before:
            before = len(self.model.seen)
            await self._wait()
            await self._take()
        self.model.require_end()
