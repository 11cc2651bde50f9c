"""
What is expected of every move of every session, each rule with its sentence.

A rule answers with nothing, or with what is wrong. It looks at facts and at what was before, and
asks no function of the core whether it was right.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, get_args

from lash_es.core.commands import OwnerCommand
from lash_es.core.errors import CommandRejected, SessionExecutionLeaseExpired
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    LeaseAcquired,
    LeaseReleased,
    OwnerEvent,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputsClaimed,
    TurnStarted,
)
from lash_es.core.ids import EffectId
from lash_es.core.inputs import PendingInput
from lash_es.core.known import IndexKind
from lash_es.core.owners import Fence
from lash_es.core.state import Deleted, NotOpened, Open
from lash_es.core.turns import OpenTurn
from lash_es.verify.worlds import Ask, Crash, Transition, World

Problem = Callable[[Transition], str]

_OWNER_COMMANDS: Final = get_args(OwnerCommand)
_OWNER_EVENTS: Final = get_args(OwnerEvent)


def _open(world: World) -> Open | None:
    return world.state if isinstance(world.state, Open) else None


def _turn(session: Open) -> OpenTurn | None:
    return session.turn if isinstance(session.turn, OpenTurn) else None


def _now_ms(world: World, session: Open) -> int:
    return max(world.now_ms, session.at_ms)


def _is_live(world: World, session: Open) -> bool:
    holder = session.lease.holder
    return holder is not None and _now_ms(world, session) < holder.expires_at_ms


def _is_held(world: World, session: Open, entry: PendingInput) -> bool:
    turn = _turn(session)
    taken = turn is not None and entry.input_id in turn.input_ids
    claim = entry.claim
    is_claimed = claim is not None and claim.generation == session.lease.generation
    return taken or (is_claimed and _is_live(world, session))


def stale_generation(transition: Transition) -> str:
    """Who does not hold the lease writes nothing that an owner writes."""
    move, before = transition.move, _open(transition.before)
    if before is None or not isinstance(move, Ask) or not transition.events:
        return ""
    fence = getattr(move.command, "fence", None)
    if not isinstance(move.command, _OWNER_COMMANDS) or not isinstance(fence, Fence):
        return ""
    holder = before.lease.holder
    is_holder = (
        holder is not None
        and (fence.token, fence.owner) == (holder.token, holder.owner)
        and fence.generation == before.lease.generation
    )
    if is_holder and (_is_live(transition.before, before) or fence.is_certain):
        return ""
    return f"{fence} is not the live lease {before.lease}"


def generation_of_facts(transition: Transition) -> str:
    """An owner's fact carries the generation of the lease, and a lease the next one."""
    before = _open(transition.before)
    if before is None:
        return ""
    for event in transition.events:
        if isinstance(event, _OWNER_EVENTS):
            expected = before.lease.generation + isinstance(event, LeaseAcquired)
            if getattr(event, "generation", None) != expected:
                return f"{event}, where {expected} was expected"
    return ""


def lease_taken(transition: Transition) -> str:
    """A lease that somebody else holds is not taken."""
    before = _open(transition.before)
    acquired = any(isinstance(event, LeaseAcquired) for event in transition.events)
    if before is None or not acquired or before.lease.holder is None:
        return ""
    if transition.before.now_ms < before.lease.holder.expires_at_ms:
        return f"it holds until {before.lease.holder.expires_at_ms}"
    return ""


def lease_released(transition: Transition) -> str:
    """A lease is released by its holder only."""
    before, move = _open(transition.before), transition.move
    if before is None or not any(isinstance(e, LeaseReleased) for e in transition.events):
        return ""
    fence = getattr(getattr(move, "command", None), "fence", None)
    holder = before.lease.holder
    if holder is not None and fence is not None and fence.token == holder.token:
        return ""
    return f"{fence} released {before.lease}"


def double_claim(transition: Transition) -> str:
    """An input is held by one at a time."""
    before = _open(transition.before)
    for event in transition.events:
        if isinstance(event, TurnInputsClaimed) and before is not None:
            for input_id in event.input_ids:
                entry = before.inputs.pending.get(input_id)
                if entry is None or _is_held(transition.before, before, entry):
                    return f"{input_id!r} was held, or gone"
    return ""


