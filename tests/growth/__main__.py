"""
The long form: ``python -m tests.growth`` builds 1,000,000 facts over 1,000 sessions, and then in
one, and times what a host does there beside a database that is as good as empty, in turns. The
ratios, and what a process takes in memory, are kept in ``tests/growth/results``, dated.
"""

import argparse
import asyncio
import gc
import json
import multiprocessing
import os
import platform
import resource
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from lash_es import Durability, SQLiteStore
from lash_es.log.log import StoreLog
from tests.growth.building import FACTS_PER_APPEND, Shape, build
from tests.growth.operations import NOW_MS, SESSIONS_PER_PAGE, Host

RESULTS: Final = Path(__file__).parent / "results"
RATIO_MAX: Final = 1.3
MEMORY_MIB_MAX: Final = 16.0
"""By how much a process may be larger on the large database; caches are bounded, not equal."""

_SEED: Final = 6
_CHANCES: Final = 2**31


async def timed(
    places: Mapping[str, tuple[Path, Shape]], rounds: int
) -> dict[str, dict[str, float]]:
    """Do everything on each database in turns; returns the medians in microseconds."""
    chance, us = Random(_SEED), defaultdict[tuple[str, str], list[float]](list)
    logs = {name: opened(path) for name, (path, _) in places.items()}
    hosts = {name: Host(logs[name], shape) for name, (_, shape) in places.items()}
    gc.disable()
    for turn in range(-rounds // 10, rounds):
        number = chance.randrange(_CHANCES)
        for name in sorted(places, reverse=turn % 2 == 0):
            for operation, work in hosts[name].operations.items():
                started_ns = time.perf_counter_ns()
                await work(number)
                if turn >= 0:
                    us[name, operation].append((time.perf_counter_ns() - started_ns) / 1_000)
        gc.collect(0)
    gc.enable()
    for log in logs.values():
        await log.aclose()
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for (name, operation), each in us.items():
        found[name][operation] = round(statistics.median(each), 1)
    return dict(found)


def opened(path: Path) -> StoreLog:
    """Open a log whose commits do not wait for the disk, so that nothing hides what they cost."""
    store = SQLiteStore.open(path, create=False, durability=Durability.NORMAL)
    return StoreLog(store, lambda: NOW_MS)


def memory_mib(path: Path, shape: Shape, rounds: int) -> float:
    """Do everything in a process of its own; returns the most memory that it ever took."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mib, (path, shape, rounds))


def _peak_mib(path: Path, shape: Shape, rounds: int) -> float:
    asyncio.run(timed({"one": (path, shape)}, rounds))
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1)


def measure(folder: Path, small: Shape, large: Shape, rounds: int) -> dict[str, object]:
    """Build both databases, and compare them."""
    places = {"empty": (folder / "empty.db", small), "large": (folder / "large.db", large)}
    build_s: dict[str, float] = {}
    for name, (path, shape) in places.items():
        started = time.monotonic()
        build(path, shape)
        build_s[name] = round(time.monotonic() - started, 1)
    us = asyncio.run(timed(places, rounds))
    ratios = {name: round(us["large"][name] / us["empty"][name], 3) for name in us["large"]}
    mib = {name: memory_mib(*place, rounds) for name, place in places.items()}
    return {
        "facts": large.facts,
        "sessions": large.sessions,
        "facts of the empty one": small.facts,
        "file MiB": round(places["large"][0].stat().st_size / 2**20),
        "seconds to build": build_s["large"],
        "p50 us": us,
        "ratios": ratios,
        "peak MiB": mib,
        "wrong": too_much(f"{large.sessions} sessions", ratios, mib),
    }


def too_much(what: str, ratios: Mapping[str, float], mib: Mapping[str, float]) -> Sequence[str]:
    """Say what grew by more than it may."""
    grown = [f"{what}: {name} {each}" for name, each in ratios.items() if each > RATIO_MAX]
    if mib["large"] - mib["empty"] > MEMORY_MIB_MAX:
        grown.append(f"{what}: {mib['empty']} and {mib['large']} MiB")
    return grown


def main(arguments: Sequence[str]) -> int:
    """Measure both shapes, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    found: list[dict[str, object]] = []
    for sessions, few in ((asked.sessions, min(asked.sessions, SESSIONS_PER_PAGE)), (1, 1)):
        large = Shape(sessions=sessions, appends=-(-asked.facts // sessions // FACTS_PER_APPEND))
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            small = Shape(sessions=few, appends=1)
            found.append(measure(Path(folder), small, large, asked.rounds))
        sys.stdout.write(f"{json.dumps(found[-1])}\n")
        sys.stdout.flush()
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "durability": "normal",
        "rounds": asked.rounds,
        "grown": found,
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"growth-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return 1 if any(each["wrong"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
