"""
The specification on one page: what every command comes to in every kind of state.

The tables are kept here by hand, computed from the code, and compared as text. A cell says which
fact is recorded, or which error refuses (``!``); of a fence that is not the live lease it says why
(``!fence: ...``), ``!CommitConflict`` is a ``RuntimeTurnCommitConflict``, and
``QueuedWorkClaimSuperseded`` is written without its first word. ``-`` is nothing: the wish is
fulfilled, or a race is lost, and the receipt says which.

Every command comes from Alice, under the first lease, at time 100; the turn is called t1. Where a
lease ran out, it is later.
"""

from collections.abc import Callable, Sequence
from typing import get_args

import attrs
from attrs import frozen

from lash_es.core import targets
from lash_es.core.batches import (
    NEVER_MERGE,
    DeliveryPolicy,
    SlotPolicy,
    WorkBoundary,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    BeginAnew,
    BranchToNode,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    ConfigureSession,
    ContinueTurn,
    DeleteSession,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
    ReclaimLease,
    ReleaseLease,
    RenewLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    TrimHistory,
    WithClaim,
    WithInput,
)
from lash_es.core.descriptions import DescribeSession, Description
from lash_es.core.errors import CommandRejected, SessionExecutionLeaseExpired
from lash_es.core.events import (
    Event,
    SessionParked,
    SessionTombstoned,
    TurnInputCancelled,
    TurnInputsAccepted,
)
from lash_es.core.evolve import fold
from lash_es.core.graph_commands import (
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.graph_events import NodesTombstoned
from lash_es.core.ids import EffectId, FrameId, TurnId, Version
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.messages import Role
from lash_es.core.outcomes import EffectOutcome, Finished, FrameSwitched, Stopped, StopReason
from lash_es.core.owners import ProcessGone
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.stamps import commit_hash
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WithWork,
    WorkSelection,
)
from lash_es.core.work_events import WorkCancelled
from lash_es.verify.spec import given
from tests.core.examples import (
    ALICE,
    ANSWER,
    ANSWERED,
    ASK,
    ASKED_NODE,
    ASKING,
    B1,
    B3,
    BATCH_DONE,
    BEGUN,
    BOB,
    BOBS_FENCE,
    CALLING,
    CALLS_AT,
    CLAIM,
    CLAIMED,
    COMMITTED,
    DRAINING,
    E1,
    E2,
    E4,
    FENCE,
    HELLO,
    I1,
    I2,
    I3,
    IDLE,
    LATER_MS,
    LEASED,
    PENDING,
    POLICY,
    REPLIED,
    RETURNED,
    SESSION,
    TTL_MS,
    TURN,
    WORK,
    WORK_CLAIM,
    WORK_HELD,
    acquired,
    call,
    enqueued,
    queued,
    requested,
    started,
    started_on_work,
    work_held,
)
from tests.core.test_turns import turn_of


@frozen
class Scene:
    """A kind of state. What its turn asks for next, and waits for, have names that count up."""

    history: tuple[Event, ...]
    now_ms: int = 100
    next_effect: EffectId = E1
    open_effect: EffectId = E1
    outcome: EffectOutcome = ANSWERED


LEFT_BEHIND = (*CLAIMED, queued(B1, 1), work_held(B1), started(), requested(E1, ASK))

STEERED = (*BEGUN, enqueued(I1, 1, ingress=ActiveTurn(TURN)))
ACCEPTED = TurnInputsAccepted(
    at_ms=60,
    generation=FENCE.generation,
    turn_id=TURN,
    checkpoint=Boundary.AFTER_WORK,
    claim_id=CLAIM,
    token="claim-token",
    input_ids=(I1,),
)

SCENES = {
    "NotOpened": Scene(()),
    "idle": Scene(IDLE),
    "parked": Scene((*IDLE, SessionParked(at_ms=90))),
    "Deleted": Scene((*IDLE, SessionTombstoned(at_ms=90))),
    "leased": Scene(LEASED),
    "input waits": Scene(PENDING),
    "input cancelled": Scene((*PENDING, TurnInputCancelled(at_ms=60, input_id=I1))),
    "input claimed": Scene(CLAIMED),
    "input in a turn": Scene(DRAINING),
    "turn begun": Scene(BEGUN),
    "model asked": Scene(ASKING, next_effect=E2),
    "model answered": Scene(ANSWER, next_effect=E2),
    "model wants tools": Scene(REPLIED, next_effect=E2),
    "tools asked": Scene(CALLING, next_effect=E4, open_effect=E2, outcome=RETURNED),
    "tools answered": Scene(BATCH_DONE, next_effect=E4),
    "steer waits": Scene(STEERED),
    "steer accepted": Scene((*STEERED, ACCEPTED)),
    "steer delivered": Scene((*STEERED, ACCEPTED, requested(E1, ASK)), next_effect=E2),
    "turn committed": Scene(COMMITTED),
    "work waits": Scene(WORK),
    "work claimed": Scene(WORK_HELD),
    "turn has work": Scene((*WORK_HELD, started())),
    "work taken in": Scene((*BEGUN, queued(B1, 1), work_held(B1, turn_id=TURN))),
    "turn on work": Scene((*WORK_HELD, started_on_work(B1))),
    "work finished": Scene((*WORK, WorkCancelled(at_ms=90, batch_id=B1))),
    "message hidden": Scene(
        (*COMMITTED, NodesTombstoned(at_ms=90, node_ids=(ASKED_NODE.node_id,)))
    ),
    # Of the last two, a claim and a turn with an open effect are what the owner left behind.
    "lease ran out": Scene(LEFT_BEHIND, next_effect=E2, now_ms=LATER_MS),
    "another's lease": Scene(
        (*LEFT_BEHIND, acquired(BOBS_FENCE, at_ms=LATER_MS)), next_effect=E2, now_ms=LATER_MS
    ),
}
TABLES = (
    ("NotOpened", "idle", "parked", "Deleted"),
    ("leased", "input waits"),
    ("input cancelled", "message hidden"),
    ("input claimed", "turn committed"),
    ("turn begun", "model asked"),
    ("model answered", "model wants tools"),
    ("tools asked", "tools answered"),
    ("work waits", "work claimed"),
    ("turn has work", "work finished"),
    ("work taken in", "turn on work"),
    ("steer waits", "steer accepted"),
    ("steer delivered", "input in a turn"),
    ("lease ran out", "another's lease"),
)

