"""
Every fact, in the past tense.

Each has ``at_ms`` (epoch milliseconds, never falling within a stream). What an owner wrote has the
``generation`` of its lease. What was said is in bodies, committed to by ``bodies``; everything
here is control data, bounded by named limits. The one text among it is the host's own: the
instructions of the policy. Facts are grouped by the slice that folds them.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import BodyRef, Commitment
from lash_es.core.descriptions import SessionDescribed
from lash_es.core.effects import EffectRequest
from lash_es.core.fork_events import SessionForked
from lash_es.core.graph_events import FrameOpened, GraphEvent, LeafMoved, NodesAppended
from lash_es.core.ids import (
    ClaimId,
    EffectId,
    Generation,
    InputId,
    Position,
    Revision,
    SessionId,
    TurnId,
    Version,
)
from lash_es.core.ingress import Boundary, TurnInputIngress
from lash_es.core.makers import maker
from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import EffectOutcome, TurnOutcome
from lash_es.core.owners import LeaseOwner
from lash_es.core.policy import SessionPolicy
from lash_es.core.transcripts import Node
from lash_es.core.work_events import (
    DrainedWork,
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkFailed,
)

# The session itself


@frozen(kw_only=True)
class SessionOpened:
    """The session's birth: the first fact of its stream."""

    at_ms: int
    session_id: SessionId
    policy: SessionPolicy


@frozen(kw_only=True)
class SessionConfigured:
    """The policy of the turns to come."""

    at_ms: int
    policy: SessionPolicy


@frozen(kw_only=True)
class SessionParked:
    """A handle let the session go; whoever resumes it finds it here."""

    at_ms: int


@frozen(kw_only=True)
class SessionTombstoned:
    """The session ended for ever, and its id with it."""

    at_ms: int


@frozen(kw_only=True)
class HistoryTrimmed:
    """
    Facts in front of version ``below`` may go; what is still needed of them is in the bodies.

    ``digest`` is that of the last record in front of ``below``, in lowercase hexadecimal, or of
    the genesis: the chain is checked from there on. The first body is the state after ``below``
    facts, the others are pages (``trims.py``); their media types say of what.
    """

    at_ms: int
    below: Version
    digest: str
    bodies: tuple[Commitment, ...]


# The session lease


@frozen(kw_only=True)
class LeaseAcquired:
    """An owner holds the session; all earlier generations are superseded."""

    at_ms: int
    generation: Generation
    owner: LeaseOwner
    token: str
    ttl_ms: int


@frozen(kw_only=True)
class LeaseRenewed:
    """The owner was silent and says that it is still there."""

    at_ms: int
    generation: Generation
    ttl_ms: int


@frozen(kw_only=True)
class LeaseReleased:
    """The owner let go."""

    at_ms: int
    generation: Generation


# Pending turn input


@frozen(kw_only=True)
class TurnInputEnqueued:
    """An input was taken, durably; its content is the first body."""

    at_ms: int
    input_id: InputId
    sequence: int
    source_key: str | None
    ingress: TurnInputIngress
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class TurnInputsClaimed:
    """An owner holds these inputs for as long as its generation holds the lease."""

    at_ms: int
    generation: Generation
    claim_id: ClaimId
    token: str
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnInputsAccepted:
    """
    The open turn takes these inputs at a checkpoint, for as long as its generation holds the
    lease; from its next model call on they belong to it whoever holds the lease.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId
    checkpoint: Boundary
    claim_id: ClaimId
    token: str
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnInputsDeferred:
    """The turn that these inputs wanted into was over when they came: they wait for the next."""

    at_ms: int
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnInputClaimAbandoned:
    """The inputs of a claim were given back."""

    at_ms: int
    claim_id: ClaimId
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnInputCancelled:
    """An input was withdrawn before any turn took it."""

    at_ms: int
    input_id: InputId


@frozen(kw_only=True)
class TurnInputsCancelled:
    """Inputs were withdrawn together, in this order, before any turn took them."""

    at_ms: int
    input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnInputTombstonesPruned:
    """
    What was settled before this fact is forgotten: its ids and keys name nothing any more.

    ``tombstones_count`` says of how many inputs.
    """

    at_ms: int
    tombstones_count: int


# The turn


@frozen(kw_only=True)
class DirectInput:
    """The turn's input came with it: it is the first body of the fact."""


