"""
Sharp edges of the queues as a driver meets them, each under its number, on memory, SQLite and
PostgreSQL; and what a driver raises in a contest, classified.
"""

import asyncio

import pytest

from lash_es import ActiveTurn, BatchStatus, LashSession, QueuedInputAccepted, RuntimeFault
from lash_es.codec.contents import encode_content
from lash_es.core.commands import EnqueueTurnInput
from lash_es.core.ids import InputId, TurnId
from lash_es.core.known import names as names_of
from lash_es.core.messages import TurnInput
from lash_es.core.work_receipts import BatchFinished
from tests.scenarios.workers import worker
from tests.session.host import host, run, shown, texts
from tests.session.scripted import fails, says, speaking
from tests.session.stores import Failing, Place, names, version
from tests.session.virtual_time import VirtualTime

T = ActiveTurn(TurnId("t"))


async def sends(session: LashSession, text: str, source_key: str) -> None:
    """Send into turn t under a whole source key, as the runtime itself does."""
    lane = session._shared.lane
    command = EnqueueTurnInput(
        now_ms=lane.log.now_ms(),
        input_id=InputId(f"ti:{lane.world.token()}"),
        source_key=source_key,
        ingress=T,
        body=encode_content(TurnInput.of_text(text), lane.world.salt()),
    )
    await lane.transact(lambda draft: draft.do(command), *names_of(command))


async def became(session: LashSession, batch_id: str) -> BatchStatus:
    """Say how a batch finished."""
    finished = await session.await_queued_work_batch(batch_id, until="completed")
    assert isinstance(finished, BatchFinished)
    return finished.batch.status


def test_edge_55_a_drain_that_fails_leaves_the_row_and_its_id_can_be_sent_again(
    place: Place,
) -> None:
    """Enqueuing drives nothing: it answers for its row, and the drain for what comes of it."""

    async def scene() -> None:
        store = Failing(place.store())
        provider = speaking(fails(RuntimeError("no model")), says("at last"))
        async with host(store, provider) as core, core.session("s").open() as session:
            sent = await session.enqueue("try me", id="k")
            store.is_broken = True
            with pytest.raises(RuntimeFault, match="store_commit_failed"):
                await session.queued_turn()
            store.is_broken = False
            failed = await session.queued_turn()
            assert failed is not None
            assert failed.result.revision is None
            again = await session.enqueue("try me", id="k")
            assert again.input_id == sent.input_id
            assert [each.input_id for each in await session.pending_turn_inputs()] == [
                sent.input_id
            ]
            assert names(place.store()).count("TurnInputEnqueued") == 1
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "at last"
            assert (await session.enqueue("try me", id="k")).input_id == sent.input_id
            assert await session.queued_turn() is None
            assert await texts(session) == [("user", "try me"), ("assistant", "at last")]

    run(scene())


