"""
Facts of the graph: where the history goes on from.

They are members of ``events.Event`` and obey what is said there.
"""

from attrs import frozen

from lash_es.core.ids import Generation, Position
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
    policy. The history stays, and so do pending inputs and the ledger.
    """

    at_ms: int
    policy: SessionPolicy
