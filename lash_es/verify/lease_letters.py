"""Letters of the lease: who may ask for it, and who says that it is his."""

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve as with_changes

from lash_es.core.commands import AcquireLease, ReclaimLease, ReleaseLease, RenewLease
from lash_es.core.owners import (
    Fence,
    LocalProcess,
    ProcessGone,
    ProcessRunning,
    ProcessSight,
    ProcessUnseen,
)
from lash_es.verify.bounds import STALE, TTL_MS, Bounds, believers, fences, observed
from lash_es.verify.worlds import Ask, Move, World, holder_of, living

FORGED: Final = "forged"


def acquires(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each asks for the lease."""
    del bounds
    token = f"token{world.version}"
    for actor in world.actors:
        yield Ask(AcquireLease(now_ms=world.now_ms, owner=actor.owner, token=token, ttl_ms=TTL_MS))


def reclaims(world: World, bounds: Bounds) -> Iterable[Move]:
    """Each looks for the process of the holder, or of one that it saw before."""
    del bounds
    token = f"token{world.version}"
    for actor in world.actors:
        for seen, sight in (*_sights(world), (STALE, ProcessGone())):
            yield Ask(
                ReclaimLease(
                    now_ms=world.now_ms,
                    owner=actor.owner,
                    token=token,
                    ttl_ms=TTL_MS,
                    observed=seen,
                    sight=sight,
                )
            )


def _sights(world: World) -> Iterator[tuple[Fence, ProcessSight]]:
    """List what can be found in the place of the holder's process: the truth, or nothing."""
    holder = holder_of(world)
    if holder is None:
        return
    fence = observed(world)
    yield fence, ProcessUnseen()
    process = holder.owner.liveness
    assert isinstance(process, LocalProcess)
    if living(world, holder) is not None:
        yield fence, ProcessRunning(process.process_start)
    else:
        yield fence, ProcessGone()
        yield fence, ProcessRunning(process.process_start + 1)


def renews(world: World, bounds: Bounds) -> Iterable[Move]:
    """
    The holder says that it is still there, also one that is certain of it against the clock; so
    does one that was followed, and one whose token is wrong.
    """
    del bounds
    forged = (with_changes(fence, token=FORGED) for fence in believers(world))
    certain = (with_changes(fence, is_certain=True) for fence in believers(world))
    for fence in (*fences(world), *forged, *certain):
        yield Ask(RenewLease(now_ms=world.now_ms, fence=fence, ttl_ms=TTL_MS))


def releases(world: World, bounds: Bounds) -> Iterable[Move]:
    """The holder lets it go, and so does one that was followed."""
    del bounds
    for fence in fences(world):
        yield Ask(ReleaseLease(now_ms=world.now_ms, fence=fence))
