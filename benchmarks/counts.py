"""
What each operation costs in things that can be counted, the same on every machine and every day.

Everything that could differ is held still: ids, salts and the clock are counters. SQLite itself
does the counting: it reports each statement, and each step of its virtual machine (a step or a few
for each row that is looked at, so that steps grow wherever rows read do).
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import define, field, frozen

from benchmarks.instant import Instant, search_documents
from benchmarks.our_lanes import Owned, owned_lane
from lash_es import Durability, LashCore
from lash_es.core.bodies import SALT_BYTES
from lash_es.core.commands import WithClaim
from lash_es.core.ids import SessionId
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.log.log import StoreLog
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.subscribing import FollowedLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.opening import open_session
from lash_es.runtime.world import World

_SESSION: Final = "session/1"
_NOW_MS: Final = 1_800_000_000_000
_WAL_HEADER_BYTES: Final = 32
_WAL_FRAME_BYTES: Final = 24 + 4_096

Operations: TypeAlias = Mapping[str, Callable[[], Awaitable[object]]]


@frozen(kw_only=True)
class Counts:
    """
    What one operation did.

    ``statements`` are without BEGIN and COMMIT; ``pages`` were written to the write-ahead log;
    ``steps`` are of SQLite's virtual machine.

    ``pages`` are right as long as the log has not been written to its end once, at 1,000 of them.
    """

    commits: int
    statements: int
    pages: int
    steps: int


@define
class Watch:
    """Counts what every connection does that is made while it watches."""

    path: Path
    statements: list[str] = field(factory=list)
    steps: int = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the connections that are made from now on, for as long as they live."""
        connect = sqlite3.connect

        def watched(*arguments: Any, **words: Any) -> sqlite3.Connection:  # noqa: ANN401 - its own
            connection: sqlite3.Connection = connect(*arguments, **words)
            connection.set_trace_callback(self.statements.append)
            connection.set_progress_handler(self._step, 1)
            return connection

        sqlite3.connect = watched  # type: ignore[assignment]  # its overloads are many
        try:
            yield
        finally:
            sqlite3.connect = connect

    def _step(self) -> int:
        self.steps += 1
        return 0

    async def counted(self, operation: Callable[[], Awaitable[object]]) -> Counts:
        """Run an operation and count what it does."""
        self.statements.clear()
        self.steps, pages = 0, self._pages()
        await operation()
        words = [statement.split(maxsplit=1)[0].upper() for statement in self.statements]
        control = sum(words.count(word) for word in ("BEGIN", "COMMIT", "ROLLBACK"))
        return Counts(
            commits=words.count("COMMIT"),
            statements=len(words) - control,
            pages=self._pages() - pages,
            steps=self.steps,
        )

    def _pages(self) -> int:
        """Count the pages in the log, by its size."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return max(0, log.stat().st_size - _WAL_HEADER_BYTES) // _WAL_FRAME_BYTES


def still_world() -> World:
    """Make a world whose ids and salts are counted, and whose time stands still as the log's."""
    tokens, salts = count(1), count(1)
    return World(
        monotonic_ms=lambda: 0,
        monotonic_ns=lambda: 0,
        token=lambda: f"{next(tokens):032x}",
        salt=lambda: next(salts).to_bytes(SALT_BYTES, "big"),
    )


def sqlite_counts(path: Path, history: int) -> dict[str, Counts]:
    """Count on a new database whose session has so many turns."""
    return asyncio.run(_sqlite_counts(path, history))


async def _sqlite_counts(path: Path, history: int) -> dict[str, Counts]:
    watch = Watch(path)
    with watch.watching():
        log = StoreLog(SQLiteStore.open(path, create=True), lambda: _NOW_MS)
    try:
        owned = await filled(log, history)
        return {
            name: await watch.counted(operation) for name, operation in operations(owned).items()
        }
    finally:
        await log.aclose()


async def filled(log: FollowedLog, history: int) -> Owned:
    """Make a session with so many turns, and own it."""
    owned = await owned_lane(log, _SESSION, still_world())
    for number in range(history):
        await owned.record_turn(number)
    return owned


def operations(owned: Owned) -> Operations:
    """List what is counted, in the order in which it is done."""
    claims: list[WithClaim] = []

    async def claim() -> None:
        claims.append(await owned.claim())

    return {
        "enqueue": lambda: owned.enqueue(0),
        "claim": claim,
        "complete": lambda: owned.complete(claims.pop()),
        "turn": lambda: owned.record_turn(0),
        "open": lambda: opened(owned.lane),
    }


def run_turn_counts(path: Path, history: int) -> tuple[Counts, ...]:
    """Count the turns that a host runs, on a new database whose session has so many turns."""
    return asyncio.run(_run_turn_counts(path, history))


async def _run_turn_counts(path: Path, history: int) -> tuple[Counts, ...]:
    store = SQLiteStore.open(path, create=True, durability=Durability.NORMAL)
    log = StoreLog(store, lambda: _NOW_MS)
    await (await filled(log, history)).release()
    await log.aclose()
    watch = Watch(path)
    with watch.watching():
        store = SQLiteStore.open(path, create=False)
    core = LashCore(
        model="m",
        provider=Instant(),
        store=store,
        tools=[search_documents],
        world=still_world(),
        clock_ms=lambda: _NOW_MS,
    )
    async with core, core.session(_SESSION).open() as session:
        turns = [session.turn(f"go on {number}", turn_id=f"run/{number}") for number in range(4)]
        return tuple([await watch.counted(turn.run) for turn in turns])


async def opened(lane: Lane) -> None:
    """Open the session as a process does that has never seen it."""
    fresh = Lane(lane.log, lane.stream, lane.world, lane.limits)
    policy = SessionPolicy(provider_id="instant", model=ModelSpec(model_id="m"))
    await open_session(fresh, policy)
    assert fresh.stream.session_id == SessionId(_SESSION)
