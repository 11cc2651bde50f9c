"""Between turns: session commands are done, and one turn takes what waits, or none."""

import asyncio
from collections.abc import Sequence

import attrs
import pytest

from lash_es import (
    ActiveTurn,
    BatchFinished,
    BatchStatus,
    Boundary,
    LashSession,
    Limits,
    ModelCallFailed,
    QueuedWorkStarted,
    Role,
    RuntimeFault,
    Stopped,
    StopReason,
)
from lash_es.core.commands import ReleaseLease
from lash_es.core.ids import TurnId
from lash_es.core.owners import Fence
from lash_es.core.state import Open
from lash_es.log.appends import Appended, AppendResult, Conflict, StreamAppend
from lash_es.session.work import QueuedWorkBatch
from tests.session.host import host, run, shown, texts, until
from tests.session.scripted import (
    ScriptedProvider,
    call,
    calls,
    fails,
    remembering,
    says,
    speaking,
)
from tests.session.stores import Dying, Killed, Place, Through, names
from tests.session.virtual_time import VirtualTime

BROKEN = ModelCallFailed(code="rate_limited", message="later", retryable=True)


async def queue_wake(session: LashSession, number: int = 1) -> str:
    batch = await session.enqueue_wake(
        f"event {number}", process_id="p", sequence=number, event_type="exit"
    )
    return batch.batch_id


async def queued(session: LashSession) -> list[str]:
    found: list[QueuedWorkBatch] = await session.queued_work()
    return [batch.batch_id for batch in found]


def test_a_drain_of_commands_runs_no_turn_and_is_one_append(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store, speaking()) as core, core.session("s").open() as session:
            await session.commands().refresh_tool_catalog(reason="r", idempotency_key="1")
            await session.commands().refresh_tool_catalog(reason="r", idempotency_key="2")
            assert await session.queued_turn() is None
            assert await queued(session) == []
            assert names(store)[3:] == [
                "LeaseAcquired",
                "WorkClaimed",
                "WorkCompleted",
                "WorkClaimed",
                "WorkCompleted",
                "LeaseReleased",
            ]

    run(scene())


def test_a_reset_begins_anew_under_the_policy_of_the_moment(place: Place) -> None:
    async def scene() -> None:
        store, provider = place.store(), speaking(says("one"), says("two"))
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.turn("hello")
            await session.configure(instructions="be brief")
            await session.commands().reset(reason="r", idempotency_key="1")
            assert await session.queued_turn() is None
            view = session.read_view()
            assert (await view.messages(), view.turn_index, view.revision) == ([], 0, 1)
            assert session.policy_snapshot().instructions == "be brief"
            await session.turn("again")
            assert [each.text for each in provider.requests[-1].messages] == ["again"]
            assert session.usage_report().usage.total_tokens > 0

    run(scene())


def test_a_foreground_turn_does_the_commands_that_lead_first(place: Place) -> None:
    async def scene() -> None:
        store, provider = place.store(), speaking(says("one"), says("two"))
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.turn("forgotten")
            await session.commands().reset(reason="r", idempotency_key="1")
            await session.turn("hello", turn_id="t")
            assert await queued(session) == []
            assert [each.text for each in provider.requests[-1].messages] == ["hello"]
            written = names(store)
            await session.commands().refresh_tool_catalog(reason="r", idempotency_key="2")
            # What ran before is not run again, and nothing else happens for it.
            await session.turn("hello", turn_id="t")
            assert names(store) == [*written, "WorkEnqueued"]

    run(scene())


def test_who_was_queued_first_goes_first(place: Place) -> None:
    async def scene() -> None:
        store, provider = place.store(), speaking(says("one"))
        async with host(store, provider) as core, core.session("s").open() as session:
            await session.commands().refresh_tool_catalog(reason="r", idempotency_key="1")
            await session.enqueue("hello")
            assert await session.queued_turn() is not None
            written = names(store)
            assert written.index("WorkCompleted") < written.index("TurnStarted")

    run(scene())


