"""
Slice: what the state holds of the graph besides its leaf: the frame that the session is in, and
how many messages are hidden.

A frame is a stretch of the session with its own view of the history: what was made before it was
opened is not shown, and stays where it is.
"""

from attrs import frozen

from lash_es.core.errors import impossible
from lash_es.core.graph_events import FrameOpened, NodesForgotten, NodesTombstoned
from lash_es.core.ids import FrameId, Position, SessionId
from lash_es.core.makers import maker


@frozen(kw_only=True)
class Frame:
    """
    A frame that was opened, by the fact at ``position``; messages from there on are of it.

    ``reason`` is ``continue_as``, ``compaction``, or what a host says.
    """

    frame_id: FrameId
    previous_frame_id: FrameId
    reason: str
    position: Position


@frozen(kw_only=True)
class Graph:
    """
    The frame, none for the initial one; how many messages were hidden, and how many of those
    maintenance has forgotten.
    """

    frame: Frame | None = None
    hidden_count: int = 0
    forgotten_count: int = 0


_frame = maker(Frame)
_graph = maker(Graph)

PLAIN_GRAPH = Graph()


def initial_frame_id(session_id: SessionId) -> FrameId:
    """Name the frame that every session begins in."""
    return FrameId(f"{session_id}:frame:initial")


def current_frame_id(graph: Graph, session_id: SessionId) -> FrameId:
    """Name the frame that the session is in."""
    return initial_frame_id(session_id) if graph.frame is None else graph.frame.frame_id


def opened(graph: Graph, event: FrameOpened, position: Position) -> Graph:
    """Another frame is the current one, for ever: none is opened twice."""
    current = graph.frame
    if current is not None and event.previous_frame_id != current.frame_id:
        raise impossible(event, found=current.frame_id, expected=event.previous_frame_id)
    frame = _frame(
        frame_id=event.frame_id,
        previous_frame_id=event.previous_frame_id,
        reason=event.reason,
        position=position,
    )
    return _changed(graph, frame=frame)


def begun_anew(graph: Graph) -> Graph:
    """The new root is in the initial frame."""
    return _changed(graph, frame=None)


def tombstoned(graph: Graph, event: NodesTombstoned) -> Graph:
    """So many more are hidden."""
    return _graph(
        frame=graph.frame,
        hidden_count=graph.hidden_count + len(event.node_ids),
        forgotten_count=graph.forgotten_count,
    )


def forgotten(graph: Graph, event: NodesForgotten) -> Graph:
    """What was hidden so far is hidden for good."""
    waiting_count = graph.hidden_count - graph.forgotten_count
    if event.nodes_count != waiting_count:
        raise impossible(event, found=waiting_count, expected=event.nodes_count)
    return _graph(
        frame=graph.frame, hidden_count=graph.hidden_count, forgotten_count=graph.hidden_count
    )


def _changed(graph: Graph, *, frame: Frame | None) -> Graph:
    return _graph(
        frame=frame, hidden_count=graph.hidden_count, forgotten_count=graph.forgotten_count
    )
