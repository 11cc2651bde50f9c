"""
The lease of a session by hand: for hosts that decide themselves who drives.

Turns take and give back the lease by themselves (``runtime/running.py``); whoever only runs turns
needs none of this.
"""

from lash_es.core.commands import AcquireLease, ReclaimLease, ReleaseLease, RenewLease
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import LeaseReceipt, leased
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.liveness import sight_of


class SessionLeases:
    """Takes, extends and gives back the lease of one session; the time is the log's."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def try_claim(self, owner: LeaseOwner, *, ttl_ms: int) -> LeaseReceipt:
        """
        Take the lease if it is free or run out, extend it if it is this owner's.

        Returns:
            ``Busy`` with the holder if it is another's.
        """
        token = self._lane.world.token()
        return await self._asked(
            AcquireLease(now_ms=self._now_ms, owner=owner, token=token, ttl_ms=ttl_ms)
        )

    async def reclaim(self, owner: LeaseOwner, *, observed: Fence, ttl_ms: int) -> LeaseReceipt:
        """
        As ``try_claim`` of a lease that is free or run out; besides, take that of the observed
        holder if its process is dead, as far as this machine can tell.

        Returns:
            ``Busy`` with the holder if it may be alive, or is no longer the one observed.
        """
        return await self._asked(
            ReclaimLease(
                now_ms=self._now_ms,
                owner=owner,
                token=self._lane.world.token(),
                ttl_ms=ttl_ms,
                observed=observed,
                sight=sight_of(observed.owner),
            )
        )

    async def renew(self, fence: Fence, *, ttl_ms: int) -> None:
        """
        Let the lease last ``ttl_ms`` from now.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease.
        """
        await self._lane.execute(RenewLease(now_ms=self._now_ms, fence=fence, ttl_ms=ttl_ms))

    async def release(self, fence: Fence) -> None:
        """Let the lease go; nothing happens if it is another's by now."""
        await self._lane.execute(ReleaseLease(now_ms=self._now_ms, fence=fence))

    async def _asked(self, command: AcquireLease | ReclaimLease) -> LeaseReceipt:
        def step(draft: Draft) -> LeaseReceipt:
            events = draft.do(command)
            return leased(draft.session, command, events)

        return await self._lane.transact(step)

    @property
    def _now_ms(self) -> int:
        return self._lane.log.now_ms()
