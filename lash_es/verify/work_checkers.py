"""
Oracles of queued work, and of what is told to a turn: a naive queue in plain dictionaries, which
folds nothing and shares no rule with the core.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import Factory, define

from lash_es.core.batches import DeliveryPolicy, NeverMerge, SlotPolicy, WorkKind
from lash_es.core.bodies import BodyRef
from lash_es.core.effects import ModelCall
from lash_es.core.events import (
    DirectInput,
    EffectRequested,
    Event,
    TurnCommitted,
    TurnEnded,
    TurnInputEnqueued,
    TurnStarted,
)
from lash_es.core.graph_events import SessionBegunAnew
from lash_es.core.ids import BatchId, Position
from lash_es.core.transcripts import FromInputs, FromWork
from lash_es.core.work_events import (
    DrainedWork,
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkFailed,
)
from lash_es.verify.evidence import Evidence, Witnesses
from lash_es.verify.simulated_steps import CLAIM_MAX

_COMMANDS: Final = (WorkKind.REFRESH_TOOL_CATALOG, WorkKind.RESET_SESSION)


def _finished(event: Event) -> tuple[BatchId, ...]:
    match event:
        case WorkCompleted() | WorkFailed():
            return event.batch_ids
        case WorkCancelled():
            return (event.batch_id,)
        case _:
            return ()


def work_keys_kept(evidence: Evidence) -> Witnesses:
    """QUEUE-47: a key names one batch until it has finished and is pruned; none is lost."""
    for session, facts in evidence.facts.items():
        named: dict[str, BatchId] = {}
        gone: set[BatchId] = set()
        for position, event in enumerate(facts):
            gone.update(_finished(event))
            if isinstance(event, FinishedWorkPruned):
                named = {key: each for key, each in named.items() if each not in gone}
            if isinstance(event, WorkEnqueued) and event.source_key is not None:
                if event.source_key in named:
                    yield session, f"{event.source_key!r} is queued again, at {position}"
                named[event.source_key] = event.batch_id
    for (session, batch_id), key in evidence.promises.batches.items():
        found = [
            event.source_key
            for event in evidence.facts[session]
            if isinstance(event, WorkEnqueued) and event.batch_id == batch_id
        ]
        if found != [key]:
            yield session, f"{batch_id!r} was acknowledged as {key!r} and is there as {found}"


def work_finished_once(evidence: Evidence) -> Witnesses:
    """QUEUE-03, QUEUE-41: each batch finishes once; a withdrawn one by its withdrawal."""
    for session, facts in evidence.facts.items():
        times = Counter(each for event in facts for each in _finished(event))
        queued = Counter(event.batch_id for event in facts if isinstance(event, WorkEnqueued))
        if times != queued:
            yield session, f"finished {times - queued} too often, {queued - times} not at all"
        withdrawn = {each.batch_id for each in facts if isinstance(each, WorkCancelled)}
        promised = {each for owner, each in evidence.promises.withdrawn if owner == session}
        if not promised <= withdrawn:
            yield session, f"reported as withdrawn: {promised - withdrawn}"


@define
class _Queue:
    """What waits, in order; who holds it, by generation; and what the open turn was told of."""

    waiting: dict[BatchId, WorkEnqueued] = Factory(dict[BatchId, WorkEnqueued])
    held: dict[BatchId, WorkClaimed] = Factory(dict[BatchId, WorkClaimed])
    taken: set[BatchId] = Factory(set[BatchId])

    def free(self, generation: int, at_ms: int) -> list[WorkEnqueued]:
        return [
            batch
            for batch_id, batch in self.waiting.items()
            if batch_id not in self.taken
            and (batch_id not in self.held or self.held[batch_id].generation != generation)
            and batch.available_at_ms <= at_ms
        ]

    def objection(self, event: WorkClaimed) -> str | None:
        """Say what is wrong with a claim."""
        free = self.free(event.generation, event.at_ms)
        group = [batch for batch in free if batch.batch_id in event.batch_ids]
        leads = [batch.batch_id for batch in free[: len(event.batch_ids)]]
        if leads != list(event.batch_ids):
            return f"claims {event.batch_ids}, in front are {leads}"
        head, is_command = group[0], group[0].kinds[0] in _COMMANDS
        if is_command and (len(group) > 1 or event.turn_id is not None):
            return f"the command {head.batch_id!r} shares its claim"
        if event.turn_id is not None and head.delivery is not _EARLIEST:
            return f"{head.batch_id!r} is to wait for the turn's end"
        if any(not _joins(head, batch) for batch in group[1:]):
            return f"{event.batch_ids} do not belong together"
        rest = free[len(group) :]
        if not is_command and len(group) < CLAIM_MAX and rest and _joins(head, rest[0]):
            return f"{rest[0].batch_id!r} belongs to {event.batch_ids}"
        return None

    def apply(self, event: Event) -> None:  # noqa: C901 - a table
        match event:
            case WorkEnqueued():
                self.waiting[event.batch_id] = event
            case WorkClaimed():
                self.held.update(dict.fromkeys(event.batch_ids, event))
            case WorkClaimAbandoned():
                for batch_id in event.batch_ids:
                    self.held.pop(batch_id, None)
            case TurnStarted() if isinstance(event.origin, DrainedWork):
                self.taken.update(event.origin.batch_ids)
            case EffectRequested() if isinstance(event.request, ModelCall):
                told = {
                    batch_id
                    for batch_id, claim in self.held.items()
                    if (claim.turn_id, claim.generation) == (event.turn_id, event.generation)
                }
                self.taken |= told
            case TurnCommitted() | TurnEnded():
                for batch_id in self.taken:
                    self.held.pop(batch_id, None)
                self.taken = set()
            case _:
                pass
        for batch_id in _finished(event):
            self.waiting.pop(batch_id, None)
            self.held.pop(batch_id, None)


_EARLIEST: Final = DeliveryPolicy.EARLIEST_SAFE_BOUNDARY


def _joins(head: WorkEnqueued, batch: WorkEnqueued) -> bool:
    return (
        head.slot is SlotPolicy.JOIN
        and batch.slot is SlotPolicy.JOIN
        and batch.kinds[0] not in _COMMANDS
        and batch.delivery is head.delivery
        and batch.merge_key == head.merge_key
        and not isinstance(head.merge_key, NeverMerge)
    )


def work_claimed_in_order(evidence: Evidence) -> Witnesses:
    """QUEUE-05 to 11, 23, 25: what is claimed was free and ready, led, and belongs together."""
    for session, facts in evidence.facts.items():
        queue = _Queue()
        for position, event in enumerate(facts):
            if isinstance(event, WorkClaimed):
                objection = queue.objection(event)
                if objection is not None:
                    yield session, f"{objection}, at {position}"
            if isinstance(event, WorkCancelled) and event.batch_id in queue.taken:
                yield session, f"{event.batch_id!r} is withdrawn from its turn, at {position}"
            queue.apply(event)


def told_once(evidence: Evidence) -> Witnesses:
    """
    SIM-16: a commit says what the inputs and the work say that it completes, and nothing else;
    so each is in one turn of the history, and what was not completed is in none.
    """
    for session, facts in evidence.facts.items():
        whole: dict[object, list[BodyRef]] = {}
        done: list[BodyRef] = []
        for position, event in enumerate(facts):
            whole.update(_said(position, event))
            if isinstance(event, WorkCompleted):
                done += [ref for each in event.batch_ids for ref in whole[each]]
            if isinstance(event, TurnCommitted):
                done += [ref for each in event.completed_input_ids for ref in whole[each]]
                done += whole.get(event.turn_id, [])
                told = list(_told(event))
                if sorted(told, key=_place) != sorted(done, key=_place):
                    yield session, f"the commit at {position} tells {told} and completes {done}"
            # What is completed beside a commit is a command, and nobody is told of it.
            is_inside = isinstance(event, WorkCompleted) and _is_before_commit(facts, position)
            done = done if is_inside else []


def _said(position: int, event: Event) -> dict[object, list[BodyRef]]:
    """Say what an input, a batch, or a turn with its own input says, and where."""
    match event:
        case TurnInputEnqueued():
            return {event.input_id: _refs(position, 1)}
        case WorkEnqueued():
            return {event.batch_id: _refs(position, len(event.bodies))}
        case TurnStarted() if isinstance(event.origin, DirectInput):
            return {event.turn_id: _refs(position, 1)}
        case _:
            return {}


def _refs(position: int, count: int) -> list[BodyRef]:
    return [BodyRef(position=Position(position), ordinal=n) for n in range(count)]


def _place(ref: BodyRef) -> tuple[int, int]:
    return (ref.position, ref.ordinal)


def _told(event: TurnCommitted) -> Iterator[BodyRef]:
    for node in event.nodes:
        if isinstance(node.source, FromInputs | FromWork):
            yield from node.source.bodies


def _is_before_commit(facts: Sequence[Event], position: int) -> bool:
    """Tell whether nothing but completions stands between a completion and a commit."""
    rest = (event for event in facts[position:] if not isinstance(event, WorkCompleted))
    return isinstance(next(rest, None), TurnCommitted)


def commands_done_once(evidence: Evidence) -> Witnesses:
    """QUEUE-36: a session begins anew in the append that completes a reset, once for each."""
    for session, facts in evidence.facts.items():
        resets = {
            event.batch_id
            for event in facts
            if isinstance(event, WorkEnqueued) and WorkKind.RESET_SESSION in event.kinds
        }
        starts = {
            position + 1
            for position, event in enumerate(facts)
            if isinstance(event, SessionBegunAnew)
        }
        done = {
            position
            for position, event in enumerate(facts)
            if isinstance(event, WorkCompleted) and resets & set(event.batch_ids)
        }
        if starts != done:
            yield session, f"begun anew in front of {starts}, resets are completed at {done}"
