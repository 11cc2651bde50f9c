"""
The messages that prompts are made of, kept in this process from one model call to the next.

1. What is recorded does not change: a committed turn is read and checked once, and known by where
   its commit is.
2. Who follows a session reads what is new. Who finds the head on another path goes back to where
   the paths meet, and keeps nothing of the other one.
3. What is kept decides nothing: it can be dropped at any time, and is read again.

Opening, committing and parking read no message.
"""

import sys
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from types import MappingProxyType
from typing import Final, TypeAlias, cast

import attrs
from attrs import evolve as with_changes
from attrs import frozen

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.frames import PLAIN_GRAPH, Graph
from lash_es.core.heads import Leaf
from lash_es.core.ids import Position
from lash_es.core.messages import Message, ModelReply
from lash_es.core.transcripts import Node
from lash_es.core.turns import OpenTurn
from lash_es.log.contents import Commit, read_content, read_contents
from lash_es.log.port import Log, Store
from lash_es.log.shown import read_shown_commits
from lash_es.turns.prompts import resume_safe
from lash_es.turns.transcript import Content, Contents, content_kinds, message

TRANSCRIPTS_BYTES_MAX: Final = 64 * 2**20
"""How much memory all sessions of a core may take, in bytes, before the idlest are dropped."""


@frozen(kw_only=True)
class CommittedTurn:
    """Where a turn was committed; the counts are of its messages and of all before them."""

    position: Position
    messages_count: int
    bytes_count: int


Path: TypeAlias = tuple[CommittedTurn, ...]


@frozen(kw_only=True)
class Kept:
    """
    What is kept of a session: its turns and their messages as later prompts show them, oldest
    first; and the contents of a turn that is not among them. ``graph`` says what was shown of the
    path: where that is another by now, nothing of it is of use.
    """

    graph: Graph = PLAIN_GRAPH
    path: Path = ()
    history: tuple[Message, ...] = ()
    contents: Contents = MappingProxyType({})

    @property
    def bytes_count(self) -> int:
        """How much memory it takes, in bytes: without what Python adds for each object."""
        return _bytes_count(self.path) + size_bytes(tuple(self.contents.values()))

    def as_far_as(self, position: Position | None) -> "Kept | None":
        """Cut it behind a commit, if that is on its path; nothing comes before the first."""
        if position is None:
            return Kept(graph=self.graph, contents=self.contents)
        place = bisect_left(self.path, position, key=lambda turn: turn.position)
        path = self.path[: place + 1]
        if not path or path[-1].position != position:
            return None
        return with_changes(self, path=path, history=self.history[: path[-1].messages_count])


