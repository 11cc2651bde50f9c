"""Closed sets of endings: of a turn, of an effect, of an input."""

from enum import Enum
from typing import TypeAlias

from attrs import frozen

from lash_es.core.ids import CallId, FrameId
from lash_es.core.messages import FinishReason, TokenUsage


class StopReason(Enum):
    """Why a turn stopped without the answer it was asked for."""

    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    MAX_TURNS = "max_turns"
    PROVIDER_ERROR = "provider_error"
    RUNTIME_ERROR = "runtime_error"


@frozen(kw_only=True)
class Finished:
    """The last assistant message of the turn is the answer."""


@frozen(kw_only=True)
class Stopped:
    """
    The turn stopped; ``code`` narrows the reason (``empty_response``, ``rate_limited``, ...).
    """

    reason: StopReason
    code: str | None = None


@frozen(kw_only=True)
class FrameSwitched:
    """The turn ended by going on in another frame, which its commit opens; blank: in none."""

    frame_id: FrameId


TurnOutcome: TypeAlias = Finished | FrameSwitched | Stopped


@frozen(kw_only=True)
class ToolCallRef:
    """A call that a reply asked for, without its arguments: those are in the reply's body."""

    call_id: CallId
    tool: str


@frozen(kw_only=True)
class ModelReplied:
    """
    A model answered; the reply is the fact's body.

    ``has_content``: it wrote text or reasoning.
    """

    finish: FinishReason
    has_content: bool
    tool_calls: tuple[ToolCallRef, ...]
    usage: TokenUsage


@frozen(kw_only=True)
class ToolReturned:
    """A tool returned; what it returned is the fact's body."""


@frozen(kw_only=True)
class EffectFailed:
    """
    The effect failed for good; the words are the fact's body.

    ``is_retryable``: the same call may work later.
    """

    code: str
    is_retryable: bool


@frozen(kw_only=True)
class EffectCancelled:
    """The effect was stopped because its turn was."""


EffectOutcome: TypeAlias = ModelReplied | ToolReturned | EffectFailed | EffectCancelled


class InputStatus(Enum):
    """
    Where an input is in its life, in the seed's words; ``failed`` is ours: its turns kept ending
    without a commit.
    """

    PENDING_ACTIVE = "pending_active"
    DEFERRED_NEXT_TURN = "deferred_next_turn"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
