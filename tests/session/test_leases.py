"""
Leases: one owner at a time; who is silent renews; who was frozen or replaced stops.

Time moves only when a test says so.
"""

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from lash_es import (
    LeaseOwner,
    LeaseTimings,
    LeaseTimingsInvalid,
    Limits,
    LocalProcess,
    Opaque,
    RuntimeFault,
    this_process,
)
from lash_es.core.errors import BlankValue
from lash_es.core.events import LeaseAcquired
from lash_es.log.appends import AppendResult, StreamAppend
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.world import World
from lash_es.session.session_leases import SessionLeases
from tests.session.host import host, run, texts, until
from tests.session.scripted import (
    ScriptedProvider,
    always,
    call,
    calls,
    remembering,
    says,
    speaking,
)
from tests.session.stores import Failing, Place, Through, facts, names, stream
from tests.session.virtual_time import VirtualTime, settle

TIMINGS = LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)


def test_two_handles_exclude_each_other(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate), says("then"))

    async def scene() -> None:
        store = place.store()
        async with (
            host(place.store(), provider) as core,
            host(place.store(), provider) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            await other.enqueue("queued")
            written = names(store)
            with pytest.raises(RuntimeFault) as busy:
                await other.turn("me too")
            assert (busy.value.code, busy.value.is_retryable) == ("session_execution_busy", True)
            assert await other.queued_turn() is None
            assert names(store) == written
            gate.set()
            assert (await turn).result.assistant_message == "done"
            drained = await other.queued_turn()
            assert drained is not None
            assert drained.result.assistant_message == "then"

    run(scene())


def test_an_owner_renews_only_after_it_was_silent_for_an_interval(place: Place) -> None:
    time, gate = VirtualTime(), asyncio.Event()
    provider = speaking(calls(call("c1", "step")), says("done", gate=gate))

    async def step() -> str:
        await time.sleep_ms(6_000)
        return "stepped"

    async def scene() -> None:
        store = place.store()
        async with (
            host(store, provider, step, time=time, timings=TIMINGS) as core,
            core.session("s").open() as session,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            while len(provider.requests) < 2:
                await time.advance(2_000)
            # It settled a call after six seconds: at ten it had not been silent for ten.
            await time.advance(9_000)
            assert "LeaseRenewed" not in names(store)
            await time.advance(1_000)
            assert names(store)[-1] == "LeaseRenewed"
            await time.advance(100_000)
            assert names(store).count("LeaseRenewed") == 11
            gate.set()
            assert (await turn).result.is_success

    run(scene())


def test_a_lease_taken_over_after_a_freeze_is_lost_and_nothing_more_is_started(
    place: Place,
) -> None:
    time = VirtualTime()
    thaws = asyncio.Event()
    started: list[str] = []

    async def step(name: str) -> str:
        started.append(name)
        await thaws.wait()
        return name

    frozen = remembering(calls(call("c1", "step", {"name": "a"})), says("by the first"))
    living = remembering(calls(call("c1", "step", {"name": "a"})), says("by the second"))

    async def scene() -> None:
        store = place.store()
        async with (
            host(place.store(), frozen, step, time=time, timings=TIMINGS) as core,
            host(place.store(), living, step, time=time, timings=TIMINGS) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            while not started:
                await settle()
            time.forget_sleepers()  # Its renewals sleep on, as in a process that is stopped.
            time.jump(30_000)
            result = (await other.turn("hello").turn_id("t")).result
            assert result.assistant_message == "by the second"
            assert [call.output for call in result.tool_calls] == [
                "interrupted: whether the call had its effect is not known"
            ]
            written = names(store)
            thaws.set()
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert (lost.value.code, lost.value.is_retryable) == (
                "session_execution_lease_lost",
                True,
            )
            assert names(store) == written
            assert await texts(other) == [
                ("user", "hello"),
                ("assistant", ""),
                ("user", ""),
                ("assistant", "by the second"),
            ]

    run(scene())
    assert (started, len(frozen.requests)) == (["a"], 1)


def test_an_owner_that_was_frozen_stops_even_if_nobody_took_over(place: Place) -> None:
    time, gate = VirtualTime(), asyncio.Event()
    provider = speaking(calls(call("c1", "step"), text="Let me see."), says("never"), says("fine"))

    async def step() -> str:
        await gate.wait()
        return "stepped"

    async def scene() -> None:
        store = place.store()
        async with (
            host(store, provider, step, time=time, timings=TIMINGS) as core,
            core.session("s").open() as session,
        ):
            turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await settle()
            time.jump(30_000)
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert lost.value.code == "session_execution_lease_lost"
            assert "TurnCommitted" not in names(store)
            assert len(provider.requests) == 1

    run(scene())


def test_an_owner_that_cannot_renew_stops(place: Place) -> None:
    time = VirtualTime()
    provider = ScriptedProvider(script=always(says("never", gate=asyncio.Event())))

    async def scene() -> None:
        store = Failing(place.store())
        async with (
            host(store, provider, time=time, timings=TIMINGS) as core,
            core.session("s").open() as session,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            await settle()
            store.is_broken = True
            await time.advance(10_000)
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert lost.value.code == "session_execution_lease_lost"
            assert len(provider.aborted) == 1

    run(scene())


def test_an_outcome_that_comes_after_the_lease_was_taken_is_refused_by_the_log(
    place: Place,
) -> None:
    """The owner's own clock stood still, as some do while a machine sleeps."""
    time, gate = VirtualTime(), asyncio.Event()
    provider = speaking(says("too late", gate=gate))
    living = speaking(says("in time"))

    async def scene() -> None:
        store = place.store()
        async with (
            host(store, provider, time=time, timings=TIMINGS, own_time=VirtualTime()) as core,
            host(place.store(), living, time=time, timings=TIMINGS) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await settle()
            # To the rival its clock jumped as well: it waits for a sign of life.
            time.jump(30_000)
            taking = asyncio.ensure_future(other.turn("hello").turn_id("t").run())
            await time.advance(30_000)
            assert (await taking).result.assistant_message == "in time"
            written = names(store)
            gate.set()
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert lost.value.code == "session_execution_lease_lost"
            assert names(store) == written

    run(scene())


def test_an_owner_that_was_frozen_inside_an_append_starts_nothing_more(place: Place) -> None:
    own_time, made = VirtualTime(), list[str]()

    class Freezing(Through):
        """The append that records the model's reply takes longer than the lease lasts."""

        def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
            result = super().append(appends)
            if "EffectSettled" in names(self.inner):
                own_time.jump(30_000)
            return result

    def note() -> None:
        made.append("noted")

    provider = speaking(calls(call("c1", "note")), says("never"))

    async def scene() -> None:
        async with (
            host(
                Freezing(place.store()),
                provider,
                note,
                time=VirtualTime(),
                own_time=own_time,
                timings=TIMINGS,
            ) as core,
            core.session("s").open() as session,
        ):
            with pytest.raises(RuntimeFault) as lost:
                await session.turn("hello").turn_id("t")
            assert lost.value.code == "session_execution_lease_lost"
            assert "before the next effect could start" in lost.value.message

    run(scene())
    assert made == []


def test_the_same_owner_comes_in_again_without_waiting(place: Place) -> None:
    time = VirtualTime()
    owner = LeaseOwner(owner_id="replica-1", incarnation_id="boot-7", liveness=Opaque())
    provider = speaking(says("never", gate=asyncio.Event()), says("fine"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider, time=time, timings=TIMINGS) as core:
            session = await core.session("s").session_execution_owner(owner)
            turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await settle()
            again = await core.session("s").session_execution_owner(owner)
            result = (await again.turn("hello").turn_id("t")).result
            assert result.assistant_message == "fine"
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            acquired = [fact for fact in facts(store) if isinstance(fact, LeaseAcquired)]
            assert [(fact.generation, fact.owner) for fact in acquired] == [(1, owner)]

    run(scene())


def test_of_two_drivers_of_one_owner_the_slower_one_loses_and_writes_nothing(
    place: Place,
) -> None:
    gate = asyncio.Event()
    owner = LeaseOwner(owner_id="replica-1", incarnation_id="boot-7")
    provider = speaking(says("slow", gate=gate), says("quick"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core:
            session = await core.session("s").session_execution_owner(owner)
            slow = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await provider.is_asked.wait()
            again = await core.session("s").session_execution_owner(owner)
            assert (await again.turn("hello").turn_id("t")).result.assistant_message == "quick"
            written = names(store)
            gate.set()
            with pytest.raises(RuntimeFault) as lost:
                await slow
            assert lost.value.code == "session_execution_lease_lost"
            assert names(store) == written

    run(scene())


def test_of_two_drivers_of_one_owner_a_late_outcome_is_not_recorded_twice(place: Place) -> None:
    gates = asyncio.Event(), asyncio.Event()
    owner = LeaseOwner(owner_id="replica-1", incarnation_id="boot-7")
    provider = speaking(
        says("slow", gate=gates[0]), calls(call("c1", "hold")), says("never reached")
    )

    async def hold() -> str:
        await gates[1].wait()
        return "held"

    async def scene() -> None:
        store = place.store()
        async with host(store, provider, hold) as core:
            session = await core.session("s").session_execution_owner(owner)
            slow = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await provider.is_asked.wait()
            again = await core.session("s").session_execution_owner(owner)
            quick = asyncio.ensure_future(again.turn("hello").turn_id("t").run())
            await until(lambda: "EffectSettled" in names(store))
            gates[0].set()
            with pytest.raises(RuntimeFault) as lost:
                await slow
            assert lost.value.code == "session_execution_lease_lost"
            gates[1].set()
            await asyncio.gather(quick, return_exceptions=True)
            assert names(store).count("TurnCommitted") <= 1

    run(scene())


def test_a_blank_owner_is_refused_at_its_first_turn(place: Place) -> None:
    owner = LeaseOwner(owner_id=" ", incarnation_id="boot-7")

    async def scene() -> None:
        store = place.store()
        async with host(store, speaking()) as core:
            session = await core.session("s").session_execution_owner(owner)
            with pytest.raises(BlankValue):
                await session.turn("hello")
            assert names(store) == ["SessionOpened"]

    run(scene())


@pytest.mark.parametrize(("ttl_ms", "renew_interval_ms"), [(29, 10), (0, 0), (30, 0), (3, -1)])
def test_timings_that_leave_no_room_for_a_renewal_are_refused(
    ttl_ms: int, renew_interval_ms: int
) -> None:
    with pytest.raises(LeaseTimingsInvalid) as refusal:
        LeaseTimings(ttl_ms=ttl_ms, renew_interval_ms=renew_interval_ms)
    assert refusal.value.fields == {"ttl_ms": ttl_ms, "renew_interval_ms": renew_interval_ms}
    assert f"ttl {ttl_ms} ms" in str(refusal.value)


def test_timings_from_a_time_to_live_renew_at_its_third() -> None:
    assert LeaseTimings.from_ttl(3_000) == LeaseTimings(ttl_ms=3_000, renew_interval_ms=1_000)


def test_a_turn_takes_over_at_once_from_a_process_that_is_dead(place: Place) -> None:
    me = this_process()
    assert isinstance(me, LocalProcess)
    # The pid is this process's own, but it was started at another time: the one meant is gone.
    dead = LeaseOwner(
        owner_id="dead",
        incarnation_id="1",
        liveness=attrs.evolve(me, process_start=me.process_start + 1),
    )
    near = LeaseOwner(owner_id="near", incarnation_id="1", liveness=me)

    async def scene() -> None:
        store = place.store()
        async with host(store, speaking(says("done"))) as core:
            held = SessionLeases(Lane(StoreLog(store, lambda: 1), stream(), World(), Limits()))
            async with (
                core.session("s").open() as session,
                core.session("s", session_execution_owner=near).open() as neighbour,
            ):
                await held.try_claim(dead, ttl_ms=10**15)
                with pytest.raises(RuntimeFault, match="busy"):
                    await session.turn("hello")
                assert (await neighbour.turn("hello")).result.assistant_message == "done"
        taken = [fact for fact in facts(place.store()) if isinstance(fact, LeaseAcquired)]
        assert [(fact.generation, fact.owner) for fact in taken] == [(1, dead), (2, near)]

    run(scene())
