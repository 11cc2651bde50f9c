"""What the commands of the graph came to, for the caller."""

from collections.abc import Sequence
from typing import TypeAlias

from attrs import frozen

from lash_es.core.events import Event, TurnInputTombstonesPruned
from lash_es.core.frames import current_frame_id
from lash_es.core.graph_events import FrameOpened, NodesAppended, NodesForgotten, NodesTombstoned
from lash_es.core.ids import FrameId, NodeId
from lash_es.core.state import Open
from lash_es.core.work_events import FinishedWorkPruned


@frozen(kw_only=True)
class FrameReceipt:
    """The frame that the session is in; ``is_opened``: by this call."""

    frame_id: FrameId
    is_opened: bool


@frozen(kw_only=True)
class NodesAdded:
    """The messages are on the path; ``leaf_node_id`` is its end now."""

    node_ids: tuple[NodeId, ...]
    leaf_node_id: NodeId | None


@frozen(kw_only=True)
class StaleBranch:
    """The history goes on from another message than was meant; nothing was written."""

    current_leaf: NodeId | None


AppendReceipt: TypeAlias = NodesAdded | StaleBranch


@frozen(kw_only=True)
class Maintained:
    """What maintenance has forgotten: how many hidden messages, settled inputs, done batches."""

    removed_node_count: int
    removed_pending_turn_input_tombstone_count: int
    removed_queued_work_count: int


def framed(after: Open, events: Sequence[Event]) -> FrameReceipt:
    """Say which frame the session is in."""
    return FrameReceipt(
        frame_id=current_frame_id(after.graph, after.session_id),
        is_opened=any(isinstance(each, FrameOpened) for each in events),
    )


def appended(after: Open, events: Sequence[Event], *, is_stale: bool) -> AppendReceipt:
    """Say what was put on the path; ``is_stale``: it is another one than was meant."""
    leaf = after.head.leaf
    leaf_id = None if leaf is None else leaf.node_id
    if is_stale:
        return StaleBranch(current_leaf=leaf_id)
    made = [each.nodes for each in events if isinstance(each, NodesAppended)]
    node_ids = tuple(node.node_id for nodes in made for node in nodes)
    return NodesAdded(node_ids=node_ids, leaf_node_id=leaf_id)


def hidden(events: Sequence[Event]) -> tuple[NodeId, ...]:
    """List the messages that are hidden by this call."""
    made = [each.node_ids for each in events if isinstance(each, NodesTombstoned)]
    return tuple(node_id for node_ids in made for node_id in node_ids)


def maintained(events: Sequence[Event]) -> Maintained:
    """Count what was forgotten."""
    nodes = [each.nodes_count for each in events if isinstance(each, NodesForgotten)]
    inputs = [e.tombstones_count for e in events if isinstance(e, TurnInputTombstonesPruned)]
    batches = [each.batches_count for each in events if isinstance(each, FinishedWorkPruned)]
    return Maintained(
        removed_node_count=sum(nodes),
        removed_pending_turn_input_tombstone_count=sum(inputs),
        removed_queued_work_count=sum(batches),
    )
