"""The log that the runtime uses: it commits in groups, at the time of the clock it was given."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lash_es.core.ids import Generation, Version
from lash_es.log.appends import ActivityAppended, Appended
from lash_es.log.errors import StoreClosed
from lash_es.log.log import StoreLog
from lash_es.log.port import Log
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import A, activity_of, an_append


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    store = SQLiteStore.open(tmp_path / "log.db", create=True)
    yield StoreLog(store, lambda: 1_234)
    store.close()


def test_an_append_is_there_when_it_is_acknowledged(log: Log) -> None:
    assert asyncio.run(log.append([an_append(A, 0)])) == Appended(versions=(Version(1),))
    assert log.store.head(A) is not None


def test_activity_is_written_at_the_log_s_time(log: Log) -> None:
    async def write() -> object:
        await log.append([an_append(A, 0)])
        return await log.append_activity(
            A, version=Version(1), generation=Generation(1), payloads=[b"x"]
        )

    assert asyncio.run(write()) == ActivityAppended(version=Version(1), seq=1)
    assert [each.at_ms for each in activity_of(log.store)] == [1_234]
    assert log.now_ms() == 1_234


@pytest.mark.parametrize("is_running", [False, True])
def test_a_cancelled_caller_appends_wholly_or_not_at_all(log: Log, *, is_running: bool) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(log.append([an_append(A, 0, 3)]))
        if is_running:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(cancel())
    head = log.store.head(A)
    # It was cancelled while it waited for this turn's commit, and that had it in it.
    assert (head is not None and head.version == 3) is is_running


def test_closing_the_log_closes_its_store(log: Log) -> None:
    asyncio.run(log.aclose())

    with pytest.raises(StoreClosed):
        log.store.head(A)
