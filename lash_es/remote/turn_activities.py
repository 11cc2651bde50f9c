"""
What a turn shows, on the wire. Events that only this runtime has collapse into
``runtime_diagnostic``, with their name as ``kind``.
"""

from typing import Final, TypeAlias, assert_never

import orjson
from attrs import field, frozen

from lash_es.core.messages import JsonValue, ToolStatus
from lash_es.remote.constraints import (
    FLAT,
    PROTOCOL_VERSION,
    Count,
    Json,
    JsonFields,
    Name,
    ProtocolVersion,
)
from lash_es.remote.converting import tagged
from lash_es.remote.usage import RemoteUsage, remote_usage
from lash_es.turns.activities import (
    AssistantProseDelta,
    EffectsRepeated,
    ErrorReported,
    ModelRequestStarted,
    QueuedInputAccepted,
    QueuedWorkStarted,
    ReasoningTextDelta,
    ToolCallCompleted,
    ToolCallStarted,
    TurnActivity,
    TurnActivityEvent,
    TurnEndedUncommitted,
    UsageReported,
)

FIRST_ATTEMPT: Final = 1


@tagged("model_request_started")
@frozen(kw_only=True)
class RemoteModelRequestStarted:
    """The model is being asked."""

    protocol_iteration: Count
    attempt: Count = FIRST_ATTEMPT


@tagged("assistant_prose_delta")
@frozen(kw_only=True)
class RemoteAssistantProseDelta:
    """A piece of the answer; that of a later attempt replaces all of the earlier ones."""

    text: str
    attempt: Count = FIRST_ATTEMPT


@tagged("reasoning_delta")
@frozen(kw_only=True)
class RemoteReasoningDelta:
    """A piece of the model's reasoning; replaced like prose."""

    text: str
    attempt: Count = FIRST_ATTEMPT


@frozen(kw_only=True)
class RemoteToolOutput:
    """What a call came to, in the words that the model reads."""

    status: ToolStatus
    text: str


@tagged("tool_call_started")
@frozen(kw_only=True)
class RemoteToolCallStarted:
    """A tool is being called; ``args`` is a text if the model wrote no JSON."""

    call_id: str | None = None
    name: str
    args: Json
    attempt: Count = FIRST_ATTEMPT


@tagged("tool_call_completed")
@frozen(kw_only=True)
class RemoteToolCallCompleted:
    """A call's outcome is recorded."""

    call_id: str | None = None
    name: str
    args: Json
    output: RemoteToolOutput
    duration_ms: Count


@tagged("usage")
@frozen(kw_only=True)
class RemoteUsageReported:
    """A model call's tokens, and the turn's so far."""

    protocol_iteration: Count
    usage: RemoteUsage
    cumulative: RemoteUsage


@tagged("error")
@frozen(kw_only=True)
class RemoteErrorReported:
    """Something went wrong, in words."""

    message: str
    code: Name | None = None


@tagged("runtime_diagnostic")
@frozen(kw_only=True)
class RemoteRuntimeDiagnostic:
    """Something that happened inside the runtime, named by ``kind``."""

    kind: Name
    data: JsonFields


RemoteTurnEvent: TypeAlias = (
    RemoteModelRequestStarted
    | RemoteAssistantProseDelta
    | RemoteReasoningDelta
    | RemoteToolCallStarted
    | RemoteToolCallCompleted
    | RemoteUsageReported
    | RemoteErrorReported
    | RemoteRuntimeDiagnostic
)


@frozen(kw_only=True)
class RemoteTurnActivity:
    """
    One thing to show; ``sequence`` orders those of one stream and is no place to go on from.

    What belongs together shares ``correlation_id``. The event's fields stand beside these.
    """

    protocol_version: ProtocolVersion
    sequence: Count
    id: Name
    correlation_id: Name
    event: RemoteTurnEvent = field(metadata={FLAT: True})


