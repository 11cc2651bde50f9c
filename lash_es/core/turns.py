"""
Slice: the open turn. What it asked the world for, what came back, and the messages that it has
made so far.

``step`` says how far the protocol is; what follows from it is decided by the floor ``turns``.
Messages are control data: who speaks and where the words are.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import BodyRef, Commitment, RecordedBody
from lash_es.core.effects import Effect, ModelCall
from lash_es.core.errors import impossible
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    EffectRequested,
    TurnContinued,
    TurnOrigin,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import BatchId, EffectId, Generation, InputId, Position, TurnId
from lash_es.core.makers import maker
from lash_es.core.maps import with_entry
from lash_es.core.messages import NO_TOKENS, Role, TokenUsage
from lash_es.core.outcomes import EffectFailed, ModelReplied, Stopped, StopReason, TurnOutcome
from lash_es.core.policy import SessionPolicy
from lash_es.core.transcripts import (
    FromInputs,
    FromWork,
    Node,
    NodeSource,
    ResultRef,
    TurnLimitNotice,
    node_name,
)
from lash_es.core.work_events import DrainedWork


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

    ``iteration`` counts the model calls that were followed by another one, or may be; ``effects``
    holds what is unsettled, in the order of the requests; ``results`` what came back of the
    current batch, by the ordinal of the call; ``content`` is the direct input, none for a drained
    turn; ``digests`` are those of the contents of ``nodes``, each after its place among them;
    ``delivered_ids`` the inputs accepted at a checkpoint that a recorded model call holds;
    ``batch_ids`` the batches of turn work that it began with, or that a recorded model call holds.
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
    batch_ids: tuple[BatchId, ...] = ()

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

_effect = maker(Effect)
_node = maker(Node)
_open_turn = maker(OpenTurn)

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
    Begin with the input as the first message; ``drained`` are the bodies of the inputs, or of the
    batches, that it took.
    """
    is_direct = isinstance(event.origin, DirectInput)
    if is_direct != bool(event.bodies):
        raise impossible(event, found=event.bodies, expected="a body if, and only if, direct")
    direct = tuple(
        RecordedBody(ref=body_ref(position), commitment=each) for each in event.bodies[:1]
    )
    own = direct or drained
    refs = tuple(body.ref for body in own)
    name = node_name(event.turn_id, 1)
    first = _node(node_id=name, role=Role.USER, source=FromInputs(bodies=refs))
    batch_ids: tuple[BatchId, ...] = ()
    if isinstance(event.origin, DrainedWork):
        first = _node(node_id=name, role=Role.EVENT, source=FromWork(bodies=refs))
        batch_ids = event.origin.batch_ids
    return _open_turn(
        event.turn_id,
        position,
        event.at_ms,
        position,
        event.generation,
        event.origin,
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
        digests=tuple(placed(1, part, body.commitment) for part, body in enumerate(own)),
        batch_ids=batch_ids,
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
    return changed(turn, position, generation=event.generation, effects=effects)


def requested(turn: OpenTurn, event: EffectRequested, position: Position) -> OpenTurn:
    """One more effect waits for its outcome."""
    if event.effect_id != effect_name(turn):
        raise impossible(event, found=event.effect_id, expected=effect_name(turn))
    effect = _effect(
        effect_id=event.effect_id, request=event.request, position=position, attempt=1
    )
    effects = with_entry(turn.effects, event.effect_id, effect)
    count = turn.effects_count + 1
    if not isinstance(event.request, ModelCall) or event.request.iteration <= turn.iteration:
        return changed(turn, position, effects=effects, effects_count=count)
    # An answer was followed by another call, since there was news.
    return changed(
        turn,
        position,
        effects=effects,
        effects_count=count,
        iteration=event.request.iteration,
        nodes=(*turn.nodes, *_grace(turn, event.request)),
    )


def _grace(turn: OpenTurn, request: ModelCall) -> tuple[Node, ...]:
    """One call more than the limit is granted for news, and the model is told so."""
    return () if request.iteration < turn.model_calls_max else (_limit_notice(turn),)


def _limit_notice(turn: OpenTurn) -> Node:
    source = TurnLimitNotice(model_calls_max=turn.model_calls_max)
    name = node_name(turn.turn_id, len(turn.nodes) + 1)
    return _node(node_id=name, role=Role.SYSTEM, source=source)


def notices(turn: OpenTurn, outcome: TurnOutcome) -> tuple[Node, ...]:
    """The transcript says so, once, when a turn ran into its limit."""
    if not isinstance(outcome, Stopped) or outcome.reason is not StopReason.MAX_TURNS:
        return ()
    is_told = any(isinstance(node.source, TurnLimitNotice) for node in turn.nodes)
    return () if is_told else (_limit_notice(turn),)


def told(turn: OpenTurn, inputs: Sequence[tuple[InputId, RecordedBody]]) -> OpenTurn:
    """Make the turn's next message of what a person said while it ran; nothing makes none."""
    if not inputs:
        return turn
    place = len(turn.nodes) + 1
    source = FromInputs(bodies=tuple(body.ref for _, body in inputs))
    digests = (placed(place, part, body.commitment) for part, (_, body) in enumerate(inputs))
    return changed(
        turn,
        turn.last,
        nodes=with_node(turn, Role.USER, source),
        delivered_ids=(*turn.delivered_ids, *(input_id for input_id, _ in inputs)),
        digests=(*turn.digests, *digests),
    )


def told_work(
    turn: OpenTurn, batches: Sequence[tuple[BatchId, Sequence[RecordedBody]]]
) -> OpenTurn:
    """Make the turn's next message of what happened elsewhere; nothing makes none."""
    if not batches:
        return turn
    bodies = [body for _, each in batches for body in each]
    place = len(turn.nodes) + 1
    source = FromWork(bodies=tuple(body.ref for body in bodies))
    digests = (placed(place, part, body.commitment) for part, body in enumerate(bodies))
    return changed(
        turn,
        turn.last,
        nodes=with_node(turn, Role.EVENT, source),
        batch_ids=(*turn.batch_ids, *(batch_id for batch_id, _ in batches)),
        digests=(*turn.digests, *digests),
    )


def with_node(turn: OpenTurn, role: Role, source: NodeSource) -> tuple[Node, ...]:
    """Add a message to those that the turn has made."""
    name = node_name(turn.turn_id, len(turn.nodes) + 1)
    return (*turn.nodes, _node(node_id=name, role=role, source=source))


def placed(place: int, part: int, commitment: Commitment) -> str:
    """Write a content's digest after its place among the messages."""
    return f"{place}.{part}:{commitment.digest}"


def changed(
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
    batch_ids: tuple[BatchId, ...] | None = None,
) -> OpenTurn:
    """Copy the turn, with what is named here, and ``last`` as its last fact."""
    return _open_turn(
        turn.turn_id,  # Some without a name: with more than 14, CPython packs them into a dict.
        turn.started,
        turn.started_at_ms,
        last,
        turn.generation if generation is None else generation,
        turn.origin,
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
        batch_ids=turn.batch_ids if batch_ids is None else batch_ids,
    )
