"""Where an input wants to go: into a running turn, or into the next one."""

from enum import Enum
from typing import TypeAlias

from attrs import frozen

from lash_es.core.ids import TurnId


class Boundary(Enum):
    """The checkpoints of a turn; an ``after_work`` input is also admitted before completion."""

    AFTER_WORK = "after_work"
    BEFORE_COMPLETION = "before_completion"


@frozen
class ActiveTurn:
    """
    Into this turn, at a checkpoint not before ``min_boundary``; deferred to the next turn if it
    misses.
    """

    turn_id: TurnId
    min_boundary: Boundary = Boundary.AFTER_WORK

    def is_admitted_at(self, checkpoint: Boundary) -> bool:
        """Tell whether the turn may take it there; the last checkpoint admits everything."""
        return checkpoint is Boundary.BEFORE_COMPLETION or self.min_boundary is checkpoint


@frozen
class NextTurn:
    """Into the next turn that is drained."""


TurnInputIngress: TypeAlias = ActiveTurn | NextTurn

NEXT_TURN = NextTurn()
