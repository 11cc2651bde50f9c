"""
Requests that concern the graph; they are members of ``commands.Command`` and obey what is said
there.
"""

from typing import TypeAlias

from attrs import frozen

from lash_es.core.bodies import NewBody
from lash_es.core.ids import FrameId, NodeId
from lash_es.core.messages import Role
from lash_es.core.owners import Fence


@frozen(kw_only=True)
class NewNode:
    """A message that is to be put on the path: who speaks, and what (a ``TurnInput``)."""

    role: Role
    body: NewBody


@frozen(kw_only=True)
class OpenFrame:
    """Go on in a frame of this id; ``nodes`` are the messages that it begins with."""

    now_ms: int
    fence: Fence
    frame_id: FrameId
    reason: str
    nodes: tuple[NewNode, ...] = ()


@frozen(kw_only=True)
class Ancestor:
    """
    A message that has to be on the active path.

    Whoever asks has read the path: ``path_to`` is its end, ``is_on_path`` what was found.
    """

    node_id: NodeId
    path_to: NodeId | None
    is_on_path: bool


@frozen(kw_only=True)
class AppendNodes:
    """Put messages behind the leaf. ``name`` is minted for it: known already, it was done."""

    now_ms: int
    fence: Fence
    name: str
    nodes: tuple[NewNode, ...]
    ancestor: Ancestor | None = None


@frozen(kw_only=True)
class TombstoneNodes:
    """Show these messages to nobody any more; what is not there, or hidden, is passed over."""

    now_ms: int
    node_ids: tuple[NodeId, ...]


@frozen(kw_only=True)
class MaintainSession:
    """
    Forget what is over: settled inputs and finished work, whose keys are free again, and hidden
    messages. Whenever a host wants it.
    """

    now_ms: int


OwnerGraphCommand: TypeAlias = OpenFrame | AppendNodes
GraphCommand: TypeAlias = TombstoneNodes | MaintainSession | OwnerGraphCommand
