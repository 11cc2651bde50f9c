"""
START HERE: the index of every change. ``evolve(state, event)`` applies a fact, ``fold`` applies
many.

1. Nothing else changes a session: no clock, no randomness, no I/O, and bodies are never read.
2. An arm names the slices that a fact changes; how they change is in the slice, under the event's
   name.
3. Only this file changes two slices at once.
4. Whatever the owner writes extends its lease.
5. A fact that no rule would have written here raises ``ImpossibleEvent``; a stored one is corrupt
   history.
"""

from collections.abc import Iterable
from typing import assert_never

from lash_es.core import (
    descriptions,
    forks,
    frames,
    heads,
    inputs,
    leases,
    retention,
    settling,
    steering,
    turns,
    work,
)
from lash_es.core.bodies import RecordedBody
from lash_es.core.descriptions import Birth, SessionDescribed
from lash_es.core.errors import impossible
from lash_es.core.events import (
    DrainedInputs,
    EffectRequested,
    EffectSettled,
    Event,
    HistoryTrimmed,
    LeaseAcquired,
    LeaseReleased,
    LeaseRenewed,
    OpenEvent,
    SessionConfigured,
    SessionOpened,
    SessionParked,
    SessionTombstoned,
    TurnCommitted,
    TurnContinued,
    TurnEnded,
    TurnInputCancelled,
    TurnInputClaimAbandoned,
    TurnInputEnqueued,
    TurnInputsAccepted,
    TurnInputsCancelled,
    TurnInputsClaimed,
    TurnInputsDeferred,
    TurnInputTombstonesPruned,
    TurnStarted,
)
from lash_es.core.fork_events import SessionForked
from lash_es.core.frames import Graph
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.heads import Head, Ledger
from lash_es.core.ids import Position, Version
from lash_es.core.inputs import Inputs
from lash_es.core.leases import Lease
from lash_es.core.makers import maker
from lash_es.core.policy import SessionPolicy
from lash_es.core.retention import Trim
from lash_es.core.state import NOT_OPENED, Deleted, NotOpened, Open, State
from lash_es.core.turns import NO_TURN, OpenTurn, Turn
from lash_es.core.work import Work
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

_open = maker(Open)


def fold(events: Iterable[Event], state: State = NOT_OPENED) -> State:
    """Apply the facts in order. That this may be split anywhere is all that a snapshot is."""
    for event in events:
        state = evolve(state, event)
    return state


def evolve(state: State, event: Event) -> State:
    """Apply one fact."""
    match state:
        case Open():
            if isinstance(event, SessionOpened):
                raise impossible(event, found="Open", expected="NotOpened")
            return _evolve_open(state, event)
        case NotOpened():
            if not isinstance(event, SessionOpened):
                raise impossible(event, found="NotOpened", expected="SessionOpened")
            return _opened(event)
        case Deleted():
            if not isinstance(event, HistoryTrimmed):
                raise impossible(event, found="Deleted", expected="nothing more")
            return _trimmed_away(state, event)
        case _:
            assert_never(state)


