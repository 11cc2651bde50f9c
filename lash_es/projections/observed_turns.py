"""
What whoever looks on is told of a turn: each fact of it as one activity at most.

What was said is not in the facts: ``sources_of`` names the bodies, and the other facts, that an
activity is told with.
"""

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from attrs import Factory, frozen

from lash_es.core.batches import ProcessWake, WorkBoundary
from lash_es.core.bodies import BodyRef
from lash_es.core.effects import Effect, ModelCall, ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnContinued,
    TurnEnded,
    TurnInputsAccepted,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import BatchId, Position
from lash_es.core.inputs import PendingInput
from lash_es.core.messages import (
    EffectFailure,
    ModelReply,
    ToolCallPart,
    ToolOutput,
    ToolStatus,
    TurnInput,
)
from lash_es.core.outcomes import EffectFailed, ModelReplied, ToolReturned
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import (
    DrainedWork,
    WorkClaimed,
)
from lash_es.turns.activities import (
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedWorkStarted,
    RepeatedEffect,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnActivityEvent,
    TurnEndedUncommitted,
    UsageReported,
)
from lash_es.turns.taking import inputs_accepted, submitted_name, work_started
from lash_es.turns.transcript import Content


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
    if isinstance(event, TurnInputsAccepted):
        inputs = [each.content.ref for each in _inputs(before, event)]
        return Wanted(contents=dict.fromkeys(inputs, TurnInput))
    taken = _taken_work(event)
    if taken is not None:
        return Wanted(contents=dict.fromkeys(_work_bodies(before, taken[1]), ProcessWake))
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


def activity_name(version: int, seq: int) -> str:
    """Name what is told of a place in the session: the same name whoever tells it."""
    return f"{version}.{seq}"


TurnEvent: TypeAlias = (
    EffectRequested
    | EffectSettled
    | TurnContinued
    | TurnInputsAccepted
    | TurnStarted
    | WorkClaimed
    | TurnEnded
)


def turn_activity(
    before: State, position: Position, event: TurnEvent, sources: Sources
) -> TurnActivity | None:
    """Tell a fact of a turn; none if it tells nothing."""
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
            named = [(submitted_name(each), each.content.ref) for each in _inputs(before, event)]
            shown = inputs_accepted(event.checkpoint, named, sources.contents)
        case TurnStarted() | WorkClaimed():
            shown = _work_started(before, event, sources)
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


def _inputs(before: State, event: TurnInputsAccepted) -> list[PendingInput]:
    return [open_before(before).inputs.pending[input_id] for input_id in event.input_ids]


def _taken_work(event: Event) -> tuple[WorkBoundary, tuple[BatchId, ...]] | None:
    """Say which work a turn begins with or takes in; what is claimed for none is not told."""
    if isinstance(event, TurnStarted) and isinstance(event.origin, DrainedWork):
        return WorkBoundary.IDLE, event.origin.batch_ids
    if isinstance(event, WorkClaimed) and event.turn_id is not None:
        return WorkBoundary.ACTIVE_TURN_CHECKPOINT, event.batch_ids
    return None


def _work_bodies(before: State, batch_ids: tuple[BatchId, ...]) -> tuple[BodyRef, ...]:
    batches = open_before(before).work.batches
    return tuple(body.ref for each in batch_ids for body in batches[each].contents)


def _work_started(
    before: State, event: TurnStarted | WorkClaimed, sources: Sources
) -> QueuedWorkStarted | None:
    taken = _taken_work(event)
    if taken is None:
        return None
    boundary, batch_ids = taken
    return work_started(boundary, batch_ids, _work_bodies(before, batch_ids), sources.contents)


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
    turn = open_before(before).turn
    assert isinstance(turn, OpenTurn)
    return turn


def open_before(before: State) -> Open:
    """Return the open session, which a fact that tells something was recorded in."""
    assert isinstance(before, Open)
    return before
