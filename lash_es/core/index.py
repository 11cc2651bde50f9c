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
    TurnInputsCancelled,
    TurnStarted,
    body_ref,
)
from lash_es.core.graph_events import FrameOpened, NodesAppended, NodesTombstoned
from lash_es.core.graph_index import graph_rows
from lash_es.core.ids import InputId, Position
from lash_es.core.inputs import PendingInput
from lash_es.core.known import (
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SequenceEntry,
    SourceKeyEntry,
    TurnEntry,
    sequence_key,
)
from lash_es.core.outcomes import InputStatus
from lash_es.core.stamps import stamped
from lash_es.core.state import Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work_events import WorkCancelled, WorkCompleted, WorkEnqueued, WorkFailed
from lash_es.core.work_index import work_rows

IndexRow = tuple[IndexKey, IndexEntry]


def index_rows(before: State, event: Event) -> tuple[IndexRow, ...]:
    """
    List the entries that the fact writes or rewrites; ``before`` is the state that it is applied
    to.
    """
    return _rows(before, event, Position(before.version)) if isinstance(before, Open) else ()


def _rows(  # noqa: PLR0911 - a table
    before: Open, event: Event, here: Position
) -> tuple[IndexRow, ...]:
    match event:
        case TurnInputEnqueued():
            return _enqueued(event, here)
        case TurnInputCancelled() | TurnInputsCancelled():
            return _settled(before, _withdrawn(event), InputStatus.CANCELLED, here)
        case TurnStarted():
            return (_started(event, here),)
        case TurnCommitted() | TurnEnded():
            return _over(before, event, here)
        case WorkEnqueued() | WorkCompleted() | WorkFailed() | WorkCancelled():
            return work_rows(before, event, here)
        case FrameOpened() | NodesAppended() | NodesTombstoned():
            return graph_rows(event, here)
        case _:
            return ()


def _withdrawn(event: TurnInputCancelled | TurnInputsCancelled) -> tuple[InputId, ...]:
    return (event.input_id,) if isinstance(event, TurnInputCancelled) else event.input_ids


def _over(before: Open, event: TurnCommitted | TurnEnded, here: Position) -> tuple[IndexRow, ...]:
    if isinstance(event, TurnCommitted):
        status, settled_ids = InputStatus.COMPLETED, event.completed_input_ids
    else:
        status, settled_ids = InputStatus.FAILED, event.failed_input_ids
    settled = _settled(before, settled_ids, status, here)
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


def _settled(
    before: Open, input_ids: tuple[InputId, ...], status: InputStatus, here: Position
) -> tuple[IndexRow, ...]:
    """Two rows for each: by its id, and by its place in the order."""
    entries = [_input_entry(before.inputs.pending[each], status, here) for each in input_ids]
    rows: list[IndexRow] = []
    for entry in entries:
        by_sequence = SequenceEntry(sequence=entry.sequence, input_id=entry.input_id)
        rows.append((IndexKey(IndexKind.INPUT, entry.input_id), entry))
        rows.append((sequence_key(entry.sequence), by_sequence))
    return tuple(rows)


def _input_entry(pending: PendingInput, status: InputStatus, here: Position) -> InputEntry:
    return InputEntry(
        input_id=pending.input_id,
        sequence=pending.sequence,
        source_key=pending.source_key,
        ingress=pending.ingress,
        enqueued_at_ms=pending.enqueued_at_ms,
        body=body_ref(pending.position),
        status=status,
        settled=here,
    )


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
        stamp=stamped(before, turn, event) if isinstance(event, TurnCommitted) else None,
    )
    return (IndexKey(IndexKind.TURN, turn.turn_id), entry)