class Transcripts:
    """What is kept of the sessions of a core; of too many, the least recently used go first."""

    def __init__(self, bytes_max: int = TRANSCRIPTS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[StreamId, tuple[Kept, int]] = OrderedDict()
        self._bytes_count = 0

    def kept(self, stream: StreamId) -> Kept:
        """Return what is kept of a session: nothing, if need be."""
        kept, _ = self._kept.get(stream, (Kept(), 0))
        return kept

    def keep(self, stream: StreamId, kept: Kept) -> None:
        """Keep this of a session, instead of what was kept; one that is too large alone is not."""
        _, before = self._kept.pop(stream, (None, 0))
        count = kept.bytes_count
        self._kept[stream] = (kept, count)
        self._bytes_count += count - before
        while self._bytes_count > self._bytes_max:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._bytes_count -= dropped


class Transcript:
    """
    The messages for the prompts of one turn.

    It holds what it has read as long as the turn runs, also where that is too large to be kept.

    Args:
        log: where they are read.
        stream: whose they are.
        leaf: the end of the history that the turn goes on from.
        graph: what is shown of it.
        transcripts: where they are kept for the turns to come.
    """

    def __init__(
        self,
        log: Log,
        stream: StreamId,
        leaf: Leaf | None,
        transcripts: Transcripts,
        graph: Graph = PLAIN_GRAPH,
    ) -> None:
        self._log = log
        self._stream = stream
        self._leaf = leaf
        self._graph = graph
        self._transcripts = transcripts
        self._kept = transcripts.kept(stream)

    async def messages(self, turn: OpenTurn) -> tuple[Sequence[Message], list[Message]]:
        """
        Make the messages of the history, oldest first and safe to resume; and those of the turn.

        Raises:
            CorruptHistory, CorruptBody, StorageError: they cannot be read.

        Cost: what was not read before: a statement for the turn that was committed last and two
        for bodies; the whole history in pages, if nothing of it is kept.
        """
        stream, leaf, before = self._stream, self._leaf, self._kept
        if before.graph != self._graph:
            before = Kept(graph=self._graph, contents=before.contents)
        kept = await self._log.read(lambda store: read_on(store, stream, before, leaf, turn.nodes))
        self._keep(kept)
        return kept.history, [message(node, kept.contents) for node in turn.nodes]

    async def reply(self, ref: BodyRef) -> ModelReply:
        """Read a reply of this turn, whose calls are to be made; raises as ``messages``."""
        known = self._kept.contents.get(ref)
        if isinstance(known, ModelReply):
            return known
        stream = self._stream
        reply = await self._log.read(lambda store: read_content(store, stream, ref, ModelReply))
        self._keep(with_changes(self._kept, contents={**self._kept.contents, ref: reply}))
        return reply

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        self._transcripts.keep(self._stream, kept)


def read_on(
    store: Store, stream: StreamId, before: Kept, leaf: Leaf | None, nodes: Iterable[Node]
) -> Kept:
    """Read what is missing of the path to a leaf, and of the nodes of a turn that follows it."""
    known, commits = _way_to(store, stream, before, leaf)
    own = tuple(nodes)
    wanted = _kinds(chain(own, *(commit.nodes for commit in commits)))
    missing = {ref: kind for ref, kind in wanted.items() if ref not in before.contents}
    contents = {**before.contents, **(read_contents(store, stream, missing) if missing else {})}
    path, history = list(known.path), list(known.history)
    for commit in commits:
        # A call and its result are of one turn: each is made safe by itself, and once.
        messages = resume_safe([message(node, contents) for node in commit.nodes])
        history.extend(messages)
        committed = CommittedTurn(
            position=commit.position,
            messages_count=len(history),
            bytes_count=_bytes_count(path) + size_bytes(messages),
        )
        path.append(committed)
    kept = {ref: contents[ref] for ref in _kinds(own)}
    return Kept(graph=before.graph, path=tuple(path), history=tuple(history), contents=kept)


def _way_to(
    store: Store, stream: StreamId, before: Kept, leaf: Leaf | None
) -> tuple[Kept, tuple[Commit, ...]]:
    """Find how much of what is kept leads to a commit, and what leads on, oldest first."""
    commits: list[Commit] = []
    way_back = read_shown_commits(store, stream, leaf, before.graph)
    last = None if leaf is None else leaf.commit
    while (known := before.as_far_as(last)) is None:
        commit = next(way_back, None)
        # What the frame does not show ends the way, whatever comes in front of it.
        last = None if commit is None else commit.parent
        commits.extend(() if commit is None else (commit,))
    return known, tuple(reversed(commits))


def _kinds(nodes: Iterable[Node]) -> Mapping[BodyRef, type[Content]]:
    return {ref: kind for node in nodes for ref, kind in content_kinds(node).items()}


def _bytes_count(path: Sequence[CommittedTurn]) -> int:
    return path[-1].bytes_count if path else 0


def size_bytes(value: object) -> int:
    """Add up the memory of what a value is made of, in bytes."""
    if isinstance(value, tuple):
        return sum(map(size_bytes, cast("tuple[object, ...]", value)))
    kind = type(value)
    if attrs.has(kind):
        return size_bytes(tuple(getattr(value, each.name) for each in attrs.fields(kind)))
    return sys.getsizeof(value)
