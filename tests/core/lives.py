"""
Lives of sessions, drawn at random: legal histories with the decisions that made them.

Unlike the machine's, these commands are chosen by looking at the core's own state: most of them
make sense, so that a life gets somewhere. What is right is said by the laws and not by this file.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias, TypeVar

import attrs
from attrs import frozen
from hypothesis import strategies as st

from lash_es.core import targets
from lash_es.core.agenda import agenda
from lash_es.core.batches import (
    DeliveryPolicy,
    MergeGroup,
    MergeKey,
    NeverMerge,
    SlotPolicy,
    WorkBoundary,
    WorkClass,
    WorkCompletion,
    WorkKind,
)
from lash_es.core.bodies import NewBody
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
from lash_es.core.descriptions import UNDESCRIBED, DescribeSession, Description
from lash_es.core.effects import ModelCall, ToolCall
from lash_es.core.graph_commands import (
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.ids import (
    BatchId,
    CallId,
    ClaimId,
    EffectId,
    FrameId,
    Generation,
    InputId,
    NodeId,
    SessionId,
    TurnId,
    Version,
)
from lash_es.core.ingress import ActiveTurn, Boundary, NextTurn
from lash_es.core.inputs import wanting_into
from lash_es.core.limits import Limits
from lash_es.core.messages import FinishReason, Role, TokenUsage
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    Finished,
    FrameSwitched,
    ModelReplied,
    Stopped,
    StopReason,
    ToolCallRef,
    ToolReturned,
    TurnOutcome,
)
from lash_es.core.owners import (
    Fence,
    LeaseOwner,
    LocalProcess,
    ProcessGone,
    ProcessSight,
    ProcessUnseen,
)
from lash_es.core.policy import ModelSpec, SessionPolicy
from lash_es.core.state import Open
from lash_es.core.turns import NoTurn, OpenTurn, Replied
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
from lash_es.verify.spec import Decision, given

Life: TypeAlias = tuple[Decision, ...]
T = TypeVar("T")

SESSION = SessionId("s1")
OWNERS = tuple(
    LeaseOwner(
        owner_id=name,
        incarnation_id="boot-1",
        liveness=LocalProcess(host_id="h", boot_id="b", pid=pid, process_start=pid),
    )
    for pid, name in enumerate(("alice", "bob"))
)
SIGHTS: tuple[ProcessSight, ...] = (ProcessGone(), ProcessUnseen())
STRANGER = Fence(owner=OWNERS[0], token="stale", generation=Generation(0))
BODIES = tuple(NewBody(content=text, salt=text * 4) for text in (b"once", b"more"))
POLICIES = tuple(
    SessionPolicy(provider_id="offline", model=ModelSpec(model_id=name), max_turns=most)
    for name, most in (("m1", None), ("m2", 3))
)
NAMED = Description(name="a name", cwd="/somewhere", parent_session_id=SessionId("p1"))
A_NODE = (NewNode(role=Role.USER, body=BODIES[0]),)
NO_CLAIM = ClaimId("tic:0:0")
TTL_MS = 1_000
JUMPS_MS = (0, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 400, -9, TTL_MS)


@frozen
class Moment:
    """Where a life is, and the draw by which it goes on."""

    draw: st.DrawFn
    state: Open
    now_ms: int
    fence: Fence
    step: int

    def one_of(self, *choices: T) -> T:
        return choices[self.draw(st.integers(0, len(choices) - 1))]

    @property
    def turn(self) -> OpenTurn:
        assert isinstance(self.state.turn, OpenTurn)
        return self.state.turn


@st.composite
def lives(draw: st.DrawFn, steps_max: int = 50) -> Life:
    """Draw a life of some steps, refusals included."""
    birth = OpenSession(now_ms=1_000, session_id=SESSION, policy=POLICIES[0])
    nothing = given(limits=Limits(drain_attempts_max=draw(st.sampled_from([0, 3]))))
    life = [nothing.when(ParkSession(now_ms=1)), nothing.when(birth)]
    for step in range(draw(st.integers(1, steps_max))):
        command: Command = birth
        if isinstance(life[-1].state, Open):
            command = next_command(moment(draw, life[-1].state, step))
        life.append(life[-1].when(command))
    return tuple(life)


def moment(draw: st.DrawFn, state: Open, step: int) -> Moment:
    jump_ms = JUMPS_MS[draw(st.integers(0, len(JUMPS_MS) - 1))]
    holder = state.lease.holder
    fence = STRANGER
    if holder is not None and draw(st.integers(0, 9)) < 9:
        generation = state.lease.generation
        fence = Fence(owner=holder.owner, token=holder.token, generation=generation)
    now_ms = max(0, state.at_ms + jump_ms)
    return Moment(draw=draw, state=state, now_ms=now_ms, fence=fence, step=step)


def next_command(m: Moment) -> Command:
    """Choose what to ask: what leads somewhere more often than what does not."""
    holder = m.state.lease.holder
    if m.state.version == 1 and m.one_of(True, False):
        return describe(m)
    graph = m.state.graph
    if m.state.head.leaf is not None and graph.forgotten_count == 0 and m.one_of(True, False):
        return maintain(m) if graph.hidden_count else m.one_of(hide, hide, new_root)(m)
    kinds = (acquire, *FOR_ANYONE, *FOR_THE_QUEUE, *FOR_THE_OWNER * 2)
    if holder is None or holder.expires_at_ms <= m.now_ms:
        # What is open holds a trim back.
        is_at_rest = not m.state.inputs.pending and not m.state.work.batches
        kinds = (acquire,) * 9 + FOR_ANYONE + FOR_THE_QUEUE + (trim,) * (4 * is_at_rest)
    elif isinstance(m.state.turn, OpenTurn):
        kinds = (proceed,) * 40 + (accept,) * 8 + kinds
    return m.one_of(*kinds)(m)


# For anyone


def acquire(m: Moment) -> Command:
    owner = m.one_of(*OWNERS)
    return AcquireLease(now_ms=m.now_ms, owner=owner, token=f"token{m.step}", ttl_ms=TTL_MS)


def reclaim(m: Moment) -> Command:
    return ReclaimLease(
        now_ms=m.now_ms,
        owner=m.one_of(*OWNERS),
        token=f"token{m.step}",
        ttl_ms=TTL_MS,
        observed=m.fence,
        sight=m.one_of(*SIGHTS),
    )


def release(m: Moment) -> Command:
    return ReleaseLease(now_ms=m.now_ms, fence=m.fence)


def reopen(m: Moment) -> Command:
    if m.step % 4 == 0:
        return begin_anew(m)
    return OpenSession(now_ms=m.now_ms, session_id=SESSION, policy=m.one_of(*POLICIES))


def describe(m: Moment) -> Command:
    return DescribeSession(now_ms=m.now_ms, description=m.one_of(UNDESCRIBED, NAMED))


def configure(m: Moment) -> Command:
    return ConfigureSession(now_ms=m.now_ms, policy=m.one_of(*POLICIES))


def begin_anew(m: Moment) -> Command:
    return BeginAnew(now_ms=m.now_ms, session_id=SESSION, policy=m.one_of(*POLICIES))


def new_root(m: Moment) -> Command:
    """Leave the path: in most lives there is one to leave."""
    return BranchToNode(now_ms=m.now_ms, fence=m.fence, parent=None, nodes=())


def open_frame(m: Moment) -> Command:
    return OpenFrame(
        now_ms=m.now_ms,
        fence=m.fence,
        frame_id=FrameId(m.one_of(f"f{m.step}", f"f{m.step}", "f3", "")),
        reason="compaction",
        nodes=m.one_of((), A_NODE),
    )


def append(m: Moment) -> Command:
    return AppendNodes(now_ms=m.now_ms, fence=m.fence, name=f"an{m.step}", nodes=A_NODE)


def hide(m: Moment) -> Command:
    leaf = m.state.head.leaf
    node_id = NodeId("nobody") if leaf is None else leaf.node_id
    return TombstoneNodes(now_ms=m.now_ms, node_ids=(node_id, NodeId("nobody")))


def park(m: Moment) -> Command:
    is_late = m.step > 20
    if not is_late and m.one_of(True, False):
        return trim(m)
    return (DeleteSession if is_late and m.one_of(True, False) else ParkSession)(now_ms=m.now_ms)


def trim(m: Moment) -> Command:
    """Let go of facts, some of which may be needed."""
    below = Version(max(0, m.state.version - m.one_of(0, 1, 1, 9, 9, 30)))
    return TrimHistory(now_ms=m.now_ms, below=below, digest="", bodies=m.one_of((), BODIES))


# For the queue


def into_a_turn(m: Moment) -> ActiveTurn | NextTurn:
    """Into the open turn, or one that is over or to come."""
    leaf = m.state.head.leaf
    if leaf is not None and m.one_of(True, False):
        return ActiveTurn(TurnId(leaf.node_id.rpartition(":m")[0]))
    if isinstance(m.state.turn, OpenTurn):
        return ActiveTurn(m.state.turn.turn_id, m.one_of(*Boundary))
    return ActiveTurn(TurnId("turn to come"))


def accept(m: Moment) -> Command:
    turn = m.state.turn
    if isinstance(turn, OpenTurn) and not wanting_into(m.state.inputs, turn.turn_id):
        return attrs.evolve(enqueue(m), ingress=ActiveTurn(turn.turn_id))
    return ClaimActiveTurnInputs(
        now_ms=m.now_ms,
        fence=m.fence,
        token=f"claim{m.step}",
        turn_id=turn.turn_id if isinstance(turn, OpenTurn) else TurnId("no turn"),
        checkpoint=m.one_of(*Boundary),
        inputs_max=m.one_of(1, 64),
    )


def enqueue(m: Moment) -> EnqueueTurnInput:
    return EnqueueTurnInput(
        now_ms=m.now_ms,
        input_id=InputId(f"i{m.step}"),
        source_key=m.one_of(None, "k1", "k2"),
        ingress=m.one_of(NextTurn(), into_a_turn(m)),
        body=m.one_of(*BODIES),
    )


def cancel(m: Moment) -> Command:
    return CancelTurnInput(
        now_ms=m.now_ms, input_id=m.one_of(*m.state.inputs.pending, InputId("nobody"))
    )


def cancel_more(m: Moment) -> Command:
    names = [*m.state.inputs.pending, "nobody"]
    target = m.one_of(*map(targets.InputId, names))
    if m.one_of(True, False):
        return CancelTurnInputSuffix(now_ms=m.now_ms, anchor=target)
    return CancelTurnInputs(now_ms=m.now_ms, targets=(target, targets.SourceKey("k1")))


def maintain(m: Moment) -> Command:
    return MaintainSession(now_ms=m.now_ms)


def a_claim(m: Moment) -> tuple[ClaimId, str]:
    held = (entry.claim for entry in m.state.inputs.pending.values())
    return m.one_of(*((c.claim_id, c.token) for c in held if c), (NO_CLAIM, "none"))


def abandon(m: Moment) -> Command:
    claim_id, token = a_claim(m)
    return AbandonTurnInputClaim(now_ms=m.now_ms, claim_id=claim_id, token=token)


# For queued work

MERGE_KEYS: tuple[MergeKey, ...] = (NeverMerge(), MergeGroup("a"), MergeGroup("a"))


def queue_work(m: Moment) -> Command:
    return EnqueueWork(
        now_ms=m.now_ms,
        batch_id=BatchId(f"b{m.step}"),
        source_key=m.one_of(None, None, "w1"),
        delivery=m.one_of(*DeliveryPolicy),
        slot=m.one_of(*SlotPolicy),
        merge_key=m.one_of(*MERGE_KEYS),
        available_at_ms=m.now_ms + m.one_of(0, 0, 0, 20),
        kinds=(m.one_of(WorkKind.PROCESS_WAKE, WorkKind.PROCESS_WAKE, WorkKind.RESET_SESSION),),
        bodies=(m.one_of(*BODIES),),
    )


def a_work_claim(m: Moment) -> WorkCompletion:
    """Choose a claim, and say that all it holds is done."""
    held = [batch for batch in m.state.work.batches.values() if batch.claim is not None]
    if not held:
        return WorkCompletion(claim_id=NO_CLAIM, token="none", batch_ids=())
    claim = m.one_of(*held).claim
    assert claim is not None
    return WorkCompletion(
        claim_id=claim.claim_id,
        token=claim.token,
        batch_ids=tuple(batch.batch_id for batch in held if batch.claim == claim),
    )


def claim_work(m: Moment) -> Command:
    boundary = m.one_of(*WorkBoundary)
    these = TheseBatches(boundary=boundary, batch_ids=tuple(m.state.work.batches)[:1])
    turn = m.state.turn
    into = m.one_of(None, turn.turn_id) if isinstance(turn, OpenTurn) else None
    leading = LeadingTurnWork(boundary=boundary, batches_max=m.one_of(0, 1, 9), turn_id=into)
    selections: tuple[WorkSelection, ...] = (LeadingCommand(), leading, leading, these)
    selection = m.one_of(*selections)
    return ClaimWork(now_ms=m.now_ms, fence=m.fence, token=f"w{m.step}", selection=selection)


def complete_work(m: Moment) -> Command:
    completions = (a_work_claim(m),)
    return CompleteWork(now_ms=m.now_ms, fence=m.fence, completions=completions)


def abandon_work(m: Moment) -> Command:
    claim = a_work_claim(m)
    return AbandonWorkClaim(now_ms=m.now_ms, claim_id=claim.claim_id, token=claim.token)


def cancel_work(m: Moment) -> Command:
    batch_id = m.one_of(*m.state.work.batches, BatchId("nobody"))
    return CancelWork(now_ms=m.now_ms, batch_id=batch_id)


def for_work(m: Moment) -> Command:
    if m.state.work.finished_count and m.one_of(True, False):
        return maintain(m)
    return m.one_of(queue_work, queue_work, queue_work, cancel_work)(m)


def is_a_claimed_wake(m: Moment) -> Iterator[bool]:
    for batch in m.state.work.batches.values():
        is_ours = batch.claim is not None and batch.claim.generation == m.fence.generation
        yield is_ours and batch.work_class is WorkClass.TURN_WORK


def for_the_worker(m: Moment) -> Command:
    if not m.state.work.batches:
        return queue_work(m)
    if isinstance(m.state.turn, NoTurn) and any(is_a_claimed_wake(m)):
        return drain_work(m)
    if any(batch.claim for batch in m.state.work.batches.values()):
        return m.one_of(complete_work, complete_work, drain_work, abandon_work, claim_work)(m)
    return claim_work(m)


# For the owner


def claim(m: Moment) -> Command:
    return ClaimTurnInputs(now_ms=m.now_ms, fence=m.fence, token=f"c{m.step}", inputs_max=2)


def renew(m: Moment) -> Command:
    if m.step % 3 == 0:
        return new_root(m)
    if m.step % 3 == 1:
        return m.one_of(open_frame, append)(m)
    return RenewLease(now_ms=m.now_ms, fence=m.fence, ttl_ms=TTL_MS)


def start(m: Moment) -> Command:
    source = WithInput(body=m.one_of(*BODIES))
    turn_id = TurnId(f"t{m.step}")
    return StartTurn(now_ms=m.now_ms, fence=m.fence, turn_id=turn_id, source=source)


def drain(m: Moment) -> Command:
    claim_id, token = a_claim(m)
    if claim_id == NO_CLAIM and m.one_of(True, True, True, False):
        return claim(m)
    source = WithClaim(claim_id=claim_id, token=token)
    turn_id = TurnId(f"t{m.step}")
    return StartTurn(now_ms=m.now_ms, fence=m.fence, turn_id=turn_id, source=source)


def drain_work(m: Moment) -> Command:
    done = a_work_claim(m)
    source = WithWork(claim_id=done.claim_id, token=done.token)
    turn_id = TurnId(f"t{m.step}")
    return StartTurn(now_ms=m.now_ms, fence=m.fence, turn_id=turn_id, source=source)


# For the turn


def proceed(m: Moment) -> Command:
    """Ask what the turn's protocol would ask next, or end it early."""
    open_effects = agenda(m.state)
    turn_id = m.turn.turn_id
    if m.turn.batch_ids and not open_effects and m.one_of(True, False):
        return end(m)
    if m.turn.generation != m.state.lease.generation:
        return ContinueTurn(now_ms=m.now_ms, fence=m.fence, turn_id=turn_id)
    if open_effects:
        return settle(m)
    return m.one_of(request, request, request, commit, commit, end)(m)


