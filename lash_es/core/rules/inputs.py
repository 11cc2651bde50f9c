"""Rules of pending turn input: taking, claiming, giving back, withdrawing."""

from lash_es.core import inputs, leases
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    EnqueueTurnInput,
)
from lash_es.core.errors import InputIdConflict, QueueFull, SourceKeyConflict
from lash_es.core.events import (
    Event,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsClaimed,
    TurnInputsDeferred,
)
from lash_es.core.ids import ClaimId, InputId
from lash_es.core.ingress import ActiveTurn, NextTurn
from lash_es.core.inputs import PendingInput
from lash_es.core.known import Known
from lash_es.core.limits import Limits
from lash_es.core.rules.bounds import require_body, require_name
from lash_es.core.rules.leases import fenced
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.rules.settled import is_forgotten
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn


def enqueue(
    session: Open, command: EnqueueTurnInput, now_ms: int, known: Known
) -> tuple[Event, ...]:
    """Take the input, or recognise it: a source key with the same content names the first one."""
    limits = known.limits
    require_body(command.body, limits)
    if command.source_key is not None:
        require_name("source_key", command.source_key, limits.source_key_chars_max)
        if _is_resubmission(session, command, command.source_key, known):
            return ()
    if command.input_id in session.inputs.pending:
        raise InputIdConflict(session_id=session.session_id, input_id=command.input_id)
    if len(session.inputs.pending) >= limits.inputs_pending_max:
        raise QueueFull(limit="inputs_pending_max", allowed=limits.inputs_pending_max)
    enqueued = TurnInputEnqueued(
        at_ms=now_ms,
        input_id=command.input_id,
        sequence=session.inputs.next_sequence,
        source_key=command.source_key,
        ingress=command.ingress,
        bodies=(command.body.commitment,),
    )
    if not _is_too_late(command, known):
        return (enqueued,)
    return (enqueued, TurnInputsDeferred(at_ms=now_ms, input_ids=(command.input_id,)))


def _is_too_late(command: EnqueueTurnInput, known: Known) -> bool:
    """Tell whether the turn that it wants into is over: no commit of that turn will defer it."""
    if not isinstance(command.ingress, ActiveTurn):
        return False
    turn = known.turn(command.ingress.turn_id)
    return turn is not None and turn.ended is not None


def _is_resubmission(
    session: Open, command: EnqueueTurnInput, source_key: str, known: Known
) -> bool:
    """
    Tell whether the key names this very input; another content or ingress under it is a conflict.
    """
    entry = known.source_key(source_key)
    if entry is None or is_forgotten(session.inputs, known, entry.input_id):
        return False
    if entry.ingress == command.ingress and entry.content.holds(command.body, known.salts):
        return True
    raise SourceKeyConflict(
        session_id=session.session_id, source_key=source_key, existing_input_id=entry.input_id
    )


def claim(
    session: Open, command: ClaimTurnInputs, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """Hold what waits for the next turn, in order, and pass over what a live claim holds."""
    if command.inputs_max <= 0:
        return ()  # Who wants nothing is told so before it is asked for its lease.
    at_ms = fenced(session, command, now_ms)
    free = [
        entry
        for entry in session.inputs.pending.values()
        if isinstance(entry.ingress, NextTurn) and _is_claimable(session, entry)
    ][: min(command.inputs_max, limits.inputs_per_claim_max)]
    if not free:
        return ()
    claimed = TurnInputsClaimed(
        at_ms=at_ms,
        generation=session.lease.generation,
        claim_id=inputs.claim_name(free[0]),
        token=command.token,
        input_ids=tuple(entry.input_id for entry in free),
    )
    return (claimed,)


def accept(
    session: Open, command: ClaimActiveTurnInputs, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """Take into the open turn what waits for it and its checkpoint admits, in order."""
    if command.inputs_max <= 0:
        return ()
    at_ms = fenced(session, command, now_ms)
    turn = require_turn(session, command.turn_id)
    free = [
        entry
        for entry in session.inputs.pending.values()
        if isinstance(entry.ingress, ActiveTurn)
        and entry.ingress.turn_id == turn.turn_id
        and entry.ingress.is_admitted_at(command.checkpoint)
        and _is_claimable(session, entry)
    ][: min(command.inputs_max, limits.inputs_per_claim_max)]
    if not free:
        return ()
    accepted = TurnInputsAccepted(
        at_ms=at_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        checkpoint=command.checkpoint,
        claim_id=inputs.claim_name(free[0]),
        token=command.token,
        input_ids=tuple(entry.input_id for entry in free),
    )
    return (accepted,)


def _is_claimable(session: Open, entry: PendingInput) -> bool:
    """Tell whether the holder of the lease may claim it: what earlier generations held is free."""
    if isinstance(session.turn, OpenTurn) and entry.input_id in session.turn.input_ids:
        return False
    return entry.claim is None or entry.claim.generation != session.lease.generation


def is_held(session: Open, entry: PendingInput, now_ms: int) -> bool:
    """
    Tell whether a live claim, or the open turn, holds the input: no one else may take or cancel
    it.
    """
    turn = session.turn
    if isinstance(turn, OpenTurn) and entry.input_id in turn.input_ids:
        return True
    if entry.claim is None or entry.claim.generation != session.lease.generation:
        return False
    return leases.live_holder(session.lease, now_ms) is not None


def claimed_by(session: Open, claim_id: ClaimId, token: str) -> tuple[InputId, ...]:
    """List what the claim still holds: a later claim of the same input has replaced it."""
    return tuple(
        entry.input_id
        for entry in session.inputs.pending.values()
        if entry.claim is not None
        and (entry.claim.claim_id, entry.claim.token) == (claim_id, token)
    )


def abandon(session: Open, command: AbandonTurnInputClaim, now_ms: int) -> tuple[Event, ...]:
    """Give back what the claim holds and no turn has taken; nothing left is no error."""
    taken = session.turn.input_ids if isinstance(session.turn, OpenTurn) else ()
    held = claimed_by(session, command.claim_id, command.token)
    given_back = tuple(input_id for input_id in held if input_id not in taken)
    if not given_back:
        return ()
    abandoned = TurnInputClaimAbandoned(
        at_ms=now_ms, claim_id=command.claim_id, input_ids=given_back
    )
    return (abandoned,)
