"""
The read view: a session's history as a host shows it, bound to one version; bodies are read when
asked for.
"""

from collections.abc import Iterator, Sequence
from itertools import dropwhile, islice

from attrs import field, frozen

from lash_es.core.commit_errors import NodeNotFound
from lash_es.core.frames import current_frame_id
from lash_es.core.heads import Leaf
from lash_es.core.ids import FrameId, NodeId, SessionId, Version
from lash_es.core.messages import Message, TokenUsage
from lash_es.core.policy import SessionPolicy
from lash_es.core.state import Open
from lash_es.core.transcripts import Node
from lash_es.log.contents import read_contents
from lash_es.log.graphs import (
    SessionGraph,
    read_commit_of,
    read_graph,
    read_path_graph,
    read_path_to,
)
from lash_es.log.port import Store
from lash_es.log.shown import read_shown_commits, read_shown_nodes
from lash_es.projections.chronology import Happening, chronology
from lash_es.projections.message_tree import TreeMessage, message_tree
from lash_es.runtime.committing import Lane
from lash_es.session.residency import Residency
from lash_es.turns.transcript import content_kinds, message


@frozen(kw_only=True)
class MessagePage:
    """Messages, oldest first; ``before`` asks for the page in front of them, none if none is."""

    messages: tuple[Message, ...]
    before: NodeId | None


