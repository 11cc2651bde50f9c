"""Followers in processes of their own, on one file that others write and prune meanwhile."""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from lash_es.core.ids import Version
from lash_es.log.appends import Activity
from lash_es.log.loading import Fact
from lash_es.log.log import StoreLog
from lash_es.log.pages import Offset
from lash_es.log.stores.sqlite import SQLiteStore
from lash_es.log.subscribing import Gap, GapReason, Item
from tests.log.following import followed, require_no_silent_hole, write_and_prune

FACTS_COUNT = 120


def follow(path: str, facts_count: int) -> list[Item]:
    """Live as a process that follows, until so many facts have come."""

    async def live() -> list[Item]:
        log = StoreLog(SQLiteStore.open(path, create=False), lambda: 1)
        items = await followed(log, facts_count)
        await log.aclose()
        return items

    return asyncio.run(live())


def write(path: str, facts_count: int) -> list[Offset]:
    """Live as a process that writes; returns the offsets of all its activity."""
    store = SQLiteStore.open(path, create=False)
    offsets = write_and_prune(store, facts_count)
    store.close()
    return offsets


@pytest.fixture
def pool() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.log.test_following"])
    with ProcessPoolExecutor(4, mp_context=context) as made:
        yield made


def test_followers_in_several_processes_see_every_fact_once_and_no_silent_hole(
    tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    path = str(tmp_path / "log.db")
    SQLiteStore.open(path, create=True).close()
    following = [pool.submit(follow, path, FACTS_COUNT) for _ in range(3)]
    # One process after the other: the second one goes on where the first one stopped.
    halves = [pool.submit(write, path, FACTS_COUNT // 2).result() for _ in range(2)]
    written = [offset for half in halves for offset in half]

    for future in following:
        items = future.result(timeout=60)
        facts = [item.position for item in items if isinstance(item, Fact)]
        assert facts == list(range(FACTS_COUNT))
        require_no_silent_hole(items, written)


def _activity(seq: int) -> Activity:
    return Activity(version=Version(1), seq=seq, at_ms=1, payload=b"x")


def _gap(kept: int) -> Gap:
    start, end = (Version(0), 0), (Version(1), 9)
    return Gap(
        reason=GapReason.TRIMMED,
        asked=start,
        kept=(Version(1), kept),
        latest=end,
        goes_on=start,
    )


@pytest.mark.parametrize(
    "seen",
    [
        [_activity(1), _activity(3)],
        [_activity(1), _activity(1), _activity(2), _activity(3)],
        [_activity(2), _activity(1), _activity(3)],
        [_gap(1), _activity(1), _activity(3)],
        [_activity(1), _activity(2), _activity(3), _activity(4)],
    ],
    ids=["a hole", "twice", "out of order", "a gap elsewhere", "never written"],
)
def test_the_check_of_holes_catches(seen: Sequence[Item], tmp_path: Path) -> None:
    path = str(tmp_path / "log.db")
    SQLiteStore.open(path, create=True).close()
    write(path, 2)
    facts = follow(path, 2)
    last = [item for item in facts if isinstance(item, Fact)][-1:]
    written = [(Version(1), seq) for seq in (1, 2, 3)]
    require_no_silent_hole([_gap(2), _activity(1), _activity(3), *last], written)

    with pytest.raises(AssertionError):
        require_no_silent_hole([*seen, *last], written)
