"""What a turn shows: in order, coalesced in the log, and never at the turn's expense."""

import asyncio

import attrs
import pytest

from lash_es import (
    AssistantProseDelta,
    LeaseTimings,
    ReasoningTextDelta,
    TurnActivity,
)
from lash_es.codec.activities import decode_activity
from lash_es.core.activity import ProseStreamed, ReasoningStreamed
from lash_es.core.ids import EffectId, Version
from lash_es.log.activities import NewActivity
from lash_es.log.appends import ActivityRefused, ActivityResult
from lash_es.runtime.providers import ProseDelta, ReasoningDelta
from tests.session.conftest import place
from tests.session.host import host, run, shown, texts, until
from tests.session.scripted import Say, call, calls, says, speaking
from tests.session.stores import Counting, Failing, Place, Through, activities, names, stream
from tests.session.virtual_time import VirtualTime, settle

__all__ = ["place"]

TIMINGS = LeaseTimings(ttl_ms=30_000, renew_interval_ms=10_000)


def deltas(count: int) -> tuple[ProseDelta, ...]:
    return tuple(ProseDelta(text=f"word{number} ") for number in range(count))


def test_a_thousand_deltas_are_a_handful_of_rows_and_no_letter_is_lost(place: Place) -> None:
    streamed = deltas(1_000)
    whole = "".join(delta.text for delta in streamed)

    async def scene() -> None:
        store = Counting(place.store())
        provider = speaking(says(whole, deltas=streamed))
        async with host(store, provider) as core, core.session("s").open() as session:
            output = await session.turn("go")
            assert len(shown(output.activities, AssistantProseDelta)) == 1_000
            rows = activities(store)
            # Some 8 900 characters, written by 2 048.
            assert 3 <= len(rows) <= 8
            written = [decode_activity(row.payload) for row in rows]
            assert "".join(each.text for each in written) == whole
            assert {type(each) for each in written} == {ProseStreamed}
            # What is shown at once is written at once; a fact may come in between, and then that
            # write is made again.
            assert store.activity_writes_count <= len(rows) + 1
            assert all(len(each.text) < 2_048 + len("word999 ") for each in written)
            assert len({row.version for row in rows}) <= 2
            seqs = [(row.version, row.seq) for row in rows]
            assert seqs == sorted({*seqs})

    run(scene())


def test_text_that_waits_is_written_though_nothing_follows_it(place: Place) -> None:
    gate = asyncio.Event()

    async def scene() -> None:
        store = place.store()
        provider = speaking(says("hello", deltas=(ProseDelta(text="hel"),), gate=gate))
        async with host(store, provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("go").run())
            await until(lambda: len(activities(store)) > 0)
            (row,) = activities(store)
            assert decode_activity(row.payload) == ProseStreamed(
                effect_id=row_effect(row.payload), attempt=1, text="hel"
            )
            gate.set()
            await turn

    run(scene())


def row_effect(payload: bytes) -> EffectId:
    return decode_activity(payload).effect_id