@frozen(kw_only=True)
class DrainedInputs:
    """The turn took these pending inputs, in this order."""

    input_ids: tuple[InputId, ...]


TurnOrigin: TypeAlias = DirectInput | DrainedInputs | DrainedWork


@frozen(kw_only=True)
class TurnStarted:
    """
    A turn was accepted; it keeps the policy of this moment.

    ``model_calls_max`` bounds its model calls.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId
    origin: TurnOrigin
    model_calls_max: int
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class TurnContinued:
    """
    A driver goes on with a turn that was left; whatever was in flight is now on its next attempt.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId


@frozen(kw_only=True)
class EffectRequested:
    """The turn asks the world for something."""

    at_ms: int
    generation: Generation
    turn_id: TurnId
    effect_id: EffectId
    request: EffectRequest


@frozen(kw_only=True)
class EffectSettled:
    """The outcome of an effect, once and for all. Its words, if any, are the first body."""

    at_ms: int
    generation: Generation
    turn_id: TurnId
    effect_id: EffectId
    outcome: EffectOutcome
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class TurnCommitted:
    """
    The turn is part of the history: its nodes, its usage, and the inputs that it settles, together
    or not at all.

    ``parent`` is the commit that holds the leaf these nodes follow. Inputs in
    ``deferred_input_ids`` wanted into this turn and missed it.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId
    turn_index: int
    revision: Revision
    outcome: TurnOutcome
    parent: Position | None
    nodes: tuple[Node, ...]
    usage: TokenUsage
    completed_input_ids: tuple[InputId, ...]
    deferred_input_ids: tuple[InputId, ...]


@frozen(kw_only=True)
class TurnEnded:
    """
    The turn ended and is not part of the history.

    Its drained inputs are pending again, or settled as failed after too many tries.
    """

    at_ms: int
    generation: Generation
    turn_id: TurnId
    outcome: TurnOutcome
    usage: TokenUsage
    returned_input_ids: tuple[InputId, ...]
    failed_input_ids: tuple[InputId, ...]
    deferred_input_ids: tuple[InputId, ...]


OpenEvent: TypeAlias = (
    EffectRequested
    | EffectSettled
    | TurnInputEnqueued
    | LeaseAcquired
    | LeaseReleased
    | TurnStarted
    | TurnCommitted
    | TurnInputsClaimed
    | LeaseRenewed
    | TurnContinued
    | TurnEnded
    | TurnInputCancelled
    | TurnInputClaimAbandoned
    | TurnInputsAccepted
    | TurnInputsDeferred
    | TurnInputsCancelled
    | TurnInputTombstonesPruned
    | SessionConfigured
    | SessionDescribed
    | SessionParked
    | GraphEvent
    | SessionTombstoned
    | HistoryTrimmed
    | SessionForked
    | WorkEnqueued
    | WorkClaimed
    | WorkCompleted
    | WorkFailed
    | WorkClaimAbandoned
    | WorkCancelled
    | FinishedWorkPruned
)
"""What can happen to an open session; the most frequent first: a match tries them in turn."""

Event: TypeAlias = SessionOpened | OpenEvent

OwnerEvent: TypeAlias = (
    LeaseAcquired
    | LeaseRenewed
    | LeaseReleased
    | TurnInputsClaimed
    | TurnInputsAccepted
    | TurnStarted
    | TurnContinued
    | EffectRequested
    | EffectSettled
    | TurnCommitted
    | TurnEnded
    | WorkClaimed
    | WorkCompleted
    | WorkFailed
    | LeafMoved
    | FrameOpened
    | NodesAppended
)
"""What only the holder of the lease writes."""


def commitments(event: Event) -> tuple[Commitment, ...]:
    """Return what the event says of its bodies, in order."""
    match event:
        case TurnInputEnqueued() | TurnStarted() | EffectSettled() | SessionForked():
            return event.bodies
        case HistoryTrimmed() | WorkEnqueued() | FrameOpened() | NodesAppended():
            return event.bodies
        case _:
            return ()


_body_ref = maker(BodyRef)


def body_ref(position: Position) -> BodyRef:
    """Point at the first body of the fact at ``position``."""
    return _body_ref(position=position, ordinal=0)
