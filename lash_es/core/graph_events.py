"""
Facts of the graph: where the history goes on from, what it is given beside turns, what is hidden.

They are members of ``events.Event`` and obey what is said there.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import Commitment
from lash_es.core.ids import FrameId, Generation, NodeId, Position
from lash_es.core.policy import SessionPolicy
from lash_es.core.transcripts import Node


@frozen(kw_only=True)
class LeafMoved:
    """
    The history goes on from another message: the next commit follows it, or starts a new root.

    The fact stands for the commit that holds the message: ``parent`` is that one's, ``nodes`` are
    its up to the message, none for a new root. Nothing is lost: what is no longer on the active
    path can be branched to again.
    """

    at_ms: int
    generation: Generation
    parent: Position | None
    nodes: tuple[Node, ...]


@frozen(kw_only=True)
class SessionBegunAnew:
    """
    A host opened the session without what was there: the next commit starts a new root, under this
    policy, in the initial frame. The history stays, and so do pending inputs and the ledger.
    """

    at_ms: int
    policy: SessionPolicy


@frozen(kw_only=True)
class FrameOpened:
    """
    The session is in another frame, and what was made before is not in its view.

    ``nodes`` are the messages that it begins with; they follow the commit at ``parent``.
    """

    at_ms: int
    generation: Generation
    frame_id: FrameId
    previous_frame_id: FrameId
    reason: str
    parent: Position | None
    nodes: tuple[Node, ...]
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class NodesAppended:
    """A host put messages on the path, beside any turn; ``name`` is used once."""

    at_ms: int
    generation: Generation
    name: str
    parent: Position | None
    nodes: tuple[Node, ...]
    bodies: tuple[Commitment, ...]


@frozen(kw_only=True)
class NodesTombstoned:
    """These messages are shown to nobody any more; the facts that hold them stay."""

    at_ms: int
    node_ids: tuple[NodeId, ...]


@frozen(kw_only=True)
class NodesForgotten:
    """Messages that were hidden by now are hidden for good; maintenance says so once."""

    at_ms: int
    nodes_count: int


GraphEvent: TypeAlias = (
    LeafMoved | SessionBegunAnew | FrameOpened | NodesAppended | NodesTombstoned | NodesForgotten
)
