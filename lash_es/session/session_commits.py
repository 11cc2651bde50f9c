"""
The commit of a session by hand: for hosts that decide themselves what a turn comes to.

Turns commit by themselves (``runtime/driving.py``); whoever only runs turns needs none of this.
"""

from collections.abc import Iterable

from lash_es.core.batches import WorkCompletion
from lash_es.core.commands import CommitTurn, InputCompletion
from lash_es.core.ids import Revision, SessionId, TurnId
from lash_es.core.known import names
from lash_es.core.outcomes import TurnOutcome
from lash_es.core.owners import Fence
from lash_es.core.receipts import CommitReceipt, committed
from lash_es.core.rules.open_turns import require_turn
from lash_es.core.stamps import meant
from lash_es.runtime.committing import Draft, Lane


class SessionCommits:
    """Commits the open turn of one session; the time is the log's."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    async def commit_hash(self, turn_id: str, outcome: TurnOutcome) -> str:
        """
        Say what a commit of the open turn would mean, to be shown with it.

        Raises:
            TurnNotOpen: the turn is not the open one.
        """

        def step(draft: Draft) -> str:
            session = draft.session
            return meant(session, require_turn(session, TurnId(turn_id)), outcome)

        return await self._lane.transact(step)

    async def commit(
        self,
        fence: Fence,
        turn_id: str,
        outcome: TurnOutcome,
        *,
        session_id: str | None = None,
        expected_revision: int | None = None,
        commit_hash: str | None = None,
        input_completions: Iterable[InputCompletion] = (),
        work_completions: Iterable[WorkCompletion] = (),
        releases_lease: bool = False,
    ) -> CommitReceipt:
        """
        Make the open turn part of the history, with all that is named here, or not at all.

        Args:
            fence: the live lease; a commit that was made before needs none.
            turn_id: the open turn, or one that was committed.
            outcome: how the turn ends.
            session_id: the session that is meant, if the caller wants that checked.
            expected_revision: the number of commits before this one; not compared if none.
            commit_hash: what is meant (``commit_hash``); only with it a retry is recognised.
            input_completions: claims that are settled besides what the turn took.
            work_completions: claims that are finished besides what the turn took.
            releases_lease: let the lease go in the same append.

        Raises:
            SessionBindingMismatch, RuntimeTurnCommitConflict, SessionExecutionLeaseExpired,
            HeadRevisionConflict, TurnNotOpen, EffectsUnsettled, TurnInputClaimSuperseded,
            QueuedWorkClaimSuperseded: checked in this order; nothing was written.

        Cost: an index entry is read; one append.
        """
        command = CommitTurn(
            now_ms=self._lane.log.now_ms(),
            fence=fence,
            turn_id=TurnId(turn_id),
            outcome=outcome,
            session_id=None if session_id is None else SessionId(session_id),
            expected_revision=None if expected_revision is None else Revision(expected_revision),
            commit_hash=commit_hash,
            input_completions=tuple(input_completions),
            work_completions=tuple(work_completions),
            releases_lease=releases_lease,
        )

        def step(draft: Draft) -> CommitReceipt:
            before = draft.session
            events = draft.do(command)
            return committed(before, command, draft.known, events)

        return await self._lane.transact(step, *names(command))
