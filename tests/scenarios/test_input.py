"""INPUT: pending turn input, case by case."""

import pytest

from lash_es import (
    ActiveTurn,
    AlreadyCancelled,
    AlreadyClaimed,
    AlreadyCompleted,
    AnchorNotFound,
    Boundary,
    Cancelled,
    ImageItem,
    InputId,
    NextTurn,
    NotFound,
    Outcomes,
    SourceKey,
    SourceKeyConflict,
    SuffixCancelOutcome,
    TextItem,
    TurnInput,
)
from lash_es.core.errors import SessionExecutionLeaseExpired, TurnInputClaimSuperseded
from lash_es.core.ids import TurnId
from lash_es.core.outcomes import InputStatus
from lash_es.core.owners import Fence
from lash_es.core.receipts import CancelOutcome, TurnInputClaim, TurnInputReceipt
from lash_es.core.transcripts import FromInputs
from lash_es.runtime.maintaining import maintain
from tests.scenarios.hands import Hand, Site, got, owner, scenario

TURN = TurnId("active-turn-1")
WORK, LAST = Boundary.AFTER_WORK, Boundary.BEFORE_COMPLETION
INTO = ActiveTurn(TURN)
AT_THE_END = ActiveTurn(TURN, LAST)
ELSEWHERE = ActiveTurn(TurnId("another turn"))


async def claim_next(hand: Hand, fence: Fence, inputs_max: int = 10) -> TurnInputClaim:
    claim = await hand.inputs.claim_for_next_turn(fence, inputs_max=inputs_max)
    assert claim is not None
    return claim


async def claim_active(
    hand: Hand, fence: Fence, checkpoint: Boundary = WORK, inputs_max: int = 10
) -> TurnInputClaim:
    claim = await hand.inputs.claim_for_checkpoint(fence, TURN, checkpoint, inputs_max=inputs_max)
    assert claim is not None
    return claim


def told(outcome: CancelOutcome) -> TurnInputReceipt:
    assert not isinstance(outcome, NotFound)
    return outcome.input


def suffix(found: SuffixCancelOutcome) -> list[tuple[type, str]]:
    assert isinstance(found, Outcomes)
    return [(type(each), told(each).input_id) for each in found.outcomes]