def _evolve_open(session: Open, event: OpenEvent) -> State:
    here = Position(session.version)
    match event:
        case EffectRequested():
            turn = steering.delivered(session, event, _turn(session, event))
            return _owned(session, event, turn=turns.requested(turn, event, here))
        case EffectSettled():
            turn = settling.settled(_turn(session, event), event, here)
            return _owned(session, event, turn=turn)
        case TurnInputEnqueued():
            return _next(session, event.at_ms, inputs=inputs.enqueued(session.inputs, event, here))
        case LeaseAcquired():
            lease = leases.acquired(session.lease, event, here)
            return _next(session, event.at_ms, lease=lease)
        case LeaseReleased():
            return _next(session, event.at_ms, lease=leases.released(session.lease, event, here))
        case TurnStarted():
            turn = turns.started(event, here, session.policy, _bodies_of(session, event))
            return _owned(session, event, turn=turn)
        case TurnCommitted():
            return _committed(session, event, _turn(session, event))
        case TurnInputsClaimed():
            return _owned(session, event, inputs=inputs.claimed(session.inputs, event))
        case LeaseRenewed():
            return _next(session, event.at_ms, lease=leases.renewed(session.lease, event, here))
        case TurnContinued():
            turn = turns.continued(_turn(session, event), event, here)
            return _owned(session, event, turn=turn)
        case TurnEnded():
            return _ended(session, event, _turn(session, event))
        case TurnInputCancelled():
            return _next(session, event.at_ms, inputs=inputs.cancelled(session.inputs, event))
        case TurnInputClaimAbandoned():
            return _next(session, event.at_ms, inputs=inputs.abandoned(session.inputs, event))
        case TurnInputsAccepted():
            _turn(session, event)
            return _owned(session, event, inputs=inputs.claimed(session.inputs, event))
        case TurnInputsDeferred():
            return _next(session, event.at_ms, inputs=inputs.deferred(session.inputs, event))
        case TurnInputsCancelled():
            rest = inputs.cancelled_together(session.inputs, event)
            return _next(session, event.at_ms, inputs=rest)
        case TurnInputTombstonesPruned():
            return _next(session, event.at_ms, inputs=inputs.pruned(session.inputs, event, here))
        case SessionConfigured():
            birth = _birth_before(session, event)
            return _next(session, event.at_ms, policy=event.policy, birth=birth)
        case SessionDescribed():
            birth = descriptions.described(session.birth, event)
            return _next(session, event.at_ms, birth=birth)
        case SessionParked():
            return _next(session, event.at_ms, is_parked=True)
        case LeafMoved():
            _require_no_turn(session, event)
            head = heads.moved(session.head, event, here)
            return _owned(session, event, head=head)
        case SessionBegunAnew():
            _require_no_turn(session, event)
            head, graph = heads.begun_anew(session.head), frames.begun_anew(session.graph)
            birth = _birth_before(session, event)
            return _next(
                session, event.at_ms, policy=event.policy, head=head, graph=graph, birth=birth
            )
        case FrameOpened():
            _require_no_turn(session, event)
            head = heads.appended(session.head, event, here)
            graph = frames.opened(session.graph, event, here)
            return _owned(session, event, head=head, graph=graph)
        case NodesAppended():
            return _owned(session, event, head=heads.appended(session.head, event, here))
        case NodesTombstoned():
            return _next(session, event.at_ms, graph=frames.tombstoned(session.graph, event))
        case NodesForgotten():
            return _next(session, event.at_ms, graph=frames.forgotten(session.graph, event))
        case SessionTombstoned():
            return _deleted(session, event)
        case HistoryTrimmed():
            trim = retention.trimmed(session.trim, event, here)
            return _next(session, event.at_ms, is_parked=session.is_parked, trim=trim)
        case SessionForked():
            return forks.forked(session, event, here)
        case WorkEnqueued():
            return _next(session, event.at_ms, work=work.enqueued(session.work, event, here))
        case WorkClaimed():
            return _owned(session, event, work=work.claimed(session.work, event))
        case WorkCompleted():
            return _owned(session, event, work=work.completed(session.work, event))
        case WorkFailed():
            return _owned(session, event, work=work.failed(session.work, event))
        case WorkClaimAbandoned():
            return _next(session, event.at_ms, work=work.abandoned(session.work, event))
        case WorkCancelled():
            return _next(session, event.at_ms, work=work.cancelled(session.work, event))
        case FinishedWorkPruned():
            return _next(session, event.at_ms, work=work.pruned(session.work, event, here))
        case _:
            assert_never(event)


def _opened(event: SessionOpened) -> Open:
    return Open(
        version=Version(1),
        at_ms=event.at_ms,
        session_id=event.session_id,
        opened_at_ms=event.at_ms,
        policy=event.policy,
        is_parked=False,
        lease=leases.UNHELD,
        inputs=inputs.NO_INPUTS,
        turn=NO_TURN,
        head=heads.NO_HISTORY,
        ledger=heads.NO_USAGE,
    )


def _birth_before(session: Open, event: SessionConfigured | SessionBegunAnew) -> Birth:
    """Remember the model that the session was created with."""
    before, after = session.policy.model, event.policy.model
    return descriptions.configured(session.birth, before, after)


def _deleted(session: Open, event: SessionTombstoned) -> Deleted:
    return Deleted(
        version=Version(session.version + 1),
        at_ms=event.at_ms,
        session_id=session.session_id,
        generation=session.lease.generation,
        trim=session.trim,
    )


def _trimmed_away(session: Deleted, event: HistoryTrimmed) -> Deleted:
    return Deleted(
        version=Version(session.version + 1),
        at_ms=event.at_ms,
        session_id=session.session_id,
        generation=session.generation,
        trim=retention.trimmed(session.trim, event, Position(session.version)),
    )


