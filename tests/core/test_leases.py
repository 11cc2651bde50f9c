"""Slice: the session lease. One owner at a time, fenced by a generation that never falls."""

import attrs
import pytest

from lash_es.core.commands import AcquireLease, ReclaimLease, ReleaseLease, RenewLease
from lash_es.core.errors import (
    BlankValue,
    ImpossibleEvent,
    LimitExceeded,
    SessionExecutionLeaseExpired,
)
from lash_es.core.events import LeaseAcquired, LeaseReleased, LeaseRenewed
from lash_es.core.evolve import evolve, fold
from lash_es.core.ids import Generation, Position
from lash_es.core.leases import UNHELD, Holder, Lease, extended, live_holder, mismatch
from lash_es.core.limits import Limits
from lash_es.core.owners import (
    Fence,
    LeaseOwner,
    LocalProcess,
    Opaque,
    ProcessGone,
    ProcessRunning,
    ProcessSight,
    ProcessUnseen,
    is_certainly_dead,
)
from lash_es.core.state import Open, State
from lash_es.verify.spec import given
from tests.core.examples import (
    ALICE,
    BOB,
    BOBS_FENCE,
    FENCE,
    I1,
    IDLE,
    LATER_MS,
    LEASED,
    TTL_MS,
    acquired,
    claimed,
    enqueued,
    started,
)

RENEWED = LeaseRenewed(at_ms=100, generation=Generation(1), ttl_ms=TTL_MS)
RELEASED = LeaseReleased(at_ms=100, generation=Generation(1))
EXPIRES_AT_MS = 30 + TTL_MS


def acquire(owner: LeaseOwner, now_ms: int, token: str = "bob-token") -> AcquireLease:
    return AcquireLease(now_ms=now_ms, owner=owner, token=token, ttl_ms=TTL_MS)


def renew(fence: Fence, now_ms: int = 100) -> RenewLease:
    return RenewLease(now_ms=now_ms, fence=fence, ttl_ms=TTL_MS)


def release(fence: Fence, now_ms: int = 100) -> ReleaseLease:
    return ReleaseLease(now_ms=now_ms, fence=fence)


PROCESS = LocalProcess(host_id="h", boot_id="b", pid=1, process_start=10)
CLAIMANT = LocalProcess(host_id="h", boot_id="b", pid=2, process_start=20)
LOCAL_BOB = attrs.evolve(BOB, liveness=CLAIMANT)
OTHER_HOST = attrs.evolve(CLAIMANT, host_id="other")
OTHER_BOOT = attrs.evolve(CLAIMANT, boot_id="other")
LOCAL_LEASE = attrs.evolve(acquired(), owner=attrs.evolve(ALICE, liveness=PROCESS))
HELD_BY_A_PROCESS = (*IDLE, LOCAL_LEASE)


def reclaim(
    owner: LeaseOwner = LOCAL_BOB,
    *,
    observed: Fence = FENCE,
    sight: ProcessSight = ProcessGone(),  # noqa: B008 - a value
    now_ms: int = 100,
) -> ReclaimLease:
    return ReclaimLease(
        now_ms=now_ms,
        owner=owner,
        token="bob-token",
        ttl_ms=TTL_MS,
        observed=observed,
        sight=sight,
    )


def lease_of(state: State) -> Lease:
    assert isinstance(state, Open)
    return state.lease


def expired(presented: int, current: int, reason: str) -> SessionExecutionLeaseExpired:
    return SessionExecutionLeaseExpired(
        session_id="s1",
        presented_generation=Generation(presented),
        current_generation=Generation(current),
        reason=reason,
    )


def test_a_free_lease_is_taken_under_generation_one() -> None:
    decision = given(*IDLE).when(acquire(ALICE, 30, token="alice-token")).then(acquired())

    assert lease_of(decision.state) == Lease(
        generation=Generation(1),
        holder=Holder(
            owner=ALICE,
            token="alice-token",
            ttl_ms=TTL_MS,
            claimed_at_ms=30,
            expires_at_ms=EXPIRES_AT_MS,
        ),
        position=Position(1),
    )


def test_a_live_lease_of_another_is_left_alone() -> None:
    given(*LEASED).when(acquire(BOB, EXPIRES_AT_MS - 1)).nothing_happened()


