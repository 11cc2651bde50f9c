"""What has to happen sometimes, or a search proved less than it seems."""

from collections.abc import Callable, Mapping
from typing import Final

from lash_es.core.commands import ReclaimLease
from lash_es.core.errors import CommandRejected, SessionExecutionLeaseExpired
from lash_es.core.events import (
    EffectRequested,
    Event,
    LeaseAcquired,
    LeaseReleased,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
    TurnStarted,
)
from lash_es.core.work_events import (
    DrainedWork,
    FinishedWorkPruned,
    WorkCancelled,
    WorkClaimAbandoned,
    WorkClaimed,
    WorkCompleted,
    WorkFailed,
)
from lash_es.verify.reading import opened, turn_of
from lash_es.verify.worlds import Ask, Crash, Transition


def _has(transition: Transition, kind: type[Event]) -> bool:
    return any(isinstance(event, kind) for event in transition.events)


def _has_both(transition: Transition, one: type[Event], other: type[Event]) -> bool:
    return _has(transition, one) and _has(transition, other)


def _is_fenced_off(transition: Transition, reason: str) -> bool:
    found = transition.found
    return isinstance(found, SessionExecutionLeaseExpired) and found.reason == reason


def _is_takeover(transition: Transition) -> bool:
    before = opened(transition.before)
    return (
        _has(transition, LeaseAcquired) and before is not None and before.lease.holder is not None
    )


def _has_claims(transition: Transition) -> bool:
    before = opened(transition.before)
    return before is not None and any(e.claim for e in before.inputs.pending.values())


def _has_work_claims(transition: Transition) -> bool:
    before = opened(transition.before)
    return before is not None and any(b.claim for b in before.work.batches.values())


def _refused_as(transition: Transition, name: str) -> bool:
    found = transition.found
    return isinstance(found, CommandRejected) and type(found).__name__ == name


def _is_reclaimed(transition: Transition) -> bool:
    move = transition.move
    is_asked = isinstance(move, Ask) and isinstance(move.command, ReclaimLease)
    before = opened(transition.before)
    if not is_asked or before is None or not _is_takeover(transition):
        return False
    holder = before.lease.holder
    return holder is not None and holder.expires_at_ms > transition.before.now_ms


def _is_delivered(transition: Transition) -> bool:
    after = opened(transition.after)
    if after is None or not _has(transition, EffectRequested):
        return False
    turn = turn_of(after)
    return turn is not None and bool(turn.delivered_ids)


def _is_joined(transition: Transition) -> bool:
    return any(isinstance(e, WorkClaimed) and len(e.batch_ids) > 1 for e in transition.events)


def _failed(transition: Transition) -> bool:
    return any(isinstance(e, TurnEnded) and e.failed_input_ids for e in transition.events)


def _returned(transition: Transition) -> bool:
    return any(isinstance(e, TurnEnded) and e.returned_input_ids for e in transition.events)


def _deferred(transition: Transition) -> bool:
    return any(isinstance(e, TurnCommitted) and e.deferred_input_ids for e in transition.events)


def _completed(transition: Transition) -> bool:
    return any(isinstance(e, TurnCommitted) and e.completed_input_ids for e in transition.events)


SOMETIMES: Final[Mapping[str, Callable[[Transition], bool]]] = {
    "a takeover": _is_takeover,
    "a takeover with claims": lambda t: _is_takeover(t) and _has_claims(t),
    "a takeover with claims of work": lambda t: _is_takeover(t) and _has_work_claims(t),
    "a live lease taken from a dead process": _is_reclaimed,
    "a crash": lambda t: isinstance(t.move, Crash),
    "an expired owner refused": lambda t: _is_fenced_off(t, "expired"),
    "a superseded owner refused": lambda t: _is_fenced_off(t, "superseded"),
    "a superseded claim": lambda t: _refused_as(t, "TurnInputClaimSuperseded"),
    "a superseded claim of work": lambda t: _refused_as(t, "QueuedWorkClaimSuperseded"),
    "a turn continued": lambda t: _has(t, TurnContinued),
    "a cancel": lambda t: _has(t, TurnInputCancelled),
    "several withdrawn at once": lambda t: any(
        isinstance(e, TurnInputsCancelled) and len(e.input_ids) > 1 for e in t.events
    ),
    "an input accepted": lambda t: _has(t, TurnInputsAccepted),
    "an input delivered": _is_delivered,
    "an input that came too late": lambda t: _has(t, TurnInputsDeferred),
    "inputs forgotten": lambda t: _has(t, TurnInputTombstonesPruned),
    "a commit that settles inputs": _completed,
    "a commit that defers inputs": _deferred,
    "a commit that completes work": lambda t: _has_both(t, TurnCommitted, WorkCompleted),
    "a commit that lets the lease go": lambda t: _has_both(t, TurnCommitted, LeaseReleased),
    "a commit that is another": lambda t: _refused_as(t, "RuntimeTurnCommitConflict"),
    "an input that failed too often": _failed,
    "an input that came back": _returned,
    "effects unsettled": lambda t: _refused_as(t, "EffectsUnsettled"),
    "batches claimed together": _is_joined,
    "a turn on work": lambda t: any(
        isinstance(e, TurnStarted) and isinstance(e.origin, DrainedWork) for e in t.events
    ),
    "work that failed too often": lambda t: _has(t, WorkFailed),
    "work given back": lambda t: _has(t, WorkClaimAbandoned),
    "work withdrawn": lambda t: _has(t, WorkCancelled),
    "work forgotten": lambda t: _has(t, FinishedWorkPruned),
}
