"""Rules of the turn: starting, going on, ending with a commit or without one."""

from lash_es.core import inputs, turns
from lash_es.core.commands import (
    CommitTurn,
    ContinueTurn,
    EndTurn,
    StartTurn,
    WithClaim,
    WithInput,
)
from lash_es.core.errors import (
    EffectsUnsettled,
    TurnIdConflict,
    TurnInProgress,
    TurnInputClaimSuperseded,
)
from lash_es.core.events import (
    DirectInput,
    DrainedInputs,
    Event,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnOrigin,
    TurnStarted,
    body_ref,
)
from lash_es.core.heads import Leaf
from lash_es.core.ids import Position, Revision
from lash_es.core.inputs import PendingInput
from lash_es.core.known import Known
from lash_es.core.limits import Limits
from lash_es.core.messages import Role
from lash_es.core.outcomes import Stopped, StopReason
from lash_es.core.rules.bounds import require_body, require_name
from lash_es.core.rules.inputs import claimed_by
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.state import Open
from lash_es.core.transcripts import Node, TurnLimitNotice
from lash_es.core.turns import OpenTurn


def start(session: Open, command: StartTurn, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Accept the turn, or recognise it: an id with the same input names the turn that was."""
    require_name("turn_id", command.turn_id, known.limits.turn_id_chars_max)
    source = command.source
    if _is_known_turn(session, command, known):
        return ()
    if isinstance(session.turn, OpenTurn):
        raise TurnInProgress(
            session_id=session.session_id,
            requested_turn_id=command.turn_id,
            open_turn_id=session.turn.turn_id,
        )
    body = source.body if isinstance(source, WithInput) else None
    require_body(body, known.limits)
    model_calls_max = known.limits.model_calls_per_turn_max
    if session.policy.max_turns is not None:
        model_calls_max = min(session.policy.max_turns, model_calls_max)
    started = TurnStarted(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=command.turn_id,
        origin=_origin(session, source),
        model_calls_max=model_calls_max,
        bodies=() if body is None else (body.commitment,),
    )
    return (started,)


def _is_known_turn(session: Open, command: StartTurn, known: Known) -> bool:
    """
    Tell whether the turn was started before, with this very input; with another one it is a
    conflict.
    """
    entry = known.turn(command.turn_id)
    if entry is None:
        return False
    if isinstance(command.source, WithClaim) or entry.content is None:
        is_same = isinstance(command.source, WithClaim) and entry.content is None
    else:
        is_same = entry.content.holds(command.source.body, known.salts)
    if is_same:
        return True
    raise TurnIdConflict(session_id=session.session_id, turn_id=command.turn_id)


def _origin(session: Open, source: WithInput | WithClaim) -> TurnOrigin:
    if isinstance(source, WithInput):
        return DirectInput()
    held = claimed_by(session, source.claim_id, source.token)
    claims = [session.inputs.pending[input_id].claim for input_id in held]
    generation = session.lease.generation
    if not held or any(claim is None or claim.generation != generation for claim in claims):
        raise TurnInputClaimSuperseded(session_id=session.session_id, claim_id=source.claim_id)
    return DrainedInputs(input_ids=held)


def go_on(session: Open, command: ContinueTurn, now_ms: int) -> tuple[Event, ...]:
    """Record that a driver took the turn up again, if that changes anything."""
    turn = require_turn(session, command.turn_id)
    if turn.generation == session.lease.generation and not turn.effects:
        return ()
    continued = TurnContinued(
        at_ms=now_ms, generation=session.lease.generation, turn_id=turn.turn_id
    )
    return (continued,)


def _require_settled(turn: OpenTurn) -> None:
    if turn.effects:
        raise EffectsUnsettled(turn_id=turn.turn_id, effect_ids=tuple(turn.effects))


def commit(session: Open, command: CommitTurn, now_ms: int) -> tuple[Event, ...]:
    """Settle everything that the turn touched in one fact."""
    turn = require_turn(session, command.turn_id)
    _require_settled(turn)
    leaf: Leaf | None = session.head.leaf
    parent: Position | None = None if leaf is None else leaf.commit
    late = _accepted_last(session, turn)
    completed = (*turn.input_ids, *(entry.input_id for entry in late))
    wanting = inputs.wanting_into(session.inputs, turn.turn_id)
    committed = TurnCommitted(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        turn_index=session.head.turn_index + 1,
        revision=Revision(session.head.revision + 1),
        outcome=command.outcome,
        parent=parent,
        nodes=_all_nodes(turn, late, command.outcome),
        usage=turn.usage,
        completed_input_ids=completed,
        deferred_input_ids=tuple(each for each in wanting if each not in completed),
    )
    return (committed,)


def _accepted_last(session: Open, turn: OpenTurn) -> tuple[PendingInput, ...]:
    """List what the turn has accepted and asked no model about: it is part of it all the same."""
    accepted = inputs.accepted_by(session.inputs, turn.turn_id, session.lease.generation)
    return tuple(entry for entry in accepted if entry.input_id not in turn.delivered_ids)


def _all_nodes(
    turn: OpenTurn, late: tuple[PendingInput, ...], outcome: object
) -> tuple[Node, ...]:
    """List the turn's messages, with what it was told last, and that it ran into its limit."""
    nodes = turn.nodes
    if late:
        bodies = tuple(body_ref(entry.position) for entry in late)
        nodes = (*nodes, turns.steer(turn, bodies))
    return (*nodes, *_notices(turn, outcome, ordinal=len(nodes) + 1))


def _notices(turn: OpenTurn, outcome: object, *, ordinal: int) -> tuple[Node, ...]:
    """The transcript says so when a turn ran into its limit."""
    if not isinstance(outcome, Stopped) or outcome.reason is not StopReason.MAX_TURNS:
        return ()
    notice = Node(
        node_id=turns.node_name(turn.turn_id, ordinal),
        role=Role.SYSTEM,
        source=TurnLimitNotice(model_calls_max=turn.model_calls_max),
    )
    return (notice,)


def end(session: Open, command: EndTurn, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """Give the turn's inputs back; one that came back too often has failed."""
    turn = require_turn(session, command.turn_id)
    _require_settled(turn)
    pending = session.inputs.pending
    returns_max = limits.drain_attempts_max
    failed = tuple(i for i in turn.drained_ids if pending[i].attempts >= returns_max)
    ended = TurnEnded(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        outcome=command.outcome,
        usage=turn.usage,
        returned_input_ids=tuple(i for i in turn.drained_ids if i not in failed),
        failed_input_ids=failed,
        deferred_input_ids=inputs.wanting_into(session.inputs, turn.turn_id),
    )
    return (ended,)
