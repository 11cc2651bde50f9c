"""
Holding a session: acquire, be sure of it, renew when silent, and know when it is lost.

Whatever the owner records extends its lease, so a renewal is written only after a renew interval
of silence. How long the lease certainly holds is reckoned on the owner's own monotonic clock, from
before the append. While it does, no clock that was set can end it: who takes it has to append, and
then ours conflict.
"""

import asyncio
from types import TracebackType
from typing import ClassVar, Self

from attrs import define, frozen
from attrs import evolve as with_changes

from lash_es.core.commands import AcquireLease, ReclaimLease, ReleaseLease, RenewLease
from lash_es.core.errors import LashError
from lash_es.core.leases import Lease
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import LeaseReceipt, leased
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.contending import Chance


@define(kw_only=True)
class LeaseTimingsInvalid(LashError):
    """The timings leave no room for a renewal; which of the rules is broken, the class says."""

    ttl_ms: int
    renew_interval_ms: int
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"lease timings: ttl {self.ttl_ms} ms must be at least 3 x the renew interval of "
            f"{self.renew_interval_ms} ms, and that at least 1 ms"
        )


class TtlTooSmall(LeaseTimingsInvalid):
    """The time to live is under a millisecond."""


class RenewIntervalTooSmall(LeaseTimingsInvalid):
    """The renew interval is under a millisecond."""


class TtlRenewRatioTooSmall(LeaseTimingsInvalid):
    """The time to live is under three renew intervals: one lost renewal could lose the lease."""


@frozen(kw_only=True)
class LeaseTimings:
    """How long a lease holds without a word from its owner, and when a silent owner speaks up."""

    ttl_ms: int = 30_000
    renew_interval_ms: int = 10_000

    def __attrs_post_init__(self) -> None:
        broken: type[LeaseTimingsInvalid] | None = None
        if self.ttl_ms < 1:
            broken = TtlTooSmall
        elif self.renew_interval_ms < 1:
            broken = RenewIntervalTooSmall
        elif self.ttl_ms < 3 * self.renew_interval_ms:
            broken = TtlRenewRatioTooSmall
        if broken is not None:
            raise broken(ttl_ms=self.ttl_ms, renew_interval_ms=self.renew_interval_ms)

    @classmethod
    def from_ttl(cls, ttl_ms: int) -> "LeaseTimings":
        """Renew at a third of the time to live."""
        return cls(ttl_ms=ttl_ms, renew_interval_ms=ttl_ms // 3)


def acquire(draft: Draft, owner: LeaseOwner, token: str, ttl_ms: int, now_ms: int) -> LeaseReceipt:
    """Ask for the lease on a draft."""
    command = AcquireLease(now_ms=now_ms, owner=owner, token=token, ttl_ms=ttl_ms)
    events = draft.do(command)
    return leased(draft.session, command, events)


def take(draft: Draft, owner: LeaseOwner, token: str, ttl_ms: int, chance: Chance) -> LeaseReceipt:
    """Ask on a draft for the lease, also if its holder was found dead."""
    dead = chance.found_dead
    if dead is None:
        return acquire(draft, owner, token, ttl_ms, chance.now_ms)
    command = ReclaimLease(
        now_ms=chance.now_ms,
        owner=owner,
        token=token,
        ttl_ms=ttl_ms,
        observed=dead.observed,
        sight=dead.sight,
    )
    events = draft.do(command)
    return leased(draft.session, command, events)


def release(draft: Draft, fence: Fence, now_ms: int) -> None:
    """Let the lease go on a draft; without effect if it is another's by now."""
    draft.do(ReleaseLease(now_ms=now_ms, fence=fence))


class LeaseGuard:
    """
    Keeps a lease while its owner is silent; ``async with`` runs the renewals in the background.
    """

    def __init__(
        self, lane: Lane, fence: Fence, timings: LeaseTimings, acquired_at_ms: int
    ) -> None:
        self._fence = fence
        self._lane = lane
        self._timings = timings
        self._spoke_at_ms = acquired_at_ms
        self._heard_at_ms = lane.world.monotonic_ms()
        self._kept_time_at_ms = acquired_at_ms
        self._lost = asyncio.Event()
        self._renewals: asyncio.Task[None] | None = None

    def spoke(self, at_ms: int) -> None:
        """
        Note that the owner recorded something; ``at_ms`` is the monotonic time from before the
        append.
        """
        self._spoke_at_ms = max(self._spoke_at_ms, at_ms)
        self._heard_at_ms = self._lane.world.monotonic_ms()

    @property
    def fence(self) -> Fence:
        """What to show now."""
        return with_changes(self._fence, is_certain=self.is_certain)

    def now_ms(self, lease: Lease) -> int:
        """
        Tell the time of what is recorded under the lease: the log's, and while the lease is
        certain never less than has passed since its last fact, or a clock that was set back could
        hide from others how long the owner was there.
        """
        now_ms = self._lane.log.now_ms()
        if lease.holder is None or not self.is_certain:
            return now_ms
        extended_at_ms = lease.holder.expires_at_ms - lease.holder.ttl_ms
        return max(now_ms, extended_at_ms + self._lane.world.monotonic_ms() - self._heard_at_ms)

    @property
    def is_certain(self) -> bool:
        """Tell whether the lease is ours beyond doubt: effects may be started only then."""
        if self._lost.is_set():
            return False
        return self._lane.world.monotonic_ms() < self._spoke_at_ms + self._timings.ttl_ms

    async def wait_lost(self) -> None:
        """Wait until the lease is known to be lost."""
        await self._lost.wait()

    async def __aenter__(self) -> Self:
        self._renewals = asyncio.create_task(self._renew_when_silent())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._renewals is not None:
            self._renewals.cancel()
            # Not `await`: that would also swallow the cancellation of whoever waits here.
            await asyncio.wait({self._renewals})

    async def _renew_when_silent(self) -> None:
        world = self._lane.world
        while True:
            now_ms = world.monotonic_ms()
            quiet_since_ms = min(self._spoke_at_ms, self._kept_time_at_ms)
            due_ms = quiet_since_ms + self._timings.renew_interval_ms - now_ms
            if due_ms > 0:
                await world.sleep_ms(due_ms)
                continue
            try:
                await self._speak_up(now_ms)
            except LashError:
                self._lost.set()  # Whatever the reason, an owner that cannot renew must not go on.
                return

    async def _speak_up(self, now_ms: int) -> None:
        """Do what is due: keep the log's time, and renew."""
        if self._kept_time_at_ms + self._timings.renew_interval_ms <= now_ms:
            await self._lane.log.keep_time()
            self._kept_time_at_ms = now_ms
        if self._spoke_at_ms + self._timings.renew_interval_ms <= now_ms:
            await self._lane.transact(self._renew)
            self.spoke(now_ms)

    def _renew(self, draft: Draft) -> None:
        now_ms = self.now_ms(draft.session.lease)
        draft.do(RenewLease(now_ms=now_ms, fence=self.fence, ttl_ms=self._timings.ttl_ms))
