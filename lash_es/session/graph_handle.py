"""The part of a session's handle that concerns the graph: frames, added messages, upkeep."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from lash_es.codec.contents import encode_content
from lash_es.core.frames import current_frame_id
from lash_es.core.graph_commands import NewNode
from lash_es.core.graph_receipts import AppendReceipt, FrameReceipt, Maintained
from lash_es.core.ids import FrameId, NodeId
from lash_es.core.messages import Role, TurnInput
from lash_es.core.receipts import Busy
from lash_es.log.graphs import AgentFrame, read_frames, read_orphans
from lash_es.runtime.committing import Lane
from lash_es.runtime.maintaining import maintain, tombstone_nodes
from lash_es.runtime.opening import require_open
from lash_es.runtime.running import busy
from lash_es.session.arguments import as_turn_input
from lash_es.session.queued_work import QueuedWorkHandle


@frozen(kw_only=True)
class NewMessage:
    """A message that a host puts into the history itself: who speaks, and what."""

    role: Role
    content: TurnInput | str


class GraphHandle(QueuedWorkHandle):
    """What every handle can do with the graph; ``LashSession`` is the only one."""

    @property
    def agent_frame_id(self) -> FrameId:
        """The frame that the session is in, as of ``version``."""
        lane = self._shared.lane
        state = require_open(lane.state, lane.stream.session_id)
        return current_frame_id(state.graph, state.session_id)

    async def agent_frames(self) -> tuple[AgentFrame, ...]:
        """
        List the frames that led to this one, the initial one first.

        Cost: an index entry for each.
        """
        lane = self._usable("agent_frames").lane
        graph = require_open(await lane.catch_up(), lane.stream.session_id).graph
        return await lane.log.read(lambda store: read_frames(store, lane.stream, graph))

    async def open_frame(
        self, frame_id: str, *, reason: str, messages: Iterable[NewMessage] = ()
    ) -> FrameReceipt:
        """
        Go on in another frame: what was said before is in no view and no prompt from now on, and
        stays in the graph. Recorded when this returns.

        Args:
            frame_id: used once in a session; blank, or the current one, opens nothing.
            reason: why, in a word (``compaction``).
            messages: what the frame begins with.

        Raises:
            RuntimeFault: ``session_execution_busy``: another owner holds the session.
            FrameIdConflict: the session was in this frame before.
            BusyWithTurn: a turn is open.
            LimitExceeded, BlankValue: too many messages, or no reason.
        """
        shared = self._usable("open_frame")
        nodes = _nodes(shared.lane, messages)
        async with shared.writer:
            found = await shared.runner.brief_owner.open_frame(
                FrameId(frame_id), reason=reason, nodes=nodes
            )
        if isinstance(found, Busy):
            raise busy(found.holder)
        return found

    async def append_messages(
        self, messages: Iterable[NewMessage], *, requires_ancestor: str | None = None
    ) -> AppendReceipt:
        """
        Put messages into the history, beside any turn. Recorded when this returns.

        While a turn of this handle runs they come in front of its messages; its prompts have them
        from the next turn on.

        Args:
            messages: what is said.
            requires_ancestor: a message that has to be on the active path; else nothing is
                written, and the receipt says where the history stands (``StaleBranch``).

        Raises:
            RuntimeFault: ``session_execution_busy``: another owner holds the session.
            LimitExceeded: too many messages.
        """
        shared = self._usable("append_messages")
        wanted = None if requires_ancestor is None else NodeId(requires_ancestor)
        found = await shared.runner.brief_owner.append_nodes(
            _nodes(shared.lane, messages), requires_ancestor=wanted
        )
        if isinstance(found, Busy):
            raise busy(found.holder)
        return found

    async def orphaned_node_ids(self) -> tuple[NodeId, ...]:
        """
        List the messages that are not on the active path; a host decides which to hide.

        Raises:
            HistoryTrimmedBelow: facts were trimmed.

        Cost: every fact of the session, in pages.
        """
        lane = self._usable("orphaned_node_ids").lane
        state = require_open(await lane.catch_up(), lane.stream.session_id)
        return await lane.log.read(
            lambda store: read_orphans(store, lane.stream, state.version, state.head.leaf)
        )

    async def tombstone_nodes(self, node_ids: Iterable[str]) -> tuple[NodeId, ...]:
        """
        Hide messages for good: no view, no graph and no prompt has them; their facts stay.

        Returns:
            Those that are hidden by this call; what is not there, or was hidden, is passed over.

        Raises:
            LimitExceeded: more than ``nodes_per_tombstone_max``; nothing was hidden.
        """
        return await tombstone_nodes(self._usable("tombstone_nodes").lane, node_ids)

    async def maintain(self) -> Maintained:
        """
        Forget what is over: settled inputs and finished work, whose keys name nothing from now on,
        and hidden messages. What happened stays readable in the history.
        """
        return await maintain(self._usable("maintain").lane)


def _nodes(lane: Lane, messages: Iterable[NewMessage]) -> Sequence[NewNode]:
    return [
        NewNode(
            role=each.role,
            body=encode_content(as_turn_input(each.content), lane.world.salt()),
        )
        for each in messages
    ]