def test_input_01_exact_replay_by_source_key(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first", key="source:first")
        again = await (await site.hand()).enqueue("first", key="source:first")
        assert again == first
        assert await hand.content(again) == TurnInput.of_text("first")
        assert await hand.pending() == [first.input_id]

    scenario(site, scene)


def test_input_02_changed_content_or_ingress_under_the_same_key_conflicts(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first", key="source:first")
        for text, ingress in (("other", NextTurn()), ("first", INTO)):
            with pytest.raises(SourceKeyConflict) as refused:
                await hand.enqueue(text, key="source:first", into=ingress)
            conflict = refused.value
            assert (conflict.session_id, conflict.source_key) == ("root", "source:first")
            assert conflict.existing_input_id == first.input_id
        elsewhere = await (await site.hand("other")).enqueue("other", key="source:first")
        assert elsewhere.input_id != first.input_id

    scenario(site, scene)


def test_input_02_what_is_compared_is_the_ingress_as_submitted(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        steer = await hand.enqueue("steer", key="steer", into=INTO)
        assert steer.status is InputStatus.PENDING_ACTIVE
        await hand.commit(fence, TURN)
        again = await hand.enqueue("steer", key="steer", into=INTO)
        assert again.input_id == steer.input_id
        assert again.status is InputStatus.DEFERRED_NEXT_TURN
        with pytest.raises(SourceKeyConflict):
            await hand.enqueue("steer", key="steer", into=NextTurn())

    scenario(site, scene)


def test_input_03_order_and_session_scope_of_the_pending_list(site: Site) -> None:
    async def scene() -> None:
        root, other = await site.hand(), await site.hand("other")
        first, second = await root.enqueue("first"), await root.enqueue("second")
        await other.enqueue("third")
        assert await root.pending() == [first.input_id, second.input_id]
        assert (first.sequence, second.sequence) == (1, 2)

    scenario(site, scene)


def test_input_05_exact_replay_after_cancellation_returns_the_tombstone(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first", key="k")
        assert isinstance(await hand.inputs.cancel(first.input_id), Cancelled)
        again = await hand.enqueue("first", key="k")
        assert (again.input_id, again.status) == (first.input_id, InputStatus.CANCELLED)
        assert await hand.pending() == []

    scenario(site, scene)


def test_input_06_vacuum_prunes_tombstones_only(site: Site) -> None:
    async def scene() -> None:
        hand, other = await site.hand(), await site.hand("other")
        await other.enqueue("stays")
        gone = [await hand.enqueue(text, key=text) for text in ("a", "b")]
        for each in gone:
            await hand.inputs.cancel(each.input_id)
        stays = await hand.enqueue("stays")
        version = (await hand.state()).version
        assert (await maintain(hand.lane)).removed_pending_turn_input_tombstone_count == 2
        again = await maintain(hand.lane)
        assert again.removed_pending_turn_input_tombstone_count == 0
        assert (await hand.state()).version == version + 1  # Nothing of the history is gone.
        assert await hand.inputs.cancel(gone[0].input_id) == NotFound()
        assert await hand.pending() == [stays.input_id]
        assert len(await other.pending()) == 1
        fresh = await hand.enqueue("something else", key="a")
        assert fresh.input_id != gone[0].input_id
        assert fresh.sequence == 4  # Never one that was used before.

    scenario(site, scene)


async def steered(hand: Hand) -> tuple[Fence, list[TurnInputReceipt]]:
    """Before the anchor one input; after it a claimed active one and a later one."""
    fence = await hand.fence()
    await hand.start(fence, TURN)
    inputs = [
        await hand.enqueue("before"),
        await hand.enqueue("anchor", key="suffix:anchor"),
        await hand.enqueue("steer", into=INTO),
        await hand.enqueue("later"),
    ]
    return fence, inputs


def test_input_08_suffix_cancel_by_key_skipping_an_accepted_one(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence, (before, anchor, steer, later) = await steered(hand)
        claim = await claim_active(hand, fence)
        version = (await hand.state()).version
        found = await hand.inputs.cancel_suffix(SourceKey("suffix:anchor"))
        assert suffix(found) == [
            (Cancelled, anchor.input_id),
            (AlreadyClaimed, steer.input_id),
            (Cancelled, later.input_id),
        ]
        assert isinstance(found, Outcomes)
        held = found.outcomes[1]
        assert isinstance(held, AlreadyClaimed)
        assert held.claim is not None
        assert (held.claim.claim_id, held.claim.status) == (
            claim.claim_id,
            InputStatus.ACCEPTED,
        )
        assert (held.claim.owner, held.claim.fencing) == (fence.owner, claim.fencing)
        assert await hand.pending() == [before.input_id]
        assert (await hand.state()).version == version + 1  # One fact, hence one event.
        again = await hand.inputs.cancel_suffix(SourceKey("suffix:anchor"))
        assert [kind for kind, _ in suffix(again)] == [
            AlreadyCancelled,
            AlreadyClaimed,
            AlreadyCancelled,
        ]
        assert (await hand.state()).version == version + 1

    scenario(site, scene)


def test_input_09_suffix_cancel_by_input_id_and_a_missing_anchor(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        anchor, later = await hand.enqueue("anchor"), await hand.enqueue("later")
        missing = SourceKey("unknown")
        assert await hand.inputs.cancel_suffix(missing) == AnchorNotFound(missing)
        assert await hand.pending() == [anchor.input_id, later.input_id]
        found = await hand.inputs.cancel_suffix(InputId(anchor.input_id))
        assert suffix(found) == [(Cancelled, anchor.input_id), (Cancelled, later.input_id)]

    scenario(site, scene)


def test_input_10_claim_next_turn_inputs_in_order_with_images(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        image = ImageItem(media_type="image/png", data=bytes((1, 2, 3)))
        first = await hand.enqueue(TurnInput(items=(TextItem(text="first"), image)))
        second = await hand.enqueue("second")
        claim = await claim_next(hand, await hand.fence())
        assert claim.input_ids == (first.input_id, second.input_id)
        assert image in (await hand.content(claim.inputs[0])).items
        assert {each.status for each in claim.inputs} == {InputStatus.DEFERRED_NEXT_TURN}

    scenario(site, scene)


def test_input_11_a_live_claimed_input_cannot_be_cancelled(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first")
        claim = await claim_next(hand, await hand.fence())
        outcome = await hand.inputs.cancel(first.input_id)
        assert isinstance(outcome, AlreadyClaimed)
        assert outcome.input == first
        assert outcome.claim is not None
        assert (outcome.claim.claim_id, outcome.claim.generation) == (claim.claim_id, 1)
        assert await hand.pending() == []

    scenario(site, scene)


def test_input_13_stale_completion_is_rejected_and_harms_nothing(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first")
        fence = await hand.fence()
        old = await claim_next(hand, fence)
        await hand.inputs.abandon(old)
        assert await hand.pending() == [first.input_id]
        new = await claim_next(hand, fence)
        assert new.fencing > old.fencing
        await hand.inputs.abandon(old)  # Stale: it changes nothing and raises nothing.
        with pytest.raises(TurnInputClaimSuperseded) as refused:
            await hand.complete(fence, old, "t")
        assert (refused.value.session_id, refused.value.claim_id) == ("root", old.claim_id)
        assert await hand.pending() == []
        await hand.complete(fence, new, "t")

    scenario(site, scene)


def test_input_14_completion_leaves_a_completed_tombstone(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first", key="k")
        fence = await hand.fence()
        await hand.complete(fence, await claim_next(hand, fence), "t")
        assert await hand.pending() == []
        assert isinstance(await hand.inputs.cancel(first.input_id), AlreadyCompleted)
        again = await hand.enqueue("first", key="k")
        assert (again.input_id, again.status) == (first.input_id, InputStatus.COMPLETED)
        fence = await hand.fence()
        assert await hand.inputs.claim_for_next_turn(fence, inputs_max=10) is None

    scenario(site, scene)


@pytest.mark.parametrize("is_released", [True, False], ids=["released", "taken over"])
def test_input_15_generation_fencing_for_inputs(site: Site, is_released: bool) -> None:
    async def scene() -> None:
        hand = await site.hand()
        await hand.enqueue("first")
        fence = await hand.fence(ttl_ms=60_000 if is_released else 300)
        old = await claim_next(hand, fence)
        assert old.generation == fence.generation
        assert await hand.inputs.claim_for_next_turn(fence, inputs_max=10) is None
        if is_released:
            await hand.leases.release(fence)
        else:
            await site.pass_ms(301)
        taker = await hand.fence("owner-b")
        new = await claim_next(hand, taker)
        assert new.input_ids == old.input_ids
        assert new.fencing > old.fencing
        with pytest.raises(TurnInputClaimSuperseded):
            await hand.complete(taker, old, "t")
        with pytest.raises(SessionExecutionLeaseExpired):
            await hand.complete(fence, old, "t")
        await hand.complete(taker, new, "t")

    scenario(site, scene)


def test_input_17_clock_expiry_frees_an_input_claim(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        await hand.enqueue("first")
        old = await claim_next(hand, await hand.fence(ttl_ms=300))
        await site.pass_ms(301)
        taker = got(await hand.leases.try_claim(owner("owner-b"), ttl_ms=60_000))
        new = await claim_next(hand, taker)
        assert new.input_ids == old.input_ids
        assert new.fencing > old.fencing
        await hand.start(taker, "t", new)
        committed = await hand.commit(taker, "t")
        assert committed.completed_input_ids == new.input_ids
        assert (await hand.state()).lease.holder is None

    scenario(site, scene)


@pytest.mark.parametrize("how", ["released", "expired", "taken over"])
def test_input_18_visibility_without_a_lease(site: Site, how: str) -> None:
    async def scene() -> None:
        hand, stranger = await site.hand(), await site.hand()
        first = await hand.enqueue("first")
        fence = await hand.fence(ttl_ms=60_000 if how == "released" else 300)
        await claim_next(hand, fence)
        assert await stranger.pending() == []
        if how == "released":
            await hand.leases.release(fence)
        else:
            await site.pass_ms(301)
        if how == "taken over":
            await hand.fence("owner-b")
        assert await stranger.pending() == [first.input_id]
        assert isinstance(await stranger.inputs.cancel(first.input_id), Cancelled)

    scenario(site, scene)


@pytest.mark.parametrize("is_interrupted", [True, False])
def test_input_19_inputs_cancelled_before_acceptance(site: Site, is_interrupted: bool) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        keep = await hand.enqueue("keep", into=INTO)
        drop = await hand.enqueue("cancel", into=INTO)
        later = await hand.enqueue("later")
        outcome = await hand.inputs.cancel(drop.input_id)
        assert isinstance(outcome, Cancelled)
        assert (outcome.input.ingress, outcome.input.status) == (INTO, InputStatus.CANCELLED)
        assert isinstance(await hand.inputs.cancel(later.input_id), Cancelled)
        committed = await hand.commit(fence, TURN, is_interrupted=is_interrupted)
        assert committed.deferred_input_ids == (keep.input_id,)
        entry = (await hand.state()).inputs.pending[keep.input_id]
        assert entry.ingress == NextTurn()
        assert entry.status(is_held=False) is InputStatus.DEFERRED_NEXT_TURN
        assert await hand.pending() == [keep.input_id]
        assert isinstance(await hand.inputs.cancel(keep.input_id), Cancelled)
        fence = await hand.fence()
        assert await hand.inputs.claim_for_next_turn(fence, inputs_max=10) is None

    scenario(site, scene)


def test_input_20_checkpoint_claims_respect_boundary_order_turn_and_limit(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        image = ImageItem(media_type="image/png", data=b"a")
        a = await hand.enqueue(TurnInput(items=(TextItem(text="A"), image)), into=INTO)
        b = await hand.enqueue("B", into=INTO)
        c = await hand.enqueue("C", into=AT_THE_END)
        d = await hand.enqueue("D", into=ELSEWHERE)
        first = await claim_active(hand, fence, inputs_max=1)
        assert first.input_ids == (a.input_id,)
        assert first.inputs[0].status is InputStatus.ACCEPTED
        assert image in (await hand.content(first.inputs[0])).items
        assert (await claim_active(hand, fence)).input_ids == (b.input_id,)
        assert (await claim_active(hand, fence, LAST)).input_ids == (c.input_id,)
        assert await hand.inputs.claim_for_checkpoint(fence, TURN, LAST, inputs_max=9) is None
        assert await hand.pending() == [d.input_id]

    scenario(site, scene)


def test_input_22_deferred_inputs_become_the_next_turns_input(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        b = await hand.enqueue("B", into=INTO)
        c = await hand.enqueue("C", into=AT_THE_END)
        d = await hand.enqueue("D", into=ELSEWHERE)
        await hand.commit(fence, TURN)
        fence = await hand.fence()
        claim = await claim_next(hand, fence)
        assert claim.input_ids == (b.input_id, c.input_id)
        await hand.complete(fence, claim, "t2")
        assert await hand.pending() == [d.input_id]
        entry = (await hand.state()).inputs.pending[d.input_id]
        assert entry.status(is_held=False) is InputStatus.PENDING_ACTIVE

    scenario(site, scene)


def test_input_23_boundaries(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        late = await hand.enqueue("late", into=AT_THE_END)
        early = await hand.enqueue("early", into=INTO)
        first = await claim_active(hand, fence)
        assert first.input_ids == (early.input_id,)
        await hand.inputs.abandon(first)
        last = await claim_active(hand, fence, LAST)
        assert last.input_ids == (late.input_id, early.input_id)

    scenario(site, scene)


async def accepted_then_dead(site: Site, hand: Hand, how: str, *, is_told: bool) -> Fence:
    """Accept an input, perhaps tell a model, and let the generation die; return the next one."""
    fence = await hand.fence(ttl_ms=400)
    await hand.start(fence, TURN)
    await hand.enqueue("steer", into=INTO)
    await claim_active(hand, fence)
    if is_told:
        await hand.ask_model(fence, TURN)
    if how == "released":
        await hand.leases.release(fence)
    else:
        await site.pass_ms(401)
    return await hand.fence("owner-b")


@pytest.mark.parametrize("how", ["released", "expired"])
def test_input_33_a_what_no_model_was_told_is_pending_again(site: Site, how: str) -> None:
    async def scene() -> None:
        hand = await site.hand()
        taker = await accepted_then_dead(site, hand, how, is_told=False)
        (entry,) = (await hand.state()).inputs.pending.values()
        assert await hand.pending() == [entry.input_id]
        assert (entry.ingress, entry.claims_count) == (INTO, 1)
        assert entry.status(is_held=False) is InputStatus.PENDING_ACTIVE
        again = await claim_active(hand, taker)
        assert (again.input_ids, again.fencing) == ((entry.input_id,), 2)
        committed = await hand.commit(taker, TURN)
        assert committed.completed_input_ids == (entry.input_id,)
        assert sum(isinstance(n.source, FromInputs) for n in committed.nodes) == 2

    scenario(site, scene)


@pytest.mark.parametrize("how", ["released", "expired"])
def test_input_33_b_what_a_model_was_told_stays_with_its_turn(site: Site, how: str) -> None:
    async def scene() -> None:
        hand = await site.hand()
        taker = await accepted_then_dead(site, hand, how, is_told=True)
        (entry,) = (await hand.state()).inputs.pending.values()
        assert await hand.pending() == []
        assert isinstance(await hand.inputs.cancel(entry.input_id), AlreadyClaimed)
        assert await hand.inputs.claim_for_checkpoint(taker, TURN, LAST, inputs_max=9) is None
        await hand.cancel_model(taker, TURN)
        committed = await hand.commit(taker, TURN)
        assert committed.completed_input_ids == (entry.input_id,)
        assert sum(isinstance(n.source, FromInputs) for n in committed.nodes) == 2
        assert isinstance(await hand.inputs.cancel(entry.input_id), AlreadyCompleted)

    scenario(site, scene)


@pytest.mark.parametrize("is_told", [True, False])
def test_input_33_c_without_a_commit_it_is_deferred_once(site: Site, is_told: bool) -> None:
    async def scene() -> None:
        hand = await site.hand()
        taker = await accepted_then_dead(site, hand, "released", is_told=is_told)
        (entry,) = (await hand.state()).inputs.pending.values()
        await hand.cancel_model(taker, TURN)
        await hand.end(taker, TURN)
        assert await hand.pending() == [entry.input_id]
        claim = await claim_next(hand, taker)
        assert claim.input_ids == (entry.input_id,)
        await hand.complete(taker, claim, "t2")
        assert await hand.pending() == []

    scenario(site, scene)


def test_edge_50_bulk_cancel_with_the_same_target_twice(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = await hand.enqueue("first", key="k")
        by_id, by_key = InputId(first.input_id), SourceKey("k")
        version = (await hand.state()).version
        found = await hand.inputs.cancel_many([by_id, InputId("nobody"), by_key])
        assert [each.target for each in found] == [by_id, InputId("nobody"), by_key]
        assert [type(each.outcome) for each in found] == [Cancelled, NotFound, AlreadyCancelled]
        assert (await hand.state()).version == version + 1
        again = await hand.inputs.cancel_many([by_id])
        assert isinstance(again[0].outcome, AlreadyCancelled)
        assert (await hand.state()).version == version + 1

    scenario(site, scene)


def test_an_input_for_a_turn_that_is_over_is_deferred_when_it_comes(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = await hand.fence()
        await hand.start(fence, TURN)
        await hand.commit(fence, TURN)
        late = await hand.enqueue("late", key="late", into=INTO)
        assert (late.status, late.ingress) == (InputStatus.DEFERRED_NEXT_TURN, NextTurn())
        assert await hand.enqueue("late", key="late", into=INTO) == late
        claim = await claim_next(hand, await hand.fence())
        assert claim.input_ids == (late.input_id,)

    scenario(site, scene)
