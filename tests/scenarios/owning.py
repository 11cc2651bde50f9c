"""An owner that writes commands itself: what a driver does, one append at a time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lash_es import Limits, ModelReply, ProsePart, World
from lash_es.codec.contents import encode_content
from lash_es.core.batches import WorkBoundary, WorkCompletion
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AcquireLease,
    ClaimTurnInputs,
    Command,
    InputCompletion,
    OpenSession,
    ReleaseLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    WithInput,
)
from lash_es.core.effects import ModelCall
from lash_es.core.events import Event, TurnInputsClaimed
from lash_es.core.ids import EffectId, Generation, SessionId, TurnId
from lash_es.core.messages import FinishReason, TokenUsage, TurnInput
from lash_es.core.outcomes import Finished, ModelReplied
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.receipts import Acquired, CommitReceipt, leased
from lash_es.core.stamps import commit_hash
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import ClaimWork, LeadingTurnWork
from lash_es.core.work_events import WorkClaimed
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.opening import require_open
from lash_es.runtime.world import system_now_ms
from lash_es.session.session_commits import SessionCommits
from tests.session.stores import Place, stream

POLICY = SessionPolicy(provider_id="scripted", model=ModelSpec(model_id="m"))
USAGE = TokenUsage(input_tokens=12, output_tokens=4, reasoning_output_tokens=2)
SALT = b"sixteen bytes ok"
ALICE = LeaseOwner(owner_id="alice", incarnation_id="boot-1")
NOBODYS = Fence(owner=ALICE, token="no such lease", generation=Generation(1))


class Owner:
    """One connection to one session; its fence can be handed to another connection."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.fence = NOBODYS

    @property
    def now_ms(self) -> int:
        return self.lane.log.now_ms()

    async def state(self) -> Open:
        return require_open(await self.lane.catch_up(), self.lane.stream.session_id)

    async def turn(self) -> OpenTurn:
        turn = (await self.state()).turn
        assert isinstance(turn, OpenTurn)
        return turn

    async def acquire(self) -> None:
        command = AcquireLease(now_ms=self.now_ms, owner=ALICE, token="token", ttl_ms=30_000)

        def step(draft: Draft) -> Fence:
            events = draft.do(command)
            receipt = leased(draft.session, command, events)
            assert isinstance(receipt, Acquired), receipt
            return receipt.fence

        self.fence = await self.lane.transact(step)

    def body(self, text: str) -> NewBody:
        """Say something, under the salt of this file."""
        return encode_content(TurnInput.of_text(text), SALT)

    async def execute(self, command: Command) -> tuple[Event, ...]:
        """Decide a command and record what it makes happen."""
        return await self.lane.execute(command)

    async def release(self) -> None:
        await self.lane.execute(ReleaseLease(now_ms=self.now_ms, fence=self.fence))

    async def claim(self) -> InputCompletion:
        """Claim what waits, and say how its completion would be written."""
        events = await self.lane.execute(
            ClaimTurnInputs(
                now_ms=self.now_ms, fence=self.fence, token=self.lane.world.token(), inputs_max=1
            )
        )
        (event,) = events
        assert isinstance(event, TurnInputsClaimed)
        return InputCompletion(
            claim_id=event.claim_id, token=event.token, input_ids=event.input_ids
        )

    async def claim_work(self) -> WorkCompletion:
        """Claim the work that leads, and say how its completion would be written."""
        leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=1)
        (event,) = await self.lane.execute(
            ClaimWork(
                now_ms=self.now_ms,
                fence=self.fence,
                token=self.lane.world.token(),
                selection=leading,
            )
        )
        assert isinstance(event, WorkClaimed)
        return WorkCompletion(
            claim_id=event.claim_id, token=event.token, batch_ids=event.batch_ids
        )

    async def answered(
        self, turn_id: str, *, said: str = "go", answer: str = "done", usage: TokenUsage = USAGE
    ) -> None:
        """Run a turn up to its commit."""
        turn, effect = TurnId(turn_id), EffectId(f"{turn_id}/1")
        body = encode_content(TurnInput.of_text(said), SALT)
        reply = ModelReply(parts=(ProsePart(text=answer),), usage=usage)
        outcome = ModelReplied(
            finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=usage
        )
        now_ms, fence = self.now_ms, self.fence
        start = StartTurn(now_ms=now_ms, fence=fence, turn_id=turn, source=WithInput(body=body))
        await self.lane.execute(start)
        ask = RequestEffect(
            now_ms=now_ms,
            fence=fence,
            turn_id=turn,
            effect_id=effect,
            request=ModelCall(iteration=0),
        )
        await self.lane.execute(ask)
        settle = SettleEffect(
            now_ms=now_ms,
            fence=fence,
            turn_id=turn,
            effect_id=effect,
            outcome=outcome,
            body=encode_content(reply, SALT),
        )
        await self.lane.execute(settle)

    async def hash(self) -> str:
        return commit_hash(await self.turn(), Finished())

    async def commit(
        self,
        turn_id: str,
        *,
        commit_hash: str | None = None,
        expected_revision: int | None = None,
        input_completions: tuple[InputCompletion, ...] = (),
        releases_lease: bool = False,
        session_id: str | None = None,
        work_completions: tuple[WorkCompletion, ...] = (),
    ) -> CommitReceipt:
        return await SessionCommits(self.lane).commit(
            self.fence,
            turn_id,
            Finished(),
            session_id=session_id,
            expected_revision=expected_revision,
            commit_hash=commit_hash,
            input_completions=input_completions,
            releases_lease=releases_lease,
            work_completions=work_completions,
        )


@asynccontextmanager
async def owner(place: Place, session_id: str = "s") -> AsyncIterator[Owner]:
    """Connect once more, open the session, and take nothing yet."""
    log = StoreLog(place.store(), system_now_ms)
    try:
        lane = Lane(log, stream(session_id), World(), Limits())
        opening = OpenSession(now_ms=log.now_ms(), session_id=SessionId(session_id), policy=POLICY)
        await lane.catch_up()
        await lane.execute(opening)
        yield Owner(lane)
    finally:
        await log.aclose()
