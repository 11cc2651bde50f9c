"""
Rules of the commit: one fact settles everything that a turn touched, or nothing happens.

The checks come in this order, and the first that fails is what the caller hears:

1. the session that is meant;
2. the stamp: a commit that was made before is answered with what it came to, whoever asks;
3. the fence;
4. the revision that is expected;
5. the turn: it is the open one, nothing of it is in flight, it holds what the commit says;
6. what is to be completed: the exact set of each claim, of inputs and then of queued work;
7. the frame that it opens: no session is in one twice.
"""

from lash_es.core import inputs, steering
from lash_es.core.commands import CommitTurn, ReleaseLease
from lash_es.core.commit_errors import (
    HeadRevisionConflict,
    RuntimeTurnCommitConflict,
    SessionBindingMismatch,
)
from lash_es.core.errors import (
    TurnInputClaimSuperseded,
)
from lash_es.core.events import Event, LeaseReleased, TurnCommitted
from lash_es.core.ids import InputId, Position, Revision
from lash_es.core.known import Known
from lash_es.core.rules import frames, leases, work
from lash_es.core.rules.inputs import claimed_by
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.rules.turns import require_settled
from lash_es.core.stamps import commit_hash
from lash_es.core.state import Open
from lash_es.core.turns import OpenTurn, notices


def commit(session: Open, command: CommitTurn, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Make the turn part of the history, or recognise that it is."""
    _require_binding(session, command)
    if _is_stored(session, command, known):
        # Asked again by who never heard the answer: its lease is still to be let go.
        release = ReleaseLease(now_ms=now_ms, fence=command.fence)
        return leases.release(session, release, now_ms) if command.releases_lease else ()
    leases.fenced(session, command, now_ms)
    _require_revision(session, command)
    turn = require_turn(session, command.turn_id)
    committed = _committed(session, turn, command, now_ms)
    done = work.complete(session, command.work_completions, now_ms)
    taken = work.taken(session, turn, command.work_completions, now_ms)
    here = Position(session.version + len(done) + len(taken))
    switched = frames.switched(session, command, known, now_ms, here)
    facts = (*done, *taken, committed, *switched)
    if not command.releases_lease:
        return facts
    return (*facts, LeaseReleased(at_ms=now_ms, generation=session.lease.generation))


def _require_binding(session: Open, command: CommitTurn) -> None:
    if command.session_id not in (None, session.session_id):
        raise SessionBindingMismatch(bound=session.session_id, attempted=str(command.session_id))


def _is_stored(session: Open, command: CommitTurn, known: Known) -> bool:
    """
    Tell whether this very commit was made before; one of the turn with another content is a
    conflict. Who does not say what it commits cannot have committed it.
    """
    entry = known.turn(command.turn_id)
    stamp = None if entry is None else entry.stamp
    if stamp is None or command.commit_hash is None:
        return False
    _require_hash(session, command, stamp.commit_hash)
    return True


def _require_hash(session: Open, command: CommitTurn, recorded: str) -> None:
    if command.commit_hash not in (None, recorded):
        raise RuntimeTurnCommitConflict(
            session_id=session.session_id,
            turn_id=command.turn_id,
            presented_hash=str(command.commit_hash),
            recorded_hash=recorded,
        )


def _require_revision(session: Open, command: CommitTurn) -> None:
    actual = session.head.revision
    if command.expected_revision not in (None, actual):
        raise HeadRevisionConflict(
            session_id=session.session_id,
            expected=Revision(command.expected_revision or 0),
            actual=actual,
        )


def _committed(session: Open, turn: OpenTurn, command: CommitTurn, now_ms: int) -> TurnCommitted:
    turn = steering.all_told(session, turn)
    require_settled(turn)
    nodes = (*turn.nodes, *notices(turn, command.outcome))
    _require_hash(session, command, commit_hash(turn, command.outcome, nodes))
    leaf = session.head.leaf
    completed = dict.fromkeys((*turn.input_ids, *_completed(session, command)))
    missed = inputs.wanting_into(session.inputs, turn.turn_id)
    return TurnCommitted(
        at_ms=now_ms,
        generation=session.lease.generation,
        turn_id=turn.turn_id,
        turn_index=session.head.turn_index + 1,
        revision=Revision(session.head.revision + 1),
        outcome=command.outcome,
        parent=None if leaf is None else leaf.commit,
        nodes=nodes,
        usage=turn.usage,
        completed_input_ids=tuple(completed),
        deferred_input_ids=tuple(each for each in missed if each not in completed),
    )


def _completed(session: Open, command: CommitTurn) -> list[InputId]:
    """List what the commit completes: of each claim all that it holds, and nothing else."""
    completed: list[InputId] = []
    for done in command.input_completions:
        held = claimed_by(session, done.claim_id, done.token)
        if not held or sorted(held) != sorted(done.input_ids):
            raise TurnInputClaimSuperseded(session_id=session.session_id, claim_id=done.claim_id)
        completed.extend(held)
    return completed