OTHER = SessionPolicy(provider_id="offline", model=ModelSpec(model_id="m2"))
RAN_OUT = Stopped(reason=StopReason.RUNTIME_ERROR)
T2 = TurnId("t2")
HASH = commit_hash(turn_of(fold(ANSWER)), Finished())
"""Of what is committed in ``turn committed``."""
DONE = (WorkCompletion(claim_id=WORK_CLAIM, token="work-token", batch_ids=(B1,)),)
IDLY = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=64)
THESE = TheseBatches(boundary=WorkBoundary.IDLE, batch_ids=(B1,))


def claiming(scene: Scene, selection: WorkSelection) -> ClaimWork:
    return ClaimWork(now_ms=scene.now_ms, fence=FENCE, token="work-token", selection=selection)


ROWS: dict[str, Callable[[Scene], Command]] = {
    "OpenSession": lambda s: OpenSession(now_ms=s.now_ms, session_id=SESSION, policy=POLICY),
    "OpenSession, new model": lambda s: OpenSession(
        now_ms=s.now_ms, session_id=SESSION, policy=OTHER
    ),
    "BeginAnew": lambda s: BeginAnew(now_ms=s.now_ms, session_id=SESSION, policy=OTHER),
    "ConfigureSession": lambda s: ConfigureSession(now_ms=s.now_ms, policy=OTHER),
    "DescribeSession": lambda s: DescribeSession(
        now_ms=s.now_ms, description=Description(name="Conformance Root")
    ),
    "ParkSession": lambda s: ParkSession(now_ms=s.now_ms),
    "DeleteSession": lambda s: DeleteSession(now_ms=s.now_ms),
    "TrimHistory": lambda s: TrimHistory(
        now_ms=s.now_ms, below=Version(len(s.history)), digest="", bodies=()
    ),
    "AcquireLease": lambda s: AcquireLease(
        now_ms=s.now_ms, owner=ALICE, token="token", ttl_ms=TTL_MS
    ),
    "ReclaimLease": lambda s: ReclaimLease(
        now_ms=s.now_ms,
        owner=BOB,
        token="bob-token",
        ttl_ms=TTL_MS,
        observed=FENCE,
        sight=ProcessGone(),
    ),
    "RenewLease": lambda s: RenewLease(now_ms=s.now_ms, fence=FENCE, ttl_ms=TTL_MS),
    "ReleaseLease": lambda s: ReleaseLease(now_ms=s.now_ms, fence=FENCE),
    "EnqueueTurnInput": lambda s: EnqueueTurnInput(
        now_ms=s.now_ms, input_id=I3, source_key="k", ingress=NextTurn(), body=HELLO
    ),
    "ClaimTurnInputs": lambda s: ClaimTurnInputs(
        now_ms=s.now_ms, fence=FENCE, token="claim-token", inputs_max=64
    ),
    "ClaimActiveTurnInputs": lambda s: ClaimActiveTurnInputs(
        now_ms=s.now_ms,
        fence=FENCE,
        token="claim-token",
        turn_id=TURN,
        checkpoint=Boundary.BEFORE_COMPLETION,
        inputs_max=64,
    ),
    "AbandonTurnInputClaim": lambda s: AbandonTurnInputClaim(
        now_ms=s.now_ms, claim_id=CLAIM, token="claim-token"
    ),
    "CancelTurnInput": lambda s: CancelTurnInput(now_ms=s.now_ms, input_id=I1),
    "CancelTurnInputs": lambda s: CancelTurnInputs(
        now_ms=s.now_ms, targets=(targets.InputId(I1), targets.InputId(I2))
    ),
    "CancelTurnInputSuffix": lambda s: CancelTurnInputSuffix(
        now_ms=s.now_ms, anchor=targets.InputId(I1)
    ),
    "StartTurn": lambda s: StartTurn(
        now_ms=s.now_ms, fence=FENCE, turn_id=TURN, source=WithInput(body=HELLO)
    ),
    "StartTurn, t2": lambda s: StartTurn(
        now_ms=s.now_ms, fence=FENCE, turn_id=T2, source=WithInput(body=HELLO)
    ),
    "StartTurn, t2, claim": lambda s: StartTurn(
        now_ms=s.now_ms,
        fence=FENCE,
        turn_id=T2,
        source=WithClaim(claim_id=CLAIM, token="claim-token"),
    ),
    "StartTurn, t2, work": lambda s: StartTurn(
        now_ms=s.now_ms,
        fence=FENCE,
        turn_id=T2,
        source=WithWork(claim_id=WORK_CLAIM, token="work-token"),
    ),
    "ContinueTurn": lambda s: ContinueTurn(now_ms=s.now_ms, fence=FENCE, turn_id=TURN),
    "RequestEffect, model": lambda s: RequestEffect(
        now_ms=s.now_ms, fence=FENCE, turn_id=TURN, effect_id=s.next_effect, request=ASK
    ),
    "RequestEffect, tool": lambda s: RequestEffect(
        now_ms=s.now_ms,
        fence=FENCE,
        turn_id=TURN,
        effect_id=s.next_effect,
        request=call(0, CALLS_AT),
    ),
    "SettleEffect": lambda s: SettleEffect(
        now_ms=s.now_ms,
        fence=FENCE,
        turn_id=TURN,
        effect_id=s.open_effect,
        outcome=s.outcome,
        body=HELLO,
    ),
    "CommitTurn": lambda s: CommitTurn(
        now_ms=s.now_ms, fence=FENCE, turn_id=TURN, outcome=Finished()
    ),
    "CommitTurn, hash": lambda s: CommitTurn(
        now_ms=s.now_ms,
        fence=FENCE,
        turn_id=TURN,
        outcome=Finished(),
        commit_hash=HASH,
    ),
    "CommitTurn, work": lambda s: CommitTurn(
        now_ms=s.now_ms, fence=FENCE, turn_id=TURN, outcome=Finished(), work_completions=DONE
    ),
    "CommitTurn, frame": lambda s: CommitTurn(
        now_ms=s.now_ms, fence=FENCE, turn_id=TURN, outcome=FrameSwitched(frame_id=FrameId("f1"))
    ),
    "BranchToNode": lambda s: BranchToNode(
        now_ms=s.now_ms, fence=FENCE, parent=None, nodes=(ASKED_NODE,)
    ),
    "BranchToNode, root": lambda s: BranchToNode(
        now_ms=s.now_ms, fence=FENCE, parent=None, nodes=()
    ),
    "EndTurn": lambda s: EndTurn(now_ms=s.now_ms, fence=FENCE, turn_id=TURN, outcome=RAN_OUT),
    "EnqueueWork": lambda s: EnqueueWork(
        now_ms=s.now_ms,
        batch_id=B3,
        source_key="w",
        delivery=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot=SlotPolicy.EXCLUSIVE,
        merge_key=NEVER_MERGE,
        available_at_ms=0,
        kinds=(WorkKind.PROCESS_WAKE,),
        bodies=(HELLO,),
    ),
    "ClaimWork, command": lambda s: claiming(s, LeadingCommand()),
    "ClaimWork, turn work": lambda s: claiming(s, IDLY),
    "ClaimWork, into turn": lambda s: claiming(s, attrs.evolve(IDLY, turn_id=TURN)),
    "ClaimWork, these": lambda s: claiming(s, THESE),
    "CompleteWork": lambda s: CompleteWork(now_ms=s.now_ms, fence=FENCE, completions=DONE),
    "AbandonWorkClaim": lambda s: AbandonWorkClaim(
        now_ms=s.now_ms, claim_id=WORK_CLAIM, token="work-token"
    ),
    "CancelWork": lambda s: CancelWork(now_ms=s.now_ms, batch_id=B1),
    "OpenFrame": lambda s: OpenFrame(
        now_ms=s.now_ms, fence=FENCE, frame_id=FrameId("f1"), reason="compaction"
    ),
    "AppendNodes": lambda s: AppendNodes(
        now_ms=s.now_ms, fence=FENCE, name="an1", nodes=(NewNode(role=Role.USER, body=HELLO),)
    ),
    "TombstoneNodes": lambda s: TombstoneNodes(now_ms=s.now_ms, node_ids=(ASKED_NODE.node_id,)),
    "MaintainSession": lambda s: MaintainSession(now_ms=s.now_ms),
}

