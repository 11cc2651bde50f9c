"""
Slice: the session lease. Who may drive, since when, until when; the fencing number never falls.

A holder is live while ``expires_at_ms > now``, strictly. Whatever an owner writes extends its
lease, so a renewal is a fact only of an owner that was silent. Nobody else's fact ends it, in
whatever time that is recorded.
"""

from attrs import frozen

from lash_es.core.errors import impossible
from lash_es.core.events import LeaseAcquired, LeaseReleased, LeaseRenewed
from lash_es.core.ids import Generation, Position
from lash_es.core.makers import maker
from lash_es.core.owners import Fence, LeaseOwner


@frozen(kw_only=True)
class Holder:
    """
    Who holds the lease.

    ``token`` proves it together with the owner's incarnation and the generation.
    """

    owner: LeaseOwner
    token: str
    ttl_ms: int
    claimed_at_ms: int
    expires_at_ms: int


@frozen(kw_only=True)
class Lease:
    """The lease of a session; ``generation`` is that of the last holder, 0 before the first."""

    generation: Generation
    holder: Holder | None
    position: Position | None
    """Where the last fact of the lease itself is: what a release or renewal follows from."""


_holder = maker(Holder)
_lease = maker(Lease)

UNHELD = Lease(generation=Generation(0), holder=None, position=None)


def live_holder(lease: Lease, now_ms: int) -> Holder | None:
    """Return the holder whose time has not run out."""
    holder = lease.holder
    return holder if holder is not None and holder.expires_at_ms > now_ms else None


def mismatch(lease: Lease, fence: Fence, now_ms: int) -> str | None:
    """Say why the fence does not hold the lease, or nothing if it does."""
    holder = lease.holder
    if holder is None:
        return "the lease is free"
    if fence.generation != lease.generation:
        return "superseded"
    if not is_observed(lease, fence):
        return "held by another owner"
    is_over = holder.expires_at_ms <= now_ms and not fence.is_certain
    return "expired" if is_over else None


def is_observed(lease: Lease, observed: Fence) -> bool:
    """Tell whether the holder is still the very one that was observed."""
    holder = lease.holder
    return (
        holder is not None
        and observed.generation == lease.generation
        and observed.token == holder.token
        and observed.owner.is_incarnation_of(holder.owner)
    )


def acquired(lease: Lease, event: LeaseAcquired, position: Position) -> Lease:
    """A new holder, with the next generation."""
    if event.generation != lease.generation + 1:
        raise impossible(event, found=event.generation, expected=lease.generation + 1)
    holder = _holder(
        owner=event.owner,
        token=event.token,
        ttl_ms=event.ttl_ms,
        claimed_at_ms=event.at_ms,
        expires_at_ms=event.at_ms + event.ttl_ms,
    )
    return _lease(generation=event.generation, holder=holder, position=position)


def renewed(lease: Lease, event: LeaseRenewed, position: Position) -> Lease:
    """The same holder, for another ``ttl_ms`` from now."""
    holder = _holder_of(lease, event)
    longer = _holder(
        owner=holder.owner,
        token=holder.token,
        ttl_ms=event.ttl_ms,
        claimed_at_ms=holder.claimed_at_ms,
        expires_at_ms=max(holder.expires_at_ms, event.at_ms + event.ttl_ms),
    )
    return _lease(generation=lease.generation, holder=longer, position=position)


def extended(lease: Lease, at_ms: int) -> Lease:
    """The same holder wrote something else: its time runs from there."""
    holder = lease.holder
    if holder is None or at_ms + holder.ttl_ms <= holder.expires_at_ms:
        return lease
    longer = _holder(
        owner=holder.owner,
        token=holder.token,
        ttl_ms=holder.ttl_ms,
        claimed_at_ms=holder.claimed_at_ms,
        expires_at_ms=at_ms + holder.ttl_ms,
    )
    return _lease(generation=lease.generation, holder=longer, position=lease.position)


def released(lease: Lease, event: LeaseReleased, position: Position) -> Lease:
    """Nobody holds it; the generation stays, so that the next one is higher."""
    _holder_of(lease, event)
    return _lease(generation=lease.generation, holder=None, position=position)


def _holder_of(lease: Lease, event: LeaseRenewed | LeaseReleased) -> Holder:
    if lease.holder is None or event.generation != lease.generation:
        raise impossible(event, found=f"generation {lease.generation}", expected=event.generation)
    return lease.holder
