"""What one soak is: which processes write to and follow which sessions, where, for how long."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId
from lash_es.log.port import Store

TASKS_PER_PROCESS: Final = 5


class Ground(Protocol):
    """Where a soak takes place; it goes to other processes, so it can be pickled."""

    def store(self, *, create: bool = True) -> Store:
        """Open a store of one's own on it."""
        ...


@frozen(kw_only=True)
class Plan:
    """
    ``processes`` write for ``seconds`` to blocks of ``sessions`` each.

    Each block is written to by two processes, which race, and followed by two: by the one that
    writes it, which is also woken at once, and by one that never does. ``activity_kept`` records
    of a stream are kept. A task pauses up to ``pause_ms_max`` after each write, a slow follower
    up to ``slow_s``.
    """

    ground: Ground
    processes: int
    sessions: int
    seconds: float
    pause_ms_max: int
    seed: int
    activity_kept: int = 6
    slow_s: float = 1

    def written_by(self, process: int) -> Sequence[StreamId]:
        """List the sessions that a process appends to."""
        return (*self._block(process), *self._block(process + 1))

    def followed_by(self, process: int) -> Sequence[StreamId]:
        """List the sessions that a process follows."""
        return (*self._block(process), *self._block(process + 2))

    def task_sessions(self, process: int, task: int) -> Sequence[StreamId]:
        """List those of one task: no two tasks of a process write to one session."""
        return self.written_by(process)[task::TASKS_PER_PROCESS]

    def _block(self, number: int) -> Sequence[StreamId]:
        block = number % self.processes
        return [
            StreamId("default", SessionId(f"b{block}/{each}")) for each in range(self.sessions)
        ]


Tell = Callable[..., None]
"""Writes one line of a ledger: a JSON array."""