def test_a_lease_is_over_at_the_very_moment_it_expires() -> None:
    given(*LEASED).when(acquire(BOB, EXPIRES_AT_MS)).then(
        acquired(BOBS_FENCE, at_ms=EXPIRES_AT_MS)
    )


def test_what_another_clock_said_since_ends_no_lease() -> None:
    ahead = attrs.evolve(enqueued(I1, 1), at_ms=EXPIRES_AT_MS + 1)
    given(*LEASED, ahead).when(acquire(BOB, EXPIRES_AT_MS - 1)).nothing_happened()
    given(*LEASED, ahead).when(acquire(BOB, EXPIRES_AT_MS)).then(
        acquired(BOBS_FENCE, at_ms=EXPIRES_AT_MS + 1)
    )


def test_while_the_owner_is_certain_no_other_clock_can_say_that_its_lease_is_over() -> None:
    certain = attrs.evolve(FENCE, is_certain=True)
    given(*LEASED).when(renew(certain, LATER_MS)).then(attrs.evolve(RENEWED, at_ms=LATER_MS))
    given(*LEASED).when(renew(FENCE, LATER_MS)).refused(expired(1, 1, "expired"))


def test_however_certain_who_was_superseded_is_refused() -> None:
    certain = attrs.evolve(FENCE, is_certain=True)
    taken = (*LEASED, acquired(BOBS_FENCE, at_ms=EXPIRES_AT_MS))
    given(*taken).when(renew(certain, EXPIRES_AT_MS)).refused(expired(1, 2, "superseded"))


def test_a_lease_of_no_duration_is_free_at_once() -> None:
    given(*IDLE, acquired(ttl_ms=0)).when(acquire(BOB, 30)).then(acquired(BOBS_FENCE, at_ms=30))


def test_my_own_live_lease_is_extended_with_its_token_and_generation() -> None:
    decision = given(*LEASED).when(acquire(ALICE, 100, token="unused")).then(RENEWED)

    holder = lease_of(decision.state).holder
    assert holder is not None
    assert (holder.token, holder.claimed_at_ms) == ("alice-token", 30)
    assert holder.expires_at_ms == 100 + TTL_MS


def test_liveness_does_not_make_another_owner() -> None:
    process = LocalProcess(host_id="h", boot_id="b", pid=1, process_start=2)

    given(*LEASED).when(acquire(attrs.evolve(ALICE, liveness=process), 100)).then(RENEWED)


def test_another_incarnation_is_another_owner() -> None:
    reborn = attrs.evolve(ALICE, incarnation_id="boot-2")

    given(*LEASED).when(acquire(reborn, 100)).nothing_happened()


def test_my_own_expired_lease_is_taken_anew_under_the_next_generation() -> None:
    given(*LEASED).when(acquire(ALICE, LATER_MS, token="new-token")).then(
        LeaseAcquired(
            at_ms=LATER_MS,
            generation=Generation(2),
            owner=ALICE,
            token="new-token",
            ttl_ms=TTL_MS,
        )
    )


def test_the_generation_outlives_a_release() -> None:
    given(*LEASED, RELEASED).when(acquire(BOB, 200)).then(acquired(BOBS_FENCE, at_ms=200))


@pytest.mark.parametrize(
    "nobody",
    [
        LeaseOwner(owner_id=" ", incarnation_id="boot-1"),
        LeaseOwner(owner_id="alice", incarnation_id=" "),
    ],
    ids=repr,
)
def test_an_owner_has_a_name_and_an_incarnation(nobody: LeaseOwner) -> None:
    given(*IDLE).when(acquire(nobody, 30)).refused(BlankValue(field="owner_id"))


def test_an_owners_name_is_bounded() -> None:
    too_long = LimitExceeded(limit="owner_id_chars_max", found=6, allowed=5)

    given(*IDLE, limits=Limits(owner_id_chars_max=5)).when(
        acquire(attrs.evolve(ALICE, incarnation_id="boot-1"), 30)
    ).refused(too_long)


def test_the_lease_of_a_dead_process_is_reclaimed_before_its_time_is_out() -> None:
    given(*HELD_BY_A_PROCESS).when(reclaim()).then(
        attrs.evolve(acquired(BOBS_FENCE, at_ms=100), owner=LOCAL_BOB)
    )


def test_a_plain_claim_never_takes_the_lease_of_a_dead_process() -> None:
    given(*HELD_BY_A_PROCESS).when(acquire(LOCAL_BOB, 100)).nothing_happened()


