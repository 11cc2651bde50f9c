"""Where a core keeps its log, what it says of it, and how it lets it go."""

import asyncio
import traceback
from pathlib import Path

import pytest

from lash_es import LashCore
from lash_es.log.errors import StoreClosed, StoreUnavailable
from tests.session.host import host, run
from tests.session.scripted import says, speaking
from tests.session.stores import InMemory, Place

SECRET = "hunter" + "2"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_url_is_a_server_and_is_never_repeated(scheme: str) -> None:
    url = f"{scheme}://me:{SECRET}@127.0.0.1:1/nowhere?connect_timeout=2"
    with pytest.raises(StoreUnavailable) as refusal:
        LashCore(model="m", store=url)
    told = "".join(traceback.format_exception(refusal.value))
    assert SECRET not in told
    assert f"{scheme}://me" not in told
    assert "host=127.0.0.1" in str(refusal.value)


def test_a_path_is_a_file(tmp_path: Path) -> None:
    async def scene() -> None:
        async with LashCore(model="m", store=str(tmp_path / "postgresql.db")) as core:
            await core.session("s")

    run(scene())
    assert (tmp_path / "postgresql.db").exists()


def test_a_core_says_how_its_log_serves_it(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("done"))) as core,
            core.session("s").open() as session,
        ):
            await session.turn("go")
            before = core.statistics()
            await asyncio.gather(*[session.enqueue(str(number)) for number in range(3)])
            after = core.statistics()
            # Opening; accepting; the answer with the end.
            assert (before.appends, before.conflicts, before.unknowns) == (3, 0, 0)
            assert before.store.appends == before.store.commits == 3
            assert (before.lease_losses, before.gaps, before.appends_waiting) == (0, 0, 0)
            assert before.latency_us.p50 <= before.latency_us.p99 <= before.latency_us.max
            assert after.appends == before.appends + 3

    run(scene())


def test_sessions_that_append_in_one_turn_of_the_loop_share_a_commit() -> None:
    async def scene() -> None:
        async with host(InMemory().store()) as core:
            sessions = [await core.session(f"s{number}") for number in range(8)]
            before = core.statistics()
            await asyncio.gather(*[session.enqueue("hello") for session in sessions])
            after = core.statistics()
            assert after.groups == before.groups + 1
            assert after.batch_sizes.max == 8

    run(scene())


def test_what_was_sent_before_closing_is_recorded_and_what_comes_is_refused(place: Place) -> None:
    async def scene() -> None:
        core = host(place.store())
        session = await core.session("s")
        sent = asyncio.ensure_future(session.enqueue("before").send())
        await asyncio.sleep(0)
        await core.aclose()
        assert (await sent).sequence == 1
        with pytest.raises(StoreClosed):
            await session.enqueue("after")
        async with host(place.store()) as later, later.session("s").open() as again:
            (pending,) = await again.pending_turn_inputs()
            assert pending.input_id == (await sent).input_id

    run(scene())
