"""LEASE: the session execution lease, case by case."""

import asyncio
import os
from collections.abc import Awaitable, Callable

import attrs
import pytest

from lash_es import (
    LeaseTimings,
    LocalProcess,
    Opaque,
    RenewIntervalTooSmall,
    RuntimeFault,
    SessionDeleted,
    TtlRenewRatioTooSmall,
    TtlTooSmall,
    this_process,
)
from lash_es.core.commands import DeleteSession
from lash_es.core.errors import SessionExecutionLeaseExpired
from lash_es.core.ids import Generation
from lash_es.core.owners import Fence
from tests.scenarios.hands import Hand, Site, busy, got, owner, scenario

MINUTE_MS = 60_000
A, B = owner("owner-a"), owner("owner-b")
DEAD = LocalProcess(host_id="host-a", boot_id="boot-a", pid=os.getpid(), process_start=1)
NEAR = LocalProcess(host_id="host-a", boot_id="boot-a", pid=2, process_start=2)


async def held_by_the_dead(site: Site) -> tuple[Hand, Fence]:
    hand = await site.hand()
    return hand, got(await hand.leases.try_claim(owner("dead", DEAD), ttl_ms=MINUTE_MS))


def test_lease_01_first_claim_then_reentry_by_the_same_incarnation(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        first = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        expires_at_ms = await hand.expires_at_ms()
        again = got(await hand.leases.try_claim(A, ttl_ms=2 * MINUTE_MS))
        assert (first.generation, again) == (1, first)
        assert await hand.expires_at_ms() >= expires_at_ms + MINUTE_MS

    scenario(site, scene)


def test_lease_04_renewal_extends_expiry_and_keeps_identity(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        expires_at_ms = await hand.expires_at_ms()
        await hand.leases.renew(fence, ttl_ms=2 * MINUTE_MS)
        lease = (await hand.state()).lease
        assert lease.holder is not None
        assert (lease.holder.token, lease.generation) == (fence.token, fence.generation)
        assert lease.holder.expires_at_ms >= expires_at_ms + MINUTE_MS

    scenario(site, scene)


def test_lease_05_renewal_with_a_wrong_token_fails(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        stale = attrs.evolve(fence, token=f"{fence.token}:stale")
        with pytest.raises(SessionExecutionLeaseExpired) as refused:
            await hand.leases.renew(stale, ttl_ms=MINUTE_MS)
        assert refused.value.session_id == "root"

    scenario(site, scene)


def test_lease_06_a_stale_release_is_a_silent_no_op(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        version = (await hand.state()).version
        await hand.leases.release(attrs.evolve(fence, token="wrong"))
        assert busy(await hand.leases.try_claim(B, ttl_ms=MINUTE_MS)) == A
        assert (await hand.state()).version == version

    scenario(site, scene)


def test_lease_07_release_frees_and_reacquisition_advances_the_fencing_token(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        await hand.leases.release(fence)
        assert got(await hand.leases.try_claim(B, ttl_ms=MINUTE_MS)).generation == 2

    scenario(site, scene)


def test_lease_09_zero_ttl_is_immediately_reclaimable(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        expired = got(await hand.leases.try_claim(owner("owner-expired"), ttl_ms=0))
        taken = got(await hand.leases.try_claim(owner("owner-reclaim"), ttl_ms=MINUTE_MS))
        assert taken.generation > expired.generation

    scenario(site, scene)


def test_lease_10_a_plain_claim_never_steals_from_a_dead_looking_holder(site: Site) -> None:
    async def scene() -> None:
        hand, fence = await held_by_the_dead(site)
        claimed = await hand.leases.try_claim(owner("near", NEAR), ttl_ms=MINUTE_MS)
        assert busy(claimed) == fence.owner

    scenario(site, scene)


def test_lease_11_fenced_reclaim_of_a_provably_dead_holder_before_ttl(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        near = owner("near", NEAR)
        taken = got(await hand.leases.reclaim(near, observed=dead, ttl_ms=MINUTE_MS))
        assert taken.generation == dead.generation + 1

    scenario(site, scene)


def test_lease_12_reclaim_with_an_out_of_date_observation_is_busy(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        near, third = owner("near", NEAR), owner("third", NEAR)
        taken = got(await hand.leases.reclaim(near, observed=dead, ttl_ms=MINUTE_MS))
        lease = (await hand.state()).lease
        late = await hand.leases.reclaim(third, observed=dead, ttl_ms=MINUTE_MS)
        assert busy(late) == taken.owner
        assert (await hand.state()).lease == lease

    scenario(site, scene)


def test_lease_14_no_fast_reclaim_from_another_host(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        far = owner("far", attrs.evolve(NEAR, host_id="host-b"))
        assert busy(await hand.leases.reclaim(far, observed=dead, ttl_ms=1)) == dead.owner

    scenario(site, scene)


def test_lease_15_no_fast_reclaim_from_another_boot(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        later = owner("later", attrs.evolve(NEAR, boot_id="boot-b"))
        assert busy(await hand.leases.reclaim(later, observed=dead, ttl_ms=1)) == dead.owner

    scenario(site, scene)


def test_lease_16_opaque_owners_rely_on_ttl_only(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        assert busy(await hand.leases.reclaim(B, observed=dead, ttl_ms=1)) == dead.owner
        other = await site.hand("other")
        opaque = got(await other.leases.try_claim(A, ttl_ms=MINUTE_MS))
        near = owner("near", NEAR)
        assert busy(await other.leases.reclaim(near, observed=opaque, ttl_ms=1)) == A

    scenario(site, scene)


@pytest.mark.parametrize("is_told", [True, False], ids=["as it is", "as if nobody could tell"])
def test_lease_17_a_really_alive_local_holder_stays_busy(site: Site, is_told: bool) -> None:
    async def scene() -> None:
        mine = this_process() if is_told else Opaque()
        alive = attrs.evolve(owner("alive"), liveness=mine)
        claimant = attrs.evolve(owner("claimant"), liveness=this_process())
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(alive, ttl_ms=MINUTE_MS))
        late = await hand.leases.reclaim(claimant, observed=fence, ttl_ms=MINUTE_MS)
        assert busy(late) == alive

    scenario(site, scene)


def test_lease_18_concurrent_first_claim_through_two_handles(site: Site) -> None:
    async def scene() -> None:
        one, two = await site.hand(), await site.hand()
        receipts = await asyncio.gather(
            one.leases.try_claim(A, ttl_ms=MINUTE_MS), two.leases.try_claim(B, ttl_ms=MINUTE_MS)
        )
        kinds = sorted(type(receipt).__name__ for receipt in receipts)
        assert kinds == ["Acquired", "Busy"]
        is_first = type(receipts[0]).__name__ == "Acquired"
        fence = got(receipts[0 if is_first else 1])
        await (two if is_first else one).leases.release(fence)
        assert (await one.state()).lease.holder is None

    scenario(site, scene)


def test_lease_19_a_reopened_handle_sees_and_may_release_the_live_lease(site: Site) -> None:
    async def scene() -> None:
        one = await site.hand()
        fence = got(await one.leases.try_claim(A, ttl_ms=MINUTE_MS))
        two = await site.hand()
        assert busy(await two.leases.try_claim(B, ttl_ms=MINUTE_MS)) == A
        await two.leases.release(fence)
        assert got(await two.leases.try_claim(B, ttl_ms=MINUTE_MS)).generation == 2

    scenario(site, scene)


def test_lease_20_dead_owner_reclaim_then_predecessors_release_then_renew(site: Site) -> None:
    async def scene() -> None:
        hand, dead = await held_by_the_dead(site)
        near = owner("near", NEAR)
        fence = got(await hand.leases.reclaim(near, observed=dead, ttl_ms=MINUTE_MS))
        await hand.leases.release(dead)
        await hand.leases.renew(fence, ttl_ms=MINUTE_MS)
        assert busy(await hand.leases.try_claim(B, ttl_ms=MINUTE_MS)) == near
        await hand.leases.release(fence)
        assert (await hand.state()).lease.holder is None

    scenario(site, scene)


def test_lease_22_leases_are_per_session(site: Site) -> None:
    async def scene() -> None:
        root, other = await site.hand("root"), await site.hand("other")
        got(await root.leases.try_claim(A, ttl_ms=MINUTE_MS))
        assert got(await other.leases.try_claim(B, ttl_ms=MINUTE_MS)).generation == 1
        assert busy(await root.leases.try_claim(B, ttl_ms=MINUTE_MS)) == A

    scenario(site, scene)


def test_lease_23_default_timings_are_contractual() -> None:
    default = LeaseTimings()
    assert (default.ttl_ms, default.renew_interval_ms) == (30_000, 10_000)
    for ttl_ms, renew_interval_ms in ((2_000, 1_000), (29_000, 10_000)):
        with pytest.raises(TtlRenewRatioTooSmall) as refused:
            LeaseTimings(ttl_ms=ttl_ms, renew_interval_ms=renew_interval_ms)
        assert (refused.value.ttl_ms, refused.value.is_terminal) == (ttl_ms, True)
    with pytest.raises(TtlTooSmall):
        LeaseTimings(ttl_ms=0, renew_interval_ms=10_000)
    with pytest.raises(RenewIntervalTooSmall):
        LeaseTimings(ttl_ms=30_000, renew_interval_ms=0)


def test_lease_24_timings_from_a_ttl_alone() -> None:
    timings = LeaseTimings.from_ttl(60)
    assert (timings.ttl_ms, timings.renew_interval_ms) == (60, 20)
    with pytest.raises(RenewIntervalTooSmall):
        LeaseTimings.from_ttl(2)


@pytest.mark.parametrize(
    ("code", "is_retryable", "is_terminal"),
    [
        ("session_execution_busy", True, False),
        ("session_execution_lease_lost", True, False),
        ("store_commit_failed", False, False),
        ("plugin:mine", False, False),
        ("durable_store_required:session_store", False, True),
        ("missing_execution_scope_id", False, True),
    ],
)
def test_lease_28_contention_errors_are_classified(
    code: str, is_retryable: bool, is_terminal: bool
) -> None:
    fault = RuntimeFault(code=code, message="m")
    assert (fault.is_retryable, fault.is_terminal) == (is_retryable, is_terminal)


def test_lease_29_a_deleted_sessions_tokens_never_come_back(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        await hand.lane.execute(DeleteSession(now_ms=hand.now_ms))
        attempts: tuple[Callable[[], Awaitable[object]], ...] = (
            site.hand,
            lambda: hand.leases.try_claim(B, ttl_ms=MINUTE_MS),
            lambda: hand.leases.reclaim(B, observed=fence, ttl_ms=MINUTE_MS),
            lambda: hand.leases.renew(fence, ttl_ms=MINUTE_MS),
            lambda: hand.leases.release(fence),
        )
        for attempt in attempts:
            with pytest.raises(SessionDeleted) as refused:
                await attempt()
            assert refused.value.session_id == "root"

    scenario(site, scene)


def test_edge_111_a_fence_that_differs_in_anything_is_refused(site: Site) -> None:
    async def scene() -> None:
        hand, other = await site.hand(), await site.hand("other")
        fence = got(await hand.leases.try_claim(A, ttl_ms=MINUTE_MS))
        got(await other.leases.try_claim(A, ttl_ms=MINUTE_MS))
        later = attrs.evolve(A, incarnation_id="another boot")
        for altered in (
            attrs.evolve(fence, token="wrong"),
            attrs.evolve(fence, owner=later),
            attrs.evolve(fence, generation=Generation(fence.generation + 1)),
        ):
            with pytest.raises(SessionExecutionLeaseExpired):
                await hand.leases.renew(altered, ttl_ms=MINUTE_MS)
        with pytest.raises(SessionExecutionLeaseExpired):
            await other.leases.renew(fence, ttl_ms=MINUTE_MS)
        await hand.leases.renew(fence, ttl_ms=MINUTE_MS)

    scenario(site, scene)


def test_edge_111_a_fence_is_refused_from_its_expiry_on(site: Site) -> None:
    async def scene() -> None:
        hand = await site.hand()
        fence = got(await hand.leases.try_claim(A, ttl_ms=200))
        await site.pass_ms(200)
        with pytest.raises(SessionExecutionLeaseExpired):
            await hand.leases.renew(fence, ttl_ms=MINUTE_MS)

    scenario(site, scene)
