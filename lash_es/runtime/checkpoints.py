"""
What a turn takes in while it runs, and what it begins with: claimed in the append that records
what follows from it, and shown when that is recorded.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from attrs import frozen

from lash_es.core.batches import ProcessWake, WorkBoundary
from lash_es.core.bodies import BodyRef
from lash_es.core.commands import ClaimActiveTurnInputs
from lash_es.core.events import Event, TurnInputsAccepted
from lash_es.core.ids import BatchId
from lash_es.core.ingress import Boundary
from lash_es.core.messages import TurnInput
from lash_es.core.owners import Fence
from lash_es.core.turns import OpenTurn
from lash_es.core.work_commands import ClaimWork, LeadingTurnWork
from lash_es.core.work_events import WorkClaimed
from lash_es.log.contents import read_contents
from lash_es.runtime.committing import Draft, Lane
from lash_es.turns.activities import QueuedInputAccepted, QueuedWorkStarted
from lash_es.turns.taking import inputs_accepted, submitted_name, work_started


@frozen(kw_only=True)
class InputsTaken:
    """Inputs were accepted; each is named as its caller named it, if it did."""

    checkpoint: Boundary
    inputs: tuple[tuple[str, BodyRef], ...]

    @property
    def bodies(self) -> tuple[BodyRef, ...]:
        """Where their words are."""
        return tuple(ref for _, ref in self.inputs)


@frozen(kw_only=True)
class WorkTaken:
    """Batches of turn work were claimed."""

    boundary: WorkBoundary
    batch_ids: tuple[BatchId, ...]
    bodies: tuple[BodyRef, ...]


Taken: TypeAlias = InputsTaken | WorkTaken


def take_in(
    draft: Draft, turn: OpenTurn, fence: Fence, now_ms: int, checkpoint: Boundary
) -> tuple[Taken, ...]:
    """Claim for the open turn, on a draft, what waits for this checkpoint."""
    limits, session = draft.known.limits, draft.session
    taken: list[Taken] = []
    if session.inputs.pending:
        accept = ClaimActiveTurnInputs(
            now_ms=now_ms,
            fence=fence,
            token=fence.token,
            turn_id=turn.turn_id,
            checkpoint=checkpoint,
            inputs_max=limits.inputs_per_claim_max,
        )
        taken.extend(_inputs_taken(draft, draft.do(accept)))
    if session.work.batches:
        boundary = WorkBoundary.ACTIVE_TURN_CHECKPOINT
        leading = LeadingTurnWork(
            boundary=boundary, batches_max=limits.batches_per_claim_max, turn_id=turn.turn_id
        )
        claim = ClaimWork(now_ms=now_ms, fence=fence, token=fence.token, selection=leading)
        taken.extend(work_taken(draft, draft.do(claim), boundary))
    return tuple(taken)


def _inputs_taken(draft: Draft, events: Sequence[Event]) -> Iterator[InputsTaken]:
    pending = draft.session.inputs.pending
    for event in events:
        if isinstance(event, TurnInputsAccepted):
            entries = [pending[input_id] for input_id in event.input_ids]
            named = tuple((submitted_name(entry), entry.content.ref) for entry in entries)
            yield InputsTaken(checkpoint=event.checkpoint, inputs=named)


def work_taken(
    draft: Draft, events: Sequence[Event], boundary: WorkBoundary
) -> Iterator[WorkTaken]:
    """Describe the claims among facts that a draft has just made."""
    batches = draft.session.work.batches
    for event in events:
        if isinstance(event, WorkClaimed):
            bodies = tuple(body.ref for each in event.batch_ids for body in batches[each].contents)
            yield WorkTaken(boundary=boundary, batch_ids=event.batch_ids, bodies=bodies)


async def shown(lane: Lane, taken: Taken) -> QueuedInputAccepted | QueuedWorkStarted:
    """
    Read what was taken, to show it.

    Raises:
        CorruptBody, StorageError: it cannot be read, and no model could be told of it.
    """
    kind = TurnInput if isinstance(taken, InputsTaken) else ProcessWake
    kinds = dict.fromkeys(taken.bodies, kind)
    contents = await lane.log.read(lambda store: read_contents(store, lane.stream, kinds))
    if isinstance(taken, InputsTaken):
        return inputs_accepted(taken.checkpoint, taken.inputs, contents)
    return work_started(taken.boundary, taken.batch_ids, taken.bodies, contents)
