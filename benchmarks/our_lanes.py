"""A lane that owns its session, and the commands of W2 and W3 on it."""

from collections.abc import Iterator

from attrs import frozen

from benchmarks.load import input_text, our_turn
from lash_es.codec.contents import Content, encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OpenSession,
    ReleaseLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.events import TurnInputsClaimed, body_ref
from lash_es.core.ids import EffectId, InputId, Position, SessionId, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.known import IndexKey, IndexKind, names
from lash_es.core.limits import Limits
from lash_es.core.messages import FinishReason, TextItem, TokenUsage, ToolCallPart, TurnInput
from lash_es.core.outcomes import (
    EffectOutcome,
    Finished,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.log.subscribing import FollowedLog
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.world import World

_WORLD = World()
_POLICY = SessionPolicy(provider_id="instant", model=ModelSpec(model_id="m"))
_HOUR_MS = 3_600_000
_USAGE = TokenUsage(input_tokens=1_200, output_tokens=340)


async def owned_lane(log: FollowedLog, session_id: str, world: World = _WORLD) -> "Owned":
    """Open the session and take its lease for an hour."""
    lane = Lane(log, StreamId("default", SessionId(session_id)), world, Limits())
    await lane.catch_up()
    now_ms, token = log.now_ms(), world.token()
    owner = LeaseOwner(owner_id=world.token(), incarnation_id="bench")
    await lane.execute(
        OpenSession(now_ms=now_ms, session_id=SessionId(session_id), policy=_POLICY)
    )
    await lane.execute(AcquireLease(now_ms=now_ms, owner=owner, token=token, ttl_ms=_HOUR_MS))
    assert isinstance(lane.state, Open)
    fence = Fence(owner=owner, token=token, generation=lane.state.lease.generation)
    return Owned(lane, fence)


@frozen
class Owned:
    """One session, its lane and the fence that every command of its owner carries."""

    lane: Lane
    fence: Fence

    async def enqueue(self, number: int) -> None:
        """Take an input."""
        words = TurnInput(items=(TextItem(text=input_text(number)),))
        command = EnqueueTurnInput(
            now_ms=self._now_ms,
            input_id=InputId(f"ti:{self.lane.world.token()}"),
            source_key=None,
            ingress=NextTurn(),
            body=self._body(words),
        )
        await self.lane.transact(lambda draft: draft.do(command), *names(command))

    async def claim(self) -> WithClaim:
        """Hold what waits."""
        command = ClaimTurnInputs(
            now_ms=self._now_ms, fence=self.fence, token=self.fence.token, inputs_max=1
        )
        (claimed,) = await self.lane.execute(command)
        assert isinstance(claimed, TurnInputsClaimed)
        return WithClaim(claim_id=claimed.claim_id, token=claimed.token)

    async def complete(self, claim: WithClaim) -> None:
        """Settle what is held: a turn takes it and commits, in one append."""
        turn_id = TurnId(self.lane.world.token())

        def step(draft: Draft) -> None:
            draft.do(self._start(turn_id, claim))
            draft.do(self._commit(turn_id))

        await self.lane.transact(step, IndexKey(IndexKind.TURN, turn_id))

    async def cycle(self, number: int) -> None:
        """Enqueue, claim and complete: three appends."""
        await self.enqueue(number)
        await self.complete(await self.claim())

    async def record_turn(self, number: int) -> None:
        """Record a turn of four messages, with all that it asked for and got, in one append."""
        turn_id = TurnId(f"turn/{number}/{self.lane.world.token()}")
        asked, first, found, answer = our_turn(number)
        bodies = (self._body(asked), self._body(first), self._body(found), self._body(answer))
        call = first.parts[0]
        assert isinstance(call, ToolCallPart)
        wanted = ToolCallRef(call_id=call.call_id, tool=call.tool)

        def step(draft: Draft) -> None:
            draft.do(self._start(turn_id, WithInput(body=bodies[0])))
            for command in self._effects(draft, turn_id, wanted, bodies):
                draft.do(command)
            draft.do(self._commit(turn_id))

        await self.lane.transact(step, IndexKey(IndexKind.TURN, turn_id))

    def _effects(
        self, draft: Draft, turn_id: TurnId, wanted: ToolCallRef, bodies: tuple[NewBody, ...]
    ) -> Iterator[Command]:
        calls = ModelReplied(
            finish=FinishReason.TOOL_CALLS, has_content=False, tool_calls=(wanted,), usage=_USAGE
        )
        answers = ModelReplied(
            finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=_USAGE
        )
        yield self._request(turn_id, 1, ModelCall(iteration=0))
        yield self._settle(turn_id, 1, calls, bodies[1])
        reply = body_ref(Position(draft.session.version - 1))
        tool_call = ToolCall(call_id=wanted.call_id, tool=wanted.tool, reply=reply, ordinal=0)
        yield self._request(turn_id, 2, tool_call)
        yield self._settle(turn_id, 2, ToolReturned(), bodies[2])
        yield self._request(turn_id, 3, ModelCall(iteration=1))
        yield self._settle(turn_id, 3, answers, bodies[3])

    async def release(self) -> None:
        """Let the lease go."""
        await self.lane.execute(ReleaseLease(now_ms=self._now_ms, fence=self.fence))

    def _body(self, content: Content) -> NewBody:
        return encode_content(content, self.lane.world.salt())

    @property
    def _now_ms(self) -> int:
        return self.lane.log.now_ms()

    def _start(self, turn_id: TurnId, source: WithInput | WithClaim) -> StartTurn:
        return StartTurn(now_ms=self._now_ms, fence=self.fence, turn_id=turn_id, source=source)

    def _commit(self, turn_id: TurnId) -> CommitTurn:
        return CommitTurn(
            now_ms=self._now_ms, fence=self.fence, turn_id=turn_id, outcome=Finished()
        )

    def _request(self, turn_id: TurnId, number: int, request: EffectRequest) -> RequestEffect:
        return RequestEffect(
            now_ms=self._now_ms,
            fence=self.fence,
            turn_id=turn_id,
            effect_id=EffectId(f"{turn_id}/{number}"),
            request=request,
        )

    def _settle(
        self, turn_id: TurnId, number: int, outcome: EffectOutcome, body: NewBody
    ) -> SettleEffect:
        return SettleEffect(
            now_ms=self._now_ms,
            fence=self.fence,
            turn_id=turn_id,
            effect_id=EffectId(f"{turn_id}/{number}"),
            outcome=outcome,
            body=body,
        )
