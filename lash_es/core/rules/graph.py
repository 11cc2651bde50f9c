"""Rules of the graph: from where the history goes on. Nothing is ever taken out of it."""

from lash_es.core.commands import BeginAnew, BranchToNode
from lash_es.core.commit_errors import (
    BusyWithTurn,
    NodeNotFound,
)
from lash_es.core.errors import (
    StoreSessionMismatch,
)
from lash_es.core.events import Event
from lash_es.core.graph_events import LeafMoved, SessionBegunAnew
from lash_es.core.ids import NodeId
from lash_es.core.known import Known, holds_nodes, node_key
from lash_es.core.limits import Limits
from lash_es.core.rules.sessions import require_policy
from lash_es.core.state import Open
from lash_es.core.transcripts import name_of_node, owner_of_node
from lash_es.core.turns import OpenTurn


def branch(session: Open, command: BranchToNode, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Go on from another message; from where the history stands already, nothing is recorded."""
    require_no_turn(session, "branch to another message")
    wanted = command.nodes[-1].node_id if command.nodes else None
    leaf = session.head.leaf
    if wanted == (None if leaf is None else leaf.node_id):
        return ()
    if wanted is not None:
        _require_node(session, wanted, command, known)
    moved = LeafMoved(
        at_ms=now_ms,
        generation=session.lease.generation,
        parent=command.parent,
        nodes=command.nodes,
    )
    return (moved,)


def _require_node(session: Open, node_id: NodeId, command: BranchToNode, known: Known) -> None:
    """Refuse what no fact holds: the messages of a turn have names that count up from one."""
    owner, key = owner_of_node(node_id), node_key(node_id)
    if owner is not None and key is not None and holds_nodes(known.entries.get(key)):
        names = [name_of_node(*owner, place) for place in range(1, len(command.nodes) + 1)]
        if names == [node.node_id for node in command.nodes]:
            return
    raise NodeNotFound(session_id=session.session_id, node_id=node_id)


def begin_anew(
    session: Open, command: BeginAnew, now_ms: int, limits: Limits
) -> tuple[Event, ...]:
    """Adopt nothing that is there, the recorded provider included; an open turn is ended first."""
    if session.session_id != command.session_id:
        raise StoreSessionMismatch(loaded=session.session_id, requested=command.session_id)
    require_policy(session, command.policy, limits)
    require_no_turn(session, "begin anew")
    return (SessionBegunAnew(at_ms=now_ms, policy=command.policy),)


def require_no_turn(session: Open, wish: str) -> None:
    """Refuse while a turn is open: its prompt was made of the path that would be left."""
    if isinstance(session.turn, OpenTurn):
        raise BusyWithTurn(
            session_id=session.session_id, wish=wish, open_turn_id=session.turn.turn_id
        )
