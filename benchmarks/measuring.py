"""How everything here is measured: variants take turns on the same work, each on each piece."""

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import orjson
from attrs import frozen

RESULTS: Final = Path(__file__).parent / "results"

_P = TypeVar("_P")
Result: TypeAlias = dict[str, object]


@frozen
class Samples:
    """Microseconds of CPU per item, one sample a piece of work, in the order of the pieces."""

    us: tuple[float, ...]

    @property
    def summary(self) -> Result:
        """How many, and how long in the middle and at the slow end."""
        ordered = sorted(self.us)
        return {
            "n": len(ordered),
            "median_us": round(statistics.median(ordered), 3),
            "p99_us": round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], 3),
        }


def interleaved(
    pieces: Sequence[_P],
    items_per_piece: int,
    variants: Mapping[str, Callable[[_P], object]],
    *,
    rounds: int,
) -> dict[str, Samples]:
    """
    Time every variant on every piece of work, one right after the other.

    The order turns round from piece to piece, so that no variant always finds the caches warm. One
    round before the first is thrown away. The garbage collector runs between pieces only.
    """
    us: dict[str, list[float]] = {name: [] for name in variants}
    ways = (tuple(variants.items()), tuple(variants.items())[::-1])
    for number in range(-1, rounds):
        gc.collect()
        gc.disable()
        for index, piece in enumerate(pieces):
            for name, work in ways[(index + number) % 2]:
                taken_us = _timed_us(work, piece) / items_per_piece
                if number >= 0:
                    us[name].append(taken_us)
        gc.enable()
    return {name: Samples(tuple(each)) for name, each in us.items()}


def _timed_us(work: Callable[[_P], object], piece: _P) -> float:
    """Count this thread's own time: what other processes take away is no cost of the work."""
    started_ns = time.thread_time_ns()
    work(piece)
    return (time.thread_time_ns() - started_ns) / 1_000


def ratio(measured: Mapping[str, Samples], over: str, under: str) -> Result:
    """Compare two variants piece by piece: how many times longer the first takes."""
    pairs = zip(measured[over].us, measured[under].us, strict=True)
    quarters = statistics.quantiles([a / b for a, b in pairs], n=4)
    return {
        "of": f"{over} / {under}",
        "median": round(quarters[1], 3),
        "middle_half": [round(quarters[0], 3), round(quarters[2], 3)],
    }


def summaries(measured: Mapping[str, Samples]) -> Result:
    """Summarize each variant."""
    return {name: samples.summary for name, samples in measured.items()}


def machine() -> Result:
    """Say where this was measured; nothing that names the machine itself."""
    return {
        "cpus": os.cpu_count(),
        "load_1_minute": round(os.getloadavg()[0], 1),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
    }


def write(name: str, date: str, result: Result) -> Path:
    """Write a result where it is committed."""
    path = RESULTS / f"{name}-{date}.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    return path


def chunked(items: Sequence[_P], size: int) -> Iterable[Sequence[_P]]:
    """Cut into pieces of one size; what is left over is left out."""
    whole = len(items) - len(items) % size
    return (items[start : start + size] for start in range(0, whole, size))
