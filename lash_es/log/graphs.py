"""The graph of a session: every message that a commit ever held, and what each one follows."""

from collections.abc import Iterable, Iterator

from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.events import TurnCommitted
from lash_es.core.frames import Graph, initial_frame_id
from lash_es.core.graph_events import (
    FrameOpened,
    LeafMoved,
    NodesAppended,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.heads import Leaf
from lash_es.core.ids import FrameId, NodeId, Position, Version
from lash_es.core.known import FrameEntry, IndexKey, IndexKind
from lash_es.core.messages import Role
from lash_es.core.transcripts import Node
from lash_es.core.trims import KeptCommit
from lash_es.log.contents import read_commits, read_events
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store
from lash_es.log.shown import hidden_among, made_at, read_shown_nodes


@frozen(kw_only=True)
class GraphNode:
    """
    A message as part of the graph; none is in front of a root.

    ``agent_frame_id`` is the frame that the session was in when it was made; none where that was
    not looked up.
    """

    node_id: NodeId
    parent_node_id: NodeId | None
    role: Role
    agent_frame_id: FrameId | None = None


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
    hidden: set[NodeId] = set()
    frame_id = initial = initial_frame_id(stream.session_id)
    for position, event in read_events(store, stream, Position(0), Position(version - 1)):
        match event:
            case FrameOpened():
                frame_id = event.frame_id
            case SessionBegunAnew():
                frame_id = initial
            case NodesTombstoned():
                hidden.update(event.node_ids)
            case LeafMoved() if event.nodes:
                last_of[position] = event.nodes[-1].node_id
            case _:
                pass
        if isinstance(event, TurnCommitted | FrameOpened | NodesAppended) and event.nodes:
            made = list(_chained(event.nodes, last_of[event.parent], frame_id))
            last_of[position] = made[-1].node_id
            nodes.extend(made)
    shown = tuple(node for node in nodes if node.node_id not in hidden)
    return SessionGraph(nodes=shown, leaf_node_id=leaf_node_id)


def _chained(
    nodes: Iterable[Node], before: NodeId | None, frame_id: FrameId | None = None
) -> Iterator[GraphNode]:
    for node in nodes:
        yield GraphNode(
            node_id=node.node_id, parent_node_id=before, role=node.role, agent_frame_id=frame_id
        )
        before = node.node_id


def read_path_graph(
    store: Store, stream: StreamId, leaf: Leaf | None, hidden_count: int = 0
) -> SessionGraph:
    """
    Read the part of the graph that leads to a leaf, through every frame.

    Cost: the path's commits, in pages.
    """
    unframed = Graph(hidden_count=hidden_count)
    nodes = tuple(_chained(read_shown_nodes(store, stream, leaf, unframed), None))
    return SessionGraph(nodes=nodes, leaf_node_id=None if leaf is None else leaf.node_id)


def read_commit_of(store: Store, stream: StreamId, node_id: NodeId) -> KeptCommit | None:
    """
    Read the commit of a message, up to the message; none if no commit holds it, or it is hidden.

    Raises:
        HistoryTrimmedBelow, CorruptHistory: the fact is gone, or damaged.

    Cost: two index entries and one fact.
    """
    position = made_at(store, stream, node_id)
    if position is None or hidden_among(store, stream, (node_id,)):
        return None
    commit = next(read_commits(store, stream, position))
    ids = [node.node_id for node in commit.nodes]
    if node_id not in ids:
        return None
    nodes = commit.nodes[: ids.index(node_id) + 1]
    return KeptCommit(position=commit.position, parent=commit.parent, nodes=nodes)


def read_is_on_path(store: Store, stream: StreamId, leaf: Leaf | None, node_id: NodeId) -> bool:
    """
    Tell whether a message is on the path to a leaf.

    Cost: the path's commits, in pages, until it is found.
    """
    last = None if leaf is None else leaf.commit
    return any(
        node.node_id == node_id
        for commit in read_commits(store, stream, last)
        for node in commit.nodes
    )


def read_orphans(
    store: Store, stream: StreamId, version: Version, leaf: Leaf | None
) -> tuple[NodeId, ...]:
    """List the messages that are not on the path to a leaf. Cost: as ``read_graph``."""
    path = {node.node_id for node in read_path_graph(store, stream, leaf).nodes}
    nodes = read_graph(store, stream, version, None).nodes
    return tuple(node.node_id for node in nodes if node.node_id not in path)


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


@frozen(kw_only=True)
class AgentFrame:
    """A frame that the session is in, or was; ``opened`` is none for the initial one."""

    frame_id: FrameId
    previous_frame_id: FrameId | None
    reason: str
    is_active: bool
    opened: Position | None


def read_frames(store: Store, stream: StreamId, graph: Graph) -> tuple[AgentFrame, ...]:
    """
    List the frames that led to the current one, oldest first.

    Cost: an index entry for each.
    """
    initial = initial_frame_id(stream.session_id)
    frame_id = initial if graph.frame is None else graph.frame.frame_id
    found: list[AgentFrame] = []
    while frame_id != initial:
        key = IndexKey(IndexKind.FRAME, frame_id)
        entry = decode_index_entry(key, store.read_index(stream, (key,))[key])
        assert isinstance(entry, FrameEntry)
        found.append(
            AgentFrame(
                frame_id=frame_id,
                previous_frame_id=entry.previous_frame_id,
                reason=entry.reason,
                is_active=not found,
                opened=entry.opened,
            )
        )
        frame_id = entry.previous_frame_id
    first = AgentFrame(
        frame_id=initial,
        previous_frame_id=None,
        reason="initial",
        is_active=not found,
        opened=None,
    )
    return (first, *reversed(found))
