"""Rules of a turn's effects: what may be asked for, and which outcome fits."""

from typing import assert_never

from lash_es.core import turns
from lash_es.core.commands import RequestEffect, SettleEffect
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.errors import EffectNotOpen, EffectOutcomeMismatch, EffectRequestRefused
from lash_es.core.events import EffectRequested, EffectSettled, Event
from lash_es.core.limits import Limits
from lash_es.core.outcomes import (
    EffectCancelled,
    EffectFailed,
    EffectOutcome,
    ModelReplied,
    ToolReturned,
)
from lash_es.core.rules.bounds import require_body, require_within
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn, Replied


def request(session: Open, command: RequestEffect, now_ms: int) -> tuple[Event, ...]:
    """An effect is asked for once, under its own name, and only where the turn stands."""
    turn = require_turn(session, command.turn_id)
    reason = _why_not(turn, command.request)
    if command.effect_id != turns.effect_name(turn):
        reason = f"the turn's next effect is {turns.effect_name(turn)!r}"
    if reason is not None:
        raise EffectRequestRefused(effect_id=command.effect_id, reason=reason)
    requested = EffectRequested(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        effect_id=command.effect_id,
        request=command.request,
    )
    return (requested,)


def _why_not(turn: OpenTurn, request: EffectRequest) -> str | None:
    """
    Say why the request does not follow from where the turn stands: one reply, or its calls, each
    once.
    """
    step = turn.step
    if isinstance(request, ModelCall):
        if isinstance(step, Replied) and step.outcome.tool_calls:
            return "the last reply has calls without an outcome"
        return "an effect is open" if turn.effects else None
    if not isinstance(step, Replied) or step.reply != request.reply:
        return "no reply asked for it"
    calls = step.outcome.tool_calls
    if request.ordinal >= len(calls) or calls[request.ordinal].call_id != request.call_id:
        return "the reply holds no such call"
    asked = {e.request.ordinal for e in turn.effects.values() if isinstance(e.request, ToolCall)}
    if request.ordinal in asked or request.ordinal in turn.results:
        return "the call was requested before"
    return None


def settle(session: Open, command: SettleEffect, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """An outcome is recorded once, and only one that the effect can have."""
    turn = require_turn(session, command.turn_id)
    effect = turn.effects.get(command.effect_id)
    if effect is None:
        raise EffectNotOpen(effect_id=command.effect_id)
    mismatch = _mismatch(effect.request, command)
    if mismatch is not None:
        raise EffectOutcomeMismatch(
            effect_id=command.effect_id,
            requested=type(effect.request).__name__,
            outcome=mismatch,
        )
    require_body(command.body, limits)
    if isinstance(command.outcome, ModelReplied):
        _require_calls(command.outcome, limits)
    settled = EffectSettled(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        effect_id=command.effect_id,
        outcome=command.outcome,
        bodies=() if command.body is None else (command.body.commitment,),
    )
    return (settled,)


def _require_calls(outcome: ModelReplied, limits: Limits) -> None:
    """What a model wrote goes into the header only as far as it is short."""
    calls = outcome.tool_calls
    require_within("tool_calls_per_reply_max", len(calls), limits.tool_calls_per_reply_max)
    for call in calls:
        longest = max(len(call.call_id), len(call.tool))
        require_within("tool_name_chars_max", longest, limits.tool_name_chars_max)


def _mismatch(request: EffectRequest, command: SettleEffect) -> str | None:
    """Say what is wrong with the outcome; all but a cancellation come with words."""
    outcome = type(command.outcome).__name__
    if not _fits(request, command.outcome):
        return outcome
    if isinstance(command.outcome, EffectCancelled):
        return None if command.body is None else f"{outcome} with a body"
    return f"{outcome} without a body" if command.body is None else None


def _fits(request: EffectRequest, outcome: EffectOutcome) -> bool:
    match outcome:
        case ModelReplied():
            return isinstance(request, ModelCall)
        case ToolReturned():
            return isinstance(request, ToolCall)
        case EffectFailed() | EffectCancelled():
            return True
        case _:
            assert_never(outcome)
