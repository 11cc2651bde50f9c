"""Pending input through the facade: idempotent, ordered, withdrawn, deferred."""

import asyncio

import pytest

from lash_es import (
    ActiveTurn,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    BlankValue,
    Boundary,
    Cancelled,
    CancelToken,
    InputId,
    InputStatus,
    LeaseOwner,
    LimitExceeded,
    Limits,
    ModelCallFailed,
    NextTurn,
    NotFound,
    Outcomes,
    QueueFull,
    SourceKey,
    SourceKeyConflict,
    TurnInput,
)
from lash_es.core.ids import TurnId
from lash_es.core.receipts import Acquired
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Lane
from lash_es.runtime.world import World, system_now_ms
from lash_es.session.session_inputs import SessionInputs
from lash_es.session.session_leases import SessionLeases
from tests.session.host import host, run, texts
from tests.session.scripted import fails, says, speaking
from tests.session.stores import Place, names, stream

BROKEN = ModelCallFailed(code="rate_limited", message="later", retryable=True)


def test_input_01_the_same_source_key_is_the_same_input(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with host(store) as core, core.session("root").open() as session:
            first = await session.enqueue("first").id("first")
            written = names(store, "root")
            again = await session.enqueue("first").id("first")
            assert again == first
            assert first.source_key == "host:first"
            assert first.input == TurnInput.of_text("first")
            assert names(store, "root") == written

    run(scene())


def test_input_02_other_content_or_ingress_under_the_key_is_a_conflict(place: Place) -> None:
    provider = speaking(says("done"))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("root").open() as session:
            into = ActiveTurn(TurnId("t"))
            sent = await session.enqueue("first").id("k").ingress(into)
            written = names(store, "root")
            for changed in (
                session.enqueue("second").id("k").ingress(into),
                session.enqueue("first").id("k"),
            ):
                with pytest.raises(SourceKeyConflict) as conflict:
                    await changed
                assert conflict.value.fields == {
                    "session_id": "root",
                    "source_key": "host:k",
                    "existing_input_id": sent.input_id,
                }
            assert names(store, "root") == written
            await session.turn("go").turn_id("t")
            # What is compared is the ingress as submitted, though the input is elsewhere by now.
            again = await session.enqueue("first").id("k").ingress(into)
            assert again.input_id == sent.input_id
            assert again.state is InputStatus.DEFERRED_NEXT_TURN

    run(scene())


def test_input_03_the_pending_list_is_in_order_and_of_one_session(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store()) as core,
            core.session("root").open() as session,
            core.session("other").open() as other,
        ):
            sent = [await session.enqueue(text) for text in ("first", "second")]
            await other.enqueue("one")
            listed = await session.pending_turn_inputs()
            assert listed == sent
            assert [each.sequence for each in listed] == [1, 2]
            assert [entry.input_id for entry in session.pending.inputs] == [
                each.input_id for each in sent
            ]
            assert session.pending.inputs_count == 2

    run(scene())