MATRIX = """
                       | NotOpened       | idle              | parked            | Deleted
OpenSession            | SessionOpened   | -                 | -                 | !SessionDeleted
OpenSession, new model | SessionOpened   | SessionConfigured | SessionConfigured | !SessionDeleted
BeginAnew              | SessionOpened   | SessionBegunAnew  | SessionBegunAnew  | !SessionDeleted
ConfigureSession       | !SessionNotOpen | SessionConfigured | SessionConfigured | !SessionDeleted
DescribeSession        | !SessionNotOpen | SessionDescribed  | -                 | !SessionDeleted
ParkSession            | !SessionNotOpen | SessionParked     | -                 | !SessionDeleted
DeleteSession          | !SessionNotOpen | SessionTombstoned | SessionTombstoned | !SessionDeleted
TrimHistory            | !SessionNotOpen | HistoryTrimmed    | HistoryTrimmed    | HistoryTrimmed
AcquireLease           | !SessionNotOpen | LeaseAcquired     | LeaseAcquired     | !SessionDeleted
ReclaimLease           | !SessionNotOpen | LeaseAcquired     | LeaseAcquired     | !SessionDeleted
RenewLease             | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ReleaseLease           | !SessionNotOpen | -                 | -                 | !SessionDeleted
EnqueueTurnInput       | !SessionNotOpen | TurnInputEnqueued | TurnInputEnqueued | !SessionDeleted
ClaimTurnInputs        | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ClaimActiveTurnInputs  | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
AbandonTurnInputClaim  | !SessionNotOpen | -                 | -                 | !SessionDeleted
CancelTurnInput        | !SessionNotOpen | -                 | -                 | !SessionDeleted
CancelTurnInputs       | !SessionNotOpen | -                 | -                 | !SessionDeleted
CancelTurnInputSuffix  | !SessionNotOpen | -                 | -                 | !SessionDeleted
StartTurn              | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
StartTurn, t2          | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
StartTurn, t2, claim   | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
StartTurn, t2, work    | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ContinueTurn           | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
RequestEffect, model   | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
RequestEffect, tool    | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
SettleEffect           | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
CommitTurn             | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
CommitTurn, hash       | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
CommitTurn, work       | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
CommitTurn, frame      | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
BranchToNode           | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
BranchToNode, root     | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
EndTurn                | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
EnqueueWork            | !SessionNotOpen | WorkEnqueued      | WorkEnqueued      | !SessionDeleted
ClaimWork, command     | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ClaimWork, turn work   | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ClaimWork, into turn   | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
ClaimWork, these       | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
CompleteWork           | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
AbandonWorkClaim       | !SessionNotOpen | -                 | -                 | !SessionDeleted
CancelWork             | !SessionNotOpen | -                 | -                 | !SessionDeleted
OpenFrame              | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
AppendNodes            | !SessionNotOpen | !fence: free      | !fence: free      | !SessionDeleted
TombstoneNodes         | !SessionNotOpen | -                 | -                 | !SessionDeleted
MaintainSession        | !SessionNotOpen | -                 | -                 | !SessionDeleted

                       | leased                    | input waits
OpenSession            | -                         | -
OpenSession, new model | SessionConfigured         | SessionConfigured
BeginAnew              | SessionBegunAnew          | SessionBegunAnew
ConfigureSession       | SessionConfigured         | SessionConfigured
DescribeSession        | -                         | -
ParkSession            | SessionParked             | SessionParked
DeleteSession          | SessionTombstoned         | SessionTombstoned
TrimHistory            | !TrimHeldBack             | !TrimHeldBack
AcquireLease           | LeaseRenewed              | LeaseRenewed
ReclaimLease           | -                         | -
RenewLease             | LeaseRenewed              | LeaseRenewed
ReleaseLease           | LeaseReleased             | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued         | TurnInputEnqueued
ClaimTurnInputs        | -                         | TurnInputsClaimed
ClaimActiveTurnInputs  | !TurnNotOpen              | !TurnNotOpen
AbandonTurnInputClaim  | -                         | -
CancelTurnInput        | -                         | TurnInputCancelled
CancelTurnInputs       | -                         | TurnInputsCancelled
CancelTurnInputSuffix  | -                         | TurnInputsCancelled
StartTurn              | TurnStarted               | TurnStarted
StartTurn, t2          | TurnStarted               | TurnStarted
StartTurn, t2, claim   | !TurnInputClaimSuperseded | !TurnInputClaimSuperseded
StartTurn, t2, work    | !WorkClaimSuperseded      | !WorkClaimSuperseded
ContinueTurn           | !TurnNotOpen              | !TurnNotOpen
RequestEffect, model   | !TurnNotOpen              | !TurnNotOpen
RequestEffect, tool    | !TurnNotOpen              | !TurnNotOpen
SettleEffect           | !TurnNotOpen              | !TurnNotOpen
CommitTurn             | !TurnNotOpen              | !TurnNotOpen
CommitTurn, hash       | !TurnNotOpen              | !TurnNotOpen
CommitTurn, work       | !TurnNotOpen              | !TurnNotOpen
CommitTurn, frame      | !TurnNotOpen              | !TurnNotOpen
BranchToNode           | !NodeNotFound             | !NodeNotFound
BranchToNode, root     | -                         | -
EndTurn                | !TurnNotOpen              | !TurnNotOpen
EnqueueWork            | WorkEnqueued              | WorkEnqueued
ClaimWork, command     | -                         | -
ClaimWork, turn work   | -                         | -
ClaimWork, into turn   | !TurnNotOpen              | !TurnNotOpen
ClaimWork, these       | -                         | -
CompleteWork           | !WorkClaimSuperseded      | !WorkClaimSuperseded
AbandonWorkClaim       | -                         | -
CancelWork             | -                         | -
OpenFrame              | FrameOpened               | FrameOpened
AppendNodes            | NodesAppended             | NodesAppended
TombstoneNodes         | -                         | -
MaintainSession        | -                         | -

                       | input cancelled           | message hidden
OpenSession            | -                         | -
OpenSession, new model | SessionConfigured         | SessionConfigured
BeginAnew              | SessionBegunAnew          | SessionBegunAnew
ConfigureSession       | SessionConfigured         | SessionConfigured
DescribeSession        | -                         | -
ParkSession            | SessionParked             | SessionParked
DeleteSession          | SessionTombstoned         | SessionTombstoned
TrimHistory            | !TrimHeldBack             | !TrimHeldBack
AcquireLease           | LeaseRenewed              | LeaseRenewed
ReclaimLease           | -                         | -
RenewLease             | LeaseRenewed              | LeaseRenewed
ReleaseLease           | LeaseReleased             | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued         | TurnInputEnqueued
ClaimTurnInputs        | TurnInputsClaimed         | -
ClaimActiveTurnInputs  | !TurnNotOpen              | !TurnNotOpen
AbandonTurnInputClaim  | -                         | -
CancelTurnInput        | -                         | -
CancelTurnInputs       | TurnInputsCancelled       | -
CancelTurnInputSuffix  | TurnInputsCancelled       | -
StartTurn              | TurnStarted               | -
StartTurn, t2          | TurnStarted               | TurnStarted
StartTurn, t2, claim   | !TurnInputClaimSuperseded | !TurnInputClaimSuperseded
StartTurn, t2, work    | !WorkClaimSuperseded      | !WorkClaimSuperseded
ContinueTurn           | !TurnNotOpen              | !TurnNotOpen
RequestEffect, model   | !TurnNotOpen              | !TurnNotOpen
RequestEffect, tool    | !TurnNotOpen              | !TurnNotOpen
SettleEffect           | !TurnNotOpen              | !TurnNotOpen
CommitTurn             | !TurnNotOpen              | !TurnNotOpen
CommitTurn, hash       | !TurnNotOpen              | -
CommitTurn, work       | !TurnNotOpen              | !TurnNotOpen
CommitTurn, frame      | !TurnNotOpen              | !TurnNotOpen
BranchToNode           | !NodeNotFound             | LeafMoved
BranchToNode, root     | -                         | LeafMoved
EndTurn                | !TurnNotOpen              | !TurnNotOpen
EnqueueWork            | WorkEnqueued              | WorkEnqueued
ClaimWork, command     | -                         | -
ClaimWork, turn work   | -                         | -
ClaimWork, into turn   | !TurnNotOpen              | !TurnNotOpen
ClaimWork, these       | -                         | -
CompleteWork           | !WorkClaimSuperseded      | !WorkClaimSuperseded
AbandonWorkClaim       | -                         | -
CancelWork             | -                         | -
OpenFrame              | FrameOpened               | FrameOpened
AppendNodes            | NodesAppended             | NodesAppended
TombstoneNodes         | -                         | -
MaintainSession        | TurnInputTombstonesPruned | NodesForgotten

                       | input claimed           | turn committed
OpenSession            | -                       | -
OpenSession, new model | SessionConfigured       | SessionConfigured
BeginAnew              | SessionBegunAnew        | SessionBegunAnew
ConfigureSession       | SessionConfigured       | SessionConfigured
DescribeSession        | -                       | -
ParkSession            | SessionParked           | SessionParked
DeleteSession          | SessionTombstoned       | SessionTombstoned
TrimHistory            | !TrimHeldBack           | !TrimHeldBack
AcquireLease           | LeaseRenewed            | LeaseRenewed
ReclaimLease           | -                       | -
RenewLease             | LeaseRenewed            | LeaseRenewed
ReleaseLease           | LeaseReleased           | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued       | TurnInputEnqueued
ClaimTurnInputs        | -                       | -
ClaimActiveTurnInputs  | !TurnNotOpen            | !TurnNotOpen
AbandonTurnInputClaim  | TurnInputClaimAbandoned | -
CancelTurnInput        | -                       | -
CancelTurnInputs       | -                       | -
CancelTurnInputSuffix  | -                       | -
StartTurn              | TurnStarted             | -
StartTurn, t2          | TurnStarted             | TurnStarted
StartTurn, t2, claim   | TurnStarted             | !TurnInputClaimSuperseded
StartTurn, t2, work    | !WorkClaimSuperseded    | !WorkClaimSuperseded
ContinueTurn           | !TurnNotOpen            | !TurnNotOpen
RequestEffect, model   | !TurnNotOpen            | !TurnNotOpen
RequestEffect, tool    | !TurnNotOpen            | !TurnNotOpen
SettleEffect           | !TurnNotOpen            | !TurnNotOpen
CommitTurn             | !TurnNotOpen            | !TurnNotOpen
CommitTurn, hash       | !TurnNotOpen            | -
CommitTurn, work       | !TurnNotOpen            | !TurnNotOpen
CommitTurn, frame      | !TurnNotOpen            | !TurnNotOpen
BranchToNode           | !NodeNotFound           | LeafMoved
BranchToNode, root     | -                       | LeafMoved
EndTurn                | !TurnNotOpen            | !TurnNotOpen
EnqueueWork            | WorkEnqueued            | WorkEnqueued
ClaimWork, command     | -                       | -
ClaimWork, turn work   | -                       | -
ClaimWork, into turn   | !TurnNotOpen            | !TurnNotOpen
ClaimWork, these       | -                       | -
CompleteWork           | !WorkClaimSuperseded    | !WorkClaimSuperseded
AbandonWorkClaim       | -                       | -
CancelWork             | -                       | -
OpenFrame              | FrameOpened             | FrameOpened
AppendNodes            | NodesAppended           | NodesAppended
TombstoneNodes         | -                       | NodesTombstoned
MaintainSession        | -                       | -

                       | turn begun                 | model asked
OpenSession            | -                          | -
OpenSession, new model | SessionConfigured          | SessionConfigured
BeginAnew              | !BusyWithTurn              | !BusyWithTurn
ConfigureSession       | SessionConfigured          | SessionConfigured
DescribeSession        | -                          | -
ParkSession            | SessionParked              | SessionParked
DeleteSession          | SessionTombstoned          | SessionTombstoned
TrimHistory            | !TrimHeldBack              | !TrimHeldBack
AcquireLease           | LeaseRenewed               | LeaseRenewed
ReclaimLease           | -                          | -
RenewLease             | LeaseRenewed               | LeaseRenewed
ReleaseLease           | LeaseReleased              | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued          | TurnInputEnqueued
ClaimTurnInputs        | -                          | -
ClaimActiveTurnInputs  | -                          | -
AbandonTurnInputClaim  | -                          | -
CancelTurnInput        | -                          | -
CancelTurnInputs       | -                          | -
CancelTurnInputSuffix  | -                          | -
StartTurn              | -                          | -
StartTurn, t2          | !TurnInProgress            | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress            | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress            | !TurnInProgress
ContinueTurn           | -                          | TurnContinued
RequestEffect, model   | EffectRequested            | !EffectRequestRefused
RequestEffect, tool    | !EffectRequestRefused      | !EffectRequestRefused
SettleEffect           | !EffectNotOpen             | EffectSettled
CommitTurn             | TurnCommitted              | !EffectsUnsettled
CommitTurn, hash       | !CommitConflict            | !EffectsUnsettled
CommitTurn, work       | !WorkClaimSuperseded       | !EffectsUnsettled
CommitTurn, frame      | TurnCommitted, FrameOpened | !EffectsUnsettled
BranchToNode           | !BusyWithTurn              | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn              | !BusyWithTurn
EndTurn                | TurnEnded                  | !EffectsUnsettled
EnqueueWork            | WorkEnqueued               | WorkEnqueued
ClaimWork, command     | -                          | -
ClaimWork, turn work   | -                          | -
ClaimWork, into turn   | -                          | -
ClaimWork, these       | -                          | -
CompleteWork           | !WorkClaimSuperseded       | !WorkClaimSuperseded
AbandonWorkClaim       | -                          | -
CancelWork             | -                          | -
OpenFrame              | !BusyWithTurn              | !BusyWithTurn
AppendNodes            | NodesAppended              | NodesAppended
TombstoneNodes         | -                          | -
MaintainSession        | -                          | -

                       | model answered             | model wants tools
OpenSession            | -                          | -
OpenSession, new model | SessionConfigured          | SessionConfigured
BeginAnew              | !BusyWithTurn              | !BusyWithTurn
ConfigureSession       | SessionConfigured          | SessionConfigured
DescribeSession        | -                          | -
ParkSession            | SessionParked              | SessionParked
DeleteSession          | SessionTombstoned          | SessionTombstoned
TrimHistory            | !TrimHeldBack              | !TrimHeldBack
AcquireLease           | LeaseRenewed               | LeaseRenewed
ReclaimLease           | -                          | -
RenewLease             | LeaseRenewed               | LeaseRenewed
ReleaseLease           | LeaseReleased              | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued          | TurnInputEnqueued
ClaimTurnInputs        | -                          | -
ClaimActiveTurnInputs  | -                          | -
AbandonTurnInputClaim  | -                          | -
CancelTurnInput        | -                          | -
CancelTurnInputs       | -                          | -
CancelTurnInputSuffix  | -                          | -
StartTurn              | -                          | -
StartTurn, t2          | !TurnInProgress            | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress            | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress            | !TurnInProgress
ContinueTurn           | -                          | -
RequestEffect, model   | EffectRequested            | !EffectRequestRefused
RequestEffect, tool    | !EffectRequestRefused      | EffectRequested
SettleEffect           | !EffectNotOpen             | !EffectNotOpen
CommitTurn             | TurnCommitted              | TurnCommitted
CommitTurn, hash       | TurnCommitted              | TurnCommitted
CommitTurn, work       | !WorkClaimSuperseded       | !WorkClaimSuperseded
CommitTurn, frame      | TurnCommitted, FrameOpened | TurnCommitted, FrameOpened
BranchToNode           | !BusyWithTurn              | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn              | !BusyWithTurn
EndTurn                | TurnEnded                  | TurnEnded
EnqueueWork            | WorkEnqueued               | WorkEnqueued
ClaimWork, command     | -                          | -
ClaimWork, turn work   | -                          | -
ClaimWork, into turn   | -                          | -
ClaimWork, these       | -                          | -
CompleteWork           | !WorkClaimSuperseded       | !WorkClaimSuperseded
AbandonWorkClaim       | -                          | -
CancelWork             | -                          | -
OpenFrame              | !BusyWithTurn              | !BusyWithTurn
AppendNodes            | NodesAppended              | NodesAppended
TombstoneNodes         | -                          | -
MaintainSession        | -                          | -

                       | tools asked           | tools answered
OpenSession            | -                     | -
OpenSession, new model | SessionConfigured     | SessionConfigured
BeginAnew              | !BusyWithTurn         | !BusyWithTurn
ConfigureSession       | SessionConfigured     | SessionConfigured
DescribeSession        | -                     | -
ParkSession            | SessionParked         | SessionParked
DeleteSession          | SessionTombstoned     | SessionTombstoned
TrimHistory            | !TrimHeldBack         | !TrimHeldBack
AcquireLease           | LeaseRenewed          | LeaseRenewed
ReclaimLease           | -                     | -
RenewLease             | LeaseRenewed          | LeaseRenewed
ReleaseLease           | LeaseReleased         | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued     | TurnInputEnqueued
ClaimTurnInputs        | -                     | -
ClaimActiveTurnInputs  | -                     | -
AbandonTurnInputClaim  | -                     | -
CancelTurnInput        | -                     | -
CancelTurnInputs       | -                     | -
CancelTurnInputSuffix  | -                     | -
StartTurn              | -                     | -
StartTurn, t2          | !TurnInProgress       | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress       | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress       | !TurnInProgress
ContinueTurn           | TurnContinued         | -
RequestEffect, model   | !EffectRequestRefused | EffectRequested
RequestEffect, tool    | !EffectRequestRefused | !EffectRequestRefused
SettleEffect           | EffectSettled         | !EffectNotOpen
CommitTurn             | !EffectsUnsettled     | TurnCommitted
CommitTurn, hash       | !EffectsUnsettled     | !CommitConflict
CommitTurn, work       | !EffectsUnsettled     | !WorkClaimSuperseded
CommitTurn, frame      | !EffectsUnsettled     | TurnCommitted, FrameOpened
BranchToNode           | !BusyWithTurn         | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn         | !BusyWithTurn
EndTurn                | !EffectsUnsettled     | TurnEnded
EnqueueWork            | WorkEnqueued          | WorkEnqueued
ClaimWork, command     | -                     | -
ClaimWork, turn work   | -                     | -
ClaimWork, into turn   | -                     | -
ClaimWork, these       | -                     | -
CompleteWork           | !WorkClaimSuperseded  | !WorkClaimSuperseded
AbandonWorkClaim       | -                     | -
CancelWork             | -                     | -
OpenFrame              | !BusyWithTurn         | !BusyWithTurn
AppendNodes            | NodesAppended         | NodesAppended
TombstoneNodes         | -                     | -
MaintainSession        | -                     | -

                       | work waits                | work claimed
OpenSession            | -                         | -
OpenSession, new model | SessionConfigured         | SessionConfigured
BeginAnew              | SessionBegunAnew          | SessionBegunAnew
ConfigureSession       | SessionConfigured         | SessionConfigured
DescribeSession        | -                         | -
ParkSession            | SessionParked             | SessionParked
DeleteSession          | SessionTombstoned         | SessionTombstoned
TrimHistory            | !TrimHeldBack             | !TrimHeldBack
AcquireLease           | LeaseRenewed              | LeaseRenewed
ReclaimLease           | -                         | -
RenewLease             | LeaseRenewed              | LeaseRenewed
ReleaseLease           | LeaseReleased             | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued         | TurnInputEnqueued
ClaimTurnInputs        | -                         | -
ClaimActiveTurnInputs  | !TurnNotOpen              | !TurnNotOpen
AbandonTurnInputClaim  | -                         | -
CancelTurnInput        | -                         | -
CancelTurnInputs       | -                         | -
CancelTurnInputSuffix  | -                         | -
StartTurn              | TurnStarted               | TurnStarted
StartTurn, t2          | TurnStarted               | TurnStarted
StartTurn, t2, claim   | !TurnInputClaimSuperseded | !TurnInputClaimSuperseded
StartTurn, t2, work    | !WorkClaimSuperseded      | TurnStarted
ContinueTurn           | !TurnNotOpen              | !TurnNotOpen
RequestEffect, model   | !TurnNotOpen              | !TurnNotOpen
RequestEffect, tool    | !TurnNotOpen              | !TurnNotOpen
SettleEffect           | !TurnNotOpen              | !TurnNotOpen
CommitTurn             | !TurnNotOpen              | !TurnNotOpen
CommitTurn, hash       | !TurnNotOpen              | !TurnNotOpen
CommitTurn, work       | !TurnNotOpen              | !TurnNotOpen
CommitTurn, frame      | !TurnNotOpen              | !TurnNotOpen
BranchToNode           | !NodeNotFound             | !NodeNotFound
BranchToNode, root     | -                         | -
EndTurn                | !TurnNotOpen              | !TurnNotOpen
EnqueueWork            | WorkEnqueued              | WorkEnqueued
ClaimWork, command     | -                         | WorkClaimed
ClaimWork, turn work   | WorkClaimed               | -
ClaimWork, into turn   | !TurnNotOpen              | !TurnNotOpen
ClaimWork, these       | WorkClaimed               | -
CompleteWork           | !WorkClaimSuperseded      | WorkCompleted
AbandonWorkClaim       | -                         | WorkClaimAbandoned
CancelWork             | WorkCancelled             | -
OpenFrame              | FrameOpened               | FrameOpened
AppendNodes            | NodesAppended             | NodesAppended
TombstoneNodes         | -                         | -
MaintainSession        | -                         | -

                       | turn has work                | work finished
OpenSession            | -                            | -
OpenSession, new model | SessionConfigured            | SessionConfigured
BeginAnew              | !BusyWithTurn                | SessionBegunAnew
ConfigureSession       | SessionConfigured            | SessionConfigured
DescribeSession        | -                            | -
ParkSession            | SessionParked                | SessionParked
DeleteSession          | SessionTombstoned            | SessionTombstoned
TrimHistory            | !TrimHeldBack                | !TrimHeldBack
AcquireLease           | LeaseRenewed                 | LeaseRenewed
ReclaimLease           | -                            | -
RenewLease             | LeaseRenewed                 | LeaseRenewed
ReleaseLease           | LeaseReleased                | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued            | TurnInputEnqueued
ClaimTurnInputs        | -                            | -
ClaimActiveTurnInputs  | -                            | !TurnNotOpen
AbandonTurnInputClaim  | -                            | -
CancelTurnInput        | -                            | -
CancelTurnInputs       | -                            | -
CancelTurnInputSuffix  | -                            | -
StartTurn              | -                            | TurnStarted
StartTurn, t2          | !TurnInProgress              | TurnStarted
StartTurn, t2, claim   | !TurnInProgress              | !TurnInputClaimSuperseded
StartTurn, t2, work    | !TurnInProgress              | !WorkClaimSuperseded
ContinueTurn           | -                            | !TurnNotOpen
RequestEffect, model   | EffectRequested              | !TurnNotOpen
RequestEffect, tool    | !EffectRequestRefused        | !TurnNotOpen
SettleEffect           | !EffectNotOpen               | !TurnNotOpen
CommitTurn             | TurnCommitted                | !TurnNotOpen
CommitTurn, hash       | !CommitConflict              | !TurnNotOpen
CommitTurn, work       | WorkCompleted, TurnCommitted | !TurnNotOpen
CommitTurn, frame      | TurnCommitted, FrameOpened   | !TurnNotOpen
BranchToNode           | !BusyWithTurn                | !NodeNotFound
BranchToNode, root     | !BusyWithTurn                | -
EndTurn                | TurnEnded                    | !TurnNotOpen
EnqueueWork            | WorkEnqueued                 | WorkEnqueued
ClaimWork, command     | WorkClaimed                  | WorkClaimed
ClaimWork, turn work   | -                            | -
ClaimWork, into turn   | -                            | !TurnNotOpen
ClaimWork, these       | -                            | -
CompleteWork           | WorkCompleted                | !WorkClaimSuperseded
AbandonWorkClaim       | WorkClaimAbandoned           | -
CancelWork             | -                            | -
OpenFrame              | !BusyWithTurn                | FrameOpened
AppendNodes            | NodesAppended                | NodesAppended
TombstoneNodes         | -                            | -
MaintainSession        | -                            | FinishedWorkPruned

                       | work taken in                | turn on work
OpenSession            | -                            | -
OpenSession, new model | SessionConfigured            | SessionConfigured
BeginAnew              | !BusyWithTurn                | !BusyWithTurn
ConfigureSession       | SessionConfigured            | SessionConfigured
DescribeSession        | -                            | -
ParkSession            | SessionParked                | SessionParked
DeleteSession          | SessionTombstoned            | SessionTombstoned
TrimHistory            | !TrimHeldBack                | !TrimHeldBack
AcquireLease           | LeaseRenewed                 | LeaseRenewed
ReclaimLease           | -                            | -
RenewLease             | LeaseRenewed                 | LeaseRenewed
ReleaseLease           | LeaseReleased                | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued            | TurnInputEnqueued
ClaimTurnInputs        | -                            | -
ClaimActiveTurnInputs  | -                            | -
AbandonTurnInputClaim  | -                            | -
CancelTurnInput        | -                            | -
CancelTurnInputs       | -                            | -
CancelTurnInputSuffix  | -                            | -
StartTurn              | -                            | !TurnIdConflict
StartTurn, t2          | !TurnInProgress              | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress              | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress              | !TurnInProgress
ContinueTurn           | -                            | -
RequestEffect, model   | EffectRequested              | EffectRequested
RequestEffect, tool    | !EffectRequestRefused        | !EffectRequestRefused
SettleEffect           | !EffectNotOpen               | !EffectNotOpen
CommitTurn             | TurnCommitted                | WorkCompleted, TurnCommitted
CommitTurn, hash       | !CommitConflict              | !CommitConflict
CommitTurn, work       | WorkCompleted, TurnCommitted | WorkCompleted, TurnCommitted
CommitTurn, frame      | TurnCommitted, FrameOpened   | WorkCompleted, TurnCommitted, FrameOpened
BranchToNode           | !BusyWithTurn                | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn                | !BusyWithTurn
EndTurn                | TurnEnded                    | TurnEnded
EnqueueWork            | WorkEnqueued                 | WorkEnqueued
ClaimWork, command     | -                            | WorkClaimed
ClaimWork, turn work   | -                            | -
ClaimWork, into turn   | -                            | -
ClaimWork, these       | -                            | -
CompleteWork           | WorkCompleted                | WorkCompleted
AbandonWorkClaim       | WorkClaimAbandoned           | -
CancelWork             | -                            | -
OpenFrame              | !BusyWithTurn                | !BusyWithTurn
AppendNodes            | NodesAppended                | NodesAppended
TombstoneNodes         | -                            | -
MaintainSession        | -                            | -

                       | steer waits                | steer accepted
OpenSession            | -                          | -
OpenSession, new model | SessionConfigured          | SessionConfigured
BeginAnew              | !BusyWithTurn              | !BusyWithTurn
ConfigureSession       | SessionConfigured          | SessionConfigured
DescribeSession        | -                          | -
ParkSession            | SessionParked              | SessionParked
DeleteSession          | SessionTombstoned          | SessionTombstoned
TrimHistory            | !TrimHeldBack              | !TrimHeldBack
AcquireLease           | LeaseRenewed               | LeaseRenewed
ReclaimLease           | -                          | -
RenewLease             | LeaseRenewed               | LeaseRenewed
ReleaseLease           | LeaseReleased              | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued          | TurnInputEnqueued
ClaimTurnInputs        | -                          | -
ClaimActiveTurnInputs  | TurnInputsAccepted         | -
AbandonTurnInputClaim  | -                          | TurnInputClaimAbandoned
CancelTurnInput        | TurnInputCancelled         | -
CancelTurnInputs       | TurnInputsCancelled        | -
CancelTurnInputSuffix  | TurnInputsCancelled        | -
StartTurn              | -                          | -
StartTurn, t2          | !TurnInProgress            | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress            | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress            | !TurnInProgress
ContinueTurn           | -                          | -
RequestEffect, model   | EffectRequested            | EffectRequested
RequestEffect, tool    | !EffectRequestRefused      | !EffectRequestRefused
SettleEffect           | !EffectNotOpen             | !EffectNotOpen
CommitTurn             | TurnCommitted              | TurnCommitted
CommitTurn, hash       | !CommitConflict            | !CommitConflict
CommitTurn, work       | !WorkClaimSuperseded       | !WorkClaimSuperseded
CommitTurn, frame      | TurnCommitted, FrameOpened | TurnCommitted, FrameOpened
BranchToNode           | !BusyWithTurn              | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn              | !BusyWithTurn
EndTurn                | TurnEnded                  | TurnEnded
EnqueueWork            | WorkEnqueued               | WorkEnqueued
ClaimWork, command     | -                          | -
ClaimWork, turn work   | -                          | -
ClaimWork, into turn   | -                          | -
ClaimWork, these       | -                          | -
CompleteWork           | !WorkClaimSuperseded       | !WorkClaimSuperseded
AbandonWorkClaim       | -                          | -
CancelWork             | -                          | -
OpenFrame              | !BusyWithTurn              | !BusyWithTurn
AppendNodes            | NodesAppended              | NodesAppended
TombstoneNodes         | -                          | -
MaintainSession        | -                          | -

                       | steer delivered       | input in a turn
OpenSession            | -                     | -
OpenSession, new model | SessionConfigured     | SessionConfigured
BeginAnew              | !BusyWithTurn         | !BusyWithTurn
ConfigureSession       | SessionConfigured     | SessionConfigured
DescribeSession        | -                     | -
ParkSession            | SessionParked         | SessionParked
DeleteSession          | SessionTombstoned     | SessionTombstoned
TrimHistory            | !TrimHeldBack         | !TrimHeldBack
AcquireLease           | LeaseRenewed          | LeaseRenewed
ReclaimLease           | -                     | -
RenewLease             | LeaseRenewed          | LeaseRenewed
ReleaseLease           | LeaseReleased         | LeaseReleased
EnqueueTurnInput       | TurnInputEnqueued     | TurnInputEnqueued
ClaimTurnInputs        | -                     | -
ClaimActiveTurnInputs  | -                     | -
AbandonTurnInputClaim  | -                     | -
CancelTurnInput        | -                     | -
CancelTurnInputs       | -                     | -
CancelTurnInputSuffix  | -                     | -
StartTurn              | -                     | !TurnIdConflict
StartTurn, t2          | !TurnInProgress       | !TurnInProgress
StartTurn, t2, claim   | !TurnInProgress       | !TurnInProgress
StartTurn, t2, work    | !TurnInProgress       | !TurnInProgress
ContinueTurn           | TurnContinued         | -
RequestEffect, model   | !EffectRequestRefused | EffectRequested
RequestEffect, tool    | !EffectRequestRefused | !EffectRequestRefused
SettleEffect           | EffectSettled         | !EffectNotOpen
CommitTurn             | !EffectsUnsettled     | TurnCommitted
CommitTurn, hash       | !EffectsUnsettled     | !CommitConflict
CommitTurn, work       | !EffectsUnsettled     | !WorkClaimSuperseded
CommitTurn, frame      | !EffectsUnsettled     | TurnCommitted, FrameOpened
BranchToNode           | !BusyWithTurn         | !BusyWithTurn
BranchToNode, root     | !BusyWithTurn         | !BusyWithTurn
EndTurn                | !EffectsUnsettled     | TurnEnded
EnqueueWork            | WorkEnqueued          | WorkEnqueued
ClaimWork, command     | -                     | -
ClaimWork, turn work   | -                     | -
ClaimWork, into turn   | -                     | -
ClaimWork, these       | -                     | -
CompleteWork           | !WorkClaimSuperseded  | !WorkClaimSuperseded
AbandonWorkClaim       | -                     | -
CancelWork             | -                     | -
OpenFrame              | !BusyWithTurn         | !BusyWithTurn
AppendNodes            | NodesAppended         | NodesAppended
TombstoneNodes         | -                     | -
MaintainSession        | -                     | -

                       | lease ran out           | another's lease
OpenSession            | -                       | -
OpenSession, new model | SessionConfigured       | SessionConfigured
BeginAnew              | !BusyWithTurn           | !BusyWithTurn
ConfigureSession       | SessionConfigured       | SessionConfigured
DescribeSession        | -                       | -
ParkSession            | SessionParked           | SessionParked
DeleteSession          | SessionTombstoned       | SessionTombstoned
TrimHistory            | !TrimHeldBack           | !TrimHeldBack
AcquireLease           | LeaseAcquired           | -
ReclaimLease           | LeaseAcquired           | -
RenewLease             | !fence: expired         | !fence: superseded
ReleaseLease           | LeaseReleased           | -
EnqueueTurnInput       | TurnInputEnqueued       | TurnInputEnqueued
ClaimTurnInputs        | !fence: expired         | !fence: superseded
ClaimActiveTurnInputs  | !fence: expired         | !fence: superseded
AbandonTurnInputClaim  | TurnInputClaimAbandoned | TurnInputClaimAbandoned
CancelTurnInput        | TurnInputCancelled      | TurnInputCancelled
CancelTurnInputs       | TurnInputsCancelled     | TurnInputsCancelled
CancelTurnInputSuffix  | TurnInputsCancelled     | TurnInputsCancelled
StartTurn              | !fence: expired         | !fence: superseded
StartTurn, t2          | !fence: expired         | !fence: superseded
StartTurn, t2, claim   | !fence: expired         | !fence: superseded
StartTurn, t2, work    | !fence: expired         | !fence: superseded
ContinueTurn           | !fence: expired         | !fence: superseded
RequestEffect, model   | !fence: expired         | !fence: superseded
RequestEffect, tool    | !fence: expired         | !fence: superseded
SettleEffect           | !fence: expired         | !fence: superseded
CommitTurn             | !fence: expired         | !fence: superseded
CommitTurn, hash       | !fence: expired         | !fence: superseded
CommitTurn, work       | !fence: expired         | !fence: superseded
CommitTurn, frame      | !fence: expired         | !fence: superseded
BranchToNode           | !fence: expired         | !fence: superseded
BranchToNode, root     | !fence: expired         | !fence: superseded
EndTurn                | !fence: expired         | !fence: superseded
EnqueueWork            | WorkEnqueued            | WorkEnqueued
ClaimWork, command     | !fence: expired         | !fence: superseded
ClaimWork, turn work   | !fence: expired         | !fence: superseded
ClaimWork, into turn   | !fence: expired         | !fence: superseded
ClaimWork, these       | !fence: expired         | !fence: superseded
CompleteWork           | !fence: expired         | !fence: superseded
AbandonWorkClaim       | WorkClaimAbandoned      | WorkClaimAbandoned
CancelWork             | WorkCancelled           | WorkCancelled
OpenFrame              | !fence: expired         | !fence: superseded
AppendNodes            | !fence: expired         | !fence: superseded
TombstoneNodes         | -                       | -
MaintainSession        | -                       | -
"""


