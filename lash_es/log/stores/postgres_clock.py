"""
The server's clock, as every process that uses one log reads it: leases are judged by it.

Asking costs a round trip, so the difference to our own monotonic clock is measured now and then
and added in between. Our own wall clock is never read: a host whose clock is wrong steals no
lease.
"""

from collections.abc import Callable
from typing import Final

from lash_es.log.errors import StorageError
from lash_es.log.machines import running_ns
from lash_es.log.port import ClockReading
from lash_es.log.steadiness import ClockLook

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
        monotonic_ns: Callable[[], int] = running_ns,
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
        reading = self.ask()
        self._measured_us = reading.measured_us
        self._offset_us = reading.offset_us
        self._ahead_us = 0
        self.uncertainty_us = reading.uncertainty_us

    def now_ms(self) -> int:
        """Tell the time; now and then this asks the server, and goes on without its answer."""
        if self.is_due:
            try:
                reading = self.ask()
            except StorageError:
                reading = None
            self.take(reading)
        return self.told_ms()

    def told_ms(self) -> int:
        """Tell the time without asking."""
        return self._told_us(self._now_us()) // 1_000

    @property
    def is_due(self) -> bool:
        """Tell whether the server should be asked again."""
        return self._now_us() - self._measured_us >= self._measured_every_us

    def ask(self) -> ClockReading:
        """
        Ask the server, and change nothing: it may be asked on another thread.

        Raises:
            StorageError: it cannot be asked.
        """
        trips = [self._round_trip() for _ in range(_MEASUREMENTS)]
        length_us, measured_us, offset_us = min(trips)
        return ClockReading(
            measured_us=measured_us, offset_us=offset_us, uncertainty_us=length_us // 2
        )

    def take(self, reading: ClockReading | None) -> None:
        """Go by a new reading; without one the last difference holds until it is due again."""
        now_us = self._now_us()
        told_us = self._told_us(now_us)
        self._measured_us = now_us
        if reading is not None:
            self._offset_us = reading.offset_us
            self.uncertainty_us = reading.uncertainty_us
        self._ahead_us = max(0, told_us - (now_us + self._offset_us))

    def look(self) -> ClockLook:
        """Compare the server's clock, as it was asked last, with this machine's."""
        now_us = self._now_us()
        return ClockLook(
            offset_ms=self._offset_us // 1_000,
            running_ms=now_us // 1_000,
            ahead_ms=(self._told_us(now_us) - now_us - self._offset_us) // 1_000,
            lag_ms=self._measured_every_us // 1_000,
        )

    def _now_us(self) -> int:
        return self._monotonic_ns() // 1_000

    def _told_us(self, now_us: int) -> int:
        ahead_us = self._ahead_us - (now_us - self._measured_us) // 2
        return now_us + self._offset_us + max(0, ahead_us)

    def _round_trip(self) -> tuple[int, int, int]:
        """Ask once. It was answered on the way, so the middle is at most half a trip wrong."""
        before_us = self._monotonic_ns() // 1_000
        server_us = self._server_us()
        after_us = self._monotonic_ns() // 1_000
        return after_us - before_us, after_us, server_us - (before_us + after_us) // 2
