"""Rules of the turn: starting, going on, ending with a commit or without one."""

from typing import assert_never

from lash_es.core import inputs
from lash_es.core.commands import (
    ContinueTurn,
    EndTurn,
    StartTurn,
    TurnSource,
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
    TurnContinued,
    TurnEnded,
    TurnOrigin,
    TurnStarted,
)
from lash_es.core.known import Known
from lash_es.core.limits import Limits
from lash_es.core.rules import work
from lash_es.core.rules.bounds import require_body, require_name
from lash_es.core.rules.inputs import claimed_by
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import WithWork
from lash_es.core.work_events import DrainedWork


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
    source = command.source
    if entry.content is None or not isinstance(source, WithInput):
        is_same = entry.content is None and not isinstance(source, WithInput)
    else:
        is_same = entry.content.holds(source.body, known.salts)
    if is_same:
        return True
    raise TurnIdConflict(session_id=session.session_id, turn_id=command.turn_id)


def _origin(session: Open, source: TurnSource) -> TurnOrigin:
    match source:
        case WithInput():
            return DirectInput()
        case WithClaim():
            return _drained(session, source)
        case WithWork():
            held = work.require_turn_work(session, source.claim_id, source.token)
            return DrainedWork(batch_ids=held)
        case _:
            assert_never(source)


def _drained(session: Open, source: WithClaim) -> DrainedInputs:
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


def require_settled(turn: OpenTurn) -> None:
    """Refuse to end a turn of which something is in flight."""
    if turn.effects:
        raise EffectsUnsettled(turn_id=turn.turn_id, effect_ids=tuple(turn.effects))


def end(session: Open, command: EndTurn, now_ms: int, limits: Limits) -> tuple[Event, ...]:
    """Give back what the turn took; what came back too often has failed."""
    turn = require_turn(session, command.turn_id)
    require_settled(turn)
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
    return (*work.failing(session, turn, now_ms, limits), ended)