def cancelled_while_held(transition: Transition) -> str:
    """What is held is not withdrawn."""
    before = _open(transition.before)
    for event in transition.events:
        if isinstance(event, TurnInputCancelled) and before is not None:
            entry = before.inputs.pending.get(event.input_id)
            if entry is None or _is_held(transition.before, before, entry):
                return f"{event.input_id!r} was held, or gone"
    return ""


def given_back_while_taken(transition: Transition) -> str:
    """What a turn has taken is not given back before its end."""
    before = _open(transition.before)
    turn = None if before is None else _turn(before)
    for event in transition.events:
        if isinstance(event, TurnInputClaimAbandoned) and turn is not None:
            taken = set(event.input_ids) & set(turn.input_ids)
            if taken:
                return f"{turn.turn_id!r} has {sorted(taken)}"
    return ""


def lost_input(transition: Transition) -> str:
    """An input that was acknowledged waits, or is settled, and never both."""
    after = _open(transition.after)
    if after is None or transition.after is transition.before:
        return ""
    pending = set(after.inputs.pending)
    known = transition.after.known.entries
    settled = {key.key for key in known if key.kind is IndexKind.INPUT}
    if pending | settled == set(transition.after.inputs) and not pending & settled:
        return ""
    return f"pending {sorted(pending)}, settled {sorted(settled)}, of {transition.after.inputs}"


def input_taken(transition: Transition) -> str:
    """What an open turn has taken waits for the turn's end."""
    after = _open(transition.after)
    turn = None if after is None else _turn(after)
    if after is None or turn is None:
        return ""
    gone = [input_id for input_id in turn.input_ids if input_id not in after.inputs.pending]
    return f"{gone} left while {turn.turn_id!r} runs" if gone else ""


def turn_started(transition: Transition) -> str:
    """One turn is open at a time, and a turn's id is used once."""
    before = _open(transition.before)
    for event in transition.events:
        if isinstance(event, TurnStarted) and before is not None:
            if _turn(before) is not None:
                return f"{before.turn} was open"
            if event.turn_id in transition.before.turns:
                return f"{event.turn_id!r} was started before"
    return ""


def settled_once(transition: Transition) -> str:
    """An effect is settled once, and only if it was asked for."""
    before = _open(transition.before)
    turn = None if before is None else _turn(before)
    owed = set[EffectId]() if turn is None else set(turn.effects)
    for event in transition.events:
        if isinstance(event, EffectSettled):
            if event.effect_id not in owed:
                return f"{event.effect_id!r} was not open"
            owed.remove(event.effect_id)
    return ""


def asked_once(transition: Transition) -> str:
    """One model call is open at a time, or the tool calls of one reply, each once."""
    after = _open(transition.after)
    turn = None if after is None else _turn(after)
    if turn is None or not any(isinstance(e, EffectRequested) for e in transition.events):
        return ""
    requests = [effect.request for effect in turn.effects.values()]
    kinds = {type(request) for request in requests}
    if len(kinds) > 1 or len(set(map(repr, requests))) < len(requests):
        return f"open are {requests}"
    return ""


def unfinished(transition: Transition) -> str:
    """A turn does not end while an effect of it is open."""
    before = _open(transition.before)
    turn = None if before is None else _turn(before)
    over = any(isinstance(event, TurnCommitted | TurnEnded) for event in transition.events)
    return f"open are {list(turn.effects)}" if over and turn is not None and turn.effects else ""


def usage_conserved(transition: Transition) -> str:
    """The ledger grows by what the turn used, when it ends, and by nothing else."""
    before, after = _open(transition.before), _open(transition.after)
    if before is None or after is None or transition.after is transition.before:
        return ""
    over = any(isinstance(event, TurnCommitted | TurnEnded) for event in transition.events)
    turn = _turn(before)
    used = turn.usage.input_tokens if over and turn is not None else 0
    grown = _tokens(after) - _tokens(before)
    return "" if grown == used else f"it grew by {grown}, the turn used {used}"


def _tokens(session: Open) -> int:
    return sum(row.input_tokens for row in session.ledger.rows.values())


