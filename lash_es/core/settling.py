"""
Slice: what the outcome of an effect does to the open turn: messages, results, tokens, and the next
step.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from lash_es.core.effects import ModelCall, ToolCall
from lash_es.core.errors import impossible
from lash_es.core.events import EffectSettled, body_ref
from lash_es.core.ids import Position
from lash_es.core.makers import maker
from lash_es.core.maps import with_entry, without
from lash_es.core.messages import Role, ToolStatus
from lash_es.core.outcomes import EffectCancelled, EffectFailed, ModelReplied, ToolReturned
from lash_es.core.transcripts import FromReply, FromResults, ResultRef
from lash_es.core.turns import (
    BatchDone,
    Effects,
    Interrupted,
    ModelCallFailed,
    OpenTurn,
    Replied,
    changed,
    placed,
    with_node,
)

_from_reply = maker(FromReply)
_replied = maker(Replied)
_result_ref = maker(ResultRef)

_BATCH_DONE = BatchDone()
_NO_RESULTS: Mapping[int, ResultRef] = MappingProxyType({})


def settled(turn: OpenTurn, event: EffectSettled, position: Position) -> OpenTurn:
    """The effect has its outcome; the protocol may take its next step."""
    effect = turn.effects.get(event.effect_id)
    if effect is None:
        raise impossible(event, found="no such open effect", expected=event.effect_id)
    rest = without(turn.effects, (event.effect_id,))
    if isinstance(effect.request, ToolCall):
        return _tool_settled(turn, rest, effect.request, event, position)
    return _model_settled(turn, rest, effect.request, event, position)


def _model_settled(
    turn: OpenTurn, rest: Effects, request: ModelCall, event: EffectSettled, position: Position
) -> OpenTurn:
    match event.outcome:
        case ModelReplied():
            return _model_replied(turn, rest, event.outcome, event, position)
        case EffectFailed():
            failed = ModelCallFailed(failure=event.outcome)
            return changed(turn, position, step=failed, effects=rest)
        case EffectCancelled():
            return changed(turn, position, step=Interrupted(), effects=rest)
        case ToolReturned():
            raise impossible(event, found="ToolReturned", expected=request)
        case _:
            assert_never(event.outcome)


def _model_replied(
    turn: OpenTurn, rest: Effects, outcome: ModelReplied, event: EffectSettled, position: Position
) -> OpenTurn:
    reply = body_ref(position)
    nodes, digests = turn.nodes, turn.digests
    if outcome.has_content or outcome.tool_calls:
        nodes = with_node(turn, Role.ASSISTANT, _from_reply(body=reply))
        digests = _with_digest(turn, 0, event)
    step = _replied(reply=reply, outcome=outcome)
    usage = turn.usage + outcome.usage
    return changed(
        turn, position, step=step, effects=rest, nodes=nodes, usage=usage, digests=digests
    )


def _tool_settled(
    turn: OpenTurn, rest: Effects, request: ToolCall, event: EffectSettled, position: Position
) -> OpenTurn:
    result = _result(request, event, position)
    results = with_entry(turn.results, request.ordinal, result)
    if not isinstance(turn.step, Replied):
        raise impossible(event, found=turn.step, expected="a reply that asked for tools")
    calls_count = len(turn.step.outcome.tool_calls)
    if request.ordinal not in range(calls_count):
        raise impossible(event, found=request, expected=f"one of {calls_count} calls")
    digests = _with_digest(turn, request.ordinal, event)
    if len(results) < calls_count:
        return changed(turn, position, effects=rest, results=results, digests=digests)
    in_call_order = tuple([results[ordinal] for ordinal in range(calls_count)])
    nodes = with_node(turn, Role.USER, FromResults(results=in_call_order))
    return changed(
        turn,
        position,
        step=_BATCH_DONE,
        effects=rest,
        nodes=nodes,
        results=_NO_RESULTS,
        iteration=turn.iteration + 1,
        digests=digests,
    )


def _result(request: ToolCall, event: EffectSettled, position: Position) -> ResultRef:
    match event.outcome:
        case ToolReturned():
            status = ToolStatus.SUCCEEDED
        case EffectFailed():
            status = ToolStatus.FAILED
        case EffectCancelled():
            status = ToolStatus.CANCELLED
        case ModelReplied():
            raise impossible(event, found="ModelReplied", expected=request)
        case _:
            assert_never(event.outcome)
    body = body_ref(position) if event.bodies else None
    return _result_ref(call_id=request.call_id, tool=request.tool, status=status, body=body)


def _with_digest(turn: OpenTurn, part: int, event: EffectSettled) -> tuple[str, ...]:
    """Note the content of the next message's part; a cancelled call has none."""
    place = len(turn.nodes) + 1
    return (*turn.digests, *[placed(place, part, each) for each in event.bodies])
