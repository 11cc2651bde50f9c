"""
What is expected of every move of every session, each rule with its sentence.

A rule answers with nothing, or with what is wrong. It looks at facts and at what was before, and
asks no function of the core whether it was right. A rule about what stands in a state looks only
when that has changed: where it has not, the rule held before.
"""

from collections.abc import Callable, Mapping
from typing import Final, get_args

from lash_es.core.commands import CommitTurn, OwnerCommand
from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    LeaseAcquired,
    LeaseReleased,
    OwnerEvent,
    TurnCommitted,
    TurnEnded,
    TurnStarted,
)
from lash_es.core.ids import EffectId
from lash_es.core.owners import Fence
from lash_es.core.state import NotOpened, Open
from lash_es.verify.input_properties import INPUT_RULES
from lash_es.verify.occasions import SOMETIMES
from lash_es.verify.reading import is_live, opened, turn_of
from lash_es.verify.work_properties import WORK_RULES
from lash_es.verify.worlds import Ask, Transition, World, living

__all__ = ["ALWAYS", "EVENTUALLY", "SOMETIMES", "Problem"]

Problem = Callable[[Transition], str]

_OWNER_COMMANDS: Final = get_args(OwnerCommand)
_OWNER_EVENTS: Final = get_args(OwnerEvent)


def stale_generation(transition: Transition) -> str:
    """Who does not hold the lease writes nothing that an owner writes."""
    move, before = transition.move, opened(transition.before)
    if before is None or not isinstance(move, Ask) or not transition.events:
        return ""
    fence = getattr(move.command, "fence", None)
    if not isinstance(move.command, _OWNER_COMMANDS) or not isinstance(fence, Fence):
        return ""
    if isinstance(move.command, CommitTurn) and all(
        isinstance(event, LeaseReleased) for event in transition.events
    ):
        return ""  # A commit that is recognised asks for no lease, and lets its own go.
    holder = before.lease.holder
    is_holder = (
        holder is not None
        and (fence.token, fence.owner) == (holder.token, holder.owner)
        and fence.generation == before.lease.generation
    )
    if is_holder and (fence.is_certain or is_live(transition.before, before)):
        return ""
    return f"{fence} is not the live lease {before.lease}"


def generation_of_facts(transition: Transition) -> str:
    """An owner's fact carries the generation of the lease, and a lease the next one."""
    before = opened(transition.before)
    if before is None:
        return ""
    for event in transition.events:
        if isinstance(event, _OWNER_EVENTS):
            expected = before.lease.generation + isinstance(event, LeaseAcquired)
            if getattr(event, "generation", None) != expected:
                return f"{event}, where {expected} was expected"
    return ""


def lease_taken(transition: Transition) -> str:
    """A lease that somebody else holds is not taken, unless its process is dead."""
    before = opened(transition.before)
    acquired = any(isinstance(event, LeaseAcquired) for event in transition.events)
    if before is None or not acquired or before.lease.holder is None:
        return ""
    holder = before.lease.holder
    if transition.before.now_ms < holder.expires_at_ms and living(transition.before, holder):
        return f"it holds until {holder.expires_at_ms}"
    return ""


def lease_released(transition: Transition) -> str:
    """A lease is released by its holder only."""
    before, move = opened(transition.before), transition.move
    if before is None or not any(isinstance(e, LeaseReleased) for e in transition.events):
        return ""
    fence = getattr(getattr(move, "command", None), "fence", None)
    holder = before.lease.holder
    if holder is not None and fence is not None and fence.token == holder.token:
        return ""
    return f"{fence} released {before.lease}"


def turn_started(transition: Transition) -> str:
    """One turn is open at a time, and a turn's id is used once."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, TurnStarted) and before is not None:
            if turn_of(before) is not None:
                return f"{before.turn} was open"
            if event.turn_id in transition.before.turns:
                return f"{event.turn_id!r} was started before"
    return ""


def settled_once(transition: Transition) -> str:
    """An effect is settled once, and only if it was asked for."""
    before = opened(transition.before)
    settled = [e.effect_id for e in transition.events if isinstance(e, EffectSettled)]
    if not settled or before is None:
        return ""
    turn = turn_of(before)
    owed = set[EffectId]() if turn is None else set(turn.effects)
    for effect_id in settled:
        if effect_id not in owed:
            return f"{effect_id!r} was not open"
        owed.remove(effect_id)
    return ""


def asked_once(transition: Transition) -> str:
    """One model call is open at a time, or the tool calls of one reply, each once."""
    if not any(isinstance(e, EffectRequested) for e in transition.events):
        return ""
    after = opened(transition.after)
    turn = None if after is None else turn_of(after)
    if turn is None:
        return ""
    asked = [effect.request for effect in turn.effects.values()]
    kinds = {type(request) for request in asked}
    if len(kinds) > 1 or len(set(map(repr, asked))) < len(asked):
        return f"open are {asked}"
    return ""


def unfinished(transition: Transition) -> str:
    """A turn does not end while an effect of it is open."""
    before = opened(transition.before)
    if before is None or not _is_over(transition):
        return ""
    turn = turn_of(before)
    return f"open are {list(turn.effects)}" if turn is not None and turn.effects else ""


def usage_conserved(transition: Transition) -> str:
    """The ledger grows by what the turn used, when it ends, and by nothing else."""
    before, after = opened(transition.before), opened(transition.after)
    is_over = _is_over(transition)
    if before is None or after is None or (before.ledger is after.ledger and not is_over):
        return ""
    turn = turn_of(before) if is_over else None
    used = 0 if turn is None else turn.usage.input_tokens
    grown = _tokens(after) - _tokens(before)
    return "" if grown == used else f"it grew by {grown}, the turn used {used}"


def _is_over(transition: Transition) -> bool:
    return any(isinstance(event, TurnCommitted | TurnEnded) for event in transition.events)


def _tokens(session: Open) -> int:
    return sum(row.input_tokens for row in session.ledger.rows.values())


def revision_counts(transition: Transition) -> str:
    """The revision counts commits."""
    before, after = opened(transition.before), opened(transition.after)
    commits = sum(isinstance(event, TurnCommitted) for event in transition.events)
    if before is None or after is None or (before.head is after.head and not commits):
        return ""
    grown = after.head.revision - before.head.revision
    return "" if grown == commits else f"it grew by {grown}, with {commits} commits"


ALWAYS: Final[Mapping[str, Problem]] = {
    (rule.__doc__ or "").strip().rstrip("."): rule
    for rule in (
        stale_generation,
        generation_of_facts,
        lease_taken,
        lease_released,
        turn_started,
        settled_once,
        asked_once,
        unfinished,
        usage_conserved,
        revision_counts,
        *INPUT_RULES,
        *WORK_RULES,
    )
}


def _is_at_rest(world: World) -> bool:
    session = world.state
    if isinstance(session, NotOpened):
        return True
    return (
        isinstance(session, Open)
        and session.lease.holder is None
        and not session.work.batches
        and turn_of(session) is None
        and not session.inputs.pending
    )


EVENTUALLY: Final[Mapping[str, Callable[[World], bool]]] = {
    "nothing is owed any more, and nobody holds the lease": _is_at_rest
}
