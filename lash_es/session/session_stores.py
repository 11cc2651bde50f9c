"""``SessionStore``: a place for one session, handed to its builder instead of the core's store."""

from collections.abc import Iterable

from lash_es.core.batches import WorkCompletion
from lash_es.core.commands import InputCompletion
from lash_es.core.errors import SessionNotOpen, StoreSessionMismatch
from lash_es.core.ids import SessionId
from lash_es.core.outcomes import TurnOutcome
from lash_es.core.owners import Fence
from lash_es.core.receipts import CommitReceipt
from lash_es.log.placing import DurabilityTier, tier_of
from lash_es.log.port import Store
from lash_es.runtime.committing import Lane
from lash_es.session.session_commits import SessionCommits
from lash_es.session.session_inputs import SessionInputs
from lash_es.session.session_leases import SessionLeases


class SessionStore:
    """
    A store that holds one session: the first one that is opened in it binds it.

    The core that opens it closes it. While it is open, a host can do by hand in it what turns do
    by themselves; each operation appends what ``decide`` returns, and the store holds no rules.

    Args:
        store: where it is kept.
        session_id: whose it is already, if anybody's.
    """

    def __init__(self, store: Store, *, session_id: str | None = None) -> None:
        self.store = store
        self._session_id = session_id
        self._lane: Lane | None = None

    @property
    def session_id(self) -> str | None:
        """Whose it is; none before it was used."""
        return self._session_id

    @property
    def durability_tier(self) -> DurabilityTier:
        """What it keeps when the process ends."""
        return tier_of(self.store.waits_for)

    def bind(self, session_id: SessionId) -> None:
        """
        Take it for a session.

        Raises:
            StoreSessionMismatch: it is another one's.
        """
        if self._session_id not in (None, session_id):
            raise StoreSessionMismatch(loaded=str(self._session_id), requested=session_id)
        self._session_id = session_id

    def attach(self, lane: Lane) -> None:
        """Go through this lane from now on: its session was opened."""
        self._lane = lane

    @property
    def leases(self) -> SessionLeases:
        """The session's lease."""
        return SessionLeases(self._attached("leases"))

    @property
    def inputs(self) -> SessionInputs:
        """The session's pending inputs."""
        return SessionInputs(self._attached("inputs"))

    async def commit_hash(self, turn_id: str, outcome: TurnOutcome) -> str:
        """Say what a commit of the open turn would mean; see ``SessionCommits.commit_hash``."""
        return await SessionCommits(self._attached("commit_hash")).commit_hash(turn_id, outcome)

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

        Arguments, refusals and cost are those of ``SessionCommits.commit``; besides:

        Raises:
            SessionNotOpen: no session was opened in this store.
        """
        return await SessionCommits(self._attached("commit")).commit(
            fence,
            turn_id,
            outcome,
            session_id=session_id,
            expected_revision=expected_revision,
            commit_hash=commit_hash,
            input_completions=input_completions,
            work_completions=work_completions,
            releases_lease=releases_lease,
        )

    def _attached(self, operation: str) -> Lane:
        if self._lane is None:
            raise SessionNotOpen(command=operation)
        return self._lane
