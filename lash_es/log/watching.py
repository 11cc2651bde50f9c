"""
Who waits for a stream to grow, and what wakes them: this log's own commits at once, those of other
processes by one poller a log, whatever the number of those who wait.

A wake-up is a hint. Whoever waits reads the store first, and reads it again when it is woken; a
wake-up that comes between the two is kept. So none is lost, and one for nothing costs a read.

What this log has just committed is handed on with its wake-up, together with the place in the
stream that it followed: whoever stands exactly there need not read it (ADR 0027).
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Final
from weakref import WeakSet

from attrs import frozen

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.log import polling
from lash_es.log.announcing import Announcing, Reading
from lash_es.log.appends import Appended, StreamAppend
from lash_es.log.pages import Offset
from lash_es.log.polling import Poller

HANDED_MAX: Final = 16
"""How many appends wait for one who does not take them; with one more all of them are read."""


@frozen
class Handed:
    """Records that were committed, and where the stream had ended in front of them."""

    after: Offset
    records: tuple[Record, ...]


class Watcher:
    """One who waits for a stream."""

    def __init__(self, stream: StreamId) -> None:
        self.stream: Final = stream
        self._woken = asyncio.Event()
        self._handed: list[Handed] = []
        self._is_to_read = True

    @property
    def is_to_read(self) -> bool:
        """Tell whether there was a reason to read since ``about_to_read``; at first there is."""
        return self._is_to_read

    def about_to_read(self) -> None:
        """Take what comes from now on as a reason to read again."""
        self._is_to_read = False
        self._woken.clear()

    def wake(self) -> None:
        """Let it read again."""
        self._is_to_read = True
        self._woken.set()

    def hand(self, handed: Handed) -> None:
        """Wake it, and save it the reading if it stands where these records begin."""
        if len(self._handed) == HANDED_MAX:
            self._handed.clear()
            self._is_to_read = True
        elif not self._is_to_read:
            self._handed.append(handed)
        self._woken.set()

    def take(self) -> Sequence[Handed]:
        """Take what was handed on, in the order of commits; for who has no reason to read."""
        handed, self._handed = self._handed, []
        self._woken.clear()
        return handed

    async def wait(self) -> None:
        """Wait for a reason; one that came since ``about_to_read`` is one."""
        await self._woken.wait()


class Wakes:
    """
    The wake-ups of one log, which calls ``wake`` after each commit; used on one event loop.

    Its poller lives from the first watcher to the last one.
    """

    def __init__(
        self,
        read: Reading,
        *,
        announces: bool,
        monotonic_ms: Callable[[], int] = polling.monotonic_ms,
        sleep_ms: Callable[[int], Awaitable[None]] = polling.sleep_ms,
    ) -> None:
        """``announces``: other processes wait for hints."""
        self._poller = Poller(
            read,
            self._watched,
            self._wake_here,
            monotonic_ms=monotonic_ms,
            sleep_ms=sleep_ms,
        )
        self._announcing = Announcing(read, sleep_ms) if announces else None
        # Weak, so that a subscription that nobody closed keeps no poller alive.
        self._watchers: dict[StreamId, WeakSet[Watcher]] = {}
        self._polling: asyncio.Task[None] | None = None

    def wake(self, streams: Iterable[StreamId]) -> None:
        """Let those who wait for these streams read, here and in other processes."""
        grown = tuple(streams)
        self._wake_here(grown)
        if self._announcing is not None:
            self._announcing.add(grown)

    def appended(self, appends: Sequence[StreamAppend], result: Appended) -> None:
        """Hand on what was committed, as far as the store says where it followed."""
        if len(result.seqs) != len(appends):
            self.wake([append.stream for append in appends])
            return
        for append, seq in zip(appends, result.seqs, strict=True):
            watchers = self._watchers.get(append.stream)
            if watchers:
                handed = Handed((append.expected_version, seq), append.records)
                for watcher in watchers:
                    # What could not be written in front of it is a gap, which a page tells.
                    watcher.wake() if append.is_after_loss else watcher.hand(handed)
        if self._announcing is not None:
            self._announcing.add([append.stream for append in appends])

    def watch(self, stream: StreamId) -> Watcher:
        """Begin to wait for a stream."""
        watcher = Watcher(stream)
        self._watchers.setdefault(stream, WeakSet()).add(watcher)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poller.run())
        return watcher

    async def leave(self, watcher: Watcher) -> None:
        """Wait no more; the last one who leaves stops the poller. Twice is once."""
        self._watchers.get(watcher.stream, WeakSet[Watcher]()).discard(watcher)
        watcher.wake()
        if not self._watched():
            await self._stop_polling()

    async def aclose(self) -> None:
        """Announce the rest and look no more; twice is once."""
        if self._announcing is not None:
            await self._announcing.aclose()
        await self._stop_polling()

    def wake_everybody(self) -> None:
        """Let everybody here read once more: the log is closed, and they find out."""
        self._wake_here(self._watched())

    async def _stop_polling(self) -> None:
        polling_task, self._polling = self._polling, None
        if polling_task is not None:
            polling_task.cancel()
            await asyncio.wait({polling_task})

    def _watched(self) -> Collection[StreamId]:
        """Return what is waited for, and forget what nobody waits for."""
        self._watchers = {stream: each for stream, each in self._watchers.items() if each}
        return self._watchers.keys()

    def _wake_here(self, streams: Iterable[StreamId]) -> None:
        for stream in streams:
            for watcher in self._watchers.get(stream, ()):
                watcher.wake()
