"""Queued work through the facade: session commands and wakes are taken, listed, withdrawn."""

import asyncio

import pytest

from lash_es import (
    BatchStatus,
    BatchUnknown,
    DeliveryPolicy,
    HandleConsumed,
    InvalidArgument,
    Limits,
    NeverMerge,
    ProcessWake,
    QueuedWorkItem,
    QueueFull,
    RefreshToolCatalog,
    ResetSession,
    RuntimeFault,
    SlotPolicy,
    WorkClass,
)
from tests.session.host import host, run
from tests.session.stores import Place, names
from tests.session.virtual_time import VirtualTime


def test_a_session_command_is_queued_once_for_its_key(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core, core.session("s").open() as session:
            admin = session.commands()
            first = await admin.refresh_tool_catalog(reason="new", idempotency_key="1")
            again = await admin.refresh_tool_catalog(reason="other", idempotency_key="1")
            reset = await admin.reset(reason="asked for", idempotency_key="1")
            assert again == first
            assert first.source_key == "command:refresh_tool_catalog:1"
            assert reset.source_key == "command:reset_session:1"
            refresh, second = await session.queued_work()
            assert (refresh.batch_id, refresh.session_id) == (first.batch_id, "s")
            assert refresh.delivery_policy is DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
            assert (refresh.slot_policy, refresh.merge_key) == (
                SlotPolicy.EXCLUSIVE,
                NeverMerge(),
            )
            payload = RefreshToolCatalog(reason="new")
            item_id = f"{first.batch_id}:item:0"
            assert refresh.items == (QueuedWorkItem(item_id=item_id, payload=payload),)
            assert second.items[0].payload == ResetSession(reason="asked for")
            assert names(store) == ["SessionOpened", "WorkEnqueued", "WorkEnqueued"]

    run(scene())


def test_a_blank_key_is_refused_before_anything_is_stored(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core, core.session("s").open() as session:
            for submitted in (
                session.commands().refresh_tool_catalog(reason="r", idempotency_key=" "),
                session.commands().reset(reason="r", idempotency_key=""),
            ):
                with pytest.raises(RuntimeFault) as fault:
                    await submitted
                assert fault.value.code == "session_command_idempotency_key"
            assert names(store) == ["SessionOpened"]

    run(scene())


def test_a_wake_says_what_its_process_says(place: Place) -> None:
    async def scene() -> None:
        time = VirtualTime(now_ms=7_000)
        async with host(place.store(), time=time) as core, core.session("s").open() as session:
            wake = await session.enqueue_wake(
                "done", process_id="p", sequence=3, event_type="exit", event_invocation="call"
            )
            assert wake.source_key == "process:p:event:3:wake"
            assert wake.status is BatchStatus.OPEN
            (batch,) = await session.queued_work()
            payload = batch.items[0].payload
            assert isinstance(payload, ProcessWake)
            assert (payload.input, payload.event_type, payload.dedupe_key) == (
                "done",
                "exit",
                "p:3",
            )
            assert (payload.target_session_id, payload.target_scope_id) == ("s", "s")
            assert payload.wake_id.startswith("wake:")
            assert (payload.created_at_ms, batch.enqueued_at_ms) == (7_000, 7_000)
            named = await session.enqueue_wake(
                "x",
                process_id="p",
                sequence=4,
                event_type="exit",
                process_caused_by="parent",
                dedupe_key="p:3",
                target_scope_id="s",
            )
            other = (await session.queued_work())[-1].items[0].payload
            assert isinstance(other, ProcessWake)
            assert (named.sequence, other.wake_id) == (2, payload.wake_id)
            assert other.process_caused_by == "parent"

    run(scene())


def test_resident_state_counts_the_batches(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("s").open() as session:
            wake = await session.enqueue_wake("x", process_id="p", sequence=1, event_type="e")
            (batch,) = session.pending.batches
            assert (batch.batch_id, batch.work_class) == (wake.batch_id, WorkClass.TURN_WORK)
            assert (batch.claim_id, batch.is_held) == (None, False)
            assert session.pending.batches_count == 1

    run(scene())


def test_a_full_queue_refuses_and_writes_nothing(place: Place) -> None:
    async def scene() -> None:
        store, limits = place.store(), Limits(batches_open_max=1)
        async with host(store, limits=limits) as core, core.session("s").open() as session:
            await session.enqueue_wake("x", process_id="p", sequence=1, event_type="e")
            written = names(store)
            with pytest.raises(QueueFull) as full:
                await session.enqueue_wake("x", process_id="p", sequence=2, event_type="e")
            assert full.value.limit == "batches_open_max"
            assert names(store) == written

    run(scene())


def test_waiting_polls_and_ends_when_the_batch_is_withdrawn(place: Place) -> None:
    async def scene() -> None:
        time = VirtualTime()
        async with host(place.store(), time=time) as core, core.session("s").open() as session:
            wake = await session.enqueue_wake("x", process_id="p", sequence=1, event_type="e")
            waits = [
                asyncio.ensure_future(session.await_queued_work_batch(wake.batch_id)),
                asyncio.ensure_future(
                    session.await_queued_work_batch(wake.batch_id, until="completed")
                ),
            ]
            await time.advance(10_000)
            assert not any(wait.done() for wait in waits)
            withdrawn = await session.cancel_queued_work_batch(wake.batch_id)
            assert withdrawn is not None
            assert isinstance(withdrawn.items[0].payload, ProcessWake)
            await time.advance(400)
            hidden, finished = [await wait for wait in waits]
            assert hidden is None
            assert finished is not None
            assert not isinstance(finished, BatchUnknown)
            assert finished.batch.status is BatchStatus.CANCELLED
            assert await session.cancel_queued_work_batch(wake.batch_id) is None

    run(scene())


def test_what_cannot_be_waited_for_is_refused(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core:
            session = await core.session("s")
            with pytest.raises(InvalidArgument) as refusal:
                await session.await_queued_work_batch("b", until="tomorrow")  # type: ignore[arg-type]
            assert refusal.value.argument == "until"
            await session.close()
            with pytest.raises(HandleConsumed):
                await session.queued_work()

    run(scene())
