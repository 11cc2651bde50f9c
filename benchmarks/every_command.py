"""
Every command on a session with a past, one after the other: what is counted and timed.

Suffix and bulk cancels, listings and maintenance are left out: they cost what they return. Where a
command can name something of the past (a key, an id, a commit), it is also asked about the first
there ever was. Whether a required ancestor is on the path is looked up before the command, page by
page down to it, and is not counted here.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, get_args

from attrs import evolve as with_changes

from benchmarks.long_sessions import (
    BODY,
    FENCE,
    NOW_MS,
    OWNER,
    POLICY,
    SESSION,
    STREAM,
    TTL_MS,
    enqueue,
    queue,
)
from lash_es.core.agenda import agenda
from lash_es.core.batches import WorkBoundary, WorkCompletion
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
from lash_es.core.effects import ModelCall
from lash_es.core.enclosures import ForgetAttachment, PutAttachment, attachment_body
from lash_es.core.graph_commands import (
    Ancestor,
    AppendNodes,
    MaintainSession,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.ids import BatchId, ClaimId, FrameId, InputId, NodeId, TurnId
from lash_es.core.ingress import ActiveTurn, Boundary
from lash_es.core.known import IndexKey, IndexKind, TurnEntry
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.messages import FinishReason, Role, TokenUsage
from lash_es.core.outcomes import Finished, ModelReplied, Stopped, StopReason
from lash_es.core.owners import LeaseOwner, ProcessUnseen
from lash_es.core.policy import ModelSpec
from lash_es.core.state import Open
from lash_es.core.transcripts import node_name
from lash_es.core.turns import OpenTurn, effect_name
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    LeadingTurnWork,
)
from lash_es.log.graphs import read_commit_of
from lash_es.log.port import Store
from lash_es.runtime.committing import read_known

LEFT_OUT: Final = (
    CancelTurnInputs,
    CancelTurnInputSuffix,
    MaintainSession,
    TrimHistory,
)
"""What costs what it returns, and maintenance."""

ONLY_AT_BIRTH: Final = (DescribeSession,)
"""What records nothing in a session that has a past."""

Ask: TypeAlias = Callable[[Open], Command]
Step: TypeAlias = tuple[str, Ask]

OLD_TURN: Final = TurnId("t0")
DRAINED: Final = TurnId("drained")
DIRECT: Final = TurnId("direct")
RIVAL: Final = LeaseOwner(owner_id="rival", incarnation_id="boot-1")
_REPLIED: Final = ModelReplied(
    finish=FinishReason.STOP, has_content=True, tool_calls=(), usage=TokenUsage(input_tokens=1)
)


def steps(store: Store) -> Sequence[Step]:
    """List them, in an order in which each finds what it needs; the past is read from a store."""
    return (
        *_inputs(),
        *_turns(_old_hash(store)),
        *_graph(store),
        *_work(),
        *_attachments(),
        *_leases(),
        *_session(),
    )


def left_over(asked: Sequence[Command]) -> set[str]:
    """Name the commands that are neither among these nor left out on purpose."""
    kinds = {type(command) for command in asked}
    return {kind.__name__ for kind in {*get_args(Command)} - kinds - {*LEFT_OUT}}


def _old_hash(store: Store) -> str:
    key = IndexKey(IndexKind.TURN, OLD_TURN)
    entry = read_known(store, STREAM, (key,), DEFAULT_LIMITS).entries[key]
    assert isinstance(entry, TurnEntry)
    assert entry.stamp is not None
    return entry.stamp.commit_hash


def _inputs() -> Sequence[Step]:
    return (
        ("enqueue", lambda _: enqueue("new")),
        ("enqueue under a new key", lambda _: enqueue("keyed", "new key")),
        ("enqueue under the first key", lambda _: enqueue("again", "k0")),
        ("cancel the last", lambda _: _cancel("keyed")),
        ("cancel the first of all", lambda _: _cancel("i0")),
        ("claim", lambda _: _claim("c1", 1)),
        ("abandon", _abandon),
        ("claim as many as go", lambda _: _claim("c2", DEFAULT_LIMITS.inputs_per_claim_max)),
        ("abandon those", _abandon),
        ("claim again", lambda _: _claim("c3", DEFAULT_LIMITS.inputs_per_claim_max)),
    )


def _cancel(input_id: str) -> CancelTurnInput:
    return CancelTurnInput(now_ms=NOW_MS, input_id=InputId(input_id))


def _claim(token: str, most: int) -> ClaimTurnInputs:
    return ClaimTurnInputs(now_ms=NOW_MS, fence=FENCE, token=token, inputs_max=most)


def _claim_of(state: Open) -> tuple[ClaimId, str]:
    claims = [entry.claim for entry in state.inputs.pending.values()]
    return next((claim.claim_id, claim.token) for claim in claims if claim is not None)


def _abandon(state: Open) -> Command:
    claim_id, token = _claim_of(state)
    return AbandonTurnInputClaim(now_ms=NOW_MS, claim_id=claim_id, token=token)


def _turns(old_hash: str) -> Sequence[Step]:
    old = CommitTurn(
        now_ms=NOW_MS,
        fence=FENCE,
        turn_id=OLD_TURN,
        outcome=Finished(),
        commit_hash=old_hash,
    )
    into = with_changes(enqueue("told"), ingress=ActiveTurn(DRAINED))
    return (
        ("start the first of all", lambda s: _start(OLD_TURN, _source(s))),
        ("start on a claim", lambda s: _start(DRAINED, _source(s))),
        ("enqueue into it", lambda _: into),
        ("accept", lambda _: _accept()),
        ("ask for the model", lambda s: _request(_open_turn(s))),
        ("continue", lambda _: ContinueTurn(now_ms=NOW_MS, fence=FENCE, turn_id=DRAINED)),
        ("settle", _settle),
        ("commit", lambda _: _commit(DRAINED)),
        ("commit the first of all", lambda _: old),
        ("start with an input", lambda _: _start(DIRECT, WithInput(body=BODY))),
        ("end", lambda _: _end()),
    )


def _source(state: Open) -> WithClaim:
    claim_id, token = _claim_of(state)
    return WithClaim(claim_id=claim_id, token=token)


def _start(turn_id: TurnId, source: WithInput | WithClaim) -> StartTurn:
    return StartTurn(now_ms=NOW_MS, fence=FENCE, turn_id=turn_id, source=source)


def _accept() -> ClaimActiveTurnInputs:
    return ClaimActiveTurnInputs(
        now_ms=NOW_MS,
        fence=FENCE,
        token="accepted",
        turn_id=DRAINED,
        checkpoint=Boundary.AFTER_WORK,
        inputs_max=1,
    )


def _open_turn(state: Open) -> OpenTurn:
    assert isinstance(state.turn, OpenTurn)
    return state.turn


def _request(turn: OpenTurn) -> RequestEffect:
    return RequestEffect(
        now_ms=NOW_MS,
        fence=FENCE,
        turn_id=turn.turn_id,
        effect_id=effect_name(turn),
        request=ModelCall(iteration=0),
    )


def _settle(state: Open) -> SettleEffect:
    (effect,) = agenda(state)
    return SettleEffect(
        now_ms=NOW_MS,
        fence=FENCE,
        turn_id=_open_turn(state).turn_id,
        effect_id=effect.effect_id,
        outcome=_REPLIED,
        body=BODY,
    )


def _commit(turn_id: TurnId) -> CommitTurn:
    return CommitTurn(now_ms=NOW_MS, fence=FENCE, turn_id=turn_id, outcome=Finished())


def _end() -> EndTurn:
    stopped = Stopped(reason=StopReason.CANCELLED)
    return EndTurn(now_ms=NOW_MS, fence=FENCE, turn_id=DIRECT, outcome=stopped)


def _graph(store: Store) -> Sequence[Step]:
    def branch(_: Open) -> BranchToNode:
        commit = read_commit_of(store, STREAM, node_name(OLD_TURN, 1))
        assert commit is not None
        return BranchToNode(now_ms=NOW_MS, fence=FENCE, parent=commit.parent, nodes=commit.nodes)

    said = (NewNode(role=Role.USER, body=BODY),)
    first = node_name(OLD_TURN, 1)
    return (
        ("branch to the first of all", branch),
        ("append behind the first of all", lambda _: _append(said, first)),
        ("open a frame", lambda _: _open_frame(said)),
        ("hide the first of all", lambda _: TombstoneNodes(now_ms=NOW_MS, node_ids=(first,))),
    )


def _append(nodes: tuple[NewNode, ...], ancestor: NodeId) -> AppendNodes:
    return AppendNodes(
        now_ms=NOW_MS,
        fence=FENCE,
        name="appended",
        nodes=nodes,
        ancestor=Ancestor(node_id=ancestor, path_to=ancestor, is_on_path=True),
    )


def _open_frame(nodes: tuple[NewNode, ...]) -> OpenFrame:
    return OpenFrame(
        now_ms=NOW_MS, fence=FENCE, frame_id=FrameId("frame"), reason="a new one", nodes=nodes
    )


def _work() -> Sequence[Step]:
    return (
        ("queue", lambda _: queue("new")),
        ("queue under the first key", lambda _: queue("again", "w0")),
        ("claim work", lambda _: _claim_work("w1", 1)),
        ("abandon work", _abandon_work),
        (
            "claim as much as goes",
            lambda _: _claim_work("w2", DEFAULT_LIMITS.batches_per_claim_max),
        ),
        ("abandon that", _abandon_work),
        ("claim work again", lambda _: _claim_work("w3", DEFAULT_LIMITS.batches_per_claim_max)),
        ("complete work", _complete_work),
        ("queue one more", lambda _: queue("last")),
        ("cancel work", lambda _: CancelWork(now_ms=NOW_MS, batch_id=BatchId("last"))),
        ("cancel the first work", lambda _: CancelWork(now_ms=NOW_MS, batch_id=BatchId("b0"))),
    )


def _claim_work(token: str, most: int) -> ClaimWork:
    leading = LeadingTurnWork(boundary=WorkBoundary.IDLE, batches_max=most)
    return ClaimWork(now_ms=NOW_MS, fence=FENCE, token=token, selection=leading)


def _work_claim(state: Open) -> WorkCompletion:
    held = [batch for batch in state.work.batches.values() if batch.claim is not None]
    claim = held[0].claim
    assert claim is not None
    return WorkCompletion(
        claim_id=claim.claim_id,
        token=claim.token,
        batch_ids=tuple(batch.batch_id for batch in held),
    )


def _abandon_work(state: Open) -> Command:
    claim = _work_claim(state)
    return AbandonWorkClaim(now_ms=NOW_MS, claim_id=claim.claim_id, token=claim.token)


def _complete_work(state: Open) -> Command:
    return CompleteWork(now_ms=NOW_MS, fence=FENCE, completions=(_work_claim(state),))


def _leases() -> Sequence[Step]:
    reclaim = ReclaimLease(
        now_ms=NOW_MS,
        owner=RIVAL,
        token="rival",
        ttl_ms=TTL_MS,
        observed=FENCE,
        sight=ProcessUnseen(),
    )
    return (
        ("renew", lambda _: RenewLease(now_ms=NOW_MS, fence=FENCE, ttl_ms=TTL_MS)),
        ("acquire what is mine", lambda _: _acquire(OWNER)),
        ("acquire what is another's", lambda _: _acquire(RIVAL)),
        ("reclaim what may be alive", lambda _: reclaim),
        ("release", lambda _: ReleaseLease(now_ms=NOW_MS, fence=FENCE)),
        ("reclaim what is free", lambda _: reclaim),
        ("release a stale one", lambda _: ReleaseLease(now_ms=NOW_MS, fence=FENCE)),
    )


def _acquire(owner: LeaseOwner) -> AcquireLease:
    return AcquireLease(now_ms=NOW_MS, owner=owner, token="next", ttl_ms=TTL_MS)


def _attachments() -> Sequence[Step]:
    content = b"the same every time"
    put = PutAttachment(
        now_ms=NOW_MS, label="a picture", body=attachment_body(content, "image/png")
    )
    forget = ForgetAttachment(now_ms=NOW_MS, attachment_id=put.attachment_id)
    return (
        ("put an attachment", lambda _: put),
        ("put it again", lambda _: put),
        ("forget it", lambda _: forget),
        ("put it once more", lambda _: put),
    )


def _session() -> Sequence[Step]:
    other = with_changes(POLICY, model=ModelSpec(model_id="m2"))
    return (
        ("describe", lambda _: DescribeSession(now_ms=NOW_MS, description=Description(name="s"))),
        ("configure", lambda _: ConfigureSession(now_ms=NOW_MS, policy=other)),
        ("open", lambda _: OpenSession(now_ms=NOW_MS, session_id=SESSION, policy=POLICY)),
        ("begin anew", lambda _: BeginAnew(now_ms=NOW_MS, session_id=SESSION, policy=other)),
        ("park", lambda _: ParkSession(now_ms=NOW_MS)),
        ("delete", lambda _: DeleteSession(now_ms=NOW_MS)),
    )
