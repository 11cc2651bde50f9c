"""Refusals that concern a commit; they are part of the hierarchy drawn in ``errors.py``."""

from typing import ClassVar

from attrs import define

from lash_es.core.errors import CommandRejected
from lash_es.core.ids import Revision, TurnId


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
