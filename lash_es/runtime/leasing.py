"""
Holding a session: acquire, be sure of it, renew when silent, and know when it is lost.

Whatever the owner records extends its lease, so a renewal is written only after a renew interval
of silence. How long the lease certainly holds is reckoned on the owner's own monotonic clock, from
before the append.
"""

import asyncio
from types import TracebackType
from typing import ClassVar, Self

from attrs import define, frozen

from lash_es.core.commands import AcquireLease, ReleaseLease, RenewLease
from lash_es.core.errors import LashError
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import LeaseReceipt, leased
from lash_es.runtime.committing import Draft, Lane


@define(kw_only=True)
class LeaseTimingsInvalid(LashError):
    """The timings leave no room for a renewal."""

    ttl_ms: int
    renew_interval_ms: int
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"lease timings: ttl {self.ttl_ms} ms must be at least 3 x the renew interval of "
            f"{self.renew_interval_ms} ms, and that at least 1 ms"
        )


@frozen(kw_only=True)
class LeaseTimings:
    """How long a lease holds without a word from its owner, and when a silent owner speaks up."""

    ttl_ms: int = 30_000
    renew_interval_ms: int = 10_000

    def __attrs_post_init__(self) -> None:
        if self.renew_interval_ms < 1 or self.ttl_ms < 3 * self.renew_interval_ms:
            raise LeaseTimingsInvalid(ttl_ms=self.ttl_ms, renew_interval_ms=self.renew_interval_ms)

    @classmethod
    def from_ttl(cls, ttl_ms: int) -> "LeaseTimings":
        """Renew at a third of the time to live."""
        return cls(ttl_ms=ttl_ms, renew_interval_ms=ttl_ms // 3)


def acquire(draft: Draft, owner: LeaseOwner, token: str, ttl_ms: int, now_ms: int) -> LeaseReceipt:
    """Ask for the lease on a draft."""
    command = AcquireLease(now_ms=now_ms, owner=owner, token=token, ttl_ms=ttl_ms)
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
        self.fence = fence
        self._lane = lane
        self._timings = timings
        self._spoke_at_ms = acquired_at_ms
        self._lost = asyncio.Event()
        self._renewals: asyncio.Task[None] | None = None

    def spoke(self, at_ms: int) -> None:
        """
        Note that the owner recorded something; ``at_ms`` is the monotonic time from before the
        append.
        """
        self._spoke_at_ms = max(self._spoke_at_ms, at_ms)

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
            due_ms = self._spoke_at_ms + self._timings.renew_interval_ms - world.monotonic_ms()
            if due_ms > 0:
                await world.sleep_ms(due_ms)
                continue
            now_ms = world.monotonic_ms()
            try:
                await self._lane.execute(self._renewal())
            except LashError:
                self._lost.set()  # Whatever the reason, an owner that cannot renew must not go on.
                return
            self.spoke(now_ms)

    def _renewal(self) -> RenewLease:
        return RenewLease(
            now_ms=self._lane.log.now_ms(), fence=self.fence, ttl_ms=self._timings.ttl_ms
        )
