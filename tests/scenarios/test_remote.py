"""REMOTE: what crosses a wire, as a host's clients meet it, on every store."""

import asyncio

import pytest

from lash_es import Committed, QueueChanged, RuntimeFault, SessionDeleted
from lash_es.log.activities import ActivityWindow
from lash_es.remote.constraints import PROTOCOL_VERSION
from lash_es.remote.converting import decode_remote, encode_remote
from lash_es.remote.errors import MissingRequiredField, UnsupportedProtocolVersion
from lash_es.remote.observations import (
    RemoteActivityShown,
    RemoteCommitted,
    RemoteGapReason,
    RemoteQueueChanged,
    RemoteSessionCursor,
    RemoteSessionObservation,
    RemoteSessionObservationEvent,
    cursor_from_remote,
    remote_cursor,
)
from lash_es.remote.turn_results import RemoteTurnResult, RemoteTurnStatus
from lash_es.session.remote_mapping import remote_event, remote_turn_result
from lash_es.session.remote_streams import (
    RemoteGap,
    RemoteStreamEvent,
    RemoteStreamGap,
    RemoteSubscribed,
)
from tests.scenarios.test_obs import now, observed, prune, replayed, streamed
from tests.session.host import host, run
from tests.session.scripted import call, calls, says, speaking
from tests.session.stores import Place


def test_remote_07_an_observation_is_mapped_and_its_cursor_comes_back(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, says("fine")) as (session, watching):
            await session.turn("hello")
            observation = await watching.current_observation()
            remote = await watching.current_remote_observation()
            assert (remote.protocol_version, remote.session_id) == (8, "s")
            assert remote.cursor == str(observation.cursor)
            assert (remote.turn_index, remote.usage.input_tokens) == (1, 10)
            back = cursor_from_remote(remote_cursor(observation.cursor))
            assert back == observation.cursor
            assert decode_remote(encode_remote(remote), RemoteSessionObservation) == remote

    run(scene())


def test_remote_08_every_event_of_a_session_maps(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("hi")) as (session, watching):
            start = await now(watching)
            taken = await session.enqueue("waits")
            await session.turn("hello")
            events = await replayed(watching, start)
            for event in events:
                remote = remote_event(event, 7)
                assert remote.cursor == str(event.cursor)
                assert (remote.session_id, remote.revision) == ("s", event.revision)
                again = decode_remote(encode_remote(remote), RemoteSessionObservationEvent)
                assert again == remote
                match event.payload:
                    case Committed():
                        assert remote.payload == RemoteCommitted()
                    case QueueChanged():
                        assert isinstance(remote.payload, RemoteQueueChanged)
                        assert remote.payload.kind.value == "enqueued"
                        assert remote.payload.batch_ids == (taken.input_id,)
                    case _:
                        assert isinstance(remote.payload, RemoteActivityShown)
                        assert remote.payload.activity.sequence == 7
            assert {type(event.payload).__name__ for event in events} == {
                "Committed",
                "QueueChanged",
                "TurnActivity",
            }

    run(scene())


def test_remote_10_a_remote_stream_tells_of_a_gap_first(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("one"), streamed("two")) as (session, watching):
            start = remote_cursor(await now(watching))
            await session.turn("a")
            prune(place, records_max=0)
            seen = watching.subscribe_and_recover_remote(start)
            gap = await anext(seen)
            assert isinstance(gap, RemoteStreamGap)
            assert gap.gap.reason is RemoteGapReason.TRIMMED
            assert gap.gap.latest_cursor == gap.observation.cursor == seen.cursor.cursor
            assert gap.gap.requested_cursor == start.cursor
            assert gap.gap.session_id == gap.observation.session_id == "s"
            found = await watching.subscribe_from_remote_cursor(start)
            assert isinstance(found, RemoteGap)
            assert found.gap == gap.gap
            await session.turn("b")
            item = await anext(seen)
            assert isinstance(item, RemoteStreamEvent)
            assert seen.cursor == RemoteSessionCursor(protocol_version=8, cursor=item.event.cursor)
            await seen.aclose()

    run(scene())


def test_edge_94_a_remote_sequence_counts_every_event_and_shows_on_activity(place: Place) -> None:
    async def scene() -> None:
        async with observed(place, streamed("hi")) as (session, watching):
            start = remote_cursor(await now(watching))
            await session.enqueue("waits")
            await session.turn("hello")
            found = await watching.subscribe_from_remote_cursor(start)
            assert isinstance(found, RemoteSubscribed)
            async with found.stream as seen, watching.subscribe_and_recover_remote(start) as twin:
                shown = []
                for number in range(5):
                    event = await seen.next_event()
                    item = await anext(twin)
                    assert isinstance(item, RemoteStreamEvent)
                    assert item.event == event
                    assert seen.cursor.cursor == event.cursor
                    if isinstance(event.payload, RemoteActivityShown):
                        shown.append((number, event.payload.activity.sequence))
                assert shown == [(1, 1), (2, 2), (3, 3)]

    run(scene())


