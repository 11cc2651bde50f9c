"""
Looking for commits of other processes: often while something happens, and seldom otherwise.

One poller serves everybody who waits on a log. It works on a connection of its own.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.log.announcing import Reading
from lash_es.log.changes import Changes, Pace
from lash_es.log.errors import StorageError
from lash_es.log.port import Store

UNKNOWN_PACE: Final = Pace(busy_ms=1_000, busy_for_ms=0, idle_ms=1_000)
"""While the store cannot be asked at all."""


class Rhythm:
    """How long to pause between two looks."""

    def __init__(self, now_ms: int) -> None:
        self._moved_at_ms = now_ms
        self._pause_ms = 0

    def pause_ms(self, pace: Pace, now_ms: int, *, has_moved: bool) -> int:
        """Return the pause after a look at which something had moved, or nothing."""
        if has_moved:
            self._moved_at_ms = now_ms
        if now_ms - self._moved_at_ms < pace.busy_for_ms:
            self._pause_ms = pace.busy_ms
        else:
            self._pause_ms = min(pace.idle_ms, max(pace.busy_ms, 2 * self._pause_ms))
        return self._pause_ms


def monotonic_ms() -> int:
    """Read the system's monotonic clock."""
    return time.monotonic_ns() // 1_000_000


async def sleep_ms(duration_ms: int) -> None:
    """Wait on the event loop."""
    await asyncio.sleep(duration_ms / 1_000)


class Poller:
    """
    Looks until nobody watches any more, and calls ``moved`` with the streams that may have grown.
    """

    def __init__(
        self,
        read: Reading,
        watched: Callable[[], Collection[StreamId]],
        moved: Callable[[Collection[StreamId]], None],
        *,
        monotonic_ms: Callable[[], int] = monotonic_ms,
        sleep_ms: Callable[[int], Awaitable[None]] = sleep_ms,
    ) -> None:
        self._read = read
        self._watched = watched
        self._moved = moved
        self._monotonic_ms = monotonic_ms
        self._sleep_ms = sleep_ms
        self._changes: Changes | None = None

    async def run(self) -> None:
        """Look, pause, look again."""
        rhythm = Rhythm(self._monotonic_ms())
        try:
            while watched := self._watched():
                moved = await self._look(watched)
                self._moved(moved)
                pace = UNKNOWN_PACE if self._changes is None else self._changes.pace
                pause_ms = rhythm.pause_ms(pace, self._monotonic_ms(), has_moved=bool(moved))
                await self._pause(pause_ms)
        finally:
            await self._close()

    async def _look(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        try:
            return await self._read(lambda store: self._moved_in(store, watched))
        except StorageError:
            return watched  # Each of them reads now, and finds what is wrong.

    def _moved_in(self, store: Store, watched: Collection[StreamId]) -> Collection[StreamId]:
        """Look, where the log reads; opened there, too, so that it is closed there at the end."""
        if self._changes is None:
            self._changes = store.changes()
        return self._changes.moved(watched)

    async def _pause(self, duration_ms: int) -> None:
        fileno = None if self._changes is None else self._changes.fileno()
        if fileno is None:
            await self._sleep_ms(duration_ms)
        else:
            await _readable(fileno, duration_ms)

    async def _close(self) -> None:
        try:
            await self._read(lambda _: self._close_changes())
        except StorageError:
            self._close_changes()  # The log is closed, so nobody reads any more.

    def _close_changes(self) -> None:
        if self._changes is not None:
            self._changes.close()
        self._changes = None


async def _readable(fileno: int, wait_ms: int) -> None:
    """Wait until there is something to read, or for so long where the loop cannot tell."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    try:
        loop.add_reader(fileno, is_readable.set)
    except NotImplementedError:
        await asyncio.sleep(wait_ms / 1_000)
    else:
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_ms / 1_000):
                    await is_readable.wait()
        finally:
            loop.remove_reader(fileno)
