"""
Which index entries a fact makes: what is keyed by the past, written with the facts, equal to their
fold.
"""

from lash_es.core.bodies import RecordedBody
from lash_es.core.errors import impossible
from lash_es.core.events import (
    Event,
    TurnCommitted,
    TurnEnded,
    TurnInputCancelled,
    TurnInputEnqueued,
    TurnStarted,
    body_ref,
)
from lash_es.core.ids import InputId, Position
from lash_es.core.inputs import PendingInput
from lash_es.core.known import (
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SourceKeyEntry,
    TurnEntry,
)
from lash_es.core.outcomes import InputStatus
from lash_es.core.stamps import stamped
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkCancelled, WorkCompleted, WorkEnqueued
from lash_es.core.work_index import work_rows

IndexRow = tuple[IndexKey, IndexEntry]


def index_rows(before: State, event: Event) -> tuple[IndexRow, ...]:
    """
    List the entries that the fact writes or rewrites; ``before`` is the state that it is applied
    to.
    """
    return _rows(before, event, Position(before.version)) if isinstance(before, Open) else ()


def _rows(before: Open, event: Event, here: Position) -> tuple[IndexRow, ...]:
    match event:
        case TurnInputEnqueued():
            return _enqueued(event, here)
        case TurnInputCancelled():
            return (_settled(before, event.input_id, InputStatus.CANCELLED, here),)
        case TurnStarted():
            return (_started(event, here),)
        case TurnCommitted() | TurnEnded():
            return _over(before, event, here)
        case WorkEnqueued() | WorkCompleted() | WorkCancelled():
            return work_rows(before, event, here)
        case _:
            return ()


def _over(before: Open, event: TurnCommitted | TurnEnded, here: Position) -> tuple[IndexRow, ...]:
    if isinstance(event, TurnCommitted):
        status, settled_ids = InputStatus.COMPLETED, event.completed_input_ids
    else:
        status, settled_ids = InputStatus.FAILED, event.failed_input_ids
    settled = (_settled(before, input_id, status, here) for input_id in settled_ids)
    return (*settled, _ended(before, event, here))


def _enqueued(event: TurnInputEnqueued, here: Position) -> tuple[IndexRow, ...]:
    if event.source_key is None:
        return ()
    entry = SourceKeyEntry(
        input_id=event.input_id,
        sequence=event.sequence,
        ingress=event.ingress,
        enqueued_at_ms=event.at_ms,
        content=RecordedBody(ref=body_ref(here), commitment=event.bodies[0]),
    )
    return ((IndexKey(IndexKind.SOURCE_KEY, event.source_key), entry),)


def _settled(before: Open, input_id: InputId, status: InputStatus, here: Position) -> IndexRow:
    pending: PendingInput = before.inputs.pending[input_id]
    entry = InputEntry(
        input_id=input_id,
        sequence=pending.sequence,
        source_key=pending.source_key,
        ingress=pending.ingress,
        enqueued_at_ms=pending.enqueued_at_ms,
        body=body_ref(pending.position),
        status=status,
        settled=here,
    )
    return (IndexKey(IndexKind.INPUT, input_id), entry)


def _started(event: TurnStarted, here: Position) -> IndexRow:
    content = None
    if event.bodies:
        content = RecordedBody(ref=body_ref(here), commitment=event.bodies[0])
    entry = TurnEntry(
        turn_id=event.turn_id, started=here, ended=None, is_committed=False, content=content
    )
    return (IndexKey(IndexKind.TURN, event.turn_id), entry)


def _ended(before: Open, event: TurnCommitted | TurnEnded, here: Position) -> IndexRow:
    turn = before.turn
    if not isinstance(turn, OpenTurn):
        raise impossible(before.turn, found="no open turn", expected="the turn that ends")
    entry = TurnEntry(
        turn_id=turn.turn_id,
        started=turn.started,
        ended=here,
        is_committed=isinstance(event, TurnCommitted),
        content=turn.content,
        stamp=stamped(turn, event) if isinstance(event, TurnCommitted) else None,
    )
    return (IndexKey(IndexKind.TURN, turn.turn_id), entry)
