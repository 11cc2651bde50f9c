"""
Clocks that are set by an hour, either way: no live lease is stolen, and a dead owner's is free.

Every test has one time that passes evenly, as a monotonic clock tells it, and walls that tell it
with a difference. Whoever lives renews every ten seconds of thirty.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Self

import pytest
from attrs import define, field

from lash_es import LashSession, LeaseTimings, RuntimeFault
from lash_es.core.events import LeaseAcquired, LeaseRenewed
from lash_es.core.ids import Version
from lash_es.core.leases import UNHELD
from lash_es.log.log import StoreLog
from lash_es.runtime import contending
from lash_es.runtime.contending import Sighting, Sightings
from tests.session.host import host, run
from tests.session.scripted import ScriptedProvider, says, speaking
from tests.session.stores import Place, facts, names, stream
from tests.session.virtual_time import VirtualTime, settle
from tests.session.wall import HOUR_MS, Wall

TTL_MS = 30_000
TIMINGS = LeaseTimings(ttl_ms=TTL_MS, renew_interval_ms=10_000)
BOTH_WAYS = pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS], ids=["ahead", "back"])


@define
class Scene:
    """A place, the time, and a wall that all see who have none of their own."""

    place: Place
    time: VirtualTime = field(factory=VirtualTime)
    gate: asyncio.Event = field(factory=asyncio.Event)
    wall: Wall = field(init=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack)

    def __attrs_post_init__(self) -> None:
        self.wall = Wall(self.time)

    async def opened(
        self, provider: ScriptedProvider | None = None, wall: Wall | None = None
    ) -> LashSession:
        """Open the session in a process of its own."""
        core = host(
            self.place.store(),
            provider or speaking(says("by the rival")),
            time=wall or self.wall,
            own_time=self.time,
            timings=TIMINGS,
        )
        await self._stack.enter_async_context(core)
        return await core.session("s")

    async def owned(self, wall: Wall | None = None) -> "asyncio.Task[object]":
        """Let an owner run a turn until the gate is opened."""
        session = await self.opened(speaking(says("by the owner", gate=self.gate)), wall)
        turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
        await settle()
        assert "TurnStarted" in names(self.place.store())
        return turn

    async def tried(self, session: LashSession) -> str:
        """Try to take over, for as long as that takes; says what came of it."""
        taking = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
        for _ in range(70):
            await settle()
            if taking.done():
                break
            await self.time.advance(1_000)
        try:
            return (await taking).result.assistant_message or "nothing"
        except RuntimeFault as fault:
            return fault.code

    @property
    def generations(self) -> list[int]:
        return [
            fact.generation
            for fact in facts(self.place.store())
            if isinstance(fact, LeaseAcquired)
        ]

    async def finished(self, turn: "asyncio.Task[object]") -> None:
        """Let the owner come to its end: nothing was taken from it."""
        self.gate.set()
        await turn
        assert self.generations == [1]
        assert names(self.place.store())[-2:] == ["TurnCommitted", "LeaseReleased"]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def dead_owner(place: Place) -> AsyncIterator[Scene]:
    """Leave a lease behind that nobody extends any more."""
    async with Scene(place) as scene:
        turn = await scene.owned()
        scene.time.forget_sleepers()
        yield scene
        turn.cancel()
        with suppress(asyncio.CancelledError):
            await turn


# Owners that live


@BOTH_WAYS
@pytest.mark.parametrize("is_new", [False, True], ids=["saw the jump", "started after it"])
def test_a_live_lease_is_not_stolen_when_the_clock_jumps(
    place: Place, jump_ms: int, is_new: bool
) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            rival = await it.opened()
            turn = await it.owned()
            it.wall.ahead_ms = jump_ms
            if is_new:
                rival = await it.opened()
            for _ in range(8):
                assert await it.tried(rival) == "session_execution_busy"
                await it.time.advance(7_000)
            await it.finished(turn)

    run(scene())


@BOTH_WAYS
def test_an_owner_goes_on_when_its_clock_jumps(place: Place, jump_ms: int) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            turn = await it.owned()
            it.wall.ahead_ms = jump_ms
            await it.time.advance(95_000)
            it.wall.ahead_ms = 0
            await it.time.advance(95_000)
            await it.finished(turn)
            renewed = [f for f in facts(place.store()) if isinstance(f, LeaseRenewed)]
            assert len(renewed) == 19

    run(scene())


def test_a_clock_that_was_back_for_a_while_does_not_hide_that_the_owner_lived(
    place: Place,
) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            rival = await it.opened()
            turn = await it.owned()
            it.wall.ahead_ms = -HOUR_MS
            await it.time.advance(95_000)
            it.wall.ahead_ms = 0
            # It has seen nothing of this, and to it the time was even.
            assert await it.tried(rival) == "session_execution_busy"
            await it.finished(turn)
            at_ms = [f.at_ms for f in facts(place.store()) if isinstance(f, LeaseRenewed)]
            assert [later - at_ms[0] for later in at_ms[:9]] == list(range(0, 90_000, 10_000))

    run(scene())


@BOTH_WAYS
def test_two_processes_of_one_file_that_go_by_different_clocks_do_not_steal(
    place: Place, jump_ms: int
) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            rival = await it.opened(wall=Wall(it.time, jump_ms))
            await rival.queued_turn()  # It keeps how its clock runs,
            await it.time.advance(2 * TTL_MS)  # and finds that it runs evenly.
            turn = await it.owned()
            for _ in range(12):
                assert await it.tried(rival) == "session_execution_busy"
                await it.time.advance(4_500)
            await it.finished(turn)

    run(scene())


def test_what_somebody_enqueues_an_hour_ahead_ends_no_lease(place: Place) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            turn = await it.owned()
            rival = await it.opened()
            stranger = await it.opened(wall=Wall(it.time, HOUR_MS))
            await stranger.enqueue("from the future")
            assert await it.tried(rival) == "session_execution_busy"
            await it.time.advance(45_000)
            assert await it.tried(rival) == "session_execution_busy"
            await it.finished(turn)

    run(scene())


# Owners that died


def test_a_dead_owners_lease_is_taken_at_once_when_it_has_run_out(place: Place) -> None:
    async def scene() -> None:
        async with dead_owner(place) as it:
            await it.time.advance(TTL_MS - 1)
            rival = await it.opened()
            assert await it.tried(rival) == "session_execution_busy"
            it.time.jump(1)
            before_ms = it.time.now_ms()
            assert await it.tried(rival) == "by the rival"
            assert it.time.now_ms() == before_ms

    run(scene())


@BOTH_WAYS
def test_after_a_jump_a_dead_owners_lease_is_taken_once_it_was_silent_for_its_ttl(
    place: Place, jump_ms: int
) -> None:
    async def scene() -> None:
        async with dead_owner(place) as it:
            it.wall.ahead_ms = jump_ms
            rival = await it.opened()
            before_ms = it.time.now_ms()
            assert await it.tried(rival) == "by the rival"
            assert it.time.now_ms() - before_ms == TTL_MS
            assert it.generations == [1, 2]

    run(scene())


def test_long_after_a_jump_ahead_a_dead_owners_lease_is_taken_at_once(place: Place) -> None:
    async def scene() -> None:
        async with dead_owner(place) as it:
            it.wall.ahead_ms = HOUR_MS
            watcher = await it.opened()
            await watcher.enqueue("hello")
            taking = asyncio.ensure_future(watcher.queued_turn().run())
            await settle()
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            await it.time.advance(TTL_MS)
            before_ms = it.time.now_ms()
            assert await it.tried(await it.opened()) == "by the rival"
            assert it.time.now_ms() == before_ms

    run(scene())


def test_what_was_seen_is_kept_for_the_next_call_and_what_others_enqueue_is_no_sign_of_life(
    place: Place,
) -> None:
    async def scene() -> None:
        async with dead_owner(place) as it:
            it.wall.ahead_ms = -HOUR_MS
            rival, stranger = await it.opened(), await it.opened()
            taking = asyncio.ensure_future(rival.turn("hello").turn_id("t").run())
            await it.time.advance(20_000)
            taking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await taking
            await stranger.enqueue("hello")
            before_ms = it.time.now_ms()
            assert await it.tried(rival) == "by the rival"
            assert it.time.now_ms() - before_ms == TTL_MS - 20_000

    run(scene())


def test_of_too_many_facts_to_read_some_are_taken_to_be_the_owners(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contending, "FACTS_LOOKED_AT_MAX", 1)

    async def scene() -> None:
        async with dead_owner(place) as it:
            it.wall.ahead_ms = HOUR_MS
            rival, stranger = await it.opened(), await it.opened()
            taking = asyncio.ensure_future(rival.turn("hello").turn_id("t").run())
            await it.time.advance(2_000)
            for text in ("one", "two"):
                await stranger.enqueue(text)
            await it.time.advance(1_000)
            with pytest.raises(RuntimeFault) as busy:
                await taking
            assert busy.value.code == "session_execution_busy"

    run(scene())


@BOTH_WAYS
def test_a_released_lease_is_taken_at_once_whatever_the_clock_does(
    place: Place, jump_ms: int
) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            turn = await it.owned()
            it.gate.set()
            await turn
            it.wall.ahead_ms = jump_ms
            rival = await it.opened()
            before_ms = it.time.now_ms()
            assert (await rival.turn("more")).result.assistant_message == "by the rival"
            assert it.time.now_ms() == before_ms

    run(scene())


def test_a_lease_that_is_released_while_it_is_watched_is_taken(place: Place) -> None:
    async def scene() -> None:
        async with Scene(place) as it:
            turn = await it.owned()
            it.wall.ahead_ms = HOUR_MS
            rival = await it.opened()
            taking = asyncio.ensure_future(rival.turn("more").run())
            await it.time.advance(2_000)
            it.gate.set()
            await turn
            await it.time.advance(1_000)
            assert (await taking).result.assistant_message == "by the rival"

    run(scene())


def test_only_so_many_sessions_are_watched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contending, "SIGHTINGS_MAX", 2)
    sightings = Sightings()
    for name in ("a", "b", "a", "c"):
        seen = Sighting(lease=UNHELD, version=Version(1), since_ms=0)
        sightings.note(stream(name), seen)
    assert len(sightings) == 2
    assert sightings.of(stream("b")) is None
    sightings.forget(stream("a"))
    assert len(sightings) == 1


# Planted faults


async def _believes_every_clock(log: StoreLog, duration_ms: int) -> bool:
    return log.now_ms() > duration_ms


async def _waits_for_nobody(_: contending.Contest, ttl_ms: int) -> bool:
    return ttl_ms > 0


@pytest.mark.parametrize(
    ("owner", "name", "fault", "jump_ms"),
    [
        (StoreLog, "is_steady_for", _believes_every_clock, HOUR_MS),
        (contending.Contest, "_is_silent", _waits_for_nobody, HOUR_MS),
        (contending.Contest, "_is_silent", _waits_for_nobody, -HOUR_MS),
    ],
)
def test_a_contender_that_does_not_watch_is_caught(
    place: Place,
    owner: type,
    name: str,
    fault: Callable[..., object],
    jump_ms: int,
) -> None:
    for is_new in (False, True):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, fault)
            with pytest.raises(AssertionError, match="by the rival"):
                test_a_live_lease_is_not_stolen_when_the_clock_jumps(
                    place.another(), jump_ms, is_new
                )


async def _keeps_no_time(log: StoreLog) -> None:
    log.now_ms()


def test_owners_that_do_not_keep_their_time_are_caught(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoreLog, "keep_time", _keeps_no_time)
    with pytest.raises(AssertionError, match="by the rival"):
        test_two_processes_of_one_file_that_go_by_different_clocks_do_not_steal(place, HOUR_MS)
