"""
Sharp edges that no catalogued scenario covers, each under its number, on memory, SQLite and
PostgreSQL. Those of the graph are in ``test_graph.py``.
"""

import asyncio

import pytest
from attrs import frozen

from lash_es import (
    InvalidArgument,
    LashSession,
    RuntimeFault,
    SessionNotOpen,
    SessionSpec,
    SessionStore,
    StopReason,
    TextItem,
    TurnInput,
)
from lash_es.core.limits import Limits
from lash_es.core.outcomes import Stopped
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.world import World, system_now_ms
from lash_es.session.work import enqueue_wake
from tests.session.host import host, run, texts
from tests.session.scripted import call, calls, fails, says, speaking
from tests.session.stores import Failing, Place, names, stream, version


def nothing() -> str:
    """Do nothing, at length."""
    return "done"


async def stopped_by(session: LashSession, turn_id: str) -> Stopped | None:
    """Run a turn that wants tools twice; return how it stopped, if it did."""
    outcome = (await session.turn("go", turn_id=turn_id)).result.outcome
    return outcome if isinstance(outcome, Stopped) else None


def test_edge_08_a_bound_that_is_cleared_is_not_one_that_is_inherited(place: Place) -> None:
    async def scene() -> None:
        wants = [calls(call(f"c{number}", "nothing")) for number in range(5)]
        provider = speaking(wants[0], wants[1], wants[2], wants[3], says("at last"))
        async with host(place.store(), provider, nothing, max_turns=2) as core:
            inherits = core.session("inherits").session_spec(SessionSpec())
            async with inherits.open() as session:
                assert session.policy_snapshot().max_turns == 2
                stopped = await stopped_by(session, "t1")
                assert stopped is not None
                assert stopped.reason is StopReason.MAX_TURNS
            cleared = core.session("cleared").session_spec(SessionSpec(max_turns=None))
            async with cleared.open() as session:
                assert session.policy_snapshot().max_turns is None
                # One call more than the core's bound allows, and it ends by itself.
                assert await stopped_by(session, "t1") is None
            assert len(provider.requests) == 5

    run(scene())


def test_edge_09_a_spec_after_a_provider_drops_its_id_and_keeps_the_handle(place: Place) -> None:
    async def scene() -> None:
        live = speaking(says("fine"), says("fine"), kind="live")
        async with host(place.store(), speaking(kind="cores")) as core:
            spec = SessionSpec(max_turns=7)
            late = await core.session("late").provider(live).session_spec(spec)
            assert late.policy_snapshot().provider_id == "cores"
            # The live handle is still this one: it is not what is recorded, and the turn says so.
            with pytest.raises(RuntimeFault, match="'cores', found 'live'") as refusal:
                await late.turn("hello")
            assert refusal.value.code == "llm_provider"
            early = await core.session("early").session_spec(spec).provider(live)
            assert early.policy_snapshot().provider_id == "live"
            assert early.policy_snapshot().max_turns == 7
            assert (await early.turn("hello")).result.assistant_message == "fine"
            # As keywords they are applied in the order of the table, whatever their order here.
            by_keyword = await core.session("keywords", provider=live, session_spec=spec)
            assert by_keyword.policy_snapshot().provider_id == "live"

    run(scene())


def test_edge_18_two_opens_of_one_id_exclude_each_others_turns(place: Place) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("one!", gate=gate), says("two!"))
        async with host(place.store(), provider) as core:
            first, second = await core.session("s"), await core.session("s")
            running = asyncio.ensure_future(first.turn("one").run())
            await provider.is_asked.wait()
            written = version(place.store())
            with pytest.raises(RuntimeFault) as refusal:
                await second.turn("two")
            assert refusal.value.code == "session_execution_busy"
            assert version(place.store()) == written
            gate.set()
            await running
            assert (await second.turn("two")).result.assistant_message == "two!"

    run(scene())


@frozen(kw_only=True)
class WithPluginInputs(TurnInput):
    """An input that carries what only this process could understand."""

    plugin_inputs: tuple[object, ...] = ()


def test_edge_53_what_only_this_process_understands_is_refused_and_not_dropped(
    place: Place,
) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            carrying = WithPluginInputs(items=(TextItem(text="hi"),), plugin_inputs=(object(),))
            written = version(place.store())
            for send in (session.enqueue, session.turn):
                with pytest.raises(InvalidArgument, match="WithPluginInputs"):
                    send(carrying)
            assert version(place.store()) == written
            assert session.pending.inputs_count == 0

    run(scene())


def test_edge_63_a_busy_session_leaves_the_input_and_refuses_the_turn(place: Place) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("one!", gate=gate), says("waited!"))
        async with (
            host(place.store(), provider) as core,
            core.session("s").open() as first,
            core.session("s").open() as second,
        ):
            running = asyncio.ensure_future(first.turn("one").run())
            await provider.is_asked.wait()
            sent = await second.enqueue("waits")
            assert await second.queued_turn() is None
            assert [each.input_id for each in await second.pending_turn_inputs()] == [
                sent.input_id
            ]
            with pytest.raises(RuntimeFault) as refusal:
                await second.turn("now")
            assert refusal.value.code == "session_execution_busy"
            assert refusal.value.is_retryable
            gate.set()
            await running
            output = await second.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "waited!"

    run(scene())


