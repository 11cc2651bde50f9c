"""
A session with a long past, and with so much open as its limits allow: built quickly, many facts an
append.

Every round of the past is an input that was sent under a key, claimed, taken by a turn and
committed with it, and a batch of queued work that was sent under a key, claimed and completed.
"""

from collections.abc import Iterator
from typing import Final

from attrs import define, field, frozen

from lash_es.codec.streams import StreamId
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
    AcquireLease,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    OpenSession,
    RenewLease,
    StartTurn,
    WithClaim,
    new_bodies,
)
from lash_es.core.decide import decide
from lash_es.core.events import Event
from lash_es.core.evolve import evolve
from lash_es.core.ids import (
    AppendId,
    BatchId,
    ClaimId,
    Generation,
    InputId,
    SessionId,
    TurnId,
)
from lash_es.core.ingress import NEXT_TURN
from lash_es.core.outcomes import Finished
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import State
from lash_es.core.work_commands import ClaimWork, CompleteWork, EnqueueWork, LeadingTurnWork
from lash_es.log.appends import Appended
from lash_es.log.encoding import Folded, encode_append, nothing_folded
from lash_es.log.port import Store
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT

NOW_MS: Final = 1_800_000_000_000
TTL_MS: Final = 3_600_000
SESSION: Final = SessionId("a-session-with-a-long-past")
STREAM: Final = StreamId("default", SESSION)
POLICY: Final = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
OWNER: Final = LeaseOwner(owner_id="owner", incarnation_id="boot-1")
FENCE: Final = Fence(owner=OWNER, token="token", generation=Generation(1))
BODY: Final = NewBody(content=b'{"items":[{"kind":"text","text":"hello"}]}', salt=b"salt" * 4)
ROUNDS_PER_APPEND: Final = 32


@frozen(kw_only=True)
class Size:
    """How many rounds are over, and how many inputs and batches are open."""

    rounds: int
    inputs: int
    batches: int


def enqueue(input_id: str, key: str | None = None) -> EnqueueTurnInput:
    """Send an input."""
    return EnqueueTurnInput(
        now_ms=NOW_MS,
        input_id=InputId(input_id),
        source_key=key,
        ingress=NEXT_TURN,
        body=BODY,
    )


def queue(batch_id: str, key: str | None = None) -> EnqueueWork:
    """Send a batch of one wake."""
    return EnqueueWork(
        now_ms=NOW_MS,
        batch_id=BatchId(batch_id),
        source_key=key,
        delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot=SlotPolicy.JOIN,
        merge_key=MergeGroup("a"),
        available_at_ms=0,
        kinds=(WorkKind.PROCESS_WAKE,),
        bodies=(BODY,),
    )


def commands_of(size: Size) -> Iterator[list[Command]]:
    """Make the whole life, in pieces of one append each."""
    yield [
        OpenSession(now_ms=NOW_MS, session_id=SESSION, policy=POLICY),
        AcquireLease(now_ms=NOW_MS, owner=OWNER, token=FENCE.token, ttl_ms=TTL_MS),
    ]
    for start in range(0, size.rounds, ROUNDS_PER_APPEND):
        numbers = range(start, min(size.rounds, start + ROUNDS_PER_APPEND))
        yield [command for number in numbers for command in _round(number)]
    yield [enqueue(f"open {number}") for number in range(size.inputs)]
    yield [queue(f"open {number}") for number in range(size.batches)]


def _round(number: int) -> Iterator[Command]:
    token = f"claim {number}"
    claim_id, work_id = ClaimId(f"tic:{number + 1}:1"), ClaimId(f"qwc:{number + 1}:1")
    turn_id, batch = TurnId(f"t{number}"), f"b{number}"
    yield enqueue(f"i{number}", f"k{number}")
    yield ClaimTurnInputs(now_ms=NOW_MS, fence=FENCE, token=token, inputs_max=1)
    source = WithClaim(claim_id=claim_id, token=token)
    yield StartTurn(now_ms=NOW_MS, fence=FENCE, turn_id=turn_id, source=source)
    yield CommitTurn(now_ms=NOW_MS, fence=FENCE, turn_id=turn_id, outcome=Finished())
    yield queue(batch, f"w{number}")
    leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=1)
    yield ClaimWork(now_ms=NOW_MS, fence=FENCE, token=token, selection=leading)
    done = WorkCompletion(claim_id=work_id, token=token, batch_ids=(BatchId(batch),))
    yield CompleteWork(now_ms=NOW_MS, fence=FENCE, completions=(done,))


@define
class Builder:
    """Writes to a store; an append that does not succeed is a defect."""

    store: Store
    folded: Folded = field(factory=lambda: nothing_folded(STREAM))

    def build(self, size: Size) -> Folded:
        """
        Write the whole life. It ends where a snapshot was just made, so that the next one is as
        far away whatever the size.
        """
        for piece in commands_of(size):
            if piece:
                self.append(piece)
        behind = self.folded.version % FACTS_PER_SNAPSHOT
        renewal = RenewLease(now_ms=NOW_MS, fence=FENCE, ttl_ms=TTL_MS)
        self.append([renewal] * (FACTS_PER_SNAPSHOT - behind))
        return self.folded

    def append(self, commands: list[Command]) -> None:
        """Decide one after the other, and append what they make happen."""
        state: State = self.folded.state
        events: list[Event] = []
        states: list[State] = []
        bodies: list[NewBody] = []
        for command in commands:
            for event in decide(state, command):
                state = evolve(state, event)
                events.append(event)
                states.append(state)
            bodies += new_bodies(command)
        append_id = AppendId(f"built/{self.folded.version}")
        append, self.folded = encode_append(self.folded, events, bodies, append_id, states=states)
        result = self.store.append([append])
        if not isinstance(result, Appended):
            raise TypeError(f"expected an append to succeed, found {result}")