@frozen(kw_only=True)
class SessionReadView:
    """
    What a session's history was at ``version``.

    Plain attributes are resident; methods that read are async.
    """

    session_id: SessionId
    version: Version
    revision: int
    turn_index: int
    policy: SessionPolicy
    token_usage: TokenUsage
    agent_frame_id: FrameId
    residency: Residency = Residency.KEEP_ALL
    _state: Open = field(repr=False, eq=False, alias="state")
    _lane: Lane = field(repr=False, eq=False, alias="lane")

    async def messages(self, *, first: int = 0, messages_max: int | None = None) -> list[Message]:
        """
        Read messages of the active path, oldest first: those of the frame that the session is in.

        Args:
            first: how many to pass over, from the oldest.
            messages_max: how many to read at most; all of them if none.

        Raises:
            CorruptBody: a body is not what was committed to.

        Cost: the path's commits, in pages; then the bodies that are read, in pages.
        """
        stop = None if messages_max is None else first + messages_max
        return await self._lane.log.read(lambda store: self._messages(store, first, stop))

    async def latest_messages(
        self, *, messages_max: int, before: str | None = None
    ) -> MessagePage:
        """
        Read the newest messages of the active path, or those in front of one.

        Args:
            messages_max: how many to read at most; at least 1.
            before: the message that the page ends in front of; the leaf's end if none.

        Raises:
            NodeNotFound: no commit holds ``before``.
            CorruptBody: a body is not what was committed to.

        Cost: the commits and bodies of what is read, however long the path is.
        """
        last = None if before is None else NodeId(before)
        return await self._lane.log.read(
            lambda store: self._latest(store, max(1, messages_max), last)
        )

    async def chronological_projection(
        self, *, first: int = 0, messages_max: int | None = None
    ) -> tuple[Happening, ...]:
        """
        Read messages as ``messages`` does, and put them in the order of what happened: each call
        with its result.
        """
        return chronology(await self.messages(first=first, messages_max=messages_max))

    async def message_tree(self) -> tuple[TreeMessage, ...]:
        """Read who follows whom, and who is active; raises and costs as ``session_graph``."""
        graph = await self.session_graph()
        parents = ((node.node_id, node.parent_node_id) for node in graph.nodes)
        return message_tree(parents, graph.leaf_node_id)

    async def active_events(self) -> tuple[Node, ...]:
        """
        List what ``messages`` shows as control data: who speaks, and where the words are.

        Cost: the path's commits, in pages.
        """
        stream, state = self._lane.stream, self._state
        return await self._lane.log.read(
            lambda store: read_shown_nodes(store, stream, state.head.leaf, state.graph)
        )

    async def session_graph(self) -> SessionGraph:
        """
        Read the messages of the graph, each with the one that it follows; without their words.

        With ``ACTIVE_PATH_ONLY`` these are those of the active path; ``path_to`` and ``message``
        still read the others, one by one.

        Raises:
            HistoryTrimmedBelow: facts were trimmed.

        Cost: every fact of the session, in pages; or the path's commits.
        """
        stream, state = self._lane.stream, self._state
        leaf = None if state.head.leaf is None else state.head.leaf.node_id
        if self.residency is Residency.ACTIVE_PATH_ONLY:
            return await self._lane.log.read(
                lambda store: read_path_graph(
                    store, stream, state.head.leaf, state.graph.hidden_count
                )
            )
        return await self._lane.log.read(
            lambda store: read_graph(store, stream, state.version, leaf)
        )

    async def path_to(self, node_id: str) -> tuple[NodeId, ...]:
        """
        List the messages from the root to this one, on the active path or off it.

        Raises:
            NodeNotFound: no commit holds it.

        Cost: the path's commits, in pages.
        """
        stream, wanted = self._lane.stream, NodeId(node_id)
        path = await self._lane.log.read(lambda store: read_path_to(store, stream, wanted))
        if path is None:
            raise NodeNotFound(session_id=self.session_id, node_id=wanted)
        return path

    async def message(self, node_id: str) -> Message:
        """
        Read one message, on the active path or off it.

        Raises:
            NodeNotFound: no commit holds it.
            CorruptBody: a body is not what was committed to.

        Cost: an index entry, one fact and the message's bodies.
        """
        return await self._lane.log.read(lambda store: self._message(store, NodeId(node_id)))

    def _message(self, store: Store, node_id: NodeId) -> Message:
        stream = self._lane.stream
        commit = read_commit_of(store, stream, node_id)
        if commit is None:
            raise NodeNotFound(session_id=self.session_id, node_id=node_id)
        node = commit.nodes[-1]
        return message(node, read_contents(store, stream, content_kinds(node)))

    def _latest(self, store: Store, messages_max: int, before: NodeId | None) -> MessagePage:
        newest_first = list(islice(self._backwards(store, before), messages_max + 1))
        has_more = len(newest_first) > messages_max
        nodes = newest_first[:messages_max][::-1]
        return MessagePage(
            messages=tuple(self._told(store, nodes)), before=nodes[0].node_id if has_more else None
        )

    def _backwards(self, store: Store, before: NodeId | None) -> Iterator[Node]:
        """Go through the path from its end, or from in front of a message, as far as is asked."""
        stream, leaf = self._lane.stream, self._state.head.leaf
        if before is not None:
            commit = read_commit_of(store, stream, before)
            if commit is None:
                raise NodeNotFound(session_id=self.session_id, node_id=before)
            leaf = Leaf(node_id=before, commit=commit.position)
        commits = read_shown_commits(store, stream, leaf, self._state.graph)
        nodes = (node for commit in commits for node in reversed(commit.nodes))
        if before is None:
            return nodes
        return islice(dropwhile(lambda node: node.node_id != before, nodes), 1, None)

    def _messages(self, store: Store, first: int, stop: int | None) -> list[Message]:
        state = self._state
        nodes = read_shown_nodes(store, self._lane.stream, state.head.leaf, state.graph)
        return self._told(store, nodes[first:stop])

    def _told(self, store: Store, wanted: Sequence[Node]) -> list[Message]:
        """Read the words of messages."""
        stream = self._lane.stream
        kinds = {ref: kind for node in wanted for ref, kind in content_kinds(node).items()}
        contents = read_contents(store, stream, kinds)
        return [message(node, contents) for node in wanted]


def read_view(
    lane: Lane, state: Open, residency: Residency = Residency.KEEP_ALL
) -> SessionReadView:
    """Take a view of a state."""
    return SessionReadView(
        residency=residency,
        session_id=state.session_id,
        version=state.version,
        revision=state.head.revision,
        turn_index=state.head.turn_index,
        policy=state.policy,
        token_usage=state.head.last_usage,
        agent_frame_id=current_frame_id(state.graph, state.session_id),
        state=state,
        lane=lane,
    )
