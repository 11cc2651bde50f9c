"""
A log over one store, for the runtime.

What is appended in one turn of the event loop is one commit (``grouping.py``), made on the loop's
thread while that is short and otherwise on another (``placing.py``). What is read waits on the
loop's thread only for memory and for a file. The time is the store's, or that of a clock that is
handed in.

A caller that is cancelled while it waits leaves nothing half done: its append is there as a whole,
or not at all, and no other caller's is touched. Which of the two, it finds by reading: before the
commit has begun the append is withdrawn, afterwards it stands.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TypeVar

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, Version
from lash_es.log.activities import (
    DEFAULT_WINDOW,
    ActivityWindow,
    Losses,
    NewActivity,
    Pruning,
)
from lash_es.log.appends import (
    ActivityAppended,
    ActivityResult,
    Appended,
    AppendResult,
    StreamAppend,
    Unknown,
)
from lash_es.log.errors import StorageError, StoreBusy, StoreClosed
from lash_es.log.grouping import DEFAULT_BOUNDS, Bounds, GroupCommit
from lash_es.log.machines import running_ms as system_running_ms
from lash_es.log.placing import INLINE_COMMIT_MS_MAX, CommitPlace, WaitsFor
from lash_es.log.port import Store
from lash_es.log.statistics import LogStatistics, LogTally
from lash_es.log.steadiness import (
    TOLERANCE_MS,
    ClockAnchor,
    ClockLook,
    Steadiness,
    has_been_steady,
)
from lash_es.log.times import StoreTime
from lash_es.log.watching import Wakes

_R = TypeVar("_R")


class StoreLog:
    """
    A ``Log``; it owns the store and closes it.

    Args:
        store: where streams are kept.
        clock_ms: tells epoch milliseconds, unless the store has a time of its own.
        monotonic_ns: measures commits; a time that never falls, in nanoseconds.
        running_ms: the boot-time clock, with which ``clock_ms`` is compared.
        boot_id: names this boot of this machine; nothing where there is no name for it.
        inline_commit_ms_max: how long commits on the loop's thread may take.
        bounds: how many appends wait, and how many are one commit.
        activity_window: how much activity of a stream is kept.

    Raises:
        StorageError: the store's time cannot be asked.
    """

    def __init__(
        self,
        store: Store,
        clock_ms: Callable[[], int],
        *,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        running_ms: Callable[[], int] = system_running_ms,
        boot_id: str = "",
        inline_commit_ms_max: int = INLINE_COMMIT_MS_MAX,
        bounds: Bounds = DEFAULT_BOUNDS,
        activity_window: ActivityWindow = DEFAULT_WINDOW,
    ) -> None:
        self._store = store
        self._place = CommitPlace(store.waits_for, inline_commit_ms_max)
        self._tally = LogTally()
        self._reader = ThreadPoolExecutor(1, "lash-es-reader")
        self._writer = GroupCommit(
            store, self._place, self._tally, monotonic_ns=monotonic_ns, bounds=bounds
        )
        clock = store.clock()
        self._store_time = None if clock is None else StoreTime(clock, self._reader)
        self._now_ms = self._store_time or clock_ms
        self._steadiness = _steadiness(self._store_time, clock_ms, running_ms, boot_id)
        self._losses = Losses()
        self._pruning = Pruning(activity_window)
        self._wakes = Wakes(self.read, announces=store.waits_for is WaitsFor.NETWORK)
        self._closing: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def wakes(self) -> Wakes:
        """What wakes subscriptions."""
        return self._wakes

    @property
    def store(self) -> Store:
        """The synchronous side."""
        return self._store

    @property
    def tally(self) -> LogTally:
        """What is counted."""
        return self._tally

    def now_ms(self) -> int:
        """Tell the time of the store, or of the clock that was handed in. Cost: nothing waits."""
        return self._now_ms()

    async def keep_time(self) -> None:
        """
        Compare the clock with the one that other processes go by, and tell them if it is another.

        A store's own clock is the same for all. What cannot be kept now is kept the next time:
        without it others wait longer, and nothing is lost. Cost: one read.
        """
        if self._store_time is None:
            with suppress(StorageError):
                await self._anchored()

    async def is_steady_for(self, duration_ms: int) -> bool:
        """
        Tell whether time is known not to have jumped for so long, for all who share the store.

        It is not known while the store cannot be asked. Cost: one read, and asking for the time.
        """
        try:
            if self._store_time is not None:
                await self._store_time.ask()
            anchor, look = await self._anchored()
        except StorageError:
            return False
        return has_been_steady(anchor, look, duration_ms)

    async def _anchored(self) -> tuple[ClockAnchor, ClockLook]:
        seen, look = self._steadiness.look()
        kept = await self.read(lambda store: store.read_anchor(seen.boot_id))
        if kept is None or not kept.agrees(seen):
            kept = await self._writer.write(partial(_keep_anchor, seen, look.running_ms))
        return kept, look

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """
        Append with whatever else is appended in this turn of the loop; answered after the commit.

        Cost: one turn of the loop, and a part of a transaction.
        """
        marked = self._losses.marked(appends)
        result = await self._writer.append(marked)
        self._losses.settle(appends, result)
        if isinstance(result, Appended):
            self._wakes.appended(marked, result)
        elif isinstance(result, Unknown):
            self._wakes.wake(append.stream for append in appends)
        return result

    async def append_activity(
        self,
        stream: StreamId,
        *,
        version: Version,
        generation: Generation,
        payloads: Sequence[bytes],
    ) -> ActivityResult:
        """
        Add activity at the log's time, in a transaction of its own, which now and then prunes.

        What is raised from here was lost: the next thing that is written to the stream says so.
        """
        at_ms = self.now_ms()
        new = NewActivity(
            stream=stream,
            version=version,
            generation=generation,
            payloads=payloads,
            at_ms=at_ms,
            is_after_loss=stream in self._losses,
            window=self._pruning.window_for(stream, len(payloads), at_ms),
        )
        try:
            result = await self._writer.write(partial(_append_activity, new))
        except BaseException:
            self._losses.add(stream)
            raise
        if isinstance(result, ActivityAppended):
            self._losses.told(stream)
            self._wakes.wake([stream])
        return result

    def lose_activity(self, stream: StreamId) -> None:
        """Take note that activity was given up: the next thing that is written says so."""
        self._losses.add(stream)

    async def read(self, work: Callable[[Store], _R]) -> _R:
        """Read at once from memory or a file, on a thread of its own from a server."""
        if self._is_closed:
            raise StoreClosed(where=self._store.where)
        if self._place.reads_inline:
            return work(self._store)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, work, self._store)

    async def write(self, work: Callable[[Store], _R]) -> _R:
        """
        Write what is no append, such as a trim, in turn with the appends: a store has one writer.

        Raises what ``work`` does. Cost: a hop to the thread, since nobody knows how long it takes.
        """
        return await self._writer.write(partial(_in_turn, work))

    def statistics(self) -> LogStatistics:
        """Say how it serves its callers."""
        return self._tally.statistics(
            appends_waiting=self._writer.waiting_count,
            is_inline=self._place.is_inline,
            store=self._store.statistics(),
        )

    async def aclose(self) -> None:
        """
        Commit what waits, wait for who reads, close the store; whatever comes is ``StoreClosed``.
        """
        self._writer.refuse()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        # Who stops waiting stops neither a commit that is under way nor what comes after it.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._wakes.aclose()  # While it can still announce.
        self._is_closed = True
        await self._writer.aclose()
        if not self._place.reads_inline:
            # It is served in order: when nothing was done, everything before it was.
            await asyncio.get_running_loop().run_in_executor(self._reader, bool)
        self._reader.shutdown()
        self._store.close()
        self._wakes.wake_everybody()


def _steadiness(
    store_time: StoreTime | None,
    clock_ms: Callable[[], int],
    running_ms: Callable[[], int],
    boot_id: str,
) -> Steadiness:
    """Begin to compare: the store's time, or else the clock that is handed in."""

    def look() -> ClockLook:
        now_ms = running_ms()
        return ClockLook(offset_ms=clock_ms() - now_ms, running_ms=now_ms)

    if store_time is None:
        return Steadiness(look, boot_id)
    is_confirmed = abs(store_time() - clock_ms()) <= TOLERANCE_MS
    return Steadiness(store_time.look, boot_id, is_confirmed=is_confirmed)


def _in_turn(work: Callable[[Store], _R], store: Store, may_wait: bool) -> _R:
    if not may_wait and store.waits_for is not WaitsFor.NOTHING:
        raise StoreBusy(where=store.where, waited_ms=0)
    return work(store)


def _keep_anchor(seen: ClockAnchor, running_ms: int, store: Store, may_wait: bool) -> ClockAnchor:
    return store.keep_anchor(seen, running_ms, may_wait=may_wait)


def _append_activity(new: NewActivity, store: Store, may_wait: bool) -> ActivityResult:
    return store.append_activity(new, may_wait=may_wait)
