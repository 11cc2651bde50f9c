"""
What the graph is changed by beside turns: another leaf, another frame, messages that a host adds.

Each is one append, under a lease that is taken and let go in it; or under the lease of a turn that
this owner runs meanwhile, which keeps it.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Final, TypeAlias, TypeVar

from attrs import frozen

from lash_es.core.commands import BranchToNode
from lash_es.core.commit_errors import (
    NodeNotFound,
)
from lash_es.core.graph_commands import Ancestor, AppendNodes, NewNode, OpenFrame
from lash_es.core.graph_receipts import (
    AppendReceipt,
    FrameReceipt,
    StaleBranch,
    appended,
    framed,
)
from lash_es.core.ids import FrameId, NodeId, Position
from lash_es.core.known import IndexKey, IndexKind, node_key
from lash_es.core.owners import Fence, LeaseOwner
from lash_es.core.receipts import Busy
from lash_es.core.rules.frames import is_stale
from lash_es.core.state import Open
from lash_es.core.trims import KeptCommit
from lash_es.log.graphs import read_commit_of, read_is_on_path
from lash_es.log.port import Store
from lash_es.runtime.committing import APPEND_ATTEMPTS_MAX, Draft, Lane
from lash_es.runtime.contending import Chance, Contest
from lash_es.runtime.faults import TooManyConflicts
from lash_es.runtime.leasing import acquire, release
from lash_es.runtime.opening import require_open

_R = TypeVar("_R")
_Step: TypeAlias = Callable[[Draft, Fence, int], _R]


class _Again(Enum):
    """Something was appended since the look at the lease."""

    AGAIN = "again"


_AGAIN: Final = _Again.AGAIN


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

        key = None if node_id is None else node_key(node_id)
        return await self.append(step, *(() if key is None else (key,)))

    async def open_frame(
        self, frame_id: FrameId, *, reason: str, nodes: Sequence[NewNode] = ()
    ) -> FrameReceipt | Busy:
        """
        Go on in another frame, which begins with these messages; recorded when this returns.

        Raises:
            FrameIdConflict: the session was in it before, and is not now.
            BusyWithTurn: a turn is open.
        """

        def step(draft: Draft, fence: Fence, now_ms: int) -> FrameReceipt:
            command = OpenFrame(
                now_ms=now_ms, fence=fence, frame_id=frame_id, reason=reason, nodes=tuple(nodes)
            )
            events = draft.do(command)
            return framed(draft.session, events)

        return await self.append(step, IndexKey(IndexKind.FRAME, frame_id))

    async def append_nodes(
        self, nodes: Sequence[NewNode], *, requires_ancestor: NodeId | None = None
    ) -> AppendReceipt | Busy:
        """
        Put messages behind the leaf, if that message is on the path to it; recorded when this
        returns. A turn that this owner runs meanwhile is committed behind them.

        Cost: one append; with a required ancestor the path is read.
        """
        name = f"an:{self.lane.world.token()}"
        for _ in range(APPEND_ATTEMPTS_MAX):
            ancestor = await self._ancestor(requires_ancestor)
            found = await self._append_once(name, nodes, ancestor)
            if not isinstance(found, StaleBranch) or ancestor is None:
                return found
            if ancestor.path_to == found.current_leaf:
                return found
        raise self._too_many()

    async def _append_once(
        self, name: str, nodes: Sequence[NewNode], ancestor: Ancestor | None
    ) -> AppendReceipt | Busy:
        def step(draft: Draft, fence: Fence, now_ms: int) -> AppendReceipt:
            stale = is_stale(draft.session, ancestor)
            command = AppendNodes(
                now_ms=now_ms, fence=fence, name=name, nodes=tuple(nodes), ancestor=ancestor
            )
            events = draft.do(command)
            return appended(draft.session, events, is_stale=stale)

        return await self.append(step, IndexKey(IndexKind.APPEND, name))

    async def _ancestor(self, node_id: NodeId | None) -> Ancestor | None:
        """Read whether a message is on the path to the leaf as it is now."""
        if node_id is None:
            return None
        stream = self.lane.stream
        leaf = require_open(await self.lane.catch_up(), stream.session_id).head.leaf
        is_on_path = await self.lane.log.read(
            lambda store: read_is_on_path(store, stream, leaf, node_id)
        )
        return Ancestor(
            node_id=node_id,
            path_to=None if leaf is None else leaf.node_id,
            is_on_path=is_on_path,
        )

    async def append(self, step: _Step[_R], *keys: IndexKey) -> Busy | _R:
        """Take the lease, do the step and let go, in one append; or say who holds it."""
        token = self.lane.world.token()
        for _ in range(APPEND_ATTEMPTS_MAX):
            await self.lane.catch_up()
            standing = await self.contest.standing()
            if isinstance(standing, Busy):
                return standing
            do = partial(self._do, step=step, token=token, chance=standing)
            found = await self.lane.transact(do, *keys)
            if not isinstance(found, _Again):
                return found
        raise self._too_many()

    def _do(
        self, draft: Draft, step: _Step[_R], token: str, chance: Chance
    ) -> "Busy | _R | _Again":
        """Do it, if nothing was appended since that look at another's lease."""
        if self.contest.is_anothers(draft.session) and draft.session.version != chance.version:
            return _AGAIN
        mine = self._mine(draft.session, chance.now_ms)
        if mine is not None:
            # A turn runs under it, or begins to: it is that one's to let go.
            return step(draft, mine, chance.now_ms)
        lease = acquire(draft, self.owner, token, self.ttl_ms, chance.now_ms)
        if isinstance(lease, Busy):
            return lease
        found = step(draft, lease.fence, chance.now_ms)
        if len(draft.events) == 1:
            # Nothing came of it: then the lease was not needed either.
            draft.discard()
            return found
        release(draft, lease.fence, chance.now_ms)
        return found

    def _mine(self, session: Open, now_ms: int) -> Fence | None:
        """Return the live lease that this owner has already."""
        holder = session.lease.holder
        if holder is None or self.contest.is_anothers(session):
            return None
        if holder.expires_at_ms <= now_ms:
            return None
        return Fence(owner=holder.owner, token=holder.token, generation=session.lease.generation)

    def _too_many(self) -> TooManyConflicts:
        session_id = self.lane.stream.session_id
        return TooManyConflicts(session_id=session_id, attempts=APPEND_ATTEMPTS_MAX)


def _commit_of(store: Store, lane: Lane, node_id: NodeId) -> KeptCommit:
    commit = read_commit_of(store, lane.stream, node_id)
    if commit is None:
        raise NodeNotFound(session_id=lane.stream.session_id, node_id=node_id)
    return commit
