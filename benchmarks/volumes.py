"""W7: how many bytes a database keeps for each turn, over the bytes of the turn's messages."""

import asyncio
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Final

import orjson
import psycopg

from benchmarks import raw_postgres, raw_sqlite
from benchmarks.contests import Contender, Spread
from benchmarks.counts import still_world
from benchmarks.load import turn
from benchmarks.our_lanes import owned_lane
from benchmarks.ours import RUN_TURNS, TURNS
from benchmarks.places import Setting, StoreKind, place
from lash_es import Durability, SQLiteStore
from lash_es.log.log import StoreLog

TURNS_WRITTEN: Final = 200
_RAW: Final = {StoreKind.SQLITE: raw_sqlite.TURNS, StoreKind.POSTGRES: raw_postgres.TURNS}


def message_bytes(turns: int) -> int:
    """Add up the messages of so many turns, as compact JSON."""
    return sum(len(orjson.dumps(turn(number))) for number in range(turns))


async def volumes(kinds: Sequence[StoreKind]) -> Mapping[str, Spread]:
    """Measure what is kept, in two halves: what differs between them is not linear."""
    return {
        f"w7 {kind.value}, {contender.name}": await _volume(kind, contender)
        for kind in kinds
        for contender in (_RAW[kind], TURNS, RUN_TURNS)
    }


async def _volume(kind: StoreKind, contender: Contender) -> Spread:
    """Return bytes kept over bytes of messages; low and high are those of the two halves."""
    setting = Setting(
        kind=kind,
        durability=Durability.NORMAL,
        tasks=1,
        sessions=1,
        history=0,
        operations=2 * TURNS_WRITTEN,
    )
    with tempfile.TemporaryDirectory() as scratch, place(setting, Path(scratch)) as here:
        async with contender.prepare(here) as work:
            sizes = []
            for number in range(2 * TURNS_WRITTEN + 1):
                if number % TURNS_WRITTEN == 0:
                    sizes.append(kept_bytes(here))
                await work(number)
    said = message_bytes(TURNS_WRITTEN)
    halves = [(after - before) / said for before, after in pairwise(sizes)]
    return Spread(median=sum(halves) / 2, low=min(halves), high=max(halves))


def still_volume(path: Path, turns: int) -> tuple[int, int]:
    """Return what two stretches of so many turns keep on SQLite, the same every time."""
    return asyncio.run(_still_volume(path, turns))


async def _still_volume(path: Path, turns: int) -> tuple[int, int]:
    log = StoreLog(SQLiteStore.open(path, create=True), lambda: 1)
    lane = await owned_lane(log, "session/1", still_world())
    sizes = [file_bytes(path)]
    for number in range(2 * turns):
        await lane.record_turn(number)
        if (number + 1) % turns == 0:
            sizes.append(file_bytes(path))
    await log.aclose()
    return sizes[1] - sizes[0], sizes[2] - sizes[1]


def kept_bytes(setting: Setting) -> int:
    """Count what the database holds, without free pages and without its write-ahead log."""
    if setting.kind is StoreKind.POSTGRES:
        with psycopg.connect(setting.where, autocommit=True) as server:
            row = server.execute("SELECT pg_database_size(current_database())").fetchone()
            return 0 if row is None else int(row[0])
    return file_bytes(setting.file) if setting.file.exists() else 0


def file_bytes(path: Path) -> int:
    """Count the pages in use."""
    with closing(sqlite3.connect(path, timeout=10)) as connection:
        pages, free, size = (
            int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
            for pragma in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size
