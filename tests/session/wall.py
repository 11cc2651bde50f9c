"""A clock on the wall, which somebody sets; what sleeps and waits goes by the time behind it."""

from tests.session.virtual_time import VirtualTime

HOUR_MS = 3_600_000


class Wall(VirtualTime):
    """Tells the time with a difference that a test sets."""

    def __init__(self, time: VirtualTime, ahead_ms: int = 0) -> None:
        super().__init__()
        self._time = time
        self.ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return self._time.now_ms() + self.ahead_ms
