"""
Group commit: what is appended in one turn of the event loop is one commit.

1. Writes wait for the loop's next turn, in which ``flush`` commits all of them. Who waits runs on
   in that same turn: alone or not, an append costs one turn of the loop.
2. A commit is made inline or on the writing thread (``placing.py``). Inline it never waits for a
   lock: if another process holds it, the thread does the waiting, and the loop goes on.
3. One commit is under way at a time, since a store has one writer. What arrives meanwhile is the
   next group.
4. A group that fails as a whole has written nothing: then each of its writes is made alone, so
   that a bad one fails by itself; unless what failed is the store.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.errors import StoreClosed, TooManyAppendsWaiting
from lash_es.log.pending import Append, Committed, Failed, Group, Other, Pending, commit
from lash_es.log.placing import CommitPlace
from lash_es.log.port import Store
from lash_es.log.statistics import LogTally

APPENDS_WAITING_MAX: Final = 10_000
"""How many writes wait for a commit; one more is refused."""

APPENDS_PER_GROUP_MAX: Final = 256
"""How many appends one commit holds: the lock is not kept for longer than they take."""


@frozen(kw_only=True)
class Bounds:
    """How much a group commit holds."""

    appends_waiting_max: int = APPENDS_WAITING_MAX
    appends_per_group_max: int = APPENDS_PER_GROUP_MAX


DEFAULT_BOUNDS: Final = Bounds()
_R = TypeVar("_R")
_Loop: TypeAlias = asyncio.AbstractEventLoop


class GroupCommit:
    """
    The one writer of a store: gathers writes, commits them in groups, and answers each.

    Used on one loop at a time; a later loop may use it after the first has ended.
    """

    def __init__(
        self,
        store: Store,
        place: CommitPlace,
        tally: LogTally,
        *,
        monotonic_ns: Callable[[], int],
        bounds: Bounds = DEFAULT_BOUNDS,
    ) -> None:
        self._store = store
        self._place = place
        self._tally = tally
        self._monotonic_ns = monotonic_ns
        self._bounds = bounds
        self._appends: deque[Append] = deque()
        self._others: deque[Other] = deque()
        self._thread = ThreadPoolExecutor(1, "lash-es-writer")
        self._loop: _Loop | None = None
        self._is_due = False
        self._under_way: Future[Committed] | None = None
        self._is_closed = False

    @property
    def waiting_count(self) -> int:
        """How many writes wait for their commit to begin."""
        return len(self._appends) + len(self._others)

    async def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """
        Append with the next group.

        Raises:
            StoreClosed, TooManyAppendsWaiting: it was not taken, and is not written.
        """
        pending: Append = Pending(appends, self._monotonic_ns())
        self._require_room()
        self._appends.append(pending)
        self._call_flush()
        return await pending.answered()

    async def write(self, work: Callable[[Store, bool], _R]) -> _R:
        """
        Write something else with the next group, in a transaction of its own.

        ``work`` is given the store, and whether it may wait for a lock; one that may not raises
        ``StoreBusy``, and is called again on the thread. Raises as ``append`` and ``work`` do.
        """
        results: list[_R] = []

        def keep(store: Store, may_wait: bool) -> None:
            results.append(work(store, may_wait))

        pending: Other = Pending(keep, self._monotonic_ns())
        self._require_room()
        self._others.append(pending)
        self._call_flush()
        await pending.answered()
        return results[0]

    def _require_room(self) -> None:
        if self._is_closed:
            raise StoreClosed(where=self._store.where)
        if self.waiting_count >= self._bounds.appends_waiting_max:
            self._tally.refusals += 1
            raise TooManyAppendsWaiting(
                where=self._store.where, appends_waiting_max=self._bounds.appends_waiting_max
            )

    def _call_flush(self) -> None:
        loop = self._loop = self._loop_at_hand()
        if not self._is_due and self._under_way is None:
            self._is_due = True
            loop.call_soon(self._flush)

    def _loop_at_hand(self) -> _Loop:
        """Return the loop; where it is another one than before, what the last one left is over."""
        loop = asyncio.get_running_loop()
        if self._loop is not None and loop is not self._loop:
            if self._under_way is not None:
                wait([self._under_way])
            self._under_way = None
            self._is_due = False
        return loop

    def _flush(self) -> None:
        """Commit what waits: here, or on the thread."""
        self._is_due = False
        group = self._group()
        if self._place.is_inline:
            committed = self._committed(group, may_wait=False)
            self._settle(group, committed, is_inline=True)
            group = group.after(committed)
        if group:
            self._send(group)
        elif self.waiting_count:
            self._call_flush()

    def _group(self) -> Group:
        """Take what is committed together; whoever no longer waits is left out."""
        others = [each for each in self._others if not each.is_withdrawn]
        self._others.clear()
        appends: list[Append] = []
        while self._appends and len(appends) < self._bounds.appends_per_group_max:
            append = self._appends.popleft()
            if not append.is_withdrawn:
                appends.append(append)
        return Group(others, appends)

    def _committed(self, group: Group, *, may_wait: bool) -> Committed:
        began_ns = self._monotonic_ns()
        committed = commit(self._store, group, may_wait=may_wait)
        committed.duration_us = (self._monotonic_ns() - began_ns) // 1_000
        return committed

    def _send(self, group: Group) -> None:
        """Commit on the thread, and hear of it on the loop."""
        future = self._thread.submit(self._committed, group, may_wait=True)
        self._under_way = future
        future.add_done_callback(partial(self._hand_back, self._loop_at_hand(), group))

    def _hand_back(self, loop: _Loop, group: Group, future: Future[Committed]) -> None:
        with suppress(RuntimeError):  # The loop has ended, and with it whoever waited.
            loop.call_soon_threadsafe(self._came_back, group, future)

    def _came_back(self, group: Group, future: Future[Committed]) -> None:
        self._under_way = None
        self._settle(group, future.result(), is_inline=False)
        self._flush()

    def _settle(self, group: Group, committed: Committed, *, is_inline: bool) -> None:
        """Answer everyone, and count."""
        now_ns = self._monotonic_ns()
        if committed.others or committed.appends:
            self._place.measured(committed.duration_us)
        for other, answer in zip(group.others, committed.others, strict=False):
            other.settle(answer)
        for append, result in zip(group.appends, committed.appends, strict=False):
            append.settle(result)
            latency_us = (now_ns - append.since_ns) // 1_000
            self._tally.answered(None if isinstance(result, Failed) else result, latency_us)
        if committed.appends:
            self._tally.grouped(len(committed.appends), is_inline=is_inline)

    def refuse(self) -> None:
        """Take nothing more; what waits is still committed."""
        self._is_closed = True

    async def aclose(self) -> None:
        """Take nothing more, commit what waits, and let the thread go; twice is once."""
        self.refuse()
        self._loop = self._loop_at_hand()
        while self._under_way is not None or self.waiting_count:
            if self._under_way is None:
                self._flush()
            if self._under_way is not None:
                # Not `await` alone: who stops waiting here must not stop the commit.
                await asyncio.wait([asyncio.wrap_future(self._under_way)])
        self._thread.shutdown()
