"""The whole life of a process that writes and follows."""

import asyncio
import time
from contextlib import ExitStack
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.log.activities import ActivityWindow
from lash_es.log.log import StoreLog
from lash_es.log.pages import Offset
from lash_es.log.port import Store
from tests.soak.following import Followers
from tests.soak.ledgers import ledger
from tests.soak.plans import TASKS_PER_PROCESS, Plan
from tests.soak.writing import Writer

BARRIER_WAIT_S: Final = 120
CATCH_UP_S: Final = 180
_HEADS: Final = 10_000
_AGE_MS: Final = 10**9


def write_and_follow(
    plan: Plan, process: int, folder: Path, start: Barrier, written: Barrier
) -> None:
    """Write and follow, and when everybody has written, follow to the end."""
    asyncio.run(_write_and_follow(plan, process, folder, start, written))


async def _write_and_follow(
    plan: Plan, process: int, folder: Path, start: Barrier, written: Barrier
) -> None:
    window = ActivityWindow(records_max=plan.activity_kept, age_ms_max=_AGE_MS)
    log = StoreLog(plan.ground.store(create=False), _now_ms, activity_window=window)
    with ExitStack() as files:
        did = files.enter_context(ledger(folder / f"{process}.did"))
        saw = files.enter_context(ledger(folder / f"{process}.saw"))
        await asyncio.to_thread(start.wait, BARRIER_WAIT_S)
        followers = Followers(plan, process, log, saw)
        following = followers.start()
        until_s = time.monotonic() + plan.seconds
        writers = [Writer(plan, process, task, log, did) for task in range(TASKS_PER_PROCESS)]
        await asyncio.gather(*(writer.write_until(until_s) for writer in writers))
        await asyncio.to_thread(written.wait, BARRIER_WAIT_S)
        await followers.caught_up(await log.read(_ends), CATCH_UP_S)
        for task in following:
            task.cancel()
        ended = await asyncio.gather(*following, return_exceptions=True)
        if failed := [each for each in ended if not isinstance(each, asyncio.CancelledError)]:
            raise RuntimeError(f"followers ended: {failed!r}")
        did("statistics", repr(log.statistics()))
        await log.aclose()


def _ends(store: Store) -> dict[StreamId, Offset]:
    heads = store.heads("default", after="", heads_max=_HEADS)
    return {head.stream: (head.version, head.activity_seq) for head in heads}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
