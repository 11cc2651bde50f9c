"""
Named anomalies in a log: what no sound history has, whoever wrote it.

The facts are read as they lie and not folded: ``evolve`` would stop at the first that cannot
follow, and what a state says is no evidence against the rules that made it. So a history that was
only supposed can be looked at, and one that another program wrote. Of a trimmed session the
beginning is what its trim has kept.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TypeAlias

from attrs import Factory, define, frozen

from lash_es.core.effects import ToolCall
from lash_es.core.events import (
    DrainedInputs,
    EffectRequested,
    EffectSettled,
    Event,
    LeaseAcquired,
    LeaseReleased,
    OwnerEvent,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    TurnInputsDeferred,
    TurnStarted,
)
from lash_es.core.graph_events import LeafMoved
from lash_es.core.ids import BatchId, EffectId, Generation, InputId, Position, TurnId
from lash_es.core.ingress import ActiveTurn
from lash_es.core.messages import NO_TOKENS, TokenUsage
from lash_es.core.outcomes import ModelReplied, ToolCallRef
from lash_es.core.state import NOT_OPENED, NotOpened, Open, State
from lash_es.core.turns import OpenTurn, Replied
from lash_es.core.work_events import (
    DrainedWork,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkFailed,
)


class Anomaly(Enum):
    """What can be wrong with a history."""

    STALE_WRITE = "stale-generation write"
    DOUBLE_CLAIM = "double claim"
    LOST_INPUT = "lost input"
    LOST_WORK = "lost work"
    USAGE = "usage not conserved"
    REGRESSION = "cursor regression"
    ORPHAN_CALL = "orphan call"


@frozen(kw_only=True)
class Finding:
    """An anomaly, the fact that shows it, and why."""

    anomaly: Anomaly
    position: Position
    because: str


def lint(facts: Iterable[tuple[Position, Event]], start: State = NOT_OPENED) -> Iterator[Finding]:
    """
    Look for anomalies in facts, in their order.

    Args:
        facts: with their positions.
        start: the state that the first one follows, of a trimmed session.

    Cost: one step a fact; what is open is held in memory.
    """
    trackers = [kind.of(start) for kind in (_Order, _Writers, _Queue, _Work, _Turns)]
    for position, event in facts:
        for tracker in trackers:
            for anomaly, because in tracker.take(position, event):
                yield Finding(anomaly=anomaly, position=position, because=because)


Found: TypeAlias = Iterator[tuple[Anomaly, str]]


@define
class _Order:
    """Positions are dense, times never fall, revisions go up by one."""

    position: int
    at_ms: int
    revision: int

    @classmethod
    def of(cls, start: State) -> "_Order":
        version = 0 if isinstance(start, NotOpened) else start.version
        at_ms = 0 if isinstance(start, NotOpened) else start.at_ms
        return cls(version, at_ms, start.head.revision if isinstance(start, Open) else 0)

    def take(self, position: Position, event: Event) -> Found:
        if position != self.position:
            yield Anomaly.REGRESSION, f"expected position {self.position}"
        if event.at_ms < self.at_ms:
            yield Anomaly.REGRESSION, f"{event.at_ms} ms is in front of {self.at_ms} ms"
        if isinstance(event, TurnCommitted):
            if event.revision != self.revision + 1:
                yield Anomaly.REGRESSION, f"revision {event.revision} follows {self.revision}"
            self.revision = event.revision
        self.position, self.at_ms = position + 1, max(self.at_ms, event.at_ms)


@define
class _Writers:
    """Whatever an owner writes carries the generation that holds the lease."""

    generation: int
    is_held: bool

    @classmethod
    def of(cls, start: State) -> "_Writers":
        if not isinstance(start, Open):
            return cls(0, False)
        return cls(start.lease.generation, start.lease.holder is not None)

    def take(self, _: Position, event: Event) -> Found:
        if isinstance(event, LeaseAcquired):
            if event.generation <= self.generation:
                yield Anomaly.STALE_WRITE, f"generation {event.generation} was there before"
            self.generation, self.is_held = event.generation, True
        elif isinstance(event, OwnerEvent):
            if not self.is_held:
                yield Anomaly.STALE_WRITE, f"generation {event.generation} holds no lease"
            elif event.generation != self.generation:
                yield (
                    Anomaly.STALE_WRITE,
                    f"generation {event.generation} writes under {self.generation}",
                )
            self.is_held = self.is_held and not isinstance(event, LeaseReleased)


@define
class _Queue:
    """
    What waits is claimed by one generation at a time, is settled once, and comes back from every
    turn that took it.
    """

    waiting: set[InputId] = Factory(set[InputId])
    wanting: dict[InputId, TurnId] = Factory(dict[InputId, TurnId])
    claims: dict[InputId, Generation] = Factory(dict[InputId, Generation])
    taken: set[InputId] = Factory(set[InputId])
    accepted: dict[InputId, Generation] = Factory(dict[InputId, Generation])

    @classmethod
    def of(cls, start: State) -> "_Queue":
        queue = cls()
        if not isinstance(start, Open):
            return queue
        for entry in start.inputs.pending.values():
            queue.waiting.add(entry.input_id)
            if isinstance(entry.ingress, ActiveTurn):
                queue.wanting[entry.input_id] = entry.ingress.turn_id
            if entry.claim is not None:
                queue.claims[entry.input_id] = entry.claim.generation
        if isinstance(start.turn, OpenTurn):
            queue.taken.update(start.turn.input_ids)
        return queue

    def take(self, _: Position, event: Event) -> Found:
        match event:
            case TurnInputsClaimed() | TurnInputsAccepted():
                yield from self._claimed(event)
            case TurnInputCancelled():
                yield from self._settled((event.input_id,))
            case TurnInputsCancelled():
                yield from self._settled(event.input_ids)
            case TurnCommitted() | TurnEnded():
                yield from self._over(event)
            case _:
                self._note(event)

    def _note(self, event: Event) -> None:
        """Take note of what alone is never wrong."""
        match event:
            case TurnInputEnqueued():
                self.waiting.add(event.input_id)
                if isinstance(event.ingress, ActiveTurn):
                    self.wanting[event.input_id] = event.ingress.turn_id
            case TurnInputClaimAbandoned():
                self._free(event.input_ids)
            case TurnInputsDeferred():
                self._deferred(event.input_ids)
            case EffectRequested():
                self._delivered(event)
            case TurnStarted(origin=DrainedInputs() as drained):
                self.taken = set(drained.input_ids)
            case _:
                pass

    def _claimed(self, event: TurnInputsClaimed | TurnInputsAccepted) -> Found:
        for input_id in event.input_ids:
            if self.claims.get(input_id) == event.generation or input_id in self.taken:
                yield Anomaly.DOUBLE_CLAIM, f"{input_id!r} is held already"
            self.claims[input_id] = event.generation
            if isinstance(event, TurnInputsAccepted):
                self.accepted[input_id] = event.generation

    def _free(self, input_ids: Iterable[InputId]) -> None:
        for input_id in input_ids:
            self.claims.pop(input_id, None)
            self.accepted.pop(input_id, None)

    def _deferred(self, input_ids: Iterable[InputId]) -> None:
        self._free(input_ids)
        for input_id in input_ids:
            self.wanting.pop(input_id, None)

    def _delivered(self, event: EffectRequested) -> None:
        """A model call brings in what its generation has accepted."""
        if not isinstance(event.request, ToolCall):
            self.taken |= {
                each for each, by in self.accepted.items() if by == event.generation
            } & self.waiting

    def _settled(self, input_ids: Iterable[InputId]) -> Found:
        for input_id in input_ids:
            if input_id not in self.waiting:
                yield Anomaly.LOST_INPUT, f"{input_id!r} is settled, and was not waiting"
            self.waiting.discard(input_id)
            self.wanting.pop(input_id, None)
            self.claims.pop(input_id, None)

    def _over(self, event: TurnCommitted | TurnEnded) -> Found:
        if isinstance(event, TurnCommitted):
            settled, back = event.completed_input_ids, event.deferred_input_ids
        else:
            settled = event.failed_input_ids
            back = (*event.returned_input_ids, *event.deferred_input_ids)
        for input_id in self.taken.difference(settled, back):
            yield Anomaly.LOST_INPUT, f"{input_id!r} was taken by {event.turn_id!r} and is gone"
        yield from self._settled(settled)
        self._deferred(event.deferred_input_ids)
        for input_id, turn_id in self.wanting.items():
            if turn_id == event.turn_id:
                yield Anomaly.LOST_INPUT, f"{input_id!r} wanted into {turn_id!r} and is stuck"
        self._free(back)
        self.taken, self.accepted = set(), {}


@define
class _Work:
    """A batch is claimed by one generation at a time; what a turn took, its commit finishes."""

    claims: dict[BatchId, Generation] = Factory(dict[BatchId, Generation])
    taken: set[BatchId] = Factory(set[BatchId])
    accepted: dict[BatchId, Generation] = Factory(dict[BatchId, Generation])

    @classmethod
    def of(cls, start: State) -> "_Work":
        if not isinstance(start, Open):
            return cls()
        batches, turn = start.work.batches.values(), start.turn
        work = cls({each.batch_id: each.claim.generation for each in batches if each.claim})
        if isinstance(turn, OpenTurn):
            work.taken.update(turn.batch_ids)
        return work

    def take(self, _: Position, event: Event) -> Found:
        match event:
            case WorkClaimed():
                yield from self._claimed(event)
            case TurnCommitted():
                for batch_id in sorted(self.taken.intersection(self.claims)):
                    yield (
                        Anomaly.LOST_WORK,
                        f"{batch_id!r} was taken by {event.turn_id!r} and is not finished",
                    )
                self._over()
            case TurnEnded():
                self._free(self.taken)
                self._over()
            case _:
                self._note(event)

    def _note(self, event: Event) -> None:
        match event:
            case WorkClaimAbandoned() | WorkCompleted() | WorkFailed():
                self._free(event.batch_ids)
            case WorkCancelled():
                self._free((event.batch_id,))
            case TurnStarted(origin=DrainedWork() as drained):
                self.taken = set(drained.batch_ids)
            case EffectRequested() if not isinstance(event.request, ToolCall):
                # A model call brings in what its generation has accepted.
                self.taken.update(
                    each for each, by in self.accepted.items() if by == event.generation
                )
            case _:
                pass

    def _claimed(self, event: WorkClaimed) -> Found:
        for batch_id in event.batch_ids:
            if self.claims.get(batch_id) == event.generation or batch_id in self.taken:
                yield Anomaly.DOUBLE_CLAIM, f"{batch_id!r} is held already"
            self.claims[batch_id] = event.generation
            if event.turn_id is not None:
                self.accepted[batch_id] = event.generation

    def _free(self, batch_ids: Iterable[BatchId]) -> None:
        for batch_id in batch_ids:
            self.claims.pop(batch_id, None)
            self.accepted.pop(batch_id, None)

    def _over(self) -> None:
        self.taken, self.accepted = set(), {}


@define
class _Turns:
    """Every call is asked for by a reply, settled once, and paid for."""

    usage: TokenUsage = NO_TOKENS
    open: set[EffectId] = Factory(set[EffectId])
    replies: dict[Position, tuple[ToolCallRef, ...]] = Factory(
        dict[Position, tuple[ToolCallRef, ...]]
    )

    @classmethod
    def of(cls, start: State) -> "_Turns":
        turn = start.turn if isinstance(start, Open) else None
        if not isinstance(turn, OpenTurn):
            return cls()
        turns = cls(usage=turn.usage, open=set(turn.effects))
        if isinstance(turn.step, Replied):
            turns.replies[turn.step.reply.position] = turn.step.outcome.tool_calls
        return turns

    def take(self, position: Position, event: Event) -> Found:
        match event:
            case EffectRequested():
                if isinstance(event.request, ToolCall) and not self._is_asked(event.request):
                    yield Anomaly.ORPHAN_CALL, f"no reply asked for {event.effect_id!r}"
                self.open.add(event.effect_id)
            case EffectSettled():
                if event.effect_id not in self.open:
                    yield Anomaly.ORPHAN_CALL, f"{event.effect_id!r} is settled, and not open"
                self.open.discard(event.effect_id)
                if isinstance(event.outcome, ModelReplied):
                    self.usage += event.outcome.usage
                    self.replies[position] = event.outcome.tool_calls
            case TurnCommitted() | TurnEnded():
                yield from self._over(event)
            case TurnStarted() | LeafMoved():
                self.usage, self.replies = NO_TOKENS, {}
            case _:
                pass

    def _is_asked(self, call: ToolCall) -> bool:
        calls = self.replies.get(call.reply.position, ())
        asked = ToolCallRef(call_id=call.call_id, tool=call.tool)
        return call.ordinal < len(calls) and calls[call.ordinal] == asked

    def _over(self, event: TurnCommitted | TurnEnded) -> Found:
        for effect_id in sorted(self.open):
            yield Anomaly.ORPHAN_CALL, f"{effect_id!r} has no outcome at the end of its turn"
        if event.usage != self.usage:
            spent, told = self.usage.total_tokens, event.usage.total_tokens
            yield Anomaly.USAGE, f"{event.turn_id!r} spent {spent} tokens and tells of {told}"
        self.usage, self.replies = NO_TOKENS, {}
        self.open.clear()
