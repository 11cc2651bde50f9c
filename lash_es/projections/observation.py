"""
What whoever looks on is told of a session: each fact as one event at most, and each piece of
activity as one; computed from the log alone, so that every process tells the same.

A fact's event needs the state in front of the fact, and of what was said the bodies that
``sources_of`` names. Leases, claims and the bookkeeping of queues are nobody's business and tell
nothing.
"""

from enum import Enum
from typing import TypeAlias, assert_never

from attrs import frozen

from lash_es.core.activity import ProseStreamed, StreamedActivity
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    LeaseReleased,
    SessionConfigured,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnStarted,
)
from lash_es.core.frames import current_frame_id
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.ids import FrameId, Position
from lash_es.core.outcomes import FrameSwitched
from lash_es.core.rules.frames import CONTINUE_AS
from lash_es.core.state import State
from lash_es.core.work_events import (
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkEnqueued,
)
from lash_es.projections.observed_turns import NO_SOURCES, Sources, open_before, turn_activity
from lash_es.turns.activities import (
    AssistantProseDelta,
    ReasoningTextDelta,
    TurnActivity,
)


class QueueChange(Enum):
    """What happened to entries of a queue."""

    ENQUEUED = "enqueued"
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class QueueChanged:
    """
    A queue is not what it was: of inputs or of work, whose ids these are. Read both again.
    """

    kind: QueueChange
    batch_ids: tuple[str, ...]


@frozen(kw_only=True)
class ViewChanged:
    """What a view shows of the session is another from here on."""


@frozen(kw_only=True)
class AgentFrameSwitched:
    """The session goes on in another frame; that its view is another one comes next."""

    frame_id: FrameId


Told: TypeAlias = TurnActivity | ViewChanged | AgentFrameSwitched | QueueChanged


def told_of_fact(
    before: State, position: Position, event: Event, sources: Sources = NO_SOURCES
) -> Told | None:
    """
    Tell a fact; none if it tells nothing to whoever looks on.

    Args:
        before: the state that the fact changed.
        position: where the fact is.
        event: what it says.
        sources: at least what ``sources_of`` wants.
    """
    match event:
        case (
            TurnInputEnqueued()
            | TurnInputCancelled()
            | TurnInputsCancelled()
            | TurnInputClaimAbandoned()
            | WorkEnqueued()
            | WorkCancelled()
            | WorkClaimAbandoned()
        ):
            return _queue_changed(event)
        case (
            LeafMoved()
            | SessionBegunAnew()
            | SessionConfigured()
            | NodesAppended()
            | NodesTombstoned()
        ):
            return ViewChanged()
        case TurnCommitted() | FrameOpened() | LeaseReleased():
            return _frame_switched(before, position, event)
        case (
            EffectRequested()
            | EffectSettled()
            | TurnContinued()
            | TurnInputsAccepted()
            | TurnStarted()
            | WorkClaimed()
            | TurnEnded()
        ):
            return turn_activity(before, position, event, sources)
        case _:
            return None


def told_of_activity(name: str, streamed: StreamedActivity) -> TurnActivity:
    """Tell a piece of activity; ``name`` says where it is in the session."""
    kind = AssistantProseDelta if isinstance(streamed, ProseStreamed) else ReasoningTextDelta
    event = kind(effect_id=streamed.effect_id, attempt=streamed.attempt, text=streamed.text)
    return TurnActivity(activity_id=name, correlation_id=streamed.effect_id, event=event)


_QueueEvent: TypeAlias = (
    TurnInputEnqueued
    | TurnInputCancelled
    | TurnInputsCancelled
    | TurnInputClaimAbandoned
    | WorkEnqueued
    | WorkCancelled
    | WorkClaimAbandoned
)


def _queue_changed(event: _QueueEvent) -> QueueChanged:
    ids: tuple[str, ...]
    match event:
        case TurnInputEnqueued() | TurnInputCancelled():
            ids = (event.input_id,)
        case TurnInputsCancelled() | TurnInputClaimAbandoned():
            ids = event.input_ids
        case WorkEnqueued() | WorkCancelled():
            ids = (event.batch_id,)
        case WorkClaimAbandoned():
            ids = event.batch_ids
        case _:
            assert_never(event)
    is_cancelled = isinstance(event, TurnInputCancelled | TurnInputsCancelled | WorkCancelled)
    kind = QueueChange.CANCELLED if is_cancelled else QueueChange.ENQUEUED
    return QueueChanged(kind=kind, batch_ids=ids)


def _frame_switched(
    before: State, position: Position, event: TurnCommitted | FrameOpened | LeaseReleased
) -> AgentFrameSwitched | ViewChanged | None:
    """
    Tell a switch by two facts: of a turn that ends with one, its commit and the frame; of a host
    that opens one, the frame and that it lets go again. A commit without one changes the view.
    """
    session = open_before(before)
    frame = session.graph.frame
    match event:
        case TurnCommitted():
            switched = event.outcome if isinstance(event.outcome, FrameSwitched) else None
            here = current_frame_id(session.graph, session.session_id)
            if switched is None or switched.frame_id == here or not switched.frame_id.strip():
                return ViewChanged()
            return AgentFrameSwitched(frame_id=switched.frame_id)
        case FrameOpened():
            is_a_turns = event.reason == CONTINUE_AS and event.parent == position - 1
            return ViewChanged() if is_a_turns else AgentFrameSwitched(frame_id=event.frame_id)
        case LeaseReleased():
            is_a_hosts = frame is not None and frame.reason != CONTINUE_AS
            is_next = frame is not None and frame.position == position - 1
            return ViewChanged() if is_a_hosts and is_next else None
        case _:
            assert_never(event)
