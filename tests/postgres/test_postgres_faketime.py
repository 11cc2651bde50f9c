"""A server whose clock jumps by an hour, both ways, while owners elsewhere live and die."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from lash_es import LashSession, RuntimeFault
from lash_es.core.events import LeaseAcquired
from lash_es.log.log import StoreLog
from tests.postgres.faketime import TIMINGS, FakedServer, faked_server, owner
from tests.postgres.postgres_server import Database
from tests.session.host import host, run
from tests.session.scripted import says, speaking
from tests.session.stores import facts, names

HOUR_S = 3_600
BOTH_WAYS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])


@pytest.fixture(scope="module")
def server() -> Iterator[FakedServer]:
    with faked_server() as made:
        yield made


@pytest.fixture
def faked(server: FakedServer) -> Iterator[Database]:
    server.set_clock(0)
    made = server.database()
    yield made
    made.drop()


async def _rival(stack: AsyncExitStack, database: Database) -> LashSession:
    core = host(database.store(), speaking(says("by the rival")), timings=TIMINGS)
    await stack.enter_async_context(core)
    return await core.session("s")


async def _tried(session: LashSession) -> str:
    try:
        return (await session.turn("hello").turn_id("t")).result.assistant_message or "nothing"
    except RuntimeFault as fault:
        return fault.code


def _generations(database: Database) -> list[int]:
    store = database.store()
    found: list[int] = [f.generation for f in facts(store) if isinstance(f, LeaseAcquired)]
    store.close()
    return found


def test_the_server_s_clock_is_the_one_that_is_set(server: FakedServer, faked: Database) -> None:
    told: list[float] = []
    for ahead_s in (0, HOUR_S, -HOUR_S):
        server.set_clock(ahead_s)
        ((now_s,),) = faked.sql("SELECT extract(epoch FROM clock_timestamp())")
        told.append(float(now_s))
    assert [round((at - told[0]) / HOUR_S) for at in told] == [0, 1, -1]


@BOTH_WAYS
def test_a_live_lease_is_not_stolen_and_its_turn_is_committed(
    server: FakedServer, faked: Database, jump_s: int
) -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            early = await _rival(stack, faked)
            with owner(faked) as process:
                sent = await early.enqueue("acknowledged")
                server.set_clock(jump_s)
                late = await _rival(stack, faked)
                for _ in range(3):
                    for rival in (early, late):
                        assert await _tried(rival) == "session_execution_busy"
                    await asyncio.sleep(TIMINGS.ttl_ms / 2_000)
                said = await asyncio.to_thread(process.communicate, "\n")
                assert said[0] == "by the owner\n"
            assert _generations(faked) == [1]
            assert [each.input_id for each in await late.pending_turn_inputs()] == [sent.input_id]

    run(scene())


@BOTH_WAYS
def test_a_killed_owner_is_taken_over_after_its_ttl_and_not_after_an_hour(
    server: FakedServer, faked: Database, jump_s: int
) -> None:
    async def scene() -> None:
        async with AsyncExitStack() as stack:
            with owner(faked) as process:
                server.set_clock(jump_s)
                process.kill()
                process.wait()
            late = await _rival(stack, faked)
            assert await _tried(late) == "by the rival"
            store = faked.store()
            assert names(store)[-2:] == ["TurnCommitted", "LeaseReleased"]
            store.close()
            assert _generations(faked) == [1, 2]

    run(scene())


async def _believes_every_clock(log: StoreLog, duration_ms: int) -> bool:
    return log.now_ms() > duration_ms


def test_a_contender_that_believes_every_clock_is_caught(
    server: FakedServer, faked: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoreLog, "is_steady_for", _believes_every_clock)
    with pytest.raises(AssertionError, match="by the rival"):
        test_a_live_lease_is_not_stolen_and_its_turn_is_committed(server, faked, HOUR_S)
