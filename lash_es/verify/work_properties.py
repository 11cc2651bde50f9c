"""What is expected of queued work, as ``properties.py`` says it."""

from collections.abc import Callable
from typing import Final

from lash_es.core.commands import CommitTurn
from lash_es.core.events import TurnCommitted
from lash_es.core.ids import BatchId
from lash_es.core.known import BatchEntry, IndexKey, IndexKind, WorkKeyEntry
from lash_es.core.state import Open
from lash_es.core.work_commands import CompleteWork
from lash_es.core.work_events import (
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
)
from lash_es.verify.reading import is_batch_held, opened, turn_of
from lash_es.verify.worlds import Ask, Transition, World


def claimed_once(transition: Transition) -> str:
    """A batch is held by one at a time, and only when its time has come."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkClaimed) and before is not None:
            for batch_id in event.batch_ids:
                batch = before.work.batches.get(batch_id)
                if batch is None or is_batch_held(transition.before, before, batch):
                    return f"{batch_id!r} was held, or gone"
                if batch.available_at_ms > max(transition.before.now_ms, before.at_ms):
                    return f"{batch_id!r} is for later"
    return ""


def leading(transition: Transition) -> str:
    """A claim of work takes what leads, and passes over nothing that is ready and free."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkClaimed) and before is not None:
            now_ms = max(transition.before.now_ms, before.at_ms)
            free = [
                batch.batch_id
                for batch in before.work.batches.values()
                if batch.available_at_ms <= now_ms
                and not is_batch_held(transition.before, before, batch)
            ]
            if tuple(free[: len(event.batch_ids)]) != event.batch_ids:
                return f"claimed {event.batch_ids}, free were {free}"
    return ""


def apart(transition: Transition) -> str:
    """A claim of several batches holds turn work only, of batches that may be joined."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkClaimed) and before is not None and len(event.batch_ids) > 1:
            batches = [before.work.batches[each] for each in event.batch_ids]
            alike = {(b.work_class, b.delivery, b.slot, b.merge_key) for b in batches}
            if len(alike) > 1:
                return f"{event.batch_ids} differ: {sorted(map(str, alike))}"
            text = str(alike)
            if "EXCLUSIVE" in text or "NeverMerge" in text or "SESSION_COMMAND" in text:
                return f"{event.batch_ids} share a claim: {text}"
    return ""


def withdrawn_while_held(transition: Transition) -> str:
    """A batch that is held is not withdrawn."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkCancelled) and before is not None:
            batch = before.work.batches.get(event.batch_id)
            if batch is None or is_batch_held(transition.before, before, batch):
                return f"{event.batch_id!r} was held, or gone"
    return ""


def completed_as_claimed(transition: Transition) -> str:
    """Work is completed as it was claimed, under this generation or by the turn that has it."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkCompleted) and before is not None:
            turn = turn_of(before)
            taken = () if turn is None else turn.batch_ids
            held = tuple(
                batch.batch_id
                for batch in before.work.batches.values()
                if batch.claim is not None
                and batch.claim.claim_id == event.claim_id
                and (batch.claim.generation == before.lease.generation or batch.batch_id in taken)
            )
            if not event.batch_ids or not set(event.batch_ids) <= set(held):
                return f"completed {event.batch_ids}, held were {held}"
    return ""


def all_or_nothing(transition: Transition) -> str:
    """What a turn has taken, and what is said to be done, is completed with its commit."""
    command = transition.move.command if isinstance(transition.move, Ask) else None
    is_commit = any(isinstance(event, TurnCommitted) for event in transition.events)
    if isinstance(command, CompleteWork):
        named = command.completions if transition.events else ()
    else:
        named = command.work_completions if isinstance(command, CommitTurn) and is_commit else ()
    before = opened(transition.before)
    turn = turn_of(before) if is_commit and before is not None else None
    wanted = [batch_id for each in named for batch_id in each.batch_ids]
    if turn is not None and before is not None:
        # The holder may have said before that some of it is done.
        wanted += [batch_id for batch_id in turn.batch_ids if batch_id in before.work.batches]
    made = [i for e in transition.events if isinstance(e, WorkCompleted) for i in e.batch_ids]
    return "" if sorted(made) == sorted(set(wanted)) else f"completed {made} of {wanted}"


def given_back_while_taken(transition: Transition) -> str:
    """Work that a turn has taken is not given back before its end."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkClaimAbandoned) and before is not None:
            turn = turn_of(before)
            taken = set[BatchId]() if turn is None else set(event.batch_ids) & set(turn.batch_ids)
            if taken:
                return f"the turn has {sorted(taken)}"
    return ""


def lost_work(transition: Transition) -> str:
    """A batch that was acknowledged waits, or has finished, and never both."""
    before, after = opened(transition.before), opened(transition.after)
    if before is None or after is None or not _is_other(transition, before, after):
        return ""
    waiting = set(after.work.batches)
    known = transition.after.done
    finished = {key.key for key in known if key.kind is IndexKind.BATCH}
    if waiting | finished == set(transition.after.batches) and not waiting & finished:
        return ""
    return f"waiting {sorted(waiting)}, finished {sorted(finished)}"


def _is_other(transition: Transition, before: Open, after: Open) -> bool:
    return (
        before.work is not after.work
        or transition.before.done is not transition.after.done
        or transition.before.batches is not transition.after.batches
    )


def woken_once(transition: Transition) -> str:
    """A source key names one batch for as long as that is remembered."""
    before = opened(transition.before)
    for event in transition.events:
        if isinstance(event, WorkEnqueued) and event.source_key and before is not None:
            first = transition.before.done.get(IndexKey(IndexKind.WORK_KEY, event.source_key))
            if isinstance(first, WorkKeyEntry) and _is_kept(transition.before, before, first):
                return f"{event.source_key!r} names {first.batch_id!r}"
    return ""


def _is_kept(world: World, session: Open, first: WorkKeyEntry) -> bool:
    finished = world.done.get(IndexKey(IndexKind.BATCH, first.batch_id))
    if isinstance(finished, BatchEntry):
        return finished.finished >= session.work.pruned_below
    return True


WORK_RULES: Final[tuple[Callable[[Transition], str], ...]] = (
    claimed_once,
    leading,
    apart,
    withdrawn_while_held,
    completed_as_claimed,
    all_or_nothing,
    given_back_while_taken,
    lost_work,
    woken_once,
)
