"""
Moving what was committed from the write-ahead log into the database, away from whoever commits.

Left to itself SQLite does so inside of every commit that finds the log long, and that commit
waits for a disk twice more. Here commits only count. When it is time, a thread with a connection
of its own does it while commits go on (``PASSIVE``: it waits for nobody, and nobody for it). The
next commit then begins the log again from its start, so the file keeps a steady size, and is not
cut: to grow it again costs more than to write over it.

Nothing depends on it: what is in the log is as durable as what is in the database, and is read
from there. What fails is tried again when it is time again.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Final

from attrs import frozen

COMMITS_PER_CHECKPOINT: Final = 128
"""An append is about eight pages, so this is where SQLite's own thousand pages would be."""

GROWTH_BYTES_MAX: Final = 4 * 1024 * 1024
"""By how much commits may let the file grow before it is time, however few they are."""

LOG_BYTES_MAX: Final = 16 * 1024 * 1024
"""
How long the log may be while commits never pause. Beyond it they are held up for the few pages
that are left (``RESTART``), or it would never begin again.
"""

HOLD_UP_MS_MAX: Final = 10
"""How long ``RESTART`` waits, and with it who commits, for somebody who still reads the log."""

_FRAME_HEADER_BYTES: Final = 24


@frozen(kw_only=True)
class CheckpointBounds:
    """When it is time; see the constants above."""

    commits_per_checkpoint: int = COMMITS_PER_CHECKPOINT
    growth_bytes_max: int = GROWTH_BYTES_MAX
    log_bytes_max: int = LOG_BYTES_MAX


DEFAULT_BOUNDS: Final = CheckpointBounds()


class Checkpoints:
    """
    Counts the commits of one store, and checkpoints its file now and then.

    Args:
        path: the database's.
        connect: makes the connection, on the thread and when it is first needed. Its durability
            is at least ``normal``: the log is synced before what it holds is moved.
        bounds: when it is time.
    """

    def __init__(
        self,
        path: Path,
        connect: Callable[[], sqlite3.Connection],
        bounds: CheckpointBounds = DEFAULT_BOUNDS,
    ) -> None:
        self._log_path = Path(f"{path}-wal")
        self._connect = connect
        self._bounds = bounds
        self._thread = ThreadPoolExecutor(1, "lash-es-checkpoints")
        self._connection: sqlite3.Connection | None = None
        self._under_way: Future[None] | None = None
        self._commits_count = 0
        self._bytes_seen = self._log_bytes()
        self.made_count = 0
        self.restarts_count = 0
        self.failures_count = 0

    def committed(self) -> None:
        """
        Count a commit, on the thread that made it, and ask for a checkpoint if it is time.

        Cost: one look at the size of a file, some microseconds.
        """
        self._commits_count += 1
        if not self._is_time() or not (self._under_way is None or self._under_way.done()):
            return
        self._commits_count = 0
        self._bytes_seen = self._log_bytes()
        self._under_way = self._thread.submit(self._checkpoint)

    def _is_time(self) -> bool:
        if self._commits_count >= self._bounds.commits_per_checkpoint:
            return True
        return self._log_bytes() - self._bytes_seen >= self._bounds.growth_bytes_max

    def _log_bytes(self) -> int:
        try:
            return self._log_path.stat().st_size
        except OSError:
            return 0  # Where it cannot be looked at, counting is left.

    def _checkpoint(self) -> None:
        try:
            if self._connection is None:
                self._connection = self._connect()
            log_bytes, is_all_moved = _checkpointed(self._connection, "PASSIVE")
            # Where a reader still needs the log, nobody can begin it again, and none is held up.
            if is_all_moved and log_bytes > self._bounds.log_bytes_max:
                _checkpointed(self._connection, "RESTART")
                self.restarts_count += 1
            self.made_count += 1
        except sqlite3.Error:
            self.failures_count += 1

    def settle(self) -> None:
        """Wait until what was asked for is done."""
        if self._under_way is not None:
            wait([self._under_way])

    def close(self) -> None:
        """End what is under way, and let connection and thread go; twice is once."""
        self._thread.shutdown()
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _checkpointed(connection: sqlite3.Connection, mode: str) -> tuple[int, bool]:
    """
    Checkpoint; returns how long the log is in bytes, and whether all that was in it is moved. Of a
    log that somebody else is checkpointing nothing is known.
    """
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    _, frames, moved = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
    return frames * (page_bytes + _FRAME_HEADER_BYTES), frames == moved
