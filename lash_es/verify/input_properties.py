"""What is expected of pending input, as ``properties.py`` says it."""

from collections.abc import Callable
from typing import Final

from lash_es.core.commands import CommitTurn
from lash_es.core.events import (
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    TurnStarted,
)
from lash_es.core.ids import InputId, TurnId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.inputs import PendingInput
from lash_es.core.known import IndexKey, IndexKind, InputEntry, SourceKeyEntry
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn
from lash_es.verify.reading import is_input_held, opened, turn_of
from lash_es.verify.worlds import Ask, Transition, World

_TAKING = TurnInputsClaimed | TurnInputsAccepted
_ENDING = TurnCommitted | TurnEnded


def double_claim(transition: Transition) -> str:
    """An input is held by one at a time."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, _TAKING) and before is not None:
            for input_id in event.input_ids:
                entry = before.inputs.pending.get(input_id)
                if entry is None or is_input_held(transition.before, before, entry):
                    return f"{input_id!r} was held, or gone"
    return ""


def claimed_in_order(transition: Transition) -> str:
    """A claim passes over nothing that waits for the same."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, TurnInputsClaimed) and before is not None:
            free = _free(transition.before, before)
            if tuple(free[: len(event.input_ids)]) != event.input_ids:
                return f"claimed {event.input_ids}, free were {free}"
    return ""


def _free(world: World, session: Open) -> list[InputId]:
    return [
        entry.input_id
        for entry in session.inputs.pending.values()
        if not isinstance(entry.ingress, ActiveTurn) and not is_input_held(world, session, entry)
    ]


def cancelled_while_held(transition: Transition) -> str:
    """What is held is not withdrawn."""
    before = opened(transition.before)
    for input_id in _withdrawn(transition) if before is not None else ():
        entry = before.inputs.pending.get(input_id) if before is not None else None
        if before is None or entry is None:
            return f"{input_id!r} was gone"
        if is_input_held(transition.before, before, entry):
            return f"{input_id!r} was held"
    return ""


def _withdrawn(transition: Transition) -> list[InputId]:
    found: list[InputId] = []
    for event in transition.events:
        if isinstance(event, TurnInputCancelled):
            found.append(event.input_id)
        elif isinstance(event, TurnInputsCancelled):
            found += event.input_ids
    return found


def given_back_while_taken(transition: Transition) -> str:
    """What a turn has taken is not given back before its end."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, TurnInputClaimAbandoned) and before is not None:
            turn = turn_of(before)
            taken = set[InputId]() if turn is None else set(event.input_ids) & set(turn.input_ids)
            if taken:
                return f"the turn has {sorted(taken)}"
    return ""


def lost_input(transition: Transition) -> str:
    """An input that was acknowledged waits, or is settled, and never both."""
    before, after = opened(transition.before), opened(transition.after)
    if before is None or after is None or not _is_other(transition, before, after):
        return ""
    pending = set(after.inputs.pending)
    known = transition.after.said
    settled = {key.key for key in known if key.kind is IndexKind.INPUT}
    if pending | settled == set(transition.after.inputs) and not pending & settled:
        return ""
    return f"pending {sorted(pending)}, settled {sorted(settled)}, of {transition.after.inputs}"


def _is_other(transition: Transition, before: Open, after: Open) -> bool:
    return (
        before.inputs is not after.inputs
        or transition.before.said is not transition.after.said
        or transition.before.inputs is not transition.after.inputs
    )


def input_taken(transition: Transition) -> str:
    """What an open turn has taken waits for the turn's end."""
    before, after = opened(transition.before), opened(transition.after)
    if before is None or after is None:
        return ""
    if before.inputs is after.inputs and before.turn is after.turn:
        return ""
    turn = turn_of(after)
    if turn is None:
        return ""
    gone = [input_id for input_id in turn.input_ids if input_id not in after.inputs.pending]
    return f"{gone} left while {turn.turn_id!r} runs" if gone else ""


