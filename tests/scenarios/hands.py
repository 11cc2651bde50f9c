"""
Whoever holds a store in its hands: a session as two processes would share it, without a runtime.

A ``Site`` is where the scenarios happen. Time passes when a scenario says so: by a clock that is
set where the store has no time of its own, by waiting where it has (PostgreSQL).
"""

import asyncio
from typing import Final, Protocol

from attrs import Factory, define

from lash_es.codec.streams import StreamId
from lash_es.core.commands import OpenSession
from lash_es.core.ids import SessionId
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.owners import Fence, LeaseOwner, LocalProcess
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.receipts import Acquired, Busy, LeaseReceipt
from lash_es.core.state import Open
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.runtime.committing import Lane
from lash_es.runtime.world import World
from lash_es.session.session_leases import SessionLeases

ROOT: Final = "root"
POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))


def owner(name: str, process: LocalProcess | None = None) -> LeaseOwner:
    """Name an owner; of one that is no process nothing is known."""
    incarnation = f"{name}:incarnation"
    if process is None:
        return LeaseOwner(owner_id=name, incarnation_id=incarnation)
    return LeaseOwner(owner_id=name, incarnation_id=incarnation, liveness=process)


def got(receipt: LeaseReceipt) -> Fence:
    """Return the fence of a lease that was taken."""
    assert isinstance(receipt, Acquired)
    return receipt.fence


def busy(receipt: LeaseReceipt) -> LeaseOwner:
    """Return who holds a lease that was not taken."""
    assert isinstance(receipt, Busy)
    return receipt.holder.owner


class Hand:
    """One process's hold on a session: a lane of its own, on connections of its own."""

    def __init__(self, log: StoreLog, session_id: str, limits: Limits) -> None:
        stream = StreamId("default", SessionId(session_id))
        self.lane = Lane(log, stream, World(), limits)
        self.leases = SessionLeases(self.lane)

    async def opened(self) -> "Hand":
        """Create the session if it is not there."""
        await self.lane.catch_up()
        await self.lane.execute(
            OpenSession(now_ms=self.now_ms, session_id=self.lane.stream.session_id, policy=POLICY)
        )
        return self

    @property
    def now_ms(self) -> int:
        return self.lane.log.now_ms()

    async def state(self) -> Open:
        state = await self.lane.catch_up()
        assert isinstance(state, Open)
        return state

    async def expires_at_ms(self) -> int:
        """Tell until when the lease holds."""
        holder = (await self.state()).lease.holder
        assert holder is not None
        return holder.expires_at_ms


class Place(Protocol):
    """Somewhere that several processes can open the same sessions."""

    def store(self) -> Store:
        """Open it once more."""
        ...


@define
class Site:
    """A place where sessions are kept, and its time."""

    place: Place
    has_own_time: bool = False
    _now_ms: int = 1_000
    _logs: list[StoreLog] = Factory(list)

    async def hand(self, session_id: str = ROOT, *, limits: Limits = DEFAULT_LIMITS) -> Hand:
        """Take hold of a session, as a process of its own would."""
        log = StoreLog(self.place.store(), lambda: self._now_ms)
        self._logs.append(log)
        return await Hand(log, session_id, limits).opened()

    async def pass_ms(self, duration_ms: int) -> None:
        """Let time pass, on the clock that tells the time of commands."""
        self._now_ms += duration_ms
        if self.has_own_time:
            await asyncio.sleep(duration_ms / 1_000)

    async def aclose(self) -> None:
        """Let go of every store that was opened."""
        for log in self._logs:
            await log.aclose()