def cell(scene: Scene, command: Command) -> str:
    found = given(*scene.history, bodies=[HELLO]).when(command).found
    if isinstance(found, SessionExecutionLeaseExpired):
        return f"!fence: {found.reason.removeprefix('the lease is ')}"
    if isinstance(found, CommandRejected):
        name = type(found).__name__
        return f"!{name.removeprefix('RuntimeTurn').replace('QueuedWorkClaim', 'WorkClaim')}"
    return ", ".join(type(event).__name__ for event in found) or "-"


def column(name: str) -> list[str]:
    scene = SCENES[name]
    return [name, *(cell(scene, row(scene)) for row in ROWS.values())]


def table(names: Sequence[str]) -> str:
    columns = [["", *ROWS], *(column(name) for name in names)]
    widths = [max(map(len, column)) for column in columns]
    lines = zip(*columns, strict=True)
    return "\n".join(
        " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def test_every_command_comes_to_what_is_written_here() -> None:
    computed = "\n\n".join(table(names) for names in TABLES)

    assert computed.splitlines() == MATRIX.strip("\n").splitlines()


def test_the_matrix_names_every_command() -> None:
    commands = {type(row(scene)) for row in ROWS.values() for scene in SCENES.values()}

    assert commands == set(get_args(Command))
    assert {name.split(",")[0] for name in ROWS} == {kind.__name__ for kind in get_args(Command)}


def test_the_matrix_shows_every_scene_once() -> None:
    assert sorted(name for names in TABLES for name in names) == sorted(SCENES)
