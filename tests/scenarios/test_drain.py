"""
QUEUE and INPUT: what a driver takes, between turns and while one runs.

A stall lasts as many virtual minutes as the scenario says it lasts milliseconds: where the store
has a clock of its own, hardly any of its time passes.
"""

import asyncio
import os
from functools import partial

import attrs
import pytest

from lash_es import (
    ActiveTurn,
    Boundary,
    ImageItem,
    ImagePart,
    InputStatus,
    LashCore,
    LashSession,
    LeaseOwner,
    LeaseTimings,
    LocalProcess,
    Message,
    MissingModelSpec,
    ModelRequest,
    ModelRequestStarted,
    NextTurn,
    QueuedInputAccepted,
    QueuedWorkClaimSuperseded,
    QueuedWorkStarted,
    Role,
    RuntimeFault,
    Stopped,
    StopReason,
    TextItem,
    TurnInput,
    WorkBoundary,
)
from lash_es.core.batches import wake_name
from lash_es.core.ids import TurnId
from lash_es.core.receipts import AlreadyCompleted
from lash_es.runtime.model_requests import history_of
from lash_es.session.session_leases import SessionLeases
from tests.scenarios.hands import got
from tests.scenarios.workers import ids, wake, worker
from tests.session.host import host, run, shown, texts, until
from tests.session.scripted import ScriptedProvider, call, calls, says, speaking
from tests.session.stores import Place, names
from tests.session.virtual_time import VirtualTime

T = ActiveTurn(TurnId("t"))
DEAD = LocalProcess(host_id="host-a", boot_id="boot-a", pid=os.getpid(), process_start=1)
NEAR = LocalProcess(host_id="host-a", boot_id="boot-a", pid=2, process_start=2)


def work() -> str:
    """Do a piece of work."""
    return "done"


def said_to(request: ModelRequest) -> list[str]:
    return [message.text for message in request.messages]


async def enqueue_wake(session: LashSession, text: str = "deploy complete") -> str:
    batch = await session.enqueue_wake(text, process_id="process-1", sequence=1, event_type="exit")
    return batch.batch_id


async def asked(provider: ScriptedProvider, count: int) -> None:
    """Wait until the model was asked so many times."""
    await until(lambda: len(provider.requests) == count)


