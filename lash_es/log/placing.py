"""
Where a log does its work: on the loop's thread, or on a thread of its own.

A hop to a thread and back costs as much as four short commits; a commit that is long holds the
whole loop up. So a store says what its calls wait for, and for a disk it is measured.
"""

from collections import deque
from enum import Enum
from typing import Final

INLINE_COMMIT_MS_MAX: Final = 1
"""A commit on the loop's thread should not take longer."""

COMMITS_MEASURED: Final = 512
"""How many of the last commits are judged."""


class WaitsFor(Enum):
    """What a store's calls wait for."""

    NOTHING = "nothing"
    """Memory: everything is done on the loop's thread."""
    DISK = "disk"
    """A file: reads are served from the page cache, and commits are measured."""
    NETWORK = "network"
    """A server: a round trip must not hold the loop up, so nothing is done on its thread."""


class DurabilityTier(Enum):
    """What outlives the process that wrote it."""

    INLINE = "inline"
    """Nothing."""
    DURABLE = "durable"
    """Whatever was acknowledged."""


def tier_of(waits_for: WaitsFor) -> DurabilityTier:
    """Tell what a store keeps: what waits for nothing is nowhere but in the process."""
    return DurabilityTier.INLINE if waits_for is WaitsFor.NOTHING else DurabilityTier.DURABLE


class CommitPlace:
    """
    Decides where the next commit is made, from how long the last ones took. Pure: it reads no
    clock.

    1. Inline while the 99th hundredth of the last ``COMMITS_MEASURED`` is under
       ``inline_commit_ms_max``. A store that was not measured yet counts as quick.
    2. A commit that took more than twice that moves the next one to the thread, whatever the
       others took; the next one that is quick brings it back, unless too many were slow (1). So a
       lone spike, such as a checkpoint, costs one hop.
    """

    def __init__(
        self, waits_for: WaitsFor, inline_commit_ms_max: int = INLINE_COMMIT_MS_MAX
    ) -> None:
        self._waits_for = waits_for
        self._inline_us_max = inline_commit_ms_max * 1_000
        self._were_slow = deque[bool](maxlen=COMMITS_MEASURED)
        self._slow_count = 0
        self._is_last_too_slow = False

    @property
    def is_inline(self) -> bool:
        """Tell whether the next commit is made on the loop's thread."""
        if self._waits_for is not WaitsFor.DISK:
            return self._waits_for is WaitsFor.NOTHING
        return not self._is_last_too_slow and self._slow_count <= COMMITS_MEASURED // 100

    @property
    def reads_inline(self) -> bool:
        """Tell whether reads are made on the loop's thread."""
        return self._waits_for is not WaitsFor.NETWORK

    def measured(self, duration_us: int) -> None:
        """Take note of a commit, wherever it was made."""
        is_slow = duration_us >= self._inline_us_max
        if len(self._were_slow) == COMMITS_MEASURED:
            self._slow_count -= self._were_slow[0]
        self._were_slow.append(is_slow)
        self._slow_count += is_slow
        self._is_last_too_slow = duration_us > 2 * self._inline_us_max
