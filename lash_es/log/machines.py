"""What all processes of one boot of a machine have in common: a clock, and the boot's name."""

import time
from pathlib import Path
from typing import Final

_BOOT_CLOCK: Final[int | None] = getattr(
    time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None)
)
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def running_ns() -> int:
    """
    Tell how long the machine has been running, in nanoseconds, sleep included where it is told.

    No setting of a clock moves it.
    """
    return time.monotonic_ns() if _BOOT_CLOCK is None else time.clock_gettime_ns(_BOOT_CLOCK)


def running_ms() -> int:
    """Tell the same in milliseconds."""
    return running_ns() // 1_000_000


def boot_id(path: Path = _BOOT_ID) -> str:
    """Name this boot of this machine; nothing where the system has no name for it."""
    try:
        return path.read_text("ascii").strip()
    except OSError:
        return ""
