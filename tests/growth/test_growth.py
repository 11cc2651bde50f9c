"""
A database of many facts costs no statement and no row more than a small one: counted, at two
sizes, over many sessions and in one long one.
"""

import asyncio
import multiprocessing
from functools import partial
from pathlib import Path

import pytest

from benchmarks.counts import Counts, Watch
from lash_es import SQLiteStore
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.appends import StoredSnapshot
from lash_es.log.log import StoreLog
from tests.growth.building import FACTS_PER_APPEND, Shape, build
from tests.growth.grounds import File
from tests.growth.measuring import measure, peak_mib, too_much
from tests.growth.operations import NOW_MS, Host

PAGE = 8
SMALL_AND_LARGE = {
    "over many sessions": (Shape(sessions=PAGE, appends=1), Shape(sessions=3 * PAGE, appends=2)),
    "in one session": (Shape(sessions=1, appends=1), Shape(sessions=1, appends=24)),
}


class NoSnapshots(SQLiteStore):
    """Folds everything, each time."""

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        assert stream.key
        assert version_max >= 0
        return None


def counts(
    path: Path, shape: Shape, kind: type[SQLiteStore] = SQLiteStore
) -> list[dict[str, Counts]]:
    """Build a database, and count what is done on its first and on its last session."""

    async def count_them() -> list[dict[str, Counts]]:
        log = StoreLog(kind.open(path, create=False), lambda: NOW_MS)
        host = Host(log, shape, PAGE)
        found = [
            {
                name: await watch.counted(partial(work, number))
                for name, work in host.operations.items()
            }
            for number in (0, shape.sessions - 1)
        ]
        await log.aclose()
        return found

    build(File(path), shape)
    watch = Watch(path)
    with watch.watching():
        return asyncio.run(count_them())


@pytest.mark.parametrize("shapes", SMALL_AND_LARGE.values(), ids=SMALL_AND_LARGE.keys())
def test_statements_and_rows_do_not_grow(tmp_path: Path, shapes: tuple[Shape, Shape]) -> None:
    small, large = (
        counts(tmp_path / f"{number}.db", shape) for number, shape in enumerate(shapes)
    )

    assert [_of(each) for each in large] == [_of(each) for each in small]
    assert all(each["open"].steps > 0 for each in large)


def _of(each: dict[str, Counts]) -> dict[str, tuple[int, int]]:
    return {name: (found.statements, found.steps) for name, found in each.items()}


def test_a_store_that_folds_everything_is_caught(tmp_path: Path) -> None:
    small, large = (
        counts(tmp_path / f"{number}.db", shape, NoSnapshots)
        for number, shape in enumerate(SMALL_AND_LARGE["in one session"])
    )

    assert large[0]["open"].steps > 10 * small[0]["open"].steps


def test_the_long_form_measures_and_judges(tmp_path: Path) -> None:
    small, large = (Shape(sessions=1, appends=appends) for appends in (1, 3))
    grounds = (File(tmp_path / "small.db"), File(tmp_path / "large.db"))
    found = measure(grounds, small, large, rounds=2)

    assert found["facts"] == 3 * FACTS_PER_APPEND
    assert {"ratios", "peak MiB", "seconds to build"} <= found.keys()


def test_what_grows_is_named() -> None:
    assert too_much("it", {"open": 1.3}, {"empty": 50.0, "large": 60.0}) == []
    assert too_much("it", {"open": 1.31}, {"empty": 50.0, "large": 60.0}) == ["it: open 1.31"]
    assert too_much("it", {}, {"empty": 50.0, "large": 70.0}) == ["it: 50.0 and 70.0 MiB"]


def test_what_another_process_took_is_not_counted() -> None:
    ballast = b"x" * (200 * 2**20)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(peak_mib)

    assert found < len(ballast) / 2**20 < peak_mib()
