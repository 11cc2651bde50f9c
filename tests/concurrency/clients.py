"""
A client: one process that asks random things of shared sessions, one after the other.

What it asks depends on its seed, on what it was told and on what its lane last saw, which others
have overtaken as often as not: that is the point. It remembers fences and claims for too long.
"""

import time
from collections.abc import Callable
from random import Random
from typing import Any, Final, TypeAlias

from attrs import Factory, define

from lash_es.codec.streams import StreamId
from lash_es.core import receipts, work_receipts
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeGroup,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.bodies import NewBody
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    CancelTurnInput,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OpenSession,
    ReleaseLease,
    RenewLease,
    StartTurn,
    WithClaim,
)
from lash_es.core.graph_commands import MaintainSession
from lash_es.core.ids import BatchId, ClaimId, Generation, InputId, SessionId, TurnId
from lash_es.core.ingress import NEXT_TURN
from lash_es.core.known import names
from lash_es.core.outcomes import Finished, InputStatus
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
    LeadingTurnWork,
)
from lash_es.log.log import StoreLog
from lash_es.runtime.committing import Draft, Lane
from lash_es.runtime.world import World
from tests.concurrency.entries import LIMITS, Entry, Words

POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
KEYS: Final = tuple(f"k{number}" for number in range(6))
TTLS_MS: Final = (0, 20, 100, 400, 800)

Tell: TypeAlias = Callable[[Open, Draft, list[Any]], Any]
"""From the session before, the draft after and the facts between: what the caller is told."""


def nothing(before: Open, draft: Draft, events: list[Any]) -> None:
    """Tell no more than what was recorded."""
    del before, draft, events


def stream_of(session: str) -> StreamId:
    """Name a session."""
    return StreamId("default", SessionId(session))


def lane_of(log: StoreLog, session: str) -> Lane:
    """Hold a session."""
    return Lane(log, stream_of(session), World(), LIMITS)


def birth(session: str, now_ms: int) -> OpenSession:
    """Make the command that every session begins with."""
    return OpenSession(now_ms=now_ms, session_id=SessionId(session), policy=POLICY)