def test_a_lease_that_is_free_or_run_out_is_reclaimed_whoever_was_observed() -> None:
    nobody = attrs.evolve(FENCE, token="nobody")
    alive = ProcessRunning(10)
    given(*IDLE).when(reclaim(BOB, observed=nobody, sight=alive)).then(
        attrs.evolve(acquired(BOBS_FENCE, at_ms=100), generation=Generation(1))
    )
    given(*HELD_BY_A_PROCESS).when(
        reclaim(BOB, observed=nobody, sight=alive, now_ms=EXPIRES_AT_MS)
    ).then(acquired(BOBS_FENCE, at_ms=EXPIRES_AT_MS))


@pytest.mark.parametrize(
    "observed",
    [
        attrs.evolve(FENCE, token="older"),
        attrs.evolve(FENCE, generation=Generation(0)),
        attrs.evolve(FENCE, owner=attrs.evolve(ALICE, incarnation_id="boot-0")),
    ],
    ids=["token", "generation", "incarnation"],
)
def test_who_was_observed_dead_says_nothing_of_who_holds_the_lease_now(observed: Fence) -> None:
    given(*HELD_BY_A_PROCESS).when(reclaim(observed=observed)).nothing_happened()


def test_nobody_reclaims_a_lease_from_a_holder_that_may_be_alive() -> None:
    given(*HELD_BY_A_PROCESS).when(reclaim(sight=ProcessUnseen())).nothing_happened()
    given(*LEASED).when(reclaim()).nothing_happened()


def test_who_reclaims_has_a_name() -> None:
    nobody = attrs.evolve(LOCAL_BOB, owner_id="")
    given(*HELD_BY_A_PROCESS).when(reclaim(nobody)).refused(BlankValue(field="owner_id"))


@pytest.mark.parametrize(
    ("claimant", "holder", "sight", "is_dead"),
    [
        (CLAIMANT, PROCESS, ProcessGone(), True),
        (CLAIMANT, PROCESS, ProcessRunning(11), True),  # Its pid is another process's by now.
        (CLAIMANT, PROCESS, ProcessRunning(10), False),
        (CLAIMANT, PROCESS, ProcessUnseen(), False),
        (OTHER_HOST, PROCESS, ProcessGone(), False),
        (OTHER_BOOT, PROCESS, ProcessGone(), False),
        (Opaque(), PROCESS, ProcessGone(), False),
        (CLAIMANT, Opaque(), ProcessGone(), False),
    ],
    ids=repr,
)
def test_a_process_is_dead_only_if_the_same_boot_of_the_same_host_says_so(
    claimant: LocalProcess | Opaque,
    holder: LocalProcess | Opaque,
    sight: ProcessSight,
    is_dead: bool,
) -> None:
    assert is_certainly_dead(claimant, holder, sight) is is_dead


def test_the_holder_renews() -> None:
    decision = given(*LEASED).when(renew(FENCE)).then(RENEWED)

    assert lease_of(decision.state).position == 2
    assert isinstance(decision.state, Open)
    assert decision.state.at_ms == 100


def test_a_renewal_never_shortens_a_lease() -> None:
    shorter = LeaseRenewed(at_ms=100, generation=Generation(1), ttl_ms=1)

    assert lease_of(given(*LEASED, shorter).state).holder == Holder(
        owner=ALICE,
        token="alice-token",
        ttl_ms=1,
        claimed_at_ms=30,
        expires_at_ms=EXPIRES_AT_MS,
    )


def test_an_expired_holder_does_not_renew() -> None:
    given(*LEASED).when(renew(FENCE, EXPIRES_AT_MS)).refused(expired(1, 1, "expired"))


def test_nobody_renews_a_free_lease() -> None:
    given(*IDLE).when(renew(FENCE)).refused(expired(1, 0, "the lease is free"))


def test_a_superseded_fence_does_not_renew() -> None:
    taken_over = (*LEASED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*taken_over).when(renew(FENCE, LATER_MS)).refused(expired(1, 2, "superseded"))


def test_a_fence_is_told_by_its_token_too() -> None:
    forged = attrs.evolve(FENCE, token="guessed")

    given(*LEASED).when(renew(forged)).refused(expired(1, 1, "held by another owner"))


