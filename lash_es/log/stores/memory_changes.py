"""How users of one memory store are told of each other's commits."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.log.changes import Ends, Pace
from lash_es.log.pages import Offset

_PACE: Final = Pace(busy_ms=1, busy_for_ms=2_000, idle_ms=50)


class MemoryChanges:
    """What tells stores' users in one process of each other's commits."""

    def __init__(
        self,
        commits_count: Callable[[], int],
        ends: Callable[[Collection[StreamId]], Mapping[StreamId, Offset]],
    ) -> None:
        self._commits_count = commits_count
        self._ends_of = ends
        self._ends = Ends()
        self._seen = -1

    @property
    def pace(self) -> Pace:
        """Look as often as into a file."""
        return _PACE

    def fileno(self) -> None:
        """Say that nothing becomes readable."""

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        """Compare ends, if there was a commit at all."""
        before, self._seen = self._seen, self._commits_count()
        if self._seen == before and self._ends.know_all(watched):
            return ()
        return self._ends.moved(self._ends_of(watched))

    def close(self) -> None:
        """Have nothing to close."""
