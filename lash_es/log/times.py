"""
The time that a store owns, told on the loop's thread and asked for on another.

A server is asked now and then, on the thread that reads; in between its time is told by this
process's monotonic clock. So nobody waits for a round trip in order to know what time it is.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future

from lash_es.log.errors import StorageError
from lash_es.log.port import ClockReading, StoreClock
from lash_es.log.steadiness import ClockLook


class StoreTime:
    """Tells a store's time in epoch milliseconds; call it from one thread."""

    def __init__(self, clock: StoreClock, reader: Executor) -> None:
        self._clock = clock
        self._reader = reader
        self._asked: Future[ClockReading] | None = None

    def __call__(self) -> int:
        """Tell the time; take a reading that has come, or ask for one that is due."""
        if self._asked is not None and self._asked.done():
            self._clock.take(_reading(self._asked.result))
            self._asked = None
        elif self._asked is None and self._clock.is_due:
            self._asked = self._reader.submit(self._clock.ask)
        return self._clock.told_ms()

    async def ask(self) -> None:
        """
        Ask now, and go by the answer.

        Raises:
            StorageError: the store cannot be asked.
        """
        self._asked = None  # What was asked before is older.
        self._clock.take(await asyncio.wrap_future(self._reader.submit(self._clock.ask)))

    def look(self) -> ClockLook:
        """Compare it, as it was asked last, with the machine's boot-time clock."""
        return self._clock.look()


def _reading(result: Callable[[], ClockReading]) -> ClockReading | None:
    try:
        return result()
    except StorageError:
        return None  # It is asked again when it is due again.
