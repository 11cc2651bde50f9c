"""Streams of what happens: slow consumers, cancels, ends, and whoever holds the session."""

import asyncio
import gc
from collections.abc import Iterable
from random import Random

import attrs
import pytest

from lash_es import (
    AssistantProseDelta,
    Gap,
    Limits,
    ModelCallFailed,
    ModelRequestStarted,
    NoArchive,
    ObservableSession,
    QueueChanged,
    ReasoningTextDelta,
    Replayed,
    SessionCursor,
    SessionDeleted,
    SessionObservationStream,
    SessionStillInUse,
    StoreClosed,
    StreamEvent,
    StreamGap,
    Subscribed,
    ToolCallCompleted,
    TurnActivity,
    World,
)
from lash_es.codec.streams import StreamId
from lash_es.core.ids import Generation, SessionId, Version
from lash_es.log import snapshotting
from lash_es.log.activities import ActivityWindow, NewActivity
from lash_es.log.encoding import Folded
from lash_es.log.loading import load
from lash_es.log.port import Store, StreamHead
from lash_es.log.subscribing import ITEMS_PER_PAGE, GapReason
from lash_es.log.trimming import Minted, Trimming
from lash_es.runtime.providers import ProseDelta, ReasoningDelta
from lash_es.session import event_streams, tails, telling
from lash_es.session.event_streams import SessionEventStream
from lash_es.session.observations import Closed, CursorRefused, SubscriberLagged
from lash_es.turns.activities import TurnEndedUncommitted
from tests.log.processes import enqueue
from tests.scenarios.test_obs import now, observed, prose, prune, replayed, streamed
from tests.session.conftest import place
from tests.session.host import host, run, until
from tests.session.scripted import call, calls, fails, says, speaking
from tests.session.stores import Failing, Place, Through
from tests.session.stores import stream as stream_of
from tests.session.virtual_time import settle

__all__ = ["place"]


async def until_it_ends(stream: SessionEventStream) -> None:
    while True:
        await stream.next_event()


def test_a_slow_consumer_is_told_once_and_may_go_on(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            found = await watching.subscribe_from_cursor(await now(watching))
            assert isinstance(found, Subscribed)
            await session.turn("a")
            prune(place, records_max=0)
            with pytest.raises(SubscriberLagged) as lag:
                await until_it_ends(found.stream)
            assert (lag.value.code, lag.value.missed_count) == ("live_replay", 1)
            await session.turn("b")
            texts: list[str] = []
            while not texts:
                texts.extend(prose((await found.stream.next_event(),)))
            assert texts == ["two"]
            await found.stream.aclose()

    run(scene())


def test_where_facts_are_gone_a_stream_that_does_not_recover_ends(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store()) as core,
            core.session("s").open() as session,
            session.observe() as watching,
        ):
            found = await watching.subscribe_from_cursor(SessionCursor(SessionId("s"), Version(1)))
            recovering = watching.subscribe_and_recover(str(found.stream.cursor))  # type: ignore[union-attr]
            assert isinstance(found, Subscribed)
            for number in range(6):
                taken = await session.enqueue(str(number))
                await session.cancel_pending_turn_input(taken.input_id)
            await core.trim_history("s", archive=NoArchive())
            with pytest.raises(SubscriberLagged):
                await found.stream.next_event()
            with pytest.raises(Closed):
                await found.stream.next_event()
            assert [each async for each in found.stream] == []
            gap = await anext(recovering)
            assert isinstance(gap, StreamGap)
            assert gap.gap.reason is GapReason.TRIMMED
            await session.enqueue("on")
            assert isinstance(await anext(recovering), StreamEvent)
            await recovering.aclose()
            asked = await watching.resume_from_cursor(found.stream.cursor)
            assert isinstance(asked, Gap)

    run(scene())


