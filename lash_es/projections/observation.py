"""
What whoever looks on is told of a session: each fact as one event at most, and each piece of
activity as one; computed from the log alone, so that every process tells the same.

A fact's event needs the state in front of the fact, and of what was said the bodies that
``sources_of`` names. Leases, claims and the bookkeeping of queues are nobody's business and tell
nothing.
"""

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias, assert_never

from attrs import Factory, frozen

from lash_es.core.activity import ProseStreamed, StreamedActivity
from lash_es.core.bodies import BodyRef
from lash_es.core.effects import Effect, ModelCall, ToolCall
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
    body_ref,
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
from lash_es.core.messages import (
    EffectFailure,
    ModelReply,
    ToolCallPart,
    ToolOutput,
    ToolStatus,
)
from lash_es.core.outcomes import EffectFailed, FrameSwitched, ModelReplied, ToolReturned
from lash_es.core.rules.frames import CONTINUE_AS
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkCancelled, WorkClaimAbandoned, WorkEnqueued
from lash_es.turns.activities import (
    AssistantProseDelta,
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedInputAccepted,
    ReasoningTextDelta,
    RepeatedEffect,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnActivityEvent,
    TurnEndedUncommitted,
    UsageReported,
)
from lash_es.turns.transcript import Content


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


@frozen(kw_only=True)
class Sources:
    """
    What an event is told with, beside its fact: what was said, and when other facts were recorded.
    """

    contents: Mapping[BodyRef, Content] = Factory(dict[BodyRef, Content])
    times_ms: Mapping[Position, int] = Factory(dict[Position, int])


@frozen(kw_only=True)
class Wanted:
    """Which sources are to be read: bodies, each with what it is expected to hold, and facts."""

    contents: Mapping[BodyRef, type[Content]] = Factory(dict[BodyRef, type[Content]])
    positions: tuple[Position, ...] = ()


NO_SOURCES = Sources()
NOTHING_WANTED = Wanted()


def sources_of(before: State, position: Position, event: Event) -> Wanted:
    """Say what has to be read before a fact at ``position`` can be told."""
    if isinstance(event, EffectRequested) and isinstance(event.request, ToolCall):
        return Wanted(contents={event.request.reply: ModelReply})
    if not isinstance(event, EffectSettled):
        return NOTHING_WANTED
    effect = _effect(before, event)
    own: dict[BodyRef, type[Content]] = {}
    if isinstance(event.outcome, EffectFailed):
        own[body_ref(position)] = EffectFailure
    if not isinstance(effect.request, ToolCall):
        return Wanted(contents=own)
    if isinstance(event.outcome, ToolReturned):
        own[body_ref(position)] = ToolOutput
    return Wanted(contents={effect.request.reply: ModelReply, **own}, positions=(effect.position,))


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
            | TurnEnded()
        ):
            return _turn_activity(before, position, event, sources)
        case _:
            return None


def told_of_activity(name: str, streamed: StreamedActivity) -> TurnActivity:
    """Tell a piece of activity; ``name`` says where it is in the session."""
    kind = AssistantProseDelta if isinstance(streamed, ProseStreamed) else ReasoningTextDelta
    event = kind(effect_id=streamed.effect_id, attempt=streamed.attempt, text=streamed.text)
    return TurnActivity(activity_id=name, correlation_id=streamed.effect_id, event=event)


def activity_name(version: int, seq: int) -> str:
    """Name what is told of a place in the session: the same name whoever tells it."""
    return f"{version}.{seq}"


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
    assert isinstance(before, Open)
    frame = before.graph.frame
    match event:
        case TurnCommitted():
            switched = event.outcome if isinstance(event.outcome, FrameSwitched) else None
            here = current_frame_id(before.graph, before.session_id)
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


_TurnEvent: TypeAlias = (
    EffectRequested | EffectSettled | TurnContinued | TurnInputsAccepted | TurnEnded
)


