"""
What a turn came to, folded from its own facts: the same for a turn just driven and for one looked
up later.
"""

from collections.abc import Iterable

from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.effects import ToolCall
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import EffectId, Generation, Position, Revision, TurnId
from lash_es.core.messages import NO_TOKENS, TokenUsage, ToolStatus
from lash_es.core.outcomes import EffectFailed, ToolReturned, TurnOutcome


@frozen(kw_only=True)
class ToolCallEntry:
    """
    A call of the turn.

    ``body`` is its output or the words of its failure; none while it runs, or if stopped.
    """

    effect_id: EffectId
    call: ToolCall
    status: ToolStatus | None
    body: BodyRef | None
    requested_at_ms: int
    settled_at_ms: int | None


@frozen(kw_only=True)
class IssueEntry:
    """Something that went wrong for good. ``body`` holds the words."""

    effect_id: EffectId
    code: str
    is_retryable: bool
    body: BodyRef


@frozen(kw_only=True)
class TurnRecord:
    """
    A turn as its facts tell it. ``outcome`` is none while it runs; ``revision`` is that of its
    commit.

    ``replies`` are the bodies of the model's replies, in order; ``generation`` is that of the
    owner that drove it last; ``takeovers`` counts the owners after the first.
    """

    turn_id: TurnId
    started: Position
    started_at_ms: int
    generation: Generation
    outcome: TurnOutcome | None = None
    revision: Revision | None = None
    ended_at_ms: int | None = None
    usage: TokenUsage = NO_TOKENS
    replies: tuple[BodyRef, ...] = ()
    tool_calls: tuple[ToolCallEntry, ...] = ()
    issues: tuple[IssueEntry, ...] = ()
    takeovers: int = 0


def turn_record(facts: Iterable[tuple[Position, Event]], turn_id: TurnId) -> TurnRecord | None:
    """
    Fold the facts of a turn, in order; none if it was not started among them.

    One turn is open at a time, so what is between its start and its end is its own.
    """
    record: TurnRecord | None = None
    for position, event in facts:
        if isinstance(event, TurnStarted) and event.turn_id == turn_id:
            record = TurnRecord(
                turn_id=turn_id,
                started=position,
                started_at_ms=event.at_ms,
                generation=event.generation,
            )
        elif record is not None and record.outcome is None:
            record = _after(record, position, event)
    return record


def _after(record: TurnRecord, position: Position, event: Event) -> TurnRecord:
    match event:
        case EffectRequested():
            return _requested(record, event)
        case EffectSettled():
            return _settled(record, position, event)
        case TurnContinued():
            return _continued(record, event)
        case TurnCommitted():
            return with_changes(
                record,
                outcome=event.outcome,
                usage=event.usage,
                revision=event.revision,
                ended_at_ms=event.at_ms,
            )
        case TurnEnded():
            return with_changes(
                record, outcome=event.outcome, usage=event.usage, ended_at_ms=event.at_ms
            )
        case _:
            return record


def _continued(record: TurnRecord, event: TurnContinued) -> TurnRecord:
    """Note another owner; one that goes on with what it left itself has taken nothing over."""
    if event.generation == record.generation:
        return record
    return with_changes(record, generation=event.generation, takeovers=record.takeovers + 1)


def _requested(record: TurnRecord, event: EffectRequested) -> TurnRecord:
    if not isinstance(event.request, ToolCall):
        return record
    entry = ToolCallEntry(
        effect_id=event.effect_id,
        call=event.request,
        status=None,
        body=None,
        requested_at_ms=event.at_ms,
        settled_at_ms=None,
    )
    return with_changes(record, tool_calls=(*record.tool_calls, entry))


def _settled(record: TurnRecord, position: Position, event: EffectSettled) -> TurnRecord:
    is_tool = any(entry.effect_id == event.effect_id for entry in record.tool_calls)
    if is_tool:
        return _tool_settled(record, position, event)
    if isinstance(event.outcome, EffectFailed):
        issue = IssueEntry(
            effect_id=event.effect_id,
            code=event.outcome.code,
            is_retryable=event.outcome.is_retryable,
            body=body_ref(position),
        )
        return with_changes(record, issues=(*record.issues, issue))
    replies = (body_ref(position),) if event.bodies else ()
    return with_changes(record, replies=(*record.replies, *replies))


def _tool_settled(record: TurnRecord, position: Position, event: EffectSettled) -> TurnRecord:
    tool_calls = tuple(
        with_changes(
            entry,
            status=_status(event),
            body=body_ref(position) if event.bodies else None,
            settled_at_ms=event.at_ms,
        )
        if entry.effect_id == event.effect_id
        else entry
        for entry in record.tool_calls
    )
    return with_changes(record, tool_calls=tool_calls)


def _status(event: EffectSettled) -> ToolStatus:
    if isinstance(event.outcome, ToolReturned):
        return ToolStatus.SUCCEEDED
    return ToolStatus.FAILED if isinstance(event.outcome, EffectFailed) else ToolStatus.CANCELLED
