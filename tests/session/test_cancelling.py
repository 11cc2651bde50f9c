"""Cancelling: who is told, what is kept, and what is never started."""

import asyncio

import pytest

from lash_es import (
    AssistantProseDelta,
    CancelToken,
    ModelRequestStarted,
    SessionStillInUse,
    Stopped,
    StopReason,
    ToolCallCompleted,
    ToolStatus,
    TurnActivity,
)
from lash_es.runtime.providers import ProseDelta
from tests.session.host import host, messages, run, shown, texts
from tests.session.scripted import ScriptedProvider, always, call, calls, says, speaking
from tests.session.stores import Place, facts, names

CANCELLED = Stopped(reason=StopReason.CANCELLED)


def test_turn_21_a_pre_cancelled_turn_asks_no_model_and_commits(place: Place) -> None:
    provider = speaking(says("fine"))

    async def scene() -> None:
        token = CancelToken()
        token.cancel()
        token.cancel()
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            result = (await session.turn("hello").cancel(token)).result
            assert result.outcome == CANCELLED
            assert (result.revision, result.assistant_message) == (1, None)
            assert await texts(session) == [("user", "hello")]
            assert session.read_view().turn_index == 1
            assert provider.requests == []
            # The next request holds what the cancelled turn left.
            await session.turn("again")
            assert [message.text for message in provider.requests[0].messages] == [
                "hello",
                "again",
            ]

    run(scene())


def test_cancelling_aborts_the_model_call(place: Place) -> None:
    provider = speaking(says("never", gate=asyncio.Event()))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            assert session.cancel_running_turns() == 1
            result = (await turn).result
            assert result.outcome == CANCELLED
            assert result.revision == 1
            assert len(provider.aborted) == 1
            assert session.cancel_running_turns() == 0

    run(scene())


def test_turn_24_partial_text_of_a_cancelled_turn_is_seen_live_and_never_committed(
    place: Place,
) -> None:
    provider = speaking(says("whole", deltas=(ProseDelta(text="partial"),), gate=asyncio.Event()))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            session.cancel_running_turns()
            output = await turn
            assert [d.text for d in shown(output.activities, AssistantProseDelta)] == ["partial"]
            assert await texts(session) == [("user", "hello")]
            assert "partial" not in repr(facts(store))

    run(scene())


def test_tools_are_told_and_what_had_ended_before_is_kept(place: Place) -> None:
    told: list[str] = []

    async def slow() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("slow")
            raise
        return "never"

    async def quick() -> str:
        return "quick"

    provider = speaking(calls(call("c1", "slow"), call("c2", "quick")), says("never"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, slow, quick) as core,
            core.session("s").open() as session,
        ):

            async def cancel_then(activity: TurnActivity) -> None:
                if isinstance(activity.event, ToolCallCompleted):
                    session.cancel_running_turns()

            result = await session.turn("go").stream_to(cancel_then)
            assert result.outcome == CANCELLED
            assert [(each.tool, each.status) for each in result.tool_calls] == [
                ("slow", ToolStatus.CANCELLED),
                ("quick", ToolStatus.SUCCEEDED),
            ]
            assert [each.output for each in result.tool_calls] == ["", "quick"]
            results = (await messages(session))[-1]
            assert [getattr(part, "text", "") for part in results.parts] == ["cancelled", "quick"]

    run(scene())
    assert told == ["slow"]
    assert len(provider.requests) == 1


