"""
Every request, in the imperative. A command may be refused; then nothing was written.

Time and ids arrive inside: ``now_ms`` is the store's clock, ids and salts are minted by the
runtime. What only the holder of the lease may do carries its ``fence``.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import WorkCompletion
from lash_es.core.bodies import NewBody
from lash_es.core.descriptions import DescribeSession
from lash_es.core.effects import EffectRequest
from lash_es.core.graph_commands import (
    AppendNodes,
    GraphCommand,
    NewNode,
    OpenFrame,
    OwnerGraphCommand,
)
from lash_es.core.ids import (
    ClaimId,
    EffectId,
    InputId,
    Position,
    Revision,
    SessionId,
    TurnId,
    Version,
)
from lash_es.core.ingress import Boundary, TurnInputIngress
from lash_es.core.outcomes import EffectOutcome, TurnOutcome
from lash_es.core.owners import Fence, LeaseOwner, ProcessSight
from lash_es.core.policy import SessionPolicy
from lash_es.core.retention import Pin
from lash_es.core.targets import CancelTarget
from lash_es.core.transcripts import Node
from lash_es.core.work_commands import EnqueueWork, OwnerWorkCommand, WithWork, WorkCommand


@frozen(kw_only=True)
class OpenSession:
    """Create the session, or open what is there and let the host's policy win."""

    now_ms: int
    session_id: SessionId
    policy: SessionPolicy


@frozen(kw_only=True)
class BeginAnew:
    """Create the session, or go on in it without anything that is there: a new root, my policy."""

    now_ms: int
    session_id: SessionId
    policy: SessionPolicy


@frozen(kw_only=True)
class ConfigureSession:
    """Change the policy of the turns to come, the recorded provider included."""

    now_ms: int
    policy: SessionPolicy


@frozen(kw_only=True)
class ParkSession:
    """Let the session go."""

    now_ms: int


@frozen(kw_only=True)
class DeleteSession:
    """End the session and use up its id."""

    now_ms: int


@frozen(kw_only=True)
class TrimHistory:
    """
    Let go of the facts in front of version ``below``.

    Whoever asks has read them: ``digest`` is that of the last one, in lowercase hexadecimal, and
    ``bodies`` hold what is still needed, the state first. ``pins`` are those of the stream.
    """

    now_ms: int
    below: Version
    digest: str
    bodies: tuple[NewBody, ...]
    pins: tuple[Pin, ...] = ()


@frozen(kw_only=True)
class AcquireLease:
    """
    Take the lease if it is free or run out; extend it if it is mine.

    ``token`` is used if it is taken.
    """

    now_ms: int
    owner: LeaseOwner
    token: str
    ttl_ms: int


@frozen(kw_only=True)
class ReclaimLease:
    """
    Take the lease although its time has not run out, since its holder's process is dead.

    ``observed`` is the holder as the claimant saw it when it looked: of anyone else it says
    nothing. ``sight`` is what it found in the place of the holder's process.
    """

    now_ms: int
    owner: LeaseOwner
    token: str
    ttl_ms: int
    observed: Fence
    sight: ProcessSight


@frozen(kw_only=True)
class RenewLease:
    """Say that the owner is still there."""

    now_ms: int
    fence: Fence
    ttl_ms: int


@frozen(kw_only=True)
class ReleaseLease:
    """Let the lease go; without effect if it is another's by now."""

    now_ms: int
    fence: Fence


@frozen(kw_only=True)
class EnqueueTurnInput:
    """Take an input. With a ``source_key``, the same content again is the same input."""

    now_ms: int
    input_id: InputId
    source_key: str | None
    ingress: TurnInputIngress
    body: NewBody


@frozen(kw_only=True)
class ClaimTurnInputs:
    """Hold up to ``inputs_max`` inputs for the next turn, in the order of their sequence."""

    now_ms: int
    fence: Fence
    token: str
    inputs_max: int


@frozen(kw_only=True)
class ClaimActiveTurnInputs:
    """
    Take up to ``inputs_max`` inputs into the open turn at a checkpoint, in the order of their
    sequence.
    """

    now_ms: int
    fence: Fence
    token: str
    turn_id: TurnId
    checkpoint: Boundary
    inputs_max: int


@frozen(kw_only=True)
class AbandonTurnInputClaim:
    """Give claimed inputs back. A claim that holds nothing any more is given back silently."""

    now_ms: int
    claim_id: ClaimId
    token: str


@frozen(kw_only=True)
class CancelTurnInput:
    """Withdraw an input that no turn has taken."""

    now_ms: int
    input_id: InputId


@frozen(kw_only=True)
class CancelTurnInputs:
    """Withdraw every target that no turn has taken, one after the other."""

    now_ms: int
    targets: tuple[CancelTarget, ...]


