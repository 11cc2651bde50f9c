"""What a commit, or a move of the leaf, is refused for; part of the hierarchy in ``errors.py``."""

from typing import ClassVar

from attrs import define

from lash_es.core.errors import CommandRejected
from lash_es.core.ids import FrameId, NodeId, Revision, TurnId


@define(kw_only=True)
class SessionBindingMismatch(CommandRejected):
    """A commit is meant for another session than the stream's."""

    bound: str
    attempted: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"bound to session {self.bound!r}, the commit is for {self.attempted!r}"


@define(kw_only=True)
class RuntimeTurnCommitConflict(CommandRejected):
    """The turn was committed, or would be, with another content than the commit says."""

    session_id: str
    turn_id: TurnId
    presented_hash: str
    recorded_hash: str

    def _summary(self) -> str:
        return (
            f"the commit of turn {self.turn_id!r} has hash {self.presented_hash!r}, expected "
            f"{self.recorded_hash!r}"
        )


@define(kw_only=True)
class HeadRevisionConflict(CommandRejected):
    """Another commit came first."""

    session_id: str
    expected: Revision
    actual: Revision

    def _summary(self) -> str:
        return (
            f"session {self.session_id!r} is at revision {self.actual}, expected {self.expected}"
        )


@define(kw_only=True)
class NodeNotFound(CommandRejected):
    """No commit holds a message of this name."""

    session_id: str
    node_id: NodeId

    def _summary(self) -> str:
        return f"session {self.session_id!r} holds no message {self.node_id!r}"


@define(kw_only=True)
class FrameIdConflict(CommandRejected):
    """The session was in a frame of this id before; none is opened twice."""

    session_id: str
    frame_id: FrameId

    def _summary(self) -> str:
        return f"session {self.session_id!r} had frame {self.frame_id!r} before, expected a new id"


@define(kw_only=True)
class BusyWithTurn(CommandRejected):
    """A turn is open, and what was asked for would pull its history away: end the turn first."""

    session_id: str
    wish: str
    open_turn_id: TurnId

    def _summary(self) -> str:
        return f"cannot {self.wish}: turn {self.open_turn_id!r} is open, expected none"
