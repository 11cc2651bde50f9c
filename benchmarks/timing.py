"""One slice of work, timed: so many operations, one after the other or by several tasks."""

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from attrs import frozen

Work: TypeAlias = Callable[[int], Awaitable[object]]
"""Does operation ``number``, counted from 0 and never repeated on one database."""

OPERATIONS_MIN: Final = 2


@frozen(kw_only=True)
class Timing:
    """What a slice took, in wall time: a commit is mostly waiting."""

    operations: int
    per_s: float
    p50_us: float
    p99_us: float


async def timed(
    work: Work, *, operations: int, tasks: int, seconds_max: float, first: int
) -> Timing:
    """
    Time a slice. What is so slow that the time is up does fewer operations, at least two.

    The garbage collector is left on, since it is in the product too; it runs before the slice.
    """
    numbers = iter(range(first, first + operations))
    taken_ns: list[int] = []
    gc.collect()
    started_ns = time.perf_counter_ns()
    until_ns = started_ns + int(seconds_max * 1e9)

    async def task() -> None:
        for number in numbers:
            began_ns = time.perf_counter_ns()
            await work(number)
            ended_ns = time.perf_counter_ns()
            taken_ns.append(ended_ns - began_ns)
            if ended_ns > until_ns and len(taken_ns) >= OPERATIONS_MIN:
                return

    if tasks == 1:
        await task()
    else:
        await asyncio.gather(*(task() for _ in range(tasks)))
    wall_ns = time.perf_counter_ns() - started_ns
    ordered = sorted(taken_ns)
    return Timing(
        operations=len(ordered),
        per_s=len(ordered) / wall_ns * 1e9,
        p50_us=statistics.median(ordered) / 1_000,
        p99_us=ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] / 1_000,
    )
