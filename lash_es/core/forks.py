"""
Forks: a session that begins with what another one had come to.

What was said is inherited, and under which policy. Who drives, what waits, who holds it and what
was spent is not: nothing is done twice, and nobody owns two sessions by owning one. Between two
turns only: what is in flight in a turn belongs to the session that asked for it.
"""

from typing import assert_never

import attrs

from lash_es.core import heads, inputs, leases
from lash_es.core.commit_errors import BusyWithTurn
from lash_es.core.errors import SessionDeleted, SessionNotOpen, impossible
from lash_es.core.fork_events import SessionForked
from lash_es.core.ids import Position, SessionId, Version
from lash_es.core.retention import Trim
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.core.turns import OpenTurn
from lash_es.core.work import NO_WORK


def inherited(parent: State, session_id: SessionId) -> Open:
    """
    Return the state that a fork begins with.

    Raises:
        SessionNotOpen, SessionDeleted: there is nothing to begin with.
        BusyWithTurn: a turn is open.
    """
    match parent:
        case NotOpened():
            raise SessionNotOpen(command="fork a session")
        case Deleted():
            raise SessionDeleted(session_id=parent.session_id)
        case Open():
            if isinstance(parent.turn, OpenTurn):
                raise BusyWithTurn(
                    session_id=parent.session_id,
                    wish="fork the session here",
                    open_turn_id=parent.turn.turn_id,
                )
            return attrs.evolve(
                parent,
                session_id=session_id,
                is_parked=False,
                lease=leases.UNHELD,
                inputs=inputs.NO_INPUTS,
                work=NO_WORK,
                ledger=heads.NO_USAGE,
                trim=None,
            )
        case _:
            assert_never(parent)


def forked(session: Open, event: SessionForked, here: Position) -> Open:
    """The session is there: its facts begin here, and reading them begins with this one."""
    has_turn = isinstance(session.turn, OpenTurn)
    if has_turn or session != inherited(session, event.session_id) or int(event.below) != here:
        raise impossible(event, found=session.session_id, expected="what was inherited")
    return attrs.evolve(
        session,
        version=Version(here + 1),
        at_ms=event.at_ms,
        opened_at_ms=event.at_ms,
        trim=Trim(position=here, below=event.below),
    )
