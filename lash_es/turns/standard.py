"""
The standard protocol: prompt, model, tools, again, until the model answers without tools; then
commit.

``plan`` is a function of the open turn, and of whether there is news for it, so the live path and
a takeover are the same. A turn whose model call failed, or that was answered with nothing, ends
without a commit; every other ending is committed.

News comes in at two *checkpoints*: before the model is asked after tools, and before an answer is
taken for the last word. There it is answered by one more call, also if the limit was reached: that
call is told so, and the news after it stops the turn.
"""

from typing import TypeAlias, assert_never

from attrs import frozen

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import CommitTurn, EndTurn, RequestEffect
from lash_es.core.effects import EffectRequest, ModelCall, ToolCall
from lash_es.core.ingress import Boundary
from lash_es.core.messages import FinishReason
from lash_es.core.outcomes import Finished, Stopped, StopReason, ToolCallRef, TurnOutcome
from lash_es.core.owners import Fence
from lash_es.core.transcripts import FromResults
from lash_es.core.turns import (
    BatchDone,
    Begun,
    Interrupted,
    ModelCallFailed,
    OpenTurn,
    Replied,
    effect_name,
)


@frozen
class Wait:
    """Effects are open; nothing follows before one of them has its outcome."""


@frozen
class AskModel:
    """The next model call."""


@frozen
class RunTools:
    """Every call of the reply, all at once, in its order."""

    reply: BodyRef
    calls: tuple[ToolCallRef, ...]


@frozen
class Commit:
    """The turn becomes part of the history."""

    outcome: TurnOutcome


@frozen
class End:
    """The turn ends and leaves no message behind."""

    outcome: TurnOutcome


Plan: TypeAlias = Wait | AskModel | RunTools | Commit | End

_CANCELLED = Commit(Stopped(reason=StopReason.CANCELLED))
_FINISHED = Commit(Finished())
_MAX_TURNS = Commit(Stopped(reason=StopReason.MAX_TURNS))


def plan(turn: OpenTurn, *, is_cancelled: bool, has_news: bool = False) -> Plan:
    """
    Say what follows from where the turn stands; a cancelled one asks for nothing more.

    ``has_news``: something was taken in at the checkpoint at which it stands.
    """
    if turn.effects:
        return Wait()
    if is_cancelled:
        return _CANCELLED
    wanted = _after_step(turn)
    if not has_news or wanted != _FINISHED:
        return wanted
    return AskModel() if turn.iteration < turn.model_calls_max else _MAX_TURNS


def checkpoint(turn: OpenTurn, *, is_cancelled: bool) -> Boundary | None:
    """Say at which checkpoint the turn stands, if at any."""
    wanted = plan(turn, is_cancelled=is_cancelled)
    if wanted == _FINISHED:
        return Boundary.BEFORE_COMPLETION
    is_after_work = isinstance(turn.step, BatchDone) and isinstance(wanted, AskModel)
    return Boundary.AFTER_WORK if is_after_work else None


def _after_step(turn: OpenTurn) -> Plan:
    match turn.step:
        case Begun():
            return AskModel()
        case Replied():
            return _after_reply(turn, turn.step)
        case BatchDone():
            may_ask = turn.iteration < turn.model_calls_max
            return AskModel() if may_ask else _MAX_TURNS
        case ModelCallFailed():
            return _provider_error(turn.step.failure.code)
        case Interrupted():
            return _CANCELLED
        case _:
            assert_never(turn.step)


def _after_reply(turn: OpenTurn, step: Replied) -> Plan:
    outcome = step.outcome
    if outcome.finish is FinishReason.OUTPUT_LIMIT:
        return Commit(Stopped(reason=StopReason.INCOMPLETE, code=outcome.finish.value))
    if outcome.finish in {FinishReason.CONTENT_FILTER, FinishReason.ERROR}:
        return _provider_error(outcome.finish.value)
    if outcome.tool_calls:
        return RunTools(step.reply, outcome.tool_calls)
    if outcome.finish is FinishReason.UNKNOWN and outcome.has_content:
        return Commit(Stopped(reason=StopReason.INCOMPLETE, code=outcome.finish.value))
    if outcome.has_content or isinstance(turn.nodes[-1].source, FromResults):
        return _FINISHED
    return _provider_error("empty_response")


def _provider_error(code: str) -> End:
    return End(Stopped(reason=StopReason.PROVIDER_ERROR, code=code))


def requests(turn: OpenTurn, wanted: AskModel | RunTools) -> tuple[EffectRequest, ...]:
    """List the effects that a plan asks for, in order."""
    if isinstance(wanted, AskModel):
        iteration = turn.iteration + 1 if isinstance(turn.step, Replied) else turn.iteration
        return (ModelCall(iteration=iteration),)
    return tuple(
        ToolCall(call_id=call.call_id, tool=call.tool, reply=wanted.reply, ordinal=ordinal)
        for ordinal, call in enumerate(wanted.calls)
    )


def next_commands(
    turn: OpenTurn, fence: Fence, now_ms: int, *, is_cancelled: bool, has_news: bool = False
) -> tuple[RequestEffect | CommitTurn | EndTurn, ...]:
    """Turn the plan into commands for one append; none while the turn waits."""
    wanted = plan(turn, is_cancelled=is_cancelled, has_news=has_news)
    match wanted:
        case Wait():
            return ()
        case AskModel() | RunTools():
            return tuple(
                RequestEffect(
                    now_ms=now_ms,
                    fence=fence,
                    turn_id=turn.turn_id,
                    effect_id=effect_name(turn, ordinal),
                    request=request,
                )
                for ordinal, request in enumerate(requests(turn, wanted))
            )
        case Commit():
            return (
                CommitTurn(
                    now_ms=now_ms, fence=fence, turn_id=turn.turn_id, outcome=wanted.outcome
                ),
            )
        case End():
            return (
                EndTurn(now_ms=now_ms, fence=fence, turn_id=turn.turn_id, outcome=wanted.outcome),
            )
        case _:
            assert_never(wanted)
