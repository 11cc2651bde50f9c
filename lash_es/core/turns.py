"""
Slice: the open turn. What it asked the world for, what came back, and the messages that it has
made so far.

``step`` says how far the protocol is; what follows from it is decided by the floor ``turns``.
Messages are control data: who speaks and where the words are.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, assert_never

from attrs import frozen

from lash_es.core.bodies import BodyRef, Commitment, RecordedBody
from lash_es.core.effects import Effect, ModelCall, ToolCall
from lash_es.core.errors import impossible
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    EffectRequested,
    EffectSettled,
    TurnContinued,
    TurnOrigin,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import EffectId, Generation, InputId, Position, TurnId
from lash_es.core.makers import maker
from lash_es.core.maps import with_entry, without
from lash_es.core.messages import NO_TOKENS, Role, TokenUsage, ToolStatus
from lash_es.core.outcomes import EffectCancelled, EffectFailed, ModelReplied, ToolReturned
from lash_es.core.policy import SessionPolicy
from lash_es.core.transcripts import (
    FromInputs,
    FromReply,
    FromResults,
    Node,
    NodeSource,
    ResultRef,
    node_name,
)


@frozen(kw_only=True)
class NoTurn:
    """The session waits for something to do."""


@frozen(kw_only=True)
class Begun:
    """The turn has its input and has asked for nothing."""


@frozen(kw_only=True)
class Replied:
    """The model answered; the reply's body is at ``reply``."""

    reply: BodyRef
    outcome: ModelReplied


@frozen(kw_only=True)
class ModelCallFailed:
    """The model did not answer, and will not."""

    failure: EffectFailed


@frozen(kw_only=True)
class BatchDone:
    """Every call of the last reply has its outcome."""


@frozen(kw_only=True)
class Interrupted:
    """The model call was stopped because the turn was."""


Step: TypeAlias = Begun | Replied | ModelCallFailed | BatchDone | Interrupted


@frozen
class OpenTurn:
    """
    A turn between its start and its end.

    ``iteration`` counts the model calls that were followed by tools; ``effects`` holds what is
    unsettled, in the order of the requests; ``results`` what came back of the current batch, by
    the ordinal of the call; ``content`` is the direct input, none for a drained turn; ``digests``
    are those of the contents of ``nodes``, each after its place among them; ``delivered_ids`` the
    inputs accepted at a checkpoint that a recorded model call holds.
    """

    turn_id: TurnId
    started: Position
    started_at_ms: int
    last: Position
    generation: Generation
    origin: TurnOrigin
    content: RecordedBody | None
    policy: SessionPolicy
    model_calls_max: int
    step: Step
    iteration: int
    effects_count: int
    effects: Mapping[EffectId, Effect]
    results: Mapping[int, ResultRef]
    nodes: tuple[Node, ...]
    usage: TokenUsage
    digests: tuple[str, ...] = ()
    delivered_ids: tuple[InputId, ...] = ()

    @property
    def drained_ids(self) -> tuple[InputId, ...]:
        """The pending inputs that this turn began with."""
        return self.origin.input_ids if isinstance(self.origin, DrainedInputs) else ()

    @property
    def input_ids(self) -> tuple[InputId, ...]:
        """The pending inputs that this turn has taken, whoever holds the lease."""
        return (*self.drained_ids, *self.delivered_ids)


Turn: TypeAlias = NoTurn | OpenTurn
Effects: TypeAlias = Mapping[EffectId, Effect]

_BATCH_DONE = BatchDone()

_effect = maker(Effect)
_from_reply = maker(FromReply)
_node = maker(Node)
_open_turn = maker(OpenTurn)
_replied = maker(Replied)
_result_ref = maker(ResultRef)

NO_TURN = NoTurn()
_NO_EFFECTS: Effects = MappingProxyType({})
_NO_RESULTS: Mapping[int, ResultRef] = MappingProxyType({})


def effect_name(turn: OpenTurn, ordinal: int = 0) -> EffectId:
    """
    Name the turn's next effect, or one after it: deterministic, so that a rerun asks under the
    same names.
    """
    return EffectId(f"{turn.turn_id}/{turn.effects_count + 1 + ordinal}")


def started(
    event: TurnStarted,
    position: Position,
    policy: SessionPolicy,
    drained: tuple[RecordedBody, ...],
) -> OpenTurn:
    """
    Begin with the input as the first message; ``drained`` are the bodies of the inputs that it
    took.
    """
    is_direct = isinstance(event.origin, DirectInput)
    if is_direct != bool(event.bodies):
        raise impossible(event, found=event.bodies, expected="a body if, and only if, direct")
    direct = tuple(
        RecordedBody(ref=body_ref(position), commitment=each) for each in event.bodies[:1]
    )
    own = direct or drained
    source = FromInputs(bodies=tuple(body.ref for body in own))
    first = _node(node_id=node_name(event.turn_id, 1), role=Role.USER, source=source)
    return _open_turn(
        event.turn_id,
        position,
        event.at_ms,
        position,
        generation=event.generation,
        origin=event.origin,
        content=direct[0] if direct else None,
        policy=policy,
        model_calls_max=event.model_calls_max,
        step=Begun(),
        iteration=0,
        effects_count=0,
        effects=_NO_EFFECTS,
        results=_NO_RESULTS,
        nodes=(first,),
        usage=NO_TOKENS,
        digests=tuple(_placed(1, part, body.commitment) for part, body in enumerate(own)),
    )