def test_cancelling_loses_no_event(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            seen = watching.subscribe_and_recover(await now(watching))
            expected, told = [], []
            for number in range(8):
                expected.append((await session.enqueue(str(number))).input_id)
                for rounds in range(4):
                    coming = asyncio.ensure_future(anext(seen))
                    for _ in range(rounds):
                        await asyncio.sleep(0)
                    coming.cancel()
                    await asyncio.wait({coming})
                    if not coming.cancelled():
                        told.append(coming.result())
            while len(told) < len(expected):
                told.append(await anext(seen))
            ids = [item.event.payload.batch_ids[0] for item in told]  # type: ignore[union-attr]
            assert ids == expected
            await seen.aclose()

    run(scene())


def test_closing_a_stream_ends_it_for_whoever_waits(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (_, watching):
            seen = watching.subscribe_and_recover(await now(watching))
            coming = asyncio.ensure_future(anext(seen))
            await settle()
            await seen.aclose()
            await seen.aclose()
            with pytest.raises(StopAsyncIteration):
                await coming
            with pytest.raises(StopAsyncIteration):
                await anext(seen)
            found = await watching.subscribe_from_cursor(await now(watching))
            assert isinstance(found, Subscribed)
            waiting = asyncio.ensure_future(found.stream.next_event())
            await settle()
            await found.stream.aclose()
            with pytest.raises(Closed):
                await waiting
            async with found.stream as again:
                assert [each async for each in again] == []

    run(scene())


def test_closing_a_stream_while_it_begins_leaves_nothing_open(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = asyncio.Event()
    go_on = asyncio.Event()
    follow_from = telling.follow_from

    async def slow(*asked: object) -> object:
        begun.set()
        await go_on.wait()
        return await follow_from(*asked)  # type: ignore[arg-type]

    async def scene() -> None:
        async with observed(place) as (session, watching):
            monkeypatch.setattr(event_streams, "follow_from", slow)
            seen = watching.subscribe_and_recover(await now(watching))
            coming = asyncio.ensure_future(anext(seen))
            await begun.wait()
            await seen.aclose()
            go_on.set()
            with pytest.raises(StopAsyncIteration):
                await coming
            assert not session._shared.lane.log.wakes._watched()

    run(scene())


def test_a_stream_holds_the_session_until_it_is_closed_or_forgotten(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            session = await core.session("s")
            watching = session.observe()
            seen = watching.subscribe_and_recover(await now(watching))
            await watching.aclose()
            spare = session.clone()
            with pytest.raises(SessionStillInUse) as refusal:
                await session.close()
            assert refusal.value.holders == ("a handle", "a stream")
            async with seen:
                pass
            forgotten = spare.observe().subscribe_and_recover("whatever")
            del forgotten
            gc.collect()
            await spare.close()

    run(scene())


def test_an_error_of_the_log_ends_a_stream_and_lets_the_session_go(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        core = host(store)
        session = await core.session("s")
        async with session.observe() as watching:
            seen = watching.subscribe_and_recover(await now(watching))
            coming = asyncio.ensure_future(anext(seen))
            await settle()
            await core.aclose()
            with pytest.raises(StoreClosed):
                await asyncio.wait_for(coming, 10)
            with pytest.raises(StopAsyncIteration):
                await anext(seen)
        await session.close()

    run(scene())


def test_a_stream_knows_where_it_is(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            start = await now(watching)
            async with watching.subscribe_and_recover(str(start)) as seen:
                assert seen.cursor == start
                await session.enqueue("x")
                item = await anext(seen)
                assert isinstance(item, StreamEvent)
                assert seen.cursor == item.event.cursor > start
            async with watching.subscribe_and_recover("nonsense") as seen:
                with pytest.raises(CursorRefused):
                    str(seen.cursor)

    run(scene())


def test_an_answer_holds_so_many_events_and_says_where_to_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "REPLAY_EVENTS_MAX", 3)

    async def scene() -> None:
        async with observed(place) as (session, watching):
            cursor = await now(watching)
            taken = [(await session.enqueue(str(number))).input_id for number in range(7)]
            told: list[str] = []
            sizes: list[int] = []
            is_complete = False
            while not is_complete:
                resumed = await watching.resume_from_cursor(cursor)
                assert isinstance(resumed, Replayed)
                told += [each.payload.batch_ids[0] for each in resumed.events]  # type: ignore[union-attr]
                sizes.append(len(resumed.events))
                cursor, is_complete = resumed.cursor, resumed.is_complete
            assert told == taken
            assert sizes == [3, 3, 1]

    run(scene())


def test_what_was_pruned_while_it_was_replayed_is_a_gap(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow_from = telling.follow_from

    async def then_prune(*asked: object) -> object:
        found = await follow_from(*asked)  # type: ignore[arg-type]
        prune(place, records_max=0)
        return found

    async def scene() -> None:
        async with observed(place, streamed("one")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            monkeypatch.setattr(event_streams, "follow_from", then_prune)
            resumed = await watching.resume_from_cursor(start)
            assert isinstance(resumed, Gap)
            assert resumed.gap.reason is GapReason.TRIMMED
            assert not session._shared.lane.log.wakes._watched()

    run(scene())


def test_a_view_of_a_commit_stays_what_it_was(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            await session.turn("b")
            commits = [
                event.payload
                for event in await replayed(watching, start)
                if type(event.payload).__name__ == "Committed"
            ]
            texts = [
                [each.text for each in await commit.read_view.messages()]  # type: ignore[union-attr]
                for commit in commits
            ]
            assert texts == [["a", "one"], ["a", "one", "b", "two"]]

    run(scene())


def test_what_is_buffered_for_a_slow_consumer_is_a_page(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            found = await watching.subscribe_from_cursor(await now(watching))
            assert isinstance(found, Subscribed)
            for number in range(3 * ITEMS_PER_PAGE):
                await session.enqueue(str(number))
            await found.stream.next_event()
            subscription = found.stream._teller._subscription
            assert 0 < len(subscription._ready) <= 2 * ITEMS_PER_PAGE
            await found.stream.aclose()

    run(scene())


def look(name: str) -> str:
    """Look at something."""
    return f"saw {name}"


def test_where_what_an_event_is_told_with_was_trimmed_there_is_a_gap(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(calls(call("c", "look", {"name": "x"})), says("done"))
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
            session.observe() as watching,
        ):
            start = await now(watching)
            await session.turn("go")
            found = await watching.subscribe_from_cursor(start)
            assert isinstance(found, Subscribed)
            recovering = watching.subscribe_and_recover(start)
            # The facts are in memory; when the call was asked for can be read no more.
            await found.stream.next_event()
            await anext(recovering)
            await core.trim_history("s", archive=NoArchive())
            with pytest.raises(SubscriberLagged) as lag:
                await until_it_ends(found.stream)
            assert lag.value.missed_count == 1
            assert isinstance((await found.stream.next_event()).payload, TurnActivity)
            await found.stream.aclose()
            while isinstance(item := await anext(recovering), StreamEvent):
                pass
            assert item.gap.reason is GapReason.TRIMMED
            assert item.observation.read_view.revision == 1
            await recovering.aclose()

    run(scene())


def test_facts_that_are_trimmed_while_a_cursor_is_looked_up_are_a_gap(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_as_of = snapshotting.load_as_of

    async def scene() -> None:
        async with observed(place) as (session, watching):
            for number in range(3):
                taken = await session.enqueue(str(number))
                await session.cancel_pending_turn_input(taken.input_id)

            def trimmed_meanwhile(store: Store, asked: StreamId, version: int) -> Folded:
                world = World()
                minted = Minted(now_ms=lambda: 10**13, token=world.token, salt=world.salt)
                archive = NoArchive()
                other = place.store()
                trimming = Trimming(store=other, archive=archive, minted=minted, limits=Limits())
                trimming.trim(asked, None)
                other.close()
                return load_as_of(store, asked, version)

            monkeypatch.setattr(telling, "load_as_of", trimmed_meanwhile)
            found = await watching.resume_from_cursor(SessionCursor(SessionId("s"), Version(2)))
            assert isinstance(found, Gap)
            assert found.gap.reason is GapReason.TRIMMED

    run(scene())


class MovesOn(Through):
    """Each look at the head row but the first finds that another process wrote and pruned."""

    looks_count = 0
    times = 0

    def head(self, stream: StreamId) -> StreamHead | None:
        self.looks_count += 1
        if self.times and self.looks_count % 2 == 0:
            self.times -= 1
            folded = enqueue(self.inner, load(self.inner, stream), self.looks_count)
            new = NewActivity(
                stream=stream,
                version=folded.version,
                generation=Generation(0),
                payloads=[b"x"],
                at_ms=1,
            )
            self.inner.append_activity(new)
            self.inner.trim_activity(stream, ActivityWindow(records_max=0), 1)
        return super().head(stream)


@pytest.mark.parametrize("times", [1, 3, telling.OBSERVE_ATTEMPTS_MAX + 2])
def test_an_observation_is_taken_anew_when_the_log_moves_on(place: Place, times: int) -> None:
    async def scene() -> None:
        store = MovesOn(place.store())
        async with observed(place, store=store) as (_, watching):
            store.looks_count, store.times = 0, times
            observation = await watching.current_observation()
            store.times = 0
            resumed = await watching.resume_from_cursor(observation.cursor)
            # However fast the log moves, an answer comes; if it is late, it is a gap.
            is_late = times > telling.OBSERVE_ATTEMPTS_MAX
            assert type(resumed) is (Gap if is_late else Replayed)

    run(scene())


# Many who look on


class Onlooker:
    """Follows, sometimes slowly, is cancelled now and then, and comes back from its cursor."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.seen: list[str] = []

    async def look_on(self, watching: ObservableSession, cursor: SessionCursor) -> None:
        while True:
            async with watching.subscribe_and_recover(cursor) as stream:
                for _ in range(self._chance.randrange(1, 30)):
                    await self._take(stream)
                cursor = stream.cursor

    async def _take(self, stream: SessionObservationStream) -> None:
        coming = asyncio.ensure_future(anext(stream))
        for _ in range(self._chance.choice((0, 0, 3, 9))):
            await asyncio.sleep(0)
        if self._chance.random() < 0.1:
            coming.cancel()
            await asyncio.wait({coming})
        if not coming.cancelled():
            item = await coming
            assert isinstance(item, StreamEvent)
            assert isinstance(item.event.payload, QueueChanged)
            self.seen += item.event.payload.batch_ids


@pytest.mark.parametrize("kept_max", [1, 3, 256])
def test_all_who_look_on_see_everything_once_and_in_order(
    place: Place, monkeypatch: pytest.MonkeyPatch, kept_max: int
) -> None:
    monkeypatch.setattr(tails, "EVENTS_KEPT_MAX", kept_max)
    chance = Random(kept_max)
    onlookers = [Onlooker(chance) for _ in range(24)]

    async def scene() -> None:
        async with observed(place) as (session, watching):
            start = await now(watching)
            looking = [asyncio.create_task(each.look_on(watching, start)) for each in onlookers]
            taken = []
            for number in range(40):
                taken.append((await session.enqueue(str(number))).input_id)
                for _ in range(chance.randrange(6)):
                    await asyncio.sleep(0)
            await until(lambda: all(len(each.seen) >= len(taken) for each in onlookers))
            for task in looking:
                task.cancel()
            await asyncio.gather(*looking, return_exceptions=True)
            assert [each.seen for each in onlookers if each.seen != taken] == []
            assert not session._shared.lane.log.wakes._watched()

    run(scene())


def test_those_who_look_on_together_read_the_log_once(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            start = await now(watching)
            streams = [watching.subscribe_and_recover(start) for _ in range(50)]
            coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await settle()
            assert len(session._shared.lane.log.wakes._watchers[stream_of("s")]) == 1
            taken = await session.enqueue("x")
            items = await asyncio.gather(*coming)
            assert {type(item) for item in items} == {StreamEvent}
            # It is one event, and one view of it, for all of them.
            assert len({id(item.event) for item in items if isinstance(item, StreamEvent)}) == 1
            assert taken.input_id in str(items[0])
            for stream in streams:
                await stream.aclose()
            assert not session._shared.lane.log.wakes._watched()

    run(scene())


def test_what_is_wrong_with_the_log_is_said_to_all_who_look_on(place: Place) -> None:
    async def scene() -> None:
        core = host(place.store())
        session = await core.session("s")
        async with session.observe() as watching:
            start = await now(watching)
            streams = [watching.subscribe_and_recover(start) for _ in range(3)]
            coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
            await settle()
            await core.delete_session("s")
            for each in coming:
                with pytest.raises(SessionDeleted):
                    await asyncio.wait_for(each, 10)
        await core.aclose()

    run(scene())


def plain(activities: Iterable[TurnActivity]) -> list[tuple[str, object]]:
    """Take activities without what differs: how text was cut, and how long a call took."""
    found: list[tuple[str, object]] = []
    for activity in activities:
        shown = activity.event
        if isinstance(shown, ToolCallCompleted):
            shown = attrs.evolve(shown, duration_ms=0)
        if isinstance(shown, AssistantProseDelta | ReasoningTextDelta) and found:
            before = found[-1][1]
            if type(before) is type(shown):
                found.pop()
                shown = attrs.evolve(shown, text=before.text + shown.text)
        found.append((activity.correlation_id, shown))
    return found


def test_what_is_observed_is_what_the_turn_showed(place: Place) -> None:
    async def scene() -> None:
        words = (ReasoningDelta(text="h"), ReasoningDelta(text="m"), ProseDelta(text="Let me"))
        asks = calls(call("c", "look", {"name": "x"}), call("d", "nothing", "no json"))
        provider = speaking(
            attrs.evolve(asks, deltas=words),
            says("done", deltas=[ProseDelta(text="do"), ProseDelta(text="ne")]),
            fails(ModelCallFailed(code="overloaded", message="busy", retryable=False)),
        )
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
            session.observe() as watching,
        ):
            for text in ("go", "again"):
                start = await now(watching)
                output = await session.turn(text)
                events = [event.payload for event in await replayed(watching, start)]
                told = plain(each for each in events if isinstance(each, TurnActivity))
                if text == "again":
                    # To the turn's caller its end is the result.
                    assert isinstance(told.pop()[1], TurnEndedUncommitted)
                assert isinstance(told[0][1], ModelRequestStarted)
                assert sorted(map(repr, told)) == sorted(map(repr, plain(output.activities)))

    run(scene())
