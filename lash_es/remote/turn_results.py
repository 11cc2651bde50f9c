"""How a turn ended, on the wire."""

from enum import Enum
from typing import Self, TypeAlias

from attrs import frozen

from lash_es.core.messages import TokenUsage
from lash_es.core.outcomes import StopReason
from lash_es.remote.constraints import Count, Json, JsonFields, Name, ProtocolVersion
from lash_es.remote.converting import tagged
from lash_es.remote.turn_activities import RemoteToolOutput, RemoteTurnActivity
from lash_es.remote.usage import (
    RemoteTokenLedgerEntry,
    RemoteUsage,
    remote_usage,
    usage_from_remote,
)


class RemoteTurnStatus(Enum):
    """How far a turn is; ``in_progress`` is for clients that keep a turn before its end."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    IN_PROGRESS = "in_progress"


@tagged("assistant_message")
@frozen(kw_only=True)
class RemoteAssistantMessage:
    """The turn reached its answer."""

    text: str


@tagged("stopped")
@frozen(kw_only=True)
class RemoteStopped:
    """The turn stopped without the answer it was asked for."""

    reason: StopReason
    code: Name | None = None


@tagged("agent_frame_switch")
@frozen(kw_only=True)
class RemoteFrameSwitched:
    """The turn ended by going on in another frame."""

    frame_id: str


RemoteTurnOutcome: TypeAlias = RemoteAssistantMessage | RemoteFrameSwitched | RemoteStopped


class RemoteOutputState(Enum):
    """What the answer is good for."""

    USABLE = "usable"
    EMPTY_OUTPUT = "empty_output"


@frozen(kw_only=True)
class RemoteAssistantOutput:
    """The answer, as it is and with what surrounds it trimmed."""

    safe_text: str
    raw_text: str
    state: RemoteOutputState


@frozen(kw_only=True)
class RemoteTurnUsage:
    """Tokens of the turn, of its children, and of both together."""

    parent: RemoteUsage
    children: tuple[RemoteTokenLedgerEntry, ...]
    total: RemoteUsage

    @classmethod
    def of(cls, parent: TokenUsage, children: tuple[RemoteTokenLedgerEntry, ...] = ()) -> Self:
        """Sum them bucket by bucket."""
        total = sum((usage_from_remote(child.usage) for child in children), parent)
        return cls(parent=remote_usage(parent), children=children, total=remote_usage(total))


@frozen(kw_only=True)
class RemoteExecution:
    """What it took."""

    had_tool_calls: bool
    had_code_execution: bool
    started_at_ms: Count
    duration_ms: Count


@frozen(kw_only=True)
class RemoteToolCallRecord:
    """A call of the turn."""

    call_id: str | None = None
    tool: str
    args: Json
    output: RemoteToolOutput
    duration_ms: Count


@frozen(kw_only=True)
class RemoteTurnIssue:
    """Something that went wrong for good."""

    kind: Name
    code: Name | None = None
    message: str
    retryable: bool | None = None


@frozen(kw_only=True)
class RemoteTurnResult:
    """A turn's result, with what it showed if that was asked for."""

    protocol_version: ProtocolVersion
    session_id: Name
    turn_id: Name
    status: RemoteTurnStatus
    outcome: RemoteTurnOutcome
    assistant_output: RemoteAssistantOutput
    usage: RemoteTurnUsage
    execution: RemoteExecution
    tool_calls: tuple[RemoteToolCallRecord, ...]
    issues: tuple[RemoteTurnIssue, ...]
    activities: tuple[RemoteTurnActivity, ...]
    metadata: JsonFields