def test_edge_68_each_drain_has_an_id_of_its_own_and_one_that_ran_runs_no_more(
    place: Place,
) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"), says("three!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            drained: list[str] = []
            for text in ("one", "two"):
                await session.enqueue(text)
                output = await session.queued_turn()
                assert output is not None
                drained.append(output.result.turn_id)
            assert len(set(drained)) == 2
            await session.enqueue("three")
            again = await session.queued_turn(drain_id=drained[0])
            assert again is not None
            assert again.result.assistant_message == "one!"
            assert session.pending.inputs_count == 1
            assert (session.revision, len(provider.requests)) == (2, 2)

    run(scene())


def test_edge_70_a_wake_for_a_session_that_is_not_there_creates_nothing(place: Place) -> None:
    async def scene() -> None:
        log = StoreLog(place.store(), system_now_ms)
        try:
            lane = Lane(log, stream("ghost"), World(), Limits())
            with pytest.raises(SessionNotOpen):
                await enqueue_wake(
                    lane,
                    process_id="p1",
                    sequence=1,
                    event_type="exit",
                    text="wake up",
                    event_invocation="",
                    process_caused_by=None,
                    dedupe_key=None,
                    target_scope_id=None,
                )
        finally:
            await log.aclose()
        assert version(place.store(), "ghost") == 0
        assert place.store().head(stream("ghost")) is None

    run(scene())


def test_edge_77_a_log_that_fails_keeps_the_lease_and_anything_else_lets_it_go(
    place: Place,
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(fails(RuntimeError("broken")), says("on"))) as core,
            core.session("s").open() as session,
        ):
            await session.turn("go")
            assert names(place.store())[-1] == "LeaseReleased"
        gate = asyncio.Event()
        provider = speaking(says("never recorded", gate=gate))
        store = Failing(place.store())
        async with (
            host(store, provider) as core,
            core.session("s").open() as session,
            host(place.store(), speaking(says("busy"))) as other,
        ):
            running = asyncio.ensure_future(session.turn("go").run())
            await provider.is_asked.wait()
            store.is_broken = True
            gate.set()
            with pytest.raises(RuntimeFault) as failure:
                await running
            assert failure.value.code == "store_commit_failed"
            assert names(place.store())[-1] != "LeaseReleased"
            with pytest.raises(RuntimeFault) as refusal:
                await (await other.session("s")).turn("mine")
            assert refusal.value.code == "session_execution_busy"

    run(scene())


def test_edge_77a_the_handle_whose_log_failed_goes_on_with_the_turn_that_it_left(
    place: Place,
) -> None:
    """Under the same generation: what its turn holds is delivered once, and not claimed again."""

    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("lost", gate=gate), says("kept"))
        store = Failing(place.store())
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.enqueue("once")
            running = asyncio.ensure_future(session.queued_turn(drain_id="d1").run())
            await provider.is_asked.wait()
            store.is_broken = True
            gate.set()
            with pytest.raises(RuntimeFault, match="store_commit_failed"):
                await running
            store.is_broken = False
            output = await session.queued_turn(drain_id="d2")
            assert output is not None
            assert (output.result.turn_id, output.result.assistant_message) == ("d1", "kept")
            written = names(place.store())
            assert written.count("LeaseAcquired") == 1
            assert written.count("TurnInputsClaimed") == 1
            assert await texts(session) == [("user", "once"), ("assistant", "kept")]
            assert await session.queued_turn() is None

    run(scene())


def test_edge_77b_what_was_configured_is_in_the_log_at_once(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("fine"))
        async with host(place.store(), provider) as core:
            session = await core.session("s")
            await session.configure(model="configured", max_turns=3)
            assert names(place.store())[-1] == "SessionConfigured"
            other = await core.resume(await (await core.session("s", model="configured")).park())
            await other.turn("the head moves")
            await session.close()
            again = await core.resume(await other.park())
            policy = again.policy_snapshot()
            assert policy.model.model_id == "configured"
            assert provider.requests[0].model == "configured"

    run(scene())


def test_edge_77f_a_drain_that_does_not_commit_completes_nothing_and_ends_some_time(
    place: Place,
) -> None:
    async def scene() -> None:
        broken = [fails(RuntimeError("broken")) for _ in range(4)]
        provider = speaking(*broken, says("never"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            sent = await session.enqueue("try me", id="k")
            for attempt in range(3):
                output = await session.queued_turn()
                assert output is not None
                assert output.result.revision is None
                assert [each.input_id for each in await session.pending_turn_inputs()] == [
                    sent.input_id
                ], attempt
            assert await session.queued_turn() is not None
            assert await session.pending_turn_inputs() == []
            assert await session.queued_turn() is None
            assert len(provider.requests) == 4
            assert (await session.enqueue("try me", id="k")).state.value == "failed"

    run(scene())


def test_edge_77g_what_lies_in_a_sessions_own_store_is_not_drained_from_the_cores(
    place: Place,
) -> None:
    async def scene() -> None:
        own, provider = SessionStore(place.store()), speaking(says("mine"))
        async with (
            host(place.another().store(), provider) as core,
            core.session("s").store(own).open() as kept,
            core.session("s").open() as shared,
        ):
            await kept.enqueue("waits in its own store")
            assert await shared.queued_turn() is None
            assert provider.requests == []
            assert len(await kept.pending_turn_inputs()) == 1
            output = await kept.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "mine"

    run(scene())