def test_edge_56_an_acceptance_names_what_the_caller_named(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one"), says("two"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.enqueue("of a host", id="mine").ingress(T)
            await session.enqueue("of a host as well", id="host:mine").ingress(T)
            await sends(session, "of a plugin", "injection:theirs")
            unnamed = await session.enqueue("of nobody").ingress(T)
            output = await session.turn("hello", turn_id="t")
            (accepted,) = shown(output.activities, QueuedInputAccepted)
            # One prefix is the runtime's; what is behind it is the caller's, whatever it is.
            assert [(each.id, each.message.text) for each in accepted.inputs] == [
                ("mine", "of a host"),
                ("host:mine", "of a host as well"),
                ("theirs", "of a plugin"),
                (unnamed.input_id, "of nobody"),
            ]

    run(scene())


def test_edge_64_a_drain_that_only_ran_commands_returns_none(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("one!"), says("two!"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            await session.turn("one", turn_id="t1")
            commands = session.commands()
            refresh = await commands.refresh_tool_catalog(reason="r", idempotency_key="1")
            reset = await commands.reset(reason="r", idempotency_key="1")
            assert await session.queued_turn(drain_id="d1") is None
            assert await became(session, refresh.batch_id) is BatchStatus.COMPLETED
            assert await became(session, reset.batch_id) is BatchStatus.COMPLETED
            # It was no turn: neither the revision nor the drain's id was used up.
            assert (session.revision, len(provider.requests)) == (1, 1)
            assert await texts(session) == []
            assert names(place.store())[-1] == "LeaseReleased"
            written = version(place.store())
            assert await session.queued_turn() is None
            assert version(place.store()) == written
            await session.enqueue("two")
            output = await session.queued_turn(drain_id="d1")
            assert output is not None
            assert (output.result.turn_id, output.result.assistant_message) == ("d1", "two!")

    run(scene())


def test_edge_65_of_the_same_millisecond_what_was_appended_first_goes_first(
    place: Place,
) -> None:
    async def scene() -> None:
        provider = speaking(says("before"), says("after"))
        time = VirtualTime()
        async with (
            host(place.store(), provider, time=time) as core,
            core.session("s").open() as session,
        ):
            commands = session.commands()
            first = await session.enqueue("first")
            reset = await commands.reset(reason="r", idempotency_key="1")
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "before"
            assert [each.batch_id for each in await session.queued_work()] == [reset.batch_id]
            second = await session.enqueue("second")
            # Where the store has a time of its own, nobody can make it stand still.
            if place.store().clock() is None:
                assert second.enqueued_at_ms == first.enqueued_at_ms
            # The command is in front of this input, and the turn is one of the session begun anew.
            output = await session.queued_turn()
            assert output is not None
            assert output.result.assistant_message == "after"
            assert await session.queued_work() == []
            assert [m.text for m in provider.requests[-1].messages] == ["second"]
            assert await texts(session) == [("user", "second"), ("assistant", "after")]

    run(scene())


def test_edge_69_a_selected_drain_never_takes_pending_input(place: Place) -> None:
    async def scene() -> None:
        provider = speaking(says("on the wake"), says("on the input"))
        async with host(place.store(), provider) as core, core.session("s").open() as session:
            older = await session.enqueue("older")
            batch = await session.enqueue_wake(
                "wake", process_id="p", sequence=1, event_type="exit"
            )
            newer = await session.enqueue("newer")
            written = version(place.store())
            assert await session.queued_turn(batch_ids=["qwb:nobody"]) is None
            assert "TurnInputsClaimed" not in names(place.store())[written:]
            output = await session.queued_turn(batch_ids=[batch.batch_id])
            assert output is not None
            assert output.result.assistant_message == "on the wake"
            assert await session.queued_turn(batch_ids=[batch.batch_id]) is None
            waiting = await session.pending_turn_inputs()
            assert [each.input_id for each in waiting] == [older.input_id, newer.input_id]
            assert "TurnInputsClaimed" not in names(place.store())
            assert [m.text for m in provider.requests[0].messages if "er" in m.text] == []
            output = await session.queued_turn()
            assert output is not None
            assert [m.text for m in provider.requests[1].messages][-1] == "older\nnewer"

    run(scene())


def test_lease_28_a_lost_lease_and_a_log_that_fails_are_told_apart(place: Place) -> None:
    async def scene() -> None:
        gates = asyncio.Event(), asyncio.Event()
        provider = speaking(says("lost", gate=gates[0]), says("unwritten", gate=gates[1]))
        store = Failing(place.store())
        async with (
            host(store, provider) as core,
            core.session("root").open() as session,
            worker(place, "bob") as bob,
        ):
            turn = asyncio.ensure_future(session.turn("hello", turn_id="t1").run())
            await provider.is_asked.wait()
            await bob.outlive()
            await bob.take(ttl_ms=1)
            gates[0].set()
            with pytest.raises(RuntimeFault) as lost:
                await turn
            assert lost.value.code == "session_execution_lease_lost"
            assert (lost.value.is_retryable, lost.value.is_terminal) == (True, False)
            assert session.revision == 0
        provider.is_asked.clear()
        async with host(store, provider) as core, core.session("other").open() as session:
            turn = asyncio.ensure_future(session.turn("hello", turn_id="t1").run())
            await provider.is_asked.wait()
            store.is_broken = True
            gates[1].set()
            with pytest.raises(RuntimeFault) as failed:
                await turn
            store.is_broken = False
            assert failed.value.code == "store_commit_failed"
            assert (failed.value.is_retryable, failed.value.is_terminal) == (False, False)

    run(scene())
