"""
Opening a session: create it, or take what is there and reconcile it with what the host wants.
"""

from lash_es.core.commands import BeginAnew, OpenSession
from lash_es.core.descriptions import UNDESCRIBED, DescribeSession, Description
from lash_es.core.errors import SessionDeleted, SessionNotOpen
from lash_es.core.events import SessionOpened
from lash_es.core.ids import SessionId
from lash_es.core.policy import SessionPolicy
from lash_es.core.state import Deleted, NotOpened, Open, State
from lash_es.runtime.committing import Draft, Lane


async def open_session(
    lane: Lane, policy: SessionPolicy, description: Description = UNDESCRIBED
) -> Open:
    """
    Create the session or reconcile it; opening again with the same policy records nothing, and the
    description is that of the birth.

    Raises:
        SessionDeleted: the id is used up.
        CorruptHistory, WrittenByNewerVersion: the stream cannot be read.
    """
    await lane.catch_up()
    session_id = lane.stream.session_id
    now_ms = lane.log.now_ms()

    def step(draft: Draft) -> None:
        made = draft.do(OpenSession(now_ms=now_ms, session_id=session_id, policy=policy))
        if any(isinstance(event, SessionOpened) for event in made):
            draft.do(DescribeSession(now_ms=now_ms, description=description))

    await lane.transact(step)
    return require_open(lane.state, session_id)


async def begin_anew(lane: Lane, policy: SessionPolicy) -> Open:
    """
    Create the session, or go on in it without anything that is there.

    Raises:
        BusyWithTurn: a turn is open.
        SessionDeleted, CorruptHistory, WrittenByNewerVersion: as ``open_session``.
    """
    session_id = lane.stream.session_id
    await lane.catch_up()
    await lane.execute(BeginAnew(now_ms=lane.log.now_ms(), session_id=session_id, policy=policy))
    return require_open(lane.state, session_id)


def require_open(state: State, session_id: SessionId) -> Open:
    """Return the open session, or refuse."""
    match state:
        case Open():
            return state
        case Deleted():
            raise SessionDeleted(session_id=session_id)
        case NotOpened():
            raise SessionNotOpen(command=f"use session {session_id!r}")
