"""
What is shown of the active path: the messages of the frame that the session is in, without those
that are hidden.

A frame begins at the fact that opened it. A fact behind that one may stand for messages that were
made before it (a branch back): those are of another frame, and so is all in front of them.
"""

from collections.abc import Collection, Iterable, Iterator

from attrs import evolve as with_changes

from lash_es.codec.streams import StreamId
from lash_es.core.frames import Frame, Graph
from lash_es.core.heads import Leaf
from lash_es.core.ids import NodeId, Position
from lash_es.core.known import IndexKey, IndexKind, node_key, nodes_at
from lash_es.core.transcripts import FromResults, Node
from lash_es.core.trims import KeptCommit
from lash_es.log.contents import read_commits
from lash_es.log.encoding import decode_index_entry
from lash_es.log.port import Store


def read_shown_nodes(
    store: Store, stream: StreamId, leaf: Leaf | None, graph: Graph
) -> tuple[Node, ...]:
    """List the messages that are shown, oldest first. Cost: as ``read_shown_commits``."""
    commits = tuple(read_shown_commits(store, stream, leaf, graph))
    return tuple(node for commit in reversed(commits) for node in commit.nodes)


def read_shown_commits(
    store: Store, stream: StreamId, leaf: Leaf | None, graph: Graph
) -> Iterator[KeptCommit]:
    """
    Read what is shown of the path to a leaf, newest first, as far as it is asked for.

    Cost: as ``read_commits``; and an index entry for each commit in any frame but the initial one,
    and one for each message where any is hidden.
    """
    for commit in read_commits(store, stream, None if leaf is None else leaf.commit):
        if graph.frame is not None and not _is_of(store, stream, commit, graph.frame):
            return
        yield commit if not graph.hidden_count else _without_hidden(store, stream, commit)


def hidden_among(store: Store, stream: StreamId, node_ids: Iterable[NodeId]) -> set[NodeId]:
    """Tell which of these messages are hidden. Cost: an index entry for each that is."""
    keys = {IndexKey(IndexKind.TOMBSTONE, each): each for each in node_ids}
    return {keys[key] for key in store.read_index(stream, tuple(keys))}


def _is_of(store: Store, stream: StreamId, commit: KeptCommit, frame: Frame) -> bool:
    """Tell whether messages were made in the frame, by where they were made first."""
    if commit.position < frame.position:
        return False
    made = made_at(store, stream, commit.nodes[0].node_id)
    return made is None or made >= frame.position


def made_at(store: Store, stream: StreamId, node_id: NodeId) -> Position | None:
    """Find the fact that holds a message first; none if nothing does."""
    key = node_key(node_id)
    stored = None if key is None else store.read_index(stream, (key,)).get(key)
    return None if key is None or stored is None else nodes_at(decode_index_entry(key, stored))


def _without_hidden(store: Store, stream: StreamId, commit: KeptCommit) -> KeptCommit:
    hidden = hidden_among(store, stream, (node.node_id for node in commit.nodes))
    return with_changes(commit, nodes=tuple(_shown(commit.nodes, hidden)))


def _shown(nodes: Iterable[Node], hidden: Collection[NodeId]) -> Iterator[Node]:
    """Results are shown behind their calls, or not at all: providers refuse them otherwise."""
    is_before_hidden = False
    for node in nodes:
        is_orphan = is_before_hidden and isinstance(node.source, FromResults)
        is_before_hidden = is_orphan or node.node_id in hidden
        if not is_before_hidden:
            yield node
