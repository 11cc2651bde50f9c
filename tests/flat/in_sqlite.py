"""
Counts on SQLite, by what SQLite itself reports: statements, and steps of its virtual machine.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from benchmarks.counts import Watch
from benchmarks.long_sessions import Builder
from lash_es import Durability, SQLiteStore
from tests.flat.counting import Cost, Measured, costs, opened, size_of


def build(path: Path, rounds: int) -> None:
    """Make a session with so long a past."""
    with closing(SQLiteStore.open(path, create=True, durability=Durability.NORMAL)) as store:
        Builder(store).build(size_of(rounds))


def sqlite_costs(
    path: Path, rounds: int, kind: type[SQLiteStore] = SQLiteStore
) -> dict[str, Cost]:
    """Build a session with so long a past, and count what everything costs on it."""
    build(path, rounds)
    return asyncio.run(_costs(path, kind))


async def _costs(path: Path, kind: type[SQLiteStore]) -> dict[str, Cost]:
    watch = Watch(path)

    async def measure(work: Callable[[], Awaitable[object]]) -> Measured:
        found = await watch.counted(work)
        return {"commits": found.commits, "statements": found.statements, "steps": found.steps}

    with watch.watching():
        log = opened(kind.open(path, create=False, durability=Durability.NORMAL))
    try:
        with closing(SQLiteStore.open(path, create=False)) as reading:
            return await costs(log, reading, measure)
    finally:
        await log.aclose()
