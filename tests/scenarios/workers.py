"""
Owners that work through a session's queue: each has its own core, connection and clock.

A time that a scenario needs is in the command, so it passes at once, also where the store has a
clock of its own.
"""

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager

from attrs import define

from lash_es import LashSession
from lash_es.codec.contents import encode_content
from lash_es.core.batches import (
    NEVER_MERGE,
    DeliveryPolicy,
    MergeKey,
    ProcessWake,
    RefreshToolCatalog,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkItem,
)
from lash_es.core.commands import (
    AcquireLease,
    CommitTurn,
    ReleaseLease,
    StartTurn,
    WithInput,
)
from lash_es.core.ids import BatchId, TurnId
from lash_es.core.messages import TurnInput
from lash_es.core.outcomes import Finished
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import Acquired, LeaseReceipt, leased
from lash_es.core.state import Open
from lash_es.core.work_commands import (
    ClaimWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WorkSelection,
)
from lash_es.core.work_receipts import BatchReceipt, WorkClaimReceipt, work_claimed, work_open
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.queueing import WorkQueue
from tests.session.host import host
from tests.session.stores import Place

IDLE = WorkBoundary.IDLE
CHECKPOINT = WorkBoundary.ACTIVE_TURN_CHECKPOINT
EARLIEST = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
AFTER_COMMIT = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
JOIN, EXCLUSIVE = SlotPolicy.JOIN, SlotPolicy.EXCLUSIVE
REFRESH = RefreshToolCatalog(reason="a scenario")


def wake(text: str) -> ProcessWake:
    """Make a wake that says something."""
    return ProcessWake(
        wake_id=f"wake:{text}",
        target_session_id="root",
        target_scope_id="root",
        process_id="process-1",
        sequence=7,
        event_type="exit",
        event_invocation="",
        process_caused_by=None,
        dedupe_key=text,
        input=text,
        created_at_ms=0,
    )


@define
class Worker:
    """One owner of one session."""

    session: LashSession
    owner: LeaseOwner
    later_ms: int = 0
    fence: Fence | None = None
    turns_count: int = 0

    @property
    def lane(self) -> Lane:
        return self.session._shared.lane

    @property
    def state(self) -> Open:
        assert isinstance(self.lane.state, Open)
        return self.lane.state

    @property
    def now_ms(self) -> int:
        """The time of what it asks."""
        return max(self.lane.log.now_ms(), self.later_ms)

    @property
    def held(self) -> Fence:
        assert self.fence is not None
        return self.fence

    # The queue

    async def queue(
        self,
        item: WorkItem,
        *more: WorkItem,
        source_key: str | None = None,
        delivery: DeliveryPolicy = EARLIEST,
        slot: SlotPolicy = EXCLUSIVE,
        merge_key: MergeKey = NEVER_MERGE,
    ) -> BatchReceipt:
        return await WorkQueue(self.lane).enqueue(
            item,
            *more,
            source_key=source_key,
            delivery=delivery,
            slot=slot,
            merge_key=merge_key,
        )

    async def pending(self) -> list[BatchId]:
        return [BatchId(batch.batch_id) for batch in await self.session.queued_work()]

    async def everything(self) -> list[BatchId]:
        await self.lane.catch_up()
        return [batch.batch_id for batch in work_open(self.state)]

    # The lease

    async def take(self, ttl_ms: int = 600_000) -> Fence:
        """Take the lease, as a new owner or once more."""
        token = self.lane.world.token()
        command = AcquireLease(now_ms=self.now_ms, owner=self.owner, token=token, ttl_ms=ttl_ms)

        def step(draft: Draft) -> LeaseReceipt:
            events = draft.do(command)
            return leased(draft.session, command, events)

        receipt = await self.lane.transact(step)
        assert isinstance(receipt, Acquired), receipt
        self.fence = receipt.fence
        return receipt.fence

    async def let_go(self) -> None:
        await self.lane.execute(ReleaseLease(now_ms=self.now_ms, fence=self.held))

    async def outlive(self) -> None:
        """Be just behind the end of the lease that is held."""
        await self.lane.catch_up()
        holder = self.state.lease.holder
        assert holder is not None
        self.later_ms = holder.expires_at_ms + 1

    # Claims

    async def claim(
        self, boundary: WorkBoundary = IDLE, batches_max: int = 10
    ) -> WorkClaimReceipt | None:
        return await self.select(LeadingTurnWork(boundary=boundary, batches_max=batches_max))

    async def claim_command(self) -> WorkClaimReceipt | None:
        return await self.select(LeadingCommand())

    async def claim_these(self, *batches: BatchReceipt) -> WorkClaimReceipt | None:
        batch_ids = tuple(batch.batch_id for batch in batches)
        return await self.select(TheseBatches(boundary=IDLE, batch_ids=batch_ids))

    async def select(self, selection: WorkSelection) -> WorkClaimReceipt | None:
        command = ClaimWork(
            now_ms=self.now_ms,
            fence=self.held,
            token=self.lane.world.token(),
            selection=selection,
        )

        def step(draft: Draft) -> WorkClaimReceipt | None:
            events = draft.do(command)
            return work_claimed(draft.session, events)

        return await self.lane.transact(step)

    # Commits

    async def commit(self, *claims: WorkClaimReceipt, release: bool = False) -> int:
        """Commit a turn that has done this work, in one append; returns the turn's index."""
        self.turns_count += 1
        turn_id = TurnId(f"{self.owner.owner_id}-{self.turns_count}")
        said = encode_content(TurnInput.of_text("go"), self.lane.world.salt())
        now_ms, fence = self.now_ms, self.held

        def step(draft: Draft) -> int:
            source = WithInput(body=said)
            draft.do(StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source))
            draft.do(
                CommitTurn(
                    now_ms=now_ms,
                    fence=fence,
                    turn_id=turn_id,
                    outcome=Finished(),
                    work_completions=tuple(completions_of(claims)),
                )
            )
            if release:
                draft.do(ReleaseLease(now_ms=now_ms, fence=fence))
            return draft.session.head.turn_index

        return await self.lane.transact(step)


def completions_of(claims: Iterable[WorkClaimReceipt]) -> Iterable[WorkCompletion]:
    """Say of each claim that all it was given is done."""
    for claim in claims:
        yield WorkCompletion(claim_id=claim.claim_id, token=claim.token, batch_ids=claim.batch_ids)


@asynccontextmanager
async def worker(
    place: Place, name: str = "alice", session_id: str = "root"
) -> AsyncGenerator[Worker]:
    """Open the session for an owner, over a connection of its own."""
    owner = LeaseOwner(owner_id=name, incarnation_id="boot-1")
    async with host(place.store()) as core, core.session(session_id).open() as session:
        yield Worker(session, owner)


def ids(claim: WorkClaimReceipt | None) -> list[BatchId]:
    """List what a claim holds."""
    return [] if claim is None else list(claim.batch_ids)