def settle(m: Moment) -> Command:
    effect = m.one_of(*agenda(m.state))
    fitting = ToolReturned() if isinstance(effect.request, ToolCall) else reply(m)
    failed = EffectFailed(code="broken", is_retryable=False)
    outcome = m.one_of(fitting, fitting, fitting, failed, EffectCancelled())
    return SettleEffect(
        now_ms=m.now_ms,
        fence=m.fence,
        turn_id=m.turn.turn_id,
        effect_id=effect.effect_id,
        outcome=outcome,
        body=None if isinstance(outcome, EffectCancelled) else m.one_of(*BODIES),
    )


def reply(m: Moment) -> EffectOutcome:
    calls_count = m.one_of(0, 1, 2)
    return ModelReplied(
        finish=FinishReason.STOP,
        has_content=m.one_of(True, False),
        tool_calls=tuple(
            ToolCallRef(call_id=CallId(f"c{n}"), tool="tool") for n in range(calls_count)
        ),
        usage=TokenUsage(input_tokens=m.step, output_tokens=1),
    )


def request(m: Moment) -> Command:
    return RequestEffect(
        now_ms=m.now_ms,
        fence=m.fence,
        turn_id=m.turn.turn_id,
        effect_id=EffectId(f"{m.turn.turn_id}/{m.turn.effects_count + 1}"),
        request=next_request(m.turn),
    )


