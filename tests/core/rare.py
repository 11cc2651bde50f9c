"""
Rare things that can happen to a session, each told from the decision that made it happen.

A random test counts them, and fails if one of them never happened.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from lash_es.core.batches import DeliveryPolicy, WorkBoundary, WorkClass
from lash_es.core.commands import (
    CancelTurnInputSuffix,
    CommitTurn,
    EnqueueTurnInput,
    ReclaimLease,
    RequestEffect,
)
from lash_es.core.effects import ToolCall
from lash_es.core.errors import EffectRequestRefused, SessionExecutionLeaseExpired
from lash_es.core.events import (
    Event,
    HistoryTrimmed,
    LeaseAcquired,
    SessionTombstoned,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsCancelled,
    TurnInputsDeferred,
    TurnStarted,
)
from lash_es.core.graph_events import LeafMoved, SessionBegunAnew
from lash_es.core.ingress import ActiveTurn
from lash_es.core.inputs import accepted_by
from lash_es.core.known import BatchEntry
from lash_es.core.messages import ToolStatus
from lash_es.core.state import Open
from lash_es.core.targets import InputId
from lash_es.core.transcripts import FromResults
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import ClaimWork, EnqueueWork, LeadingTurnWork
from lash_es.core.work_events import (
    DrainedWork,
    WorkCancelled,
    WorkClaimed,
    WorkCompleted,
    WorkEnqueued,
    WorkFailed,
)
from lash_es.verify.spec import Decision, is_same_error

E = TypeVar("E", bound=Event)


@frozen
class Happening:
    """A decision on an open session, and its answer in the words of the naive model."""

    before: Open
    decision: Decision
    answer: str

    def fact(self, kind: type[E]) -> E | None:
        return next((e for e in self.decision.events if isinstance(e, kind)), None)

    @property
    def turn(self) -> OpenTurn | None:
        return self.before.turn if isinstance(self.before.turn, OpenTurn) else None

    @property
    def is_takeover(self) -> bool:
        holder, taken = self.before.lease.holder, self.fact(LeaseAcquired)
        if holder is None or taken is None:
            return False
        return not holder.owner.is_incarnation_of(taken.owner)

    @property
    def is_reclaim(self) -> bool:
        reclaims = isinstance(self.decision.command, ReclaimLease)
        return reclaims and self.fact(LeaseAcquired) is not None

    @property
    def is_live(self) -> bool:
        holder = self.before.lease.holder
        return holder is not None and holder.expires_at_ms > self.decision.command.now_ms

    @property
    def has_live_claims(self) -> bool:
        entries = self.before.inputs.pending.values()
        generation = self.before.lease.generation
        return any(e.claim is not None and e.claim.generation == generation for e in entries)

    def is_work_taken_over(self) -> bool:
        event = self.fact(WorkClaimed)
        taken = () if event is None else event.batch_ids
        return any(self.before.work.batches[batch_id].claim for batch_id in taken)

    def is_blocked_by_a_command(self) -> bool:
        command = self.decision.command
        waiting = [b for b in self.before.work.batches.values() if b.claim is None]
        return (
            self.answer == "-"
            and isinstance(command, ClaimWork)
            and isinstance(command.selection, LeadingTurnWork)
            and command.selection.batches_max > 0
            and len(waiting) > 1
            and waiting[0].work_class is WorkClass.SESSION_COMMAND
        )

    def is_waiting_for_idle(self) -> bool:
        command = self.decision.command
        waiting = [b for b in self.before.work.batches.values() if b.claim is None]
        checkpoint = WorkBoundary.ACTIVE_TURN_CHECKPOINT
        return (
            self.answer == "-"
            and isinstance(command, ClaimWork)
            and isinstance(command.selection, LeadingTurnWork)
            and command.selection.boundary is checkpoint
            and command.selection.batches_max > 0
            and bool(waiting)
            and waiting[0].work_class is WorkClass.TURN_WORK
            and waiting[0].delivery is DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
        )

    def is_passed_over(self) -> bool:
        event = self.fact(WorkClaimed)
        if event is None:
            return False
        first = next(iter(self.before.work.batches.values()))
        return first.available_at_ms > event.at_ms

    def is_key_used_again(self) -> bool:
        event = self.fact(WorkEnqueued)
        return event is not None and bool(self.decision.known.entries)

    def is_work_cancelled_after_a_claim(self) -> bool:
        event = self.fact(WorkCancelled)
        return event is not None and self.before.work.batches[event.batch_id].claim is not None

    @property
    def statuses(self) -> list[ToolStatus]:
        """How the calls of a batch ended that this decision has closed."""
        after = self.decision.state
        if not self.decision.events or not isinstance(after, Open):
            return []
        source = after.turn.nodes[-1].source if isinstance(after.turn, OpenTurn) else None
        return [r.status for r in source.results] if isinstance(source, FromResults) else []

    def is_fenced_off(self, reason: str) -> bool:
        found = self.decision.found
        return isinstance(found, SessionExecutionLeaseExpired) and found.reason == reason

    def is_cancelled_after_a_claim(self) -> bool:
        event = self.fact(TurnInputCancelled)
        return event is not None and self.before.inputs.pending[event.input_id].claim is not None

    @property
    def has_untold(self) -> bool:
        """Tell whether the turn holds what it has accepted and told no model."""
        if self.turn is None:
            return False
        told = self.turn.delivered_ids
        generation = self.before.lease.generation
        accepted = accepted_by(self.before.inputs, self.turn.turn_id, generation)
        return any(entry.input_id not in told for entry in accepted)

    def passes_over_what_is_held(self) -> bool:
        command, event = self.decision.command, self.fact(TurnInputsCancelled)
        if event is None or not isinstance(command, CancelTurnInputSuffix):
            return False
        pending = self.before.inputs.pending.values()
        first = self.before.inputs.pending[event.input_ids[0]].sequence
        return len([e for e in pending if e.sequence > first]) >= len(event.input_ids)

    def is_cancelled_from_a_settled_anchor(self) -> bool:
        command, event = self.decision.command, self.fact(TurnInputsCancelled)
        if event is None or not isinstance(command, CancelTurnInputSuffix):
            return False
        anchor = command.anchor
        return isinstance(anchor, InputId) and anchor.value not in self.before.inputs.pending

    def reuses_a_key(self) -> bool:
        event = self.fact(TurnInputEnqueued)
        if event is None or event.source_key is None:
            return False
        return self.decision.known.source_key(event.source_key) is not None

    def gives_back_what_was_accepted(self) -> bool:
        event = self.fact(TurnInputClaimAbandoned)
        pending = self.before.inputs.pending
        return event is not None and any(
            isinstance(pending[input_id].ingress, ActiveTurn) for input_id in event.input_ids
        )

    def is_asked_for_again(self) -> bool:
        command = self.decision.command
        if not isinstance(command, RequestEffect) or not isinstance(command.request, ToolCall):
            return False
        answered = self.turn is not None and command.request.ordinal in self.turn.results
        reason = "the call was requested before"
        refusal = EffectRequestRefused(effect_id=command.effect_id, reason=reason)
        return answered and is_same_error(self.decision.found, refusal)

    def is_continued(self, *, by_the_same: bool) -> bool:
        event = self.fact(TurnContinued)
        if event is None or self.turn is None:
            return False
        return (event.generation == self.turn.generation) == by_the_same


Sometimes: TypeAlias = Callable[[Happening], bool]

RARE: Final[dict[str, Sometimes]] = {
    "a clock that went back": lambda h: h.decision.command.now_ms < h.before.at_ms,
    "a takeover": lambda h: h.is_takeover,
    "a takeover with live claims": lambda h: h.is_takeover and h.has_live_claims,
    "a takeover of an open turn": lambda h: h.is_takeover and h.turn is not None,
    "a reclaim of a live lease": lambda h: h.is_reclaim and h.is_live,
    "a reclaim that was refused": lambda h: (
        h.answer == "-" and isinstance(h.decision.command, ReclaimLease)
    ),
    "an expired owner refused": lambda h: h.is_fenced_off("expired"),
    "a superseded owner refused": lambda h: h.is_fenced_off("superseded"),
    "a cancel after a claim": lambda h: h.is_cancelled_after_a_claim(),
    "a conflict of source keys": lambda h: h.answer == "!SourceKeyConflict",
    "a resubmission": lambda h: (
        h.answer == "-" and isinstance(h.decision.command, EnqueueTurnInput)
    ),
    "an input id given twice": lambda h: h.answer == "!InputIdConflict",
    "a full queue": lambda h: h.answer == "!QueueFull",
    "a superseded claim": lambda h: h.answer == "!TurnInputClaimSuperseded",
    "a conflict of turn ids": lambda h: h.answer == "!TurnIdConflict",
    "a turn continued by another generation": lambda h: h.is_continued(by_the_same=False),
    "a turn continued by the same generation": lambda h: h.is_continued(by_the_same=True),
    "a batch of two calls": lambda h: len(h.statuses) == 2,
    "a call of a tool that was cancelled": lambda h: ToolStatus.CANCELLED in h.statuses,
    "an answered call asked for again": lambda h: h.is_asked_for_again(),
    "an outcome that does not fit": lambda h: h.answer == "!EffectOutcomeMismatch",
    "a commit that settles inputs": lambda h: bool(
        (event := h.fact(TurnCommitted)) and event.completed_input_ids
    ),
    "a commit that defers inputs": lambda h: bool(
        (event := h.fact(TurnCommitted)) and event.deferred_input_ids
    ),
    "a commit on a commit": lambda h: bool((event := h.fact(TurnCommitted)) and event.parent),
    "an end that gives inputs back": lambda h: bool(
        (event := h.fact(TurnEnded)) and event.returned_input_ids
    ),
    "an input that failed too often": lambda h: bool(
        (event := h.fact(TurnEnded)) and event.failed_input_ids
    ),
    "a branch to a message": lambda h: bool((event := h.fact(LeafMoved)) and event.nodes),
    "a new root after a commit": lambda h: (
        (event := h.fact(LeafMoved)) is not None and not event.nodes
    ),
    "a session begun anew after a commit": lambda h: (
        h.before.head.revision > 0 and h.fact(SessionBegunAnew) is not None
    ),
    "a cancel of several": lambda h: bool(
        (event := h.fact(TurnInputsCancelled)) and len(event.input_ids) > 1
    ),
    "a cancel that passes over what is held": lambda h: h.passes_over_what_is_held(),
    "a cancel from a settled anchor on": lambda h: h.is_cancelled_from_a_settled_anchor(),
    "a key that is free again": lambda h: h.reuses_a_key(),
    "an input that came too late": lambda h: h.fact(TurnInputsDeferred) is not None,
    "an accepted input given back": lambda h: h.gives_back_what_was_accepted(),
    "a takeover of an accepted input": lambda h: h.is_takeover and h.has_untold,
    "a takeover of an input that the model has seen": lambda h: (
        h.is_takeover and h.turn is not None and bool(h.turn.delivered_ids)
    ),
    "a commit of an input that the model has seen": lambda h: (
        h.turn is not None and bool(h.turn.delivered_ids) and h.fact(TurnCommitted) is not None
    ),
    "a commit of an input that no model has seen": lambda h: (
        h.has_untold and h.fact(TurnCommitted) is not None
    ),
    "an end of a turn that was told something": lambda h: (
        h.turn is not None and bool(h.turn.delivered_ids) and h.fact(TurnEnded) is not None
    ),
    "a trim after a trim": lambda h: (
        h.before.trim is not None and h.fact(HistoryTrimmed) is not None
    ),
    "a trim that open work holds back": lambda h: h.answer == "!TrimHeldBack",
    "a trim out of range": lambda h: h.answer == "!TrimOutOfRange",
    "a group of work claimed together": lambda h: bool(
        (event := h.fact(WorkClaimed)) and len(event.batch_ids) > 1
    ),
    "work claimed again by another generation": lambda h: h.is_work_taken_over(),
    "a session command that blocks turn work": lambda h: h.is_blocked_by_a_command(),
    "a checkpoint at which the first batch waits for idle": lambda h: h.is_waiting_for_idle(),
    "work that is not ready and blocks nothing": lambda h: h.is_passed_over(),
    "work completed by a commit": lambda h: (
        h.fact(WorkCompleted) is not None and h.fact(TurnCommitted) is not None
    ),
    "a turn that begins with work": lambda h: (
        isinstance(start := h.fact(TurnStarted), TurnStarted)
        and isinstance(start.origin, DrainedWork)
    ),
    "work that a running turn was told of": lambda h: (
        h.turn is not None
        and isinstance(after := h.decision.state, Open)
        and isinstance(after.turn, OpenTurn)
        and after.turn.batch_ids != h.turn.batch_ids
    ),
    "work that failed too often": lambda h: h.fact(WorkFailed) is not None,
    "a superseded completion": lambda h: h.answer == "!QueuedWorkClaimSuperseded",
    "a commit refused for its completion": lambda h: (
        isinstance(h.decision.command, CommitTurn) and h.answer == "!QueuedWorkClaimSuperseded"
    ),
    "finished work that is remembered": lambda h: (
        isinstance(h.decision.command, EnqueueWork)
        and h.answer == "-"
        and any(isinstance(e, BatchEntry) for e in h.decision.known.entries.values())
    ),
    "finished work that was forgotten": lambda h: h.is_key_used_again(),
    "work cancelled after its claim died": lambda h: h.is_work_cancelled_after_a_claim(),
    "a batch id given twice": lambda h: h.answer == "!BatchIdConflict",
    "a session deleted in mid-turn": lambda h: (
        h.turn is not None and h.fact(SessionTombstoned) is not None
    ),
}


def rare_things(happening: Happening) -> list[str]:
    """Say which of the rare things it was."""
    return [name for name, is_it in RARE.items() if is_it(happening)]
