"""From what a host is told to what its remote clients are told."""

from typing import assert_never

from lash_es.core.ids import SessionId
from lash_es.core.outcomes import Finished, FrameSwitched, Stopped, StopReason
from lash_es.log.subscribing import GapReason
from lash_es.projections.observation import AgentFrameSwitched, QueueChange, QueueChanged
from lash_es.remote.constraints import PROTOCOL_VERSION
from lash_es.remote.observations import (
    RemoteActivityShown,
    RemoteAgentFrameSwitched,
    RemoteCommitted,
    RemoteGapReason,
    RemoteLiveReplayGap,
    RemoteObservationPayload,
    RemoteQueueChange,
    RemoteQueueChanged,
    RemoteSessionObservation,
    RemoteSessionObservationEvent,
)
from lash_es.remote.turn_activities import (
    RemoteToolOutput,
    RemoteTurnActivity,
    json_or_text,
    remote_activity,
)
from lash_es.remote.turn_results import (
    RemoteAssistantMessage,
    RemoteAssistantOutput,
    RemoteExecution,
    RemoteFrameSwitched,
    RemoteOutputState,
    RemoteStopped,
    RemoteToolCallRecord,
    RemoteTurnIssue,
    RemoteTurnOutcome,
    RemoteTurnResult,
    RemoteTurnStatus,
    RemoteTurnUsage,
)
from lash_es.remote.usage import remote_usage
from lash_es.session.observations import (
    Committed,
    LiveReplayGap,
    ObservationPayload,
    SessionObservation,
    SessionObservationEvent,
)
from lash_es.session.results import ToolCallRecord, TurnOutput, TurnResult
from lash_es.turns.activities import TurnActivity


def remote_observation(observation: SessionObservation) -> RemoteSessionObservation:
    """Write an observation for the wire: where the session stands, without its words."""
    view = observation.read_view
    return RemoteSessionObservation(
        protocol_version=PROTOCOL_VERSION,
        session_id=view.session_id,
        cursor=str(observation.cursor),
        turn_index=view.turn_index,
        usage=remote_usage(view.token_usage),
    )


def remote_event(event: SessionObservationEvent, sequence: int) -> RemoteSessionObservationEvent:
    """Write an event for the wire; ``sequence`` is its number in its stream."""
    return RemoteSessionObservationEvent(
        protocol_version=PROTOCOL_VERSION,
        session_id=event.session_id,
        revision=event.revision,
        cursor=str(event.cursor),
        payload=_remote_payload(event.payload, sequence),
    )


def _remote_payload(payload: ObservationPayload, sequence: int) -> RemoteObservationPayload:
    match payload:
        case TurnActivity():
            return RemoteActivityShown(activity=remote_activity(payload, sequence))
        case Committed():
            return RemoteCommitted()
        case AgentFrameSwitched():
            return RemoteAgentFrameSwitched(frame_id=payload.frame_id)
        case QueueChanged():
            is_enqueued = payload.kind is QueueChange.ENQUEUED
            kind = RemoteQueueChange.ENQUEUED if is_enqueued else RemoteQueueChange.CANCELLED
            return RemoteQueueChanged(kind=kind, batch_ids=payload.batch_ids)
        case _:
            assert_never(payload)


def remote_gap(gap: LiveReplayGap) -> RemoteLiveReplayGap:
    """Write a gap for the wire."""
    is_trimmed = gap.reason is GapReason.TRIMMED
    return RemoteLiveReplayGap(
        protocol_version=PROTOCOL_VERSION,
        session_id=gap.session_id,
        requested_cursor=str(gap.requested_cursor),
        latest_cursor=str(gap.latest_cursor),
        latest_revision=gap.latest_revision,
        reason=RemoteGapReason.TRIMMED if is_trimmed else RemoteGapReason.UNAVAILABLE,
    )


def remote_turn_result(session_id: SessionId, output: TurnOutput) -> RemoteTurnResult:
    """Write a turn's result for the wire, with what it showed on the way."""
    result = output.result
    text = result.assistant_message or ""
    safe_text = "\n".join(line.rstrip() for line in text.splitlines()).strip()
    state = RemoteOutputState.USABLE if safe_text else RemoteOutputState.EMPTY_OUTPUT
    return RemoteTurnResult(
        protocol_version=PROTOCOL_VERSION,
        session_id=session_id,
        turn_id=result.turn_id,
        status=_status(result),
        outcome=_outcome(result),
        assistant_output=RemoteAssistantOutput(safe_text=safe_text, raw_text=text, state=state),
        usage=RemoteTurnUsage.of(result.usage),
        execution=RemoteExecution(
            had_tool_calls=bool(result.tool_calls),
            had_code_execution=False,
            started_at_ms=result.started_at_ms,
            duration_ms=result.duration_ms,
        ),
        tool_calls=tuple(_tool_call(call) for call in result.tool_calls),
        issues=tuple(
            RemoteTurnIssue(
                kind=issue.kind, code=issue.code, message=issue.message, retryable=issue.retryable
            )
            for issue in result.errors
        ),
        activities=_activities(output),
        metadata={},
    )


def _activities(output: TurnOutput) -> tuple[RemoteTurnActivity, ...]:
    return tuple(
        remote_activity(activity, sequence) for sequence, activity in enumerate(output.activities)
    )


def _status(result: TurnResult) -> RemoteTurnStatus:
    match result.outcome:
        case Finished() | FrameSwitched():
            return RemoteTurnStatus.COMPLETED
        case Stopped(reason=StopReason.CANCELLED):
            return RemoteTurnStatus.CANCELLED
        case Stopped():
            return RemoteTurnStatus.FAILED


def _outcome(result: TurnResult) -> RemoteTurnOutcome:
    if isinstance(result.outcome, Stopped):
        return RemoteStopped(reason=result.outcome.reason, code=result.outcome.code)
    if isinstance(result.outcome, FrameSwitched):
        return RemoteFrameSwitched(frame_id=result.outcome.frame_id)
    return RemoteAssistantMessage(text=result.assistant_message or "")


def _tool_call(call: ToolCallRecord) -> RemoteToolCallRecord:
    return RemoteToolCallRecord(
        call_id=call.call_id,
        tool=call.tool,
        args=json_or_text(call.arguments),
        output=RemoteToolOutput(status=call.status, text=call.output),
        duration_ms=call.duration_ms,
    )
