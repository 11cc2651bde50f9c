"""
Whether a log's time can be believed: a clock that was set says nothing of how long ago a time was.

A clock is compared with one that nobody can set, the machine's boot-time clock. The difference,
and since when it holds, is an *anchor*. It is kept in the store for all processes of one boot, so
that also a process that was started after a jump finds out.
"""

from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

TOLERANCE_MS: Final = 2_000
"""By how much a clock may differ from what it was: it is slewed, and asked over a network."""
SINCE_BOOT: Final = 0
"""Since before anything of this boot was written: for as long as matters."""


@frozen(kw_only=True)
class ClockLook:
    """
    A log's time beside the boot-time clock: ahead of it by ``offset_ms`` when this said
    ``running_ms``.

    What is told may be ahead of that by ``ahead_ms`` while a fall is made up for, and other
    processes may go by a look that is ``lag_ms`` old.
    """

    offset_ms: int
    running_ms: int
    ahead_ms: int = 0
    lag_ms: int = 0


@frozen(kw_only=True)
class ClockAnchor:
    """A log's time was ahead of a boot's clock by so much, whenever it was looked at since."""

    boot_id: str
    offset_ms: int
    since_ms: int

    def agrees(self, other: "ClockAnchor") -> bool:
        """Tell whether both saw the same time."""
        return abs(self.offset_ms - other.offset_ms) <= TOLERANCE_MS

    def has_held_for(self, duration_ms: int, running_ms: int) -> bool:
        """Tell whether it holds for so long by now."""
        return self.since_ms == SINCE_BOOT or running_ms - self.since_ms >= duration_ms


def settled(kept: ClockAnchor | None, seen: ClockAnchor, running_ms: int) -> ClockAnchor:
    """Return the anchor that counts: the kept one, or what is seen, from now on if they differ."""
    if kept is None:
        return seen
    if kept.agrees(seen):
        return kept
    return ClockAnchor(boot_id=seen.boot_id, offset_ms=seen.offset_ms, since_ms=running_ms)


class AnchorKeeping(Protocol):
    """What a store keeps of clocks, for all processes that share it."""

    def read_anchor(self, boot_id: str) -> ClockAnchor | None:
        """Read the anchor of a boot; none if there is none."""
        ...

    def keep_anchor(
        self, seen: ClockAnchor, running_ms: int, *, may_wait: bool = True
    ) -> ClockAnchor:
        """
        Keep what was seen at ``running_ms``, as ``settled`` says, and return what counts.

        In a store of one machine the first anchor of a boot holds since that boot: whoever wrote
        under another one is no more. ``may_wait`` as for ``append_each``. Cost: one transaction.
        """
        ...


class Steadiness:
    """How a log's time has run in this process."""

    def __init__(
        self, look: Callable[[], ClockLook], boot_id: str, *, is_confirmed: bool = False
    ) -> None:
        """``is_confirmed`` says that a clock of another machine tells the same time."""
        self._look = look
        first = look()
        self._held = ClockAnchor(
            boot_id=boot_id,
            offset_ms=first.offset_ms,
            since_ms=SINCE_BOOT if is_confirmed else first.running_ms,
        )

    def look(self) -> tuple[ClockAnchor, ClockLook]:
        """Look at the clocks; returns since when they run as they do, and what was seen."""
        look = self._look()
        seen = ClockAnchor(
            boot_id=self._held.boot_id, offset_ms=look.offset_ms, since_ms=look.running_ms
        )
        self._held = settled(self._held, seen, look.running_ms)
        return self._held, look


def has_been_steady(anchor: ClockAnchor, look: ClockLook, duration_ms: int) -> bool:
    """
    Tell whether nobody has told another time for ``duration_ms``.

    Who goes by an old look notices a jump when it asks again, and that it does when it speaks: an
    owner, twice within the duration.
    """
    noticed_ms = look.lag_ms + duration_ms if look.lag_ms else 0
    is_level = look.ahead_ms <= TOLERANCE_MS
    return is_level and anchor.has_held_for(duration_ms + noticed_ms, look.running_ms)
