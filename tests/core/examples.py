"""
The cast of the core's tests: two owners, one policy, some contents, and histories to begin with.

A history is a tuple of facts in which every position is right, so that a longer one is made by
adding to it.
"""

import attrs

from lash_es.core.batches import (
    NEVER_MERGE,
    DeliveryPolicy,
    MergeKey,
    SlotPolicy,
    WorkKind,
)
from lash_es.core.bodies import BodyRef, NewBody
from lash_es.core.effects import ModelCall, ToolCall
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    SessionOpened,
    TurnCommitted,
    TurnInputEnqueued,
    TurnInputsClaimed,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import (
    BatchId,
    CallId,
    ClaimId,
    EffectId,
    Generation,
    InputId,
    NodeId,
    Position,
    Revision,
    SessionId,
    TurnId,
)
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.messages import FinishReason, Role, TokenUsage, ToolStatus
from lash_es.core.outcomes import (
    EffectOutcome,
    Finished,
    ModelReplied,
    ToolCallRef,
    ToolReturned,
)
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.transcripts import (
    FromInputs,
    FromReply,
    FromResults,
    Node,
    NodeSource,
    ResultRef,
)
from lash_es.core.work_events import DrainedWork, WorkClaimed, WorkEnqueued

SESSION = SessionId("s1")
TURN = TurnId("t1")
NEXT_TURN = NextTurn()
POLICY = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m1"))
TTL_MS = 30_000
LATER_MS = 1_000_000
"""A time at which the lease of every history below has run out."""

ALICE = LeaseOwner(owner_id="alice", incarnation_id="boot-1")
BOB = LeaseOwner(owner_id="bob", incarnation_id="boot-1")
FENCE = Fence(owner=ALICE, token="alice-token", generation=Generation(1))
BOBS_FENCE = Fence(owner=BOB, token="bob-token", generation=Generation(2))

HELLO = NewBody(content=b'"hello"', salt=b"salt-of-hello-16")
HELLO_AGAIN = NewBody(content=b'"hello"', salt=b"another-salt--16")
GOODBYE = NewBody(content=b'"goodbye"', salt=b"salt-of-bye---16")
REPLY = NewBody(content=b'"a reply"', salt=b"salt-of-reply-16")
RESULT = NewBody(content=b'"a result"', salt=b"salt-of-result16")

I1, I2, I3 = InputId("i1"), InputId("i2"), InputId("i3")
CLAIM = ClaimId("tic:1:1")
B1, B2, B3 = BatchId("b1"), BatchId("b2"), BatchId("b3")
WORK_CLAIM = ClaimId("qwc:1:1")
EARLIEST = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY
AFTER_COMMIT = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
WAKE, REFRESH = WorkKind.PROCESS_WAKE, WorkKind.REFRESH_TOOL_CATALOG
E1, E2, E3, E4 = (EffectId(f"t1/{ordinal}") for ordinal in (1, 2, 3, 4))
ASK = ModelCall(iteration=0)
USAGE = TokenUsage(input_tokens=10, output_tokens=3, reasoning_output_tokens=1)
ANSWERED = ModelReplied(finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=USAGE)
READ = ToolCallRef(call_id=CallId("c1"), tool="read")
LIST = ToolCallRef(call_id=CallId("c2"), tool="list")
CALLED = ModelReplied(
    finish=FinishReason.TOOL_CALLS, has_content=True, tool_calls=(READ, LIST), usage=USAGE
)
RETURNED = ToolReturned()


def at(position: int) -> BodyRef:
    """Point at the first body of a fact."""
    return body_ref(Position(position))


def enqueued(
    input_id: InputId,
    sequence: int,
    *,
    source_key: str | None = None,
    ingress: ActiveTurn | NextTurn = NEXT_TURN,
    body: NewBody = HELLO,
    at_ms: int = 20,
) -> TurnInputEnqueued:
    """Say that an input was taken."""
    return TurnInputEnqueued(
        at_ms=at_ms,
        input_id=input_id,
        sequence=sequence,
        source_key=source_key,
        ingress=ingress,
        bodies=(body.commitment,),
    )


def queued(
    batch_id: BatchId,
    sequence: int,
    *kinds: WorkKind,
    source_key: str | None = None,
    delivery: DeliveryPolicy = EARLIEST,
    slot: SlotPolicy = SlotPolicy.EXCLUSIVE,
    merge_key: MergeKey = NEVER_MERGE,
    available_at_ms: int = 0,
) -> WorkEnqueued:
    """Say that a batch was taken: a wake, unless other kinds are named."""
    kinds = kinds or (WAKE,)
    return WorkEnqueued(
        at_ms=20,
        batch_id=batch_id,
        sequence=sequence,
        source_key=source_key,
        delivery=delivery,
        slot=slot,
        merge_key=merge_key,
        available_at_ms=available_at_ms,
        kinds=kinds,
        bodies=(HELLO.commitment,) * len(kinds),
    )


def work_held(
    *batch_ids: BatchId,
    fence: Fence = FENCE,
    claim_id: ClaimId = WORK_CLAIM,
    turn_id: TurnId | None = None,
) -> WorkClaimed:
    """Say that the fence's owner claimed batches, for the open turn if one is named."""
    return WorkClaimed(
        at_ms=40,
        generation=fence.generation,
        claim_id=claim_id,
        token="work-token",
        turn_id=turn_id,
        batch_ids=batch_ids,
    )


