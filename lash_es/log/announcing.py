"""
Hints to other processes that streams have grown: after commits, off their path, a few at a time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from lash_es.codec.streams import StreamId
from lash_es.log.errors import StorageError
from lash_es.log.port import Store

_R = TypeVar("_R")

ANNOUNCED_EVERY_MS: Final = 5
"""What grows within this time of a hint is in the next one."""


class Reading(Protocol):
    """Runs what does not write, where it does not hold the loop up: ``Log.read``."""

    async def __call__(self, work: Callable[[Store], _R], /) -> _R:
        """Return what ``work`` returns."""
        ...


class Announcing:
    """What is still to be announced; the first one goes out at the loop's next turn."""

    def __init__(self, read: Reading, sleep_ms: Callable[[int], Awaitable[None]]) -> None:
        self._read = read
        self._sleep_ms = sleep_ms
        self._streams: set[StreamId] = set()
        self._task: asyncio.Task[None] | None = None

    def add(self, streams: Iterable[StreamId]) -> None:
        """Announce these soon."""
        self._streams.update(streams)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def aclose(self) -> None:
        """Announce the rest."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._announce()

    async def _run(self) -> None:
        while self._streams:
            await self._announce()
            await self._sleep_ms(ANNOUNCED_EVERY_MS)

    async def _announce(self) -> None:
        if not self._streams:
            return
        streams, self._streams = self._streams, set()
        # It is a hint: who does not hear it looks a second later.
        with suppress(StorageError):
            await self._read(lambda store: store.announce(streams))