def _turn_activity(
    before: State, position: Position, event: _TurnEvent, sources: Sources
) -> TurnActivity | None:
    name = activity_name(position + 1, 0)
    shown: TurnActivityEvent | None
    correlation: str = name
    match event:
        case EffectRequested():
            shown = _requested(event, sources)
            correlation = _correlation(event.effect_id, event.request)
        case EffectSettled():
            effect = _effect(before, event)
            shown = _settled(before, position, event, sources)
            correlation = _correlation(event.effect_id, effect.request)
        case TurnContinued():
            shown = _continued(before, event)
        case TurnInputsAccepted():
            shown = QueuedInputAccepted(checkpoint=event.checkpoint, input_ids=event.input_ids)
        case TurnEnded():
            shown = TurnEndedUncommitted(
                turn_id=event.turn_id,
                outcome=event.outcome,
                returned_input_ids=event.returned_input_ids,
                failed_input_ids=event.failed_input_ids,
            )
        case _:
            assert_never(event)
    if shown is None:
        return None
    return TurnActivity(activity_id=name, correlation_id=correlation, event=shown)


def _correlation(effect_id: str, request: ModelCall | ToolCall) -> str:
    return effect_id if isinstance(request, ModelCall) else f"tool:{request.call_id}"


def _requested(event: EffectRequested, sources: Sources) -> TurnActivityEvent:
    if isinstance(event.request, ModelCall):
        return ModelRequestStarted(
            effect_id=event.effect_id, protocol_iteration=event.request.iteration, attempt=1
        )
    return ToolCallStarted(
        effect_id=event.effect_id,
        call_id=event.request.call_id,
        name=event.request.tool,
        arguments=_arguments(event.request, sources),
        attempt=1,
    )


def _continued(before: State, event: TurnContinued) -> EffectsRepeated | None:
    """Tell whose text is void; a turn that was left between two effects repeats none."""
    effects = tuple(
        RepeatedEffect(effect_id=effect.effect_id, attempt=effect.attempt + 1)
        for effect in _turn(before).effects.values()
    )
    return EffectsRepeated(turn_id=event.turn_id, effects=effects) if effects else None


def _settled(
    before: State, position: Position, event: EffectSettled, sources: Sources
) -> TurnActivityEvent | None:
    effect = _effect(before, event)
    if isinstance(effect.request, ToolCall):
        return _completed(effect, effect.request, position, event, sources)
    if isinstance(event.outcome, ModelReplied):
        return UsageReported(
            protocol_iteration=effect.request.iteration,
            usage=event.outcome.usage,
            cumulative=_turn(before).usage + event.outcome.usage,
        )
    if isinstance(event.outcome, EffectFailed):
        message = _words(sources.contents[body_ref(position)])
        return ErrorReported(code=event.outcome.code, message=message)
    return None


def _completed(
    effect: Effect, call: ToolCall, position: Position, event: EffectSettled, sources: Sources
) -> ToolCallCompleted:
    if isinstance(event.outcome, ToolReturned):
        status = ToolStatus.SUCCEEDED
    elif isinstance(event.outcome, EffectFailed):
        status = ToolStatus.FAILED
    else:
        status = ToolStatus.CANCELLED
    content = sources.contents.get(body_ref(position))
    return ToolCallCompleted(
        effect_id=effect.effect_id,
        call_id=call.call_id,
        name=call.tool,
        arguments=_arguments(call, sources),
        status=status,
        text=status.value if content is None else _words(content),
        duration_ms=event.at_ms - sources.times_ms[effect.position],
    )


def _arguments(call: ToolCall, sources: Sources) -> str:
    reply = sources.contents[call.reply]
    assert isinstance(reply, ModelReply)
    parts = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    return parts[call.ordinal].arguments


def _words(content: Content) -> str:
    if isinstance(content, EffectFailure):
        return content.message
    assert isinstance(content, ToolOutput)
    return content.text


def _effect(before: State, event: EffectSettled) -> Effect:
    return _turn(before).effects[event.effect_id]


def _turn(before: State) -> OpenTurn:
    """Return the open turn, which a fact of a turn was recorded in."""
    assert isinstance(before, Open)
    assert isinstance(before.turn, OpenTurn)
    return before.turn