def test_a_batch_that_others_are_in_front_of_is_not_taken(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with (
            host(store, speaking(says("one"), says("both"))) as core,
            core.session("s").open() as session,
        ):
            first, second = await queue_wake(session, 1), await queue_wake(session, 2)
            written = names(store)
            assert await session.queued_turn(batch_ids=[second]) is None
            assert names(store) == written
            # The second comes in at a checkpoint of the turn on the first.
            assert await session.queued_turn(batch_ids=[first], drain_id="mine") is not None
            assert await queued(session) == []
            # The drain ran before: it is not run again.
            third = await queue_wake(session, 3)
            again = await session.queued_turn(batch_ids=[third], drain_id="mine")
            assert again is not None
            assert again.result.assistant_message == "both"
            assert await queued(session) == [third]

    run(scene())


def test_work_whose_turns_keep_failing_is_given_up(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(fails(BROKEN), fails(BROKEN))
        limits = Limits(drain_attempts_max=1)
        async with (
            host(place.store(), provider, limits=limits) as core,
            core.session("s").open() as session,
        ):
            batch_id = await queue_wake(session)
            output = await session.queued_turn()
            assert output is not None
            stopped = Stopped(reason=StopReason.PROVIDER_ERROR, code="rate_limited")
            assert output.result.outcome == stopped
            assert await queued(session) == [batch_id]
            await session.queued_turn()
            assert await queued(session) == []
            found = await session.await_queued_work_batch(batch_id, until="completed")
            assert isinstance(found, BatchFinished)
            assert found.batch.status is BatchStatus.FAILED
            assert await session.queued_turn() is None

    run(scene())


def test_each_wake_is_taken_at_a_checkpoint_of_its_own(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"), says("three"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await queue_wake(session, 1)
            await queue_wake(session, 2)
            output = await session.turn("hello")
            taken = shown(output.activities, QueuedWorkStarted)
            assert [len(each.causes) for each in taken] == [1, 1]
            said = [text for role, text in await texts(session) if role == Role.EVENT.value]
            assert said == [
                "Process p, event 1 (exit): event 1",
                "Process p, event 2 (exit): event 2",
            ]

    run(scene())


def test_input_after_work_comes_in_between_the_tools_and_the_next_call(place: Place) -> None:
    def work() -> str:
        """Do a piece of work."""
        return "done"

    async def scene() -> None:
        provider = speaking(calls(call("c1", "work")), says("fine"), says("and that"))
        async with (
            host(place.store(), provider, work) as core,
            core.session("s").open() as session,
        ):
            early, late = ActiveTurn(TurnId("t")), Boundary.BEFORE_COMPLETION
            await session.enqueue("early").ingress(early)
            await session.enqueue("late").ingress(attrs.evolve(early, min_boundary=late))
            await session.turn("hello", turn_id="t")
            said = [text for role, text in await texts(session) if role == "user"]
            assert said == ["hello", "", "early", "late"]
            assert len(provider.requests) == 3

    run(scene())


def test_news_at_the_limit_is_answered_once_and_then_stops_the_turn(place: Place) -> None:
    async def scene() -> None:
        into = ActiveTurn(TurnId("t"))
        gate = asyncio.Event()
        provider = speaking(says("one"), says("grace", gate=gate))
        async with (
            host(place.store(), provider, max_turns=1) as core,
            core.session("s").open() as session,
        ):
            await session.enqueue("first").ingress(into)
            turn = asyncio.ensure_future(session.turn("hello", turn_id="t").run())
            await until(lambda: len(provider.requests) == 2)
            await session.enqueue("second").ingress(into)
            await queue_wake(session)
            gate.set()
            result = (await turn).result
            assert result.outcome == Stopped(reason=StopReason.MAX_TURNS)
            assert await texts(session) == [
                ("user", "hello"),
                ("assistant", "one"),
                ("user", "first"),
                ("system", "Turn limit reached (1) before a final assistant response."),
                ("assistant", "grace"),
                ("user", "second"),
            ]
            # What no model was told of waits again.
            assert len(await queued(session)) == 1

    run(scene())


class SaysItLost(Through):
    """A store that records a commit and reports a conflict, as one with a retry inside would."""

    lies_count = 0

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        result = super().append(appends)
        is_commit = any(each.name == "turn.committed" for a in appends for each in a.records)
        if not isinstance(result, Appended) or not is_commit:
            return result
        self.lies_count += 1
        found = result.versions[0]
        return Conflict(
            stream=appends[0].stream, expected=appends[0].expected_version, found=found
        )


def test_a_commit_whose_append_was_said_to_have_lost_is_recognised(place: Place) -> None:
    async def scene() -> None:
        store = SaysItLost(place.store())
        async with (
            host(store, speaking(says("fine"))) as core,
            core.session("s").open() as session,
        ):
            result = (await session.turn("hello")).result
            assert (result.assistant_message, result.revision) == ("fine", 1)
            assert store.lies_count == 1
            assert names(store).count("TurnCommitted") == 1

    run(scene())


def test_a_turn_that_another_owner_ended_is_not_taken_for_a_commit(place: Place) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("fine", gate=gate))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("hello").run())
            await provider.is_asked.wait()
            await release(session)
            gate.set()
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert lost.value.code == "session_execution_lease_lost"

    run(scene())


async def release(session: LashSession) -> None:
    """Let the lease of a running turn go behind its back."""
    lane = session._shared.lane
    assert isinstance(lane.state, Open)
    holder = lane.state.lease.holder
    assert holder is not None
    fence = Fence(owner=holder.owner, token=holder.token, generation=lane.state.lease.generation)
    await lane.execute(ReleaseLease(now_ms=lane.log.now_ms(), fence=fence))


@pytest.mark.parametrize("is_last_written", [False, True])
def test_a_drain_that_dies_at_any_append_loses_and_doubles_nothing(
    place: Place, is_last_written: bool
) -> None:
    """Three appends: taking it up, the first answer with what came in, the second with the end."""

    def provider() -> ScriptedProvider:
        return remembering(says("one"), says("two"))

    async def scene(appends_max: int) -> None:
        where, time = place.another(), VirtualTime()
        async with (
            host(where.store(), provider(), time=time) as core,
            core.session("s").open() as session,
        ):
            await session.enqueue("hello")
            await session.enqueue("steer").ingress(ActiveTurn(TurnId("d")))
            await queue_wake(session)
        store = Dying(where.store(), appends_max=appends_max, is_last_written=is_last_written)
        dying = await host(store, provider(), time=time).session("s")
        with pytest.raises(Killed):
            await dying.queued_turn(drain_id="d")
        time.jump(30_000)
        async with (
            host(where.store(), provider(), time=time) as core,
            core.session("s").open() as session,
        ):
            output = await session.queued_turn(drain_id="d")
            assert output is not None
            assert output.result.assistant_message == "two"
            assert await texts(session) == [
                ("user", "hello"),
                ("assistant", "one"),
                ("user", "steer"),
                ("event", "Process p, event 1 (exit): event 1"),
                ("assistant", "two"),
            ]
            assert (await queued(session), await session.pending_turn_inputs()) == ([], [])
        happened = names(where.store())
        assert (happened.count("TurnCommitted"), happened.count("WorkCompleted")) == (1, 1)

    async def sweep() -> None:
        for appends_max in range(1, 4):
            await scene(appends_max)

    run(sweep())
