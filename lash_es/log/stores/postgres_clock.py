"""
The server's clock, as every process that uses one log reads it: leases are judged by it.

Asking costs a round trip, so the difference to our own monotonic clock is measured now and then
and added in between. Our own wall clock is never read: a host whose clock is wrong steals no
lease.
"""

import time
from collections.abc import Callable
from typing import Final

from lash_es.log.errors import StorageError

MEASURED_EVERY_MS: Final = 30_000
_MEASUREMENTS: Final = 3


class ServerClock:
    """
    Tells the server's time in epoch milliseconds; it never falls.

    Where the server's clock turns out to be behind what was told already, time goes on at half its
    speed until that is made up for: nobody sees it fall or stand still.
    """

    def __init__(
        self,
        server_us: Callable[[], int],
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        measured_every_ms: int = MEASURED_EVERY_MS,
    ) -> None:
        """
        Measure for the first time.

        Raises:
            StorageError: the server cannot be asked.
        """
        self._server_us = server_us
        self._monotonic_ns = monotonic_ns
        self._measured_every_us = measured_every_ms * 1_000
        self._ahead_us = 0
        self.uncertainty_us = 0
        self._measured_us, self._offset_us = self._measurement()

    def now_ms(self) -> int:
        """Tell the time; now and then this asks the server, and goes on without its answer."""
        now_us = self._monotonic_ns() // 1_000
        if now_us - self._measured_us >= self._measured_every_us:
            self._measure_again(now_us)
        return self._told_us(self._monotonic_ns() // 1_000) // 1_000

    def _told_us(self, now_us: int) -> int:
        ahead_us = self._ahead_us - (now_us - self._measured_us) // 2
        return now_us + self._offset_us + max(0, ahead_us)

    def _measure_again(self, now_us: int) -> None:
        try:
            measured_us, offset_us = self._measurement()
        except StorageError:
            # The last difference still holds; it is asked again when it is due again.
            measured_us, offset_us = now_us, self._offset_us
        told_us = self._told_us(measured_us)
        self._measured_us, self._offset_us = measured_us, offset_us
        self._ahead_us = max(0, told_us - (measured_us + offset_us))

    def _measurement(self) -> tuple[int, int]:
        """Return when it was measured and the difference, of the shortest of some round trips."""
        trips = [self._round_trip() for _ in range(_MEASUREMENTS)]
        length_us, measured_us, offset_us = min(trips)
        self.uncertainty_us = length_us // 2
        return measured_us, offset_us

    def _round_trip(self) -> tuple[int, int, int]:
        """Ask once. It was answered on the way, so the middle is at most half a trip wrong."""
        before_us = self._monotonic_ns() // 1_000
        server_us = self._server_us()
        after_us = self._monotonic_ns() // 1_000
        return after_us - before_us, after_us, server_us - (before_us + after_us) // 2
