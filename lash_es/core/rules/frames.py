"""
Rules of what is put on the path, or hidden from it, beside turns: frames, messages, tombstones.
"""

from collections.abc import Sequence

from lash_es.core.bodies import BodyRef
from lash_es.core.commands import CommitTurn
from lash_es.core.commit_errors import FrameIdConflict
from lash_es.core.events import Event
from lash_es.core.frames import current_frame_id, initial_frame_id
from lash_es.core.graph_commands import (
    Ancestor,
    AppendNodes,
    NewNode,
    OpenFrame,
    TombstoneNodes,
)
from lash_es.core.graph_events import FrameOpened, NodesAppended, NodesTombstoned
from lash_es.core.ids import FrameId, NodeId, Position
from lash_es.core.known import Known, holds_nodes, node_key
from lash_es.core.outcomes import FrameSwitched
from lash_es.core.rules.bounds import require_body, require_name, require_within
from lash_es.core.rules.graph import require_no_turn
from lash_es.core.state import Open
from lash_es.core.transcripts import FromInputs, Node, NodeOwner, name_of_node

CONTINUE_AS = "continue_as"
"""Why a frame was opened that a turn ended with."""


def open_frame(session: Open, command: OpenFrame, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Open the frame, unless its id is blank or the session is in it."""
    if _is_here(session, command.frame_id):
        return ()
    require_no_turn(session, "open a frame")
    require_name("reason", command.reason, known.limits.frame_id_chars_max)
    leaf = session.head.leaf
    parent = None if leaf is None else leaf.commit
    return (
        _opened(session, command, known, now_ms, parent=parent, here=Position(session.version)),
    )


def switched(
    session: Open, command: CommitTurn, known: Known, now_ms: int, committed: Position
) -> tuple[Event, ...]:
    """Open the frame that the turn committed at ``committed`` ended with."""
    outcome = command.outcome
    if not isinstance(outcome, FrameSwitched) or _is_here(session, outcome.frame_id):
        return ()
    frame = OpenFrame(
        now_ms=now_ms,
        fence=command.fence,
        frame_id=outcome.frame_id,
        reason=CONTINUE_AS,
        nodes=command.frame_nodes,
    )
    return (
        _opened(session, frame, known, now_ms, parent=committed, here=Position(committed + 1)),
    )


def _is_here(session: Open, frame_id: FrameId) -> bool:
    """Tell whether there is nothing to open."""
    current = current_frame_id(session.graph, session.session_id)
    return not frame_id.strip() or frame_id == current


def _opened(
    session: Open,
    frame: OpenFrame,
    known: Known,
    now_ms: int,
    *,
    parent: Position | None,
    here: Position,
) -> FrameOpened:
    frame_id = frame.frame_id
    require_name("frame_id", frame_id, known.limits.frame_id_chars_max)
    # A frame that was left is not entered again: its messages would be shown as those of another.
    if known.frame(frame_id) is not None or frame_id == initial_frame_id(session.session_id):
        raise FrameIdConflict(session_id=session.session_id, frame_id=frame_id)
    _require_nodes(frame.nodes, known)
    return FrameOpened(
        at_ms=now_ms,
        generation=session.lease.generation,
        frame_id=frame_id,
        previous_frame_id=current_frame_id(session.graph, session.session_id),
        reason=frame.reason,
        parent=parent,
        nodes=_nodes(frame.nodes, NodeOwner.FRAME, frame_id, here),
        bodies=tuple(node.body.commitment for node in frame.nodes),
    )


def append(session: Open, command: AppendNodes, now_ms: int, known: Known) -> tuple[Event, ...]:
    """
    Put messages behind the leaf. On another path than the one that was meant nothing is recorded;
    the receipt says so. A turn that is open goes on, and is committed behind them.
    """
    require_name("name", command.name, known.limits.frame_id_chars_max)
    _require_nodes(command.nodes, known)
    is_done = known.append(command.name) is not None
    if is_done or not command.nodes or is_stale(session, command.ancestor):
        return ()
    leaf = session.head.leaf
    appended = NodesAppended(
        at_ms=now_ms,
        generation=session.lease.generation,
        name=command.name,
        parent=None if leaf is None else leaf.commit,
        nodes=_nodes(command.nodes, NodeOwner.APPEND, command.name, Position(session.version)),
        bodies=tuple(node.body.commitment for node in command.nodes),
    )
    return (appended,)


def is_stale(session: Open, ancestor: Ancestor | None) -> bool:
    """Tell whether a message that has to be on the path is not, as far as anybody has read."""
    if ancestor is None:
        return False
    leaf = session.head.leaf
    is_read = ancestor.path_to == (None if leaf is None else leaf.node_id)
    return not (is_read and ancestor.is_on_path)


def tombstone(command: TombstoneNodes, now_ms: int, known: Known) -> tuple[Event, ...]:
    """Hide what is there and not hidden yet."""
    limit = known.limits.nodes_per_tombstone_max
    require_within("nodes_per_tombstone_max", len(command.node_ids), limit)
    wanted = dict.fromkeys(command.node_ids)
    there = tuple(each for each in wanted if _is_shown(each, known))
    return (NodesTombstoned(at_ms=now_ms, node_ids=there),) if there else ()


def _is_shown(node_id: NodeId, known: Known) -> bool:
    key = node_key(node_id)
    entry = None if key is None else known.entries.get(key)
    return holds_nodes(entry) and not known.is_hidden(node_id)


def _require_nodes(nodes: Sequence[NewNode], known: Known) -> None:
    limits = known.limits
    require_within("nodes_per_append_max", len(nodes), limits.nodes_per_append_max)
    for node in nodes:
        require_body(node.body, limits)


def _nodes(
    nodes: Sequence[NewNode], owner: NodeOwner, name: str, here: Position
) -> tuple[Node, ...]:
    return tuple(
        Node(
            node_id=name_of_node(owner, name, ordinal + 1),
            role=node.role,
            source=FromInputs(bodies=(BodyRef(position=here, ordinal=ordinal),)),
        )
        for ordinal, node in enumerate(nodes)
    )
