"""
What a turn came to, with the words: read from its facts, the same right after it and long after.
"""

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.ids import CallId, Revision, TurnId
from lash_es.core.known import IndexKey, IndexKind, TurnEntry
from lash_es.core.messages import (
    EffectFailure,
    ModelReply,
    ProsePart,
    TokenUsage,
    ToolCallPart,
    ToolOutput,
    ToolStatus,
)
from lash_es.core.outcomes import Finished, Stopped, TurnOutcome
from lash_es.log.contents import read_content, read_events
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store
from lash_es.projections.turn_record import IssueEntry, ToolCallEntry, TurnRecord, turn_record
from lash_es.runtime.committing import Lane
from lash_es.turns.activities import TurnActivity


@frozen
class _Source:
    """Where a turn is read."""

    store: Store
    stream: StreamId


@frozen(kw_only=True)
class ToolCallRecord:
    """
    A call of the turn, with what went in and what came out.

    ``duration_ms`` is by the log's clock.
    """

    call_id: CallId
    tool: str
    arguments: str
    status: ToolStatus
    output: str
    duration_ms: int


@frozen(kw_only=True)
class TurnIssue:
    """Something that went wrong for good."""

    kind: str
    code: str
    message: str
    retryable: bool


@frozen(kw_only=True)
class TurnResult:
    """
    How a turn ended. ``assistant_message`` is the answer, none if the turn stopped without one.

    ``revision`` is none for a turn that ended without a commit; ``takeovers`` counts the owners
    after the first.
    """

    turn_id: TurnId
    outcome: TurnOutcome
    assistant_message: str | None
    usage: TokenUsage
    tool_calls: tuple[ToolCallRecord, ...]
    errors: tuple[TurnIssue, ...]
    revision: Revision | None
    started_at_ms: int
    duration_ms: int
    takeovers: int

    @property
    def is_success(self) -> bool:
        """Tell whether the turn reached its answer."""
        return isinstance(self.outcome, Finished)


@frozen(kw_only=True)
class TurnOutput:
    """A result, and what was shown on the way to it, in order."""

    result: TurnResult
    activities: tuple[TurnActivity, ...]


async def read_result(lane: Lane, turn_id: TurnId) -> TurnResult | None:
    """
    Read what a turn came to; none if it is unknown or still open.

    Cost: the turn's own facts and bodies.
    """
    stream = lane.stream
    return await lane.log.read(lambda store: _result(_Source(store, stream), turn_id))


def _find_turn(source: _Source, turn_id: TurnId) -> TurnEntry | None:
    """Look a turn up in the index."""
    key = IndexKey(IndexKind.TURN, turn_id)
    stored = source.store.read_index(source.stream, (key,)).get(key)
    entry = None if stored is None else decode_index_entry(key, stored)
    return entry if isinstance(entry, TurnEntry) else None


def _result(source: _Source, turn_id: TurnId) -> TurnResult | None:
    entry = _find_turn(source, turn_id)
    if entry is None or entry.ended is None:
        return None
    facts = read_events(source.store, source.stream, entry.started, entry.ended)
    record = turn_record(facts, turn_id)
    if record is None or record.outcome is None or record.ended_at_ms is None:
        return None
    return TurnResult(
        turn_id=turn_id,
        outcome=record.outcome,
        assistant_message=_answer(source, record),
        usage=record.usage,
        tool_calls=tuple(_tool_call(source, call) for call in record.tool_calls),
        errors=_issues(source, record),
        revision=record.revision,
        started_at_ms=record.started_at_ms,
        duration_ms=record.ended_at_ms - record.started_at_ms,
        takeovers=record.takeovers,
    )


def _answer(source: _Source, record: TurnRecord) -> str | None:
    if not isinstance(record.outcome, Finished):
        return None
    reply = read_content(source.store, source.stream, record.replies[-1], ModelReply)
    return "\n\n".join(part.text for part in reply.parts if isinstance(part, ProsePart))


def _tool_call(source: _Source, entry: ToolCallEntry) -> ToolCallRecord:
    reply = read_content(source.store, source.stream, entry.call.reply, ModelReply)
    calls = [part for part in reply.parts if isinstance(part, ToolCallPart)]
    settled_at_ms = entry.settled_at_ms or entry.requested_at_ms
    return ToolCallRecord(
        call_id=entry.call.call_id,
        tool=entry.call.tool,
        arguments=calls[entry.call.ordinal].arguments,
        status=entry.status or ToolStatus.CANCELLED,
        output=_output(source, entry),
        duration_ms=settled_at_ms - entry.requested_at_ms,
    )


def _output(source: _Source, entry: ToolCallEntry) -> str:
    if entry.body is None:
        return ""
    if entry.status is ToolStatus.SUCCEEDED:
        return read_content(source.store, source.stream, entry.body, ToolOutput).text
    return read_content(source.store, source.stream, entry.body, EffectFailure).message


def _issues(source: _Source, record: TurnRecord) -> tuple[TurnIssue, ...]:
    """
    List the failures, and the reason of a turn that no failure explains: a model that answered
    nothing.
    """
    issues = tuple(_issue(source, issue) for issue in record.issues)
    outcome = record.outcome
    if issues or not isinstance(outcome, Stopped) or outcome.code is None:
        return issues
    message = _STOPS.get(outcome.code, outcome.code)
    return (TurnIssue(kind="llm_provider", code=outcome.code, message=message, retryable=False),)


def _issue(source: _Source, issue: IssueEntry) -> TurnIssue:
    failure = read_content(source.store, source.stream, issue.body, EffectFailure)
    return TurnIssue(
        kind="llm_provider",
        code=issue.code,
        message=failure.message,
        retryable=issue.is_retryable,
    )


_STOPS = {
    "empty_response": "the model answered nothing: no text and no tool call",
    "output_limit": "the model reached its output limit before it had finished",
    "unknown": "the answer ended without a word on whether it is whole",
    "content_filter": "the provider withheld the answer",
    "error": "the provider ended the answer with an error",
}