def test_input_05_a_cancelled_input_stays_cancelled_when_it_is_sent_again(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("root").open() as session:
            sent = await session.enqueue("first").id("k")
            outcome = await session.cancel_pending_turn_input(sent.input_id)
            assert isinstance(outcome, Cancelled)
            assert outcome.input.status is InputStatus.CANCELLED
            again = await session.enqueue("first").id("k")
            assert (again.input_id, again.state) == (sent.input_id, InputStatus.CANCELLED)
            assert await session.pending_turn_inputs() == []
            assert isinstance(
                await session.cancel_pending_turn_input(sent.input_id), AlreadyCancelled
            )

    run(scene())


def test_input_11_what_a_turn_holds_is_hidden_and_cannot_be_cancelled(place: Place) -> None:
    gate = asyncio.Event()
    provider = speaking(says("done", gate=gate))

    async def scene() -> None:
        store = place.store()
        async with host(store, provider) as core, core.session("root").open() as session:
            sent = await session.enqueue("first")
            drain = asyncio.ensure_future(session.queued_turn().run())
            await provider.is_asked.wait()
            written = names(store, "root")
            outcome = await session.cancel_pending_turn_input(sent.input_id)
            assert isinstance(outcome, AlreadyClaimed)
            assert outcome.input.input_id == sent.input_id
            assert outcome.claim is not None
            assert (outcome.claim.claim_id, outcome.claim.generation) == ("tic:1:1", 1)
            assert outcome.claim.owner is not None
            assert await session.pending_turn_inputs() == []
            (entry,) = session.pending.inputs
            assert (entry.is_held, session.pending.inputs_count) == (True, 0)
            assert names(store, "root") == written
            gate.set()
            assert await drain is not None

    run(scene())


def test_input_14_a_completed_input_stays_completed(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("done"))) as core,
            core.session("root").open() as session,
        ):
            sent = await session.enqueue("first").id("k")
            assert await session.queued_turn() is not None
            assert await session.pending_turn_inputs() == []
            outcome = await session.cancel_pending_turn_input(sent.input_id)
            assert isinstance(outcome, AlreadyCompleted)
            again = await session.enqueue("first").id("k")
            assert (again.input_id, again.state) == (sent.input_id, InputStatus.COMPLETED)
            assert await session.queued_turn() is None

    run(scene())


def test_an_input_that_was_never_sent_is_not_found(place: Place) -> None:
    async def scene() -> None:
        async with host(place.store()) as core, core.session("root").open() as session:
            assert await session.cancel_pending_turn_input("ti:none") == NotFound()

    run(scene())


@pytest.mark.parametrize("boundary", list(Boundary))
def test_an_input_that_missed_its_turn_is_deferred_by_the_commit(
    place: Place, boundary: Boundary
) -> None:
    provider = speaking(says("then"))

    async def scene() -> None:
        store, token = place.store(), CancelToken()
        token.cancel()
        async with host(store, provider) as core, core.session("root").open() as session:
            sent = await session.enqueue("by the way").ingress(ActiveTurn(TurnId("t"), boundary))
            elsewhere = await session.enqueue("not yours").ingress(ActiveTurn(TurnId("u")))
            assert sent.state is InputStatus.PENDING_ACTIVE
            # No drain takes it before its turn has had the chance.
            assert await session.queued_turn() is None
            written = len(names(store, "root"))
            # A turn that is cancelled reaches no checkpoint, and commits like any other.
            await session.turn("go").turn_id("t").cancel(token)
            assert "TurnCommitted" in names(store, "root")[written:]
            listed = await session.pending_turn_inputs()
            assert [(each.input_id, each.ingress, each.state) for each in listed] == [
                (sent.input_id, NextTurn(), InputStatus.DEFERRED_NEXT_TURN),
                (elsewhere.input_id, ActiveTurn(TurnId("u")), InputStatus.PENDING_ACTIVE),
            ]
            await session.queued_turn()
            assert await texts(session) == [
                ("user", "go"),
                ("user", "by the way"),
                ("assistant", "then"),
            ]

    run(scene())


def test_an_input_that_missed_a_turn_without_a_commit_is_deferred_too(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(fails(BROKEN))) as core,
            core.session("root").open() as session,
        ):
            await session.enqueue("by the way").ingress(ActiveTurn(TurnId("t")))
            await session.turn("go").turn_id("t")
            (listed,) = await session.pending_turn_inputs()
            assert listed.state is InputStatus.DEFERRED_NEXT_TURN

    run(scene())


def test_fault_05_a_deferred_input_can_be_cancelled_and_is_not_drained_afterwards(
    place: Place,
) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking(says("done"))) as core,
            core.session("root").open() as session,
        ):
            sent = await session.enqueue("by the way").ingress(ActiveTurn(TurnId("t")))
            await session.turn("go").turn_id("t")
            outcome = await session.cancel_pending_turn_input(sent.input_id)
            assert isinstance(outcome, Cancelled)
            assert await session.queued_turn() is None

    run(scene())


