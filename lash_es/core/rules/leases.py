"""Rules of the session lease: who may take it, and who may act under it."""

from lash_es.core import leases
from lash_es.core.commands import (
    AcquireLease,
    OwnerCommand,
    ReclaimLease,
    ReleaseLease,
    RenewLease,
)
from lash_es.core.errors import SessionExecutionLeaseExpired
from lash_es.core.events import Event, LeaseAcquired, LeaseReleased, LeaseRenewed
from lash_es.core.ids import Generation
from lash_es.core.limits import Limits
from lash_es.core.owners import is_certainly_dead
from lash_es.core.rules.bounds import require_name
from lash_es.core.state import Open


def fenced(session: Open, command: OwnerCommand, now_ms: int) -> int:
    """Return the time at which the owner acts, or refuse: its fence must be the live lease."""
    reason = leases.mismatch(session.lease, command.fence, now_ms)
    if reason is not None:
        raise SessionExecutionLeaseExpired(
            session_id=session.session_id,
            presented_generation=command.fence.generation,
            current_generation=session.lease.generation,
            reason=reason,
        )
    return now_ms


def acquire(
    session: Open, command: AcquireLease, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """
    Take what is free or run out, extend what is mine; another's is left alone.

    Whether it has run out is judged by the command's own time: a fact of somebody whose clock is
    ahead may have moved that of the stream.
    """
    _require_owner(command, limits)
    lease = session.lease
    holder = leases.live_holder(lease, command.now_ms)
    if holder is None:
        return _taken(session, command, now_ms)
    if not holder.owner.is_incarnation_of(command.owner):
        return ()
    return (LeaseRenewed(at_ms=now_ms, generation=lease.generation, ttl_ms=command.ttl_ms),)


def reclaim(
    session: Open, command: ReclaimLease, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """
    Take what is free or run out, or what a dead process holds; else it is left alone.

    The holder must be the one that was found dead: one that came since may be alive.
    """
    _require_owner(command, limits)
    holder = leases.live_holder(session.lease, command.now_ms)
    if holder is None:
        return _taken(session, command, now_ms)
    is_dead = leases.is_observed(session.lease, command.observed) and is_certainly_dead(
        command.owner.liveness, holder.owner.liveness, command.sight
    )
    return _taken(session, command, now_ms) if is_dead else ()


def _require_owner(command: AcquireLease | ReclaimLease, limits: Limits) -> None:
    require_name("owner_id", command.owner.owner_id, limits.owner_id_chars_max)
    require_name("owner_id", command.owner.incarnation_id, limits.owner_id_chars_max)


def _taken(session: Open, command: AcquireLease | ReclaimLease, now_ms: int) -> tuple[Event, ...]:
    acquired = LeaseAcquired(
        at_ms=now_ms,
        generation=Generation(session.lease.generation + 1),
        owner=command.owner,
        token=command.token,
        ttl_ms=command.ttl_ms,
    )
    return (acquired,)


def renew(session: Open, command: RenewLease, now_ms: int) -> tuple[Event, ...]:
    """Only its owner comes here, and only while the lease is live."""
    generation = session.lease.generation
    return (LeaseRenewed(at_ms=now_ms, generation=generation, ttl_ms=command.ttl_ms),)


def release(session: Open, command: ReleaseLease, now_ms: int) -> tuple[Event, ...]:
    """
    A stale release is a silent no-op: it never clears another's lease.

    An expired own one is cleared.
    """
    reason = leases.mismatch(session.lease, command.fence, now_ms)
    if reason is not None and reason != "expired":
        return ()
    return (LeaseReleased(at_ms=now_ms, generation=session.lease.generation),)