@define
class Client:
    """One client of one session."""

    number: int
    session: str
    lane: Lane
    chance: Random
    entries: list[Entry] = Factory(list[Entry])
    fence: tuple[str, int] = ("none", 0)
    believes: bool = False
    claim: tuple[str, str] = ("tic:0:0", "none")
    work_claim: tuple[str, str, list[str]] = ("qwc:0:0", "none", [])
    sent: list[str] = Factory(lambda: ["nobody"])
    _minted: int = 0

    @property
    def name(self) -> str:
        """Whose lease it takes."""
        return f"client{self.number}"

    def mint(self, kind: str) -> str:
        """Make an id that nobody else makes."""
        self._minted += 1
        return f"{kind}{self.number}.{self._minted}"

    async def step(self) -> None:
        """Ask something."""
        asks = ANYBODYS + (OWNERS if self.believes else STRANGERS)
        await self.chance.choice(asks)(self)

    # How everything is asked

    async def ask(
        self, asked: str, words: Words, tell: Tell, *commands: Command, now_ms: int
    ) -> Entry:
        """Record commands in one append, and write down what came of it."""
        version, tries, events = 0, 0, list[Any]()

        def step(draft: Draft) -> Any:  # noqa: ANN401 - whatever JSON has
            nonlocal version, tries
            tries += 1
            before = draft.session
            version = before.version
            events[:] = [event for command in commands for event in draft.do(command)]
            return tell(before, draft, events)

        keys = [key for command in commands for key in names(command)]
        refused, told = "", None
        began_ns = time.monotonic_ns()
        try:
            told = await self.lane.transact(step, *keys)
        except Exception as refusal:  # noqa: BLE001 - the judge says which of them may be
            refused = type(refusal).__name__
        entry = Entry(
            session=self.session,
            client=self.number,
            asked=asked,
            now_ms=now_ms,
            words=words,
            began_ns=began_ns,
            ended_ns=time.monotonic_ns(),
            version=version,
            facts=() if refused else tuple(type(event).__name__ for event in events),
            refused=refused,
            told=told,
            tries=tries,
        )
        self.entries.append(entry)
        return entry

    @property
    def now_ms(self) -> int:
        """The log's time."""
        return self.lane.log.now_ms()

    def proof(self) -> Fence:
        """Show the lease that it had last."""
        token, generation = self.fence
        return Fence(owner=owner_of(self.name), token=token, generation=Generation(generation))

    def proof_words(self) -> list[Any]:
        """The same, as it is written down."""
        return [self.name, *self.fence]

    def body(self, text: str) -> NewBody:
        """Make a content."""
        return NewBody(content=text.encode(), salt=self.mint("salt").encode())

    # What anybody may ask

    async def enqueue(self) -> None:
        name, key = self.mint("i"), self.chance.choice((None, *KEYS))
        text, now_ms = self.chance.choice(("hello", "hello", "hello", "goodbye")), self.now_ms
        command = EnqueueTurnInput(
            now_ms=now_ms,
            input_id=InputId(name),
            source_key=key,
            ingress=NEXT_TURN,
            body=self.body(text),
        )

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[Any]:
            del before, events
            found = receipts.enqueued(draft.session, command, draft.known)
            return [found.input_id, found.sequence, status_of(found.status)]

        words = {"name": name, "key": key, "text": text}
        await self.ask("enqueue", words, tell, command, now_ms=now_ms)
        self.sent.append(name)

    async def cancel(self) -> None:
        waiting = list(open_of(self.lane).inputs.pending)
        name, now_ms = self.chance.choice(waiting + self.sent[-2:]), self.now_ms
        command = CancelTurnInput(now_ms=now_ms, input_id=InputId(name))

        def tell(before: Open, draft: Draft, events: list[Any]) -> str:
            found = receipts.cancelled(before, InputId(name), draft.known, events)
            return type(found).__name__

        await self.ask("cancel", {"name": name}, tell, command, now_ms=now_ms)

    async def look(self) -> None:
        """List what waits: a read that records nothing, and still has to be of some version."""
        now_ms = self.now_ms

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[str]:
            del draft, events
            return [entry.input_id for entry in receipts.pending(before, now_ms)]

        await self.ask("look", {}, tell, now_ms=now_ms)

    async def abandon(self) -> None:
        claim, now_ms = self.claim, self.now_ms
        command = AbandonTurnInputClaim(now_ms=now_ms, claim_id=ClaimId(claim[0]), token=claim[1])
        await self.ask("abandon", {"claim": claim}, nothing, command, now_ms=now_ms)

    async def maintain(self) -> None:
        now_ms = self.now_ms
        command = MaintainSession(now_ms=now_ms)
        await self.ask("maintain", {}, nothing, command, now_ms=now_ms)

    async def queue(self) -> None:
        name, key, now_ms = self.mint("b"), self.chance.choice((None, *KEYS[:3])), self.now_ms
        slot = self.chance.choice(("join", "join", "alone"))
        command = EnqueueWork(
            now_ms=now_ms,
            batch_id=BatchId(name),
            source_key=key,
            delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot=SlotPolicy.JOIN if slot == "join" else SlotPolicy.EXCLUSIVE,
            merge_key=MergeGroup("a"),
            available_at_ms=0,
            kinds=(WorkKind.PROCESS_WAKE,),
            bodies=(self.body("work"),),
        )

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[Any]:
            del before, events
            found = work_receipts.work_enqueued(draft.session, command, draft.known)
            return [found.batch_id, found.sequence, found.status.value]

        words = {"name": name, "key": key, "slot": slot}
        await self.ask("queue", words, tell, command, now_ms=now_ms)

    async def cancel_work(self) -> None:
        batches, now_ms = list(open_of(self.lane).work.batches), self.now_ms
        name = self.chance.choice([*batches, "nobody"])
        command = CancelWork(now_ms=now_ms, batch_id=BatchId(name))
        await self.ask("cancel work", {"name": name}, nothing, command, now_ms=now_ms)

    async def abandon_work(self) -> None:
        (claim, token, _), now_ms = self.work_claim, self.now_ms
        command = AbandonWorkClaim(now_ms=now_ms, claim_id=ClaimId(claim), token=token)
        words = {"claim": [claim, token]}
        await self.ask("abandon work", words, nothing, command, now_ms=now_ms)

    # The lease

    async def acquire(self) -> None:
        token, ttl_ms, now_ms = self.mint("token"), self.chance.choice(TTLS_MS), self.now_ms
        owner = owner_of(self.name)
        command = AcquireLease(now_ms=now_ms, owner=owner, token=token, ttl_ms=ttl_ms)

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[Any]:
            del before
            found = receipts.leased(draft.session, command, events)
            if isinstance(found, receipts.Busy):
                return ["busy", found.holder.owner.owner_id]
            return ["mine", found.fence.token, found.fence.generation, found.is_new]

        words = {"owner": self.name, "token": token, "ttl_ms": ttl_ms}
        told = (await self.ask("acquire", words, tell, command, now_ms=now_ms)).told
        if told is not None and told[0] == "mine":
            self.fence, self.believes = (told[1], told[2]), True

    async def renew(self) -> None:
        now_ms, ttl_ms = self.now_ms, self.chance.choice(TTLS_MS)
        command = RenewLease(now_ms=now_ms, fence=self.proof(), ttl_ms=ttl_ms)
        words = {"fence": self.proof_words(), "ttl_ms": ttl_ms}
        await self.ask("renew", words, nothing, command, now_ms=now_ms)

    async def release(self) -> None:
        now_ms = self.now_ms
        command = ReleaseLease(now_ms=now_ms, fence=self.proof())
        words = {"fence": self.proof_words()}
        await self.ask("release", words, nothing, command, now_ms=now_ms)
        self.believes = self.chance.random() < 0.5  # Or it goes on as if it had not.

    # What an owner asks

    async def claim_inputs(self) -> None:
        token, most, now_ms = self.mint("claim"), self.chance.choice((0, 1, 2, 5)), self.now_ms
        command = ClaimTurnInputs(now_ms=now_ms, fence=self.proof(), token=token, inputs_max=most)

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[Any] | None:
            del before
            found = receipts.claimed(draft.session, command, events)
            if found is None:
                return None
            ids = list(found.input_ids)
            return [found.claim_id, found.token, found.generation, found.fencing, ids]

        words = {"fence": self.proof_words(), "token": token, "most": most}
        entry = await self.ask("claim", words, tell, command, now_ms=now_ms)
        self.doubt(entry)
        if entry.told:
            self.claim = (entry.told[0], entry.told[1])

    async def complete(self) -> None:
        """Run a turn on what is claimed, and commit it, in one append."""
        claim, turn, now_ms = self.claim, self.mint("t"), self.now_ms
        fence, turn_id = self.proof(), TurnId(turn)
        source = WithClaim(claim_id=ClaimId(claim[0]), token=claim[1])
        start = StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source)
        commit = CommitTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, outcome=Finished())

        def tell(before: Open, draft: Draft, events: list[Any]) -> int:
            del before, events
            return draft.session.head.revision

        words = {"fence": self.proof_words(), "claim": claim, "turn": turn}
        self.doubt(await self.ask("complete", words, tell, start, commit, now_ms=now_ms))

    async def claim_work(self) -> None:
        token, most, now_ms = self.mint("work"), self.chance.choice((1, 2, 3)), self.now_ms
        leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=most)
        command = ClaimWork(now_ms=now_ms, fence=self.proof(), token=token, selection=leading)

        def tell(before: Open, draft: Draft, events: list[Any]) -> list[Any] | None:
            del before
            found = work_receipts.work_claimed(draft.session, events)
            if found is None:
                return None
            ids = list(found.batch_ids)
            return [found.claim_id, found.token, found.generation, found.fencing_token, ids]

        words = {"fence": self.proof_words(), "token": token, "most": most}
        entry = await self.ask("claim work", words, tell, command, now_ms=now_ms)
        self.doubt(entry)
        if entry.told:
            self.work_claim = (entry.told[0], entry.told[1], entry.told[4])

    async def complete_work(self) -> None:
        (claim, token, batches), now_ms = self.work_claim, self.now_ms
        done = WorkCompletion(
            claim_id=ClaimId(claim), token=token, batch_ids=tuple(map(BatchId, batches))
        )
        command = CompleteWork(now_ms=now_ms, fence=self.proof(), completions=(done,))
        words = {"fence": self.proof_words(), "done": [claim, token, batches]}
        entry = await self.ask("complete work", words, nothing, command, now_ms=now_ms)
        self.doubt(entry)

    def doubt(self, entry: Entry) -> None:
        """Believe less in a lease that was refused; now and then not."""
        if entry.refused == "SessionExecutionLeaseExpired" and self.chance.random() < 0.8:
            self.believes = False