def revision_counts(transition: Transition) -> str:
    """The revision counts commits."""
    before, after = _open(transition.before), _open(transition.after)
    if before is None or after is None:
        return ""
    commits = sum(isinstance(event, TurnCommitted) for event in transition.events)
    grown = after.head.revision - before.head.revision
    return "" if grown == commits else f"it grew by {grown}, with {commits} commits"


def committed_inputs(transition: Transition) -> str:
    """A commit completes what its turn took, and defers what wanted into it."""
    before = _open(transition.before)
    turn = None if before is None else _turn(before)
    for event in transition.events:
        if isinstance(event, TurnCommitted) and turn is not None and before is not None:
            missed = Counter(
                entry.input_id
                for entry in before.inputs.pending.values()
                if getattr(entry.ingress, "turn_id", None) == turn.turn_id
            )
            if event.completed_input_ids != turn.input_ids:
                return f"completed {event.completed_input_ids}, taken {turn.input_ids}"
            if Counter(event.deferred_input_ids) != missed:
                return f"deferred {event.deferred_input_ids}, missed {sorted(missed)}"
    return ""


ALWAYS: Final[Mapping[str, Problem]] = {
    (rule.__doc__ or "").strip().rstrip("."): rule
    for rule in (
        stale_generation,
        generation_of_facts,
        lease_taken,
        lease_released,
        double_claim,
        cancelled_while_held,
        given_back_while_taken,
        lost_input,
        input_taken,
        turn_started,
        settled_once,
        asked_once,
        unfinished,
        usage_conserved,
        revision_counts,
        committed_inputs,
    )
}


def _has(transition: Transition, kind: type) -> bool:
    return any(isinstance(event, kind) for event in transition.events)


def _is_fenced_off(transition: Transition, reason: str) -> bool:
    found = transition.found
    return isinstance(found, SessionExecutionLeaseExpired) and found.reason == reason


def _is_takeover(transition: Transition) -> bool:
    before = _open(transition.before)
    return (
        before is not None and before.lease.holder is not None and _has(transition, LeaseAcquired)
    )


def _has_claims(transition: Transition) -> bool:
    before = _open(transition.before)
    return before is not None and any(e.claim for e in before.inputs.pending.values())


def _refused_as(transition: Transition, name: str) -> bool:
    found = transition.found
    return isinstance(found, CommandRejected) and type(found).__name__ == name


def _failed(transition: Transition) -> bool:
    return any(isinstance(e, TurnEnded) and e.failed_input_ids for e in transition.events)


def _deferred(transition: Transition) -> bool:
    return any(isinstance(e, TurnCommitted) and e.deferred_input_ids for e in transition.events)


def _completed(transition: Transition) -> bool:
    return any(isinstance(e, TurnCommitted) and e.completed_input_ids for e in transition.events)


SOMETIMES: Final[Mapping[str, Callable[[Transition], bool]]] = {
    "a takeover": _is_takeover,
    "a takeover with claims": lambda t: _is_takeover(t) and _has_claims(t),
    "a crash": lambda t: isinstance(t.move, Crash),
    "an expired owner refused": lambda t: _is_fenced_off(t, "expired"),
    "a superseded owner refused": lambda t: _is_fenced_off(t, "superseded"),
    "a superseded claim": lambda t: _refused_as(t, "TurnInputClaimSuperseded"),
    "a turn continued": lambda t: _has(t, TurnContinued),
    "a cancel": lambda t: _has(t, TurnInputCancelled),
    "a commit that settles inputs": _completed,
    "a commit that defers inputs": _deferred,
    "an input that failed too often": _failed,
    "effects unsettled": lambda t: _refused_as(t, "EffectsUnsettled"),
}


def _is_at_rest(world: World) -> bool:
    session = world.state
    if isinstance(session, Deleted):
        return False
    if isinstance(session, NotOpened):
        return True
    return _turn(session) is None and not session.inputs.pending and session.lease.holder is None


EVENTUALLY: Final[Mapping[str, Callable[[World], bool]]] = {
    "nothing is owed, unless the session is deleted": lambda world: (
        _is_at_rest(world) or isinstance(world.state, Deleted)
    )
}