def test_a_bad_envelope_is_refused_at_once_and_a_bad_cursor_by_the_stream(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (_, watching):
            other = RemoteSessionCursor(protocol_version=9, cursor="x")
            blank = RemoteSessionCursor(protocol_version=PROTOCOL_VERSION, cursor="  ")
            for cursor, kind in (
                (other, UnsupportedProtocolVersion),
                (blank, MissingRequiredField),
            ):
                with pytest.raises(kind):
                    await watching.subscribe_from_remote_cursor(cursor)
                with pytest.raises(kind):
                    watching.subscribe_and_recover_remote(cursor)
            malformed = RemoteSessionCursor(protocol_version=PROTOCOL_VERSION, cursor="x")
            with pytest.raises(RuntimeFault) as refusal:
                await watching.subscribe_from_remote_cursor(malformed)
            assert refusal.value.code == "live_replay"
            seen = watching.subscribe_and_recover_remote(malformed)
            with pytest.raises(RuntimeFault):
                await anext(seen)
            with pytest.raises(StopAsyncIteration):
                await anext(seen)

    run(scene())


def test_an_ended_remote_stream_says_that_it_is_closed(place: Place) -> None:
    async def scene() -> None:
        async with observed(place) as (_, watching):
            found = await watching.subscribe_from_remote_cursor(remote_cursor(await now(watching)))
            assert isinstance(found, RemoteSubscribed)
            await found.stream.aclose()
            with pytest.raises(RuntimeFault) as refusal:
                await found.stream.next_event()
            assert refusal.value.code == "live_replay"
            assert [each async for each in found.stream] == []

    run(scene())


def test_remote_15_a_turn_s_result_is_mapped(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(
            calls(call("c1", "look", {"name": "x"}), call("c2", "look", "no json")),
            says("  done \n", ""),
            says(""),
        )
        async with (
            host(place.store(), provider, look) as core,
            core.session("s").open() as session,
        ):
            output = await session.turn("go").turn_id("t1")
            remote = remote_turn_result(session.session_id, output)
            assert (remote.session_id, remote.turn_id) == ("s", "t1")
            assert remote.status is RemoteTurnStatus.COMPLETED
            assert remote.assistant_output.safe_text == "done"
            assert [each.args for each in remote.tool_calls] == [{"name": "x"}, "no json"]
            assert [each.output.status.value for each in remote.tool_calls] == [
                "succeeded",
                "failed",
            ]
            assert remote.execution.had_tool_calls
            assert remote.usage.total == remote.usage.parent
            assert [each.sequence for each in remote.activities] == [
                *range(len(output.activities))
            ]
            assert decode_remote(encode_remote(remote), RemoteTurnResult) == remote
            failed = remote_turn_result(session.session_id, await session.turn("again"))
            assert failed.status is RemoteTurnStatus.FAILED
            assert failed.issues[0].code == "empty_response"
            assert failed.assistant_output.state.value == "empty_output"
            assert decode_remote(encode_remote(failed), RemoteTurnResult) == failed

    run(scene())


def look(name: str) -> str:
    """Look at something."""
    return f"saw {name}"


def test_a_cancelled_turn_is_mapped_as_that(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("never", gate=gate))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("go").run())
            await provider.is_asked.wait()
            session.cancel_running_turns()
            remote = remote_turn_result(session.session_id, await turn)
            assert remote.status is RemoteTurnStatus.CANCELLED

    run(scene())


def test_a_remote_stream_of_a_deleted_session_raises(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            session = await core.session("s")
            async with session.observe() as watching:
                start = remote_cursor(await now(watching))
                await core.delete_session("s")
                with pytest.raises(SessionDeleted):
                    await watching.subscribe_from_remote_cursor(start)
                with pytest.raises(SessionDeleted):
                    await anext(watching.subscribe_and_recover_remote(start))

    run(scene())


def test_the_window_of_a_core_is_what_its_log_keeps(place: Place) -> None:
    async def scene() -> None:
        from lash_es import LashCore

        provider = speaking(*(streamed(f"word {number}") for number in range(4)))
        async with (
            LashCore(
                model="m",
                provider=provider,
                store=place.store(),
                activity_window=ActivityWindow(records_max=1),
            ) as core,
            core.session("s").open() as session,
        ):
            for number in range(4):
                await session.turn(str(number))
            head = place.store().head(session._shared.lane.stream)
            assert head is not None
            assert head.low_water > (0, 0)

    run(scene())
