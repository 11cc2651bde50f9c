"""A core on PostgreSQL: the loop never waits for a round trip, and the server tells the time."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from lash_es import LashCore
from lash_es.log.log import StoreLog
from tests.log.conformance import A, an_append
from tests.postgres.postgres_server import Database
from tests.session.host import host, run, texts
from tests.session.scripted import says, speaking
from tests.session.stores import names
from tests.session.trimming import SCENES, OpenStore

YEAR_MS = 365 * 86_400_000


def test_a_turn_is_run_and_another_core_reads_it(database: Database) -> None:
    async def scene() -> None:
        async with (
            host(database.store(), speaking(says("done"))) as core,
            core.session("s").open() as session,
        ):
            await asyncio.gather(*[session.enqueue(str(number)) for number in range(5)])
            assert (await session.turn("go")).result.assistant_message == "done"
            found = core.statistics()
            assert found.groups == found.groups_on_thread > 0
            assert found.store.appends == found.appends
        store = database.store()
        async with host(store) as later, later.session("s").open() as again:
            assert await texts(again) == [("user", "go"), ("assistant", "done")]
            assert len(await again.pending_turn_inputs()) == 5
            assert names(store)[-1] == "LeaseReleased"

    run(scene())


def test_a_url_opens_a_store_on_the_server(database: Database) -> None:
    async def scene() -> None:
        async with LashCore(model="m", store=database.url) as core:
            session = await core.session(f"only-here-{database.schema}")
            await session.enqueue("hello")
            assert core.statistics().store.facts == 2
            await session.close()
            assert await core.delete_session(session.session_id)

    run(scene())


def test_the_server_s_time_counts_and_not_the_host_s(database: Database) -> None:
    async def scene() -> None:
        log = StoreLog(database.store(), lambda: YEAR_MS)
        ((server_ms,),) = database.sql("SELECT extract(epoch FROM clock_timestamp()) * 1000")
        assert abs(log.now_ms() - server_ms) < YEAR_MS
        await log.aclose()

    run(scene())


def test_no_read_and_no_commit_is_made_on_the_loop(database: Database) -> None:
    async def scene() -> None:
        log = StoreLog(database.store(), lambda: 1)
        held = threading.Event()
        reading = asyncio.create_task(log.read(lambda _: held.wait(10)))
        await asyncio.sleep(0)
        # A read that takes its time holds up neither the loop nor who writes.
        await log.append([an_append(A, 0)])
        assert not reading.done()
        held.set()
        assert await reading
        await log.aclose()

    run(scene())


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_live(
    scene: Callable[[OpenStore, Path], Awaitable[None]], database: Database, tmp_path: Path
) -> None:
    async def played() -> None:
        await scene(database.store, tmp_path / "archive")

    run(played())
