"""Times what a host does on a large database beside one that is as good as empty, in turns."""

import asyncio
import gc
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final

from lash_es.log.log import StoreLog
from tests.growth.building import Shape, build
from tests.growth.grounds import Ground
from tests.growth.operations import NOW_MS, Host

RATIO_MAX: Final = 1.3
MEMORY_MIB_MAX: Final = 16.0
"""By how much a process may be larger on the large database; caches are bounded, not equal."""

_SEED: Final = 6
_STATUS: Final = Path("/proc/self/status")
_CHANCES: Final = 2**31


async def timed(
    places: Mapping[str, tuple[Ground, Shape]], rounds: int
) -> dict[str, dict[str, float]]:
    """Do everything on each database in turns; returns the medians in microseconds."""
    chance, us = Random(_SEED), defaultdict[tuple[str, str], list[float]](list)
    logs = {name: opened(ground) for name, (ground, _) in places.items()}
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


def opened(ground: Ground) -> StoreLog:
    """Open a log on it."""
    return StoreLog(ground.store(create=False), lambda: NOW_MS)


def memory_mib(ground: Ground, shape: Shape, rounds: int) -> float:
    """Do everything in a process of its own; returns the most memory that it ever took."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_mib, (ground, shape, rounds))


def _peak_mib(ground: Ground, shape: Shape, rounds: int) -> float:
    asyncio.run(timed({"one": (ground, shape)}, rounds))
    return peak_mib()


def peak_mib() -> float:
    """
    Return the most memory that this process ever took; of the program that runs now. What
    ``getrusage`` says also counts the process that it was forked from.
    """
    status = dict(line.split(":", 1) for line in _STATUS.read_text("ascii").splitlines())
    return round(int(status["VmHWM"].split()[0]) / 1_024, 1)


def measure(
    grounds: tuple[Ground, Ground], small: Shape, large: Shape, rounds: int
) -> dict[str, object]:
    """Build both databases, and compare them."""
    places = {"empty": (grounds[0], small), "large": (grounds[1], large)}
    build_s: dict[str, float] = {}
    for name, (ground, shape) in places.items():
        started = time.monotonic()
        build(ground, shape)
        build_s[name] = round(time.monotonic() - started, 1)
    us = asyncio.run(timed(places, rounds))
    ratios = {name: round(us["large"][name] / us["empty"][name], 3) for name in us["large"]}
    mib = {name: memory_mib(*place, rounds) for name, place in places.items()}
    return {
        "facts": large.facts,
        "sessions": large.sessions,
        "facts of the empty one": small.facts,
        "MiB": round(grounds[1].size_bytes() / 2**20),
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