def remote_activity(activity: TurnActivity, sequence: int) -> RemoteTurnActivity:
    """Write an activity for the wire."""
    return RemoteTurnActivity(
        protocol_version=PROTOCOL_VERSION,
        sequence=sequence,
        id=activity.activity_id,
        correlation_id=activity.correlation_id,
        event=_remote_event(activity.event),
    )


def json_or_text(arguments: str) -> JsonValue:
    """Read arguments as the model wrote them: JSON, or a text where they are none."""
    try:
        read: JsonValue = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return arguments
    return read


def _remote_event(event: TurnActivityEvent) -> RemoteTurnEvent:
    match event:
        case ModelRequestStarted() | AssistantProseDelta() | ReasoningTextDelta():
            return _of_a_reply(event)
        case ToolCallStarted() | ToolCallCompleted():
            return _of_a_call(event)
        case UsageReported():
            return RemoteUsageReported(
                protocol_iteration=event.protocol_iteration,
                usage=remote_usage(event.usage),
                cumulative=remote_usage(event.cumulative),
            )
        case ErrorReported():
            return RemoteErrorReported(message=event.message, code=event.code)
        case (
            QueuedWorkStarted()
            | QueuedInputAccepted()
            | EffectsRepeated()
            | TurnEndedUncommitted()
        ):
            return _diagnostic(event)
        case _:
            assert_never(event)


def _of_a_reply(
    event: ModelRequestStarted | AssistantProseDelta | ReasoningTextDelta,
) -> RemoteTurnEvent:
    match event:
        case ModelRequestStarted():
            return RemoteModelRequestStarted(
                protocol_iteration=event.protocol_iteration, attempt=event.attempt
            )
        case AssistantProseDelta():
            return RemoteAssistantProseDelta(text=event.text, attempt=event.attempt)
        case ReasoningTextDelta():
            return RemoteReasoningDelta(text=event.text, attempt=event.attempt)
        case _:
            assert_never(event)


def _of_a_call(event: ToolCallStarted | ToolCallCompleted) -> RemoteTurnEvent:
    arguments = json_or_text(event.arguments)
    if isinstance(event, ToolCallStarted):
        return RemoteToolCallStarted(
            call_id=event.call_id, name=event.name, args=arguments, attempt=event.attempt
        )
    return RemoteToolCallCompleted(
        call_id=event.call_id,
        name=event.name,
        args=arguments,
        output=RemoteToolOutput(status=event.status, text=event.text),
        duration_ms=event.duration_ms,
    )


def _diagnostic(
    event: QueuedWorkStarted | QueuedInputAccepted | EffectsRepeated | TurnEndedUncommitted,
) -> RemoteRuntimeDiagnostic:
    kind: str
    data: dict[str, JsonValue]
    match event:
        case QueuedWorkStarted():
            kind = "queued_work_started"
            data = {
                "boundary": event.boundary.value,
                "batch_ids": list(event.batch_ids),
                "causes": [
                    {"id": each.cause_id, "event_type": each.event_type, "text": each.text}
                    for each in event.causes
                ],
            }
        case QueuedInputAccepted():
            kind = "queued_input_accepted"
            data = {
                "checkpoint": event.checkpoint.value,
                "inputs": [{"id": each.id, "text": each.message.text} for each in event.inputs],
            }
        case EffectsRepeated():
            kind = "effects_repeated"
            data = {
                "turn_id": event.turn_id,
                # Streamed text is correlated by the effect that it is of.
                "effects": [
                    {"correlation_id": each.effect_id, "attempt": each.attempt}
                    for each in event.effects
                ],
            }
        case TurnEndedUncommitted():
            kind = "turn_ended_uncommitted"
            data = {
                "turn_id": event.turn_id,
                "returned_input_ids": list(event.returned_input_ids),
                "failed_input_ids": list(event.failed_input_ids),
            }
        case _:
            assert_never(event)
    return RemoteRuntimeDiagnostic(kind=kind, data=data)