def test_queue_17_a_dead_owners_claims_are_superseded_without_any_release(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as dead, worker(place, "bob") as taker:
            dead.owner = LeaseOwner(owner_id="dead", incarnation_id="i", liveness=DEAD)
            taker.owner = LeaseOwner(owner_id="near", incarnation_id="i", liveness=NEAR)
            batch = await dead.queue(wake("one"))
            fence = await dead.take()
            old = await dead.claim()
            await taker.lane.catch_up()
            leases = SessionLeases(taker.lane)
            taker.fence = got(await leases.reclaim(taker.owner, observed=fence, ttl_ms=600_000))
            new = await taker.claim()
            assert old is not None
            assert new is not None
            assert ids(new) == [batch.batch_id]
            assert new.fencing_token > old.fencing_token
            with pytest.raises(QueuedWorkClaimSuperseded):
                await taker.commit(old)
            await taker.commit(new)
            assert await taker.everything() == []

    run(scene())


def test_queue_20_a_stalled_but_healthy_turn_completes_its_wake_exactly_once(
    place: Place,
) -> None:
    async def scene() -> None:
        time, gate = VirtualTime(), asyncio.Event()
        again = calls(call("c2", "work"))
        steps = [calls(call("c1", "work")), attrs.evolve(again, gate=gate), says("finished")]
        provider = speaking(*steps)
        timings = LeaseTimings(ttl_ms=120_000, renew_interval_ms=40_000)
        reader = place.store()

        def is_renewed(times: int) -> bool:
            return names(reader).count("LeaseRenewed") == times

        core = host(place.store(), provider, work, own_time=time, timings=timings)
        async with core, core.session("s").open() as session:
            await enqueue_wake(session)
            turn = asyncio.ensure_future(session.turn("hello").run())
            await asked(provider, 2)
            assert await session.queued_work() == []
            for renewals in range(1, 14):
                await time.advance(40_000)
                await until(partial(is_renewed, renewals))
            gate.set()
            result = (await turn).result
            assert (result.assistant_message, result.takeovers) == ("finished", 0)
            assert await session.queued_work() == []
            assert session.pending.batches_count == 0
            assert await session.queued_turn() is None
            told = [sum("deploy" in text for text in said_to(each)) for each in provider.requests]
            assert told == [0, 1, 1]
            said = await texts(session)
            assert [role for role, text in said if "deploy complete" in text] == ["event"]

    run(scene())


def test_queue_38_a_later_command_waits_for_its_own_drain(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("answer"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.enqueue("first")
            await session.commands().refresh_tool_catalog(reason="r", idempotency_key="1")
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "answer"
            assert session.pending.batches_count == 1
            assert await session.queued_turn() is None
            assert session.pending.batches_count == 0

    run(scene())


def test_queue_39_the_input_drains_first_and_the_wake_joins_at_its_checkpoint(
    place: Place,
) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await enqueue_wake(session)
            await session.enqueue("hello")
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "two"
            first, second = provider.requests
            assert said_to(first) == ["hello"]
            assert said_to(second)[:2] == ["hello", "one"]
            assert "deploy complete" in said_to(second)[2]
            assert await session.queued_work() == []
            assert await session.pending_turn_inputs() == []

    run(scene())


def test_queue_40_a_selected_drain_takes_only_what_was_selected(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("on the wake"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            wanted = await enqueue_wake(session)
            await session.enqueue("hello")
            output = await session.queued_turn(batch_ids=[wanted])
            assert output is not None
            assert output.result.assistant_message == "on the wake"
            assert await session.queued_work() == []
            assert len(await session.pending_turn_inputs()) == 1
            assert await session.queued_turn(batch_ids=[wanted]) is None

    run(scene())


def test_queue_41_a_cancelled_turn_still_completes_the_wake_it_claimed(place: Place) -> None:
    async def scene() -> None:
        never = asyncio.Event()
        provider = speaking(says("one"), says("never", gate=never))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            batch_id = await enqueue_wake(session)
            await session.enqueue("hello")
            drain = asyncio.ensure_future(session.queued_turn().run())
            await asked(provider, 2)
            assert session.cancel_running_turns() == 1
            output = await drain
            assert output is not None
            assert output.result.outcome == Stopped(reason=StopReason.CANCELLED)
            assert await session.pending_turn_inputs() == []
            assert session.pending.batches_count == 0
            finished = await session.await_queued_work_batch(batch_id, until="completed")
            assert finished is not None
            assert await session.queued_turn() is None

    run(scene())


def test_queue_42_an_idle_wake_is_announced_and_shown_once(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("noted"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            batch_id = await enqueue_wake(session)
            output = await session.queued_turn()
            assert output is not None
            kinds = [type(each.event) for each in output.activities]
            assert kinds.index(QueuedWorkStarted) < kinds.index(ModelRequestStarted)
            (started,) = shown(output.activities, QueuedWorkStarted)
            assert (started.boundary, started.batch_ids) == (WorkBoundary.IDLE, (batch_id,))
            (cause,) = started.causes
            assert cause.cause_id == wake_name("s", "process-1:1")
            assert "deploy complete" in cause.text
            (request,) = provider.requests
            assert [message.role for message in request.messages] == [Role.EVENT]
            (sent,) = history_of(request)
            (part,) = sent.parts
            content = str(getattr(part, "content", ""))
            assert content.startswith("<event>")
            assert "deploy complete" in content

    run(scene())


def test_a_wake_in_a_running_turn_becomes_one_event_message(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            batch_id = await enqueue_wake(session)
            output = await session.turn("hello")
            (started,) = shown(output.activities, QueuedWorkStarted)
            assert started.boundary is WorkBoundary.ACTIVE_TURN_CHECKPOINT
            assert started.batch_ids == (batch_id,)
            assert [role for role, _ in await texts(session)] == [
                "user",
                "assistant",
                "event",
                "assistant",
            ]
            assert await session.queued_work() == []

    run(scene())


def test_input_25_active_turn_input_steers_the_running_turn(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("First answer."), says("Second answer."))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            steer = await session.enqueue("one more thing").ingress(T)
            result = (await session.turn("hello", turn_id="t")).result
            assert (result.assistant_message, result.revision) == ("Second answer.", 1)
            assert await texts(session) == [
                ("user", "hello"),
                ("assistant", "First answer."),
                ("user", "one more thing"),
                ("assistant", "Second answer."),
            ]
            assert said_to(provider.requests[1]) == ["hello", "First answer.", "one more thing"]
            outcome = await session.cancel_pending_turn_input(steer.input_id)
            assert isinstance(outcome, AlreadyCompleted)

    run(scene())


def test_input_26_images_of_an_injected_input_reach_the_model(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            image = ImageItem(media_type="image/png", data=b"\x01\x02\x03")
            look = TurnInput(items=(TextItem(text="look"), image))
            await session.enqueue(look).ingress(T)
            await session.turn("hello", turn_id="t")
            _, second = provider.requests
            last = second.messages[-1]
            assert last.role is Role.USER
            assert ImagePart(media_type="image/png", data=b"\x01\x02\x03") in last.parts

    run(scene())


def test_input_27_an_acceptance_is_announced_and_makes_exactly_one_user_message(
    place: Place,
) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"))
        async with host(place.store(), provider) as core:
            async with core.session("s").open() as session:
                await session.enqueue("follow up", id="follow-up-id").ingress(T)
                output = await session.turn("hello", turn_id="t")
                (accepted,) = shown(output.activities, QueuedInputAccepted)
                assert accepted.checkpoint is Boundary.BEFORE_COMPLETION
                (one,) = accepted.inputs
                assert (one.id, one.message.role, one.message.text) == (
                    "follow-up-id",
                    Role.USER,
                    "follow up",
                )
                before = await session.read_view().messages()
            async with core.session("s").open() as again:
                after: list[Message] = await again.read_view().messages()
                assert after == before
                users = [each.text for each in after if each.role is Role.USER]
                assert users == ["hello", "follow up"]

    run(scene())


def test_input_29_an_interrupted_steer_is_deferred_once_and_a_cancelled_input_never_runs(
    place: Place,
) -> None:
    async def scene() -> None:
        never = asyncio.Event()
        provider = speaking(says("never", gate=never), says("echo: deferred active steer"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            turn = asyncio.ensure_future(session.turn("hello", turn_id="t").run())
            await asked(provider, 1)
            steer = await session.enqueue("deferred active steer").ingress(T)
            doomed = await session.enqueue("cancelled next turn")
            await session.cancel_pending_turn_input(doomed.input_id)
            assert session.cancel_running_turns() == 1
            await turn
            (waits,) = await session.pending_turn_inputs()
            assert waits.input_id == steer.input_id
            assert (waits.ingress, waits.state) == (NextTurn(), InputStatus.DEFERRED_NEXT_TURN)
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "echo: deferred active steer"
            assert await session.queued_turn() is None
            asked_for = [text for request in provider.requests for text in said_to(request)]
            assert asked_for.count("deferred active steer") == 1
            assert "cancelled next turn" not in asked_for

    run(scene())


def test_input_30_an_accepted_steer_is_not_requeued_by_an_interrupt(place: Place) -> None:
    async def scene() -> None:
        never = asyncio.Event()
        provider = speaking(says("one"), says("never", gate=never))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            steer = await session.enqueue("one more thing").ingress(T)
            turn = asyncio.ensure_future(session.turn("hello", turn_id="t").run())
            await asked(provider, 2)
            assert session.cancel_running_turns() == 1
            await turn
            assert await session.pending_turn_inputs() == []
            assert await session.queued_turn() is None
            assert sum("one more thing" in said_to(each) for each in provider.requests) == 1
            assert (await texts(session))[-1] == ("user", "one more thing")
            outcome = await session.cancel_pending_turn_input(steer.input_id)
            assert isinstance(outcome, AlreadyCompleted)

    run(scene())


def test_lease_28_what_a_driver_raises_in_a_contest_is_classified(place: Place) -> None:
    async def scene() -> None:
        gate = asyncio.Event()
        provider = speaking(says("one", gate=gate))
        async with (
            host(place.store(), provider) as core,
            core.session("s").open() as session,
            core.session("s").open() as other,
        ):
            turn = asyncio.ensure_future(session.turn("hello").run())
            await asked(provider, 1)
            with pytest.raises(RuntimeFault) as busy:
                await other.turn("me too")
            assert busy.value.code == "session_execution_busy"
            assert (busy.value.is_retryable, busy.value.is_terminal) == (True, False)
            # A drain is not refused: it has nothing to do here.
            assert await other.queued_turn() is None
            gate.set()
            assert (await turn).result.revision == 1
        with pytest.raises(MissingModelSpec) as wrong:
            LashCore(model=None)
        assert (wrong.value.is_retryable, wrong.value.is_terminal) == (False, True)

    run(scene())
