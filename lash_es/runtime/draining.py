"""
What a driver does between turns: session commands first, then one turn on what waits.

Commands are done, inputs or work claimed, and the turn started, in the append that takes the
lease. Who came first goes first: the log has a total order.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.batches import WorkBoundary, WorkClass, WorkCompletion, WorkKind
from lash_es.core.commands import BeginAnew, ClaimTurnInputs, StartTurn, WithClaim
from lash_es.core.events import TurnInputsClaimed
from lash_es.core.ids import BatchId, Position, TurnId
from lash_es.core.ingress import NextTurn
from lash_es.core.owners import Fence
from lash_es.core.receipts import pending
from lash_es.core.state import Open
from lash_es.core.work_commands import (
    ClaimWork,
    CompleteWork,
    LeadingCommand,
    LeadingTurnWork,
    TheseBatches,
    WithWork,
    WorkSelection,
)
from lash_es.core.work_events import WorkClaimed
from lash_es.core.work_receipts import work_pending
from lash_es.runtime.checkpoints import Taken, work_taken
from lash_es.runtime.committing import Draft

IDLE: Final = WorkBoundary.IDLE


@frozen(kw_only=True)
class Started:
    """The turn is open, and this is what it began with, as far as that is to be shown."""

    turn_id: TurnId
    taken: tuple[Taken, ...] = ()


@frozen
class Over:
    """The turn ran before."""


@frozen
class Nothing:
    """There is nothing to run."""


Start: TypeAlias = Started | Over | Nothing


@frozen(kw_only=True)
class Drain:
    """One turn on what waits; ``batch_ids``: on exactly these, and on no input."""

    drain_id: TurnId
    batch_ids: tuple[BatchId, ...] = ()

    def start(self, draft: Draft, fence: Fence, now_ms: int) -> Start:
        """Do the commands whose turn it is, and start a turn on what comes after them."""
        if draft.known.turn(self.drain_id) is not None:
            return Over()
        if self.batch_ids or _command_goes_first(draft.session, now_ms):
            do_commands(draft, fence, now_ms)
        if self.batch_ids:
            return self._on_work(
                draft, fence, now_ms, TheseBatches(boundary=IDLE, batch_ids=self.batch_ids)
            )
        started = self._on_inputs(draft, fence, now_ms)
        if isinstance(started, Started):
            return started
        batches_max = draft.known.limits.batches_per_claim_max
        leading = LeadingTurnWork(boundary=IDLE, batches_max=batches_max)
        return self._on_work(draft, fence, now_ms, leading)

    def _on_inputs(self, draft: Draft, fence: Fence, now_ms: int) -> Started | Nothing:
        inputs_max = draft.known.limits.inputs_per_claim_max
        claim = ClaimTurnInputs(
            now_ms=now_ms, fence=fence, token=fence.token, inputs_max=inputs_max
        )
        for event in draft.do(claim):
            if isinstance(event, TurnInputsClaimed):
                source = WithClaim(claim_id=event.claim_id, token=event.token)
                return self._started(draft, fence, now_ms, source)
        return Nothing()

    def _on_work(
        self, draft: Draft, fence: Fence, now_ms: int, selection: WorkSelection
    ) -> Started | Nothing:
        claim = ClaimWork(now_ms=now_ms, fence=fence, token=fence.token, selection=selection)
        events = draft.do(claim)
        taken = tuple(work_taken(draft, events, IDLE))
        for event in events:
            if isinstance(event, WorkClaimed):
                source = WithWork(claim_id=event.claim_id, token=event.token)
                return self._started(draft, fence, now_ms, source, taken)
        return Nothing()

    def _started(
        self,
        draft: Draft,
        fence: Fence,
        now_ms: int,
        source: WithClaim | WithWork,
        taken: tuple[Taken, ...] = (),
    ) -> Started:
        turn_id = self.drain_id
        draft.do(StartTurn(now_ms=now_ms, fence=fence, turn_id=turn_id, source=source))
        return Started(turn_id=turn_id, taken=taken)


def _command_goes_first(session: Open, now_ms: int) -> bool:
    """
    Tell whether commands are done before inputs are taken: if one was queued before the first
    input that waits, be it ready or not.
    """
    inputs = pending(session, now_ms)
    waiting = (each.position for each in inputs if isinstance(each.ingress, NextTurn))
    first_input = min(waiting, default=None)
    return first_input is None or any(
        position < first_input for position in _commands(session, now_ms)
    )


def _commands(session: Open, now_ms: int) -> Iterator[Position]:
    for batch in work_pending(session, now_ms):
        if batch.work_class is WorkClass.SESSION_COMMAND:
            yield batch.enqueued


def do_commands(draft: Draft, fence: Fence, now_ms: int) -> None:
    """Do every session command that is ready and leads, in order."""
    selection = LeadingCommand()
    while draft.session.work.batches:
        claim = ClaimWork(now_ms=now_ms, fence=fence, token=fence.token, selection=selection)
        events = draft.do(claim)
        if not events:
            return
        for event in events:
            if isinstance(event, WorkClaimed):
                _do(draft, fence, now_ms, event)


def _do(draft: Draft, fence: Fence, now_ms: int, claim: WorkClaimed) -> None:
    """
    Do what a claim holds. A catalog of tools needs no more than that: it is made anew for every
    model call.
    """
    session = draft.session
    kinds = {kind for each in claim.batch_ids for kind in session.work.batches[each].kinds}
    if WorkKind.RESET_SESSION in kinds:
        draft.do(BeginAnew(now_ms=now_ms, session_id=session.session_id, policy=session.policy))
    done = WorkCompletion(claim_id=claim.claim_id, token=claim.token, batch_ids=claim.batch_ids)
    draft.do(CompleteWork(now_ms=now_ms, fence=fence, completions=(done,)))
