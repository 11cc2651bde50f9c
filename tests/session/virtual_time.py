"""
A clock that moves when a test says so, with its sleepers in the order of their deadlines.

``advance`` wakes each sleeper at its own time and lets it work, as a computer that runs does.
``jump`` moves the clock in one leap, as for a process that was frozen: whoever slept wakes late.
"""

import asyncio
import heapq
from itertools import count

from lash_es import World

_SETTLING_ROUNDS = 50
"""How often the loop may turn until whoever was woken waits again."""


class VirtualTime:
    """Epoch and monotonic milliseconds, together."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self._now_ms = now_ms
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._numbers = count()

    def now_ms(self) -> int:
        return self._now_ms

    def world(self) -> World:
        """Make a world that lives by this clock; ids and salts stay random."""
        return World(monotonic_ms=self.now_ms, monotonic_ns=self._now_ns, sleep_ms=self.sleep_ms)

    def _now_ns(self) -> int:
        return self._now_ms * 1_000_000

    async def sleep_ms(self, duration_ms: int) -> None:
        waker = asyncio.get_running_loop().create_future()
        due_ms = self._now_ms + duration_ms
        heapq.heappush(self._sleepers, (due_ms, next(self._numbers), waker))
        await waker

    async def advance(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self._now_ms + duration_ms
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end_ms:
            self._now_ms = max(self._now_ms, self._sleepers[0][0])
            self._wake_due()
            await settle()
        self._now_ms = end_ms
        await settle()

    def jump(self, duration_ms: int) -> None:
        """Be somewhere else in time; sleepers that are due wake at the loop's next turn."""
        self._now_ms += duration_ms
        self._wake_due()

    def forget_sleepers(self) -> None:
        """Let nobody wake who sleeps now: their process is stopped."""
        self._sleepers.clear()

    def _wake_due(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._now_ms:
            waker = heapq.heappop(self._sleepers)[2]
            if not waker.done():
                waker.set_result(None)


async def settle() -> None:
    """Let everything run that can run without waiting for a clock."""
    for _ in range(_SETTLING_ROUNDS):
        await asyncio.sleep(0)