def test_prose_and_reasoning_are_kept_apart_and_in_order(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        streamed = (
            ReasoningDelta(text="hm"),
            ReasoningDelta(text="..."),
            ProseDelta(text="ye"),
            ProseDelta(text="s"),
            ReasoningDelta(text="!"),
        )
        provider = speaking(says("yes", deltas=streamed))
        async with host(store, provider) as core, core.session("s").open() as session:
            output = await session.turn("go")
            kinds = [type(activity.event) for activity in output.activities[1:6]]
            assert kinds == [
                ReasoningTextDelta,
                ReasoningTextDelta,
                AssistantProseDelta,
                AssistantProseDelta,
                ReasoningTextDelta,
            ]
            written = [decode_activity(row.payload) for row in activities(store)]
            assert [(type(each), each.text) for each in written] == [
                (ReasoningStreamed, "hm..."),
                (ProseStreamed, "yes"),
                (ReasoningStreamed, "!"),
            ]

    run(scene())


def test_a_log_that_takes_no_activity_does_not_fail_the_turn(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        store.can_show = False
        provider = speaking(says("hello", deltas=deltas(500)))
        async with host(store, provider) as core, core.session("s").open() as session:
            output = await session.turn("go")
            assert output.result.assistant_message == "hello"
            assert len(shown(output.activities, AssistantProseDelta)) == 500
            assert activities(place.store()) == ()

    run(scene())


def test_text_that_could_not_be_written_is_a_gap(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        store.can_show = False
        provider = speaking(says("hello", deltas=deltas(500)), says("again", deltas=deltas(1)))
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.turn("go")
            await session.enqueue("what is written next says so")
            lost = store.head(stream())
            assert lost is not None
            assert (0, 0) < lost.low_water < (lost.version, 0)
            store.can_show = True
            await session.turn("go on")
            later = store.head(stream())
            assert later is not None
            assert later.low_water == lost.low_water
            assert all((row.version, row.seq) > lost.low_water for row in activities(store))

    run(scene())


class Moving(Through):
    """Says of every write of activity that a fact came in between."""

    def append_activity(self, new: NewActivity, *, may_wait: bool = True) -> ActivityResult:
        super().append_activity(attrs.evolve(new, version=Version(1)), may_wait=may_wait)
        return ActivityRefused(version=new.version, generation=new.generation)


def test_text_that_is_given_up_is_a_gap(place: Place) -> None:
    async def scene() -> None:
        store = Moving(place.store())
        provider = speaking(says("hello", deltas=deltas(500)))
        async with host(store, provider) as core, core.session("s").open() as session:
            assert (await session.turn("go")).result.is_success
            await session.enqueue("what is written next says so")
            head = store.head(stream())
            assert head is not None
            assert head.low_water > (0, 0)
            assert activities(store) == ()

    run(scene())


def test_a_slow_sink_costs_neither_the_lease_nor_an_activity(place: Place) -> None:
    time = VirtualTime()
    seen: list[TurnActivity] = []

    async def slowly(activity: TurnActivity) -> None:
        await time.sleep_ms(60_000)
        seen.append(activity)

    def tool(name: str) -> str:
        return name

    async def scene() -> None:
        store = place.store()
        provider = speaking(calls(call("c1", "tool", {"name": "x"})), says("done"))
        async with (
            host(store, provider, tool, time=time, timings=TIMINGS) as core,
            core.session("s").open() as session,
        ):
            turn = asyncio.ensure_future(session.turn("go").stream_to(slowly))
            await until(lambda: "TurnCommitted" in names(store))
            # The turn is over before its first activity has been taken.
            assert seen == []
            while not turn.done():
                await time.advance(60_000)
            assert (await turn).is_success
            assert len(seen) == 6
            assert "LeaseRenewed" not in names(store)

    run(scene())


def test_a_sink_that_raises_is_told_so_after_the_turn_and_gets_nothing_more(
    place: Place,
) -> None:
    seen: list[TurnActivity] = []

    async def broken(activity: TurnActivity) -> None:
        seen.append(activity)
        raise ConnectionResetError("the browser is gone")

    async def scene() -> None:
        store = place.store()
        provider = speaking(says("hello", deltas=deltas(3)), says("again"))
        async with host(store, provider) as core, core.session("s").open() as session:
            with pytest.raises(ConnectionResetError):
                await session.turn("go").turn_id("t").stream_to(broken)
            assert len(seen) == 1
            # The turn is committed, and whoever reads the log has all of its text.
            assert await texts(session) == [("user", "go"), ("assistant", "hello")]
            (row,) = activities(store)
            assert decode_activity(row.payload).text == "word0 word1 word2 "
            assert (await session.turn("go").turn_id("t")).result.assistant_message == "hello"
            assert (await session.turn("more")).result.assistant_message == "again"

    run(scene())


def test_activity_of_a_lost_generation_is_not_written(place: Place) -> None:
    time, gate = VirtualTime(), asyncio.Event()

    def provider_of(text: str, gate: asyncio.Event | None) -> Say:
        return says(text, deltas=(ProseDelta(text=text),), gate=gate)

    async def scene() -> None:
        store = place.store()
        late = speaking(provider_of("late", gate))
        async with (
            host(place.store(), late, time=time, timings=TIMINGS) as core,
            host(store, speaking(provider_of("new", None)), time=time, timings=TIMINGS) as rival,
            core.session("s").open() as session,
            rival.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("go").turn_id("t").run())
            await settle()
            time.forget_sleepers()
            time.jump(30_000)
            await other.turn("go").turn_id("t")
            # The old owner's text waited in its memory all the while.
            gate.set()
            await asyncio.gather(turn, return_exceptions=True)
            written = [decode_activity(row.payload) for row in activities(store)]
            assert [(each.attempt, each.text) for each in written] == [(2, "new")]

    run(scene())


def test_text_is_written_though_a_fact_came_in_between(place: Place) -> None:
    gate = asyncio.Event()

    async def scene() -> None:
        store = place.store()
        provider = speaking(says("hello", deltas=(ProseDelta(text="hello"),), gate=gate))
        async with (
            host(place.store(), provider) as core,
            core.session("s").open() as session,
            core.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("go").run())
            await provider.is_asked.wait()
            await other.enqueue("meanwhile")  # The driving handle does not know of it.
            await until(lambda: len(activities(store)) > 0)
            (row,) = activities(store)
            assert row.version == len(names(store))
            gate.set()
            assert (await turn).result.is_success

    run(scene())
