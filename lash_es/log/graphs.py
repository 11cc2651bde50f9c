"""The graph of a session: every message that a commit ever held, and what each one follows."""

from collections.abc import Iterable, Iterator

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.events import TurnCommitted
from lash_es.core.graph_events import LeafMoved
from lash_es.core.heads import Leaf
from lash_es.core.ids import NodeId, Position, Version
from lash_es.core.known import IndexKey, IndexKind, TurnEntry
from lash_es.core.messages import Role
from lash_es.core.transcripts import Node, turn_of_node
from lash_es.core.trims import KeptCommit
from lash_es.log.contents import read_commits, read_events, read_nodes
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store


@frozen(kw_only=True)
class GraphNode:
    """A message as part of the graph; none is in front of a root."""

    node_id: NodeId
    parent_node_id: NodeId | None
    role: Role


@frozen(kw_only=True)
class SessionGraph:
    """Every message, on the active path and off it, in the order of their commits."""

    nodes: tuple[GraphNode, ...]
    leaf_node_id: NodeId | None


def read_graph(
    store: Store, stream: StreamId, version: Version, leaf_node_id: NodeId | None
) -> SessionGraph:
    """
    Read the graph as of a version.

    Raises:
        HistoryTrimmedBelow: facts were trimmed; what is kept is the active path.

    Cost: every fact up to the version, in pages.
    """
    last_of: dict[Position | None, NodeId | None] = {None: None}
    nodes: list[GraphNode] = []
    for position, event in read_events(store, stream, Position(0), Position(version - 1)):
        if isinstance(event, LeafMoved) and event.nodes:
            last_of[position] = event.nodes[-1].node_id
        elif isinstance(event, TurnCommitted):
            made = list(_chained(event.nodes, last_of[event.parent]))
            last_of[position] = made[-1].node_id
            nodes.extend(made)
    return SessionGraph(nodes=tuple(nodes), leaf_node_id=leaf_node_id)


def _chained(nodes: Iterable[Node], before: NodeId | None) -> Iterator[GraphNode]:
    for node in nodes:
        yield GraphNode(node_id=node.node_id, parent_node_id=before, role=node.role)
        before = node.node_id


def read_path_graph(store: Store, stream: StreamId, leaf: Leaf | None) -> SessionGraph:
    """
    Read the part of the graph that leads to a leaf.

    Cost: the path's commits, in pages.
    """
    nodes = tuple(_chained(read_nodes(store, stream, leaf), None))
    return SessionGraph(nodes=nodes, leaf_node_id=None if leaf is None else leaf.node_id)


def read_commit_of(store: Store, stream: StreamId, node_id: NodeId) -> KeptCommit | None:
    """
    Read the commit of a message, up to the message; none if no commit holds it.

    Raises:
        HistoryTrimmedBelow, CorruptHistory: the fact is gone, or damaged.

    Cost: an index entry and one fact.
    """
    key = IndexKey(IndexKind.TURN, turn_of_node(node_id))
    stored = store.read_index(stream, (key,)).get(key)
    entry = None if stored is None else decode_index_entry(key, stored)
    if not isinstance(entry, TurnEntry) or not entry.is_committed:
        return None
    commit = next(read_commits(store, stream, entry.ended))
    ids = [node.node_id for node in commit.nodes]
    if node_id not in ids:
        return None
    nodes = commit.nodes[: ids.index(node_id) + 1]
    return KeptCommit(position=commit.position, parent=commit.parent, nodes=nodes)


def read_path_to(store: Store, stream: StreamId, node_id: NodeId) -> tuple[NodeId, ...] | None:
    """
    List the messages from the root to this one; none if no commit holds it.

    Cost: the path's commits, in pages.
    """
    last = read_commit_of(store, stream, node_id)
    if last is None:
        return None
    before = tuple(read_commits(store, stream, last.parent))
    return tuple(node.node_id for commit in (*reversed(before), last) for node in commit.nodes)
