"""Facts of the graph, told in sentences: where the history goes on, and what is hidden of it."""

from typing import assert_never

from lash_es.core.graph_events import (
    FrameOpened,
    GraphEvent,
    LeafMoved,
    NodesAppended,
    NodesForgotten,
    NodesTombstoned,
    SessionBegunAnew,
)
from lash_es.core.policy import SessionPolicy


def told_graph(event: GraphEvent) -> str:
    """Tell one fact; what messages say is not quoted."""
    match event:
        case LeafMoved():
            return f"going on from {event.nodes[-1].node_id if event.nodes else 'a new root'}"
        case SessionBegunAnew():
            return f"begun anew, {told_policy(event.policy)}"
        case FrameOpened():
            begins = f", begins with {_messages(len(event.nodes))}" if event.nodes else ""
            return f"frame {event.frame_id[:24]} ({event.reason[:24]}){begins}"
        case NodesAppended():
            return f"{_messages(len(event.nodes))} added by the host"
        case NodesTombstoned():
            return f"{_messages(len(event.node_ids))} hidden"
        case NodesForgotten():
            return f"{_messages(event.nodes_count)} hidden for good"
        case _:
            assert_never(event)


def told_policy(policy: SessionPolicy) -> str:
    """Name the model of a policy."""
    return f"model {policy.provider_id}:{policy.model.model_id}"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
