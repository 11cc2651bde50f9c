"""
What a simulated owner puts into one append: what it asks, and all that follows without the world.

The plainest form of the runtime's ``advancing`` and ``checkpoints``.
"""

from random import Random
from typing import Final

from attrs import evolve as with_changes
from attrs import frozen

from lash_es.core.batches import WorkBoundary
from lash_es.core.commands import (
    ClaimActiveTurnInputs,
    Command,
    CommitTurn,
    EndTurn,
    ReleaseLease,
    RequestEffect,
)
from lash_es.core.events import Event, TurnCommitted, TurnEnded
from lash_es.core.graph_commands import NewNode
from lash_es.core.ingress import Boundary
from lash_es.core.messages import Role
from lash_es.core.outcomes import Finished, FrameSwitched
from lash_es.core.owners import Fence
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import ClaimWork, LeadingTurnWork
from lash_es.turns.standard import checkpoint, next_commands
from lash_es.verify.desks import Sketch
from lash_es.verify.evidence import Surroundings, frame_of

CLAIM_MAX: Final = 2
FRAME_CHANCE: Final = 0.15


@frozen(kw_only=True)
class Step:
    """Who asks, under which fence, of which session."""

    around: Surroundings
    fence: Fence
    session_id: str

    def all_of(self, sketch: Sketch, commands: tuple[Command, ...]) -> tuple[Event, ...]:
        """Do commands and what follows; a turn that is over lets the lease go."""
        events: list[Event] = []
        for command in commands:
            events += sketch.do(command)
        while isinstance(sketch.session.turn, OpenTurn):
            turn = sketch.session.turn
            boundary = checkpoint(turn, is_cancelled=False)
            news = () if boundary is None else self._news(sketch, turn, boundary)
            follows = next_commands(
                turn, self.fence, self._now_ms, is_cancelled=False, has_news=bool(news)
            )
            events += news
            if not follows:
                break
            for command in follows:
                events += sketch.do(self._switched(turn, command))
        if any(isinstance(event, TurnCommitted | TurnEnded) for event in events):
            sketch.do(ReleaseLease(now_ms=self._now_ms, fence=self.fence))
        return tuple(events)

    @property
    def _now_ms(self) -> int:
        return self.around.clock.now_ms

    def _news(self, sketch: Sketch, turn: OpenTurn, boundary: Boundary) -> tuple[Event, ...]:
        """Take in what waits for this checkpoint."""
        accept = ClaimActiveTurnInputs(
            now_ms=self._now_ms,
            fence=self.fence,
            token=self.around.ledgers.mint("claim"),
            turn_id=turn.turn_id,
            checkpoint=boundary,
            inputs_max=1,
        )
        at_checkpoint = WorkBoundary.ACTIVE_TURN_CHECKPOINT
        leading = LeadingTurnWork(
            boundary=at_checkpoint, batches_max=CLAIM_MAX, turn_id=turn.turn_id
        )
        claim = ClaimWork(
            now_ms=self._now_ms,
            fence=self.fence,
            token=self.around.ledgers.mint("claim"),
            selection=leading,
        )
        return (*sketch.do(accept), *sketch.do(claim))

    def _switched(
        self, turn: OpenTurn, command: RequestEffect | CommitTurn | EndTurn
    ) -> RequestEffect | CommitTurn | EndTurn:
        """Let some turns end with a frame; which, depends on nothing but the turn."""
        if not isinstance(command, CommitTurn) or not isinstance(command.outcome, Finished):
            return command
        chance = Random(f"{self.around.seed}:{turn.turn_id}:frame")  # noqa: S311
        if chance.random() >= FRAME_CHANCE:
            return command
        body = self.around.ledgers.body(f"{self.session_id} goes on after {turn.turn_id}")
        return with_changes(
            command,
            outcome=FrameSwitched(frame_id=frame_of(turn.turn_id)),
            frame_nodes=(NewNode(role=Role.SYSTEM, body=body),),
        )
