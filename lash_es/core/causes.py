"""
Which earlier fact a fact follows from: recorded in its header, so that blame is a lookup and not a
guess.
"""

from lash_es.core.events import (
    EffectRequested,
    EffectSettled,
    Event,
    LeaseReleased,
    LeaseRenewed,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnStarted,
)
from lash_es.core.ids import Position
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkCancelled, WorkClaimed, WorkCompleted, WorkFailed


def cause(before: State, event: Event) -> Position | None:
    """Point at the fact that led to this one; none for what came from outside."""
    if not isinstance(before, Open):
        return None
    match event:
        case EffectSettled():
            return _request_of(before, event)
        case EffectRequested() | TurnCommitted() | TurnEnded() | TurnContinued():
            return before.turn.last if isinstance(before.turn, OpenTurn) else None
        case TurnStarted() | LeaseRenewed() | LeaseReleased() | WorkClaimed():
            return before.lease.position
        case TurnInputCancelled() | WorkCancelled() | WorkCompleted() | WorkFailed():
            return _enqueueing_of(before, event)
        case _:
            return None


def _request_of(before: Open, event: EffectSettled) -> Position | None:
    if not isinstance(before.turn, OpenTurn):
        return None
    effect = before.turn.effects.get(event.effect_id)
    return None if effect is None else effect.position


def _enqueueing_of(
    before: Open, event: TurnInputCancelled | WorkCancelled | WorkCompleted | WorkFailed
) -> Position | None:
    """Point at what was enqueued; of several batches, at the last."""
    if isinstance(event, TurnInputCancelled):
        entry = before.inputs.pending.get(event.input_id)
        return None if entry is None else entry.position
    batch_id = event.batch_id if isinstance(event, WorkCancelled) else event.batch_ids[-1]
    batch = before.work.batches.get(batch_id)
    return None if batch is None else batch.position
