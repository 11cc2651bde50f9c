"""
QUEUE: queued work, that is, session commands and process wakes.

Where the specification says "dead owner", the lease has run out here; a holder that is provably
dead is a matter of the lease and not of the queue.
"""

import asyncio
from collections.abc import Sequence
from contextlib import closing

import pytest

from lash_es import (
    BatchFinished,
    BatchStatus,
    BatchUnknown,
    LeaseOwner,
    MergeGroup,
    NeverMerge,
    ProcessWake,
    QueuedWorkClaimSuperseded,
    RefreshToolCatalog,
    SessionExecutionLeaseExpired,
)
from lash_es.core.commands import AcquireLease
from lash_es.core.decide import decide
from lash_es.core.ids import AppendId
from lash_es.core.known import Known
from lash_es.core.state import Open
from lash_es.log.appends import Appended, AppendResult, StreamAppend
from lash_es.log.encoding import encode_append
from lash_es.log.loading import load
from lash_es.log.port import Store
from tests.scenarios.workers import (
    AFTER_COMMIT,
    CHECKPOINT,
    EARLIEST,
    EXCLUSIVE,
    IDLE,
    JOIN,
    REFRESH,
    Worker,
    ids,
    wake,
    worker,
)
from tests.session.host import host, run
from tests.session.stores import Place, Through, names, stream


def test_queue_01_source_key_makes_enqueue_idempotent_and_the_first_payload_wins(
    place: Place,
) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            first = await alice.queue(wake("first"), source_key="source:first")
            again = await alice.queue(wake("different replay"), source_key="source:first")
            assert again == first
            (batch,) = await alice.session.queued_work()
            assert batch.batch_id == first.batch_id
            (item,) = batch.items
            assert item.item_id == f"{first.batch_id}:item:0"
            assert item.payload == wake("first")

    run(scene())


