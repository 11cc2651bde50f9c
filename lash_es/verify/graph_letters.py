"""Letters of the graph: branches, frames, messages beside turns, and messages that are hidden."""

from collections.abc import Iterable
from typing import Final

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import BranchToNode, CommitTurn
from lash_es.core.graph_commands import Ancestor, AppendNodes, NewNode, OpenFrame, TombstoneNodes
from lash_es.core.ids import FrameId, NodeId, Position
from lash_es.core.messages import Role
from lash_es.core.outcomes import FrameSwitched
from lash_es.core.owners import Fence
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, Node, NodeOwner, name_of_node
from lash_es.verify.bounds import FIRST_TURN, Bounds, drivers, fences, holders
from lash_es.verify.worlds import Ask, Move, World, body

_SAID: Final = FromInputs(bodies=(BodyRef(position=Position(0), ordinal=0),))
_FRAME, _APPEND = FrameId("f0"), "a0"
_OWNERS: Final = (
    (NodeOwner.TURN, FIRST_TURN),
    (NodeOwner.FRAME, _FRAME),
    (NodeOwner.APPEND, _APPEND),
)


def _message() -> NewNode:
    return NewNode(role=Role.USER, body=body(b"a message"))


def _first_messages() -> list[NodeId]:
    """Name the first message of the turn, the frame and the append, made or not."""
    return [name_of_node(owner, name, 1) for owner, name in _OWNERS]


def branches(world: World, bounds: Bounds) -> Iterable[Move]:
    """Go on from nothing, or from a first message."""
    del bounds
    for fence in fences(world):
        yield Ask(_branch(world, fence, ()))
    for fence in holders(world):
        for node_id in _first_messages():
            first = Node(node_id=node_id, role=Role.USER, source=_SAID)
            yield Ask(_branch(world, fence, (first,)))


def _branch(world: World, fence: Fence, nodes: tuple[Node, ...]) -> BranchToNode:
    return BranchToNode(now_ms=world.now_ms, fence=fence, parent=None, nodes=nodes)


def opens_frame(world: World, bounds: Bounds) -> Iterable[Move]:
    """Go on in a frame, in the one that there is, and in the one that there was."""
    del bounds
    for fence in fences(world):
        yield Ask(
            OpenFrame(
                now_ms=world.now_ms,
                fence=fence,
                frame_id=_FRAME,
                reason="compaction",
                nodes=(_message(),),
            )
        )


def commits_into_frame(world: World, bounds: Bounds) -> Iterable[Move]:
    """The turn goes on in another frame."""
    del bounds
    for turn, fence in drivers(world):
        yield Ask(
            CommitTurn(
                now_ms=world.now_ms,
                fence=fence,
                turn_id=turn.turn_id,
                outcome=FrameSwitched(frame_id=_FRAME),
                frame_nodes=(_message(),),
            )
        )


def appends(world: World, bounds: Bounds) -> Iterable[Move]:
    """A message is put behind the leaf, and behind one that is not on the path."""
    del bounds
    for fence in fences(world):
        for ancestor in (None, _missing(world)):
            yield Ask(
                AppendNodes(
                    now_ms=world.now_ms,
                    fence=fence,
                    name=_APPEND,
                    nodes=(_message(),),
                    ancestor=ancestor,
                )
            )


def _missing(world: World) -> Ancestor:
    assert isinstance(world.state, Open)
    leaf = world.state.head.leaf
    path_to = None if leaf is None else leaf.node_id
    return Ancestor(node_id=_first_messages()[0], path_to=path_to, is_on_path=False)


def tombstones(world: World, bounds: Bounds) -> Iterable[Move]:
    """A first message is hidden, if there is one, and once more."""
    del bounds
    for node_id in _first_messages():
        yield Ask(TombstoneNodes(now_ms=world.now_ms, node_ids=(node_id,)))