def test_a_fence_is_told_by_its_owner_too() -> None:
    forged = attrs.evolve(FENCE, owner=BOB)

    given(*LEASED).when(renew(forged)).refused(expired(1, 1, "held by another owner"))


def test_the_holder_lets_go() -> None:
    decision = given(*LEASED).when(release(FENCE)).then(RELEASED)

    assert lease_of(decision.state) == Lease(
        generation=Generation(1), holder=None, position=Position(2)
    )


def test_an_expired_lease_of_my_own_is_let_go() -> None:
    given(*LEASED).when(release(FENCE, LATER_MS)).then(
        LeaseReleased(at_ms=LATER_MS, generation=Generation(1))
    )


def test_a_stale_release_never_clears_another_owners_lease() -> None:
    taken_over = (*LEASED, acquired(BOBS_FENCE, at_ms=LATER_MS))

    given(*taken_over).when(release(FENCE, LATER_MS)).nothing_happened()


def test_releasing_twice_is_releasing_once() -> None:
    given(*LEASED, RELEASED).when(release(FENCE)).nothing_happened()


def test_whatever_the_owner_writes_extends_its_lease() -> None:
    state = given(*LEASED, started(at_ms=5_000)).state

    assert lease_of(state).holder == Holder(
        owner=ALICE,
        token="alice-token",
        ttl_ms=TTL_MS,
        claimed_at_ms=30,
        expires_at_ms=5_000 + TTL_MS,
    )


def test_writing_is_no_fact_of_the_lease() -> None:
    assert lease_of(given(*LEASED, started(at_ms=5_000)).state).position == 1


def test_what_others_write_does_not_extend_a_lease() -> None:
    assert lease_of(given(*LEASED, enqueued(I1, 1, at_ms=5_000)).state) == lease_of(fold(LEASED))


def test_a_lease_that_lasts_longer_is_not_cut_by_writing() -> None:
    lease = lease_of(fold(LEASED))

    assert extended(lease, 30) is lease


def test_a_free_lease_is_not_extended() -> None:
    assert extended(UNHELD, 30) is UNHELD


def test_a_holder_is_live_strictly_before_its_time_is_out() -> None:
    lease = lease_of(fold(LEASED))

    assert live_holder(lease, EXPIRES_AT_MS - 1) == lease.holder
    assert live_holder(lease, EXPIRES_AT_MS) is None
    assert live_holder(UNHELD, 0) is None


def test_the_live_fence_has_nothing_against_it() -> None:
    assert mismatch(lease_of(fold(LEASED)), FENCE, EXPIRES_AT_MS - 1) is None


@pytest.mark.parametrize("generation", [1, 3])
def test_generations_follow_one_another_without_a_gap(generation: int) -> None:
    wrong = attrs.evolve(acquired(BOBS_FENCE), generation=Generation(generation))

    with pytest.raises(ImpossibleEvent, match="expected 2"):
        evolve(fold(LEASED), wrong)


@pytest.mark.parametrize("event", [RENEWED, RELEASED], ids=["renewed", "released"])
def test_a_free_lease_is_neither_renewed_nor_released(
    event: LeaseRenewed | LeaseReleased,
) -> None:
    with pytest.raises(ImpossibleEvent, match="found generation 0, expected 1"):
        evolve(fold(IDLE), event)


@pytest.mark.parametrize("event", [RENEWED, RELEASED], ids=["renewed", "released"])
def test_a_lease_is_neither_renewed_nor_released_by_another_generation(
    event: LeaseRenewed | LeaseReleased,
) -> None:
    taken_over = fold((*LEASED, acquired(BOBS_FENCE, at_ms=LATER_MS)))

    with pytest.raises(ImpossibleEvent, match="found generation 2, expected 1"):
        evolve(taken_over, event)


def test_no_owner_writes_without_holding_the_lease() -> None:
    with pytest.raises(ImpossibleEvent, match="found 1, expected 0"):
        evolve(fold(IDLE), started())


def test_no_owner_writes_after_letting_go() -> None:
    with pytest.raises(ImpossibleEvent, match="TurnStarted"):
        evolve(fold((*LEASED, RELEASED)), started())


def test_no_owner_writes_under_a_superseded_generation() -> None:
    history = (*LEASED, enqueued(I1, 1), acquired(BOBS_FENCE, at_ms=LATER_MS))

    with pytest.raises(ImpossibleEvent, match="found 1, expected 2"):
        evolve(fold(history), claimed(I1))
