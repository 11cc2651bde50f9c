"""
What many who look on cost the one who writes: inputs are enqueued at 50 a second into a session of
a log in memory, while 0, 100 and 1 000 streams of one process follow it.

``python -m benchmarks.onlookers``; reports the time to the acknowledgement, and of the processor.
"""

import asyncio
import time

from attrs import frozen

from lash_es import LashCore, ObservableSession, SessionCursor

EVENTS_COUNT = 50
PERIOD_S = 0.02


@frozen
class Cost:
    """What a run took: acknowledgements in microseconds, and the processor in seconds."""

    p50_us: int
    p90_us: int
    processor_s: float


async def follow(watching: ObservableSession, start: SessionCursor) -> None:
    async with watching.subscribe_and_recover(start) as stream:
        for _ in range(EVENTS_COUNT):
            await anext(stream)


async def measured(onlookers_count: int) -> Cost:
    async with (
        LashCore(model="m") as core,
        core.session("s").open() as session,
        session.observe() as watching,
    ):
        start = (await watching.current_observation()).cursor
        following = [asyncio.create_task(follow(watching, start)) for _ in range(onlookers_count)]
        await asyncio.sleep(0.5)
        acknowledged: list[float] = []
        processor = time.process_time()
        for number in range(EVENTS_COUNT):
            began = time.perf_counter()
            await session.enqueue(str(number))
            acknowledged.append(time.perf_counter() - began)
            await asyncio.sleep(max(0.0, began + PERIOD_S - time.perf_counter()))
        await asyncio.gather(*following)
        processor = time.process_time() - processor
    acknowledged.sort()
    return Cost(
        p50_us=round(acknowledged[EVENTS_COUNT // 2] * 1e6),
        p90_us=round(acknowledged[EVENTS_COUNT * 9 // 10] * 1e6),
        processor_s=round(processor, 3),
    )


def main() -> None:
    for onlookers_count in (0, 100, 1_000):
        print(f"{onlookers_count:5} onlookers: {asyncio.run(measured(onlookers_count))}")


if __name__ == "__main__":
    main()
