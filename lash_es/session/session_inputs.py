"""
The queue of inputs by hand: claims and cancels, an append or none for each.

A claim needs the live lease (``session_leases.py``); everything else needs none.
"""

from collections.abc import Iterable

from attrs import evolve as with_changes

from lash_es.core.cancel_receipts import (
    CancelResult,
    SuffixCancelOutcome,
    cancelled_together,
    settled_after,
    suffix_cancelled,
)
from lash_es.core.commands import (
    AbandonTurnInputClaim,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    ClaimActiveTurnInputs,
    ClaimTurnInputs,
)
from lash_es.core.events import Event
from lash_es.core.ids import InputId, TurnId
from lash_es.core.ingress import Boundary
from lash_es.core.known import IndexKey, Known, names
from lash_es.core.owners import Fence
from lash_es.core.receipts import CancelOutcome, TurnInputClaim, cancelled, claimed
from lash_es.core.state import Open
from lash_es.core.targets import CancelTarget
from lash_es.runtime.committing import Draft, Lane, read_known


class SessionInputs:
    """Claims, gives back and cancels the inputs of one session."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def claim_for_next_turn(self, fence: Fence, *, inputs_max: int) -> TurnInputClaim | None:
        """
        Hold up to ``inputs_max`` inputs for the next turn, in order; none if nothing waits.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease.
        """
        token = self._lane.world.token()
        return await self._claim(
            ClaimTurnInputs(now_ms=self._now_ms, fence=fence, token=token, inputs_max=inputs_max)
        )

    async def claim_for_checkpoint(
        self, fence: Fence, turn_id: str, checkpoint: Boundary, *, inputs_max: int
    ) -> TurnInputClaim | None:
        """
        Take up to ``inputs_max`` inputs into the open turn; none if the checkpoint admits nothing.

        Raises:
            SessionExecutionLeaseExpired: the fence is not the live lease.
            TurnNotOpen: the turn is not the open one.
        """
        return await self._claim(
            ClaimActiveTurnInputs(
                now_ms=self._now_ms,
                fence=fence,
                token=self._lane.world.token(),
                turn_id=TurnId(turn_id),
                checkpoint=checkpoint,
                inputs_max=inputs_max,
            )
        )

    async def _claim(
        self, command: ClaimTurnInputs | ClaimActiveTurnInputs
    ) -> TurnInputClaim | None:
        def step(draft: Draft) -> TurnInputClaim | None:
            events = draft.do(command)
            return claimed(draft.session, command, events)

        return await self._lane.transact(step)

    async def abandon(self, claim: TurnInputClaim) -> None:
        """Give claimed inputs back; what the claim does not hold any more is left alone."""
        await self._lane.execute(
            AbandonTurnInputClaim(now_ms=self._now_ms, claim_id=claim.claim_id, token=claim.token)
        )

    async def cancel(self, input_id: str) -> CancelOutcome:
        """Withdraw an input that no turn has taken; the outcome says what became of it."""
        command = CancelTurnInput(now_ms=self._now_ms, input_id=InputId(input_id))

        def step(draft: Draft) -> CancelOutcome:
            before = draft.session
            events = draft.do(command)
            return cancelled(before, command.input_id, draft.known, events)

        return await self._lane.transact(step, *names(command))

    async def cancel_many(self, targets: Iterable[CancelTarget]) -> list[CancelResult]:
        """Withdraw many in one append; one result for each target, in their order."""
        command = CancelTurnInputs(now_ms=self._now_ms, targets=tuple(targets))

        def step(draft: Draft) -> list[CancelResult]:
            before = draft.session
            events = draft.do(command)
            return cancelled_together(before, command, draft.known, events)

        return await self._lane.transact(step, *names(command))

    async def cancel_suffix(self, anchor: CancelTarget) -> SuffixCancelOutcome:
        """
        Withdraw the anchor and all after it in one append; an outcome for each of them.

        Cost: what it returns; of the settled ones the index entries are read.
        """
        command = CancelTurnInputSuffix(now_ms=self._now_ms, anchor=anchor)

        def step(draft: Draft) -> tuple[Open, Known, tuple[Event, ...]]:
            before = draft.session
            return before, draft.known, draft.do(command)

        before, known, events = await self._lane.transact(step, *names(command))
        # What was settled by then stays as it was, so it can be looked up afterwards.
        settled = await self._known(settled_after(before, anchor, known))
        everything = with_changes(known, entries={**settled.entries, **known.entries})
        return suffix_cancelled(before, command, everything, events)

    async def _known(self, keys: tuple[IndexKey, ...]) -> Known:
        stream, limits = self._lane.stream, self._lane.limits
        return await self._lane.log.read(lambda store: read_known(store, stream, keys, limits))

    @property
    def _now_ms(self) -> int:
        return self._lane.log.now_ms()