def next_request(turn: OpenTurn) -> ModelCall | ToolCall:
    step = turn.step
    if not isinstance(step, Replied) or not step.outcome.tool_calls:
        return ModelCall(iteration=turn.iteration)
    ordinal = len(turn.results)
    ref = step.outcome.tool_calls[ordinal]
    return ToolCall(call_id=ref.call_id, tool=ref.tool, reply=step.reply, ordinal=ordinal)


def commit(m: Moment) -> Command:
    switched = FrameSwitched(frame_id=FrameId(f"f{m.step}"))
    outcomes: tuple[TurnOutcome, ...] = (Finished(), Finished(), switched)
    return CommitTurn(
        now_ms=m.now_ms,
        fence=m.fence,
        turn_id=m.turn.turn_id,
        outcome=m.one_of(*outcomes),
        work_completions=m.one_of((), (), (), (a_work_claim(m),)),
    )


def end(m: Moment) -> Command:
    outcome = Stopped(reason=StopReason.CANCELLED)
    turn_id = m.turn.turn_id
    return EndTurn(now_ms=m.now_ms, fence=m.fence, turn_id=turn_id, outcome=outcome)


Kind: TypeAlias = Callable[[Moment], Command]
FOR_ANYONE: tuple[Kind, ...] = (release, reclaim, reopen, configure, park)
RARELY: tuple[Kind, ...] = (cancel_more, maintain)
FOR_THE_QUEUE: tuple[Kind, ...] = (
    *(enqueue, enqueue, enqueue, cancel, abandon, for_work, for_work) * 2,
    *RARELY,
)
FOR_THE_OWNER: tuple[Kind, ...] = (
    claim,
    claim,
    claim,
    drain,
    drain,
    drain,
    start,
    renew,
    for_the_worker,
    for_the_worker,
    for_the_worker,
)