def continued(turn: OpenTurn, event: TurnContinued, position: Position) -> OpenTurn:
    """A driver took the turn up again; whatever was in flight is begun anew."""
    again = {
        effect.effect_id: _effect(
            effect_id=effect.effect_id,
            request=effect.request,
            position=effect.position,
            attempt=effect.attempt + 1,
        )
        for effect in turn.effects.values()
    }
    effects = MappingProxyType(again)
    return _changed(turn, position, generation=event.generation, effects=effects)


def requested(turn: OpenTurn, event: EffectRequested, position: Position) -> OpenTurn:
    """One more effect waits for its outcome."""
    if event.effect_id != effect_name(turn):
        raise impossible(event, found=event.effect_id, expected=effect_name(turn))
    effect = _effect(
        effect_id=event.effect_id, request=event.request, position=position, attempt=1
    )
    effects = with_entry(turn.effects, event.effect_id, effect)
    return _changed(turn, position, effects=effects, effects_count=turn.effects_count + 1)


def told(turn: OpenTurn, inputs: Sequence[tuple[InputId, RecordedBody]]) -> OpenTurn:
    """Make the turn's next message of what a person said while it ran; nothing makes none."""
    if not inputs:
        return turn
    place = len(turn.nodes) + 1
    source = FromInputs(bodies=tuple(body.ref for _, body in inputs))
    digests = (_placed(place, part, body.commitment) for part, (_, body) in enumerate(inputs))
    return _changed(
        turn,
        turn.last,
        nodes=_with_node(turn, Role.USER, source),
        delivered_ids=(*turn.delivered_ids, *(input_id for input_id, _ in inputs)),
        digests=(*turn.digests, *digests),
    )


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
            return _changed(turn, position, step=failed, effects=rest)
        case EffectCancelled():
            return _changed(turn, position, step=Interrupted(), effects=rest)
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
        nodes = _with_node(turn, Role.ASSISTANT, _from_reply(body=reply))
        digests = _with_digest(turn, 0, event)
    step = _replied(reply=reply, outcome=outcome)
    usage = turn.usage + outcome.usage
    return _changed(
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
        return _changed(turn, position, effects=rest, results=results, digests=digests)
    in_call_order = tuple([results[ordinal] for ordinal in range(calls_count)])
    nodes = _with_node(turn, Role.USER, FromResults(results=in_call_order))
    return _changed(
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


def _with_node(turn: OpenTurn, role: Role, source: NodeSource) -> tuple[Node, ...]:
    name = node_name(turn.turn_id, len(turn.nodes) + 1)
    return (*turn.nodes, _node(node_id=name, role=role, source=source))


def _with_digest(turn: OpenTurn, part: int, event: EffectSettled) -> tuple[str, ...]:
    """Note the content of the next message's part; a cancelled call has none."""
    place = len(turn.nodes) + 1
    return (*turn.digests, *[_placed(place, part, each) for each in event.bodies])


def _placed(place: int, part: int, commitment: Commitment) -> str:
    return f"{place}.{part}:{commitment.digest}"


def _changed(
    turn: OpenTurn,
    last: Position,
    *,
    generation: Generation | None = None,
    step: Step | None = None,
    iteration: int | None = None,
    effects_count: int | None = None,
    effects: Effects | None = None,
    results: Mapping[int, ResultRef] | None = None,
    nodes: tuple[Node, ...] | None = None,
    usage: TokenUsage | None = None,
    digests: tuple[str, ...] | None = None,
    delivered_ids: tuple[InputId, ...] | None = None,
) -> OpenTurn:
    return _open_turn(
        turn.turn_id,  # Some without a name: with more than 14, CPython packs them into a dict.
        turn.started,
        turn.started_at_ms,
        last,
        generation=turn.generation if generation is None else generation,
        origin=turn.origin,
        content=turn.content,
        policy=turn.policy,
        model_calls_max=turn.model_calls_max,
        step=turn.step if step is None else step,
        iteration=turn.iteration if iteration is None else iteration,
        effects_count=turn.effects_count if effects_count is None else effects_count,
        effects=turn.effects if effects is None else effects,
        results=turn.results if results is None else results,
        nodes=turn.nodes if nodes is None else nodes,
        usage=turn.usage if usage is None else usage,
        digests=turn.digests if digests is None else digests,
        delivered_ids=turn.delivered_ids if delivered_ids is None else delivered_ids,
    )