def test_what_is_blank_too_long_or_too_much_is_refused_by_its_limit(place: Place) -> None:
    limits = Limits(inputs_pending_max=2, source_key_chars_max=10, body_bytes_max=200)

    async def scene() -> None:
        store = place.store()
        async with (
            host(store, speaking(), limits=limits) as core,
            core.session("root").open() as session,
        ):
            with pytest.raises(LimitExceeded) as too_long:
                await session.enqueue("hello").id("k" * 10)
            assert too_long.value.limit == "source_key_chars_max"
            with pytest.raises(LimitExceeded) as too_large:
                await session.enqueue("x" * 300)
            assert too_large.value.limit == "body_bytes_max"
            await session.enqueue("a")
            await session.enqueue("b").id("b")
            with pytest.raises(QueueFull) as full:
                await session.enqueue("c")
            assert full.value.fields == {"limit": "inputs_pending_max", "allowed": 2}
            # What is there already needs no room.
            assert (await session.enqueue("b").id("b")).source_key == "host:b"
            with pytest.raises(LimitExceeded):
                await session.turn("x" * 300)
            assert names(store, "root").count("TurnInputEnqueued") == 2

    run(scene())


def test_a_turn_with_a_blank_id_is_refused(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with (
            host(store, speaking()) as core,
            core.session("root").open() as session,
        ):
            with pytest.raises(BlankValue):
                await session.turn("hello").turn_id(" ")
            assert names(store, "root") == ["SessionOpened"]

    run(scene())


def test_a_drain_takes_no_more_than_a_claim_may_hold(place: Place) -> None:
    provider = speaking(says("two"), says("one"))

    async def scene() -> None:
        async with (
            host(place.store(), provider, limits=Limits(inputs_per_claim_max=2)) as core,
            core.session("root").open() as session,
        ):
            for text in ("a", "b", "c"):
                await session.enqueue(text)
            await session.queued_turn()
            assert [each.input for each in await session.pending_turn_inputs()] == [
                TurnInput.of_text("c")
            ]
            await session.queued_turn()
            assert [text for _, text in await texts(session)] == ["a\nb", "two", "c", "one"]

    run(scene())


def test_inputs_are_cancelled_together_and_from_one_on(place: Place) -> None:
    async def scene() -> None:
        async with (
            host(place.store(), speaking()) as core,
            core.session("s").open() as session,
        ):
            sent = [await session.enqueue(text).id(text) for text in ("a", "b", "c", "d")]
            version = session.version
            results = await session.cancel_pending_turn_inputs(
                [SourceKey("host:b"), InputId("nobody"), InputId(sent[1].input_id)]
            )
            assert [type(each.outcome).__name__ for each in results] == [
                "Cancelled",
                "NotFound",
                "AlreadyCancelled",
            ]
            assert session.version == version + 1
            missing = SourceKey("c")  # Not the full key.
            found = await session.cancel_pending_turn_input_suffix(missing)
            assert found == AnchorNotFound(missing)
            found = await session.cancel_pending_turn_input_suffix(SourceKey("host:b"))
            assert isinstance(found, Outcomes)
            assert [type(each).__name__ for each in found.outcomes] == [
                "AlreadyCancelled",
                "Cancelled",
                "Cancelled",
            ]
            assert [each.source_key for each in await session.pending_turn_inputs()] == ["host:a"]

    run(scene())


def test_a_claim_is_given_back_by_a_handle_that_holds_no_lease(place: Place) -> None:
    async def scene() -> None:
        store = place.store()
        async with (
            host(store, speaking()) as core,
            core.session("s").open() as session,
        ):
            sent = await session.enqueue("a")
            lane = Lane(StoreLog(store, system_now_ms), stream(), World(), Limits())
            owner = LeaseOwner(owner_id="o", incarnation_id="1")
            lease = await SessionLeases(lane).try_claim(owner, ttl_ms=60_000)
            assert isinstance(lease, Acquired)
            claim = await SessionInputs(lane).claim_for_next_turn(lease.fence, inputs_max=9)
            assert claim is not None
            assert await session.pending_turn_inputs() == []
            await session.abandon_turn_input_claim(claim)
            assert [each.input_id for each in await session.pending_turn_inputs()] == [
                sent.input_id
            ]
            version = session.version
            await session.abandon_turn_input_claim(claim)
            assert session.version == version

    run(scene())
