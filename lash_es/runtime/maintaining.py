"""
What is forgotten, and what is hidden: maintenance of one session, which needs no lease.
"""

from collections.abc import Iterable

from lash_es.core.graph_commands import MaintainSession, TombstoneNodes
from lash_es.core.graph_receipts import Maintained, hidden, maintained
from lash_es.core.ids import NodeId
from lash_es.core.known import names
from lash_es.log.graphs import read_commit_of
from lash_es.log.port import Store
from lash_es.runtime.committing import Lane


async def maintain(lane: Lane) -> Maintained:
    """Forget what is over, in one append or none; says how much that was."""
    return maintained(await lane.execute(MaintainSession(now_ms=lane.log.now_ms())))


async def tombstone_nodes(lane: Lane, node_ids: Iterable[str]) -> tuple[NodeId, ...]:
    """
    Hide messages, in one append or none.

    Returns:
        Those that are hidden by this call; what is not there, or was hidden, is passed over.

    Raises:
        LimitExceeded: more than ``nodes_per_tombstone_max``; nothing was hidden.

    Cost: two index entries and one fact for each.
    """
    wanted = tuple(dict.fromkeys(map(NodeId, node_ids)))
    there = await lane.log.read(lambda store: _existing(store, lane, wanted))
    command = TombstoneNodes(now_ms=lane.log.now_ms(), node_ids=there)
    return hidden(await lane.transact(lambda draft: draft.do(command), *names(command)))


def _existing(store: Store, lane: Lane, node_ids: tuple[NodeId, ...]) -> tuple[NodeId, ...]:
    is_too_many = len(node_ids) > lane.limits.nodes_per_tombstone_max
    # What will be refused for its number is not looked up first.
    return tuple(
        each for each in node_ids if is_too_many or read_commit_of(store, lane.stream, each)
    )
