"""
Whoever holds a store in its hands: a session as two processes would share it, without a runtime.

A ``Site`` is where the scenarios happen. Time passes when a scenario says so: by a clock that is
set where the store has no time of its own, by waiting where it has (PostgreSQL).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from attrs import Factory, define

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.agenda import agenda
from lash_es.core.commands import (
    CommitTurn,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    ReleaseLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.effects import ModelCall
from lash_es.core.events import TurnCommitted
from lash_es.core.ids import InputId, SessionId, TurnId
from lash_es.core.ingress import NEXT_TURN, TurnInputIngress
from lash_es.core.known import names
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.messages import TurnInput
from lash_es.core.outcomes import EffectCancelled, Finished, Stopped, StopReason
from lash_es.core.owners import Fence, LeaseOwner, LocalProcess
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.receipts import (
    Acquired,
    Busy,
    LeaseReceipt,
    TurnInputClaim,
    TurnInputReceipt,
    enqueued,
    pending,
)
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn, effect_name
from lash_es.log.contents import read_content
from lash_es.log.log import StoreLog
from lash_es.log.port import Store
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.world import World
from lash_es.session.session_inputs import SessionInputs
from lash_es.session.session_leases import SessionLeases
from tests.session.host import run

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
        self.inputs = SessionInputs(self.lane)

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

    async def fence(self, name: str = "owner-a", *, ttl_ms: int = 60_000) -> Fence:
        """Take the lease, which nobody else holds."""
        return got(await self.leases.try_claim(owner(name), ttl_ms=ttl_ms))

    async def enqueue(
        self,
        content: TurnInput | str,
        *,
        key: str | None = None,
        into: TurnInputIngress = NEXT_TURN,
    ) -> TurnInputReceipt:
        """Send an input; of a text, its content is that text."""
        turn_input = TurnInput.of_text(content) if isinstance(content, str) else content
        world = self.lane.world
        command = EnqueueTurnInput(
            now_ms=self.now_ms,
            input_id=InputId(f"ti:{world.token()}"),
            source_key=key,
            ingress=into,
            body=encode_content(turn_input, world.salt()),
        )

        def step(draft: Draft) -> TurnInputReceipt:
            draft.do(command)
            return enqueued(draft.session, command, draft.known)

        return await self.lane.transact(step, *names(command))

    async def content(self, receipt: TurnInputReceipt) -> TurnInput:
        """Read what an input says."""
        lane = self.lane
        return await lane.log.read(
            lambda store: read_content(store, lane.stream, receipt.body, TurnInput)
        )

    async def pending(self) -> list[InputId]:
        """List the inputs that nothing holds."""
        state = await self.state()
        return [entry.input_id for entry in pending(state, self.now_ms)]

    async def start(self, fence: Fence, turn_id: str, claim: TurnInputClaim | None = None) -> None:
        """Begin a turn, with what a claim holds or with an input of its own."""
        lane = self.lane
        source: WithInput | WithClaim
        if claim is None:
            own = TurnInput.of_text("go")
            source = WithInput(body=encode_content(own, lane.world.salt()))
        else:
            source = WithClaim(claim_id=claim.claim_id, token=claim.token)
        await lane.execute(
            StartTurn(now_ms=self.now_ms, fence=fence, turn_id=TurnId(turn_id), source=source)
        )

    async def ask_model(self, fence: Fence, turn_id: str) -> None:
        """Record that the open turn asks a model."""
        turn = (await self.state()).turn
        assert isinstance(turn, OpenTurn)
        await self.lane.execute(
            RequestEffect(
                now_ms=self.now_ms,
                fence=fence,
                turn_id=TurnId(turn_id),
                effect_id=effect_name(turn),
                request=ModelCall(iteration=0),
            )
        )

    async def cancel_model(self, fence: Fence, turn_id: str) -> None:
        """Record that the model calls of the turn were stopped."""
        for effect in agenda(await self.state()):
            await self.lane.execute(
                SettleEffect(
                    now_ms=self.now_ms,
                    fence=fence,
                    turn_id=TurnId(turn_id),
                    effect_id=effect.effect_id,
                    outcome=EffectCancelled(),
                    body=None,
                )
            )

    async def commit(
        self, fence: Fence, turn_id: str, *, is_interrupted: bool = False
    ) -> TurnCommitted:
        """Commit the open turn, and release the lease with it."""
        stopped = Stopped(reason=StopReason.CANCELLED)
        command = CommitTurn(
            now_ms=self.now_ms,
            fence=fence,
            turn_id=TurnId(turn_id),
            outcome=stopped if is_interrupted else Finished(),
        )

        def step(draft: Draft) -> TurnCommitted:
            (event,) = draft.do(command)
            assert isinstance(event, TurnCommitted)
            draft.do(ReleaseLease(now_ms=self.now_ms, fence=fence))
            return event

        return await self.lane.transact(step)

    async def end(self, fence: Fence, turn_id: str) -> None:
        """End the open turn without a commit."""
        await self.lane.execute(
            EndTurn(
                now_ms=self.now_ms,
                fence=fence,
                turn_id=TurnId(turn_id),
                outcome=Stopped(reason=StopReason.RUNTIME_ERROR),
            )
        )

    async def complete(self, fence: Fence, claim: TurnInputClaim, turn_id: str) -> None:
        """Run a turn on a claim to its commit."""
        await self.start(fence, turn_id, claim)
        await self.commit(fence, turn_id)

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


def scenario(site: Site, scene: Callable[[], Awaitable[None]]) -> None:
    """Play a scene and let go of its stores."""

    async def whole() -> None:
        try:
            await scene()
        finally:
            await site.aclose()

    run(whole())
