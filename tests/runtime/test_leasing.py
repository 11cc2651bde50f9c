"""The guard of a lease, where the facade cannot reach: how it is left."""

import asyncio

import pytest

from lash_es import LashCore, LeaseTimings, MemoryStore, World
from lash_es.core.ids import Generation
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.leasing import LeaseGuard
from lash_es.runtime.world import system_now_ms
from tests.session.host import run
from tests.session.stores import stream


def test_leaving_a_guard_does_not_swallow_the_cancellation_of_who_leaves() -> None:
    async def scene() -> None:
        is_sleeping, may_end = asyncio.Event(), asyncio.Event()

        async def sleep_deeply(_: int) -> None:
            is_sleeping.set()
            try:
                await asyncio.Event().wait()
            finally:
                await may_end.wait()

        lane = Lane(
            StoreLog(MemoryStore(), system_now_ms),
            stream("s"),
            World(sleep_ms=sleep_deeply),
            DEFAULT_LIMITS,
        )
        fence = Fence(
            owner=LeaseOwner(owner_id="o", incarnation_id="i"),
            token="t",
            generation=Generation(1),
        )
        guard = LeaseGuard(lane, fence, LeaseTimings(), lane.world.monotonic_ms())

        async def guarded() -> None:
            async with guard:
                await is_sleeping.wait()

        leaving = asyncio.ensure_future(guarded())
        await is_sleeping.wait()
        for _ in range(3):
            await asyncio.sleep(0)  # By now it waits for the renewals to end.
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        may_end.set()

    run(scene())


def test_a_core_lives_by_the_system_s_clocks_unless_it_is_given_others() -> None:
    async def scene() -> None:
        before_ms = system_now_ms()
        async with LashCore(model="m") as core, core.session("s").open() as session:
            sent = await session.enqueue("hello")
        assert before_ms <= sent.enqueued_at_ms <= system_now_ms()
        world = World()
        started_ms = world.monotonic_ms()
        await world.sleep_ms(5)
        assert world.monotonic_ms() >= started_ms + 4
        assert world.token() != world.token()
        assert len(world.salt()) == 16

    run(scene())