def owner_of(name: str) -> LeaseOwner:
    """Name an owner of which nothing can be seen: only its time runs out."""
    return LeaseOwner(owner_id=name, incarnation_id="boot-1")


def status_of(status: InputStatus) -> str:
    """Say it in the naive model's words."""
    waits = (InputStatus.PENDING_ACTIVE, InputStatus.DEFERRED_NEXT_TURN, InputStatus.ACCEPTED)
    return "waiting" if status in waits else status.value


def open_of(lane: Lane) -> Open:
    """Return the session as the lane last saw it."""
    assert isinstance(lane.state, Open)
    return lane.state


Ask: TypeAlias = Callable[[Client], Any]
ANYBODYS: Final[tuple[Ask, ...]] = (
    *(Client.enqueue,) * 6,
    *(Client.cancel,) * 3,
    *(Client.look,) * 3,
    *(Client.queue,) * 3,
    Client.cancel_work,
    Client.abandon,
    Client.abandon_work,
    Client.maintain,
)
STRANGERS: Final[tuple[Ask, ...]] = (Client.acquire,) * 8
OWNERS: Final[tuple[Ask, ...]] = (
    *(Client.claim_inputs,) * 5,
    *(Client.complete,) * 5,
    *(Client.claim_work,) * 3,
    *(Client.complete_work,) * 3,
    Client.acquire,
    Client.renew,
    Client.release,
)