def test_turns_that_wait_for_their_turn_are_counted_and_cancelled_too(place: Place) -> None:
    provider = ScriptedProvider(script=always(says("never", gate=asyncio.Event())))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            twin = session.clone()
            await session.enqueue("queued")
            running = asyncio.ensure_future(session.turn("a").run())
            waiting = asyncio.ensure_future(twin.turn("b").run())
            draining = asyncio.ensure_future(session.queued_turn().run())
            await provider.is_asked.wait()
            assert session.cancel_running_turns() == 3
            # As long as they have not ended they count again.
            assert twin.cancel_running_turns() == 3
            outputs = await asyncio.gather(running, waiting, draining)
            assert [output.result.outcome for output in outputs if output] == [CANCELLED] * 3
            assert [text for _, text in await texts(session)] == ["a", "b", "queued"]
            assert await session.pending_turn_inputs() == []
            assert session.revision == 3
            with pytest.raises(SessionStillInUse):
                await twin.close()

    run(scene())
    assert len(provider.requests) == 1


def test_turn_23_another_handle_is_not_reached(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate))

    async def scene() -> None:
        async with (
            host(place.store(), provider) as core,
            core.session("s").open() as session,
            core.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            assert other.cancel_running_turns() == 0
            gate.set()
            assert (await turn).result.assistant_message == "done"

    run(scene())


def test_a_token_given_to_two_turns_cancels_both_and_queued_turns_take_one_too(
    place: Place,
) -> None:
    provider = ScriptedProvider(script=always(says("never", gate=asyncio.Event())))

    async def scene() -> None:
        token = CancelToken()
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.enqueue("queued")
            first = asyncio.ensure_future(session.turn("a").cancel(token).run())
            second = asyncio.ensure_future(session.queued_turn().cancel(token).run())
            await provider.is_asked.wait()
            token.cancel()
            for output in await asyncio.gather(first, second):
                assert output is not None
                assert output.result.outcome == CANCELLED

    run(scene())


def test_a_token_that_fires_between_two_effects_stops_the_next_one(place: Place) -> None:
    token = CancelToken()

    async def note() -> str:
        token.cancel()
        return "noted"

    provider = speaking(calls(call("c1", "note")), says("never"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, note) as core,
            core.session("s").open() as session,
        ):
            output = await session.turn("go").cancel(token)
            assert output.result.outcome == CANCELLED
            assert [each.output for each in output.result.tool_calls] == ["noted"]
            assert len(shown(output.activities, ModelRequestStarted)) == 1

    run(scene())
    assert len(provider.requests) == 1


def test_a_host_that_cancels_its_task_leaves_the_turn_to_the_next_driver(place: Place) -> None:
    provider = speaking(says("never", gate=asyncio.Event()), says("fine"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("hello").turn_id("t").run())
            await provider.is_asked.wait()
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            # It holds nothing any more: the lease is free and the model call was aborted.
            assert names(store)[-1] == "LeaseReleased"
            assert len(provider.aborted) == 1
            async with core.session("s").open() as other:
                result = (await other.turn("hello").turn_id("t")).result
                assert result.assistant_message == "fine"
                assert result.takeovers == 1

    run(scene())


def test_a_deadline_of_the_host_is_not_swallowed(place: Place) -> None:
    provider = ScriptedProvider(script=always(says("never", gate=asyncio.Event())))

    async def scene() -> None:
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await session.turn("hello")

    run(scene())


def test_a_reply_that_arrives_with_the_cancellation_is_kept_and_its_calls_are_not_made(
    place: Place,
) -> None:
    started: list[str] = []

    async def late() -> str:
        started.append("late")
        return "late"

    provider = speaking(calls(call("c1", "late"), text="Let me see."), says("fine"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, late) as core,
            core.session("s").open() as session,
        ):

            async def cancel_at_once(activity: TurnActivity) -> None:
                if isinstance(activity.event, ModelRequestStarted):
                    session.cancel_running_turns()

            result = await session.turn("go").stream_to(cancel_at_once)
            assert (result.outcome, result.tool_calls) == (CANCELLED, ())
            assert await texts(session) == [("user", "go"), ("assistant", "Let me see.")]
            await session.turn("again")
            # The call has no result, so no provider is shown it.
            assert [len(message.parts) for message in provider.requests[1].messages] == [1, 1, 1]

    run(scene())
    assert started == []
