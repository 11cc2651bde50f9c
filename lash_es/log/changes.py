"""
How a store tells that something was committed, by whichever process. A hint: the store itself is
the truth, and whoever is woken for nothing reads and finds nothing.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.log.pages import Offset


@frozen(kw_only=True)
class Pace:
    """
    How often to look, in milliseconds: every ``busy_ms`` until nothing was seen for
    ``busy_for_ms``, then each time twice as late, up to ``idle_ms``.
    """

    busy_ms: int
    busy_for_ms: int
    idle_ms: int


class Ends:
    """Where streams ended when they were asked for last."""

    def __init__(self) -> None:
        self._known: Mapping[StreamId, Offset] = {}

    def know_all(self, watched: Collection[StreamId]) -> bool:
        """Tell whether all of these were asked for."""
        return self._known.keys() >= set(watched)

    def moved(self, ends: Mapping[StreamId, Offset]) -> Collection[StreamId]:
        """Return those that end elsewhere by now, or are new; the others are forgotten."""
        before, self._known = self._known, ends
        return [stream for stream, end in ends.items() if before.get(stream) != end]

    def moved_among(self, ends: Mapping[StreamId, Offset]) -> Collection[StreamId]:
        """Return the same of some of them, and remember the others as they were."""
        before, self._known = self._known, {**self._known, **ends}
        return [stream for stream, end in ends.items() if before.get(stream) != end]


class Changes(Protocol):
    """Looks for commits; used on one thread, and closed by whoever opened it."""

    @property
    def pace(self) -> Pace:
        """Say how often it is worth looking."""
        ...

    def fileno(self) -> int | None:
        """Return what becomes readable when it is time to look; none if nothing does."""
        ...

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        """
        Return which of these may have grown since the last look: rather too many than too few,
        and all that were not asked for before.

        Raises:
            StorageError: it cannot be known just now. The next look must not miss anything.

        Cost: where nothing was committed, no statement on the tables; otherwise one.
        """
        ...

    def close(self) -> None:
        """Look no more; twice is once."""
        ...