def drained_on_claim(transition: Transition) -> str:
    """A turn that drains takes what a claim of this generation holds, all of it."""
    before, move = opened(transition.before), transition.move
    for event in transition.events:
        input_ids = getattr(getattr(event, "origin", None), "input_ids", ())
        if isinstance(event, TurnStarted) and input_ids and before is not None:
            source = getattr(getattr(move, "command", None), "source", None)
            held = tuple(
                entry.input_id
                for entry in before.inputs.pending.values()
                if entry.claim is not None
                and entry.claim.token == getattr(source, "token", None)
                and entry.claim.generation == before.lease.generation
            )
            if input_ids != held:
                return f"took {input_ids}, held were {held}"
    return ""


def committed_inputs(transition: Transition) -> str:
    """A commit completes what its turn took and what it names, and defers what missed it."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, TurnCommitted) and before is not None:
            turn = turn_of(before)
            assert turn is not None
            done = [*turn.input_ids, *_accepted(before, turn), *_named(transition)]
            missed = [i for i in _wanting_into(before, turn.turn_id) if i not in done]
            if set(event.completed_input_ids) != set(done):
                return f"completed {event.completed_input_ids}, expected {done}"
            if sorted(event.deferred_input_ids) != sorted(missed):
                return f"deferred {event.deferred_input_ids}, missed {missed}"
    return ""


def _accepted(session: Open, turn: OpenTurn) -> list[InputId]:
    return [
        entry.input_id
        for entry in session.inputs.pending.values()
        if _wants(entry, turn.turn_id)
        and entry.claim is not None
        and entry.claim.generation == session.lease.generation
    ]


def _named(transition: Transition) -> list[InputId]:
    command = transition.move.command if isinstance(transition.move, Ask) else None
    done = command.input_completions if isinstance(command, CommitTurn) else ()
    return [input_id for each in done for input_id in each.input_ids]


def _wanting_into(session: Open, turn_id: TurnId) -> list[InputId]:
    pending = session.inputs.pending.values()
    return [entry.input_id for entry in pending if _wants(entry, turn_id)]


def _wants(entry: PendingInput, turn_id: TurnId) -> bool:
    return isinstance(entry.ingress, ActiveTurn) and entry.ingress.turn_id == turn_id


def nobody_waits_for_what_is_over(transition: Transition) -> str:
    """No input waits for a turn that is over."""
    before, after = opened(transition.before), opened(transition.after)
    if before is None or after is None:
        return ""
    if before.inputs is after.inputs and before.turn is after.turn:
        return ""
    turn = turn_of(after)
    over = [each for each in transition.after.turns if turn is None or each != turn.turn_id]
    waiting = [input_id for each in over for input_id in _wanting_into(after, each)]
    return f"{waiting} wait for one of {over}" if waiting else ""


def named_once(transition: Transition) -> str:
    """A source key names one input for as long as that is remembered."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, TurnInputEnqueued) and event.source_key and before is not None:
            key = IndexKey(IndexKind.SOURCE_KEY, event.source_key)
            first = transition.before.said.get(key)
            if isinstance(first, SourceKeyEntry) and _is_kept(transition.before, before, first):
                return f"{event.source_key!r} names {first.input_id!r}"
    return ""


def _is_kept(world: World, session: Open, first: SourceKeyEntry) -> bool:
    settled = world.said.get(IndexKey(IndexKind.INPUT, first.input_id))
    if isinstance(settled, InputEntry):
        return settled.settled >= session.inputs.pruned_below
    return True


INPUT_RULES: Final[tuple[Callable[[Transition], str], ...]] = (
    double_claim,
    claimed_in_order,
    cancelled_while_held,
    given_back_while_taken,
    lost_input,
    input_taken,
    drained_on_claim,
    committed_inputs,
    nobody_waits_for_what_is_over,
    named_once,
)