def test_queue_03_cancel_removes_an_unclaimed_batch(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            batch = await alice.queue(wake("cancel me"))
            cancelled = await alice.session.cancel_queued_work_batch(batch.batch_id)
            assert cancelled is not None
            assert cancelled.items[0].payload == wake("cancel me")
            assert await alice.session.queued_work() == []

    run(scene())


def test_queue_04_what_a_live_claim_holds_is_hidden_and_durable(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice, worker(place, "host") as other:
            batch = await alice.queue(wake("held"))
            await alice.take()
            assert ids(await alice.claim()) == [batch.batch_id]
            assert await other.pending() == []
            assert await other.everything() == [batch.batch_id]

    run(scene())


def test_queue_05_what_a_live_claim_holds_cannot_be_cancelled(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice, worker(place, "host") as other:
            batch = await alice.queue(wake("held"))
            await alice.take()
            await alice.claim()
            assert await other.session.cancel_queued_work_batch(batch.batch_id) is None
            assert await other.everything() == [batch.batch_id]

    run(scene())


def test_queue_06_abandon_makes_it_pending_and_cancellable_again(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            batch = await alice.queue(wake("held"))
            await alice.take()
            claim = await alice.claim()
            assert claim is not None
            await alice.session.abandon_queued_work_claim(claim)
            await alice.let_go()
            assert await alice.pending() == [batch.batch_id]
            cancelled = await alice.session.cancel_queued_work_batch(batch.batch_id)
            assert cancelled is not None
            assert cancelled.batch_id == batch.batch_id

    run(scene())


def test_queue_08_a_selected_batch_claim_must_not_skip_earlier_work(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            first = await alice.queue(wake("first"), delivery=AFTER_COMMIT)
            second = await alice.queue(wake("second"), delivery=AFTER_COMMIT)
            await alice.take()
            assert await alice.claim_these(second) is None
            assert await alice.pending() == [first.batch_id, second.batch_id]
            assert ids(await alice.claim_these(first)) == [first.batch_id]
            assert await alice.pending() == [second.batch_id]

    run(scene())


def test_queue_09_a_leading_session_command_blocks_turn_work(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            command = await alice.queue(REFRESH, delivery=AFTER_COMMIT)
            turn = await alice.queue(wake("turn"))
            await alice.take()
            assert await alice.claim() is None
            claim = await alice.claim_command()
            assert claim is not None
            assert ids(claim) == [command.batch_id]
            await alice.commit(claim)
            assert ids(await alice.claim_these(turn)) == [turn.batch_id]

    run(scene())


async def head_and_earliest(alice: Worker) -> tuple[str, str]:
    head = await alice.queue(wake("after current commit"), delivery=AFTER_COMMIT)
    earliest = await alice.queue(wake("earliest"), delivery=EARLIEST)
    await alice.take()
    return head.batch_id, earliest.batch_id


def test_queue_11_after_commit_work_waits_for_idle(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            head, _ = await head_and_earliest(alice)
            assert await alice.claim(CHECKPOINT) is None
            assert ids(await alice.claim(IDLE)) == [head]

    run(scene())


def test_queue_12_a_checkpoint_claim_passes_over_a_head_that_is_claimed(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            head, earliest = await head_and_earliest(alice)
            assert ids(await alice.claim(IDLE)) == [head]
            assert ids(await alice.claim(CHECKPOINT)) == [earliest]

    run(scene())


def test_queue_13_a_claim_made_again_has_a_larger_fencing_token(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            head, _ = await head_and_earliest(alice)
            first = await alice.claim(IDLE)
            assert first is not None
            await alice.session.abandon_queued_work_claim(first)
            second = await alice.claim(IDLE)
            assert second is not None
            assert ids(second) == ids(first) == [head]
            assert second.fencing_token > first.fencing_token

    run(scene())


def test_queue_14_a_claim_made_again_supersedes_the_first(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            head, earliest = await head_and_earliest(alice)
            first = await alice.claim(IDLE)
            assert first is not None
            await alice.session.abandon_queued_work_claim(first)
            assert ids(await alice.claim(IDLE)) == [head]
            await alice.let_go()
            await alice.take()
            written = alice.state.version
            with pytest.raises(QueuedWorkClaimSuperseded):
                await alice.commit(first)
            assert alice.state.version == written
            assert await alice.everything() == [head, earliest]

    run(scene())


def test_queue_15_nothing_is_stolen_within_a_generation(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            await alice.queue(wake("one"))
            fence = await alice.take()
            claim = await alice.claim()
            assert claim is not None
            assert claim.generation == fence.generation
            assert await alice.claim() is None

    run(scene())


def test_queue_16_a_new_generation_takes_the_batch_and_the_old_completion_is_rejected(
    place: Place,
) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            batch = await alice.queue(wake("one"))
            old_fence = await alice.take()
            old = await alice.claim()
            await alice.let_go()
            fence = await alice.take()
            assert fence.generation > old_fence.generation
            new = await alice.claim()
            assert old is not None
            assert new is not None
            assert ids(new) == [batch.batch_id]
            assert new.fencing_token > old.fencing_token
            with pytest.raises(QueuedWorkClaimSuperseded):
                await alice.commit(old)
            assert await alice.everything() == [batch.batch_id]

    run(scene())


def test_queue_19_expiry_frees_claims(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice, worker(place, "bob") as bob:
            batch = await alice.queue(wake("one"))
            await alice.take(ttl_ms=60_000)
            old = await alice.claim()
            await bob.outlive()
            await bob.take()
            new = await bob.claim_these(batch)
            assert old is not None
            assert new is not None
            assert new.fencing_token > old.fencing_token
            await bob.commit(new, release=True)
            assert await bob.everything() == []
            assert bob.state.lease.holder is None

    run(scene())


def test_queue_21_scans_reach_past_32_claims_of_the_same_generation(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            wakes = [await alice.queue(wake(str(number))) for number in range(34)]
            await alice.take()
            for batch in wakes:
                assert ids(await alice.claim(batches_max=1)) == [batch.batch_id]
            assert await alice.claim(batches_max=1) is None
            commands = [await alice.queue(REFRESH) for _ in range(34)]
            for batch in commands:
                assert ids(await alice.claim_command()) == [batch.batch_id]
            assert await alice.claim_command() is None

    run(scene())


def test_queue_23_exclusive_claims_alone_and_the_join_behind_it_is_the_next_claim(
    place: Place,
) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            group = MergeGroup("root")
            exclusive = await alice.queue(wake("alone"), slot=EXCLUSIVE)
            joined = await alice.queue(wake("join"), slot=JOIN, merge_key=group)
            await alice.take()
            assert ids(await alice.claim()) == [exclusive.batch_id]
            assert ids(await alice.claim()) == [joined.batch_id]

    run(scene())


def test_queue_25_join_groups_only_neighbours_with_equal_delivery_and_merge_key(
    place: Place,
) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            a, b = MergeGroup("a"), MergeGroup("b")
            a1, a2 = [await alice.queue(wake(t), slot=JOIN, merge_key=a) for t in ("a1", "a2")]
            other = await alice.queue(wake("b"), slot=JOIN, merge_key=b)
            a3 = await alice.queue(wake("a3"), slot=JOIN, merge_key=a, delivery=AFTER_COMMIT)
            never = NeverMerge()
            alone = [await alice.queue(wake(t), slot=JOIN, merge_key=never) for t in ("x", "y")]
            await alice.take()
            found = [ids(await alice.claim()) for _ in range(5)]
            assert found == [
                [a1.batch_id, a2.batch_id],
                [other.batch_id],
                [a3.batch_id],
                [alone[0].batch_id],
                [alone[1].batch_id],
            ]

    run(scene())


def test_queue_26_claiming_one_session_leaves_the_work_of_another(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as root, worker(place, session_id="other") as other:
            mine = await root.queue(wake("root"))
            theirs = await other.queue(wake("other"))
            await root.take()
            assert ids(await root.claim()) == [mine.batch_id]
            assert await root.claim() is None
            assert await other.pending() == [theirs.batch_id]

    run(scene())


def test_queue_28_a_process_wake_is_delivered_once(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:

            async def send() -> str:
                sent = await alice.session.enqueue_wake(
                    "done",
                    process_id="process-1",
                    sequence=7,
                    event_type="exit",
                    dedupe_key="wake-dedupe-1",
                )
                return sent.batch_id

            assert await send() == await send()
            (batch,) = await alice.session.queued_work()
            await alice.take()
            claim = await alice.claim()
            assert claim is not None
            assert ids(claim) == [batch.batch_id]
            (item,) = batch.items
            assert isinstance(item.payload, ProcessWake)
            await alice.commit(claim)
            assert await alice.everything() == []
            assert await send() == batch.batch_id
            assert await alice.everything() == []

    run(scene())


def test_queue_29_two_handles_and_one_batch(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice, worker(place) as twin:
            batch = await alice.queue(wake("one"))
            twin.fence = await alice.take()
            claims = await asyncio.gather(alice.claim(), twin.claim())
            assert sorted(ids(claim) for claim in claims) == [[], [batch.batch_id]]
            assert await alice.pending() == await twin.pending() == []
            assert await alice.claim() is None
            assert await twin.claim() is None

    run(scene())


class TakenOver(Through):
    """Lets somebody take the lease over, once, in front of an append of a claim."""

    def __init__(self, inner: Store, rivals: Store) -> None:
        super().__init__(inner)
        self._rivals = rivals  # A connection is one thread's at a time.
        self.taker: Worker | None = None

    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        claims = any(r.name == "work.claimed" for each in appends for r in each.records)
        if self.taker is not None and claims:
            taker, self.taker = self.taker, None
            take_now(self._rivals, taker)
        return self.inner.append(appends)


def take_now(store: Store, taker: Worker) -> None:
    """Take the lease at the moment at which it has run out, without waiting for anybody."""
    folded = load(store, stream("root"))
    assert isinstance(folded.state, Open)
    assert folded.state.lease.holder is not None
    command = AcquireLease(
        now_ms=folded.state.lease.holder.expires_at_ms,
        owner=taker.owner,
        token="taken",
        ttl_ms=600_000,
    )
    events = decide(folded.state, command, Known())
    append, after = encode_append(folded, events, (), AppendId("takeover"))
    assert store.append((append,)) == Appended(versions=(after.version,))


def test_queue_30_a_late_claim_loses_to_a_takeover_in_every_order(place: Place) -> None:
    async def late_claim(store: TakenOver) -> None:
        async with (
            host(store) as core,
            core.session("root").open() as session,
            worker(place, "bob") as bob,
        ):
            alice = Worker(session, LeaseOwner(owner_id="a", incarnation_id="1"))
            batch = await alice.queue(wake("one"))
            await alice.take()
            store.taker = bob
            with pytest.raises(SessionExecutionLeaseExpired):
                await alice.claim()
            await bob.lane.catch_up()
            bob.fence = await bob.take()
            assert bob.fence.token == "taken"
            assert ids(await bob.claim()) == [batch.batch_id]

    async def claim_first() -> None:
        async with worker(place, "carol") as carol, worker(place, "dave") as dave:
            await dave.outlive()
            carol.later_ms = dave.later_ms
            await carol.take()
            first = await carol.claim()
            assert first is not None
            await dave.outlive()
            await dave.take()
            second = await dave.claim()
            assert second is not None
            assert ids(second) == ids(first)
            assert second.fencing_token > first.fencing_token
            with pytest.raises(SessionExecutionLeaseExpired):
                await carol.commit(first)
            with pytest.raises(QueuedWorkClaimSuperseded):
                await dave.commit(first)

    with closing(place.store()) as kept, closing(place.store()) as rivals:
        run(late_claim(TakenOver(kept, rivals)))
    run(claim_first())


def test_queue_31_derivations_are_deterministic(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            gone = [await alice.queue(wake(str(number))) for number in range(6)]
            head = await alice.queue(wake("the seventh"))
            for each in gone:
                assert await alice.session.cancel_queued_work_batch(each.batch_id)
            for _ in range(4):
                await alice.take()
                await alice.let_go()
            await alice.take()
            for _ in range(2):
                claim = await alice.claim()
                assert claim is not None
                await alice.session.abandon_queued_work_claim(claim)
            third = await alice.claim()
            assert third is not None
            assert (head.sequence, third.claim_id) == (7, "qwc:7:3")
            assert (third.fencing_token, third.generation) == (3, 5)
            batch_ids = {each.batch_id for each in (*gone, head)}
            assert len(batch_ids) == 7
            assert all(batch_id.startswith("qwb:") for batch_id in batch_ids)

    run(scene())


def test_queue_32_a_command_turn_work_a_stale_completion_and_the_last_drain(
    place: Place,
) -> None:
    async def scene() -> None:
        async with worker(place) as alice:
            await alice.take()
            for _ in range(6):
                await alice.commit()
            await alice.queue(REFRESH, delivery=AFTER_COMMIT)
            await alice.queue(wake("wake"))
            classes = [batch.work_class.value for batch in alice.session.pending.batches]
            assert classes == ["session_command", "turn_work"]
            assert await alice.claim() is None
            command = await alice.claim_command()
            assert command is not None
            (refresh, _) = alice.session.pending.batches
            assert (refresh.claim_id, refresh.is_held) == (command.claim_id, True)
            assert await alice.commit(command) == 7
            work = await alice.claim()
            assert work is not None
            for stale in ((command,), (work, command)):
                with pytest.raises(QueuedWorkClaimSuperseded):
                    await alice.commit(*stale)
            assert alice.state.head.turn_index == 7
            assert ids(work) == await alice.everything()
            assert await alice.commit(work, release=True) == 8
            assert await alice.everything() == []
            with closing(place.store()) as store:
                written = names(store, "root")
            assert written[-4:] == [
                "TurnStarted",
                "WorkCompleted",
                "TurnCommitted",
                "LeaseReleased",
            ]

    run(scene())


def test_queue_46_waiting_for_an_unknown_batch_ends_at_once(place: Place) -> None:
    async def scene() -> None:
        async with worker(place) as alice, worker(place, "host") as other:
            session = other.session
            assert await session.await_queued_work_batch("qwb:never-existed") is None
            unknown = await session.await_queued_work_batch("qwb:never-existed", until="completed")
            assert unknown == BatchUnknown()
            batch = await alice.queue(wake("one"))
            doomed = await alice.queue(wake("two"))
            await alice.take()
            claim = await alice.claim()
            assert claim is not None
            assert await session.await_queued_work_batch(batch.batch_id) is None
            waits = [
                asyncio.ensure_future(
                    session.await_queued_work_batch(each.batch_id, until="completed")
                )
                for each in (batch, doomed)
            ]
            await asyncio.sleep(0.1)
            assert not any(wait.done() for wait in waits)
            await alice.commit(claim)
            await alice.session.cancel_queued_work_batch(doomed.batch_id)
            found = [await wait for wait in waits]
            finished = [each.batch for each in found if isinstance(each, BatchFinished)]
            assert [each.batch_id for each in finished] == [batch.batch_id, doomed.batch_id]
            assert [each.status for each in finished] == [
                BatchStatus.COMPLETED,
                BatchStatus.CANCELLED,
            ]

    run(scene())


def test_queue_47_source_keys_are_remembered_after_completion(place: Place) -> None:
    async def scene() -> None:
        sent: dict[str, str] = {}
        async with worker(place) as alice:
            for key in ("done", "gone"):
                sent[key] = (await alice.queue(wake(key), source_key=key)).batch_id
            await alice.take()
            claim = await alice.claim()
            assert claim is not None
            await alice.commit(claim, release=True)
            await alice.session.cancel_queued_work_batch(sent["gone"])
            admin = alice.session.commands()
            refresh = await admin.refresh_tool_catalog(reason="r", idempotency_key="1")
            await alice.take()
            command = await alice.claim_command()
            assert command is not None
            await alice.commit(command, release=True)
        async with worker(place, "bob") as bob:  # It holds across reopening.
            statuses = {"done": BatchStatus.COMPLETED, "gone": BatchStatus.CANCELLED}
            for key, status in statuses.items():
                again = await bob.queue(RefreshToolCatalog(reason="other"), source_key=key)
                assert (again.batch_id, again.status) == (sent[key], status)
            admin = bob.session.commands()
            repeated = await admin.refresh_tool_catalog(reason="r", idempotency_key="1")
            assert repeated == refresh
            assert await bob.everything() == []
            assert (await bob.session.maintain()).removed_queued_work_count == 3
            assert (await bob.session.maintain()).removed_queued_work_count == 0
            renewed = await bob.queue(wake("done"), source_key="done")
            assert renewed.batch_id != sent["done"]
            assert await bob.pending() == [renewed.batch_id]

    run(scene())
