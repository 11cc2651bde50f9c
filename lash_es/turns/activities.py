"""
What a turn shows while it runs, and what whoever looks on is shown of it from the log: the same
events, whether they come at once or are read long after.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import WorkBoundary
from lash_es.core.ids import BatchId, CallId, EffectId, InputId, TurnId
from lash_es.core.ingress import Boundary
from lash_es.core.messages import Message, TokenUsage, ToolStatus
from lash_es.core.outcomes import TurnOutcome


@frozen(kw_only=True)
class ModelRequestStarted:
    """The model is being asked; ``attempt`` above 1 replaces what the attempt before streamed."""

    effect_id: EffectId
    protocol_iteration: int
    attempt: int


@frozen(kw_only=True)
class AssistantProseDelta:
    """A piece of the answer."""

    effect_id: EffectId
    attempt: int
    text: str


@frozen(kw_only=True)
class ReasoningTextDelta:
    """A piece of the model's reasoning."""

    effect_id: EffectId
    attempt: int
    text: str


@frozen(kw_only=True)
class ToolCallStarted:
    """A tool is being called."""

    effect_id: EffectId
    call_id: CallId
    name: str
    arguments: str
    attempt: int


@frozen(kw_only=True)
class ToolCallCompleted:
    """
    A call's outcome is recorded. ``duration_ms`` is from its request to its outcome, by the log's
    clock.
    """

    effect_id: EffectId
    call_id: CallId
    name: str
    arguments: str
    status: ToolStatus
    text: str
    duration_ms: int


@frozen(kw_only=True)
class UsageReported:
    """A model call's tokens, and the turn's so far."""

    protocol_iteration: int
    usage: TokenUsage
    cumulative: TokenUsage


@frozen(kw_only=True)
class ErrorReported:
    """Something went wrong, in words."""

    code: str
    message: str


@frozen(kw_only=True)
class AcceptedInput:
    """An input that a running turn took, under the name that its caller gave it, if any."""

    id: str
    message: Message


@frozen(kw_only=True)
class QueuedInputAccepted:
    """The turn took inputs at a checkpoint; the next model call brings them to the model."""

    checkpoint: Boundary
    inputs: tuple[AcceptedInput, ...]


@frozen(kw_only=True)
class WorkCause:
    """What a process had to say; the same ``cause_id``, the same cause."""

    cause_id: str
    event_type: str
    process_id: str
    sequence: int
    text: str


@frozen(kw_only=True)
class QueuedWorkStarted:
    """The turn took queued work, or began with it."""

    boundary: WorkBoundary
    batch_ids: tuple[BatchId, ...]
    causes: tuple[WorkCause, ...]


@frozen(kw_only=True)
class RepeatedEffect:
    """An effect that is begun anew, as its attempt of this number, from 2 on."""

    effect_id: EffectId
    attempt: int


@frozen(kw_only=True)
class EffectsRepeated:
    """
    A driver goes on with a turn that was left: whatever earlier attempts of these effects have
    streamed is void, and the text of the new attempts takes its place.
    """

    turn_id: TurnId
    effects: tuple[RepeatedEffect, ...]


@frozen(kw_only=True)
class TurnEndedUncommitted:
    """
    The turn ended and is not part of the history: what it streamed is void.

    Returned inputs are pending again, failed ones were tried too often.
    """

    turn_id: TurnId
    outcome: TurnOutcome
    returned_input_ids: tuple[InputId, ...]
    failed_input_ids: tuple[InputId, ...]


TurnActivityEvent: TypeAlias = (
    QueuedWorkStarted
    | QueuedInputAccepted
    | ModelRequestStarted
    | AssistantProseDelta
    | ReasoningTextDelta
    | ToolCallStarted
    | ToolCallCompleted
    | UsageReported
    | ErrorReported
    | EffectsRepeated
    | TurnEndedUncommitted
)


@frozen(kw_only=True)
class TurnActivity:
    """
    One thing to show.

    What belongs together (a call and its end, one reply's text) shares ``correlation_id``.
    """

    activity_id: str
    correlation_id: str
    event: TurnActivityEvent
