"""
Moving the leaf: going on from another message, under a lease that is taken and let go in the same
append.
"""

from collections.abc import Callable
from functools import partial

from attrs import frozen

from lash_es.core.commands import BranchToNode
from lash_es.core.commit_errors import (
    NodeNotFound,
)
from lash_es.core.ids import NodeId, Position, TurnId
from lash_es.core.known import IndexKey, IndexKind
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import Busy
from lash_es.core.transcripts import turn_of_node
from lash_es.core.trims import KeptCommit
from lash_es.log.graphs import read_commit_of
from lash_es.log.port import Store
from lash_es.runtime.committing import APPEND_ATTEMPTS_MAX, Draft, Lane
from lash_es.runtime.contending import Chance, Contest
from lash_es.runtime.faults import TooManyConflicts
from lash_es.runtime.leasing import acquire, release


@frozen(kw_only=True)
class BriefOwner:
    """Who takes the lease for one append."""

    lane: Lane
    owner: LeaseOwner
    contest: Contest
    ttl_ms: int

    async def branch_to_node(self, node_id: NodeId | None) -> Busy | None:
        """
        Go on from a message, or from none; recorded when this returns.

        Returns:
            Who holds the session, if another owner does; then nothing was written.

        Raises:
            NodeNotFound: no commit holds the message.
            BusyWithTurn: a turn is open.

        Cost: an index entry and the message's commit are read; one append.
        """
        commit = KeptCommit(position=Position(0), parent=None, nodes=())
        if node_id is not None:
            commit = await self.lane.log.read(lambda store: _commit_of(store, self.lane, node_id))

        def step(draft: Draft, fence: Fence, now_ms: int) -> None:
            draft.do(
                BranchToNode(now_ms=now_ms, fence=fence, parent=commit.parent, nodes=commit.nodes)
            )

        turn_id = TurnId("") if node_id is None else turn_of_node(node_id)
        return await self.append(step, IndexKey(IndexKind.TURN, turn_id))

    async def append(
        self, step: Callable[[Draft, Fence, int], None], *keys: IndexKey
    ) -> Busy | None:
        """Take the lease, do the step and let go, in one append; or say who holds it."""
        token = self.lane.world.token()
        for _ in range(APPEND_ATTEMPTS_MAX):
            await self.lane.catch_up()
            standing = await self.contest.standing()
            if isinstance(standing, Busy):
                return standing
            do = partial(self._do, step=step, token=token, chance=standing)
            found = await self.lane.transact(do, *keys)
            if isinstance(found, Busy):
                return found
            if found:
                return None
        session_id = self.lane.stream.session_id
        raise TooManyConflicts(session_id=session_id, attempts=APPEND_ATTEMPTS_MAX)

    def _do(
        self,
        draft: Draft,
        step: Callable[[Draft, Fence, int], None],
        token: str,
        chance: Chance,
    ) -> Busy | bool:
        """Tell whether it was done: not if something was appended since that look at the lease."""
        if self.contest.is_anothers(draft.session) and draft.session.version != chance.version:
            return False
        lease = acquire(draft, self.owner, token, self.ttl_ms, chance.now_ms)
        if isinstance(lease, Busy):
            return lease
        step(draft, lease.fence, chance.now_ms)
        release(draft, lease.fence, chance.now_ms)
        return True


def _commit_of(store: Store, lane: Lane, node_id: NodeId) -> KeptCommit:
    commit = read_commit_of(store, lane.stream, node_id)
    if commit is None:
        raise NodeNotFound(session_id=lane.stream.session_id, node_id=node_id)
    return commit
