"""
What do an enqueued input and a turn cost a host, beside the commits that they cannot do without?

``python -m benchmarks.turns`` runs a session on a SQLite file at durability ``full`` with a model
that answers at once, and right after each operation the raw floor: the same number of commits
of the same number of bytes on a plain ``sqlite3`` connection. Wall time, since a commit is mostly
waiting for the disk; the ratio is per operation, in one interleaved run, on a warm
write-ahead log.
"""

import asyncio
import datetime as dt
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from attrs import frozen

from benchmarks.measuring import Result, machine, write
from lash_es import LashCore, LashSession, ModelReply, ModelRequest, ProsePart, SQLiteStore
from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.port import Store
from lash_es.runtime.providers import DeltaSink

WARM_UPS: Final = 300
OPERATIONS: Final = 400
TEXT: Final = "x" * 200

Operation: TypeAlias = Callable[[], Awaitable[object]]


@frozen
class Instant:
    """A provider whose model answers at once."""

    kind: str = "instant"

    def check(self, model_id: str) -> None:
        """Every name will do."""

    async def request(self, request: ModelRequest, on_delta: DeltaSink) -> ModelReply:
        """Say the same to everyone."""
        del request, on_delta
        return ModelReply(parts=(ProsePart(text=TEXT),))

    async def aclose(self) -> None:
        """There is nothing to close."""


class Floor:
    """A plain connection at the same durability, with a table of the shape of a fact."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE facts (position INTEGER PRIMARY KEY, state BLOB)")

    def commit(self, sizes: Sequence[int]) -> None:
        """Commit once for each size, with as many bytes."""
        for size in sizes:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO facts (state) VALUES (?)", (os.urandom(size),))
            self._connection.execute("COMMIT")


class Sizes:
    """Notes how many bytes each commit of the real store holds."""

    def __init__(self, store: Store) -> None:
        self.of_commits: list[int] = []
        self._append = store.append

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        """Commit, and note the bytes of the facts and their bodies."""
        facts = sum(len(record.stored) for append in appends for record in append.records)
        bodies = sum(len(body.content) for append in appends for body in append.bodies)
        self.of_commits.append(facts + bodies)
        return self._append(appends)


async def measured(operation: Operation, floor: Floor, sizes: Sizes) -> Result:
    """Time an operation and its floor in turn."""
    ours, raw = [], []
    for number in range(WARM_UPS + OPERATIONS):
        sizes.of_commits.clear()
        started_ns = time.perf_counter_ns()
        await operation()
        between_ns = time.perf_counter_ns()
        floor.commit(sizes.of_commits)
        ended_ns = time.perf_counter_ns()
        if number >= WARM_UPS:
            ours.append((between_ns - started_ns) / 1_000)
            raw.append((ended_ns - between_ns) / 1_000)
    quarters = statistics.quantiles([a / b for a, b in zip(ours, raw, strict=True)], n=4)
    return {
        "n": OPERATIONS,
        "commits": len(sizes.of_commits),
        "bytes": sum(sizes.of_commits),
        "median_us": round(statistics.median(ours), 1),
        "p99_us": round(sorted(ours)[OPERATIONS * 99 // 100], 1),
        "floor_median_us": round(statistics.median(raw), 1),
        "ratio_median": round(quarters[1], 2),
        "ratio_middle_half": [round(quarters[0], 2), round(quarters[2], 2)],
    }


async def _drained(session: LashSession) -> None:
    """Keep the queue short: a session whose inputs nobody takes is another question."""
    while await session.queued_turn() is not None:
        continue


async def _questions(folder: Path) -> Result:
    store = SQLiteStore.open(folder / "log.db", create=True)
    sizes = Sizes(store)
    store.append = sizes.append  # type: ignore[method-assign]  # notes sizes, changes nothing
    floor = Floor(folder / "floor.db")
    async with LashCore(model="m", provider=Instant(), store=store) as core:
        async with core.session("enqueue").open() as session:
            enqueued = await measured(lambda: session.enqueue(TEXT), floor, sizes)
            await _drained(session)
        short = await _first_turns(core, floor, sizes)
    return {"enqueue": enqueued, "turn, no tools, on a new session": short}


async def _first_turns(core: LashCore, floor: Floor, sizes: Sizes) -> Result:
    """Each turn on a session of its own: how a turn grows with its history is another question."""
    opened = [await core.session(f"turn/{number}") for number in range(WARM_UPS + OPERATIONS)]
    waiting = iter(opened)
    result = await measured(lambda: next(waiting).turn(TEXT).run(), floor, sizes)
    for session in opened:
        await session.close()
    return result


def main(date: str) -> Path:
    """Measure, and write the result."""
    with tempfile.TemporaryDirectory() as folder:
        questions = asyncio.run(_questions(Path(folder)))
    result: Result = {
        "question": "an input and a turn at durability full, beside their bare commits",
        "date": date,
        "command": "python -m benchmarks.turns",
        "machine": machine(),
        "measured": questions,
    }
    return write("turns", date, result)


if __name__ == "__main__":
    today = dt.datetime.now(tz=dt.UTC).date().isoformat()
    print(main(sys.argv[1] if len(sys.argv) > 1 else today).read_text("utf-8"))