@frozen(kw_only=True)
class CancelTurnInputSuffix:
    """Withdraw the anchor and all that was enqueued after it, as far as no turn has taken it."""

    now_ms: int
    anchor: CancelTarget


@frozen(kw_only=True)
class WithInput:
    """The turn brings its own input."""

    body: NewBody


@frozen(kw_only=True)
class WithClaim:
    """The turn runs on the inputs of a claim."""

    claim_id: ClaimId
    token: str


TurnSource: TypeAlias = WithInput | WithClaim | WithWork


@frozen(kw_only=True)
class StartTurn:
    """Accept a turn, durably, before anything of it runs."""

    now_ms: int
    fence: Fence
    turn_id: TurnId
    source: TurnSource


@frozen(kw_only=True)
class ContinueTurn:
    """Go on with the open turn: whatever was in flight when it was left is begun anew."""

    now_ms: int
    fence: Fence
    turn_id: TurnId


@frozen(kw_only=True)
class RequestEffect:
    """Ask the world for something on behalf of the open turn."""

    now_ms: int
    fence: Fence
    turn_id: TurnId
    effect_id: EffectId
    request: EffectRequest


@frozen(kw_only=True)
class SettleEffect:
    """Record the outcome of an effect."""

    now_ms: int
    fence: Fence
    turn_id: TurnId
    effect_id: EffectId
    outcome: EffectOutcome
    body: NewBody | None


@frozen(kw_only=True)
class InputCompletion:
    """The inputs of a claim are done with: exactly these, and all that it holds."""

    claim_id: ClaimId
    token: str
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class CommitTurn:
    """
    Make the open turn part of the history.

    ``session_id`` is that of the session that is meant, and ``expected_revision`` the number of
    commits before this one; none is not compared. ``commit_hash`` says what is meant to be
    committed (``stamps.commit_hash``): only with it a retry is recognised. Besides what the turn
    took, ``input_completions`` are settled, ``work_completions`` finished, and the lease let go,
    with the commit or not at all. With ``FrameSwitched`` it opens that frame, which begins with
    ``frame_nodes``.
    """

    now_ms: int
    fence: Fence
    turn_id: TurnId
    outcome: TurnOutcome
    session_id: SessionId | None = None
    expected_revision: Revision | None = None
    commit_hash: str | None = None
    input_completions: tuple[InputCompletion, ...] = ()
    work_completions: tuple[WorkCompletion, ...] = ()
    releases_lease: bool = False
    frame_nodes: tuple[NewNode, ...] = ()


@frozen(kw_only=True)
class BranchToNode:
    """
    Go on from a message of a commit, whichever path that is on; from none, with a new root.

    Whoever asks has read the commit: ``parent`` is its, and ``nodes`` are its up to the message.
    """

    now_ms: int
    fence: Fence
    parent: Position | None
    nodes: tuple[Node, ...]


@frozen(kw_only=True)
class EndTurn:
    """End the open turn without making it part of the history."""

    now_ms: int
    fence: Fence
    turn_id: TurnId
    outcome: TurnOutcome


OwnerCommand: TypeAlias = (
    ClaimTurnInputs
    | ClaimActiveTurnInputs
    | StartTurn
    | ContinueTurn
    | RequestEffect
    | SettleEffect
    | CommitTurn
    | EndTurn
    | BranchToNode
    | RenewLease
    | OwnerWorkCommand
    | OwnerGraphCommand
)
"""
What is refused without the live lease.

``ReleaseLease`` is not: a stale release does nothing, silently.
"""

Command: TypeAlias = (
    OpenSession
    | BeginAnew
    | ConfigureSession
    | DescribeSession
    | ParkSession
    | DeleteSession
    | TrimHistory
    | AcquireLease
    | ReclaimLease
    | ReleaseLease
    | EnqueueTurnInput
    | AbandonTurnInputClaim
    | CancelTurnInput
    | WorkCommand
    | CancelTurnInputs
    | CancelTurnInputSuffix
    | GraphCommand
    | OwnerCommand
)


def new_bodies(  # noqa: PLR0911 - a table
    command: Command,
) -> tuple[NewBody, ...]:
    """
    Return the content that the command brings, to be stored beside the facts that commit to it.
    """
    match command:
        case EnqueueTurnInput():
            return (command.body,)
        case StartTurn():
            return (command.source.body,) if isinstance(command.source, WithInput) else ()
        case SettleEffect():
            return () if command.body is None else (command.body,)
        case TrimHistory() | EnqueueWork():
            return command.bodies
        case OpenFrame() | AppendNodes():
            return tuple(node.body for node in command.nodes)
        case CommitTurn():
            return tuple(node.body for node in command.frame_nodes)
        case _:
            return ()