def _committed(session: Open, event: TurnCommitted, turn: OpenTurn) -> Open:
    return _owned(
        session,
        event,
        turn=NO_TURN,
        inputs=inputs.settled_by_commit(session.inputs, event),
        head=heads.committed(session.head, event, Position(session.version)),
        ledger=heads.used(session.ledger, event, turn.policy.model.model_id),
    )


def _ended(session: Open, event: TurnEnded, turn: OpenTurn) -> Open:
    return _owned(
        session,
        event,
        turn=NO_TURN,
        inputs=inputs.returned_by_end(session.inputs, event),
        work=work.returned(session.work, turn.batch_ids),
        ledger=heads.used(session.ledger, event, turn.policy.model.model_id),
    )


def _turn(
    session: Open,
    event: EffectRequested
    | EffectSettled
    | TurnCommitted
    | TurnContinued
    | TurnEnded
    | TurnInputsAccepted,
) -> OpenTurn:
    turn = session.turn
    if not isinstance(turn, OpenTurn) or turn.turn_id != event.turn_id:
        raise impossible(event, found=type(turn).__name__, expected=event.turn_id)
    return turn


def _bodies_of(session: Open, event: TurnStarted) -> tuple[RecordedBody, ...]:
    """Find the inputs, or the batches, that the turn takes."""
    _require_no_turn(session, event)
    if isinstance(event.origin, DrainedWork):
        return work.bodies_of(session.work, event.origin)
    if not isinstance(event.origin, DrainedInputs):
        return ()
    pending = session.inputs.pending
    missing = [input_id for input_id in event.origin.input_ids if input_id not in pending]
    if missing:
        raise impossible(event, found="no such pending input", expected=missing)
    return tuple(pending[input_id].content for input_id in event.origin.input_ids)


def _require_no_turn(
    session: Open, event: TurnStarted | LeafMoved | SessionBegunAnew | FrameOpened
) -> None:
    if isinstance(session.turn, OpenTurn):
        raise impossible(event, found=session.turn.turn_id, expected="no open turn")


def _owned(
    session: Open,
    event: EffectRequested
    | EffectSettled
    | TurnStarted
    | TurnContinued
    | TurnCommitted
    | TurnEnded
    | TurnInputsAccepted
    | LeafMoved
    | FrameOpened
    | NodesAppended
    | TurnInputsClaimed
    | WorkClaimed
    | WorkCompleted
    | WorkFailed,
    *,
    inputs: Inputs | None = None,
    turn: Turn | None = None,
    head: Head | None = None,
    ledger: Ledger | None = None,
    work: Work | None = None,
    graph: Graph | None = None,
) -> Open:
    """Apply what the owner wrote: the fence is checked again, and its lease runs from here."""
    if session.lease.holder is None or event.generation != session.lease.generation:
        raise impossible(event, found=event.generation, expected=session.lease.generation)
    lease = leases.extended(session.lease, event.at_ms)
    return _next(
        session,
        event.at_ms,
        lease=lease,
        inputs=inputs,
        turn=turn,
        head=head,
        ledger=ledger,
        work=work,
        graph=graph,
    )


def _next(
    session: Open,
    at_ms: int,
    *,
    policy: SessionPolicy | None = None,
    is_parked: bool = False,
    lease: Lease | None = None,
    inputs: Inputs | None = None,
    turn: Turn | None = None,
    head: Head | None = None,
    ledger: Ledger | None = None,
    trim: Trim | None = None,
    work: Work | None = None,
    graph: Graph | None = None,
    birth: Birth | None = None,
) -> Open:
    return _open(
        version=Version(session.version + 1),
        at_ms=at_ms,
        session_id=session.session_id,
        opened_at_ms=session.opened_at_ms,
        policy=session.policy if policy is None else policy,
        is_parked=is_parked,
        lease=session.lease if lease is None else lease,
        inputs=session.inputs if inputs is None else inputs,
        turn=session.turn if turn is None else turn,
        head=session.head if head is None else head,
        ledger=session.ledger if ledger is None else ledger,
        trim=session.trim if trim is None else trim,
        work=session.work if work is None else work,
        graph=session.graph if graph is None else graph,
        birth=session.birth if birth is None else birth,
    )