def acquired(fence: Fence = FENCE, *, at_ms: int = 30, ttl_ms: int = TTL_MS) -> LeaseAcquired:
    """Say that the fence's owner took the lease."""
    return LeaseAcquired(
        at_ms=at_ms,
        generation=fence.generation,
        owner=fence.owner,
        token=fence.token,
        ttl_ms=ttl_ms,
    )


def claimed(*input_ids: InputId, fence: Fence = FENCE) -> TurnInputsClaimed:
    """Say that the fence's owner claimed inputs, the first of which never was before."""
    return TurnInputsClaimed(
        at_ms=40,
        generation=fence.generation,
        claim_id=CLAIM,
        token="claim-token",
        input_ids=input_ids,
    )


def started(*, body: NewBody = HELLO, turn_id: TurnId = TURN, at_ms: int = 50) -> TurnStarted:
    """Say that a turn began with its own input."""
    return TurnStarted(
        at_ms=at_ms,
        generation=Generation(1),
        turn_id=turn_id,
        origin=DirectInput(),
        model_calls_max=100,
        bodies=(body.commitment,),
    )


def drained(*input_ids: InputId) -> TurnStarted:
    """Say that a turn began with pending inputs."""
    return TurnStarted(
        at_ms=50,
        generation=Generation(1),
        turn_id=TURN,
        origin=DrainedInputs(input_ids=input_ids),
        model_calls_max=100,
        bodies=(),
    )


def started_on_work(*batch_ids: BatchId) -> TurnStarted:
    """Say that a turn began with batches."""
    origin = DrainedWork(batch_ids=batch_ids)
    return attrs.evolve(started(), origin=origin, bodies=())


def call(ordinal: int, reply_position: int) -> ToolCall:
    """Ask for one of the calls of ``CALLED``."""
    ref = CALLED.tool_calls[ordinal]
    return ToolCall(call_id=ref.call_id, tool=ref.tool, reply=at(reply_position), ordinal=ordinal)


def requested(effect_id: EffectId, request: ModelCall | ToolCall) -> EffectRequested:
    """Say that the turn asked for something."""
    return EffectRequested(
        at_ms=60,
        generation=Generation(1),
        turn_id=TURN,
        effect_id=effect_id,
        request=request,
    )


def settled(
    effect_id: EffectId, outcome: EffectOutcome, body: NewBody | None = REPLY
) -> EffectSettled:
    """Say what came back."""
    return EffectSettled(
        at_ms=70,
        generation=Generation(1),
        turn_id=TURN,
        effect_id=effect_id,
        outcome=outcome,
        bodies=() if body is None else (body.commitment,),
    )


OPENED = SessionOpened(at_ms=10, session_id=SESSION, policy=POLICY)

IDLE: tuple[Event, ...] = (OPENED,)
LEASED: tuple[Event, ...] = (OPENED, acquired())
PENDING: tuple[Event, ...] = (*LEASED, enqueued(I1, 1), enqueued(I2, 2))
CLAIMED: tuple[Event, ...] = (*PENDING, claimed(I1, I2))
WORK: tuple[Event, ...] = (*LEASED, queued(B1, 1), queued(B2, 2, REFRESH))
WORK_HELD: tuple[Event, ...] = (*WORK, work_held(B1))
BEGUN: tuple[Event, ...] = (*LEASED, started())
DRAINING: tuple[Event, ...] = (*CLAIMED, drained(I1, I2))
ASKING: tuple[Event, ...] = (*BEGUN, requested(E1, ASK))
ANSWER: tuple[Event, ...] = (*ASKING, settled(E1, ANSWERED))
REPLIED: tuple[Event, ...] = (*ASKING, settled(E1, CALLED))
CALLS_AT = 4
"""The position of the reply in ``REPLIED``."""

CALLING: tuple[Event, ...] = (
    *REPLIED,
    requested(E2, call(0, CALLS_AT)),
    requested(E3, call(1, CALLS_AT)),
)
BATCH_DONE: tuple[Event, ...] = (
    *CALLING,
    settled(E3, RETURNED, RESULT),
    settled(E2, RETURNED, RESULT),
)


def node(ordinal: int, role: Role, source: NodeSource) -> Node:
    """Make a message of the turn."""
    return Node(node_id=NodeId(f"t1:m{ordinal}"), role=role, source=source)


ASKED_NODE = node(1, Role.USER, FromInputs(bodies=(at(2),)))
ANSWER_NODE = node(2, Role.ASSISTANT, FromReply(body=at(4)))
RESULTS_NODE = node(
    3,
    Role.USER,
    FromResults(
        results=(
            # The calls ended in the other order; the message has them in the order of the calls.
            ResultRef(call_id=READ.call_id, tool="read", status=ToolStatus.SUCCEEDED, body=at(8)),
            ResultRef(call_id=LIST.call_id, tool="list", status=ToolStatus.SUCCEEDED, body=at(7)),
        )
    ),
)

COMMITTED_FACT = TurnCommitted(
    at_ms=80,
    generation=Generation(1),
    turn_id=TURN,
    turn_index=1,
    revision=Revision(1),
    outcome=Finished(),
    parent=None,
    nodes=(ASKED_NODE, ANSWER_NODE),
    usage=USAGE,
    completed_input_ids=(),
    deferred_input_ids=(),
)
COMMITTED: tuple[Event, ...] = (*ANSWER, COMMITTED_FACT)
"""A whole turn: asked, answered, part of the history."""
