"""
The index of every rule. ``decide(state, command, known)`` refuses, or says what is to be recorded.

1. It changes nothing, reads no clock and draws nothing at random: times and ids are in the
   command.
2. A command that finds its wish fulfilled, or lost a race, records nothing; the receipt says
   which.
3. A time never falls: a command from a slower clock is decided at the time of the last fact.
4. What only an owner may do is refused unless its fence is the live lease, whatever the store.
"""

from typing import assert_never

from lash_es.core.commands import (
    AbandonTurnInputClaim,
    AcquireLease,
    BeginAnew,
    BranchToNode,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
    Command,
    CommitTurn,
    ConfigureSession,
    ContinueTurn,
    DeleteSession,
    EndTurn,
    EnqueueTurnInput,
    OpenSession,
    ParkSession,
    ReclaimLease,
    ReleaseLease,
    RenewLease,
    RequestEffect,
    SettleEffect,
    StartTurn,
    TrimHistory,
)
from lash_es.core.descriptions import DescribeSession
from lash_es.core.errors import SessionDeleted, SessionNotOpen
from lash_es.core.events import Event, SessionParked, SessionTombstoned
from lash_es.core.graph_commands import AppendNodes, MaintainSession, OpenFrame, TombstoneNodes
from lash_es.core.known import NOTHING_KNOWN, Known
from lash_es.core.rules import (
    cancels,
    commits,
    effects,
    frames,
    graph,
    inputs,
    leases,
    maintenance,
    retention,
    sessions,
    turns,
    work,
)
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.core.work_commands import (
    AbandonWorkClaim,
    CancelWork,
    ClaimWork,
    CompleteWork,
    EnqueueWork,
)


def decide(state: State, command: Command, known: Known = NOTHING_KNOWN) -> tuple[Event, ...]:
    """
    Say what the command makes happen, or refuse it.

    Args:
        state: the fold of the stream.
        command: what is asked, with its time and ids.
        known: the index entries that ``known.names(command)`` lists, read at the state's version.

    Returns:
        The facts to append, in order; none if there is nothing to record.

    Raises:
        CommandRejected: the command cannot be; nothing is to be written.
    """
    match state:
        case Open():
            return _decide_open(state, command, known)
        case NotOpened():
            if not isinstance(command, OpenSession | BeginAnew):
                raise SessionNotOpen(command=type(command).__name__)
            return sessions.create(command, known.limits)
        case Deleted():
            return _decide_deleted(state, command, known)
        case _:
            assert_never(state)


def _decide_deleted(session: Deleted, command: Command, known: Known) -> tuple[Event, ...]:
    """Nothing more is asked of a deleted session but to forget it."""
    if not isinstance(command, TrimHistory):
        raise SessionDeleted(session_id=session.session_id)
    return retention.trim(session, command, max(command.now_ms, session.at_ms), known.limits)


def _decide_open(session: Open, command: Command, known: Known) -> tuple[Event, ...]:
    now_ms = max(command.now_ms, session.at_ms)
    match command:
        case SettleEffect():
            return effects.settle(
                session, command, leases.fenced(session, command, now_ms), known.limits
            )
        case RequestEffect():
            return effects.request(session, command, leases.fenced(session, command, now_ms))
        case EnqueueTurnInput():
            return inputs.enqueue(session, command, now_ms, known)
        case AcquireLease():
            return leases.acquire(session, command, now_ms, known.limits)
        case ReclaimLease():
            return leases.reclaim(session, command, now_ms, known.limits)
        case ReleaseLease():
            return leases.release(session, command, now_ms)
        case RenewLease():
            return leases.renew(session, command, leases.fenced(session, command, now_ms))
        case StartTurn():
            return turns.start(session, command, leases.fenced(session, command, now_ms), known)
        case ContinueTurn():
            return turns.go_on(session, command, leases.fenced(session, command, now_ms))
        case CommitTurn():
            return commits.commit(session, command, now_ms, known)
        case EndTurn():
            return turns.end(
                session, command, leases.fenced(session, command, now_ms), known.limits
            )
        case ClaimTurnInputs():
            return inputs.claim(session, command, now_ms, known.limits)
        case ClaimActiveTurnInputs():
            return inputs.accept(session, command, now_ms, known.limits)
        case AbandonTurnInputClaim():
            return inputs.abandon(session, command, now_ms)
        case CancelTurnInput():
            return cancels.one(session, command, now_ms)
        case CancelTurnInputs():
            return cancels.many(session, command, now_ms, known)
        case CancelTurnInputSuffix():
            return cancels.suffix(session, command, now_ms, known)
        case ConfigureSession():
            return sessions.configure(session, command.policy, now_ms, known.limits)
        case DescribeSession():
            return sessions.describe(session, command, now_ms, known.limits)
        case ParkSession():
            return () if session.is_parked else (SessionParked(at_ms=now_ms),)
        case DeleteSession():
            return (SessionTombstoned(at_ms=now_ms),)
        case TrimHistory():
            return retention.trim(session, command, now_ms, known.limits)
        case EnqueueWork():
            return work.enqueue(session, command, now_ms, known)
        case ClaimWork():
            return work.claim(session, command, now_ms, known.limits)
        case CompleteWork():
            at_ms = leases.fenced(session, command, now_ms)
            return work.complete(session, command.completions, at_ms)
        case AbandonWorkClaim():
            return work.abandon(session, command, now_ms)
        case CancelWork():
            return work.cancel(session, command, now_ms)
        case OpenFrame():
            at_ms = leases.fenced(session, command, now_ms)
            return frames.open_frame(session, command, at_ms, known)
        case AppendNodes():
            at_ms = leases.fenced(session, command, now_ms)
            return frames.append(session, command, at_ms, known)
        case TombstoneNodes():
            return frames.tombstone(command, now_ms, known)
        case MaintainSession():
            return maintenance.maintain(session, now_ms)
        case BranchToNode():
            return graph.branch(session, command, leases.fenced(session, command, now_ms), known)
        case BeginAnew():
            return graph.begin_anew(session, command, now_ms, known.limits)
        case OpenSession():
            return sessions.reopen(session, command, now_ms, known.limits)
        case _:
            assert_never(command)
