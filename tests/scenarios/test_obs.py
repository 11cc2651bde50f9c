"""OBS: observations, events, cursors and gaps, as a host meets them, on every store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lash_es import (
    AssistantProseDelta,
    Committed,
    Gap,
    InputId,
    LashSession,
    MalformedCursor,
    NewMessage,
    ObservableSession,
    QueueChanged,
    Replayed,
    Role,
    SessionCursor,
    SessionDeleted,
    SourceKey,
    StreamEvent,
    StreamGap,
    Subscribed,
    TurnActivity,
)
from lash_es.codec.cursors import WrongSession
from lash_es.core.ids import FrameId, SessionId, TurnId, Version
from lash_es.core.ingress import ActiveTurn
from lash_es.log.activities import (
    ACTIVITY_AGE_MS_MAX,
    ACTIVITY_RECORDS_MAX,
    DEFAULT_WINDOW,
    ActivityWindow,
)
from lash_es.log.port import Store
from lash_es.log.subscribing import GapReason
from lash_es.projections.observation import AgentFrameSwitched
from lash_es.runtime.providers import ProseDelta
from lash_es.session.observations import CursorRefused, SessionObservationEvent
from lash_es.session.session_inputs import SessionInputs
from lash_es.session.session_leases import SessionLeases
from tests.scenarios.hands import got, owner
from tests.session.host import host, run
from tests.session.scripted import Say, says, speaking
from tests.session.stores import Failing, Place, Through, activities, stream

EVER = 10**15


def streamed(text: str) -> Say:
    """Answer, streamed in one piece."""
    return says(text, deltas=[ProseDelta(text=text)])


@asynccontextmanager
async def observed(
    place: Place, *steps: Say, store: Store | None = None
) -> AsyncIterator[tuple[LashSession, ObservableSession]]:
    """Open session "s" and look at it."""
    async with (
        host(store or place.store(), speaking(*steps)) as core,
        core.session("s").open() as session,
        session.observe() as watching,
    ):
        yield session, watching


async def replayed(
    watching: ObservableSession, cursor: SessionCursor
) -> tuple[SessionObservationEvent, ...]:
    """Replay, where no gap is expected."""
    resumed = await watching.resume_from_cursor(cursor)
    assert isinstance(resumed, Replayed)
    assert resumed.is_complete
    return resumed.events


async def missed(watching: ObservableSession, cursor: SessionCursor) -> list[GapReason]:
    """Ask in both ways for what is not there; return both reasons."""
    reasons = []
    for found in (
        await watching.resume_from_cursor(cursor),
        await watching.subscribe_from_cursor(cursor),
    ):
        assert isinstance(found, Gap)
        assert found.gap.requested_cursor == cursor
        assert found.gap.latest_cursor == found.observation.cursor
        assert found.gap.session_id == "s"
        assert found.gap.latest_revision == found.observation.read_view.revision
        reasons.append(found.gap.reason)
    return reasons


def prose(events: tuple[SessionObservationEvent, ...]) -> list[str]:
    """Pick the streamed text."""
    return [
        event.payload.event.text
        for event in events
        if isinstance(event.payload, TurnActivity)
        and isinstance(event.payload.event, AssistantProseDelta)
    ]


def changes(events: tuple[SessionObservationEvent, ...]) -> list[tuple[str, ...]]:
    """Pick the changes of queues: what happened, and to whom."""
    return [
        (event.payload.kind.value, *event.payload.batch_ids)
        for event in events
        if isinstance(event.payload, QueueChanged)
    ]


async def now(watching: ObservableSession) -> SessionCursor:
    return (await watching.current_observation()).cursor


def prune(
    place: Place, *, records_max: int = 10**9, age_ms_max: int = EVER, at_ms: int = EVER
) -> None:
    """Prune as somebody would who keeps the database."""
    window = ActivityWindow(records_max=records_max, age_ms_max=age_ms_max)
    place.store().trim_activity(stream(), window, at_ms)


def test_obs_01_a_fresh_cursor_replays_nothing(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (_, watching):
            assert await replayed(watching, await now(watching)) == ()

    run(scene())


def test_obs_02_events_have_rising_cursors_and_say_session_and_revision(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, says("one"), says("two")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            await session.turn("b")
            events = await replayed(watching, start)
            commits = [event for event in events if isinstance(event.payload, Committed)]
            assert [event.revision for event in commits] == [1, 2]
            assert {event.session_id for event in events} == {"s"}
            cursors = [event.cursor for event in events]
            assert cursors == sorted(set(cursors))
            assert [str(each) for each in cursors] == sorted({str(each) for each in cursors})

    run(scene())


def test_obs_03_replay_after_a_cursor_is_in_order(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("alpha one")) as (session, watching):
            await session.turn("go")
            start = await now(watching)
            first = await session.enqueue("x")
            second = await session.enqueue("y")
            events = await replayed(watching, start)
            assert changes(events) == [
                ("enqueued", first.input_id),
                ("enqueued", second.input_id),
            ]
            assert await replayed(watching, events[0].cursor) == events[1:]
            assert await replayed(watching, events[1].cursor) == ()

    run(scene())


class Explodes(Through):
    """A log that must not be read."""

    is_armed = False

    @property
    def inner(self) -> Store:
        if self.is_armed:
            raise AssertionError("the log was read")
        return super().inner


@pytest.mark.parametrize(
    "text", ["not-a-session-cursor", "", "les1.000000000000001a00000003.Y", "lashsc1:1:2:s"]
)
def test_obs_07_a_malformed_cursor_is_refused_before_the_log_is_read(
    place: Place, text: str
) -> None:
    async def scene() -> None:
        store = Explodes(place.store())
        async with observed(place, store=store) as (_, watching):
            store.is_armed = True
            for ask in (watching.resume_from_cursor, watching.subscribe_from_cursor):
                with pytest.raises(CursorRefused) as refusal:
                    await ask(text)
                assert refusal.value.code == "live_replay"
                assert isinstance(refusal.value.refusal, MalformedCursor)
                assert refusal.value.is_terminal
            stream_of = watching.subscribe_and_recover(text)
            with pytest.raises(CursorRefused):
                await anext(stream_of)
            with pytest.raises(StopAsyncIteration):
                await anext(stream_of)
            store.is_armed = False

    run(scene())


def test_obs_08_a_cursor_ahead_of_the_log_is_a_gap(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            await session.enqueue("x")
            for ahead in ((10**6, 0), (2**63, 5), (2**64 - 1, 2**32 - 1)):
                cursor = SessionCursor(SessionId("s"), Version(ahead[0]), ahead[1])
                assert await missed(watching, cursor) == [GapReason.UNAVAILABLE] * 2
            here = await now(watching)
            one_ahead = SessionCursor(SessionId("s"), here.version, 1)
            assert await missed(watching, one_ahead) == [GapReason.UNAVAILABLE] * 2

    run(scene())


def test_obs_10_a_trim_by_capacity_is_a_gap_and_facts_are_not_counted(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            await session.turn("b")
            events = await replayed(watching, start)
            assert prose(events) == ["one", "two"]
            (first,) = (event for event in events if prose((event,)) == ["one"])
            prune(place, records_max=1)
            assert await missed(watching, start) == [GapReason.TRIMMED] * 2
            assert prose(await replayed(watching, first.cursor)) == ["two"]
            prune(place, records_max=0)
            (last,) = (event for event in events if prose((event,)) == ["two"])
            after = [event for event in events if event.cursor > last.cursor]
            assert after
            assert await replayed(watching, last.cursor) == tuple(after)

    run(scene())


def test_obs_11_a_trim_by_age_is_a_gap_and_reading_trims_nothing(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("old")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            for _ in range(3):
                assert prose(await replayed(watching, start)) == ["old"]
            prune(place, age_ms_max=0)
            assert await missed(watching, start) == [GapReason.TRIMMED] * 2
            tail = await now(watching)
            assert await replayed(watching, tail) == ()

    run(scene())


def test_obs_12_a_cursor_is_good_if_nothing_after_it_was_trimmed(place: Place) -> None:
    async def scene() -> None:
        steps = tuple(streamed(f"word {number}") for number in range(4))
        async with observed(place, *steps) as (session, watching):
            start = await now(watching)
            for number in range(4):
                await session.turn(str(number))
            pieces = [event for event in await replayed(watching, start) if prose((event,))]
            prune(place, records_max=2)
            in_front = [pieces[0].cursor, pieces[1].cursor]

            async def answers(looking: ObservableSession) -> None:
                # The cursor exactly in front of the first that is kept is that of the one before.
                assert await missed(looking, in_front[0]) == [GapReason.TRIMMED] * 2
                assert prose(await replayed(looking, in_front[1])) == ["word 2", "word 3"]

            await answers(watching)
            async with observed(place) as (_, elsewhere):
                await answers(elsewhere)

    run(scene())


def test_obs_13_defaults_are_2048_records_and_120_seconds(place: Place) -> None:
    assert (ACTIVITY_RECORDS_MAX, ACTIVITY_AGE_MS_MAX) == (2_048, 120_000)
    assert ActivityWindow() == DEFAULT_WINDOW

    async def scene() -> None:
        async with observed(place, says("one")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            told = await replayed(watching, start)
            prune(place, records_max=0)
            assert await replayed(watching, start) == told  # Facts are for ever.

    run(scene())


def test_obs_15_a_cursor_of_another_session_is_refused_with_both_names(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (_, watching):
            foreign = SessionCursor(SessionId("session-b"), Version(1))
            for ask in (watching.resume_from_cursor, watching.subscribe_from_cursor):
                with pytest.raises(CursorRefused) as refusal:
                    await ask(foreign)
                assert isinstance(refusal.value.refusal, WrongSession)
                assert refusal.value.refusal.fields == {"expected": "s", "actual": "session-b"}
                assert "session-b" in str(refusal.value)

    run(scene())


def test_obs_16_bad_cursors_are_refused_before_the_log_is_read(place: Place) -> None:
    async def scene() -> None:
        store = Explodes(place.store())
        async with observed(place, store=store) as (_, watching):
            store.is_armed = True
            for bad in (SessionCursor(SessionId("other"), Version(1)), "nonsense"):
                for ask in (watching.resume_from_cursor, watching.subscribe_from_cursor):
                    with pytest.raises(CursorRefused):
                        await ask(bad)
            store.is_armed = False

    run(scene())


def test_obs_17_resume_after_a_turn_shows_activity_and_the_commit(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("echo: observe me")) as (session, watching):
            start = await now(watching)
            await session.turn("observe me")
            events = await replayed(watching, start)
            assert prose(events) == ["echo: observe me"]
            (commit,) = (event for event in events if isinstance(event.payload, Committed))
            assert events.index(commit) > [prose((event,)) != [] for event in events].index(True)
            assert isinstance(commit.payload, Committed)
            words = [each.text for each in await commit.payload.read_view.messages()]
            assert words == ["observe me", "echo: observe me"]

    run(scene())


def test_obs_18_a_subscription_spans_two_turns(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            found = await watching.subscribe_from_cursor(start)
            assert isinstance(found, Subscribed)
            texts: list[str] = []

            async def look(count: int) -> None:
                while len(texts) < count:
                    texts.extend(prose((await found.stream.next_event(),)))

            await look(1)
            looking = asyncio.ensure_future(look(2))
            await session.turn("b")
            await asyncio.wait_for(looking, 10)
            assert texts == ["one", "two"]
            await found.stream.aclose()

    run(scene())


def test_obs_20_a_recovering_stream_tells_of_the_gap_and_goes_on(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = await now(watching)
            seen = watching.subscribe_and_recover(start)
            await session.turn("a")
            prune(place, records_max=0)
            gap = await anext(seen)
            assert isinstance(gap, StreamGap)
            assert gap.gap.reason is GapReason.TRIMMED
            assert gap.gap.latest_cursor == gap.observation.cursor == seen.cursor
            assert [each.text for each in await gap.observation.read_view.messages()] == [
                "a",
                "one",
            ]
            await session.turn("b")
            texts: list[str] = []
            while not texts:
                item = await anext(seen)
                assert isinstance(item, StreamEvent)
                assert item.event.cursor == seen.cursor
                texts.extend(prose((item.event,)))
            assert texts == ["two"]
            await seen.aclose()

    run(scene())


def test_obs_22_a_frame_switch_is_immediately_followed_by_committed(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, says("one")) as (session, watching):
            await session.turn("a")
            start = await now(watching)
            await session.open_frame(
                "f1",
                reason="compaction",
                messages=[NewMessage(role=Role.USER, content="in short")],
            )
            await session.append_messages([NewMessage(role=Role.USER, content="by the way")])
            events = await replayed(watching, start)
            switched, committed, appended = (event.payload for event in events)
            assert switched == AgentFrameSwitched(frame_id=FrameId("f1"))
            assert isinstance(committed, Committed)
            assert isinstance(appended, Committed)
            assert committed.read_view.agent_frame_id == "f1"
            assert [m.text for m in await committed.read_view.messages()] == ["in short"]
            assert [m.text for m in await appended.read_view.messages()] == [
                "in short",
                "by the way",
            ]
            page = await appended.read_view.latest_messages(messages_max=9)
            assert [m.text for m in page.messages] == ["in short", "by the way"]
            assert [event.revision for event in events] == [1, 1, 1]

    run(scene())


def test_obs_24_one_cancelled_event_per_call_lists_what_was_really_cancelled(
    place: Place,
) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            first, second, third = [await session.enqueue(text, id=text) for text in "abc"]
            start = await now(watching)
            await session.cancel_pending_turn_inputs(
                [InputId(first.input_id), SourceKey("host:missing")]
            )
            await session.cancel_pending_turn_input_suffix(InputId(second.input_id))
            await session.cancel_pending_turn_inputs([SourceKey("host:missing")])
            await session.cancel_pending_turn_input(first.input_id)
            assert changes(await replayed(watching, start)) == [
                ("cancelled", first.input_id),
                ("cancelled", second.input_id, third.input_id),
            ]
            here = await now(watching)
            steer = await session.enqueue("go on", ingress=ActiveTurn(TurnId("t1")))
            assert changes(await replayed(watching, here)) == [("enqueued", steer.input_id)]

    run(scene())


def test_obs_26_reads_do_not_wait_for_a_running_turn(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate))

    async def scene() -> None:
        async with (
            host(place.store(), provider, look_up) as core,
            core.session("s").open() as session,
            session.observe() as watching,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            assert watching.session_id == "s"
            assert watching.policy_snapshot() == session.policy_snapshot()
            assert watching.usage_report().entry_count == 0
            assert [each.name for each in watching.active_tool_manifests()] == ["look_up"]
            assert await watching.read_view().messages() == []
            observation = await asyncio.wait_for(watching.current_observation(), 5)
            assert observation.read_view.revision == 0
            assert isinstance(await watching.resume_from_cursor(observation.cursor), Replayed)
            assert not turn.done()
            gate.set()
            assert (await turn).result.is_success

    run(scene())


def look_up(name: str) -> str:
    """Look a name up."""
    return name


def test_obs_28_a_change_of_the_policy_is_visible_at_once_and_after_a_kill(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            start = await now(watching)
            await session.configure(instructions="Be kind.")
            assert watching.policy_snapshot().instructions == "Be kind."
            (event,) = await replayed(watching, start)
            assert isinstance(event.payload, Committed)
            assert event.payload.read_view.policy.instructions == "Be kind."
            # Nobody closed anything yet: another process finds it in the log.
            async with host(place.store()) as other:
                parked = await (await other.session("s")).park()
                async with other.resume(parked) as resumed:
                    assert resumed.session_id == "s"
            events = [each.payload for each in await replayed(watching, start)]
            assert events[0] == event.payload

    run(scene())


def test_obs_29_a_failed_write_of_activity_fails_no_turn_and_is_a_gap(place: Place) -> None:
    async def scene() -> None:
        store = Failing(place.store())
        async with observed(place, streamed("lost"), streamed("kept"), store=store) as (
            session,
            watching,
        ):
            start = await now(watching)
            store.can_show = False
            assert (await session.turn("a")).result.is_success
            store.can_show = True
            assert activities(place.store()) == ()
            # The facts of the turn have told of the hole; from behind it nothing is missing.
            assert await missed(watching, start) == [GapReason.TRIMMED] * 2
            behind = await now(watching)
            assert (await session.turn("b")).result.is_success
            assert prose(await replayed(watching, behind)) == ["kept"]

    run(scene())


def test_obs_31_the_revision_rises_once_per_commit_and_not_in_mid_turn(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            await session.enqueue("waits")
            await session.turn("b")
            events = await replayed(watching, start)
            at_commit = [isinstance(event.payload, Committed) for event in events]
            revisions = [event.revision for event in events]
            for number, (is_commit, revision) in enumerate(zip(at_commit, revisions, strict=True)):
                before = revisions[number - 1] if number else 0
                assert revision == before + is_commit
            assert revisions[-1] == session.revision == 2

    run(scene())


def test_obs_32_abandoning_a_claim_announces_the_ids_as_enqueued(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            taken = await session.enqueue("x")
            lane = session._shared.lane
            fence = got(await SessionLeases(lane).try_claim(owner("a"), ttl_ms=60_000))
            claim = await SessionInputs(lane).claim_for_next_turn(fence, inputs_max=8)
            assert claim is not None
            start = await now(watching)
            await session.abandon_turn_input_claim(claim)
            assert changes(await replayed(watching, start)) == [("enqueued", taken.input_id)]

    run(scene())


def test_edge_87a_what_appended_nothing_publishes_nothing(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (session, watching):
            await session.enqueue("x", id="k")
            start = await now(watching)
            await session.enqueue("x", id="k")
            await session.configure(instructions=session.policy_snapshot().instructions)
            session.cancel_running_turns()
            assert await replayed(watching, start) == ()

    run(scene())


def test_edge_88_the_view_and_the_cursor_of_mid_turn_are_of_one_state(place: Place) -> None:
    gate = asyncio.Event()

    async def scene() -> None:
        store = place.store()
        piece = says("hello", deltas=[ProseDelta(text="hel")], gate=gate)
        async with observed(place, piece, store=store) as (session, watching):
            turn = asyncio.ensure_future(session.turn("go").run())
            while not activities(store):  # noqa: ASYNC110 - what is written is not announced here
                await asyncio.sleep(0.001)
            observation = await watching.current_observation()
            assert observation.cursor.version == observation.read_view.version
            # What was streamed after that state is not skipped.
            assert prose(await replayed(watching, observation.cursor)) == ["hel"]
            gate.set()
            await turn

    run(scene())


def test_edge_89_sessions_with_colons_in_their_ids_have_cursors_too(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store()) as core,
            core.session("a:b:c").open() as session,
            session.observe() as watching,
        ):
            start = await now(watching)
            await session.enqueue("x")
            (event,) = await replayed(watching, SessionCursor.parse(str(start)))
            assert event.session_id == "a:b:c"

    run(scene())


def test_edge_92_any_process_serves_any_cursor_also_after_a_restart(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one")) as (session, watching):
            start = await now(watching)
            await session.turn("a")
            events = await replayed(watching, start)
        async with observed(place) as (_, elsewhere):
            assert (await replayed(elsewhere, start))[: len(events)] == events

    run(scene())


def test_a_deleted_session_says_so_to_whoever_looks_on(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            session = await core.session("s")
            async with session.observe() as watching:
                start = await now(watching)
                seen = watching.subscribe_and_recover(start)
                await session.enqueue("x")
                assert isinstance(await anext(seen), StreamEvent)
                coming = asyncio.ensure_future(anext(seen))
                await asyncio.sleep(0)
                await core.delete_session("s")
                with pytest.raises(SessionDeleted):
                    await asyncio.wait_for(coming, 10)
                with pytest.raises(StopAsyncIteration):
                    await anext(seen)
                for ask in (watching.resume_from_cursor, watching.subscribe_from_cursor):
                    with pytest.raises(SessionDeleted):
                        await ask(start)
                with pytest.raises(SessionDeleted):
                    await anext(watching.subscribe_and_recover(start))

    run(scene())
