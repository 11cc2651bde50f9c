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
    AppendResult,
    Conflict,
    StreamAppend,
)
from lash_es.log.errors import StoreBusy, StoreClosed
from lash_es.log.grouping import DEFAULT_BOUNDS, Bounds, GroupCommit
from lash_es.log.placing import INLINE_COMMIT_MS_MAX, CommitPlace, WaitsFor
from lash_es.log.port import Store
from lash_es.log.statistics import LogStatistics, LogTally
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
        self._now_ms = clock_ms if clock is None else StoreTime(clock, self._reader)
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

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """
        Append with whatever else is appended in this turn of the loop; answered after the commit.

        Cost: one turn of the loop, and a part of a transaction.
        """
        result = await self._writer.append(self._losses.marked(appends))
        self._losses.settle(appends, result)
        if not isinstance(result, Conflict):
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


def _in_turn(work: Callable[[Store], _R], store: Store, may_wait: bool) -> _R:
    if not may_wait and store.waits_for is not WaitsFor.NOTHING:
        raise StoreBusy(where=store.where, waited_ms=0)
    return work(store)


def _append_activity(new: NewActivity, store: Store, may_wait: bool) -> ActivityResult:
    return store.append_activity(new, may_wait=may_wait)
