"""
What is keyed by the past, and arrives beside a command.

State holds what is open. What became of an input, which input a source key names, how a turn
ended: these are *index entries*, written with the facts that make them and read by the runtime
when a command names them. They are valid because the append expects the version they were read at.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeAlias, assert_never

from attrs import Factory, frozen

from lash_es.core.batches import BatchStatus, DeliveryPolicy, MergeKey, SlotPolicy, WorkKind
from lash_es.core.bodies import BodyRef, RecordedBody
from lash_es.core.commands import (
    BranchToNode,
    CancelTurnInput,
    CancelTurnInputs,
    CancelTurnInputSuffix,
    Command,
    CommitTurn,
    EnqueueTurnInput,
    StartTurn,
)
from lash_es.core.graph_commands import AppendNodes, OpenFrame, TombstoneNodes
from lash_es.core.ids import BatchId, FrameId, InputId, NodeId, Position, Revision, TurnId
from lash_es.core.ingress import ActiveTurn, TurnInputIngress
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.outcomes import FrameSwitched, InputStatus
from lash_es.core.targets import CancelTarget, SourceKey
from lash_es.core.transcripts import NodeOwner, owner_of_node
from lash_es.core.work_commands import EnqueueWork


class IndexKind(Enum):
    """What an index key names."""

    SOURCE_KEY = "source_key"
    INPUT = "input"
    SEQUENCE = "sequence"
    TURN = "turn"
    WORK_KEY = "work_key"
    BATCH = "batch"
    FRAME = "frame"
    APPEND = "append"
    TOMBSTONE = "tombstone"


@frozen
class IndexKey:
    """One key of the index."""

    kind: IndexKind
    key: str


@frozen(kw_only=True)
class SourceKeyEntry:
    """Which input a source key names, and all that is compared when the key comes again."""

    input_id: InputId
    sequence: int
    ingress: TurnInputIngress
    enqueued_at_ms: int
    content: RecordedBody


@frozen(kw_only=True)
class InputEntry:
    """What became of an input that has left the state."""

    input_id: InputId
    sequence: int
    source_key: str | None
    ingress: TurnInputIngress
    enqueued_at_ms: int
    body: BodyRef
    status: InputStatus
    settled: Position


@frozen(kw_only=True)
class CommitStamp:
    """What a commit meant, and which one it was: by this a retry of it is recognised."""

    commit_hash: str
    revision: Revision


@frozen(kw_only=True)
class SequenceEntry:
    """Which settled input had this sequence."""

    sequence: int
    input_id: InputId


@frozen(kw_only=True)
class TurnEntry:
    """
    A turn that was started, and where it ended.

    ``content`` is its direct input, none for a drained turn; ``stamp`` that of its commit.
    """

    turn_id: TurnId
    started: Position
    ended: Position | None
    is_committed: bool
    content: RecordedBody | None
    stamp: CommitStamp | None = None


@frozen(kw_only=True)
class WorkKeyEntry:
    """Which batch of queued work a source key names; its content is never compared."""

    batch_id: BatchId


@frozen(kw_only=True)
class BatchEntry:
    """What became of a batch that has left the state; ``enqueued`` is where its items are."""

    batch_id: BatchId
    sequence: int
    source_key: str | None
    delivery: DeliveryPolicy
    slot: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    enqueued_at_ms: int
    kinds: tuple[WorkKind, ...]
    enqueued: Position
    status: BatchStatus
    finished: Position


@frozen(kw_only=True)
class FrameEntry:
    """A frame that was opened, and the one that it superseded."""

    frame_id: FrameId
    previous_frame_id: FrameId
    reason: str
    opened: Position


@frozen(kw_only=True)
class AppendEntry:
    """Messages that were put on the path beside any turn."""

    name: str
    appended: Position


@frozen(kw_only=True)
class TombstoneEntry:
    """A message that is hidden."""

    node_id: NodeId
    tombstoned: Position


IndexEntry: TypeAlias = (
    SourceKeyEntry
    | InputEntry
    | SequenceEntry
    | TurnEntry
    | WorkKeyEntry
    | BatchEntry
    | FrameEntry
    | AppendEntry
    | TombstoneEntry
)


@frozen(kw_only=True)
class Known:
    """
    The entries that a command names, and the salts that still exist of the bodies they point at.

    A body without a salt has been erased: any content counts as equal to it.
    """

    entries: Mapping[IndexKey, IndexEntry] = Factory(dict[IndexKey, IndexEntry])
    salts: Mapping[BodyRef, bytes] = Factory(dict[BodyRef, bytes])
    limits: Limits = DEFAULT_LIMITS

    def source_key(self, key: str) -> SourceKeyEntry | None:
        """Return what the source key names."""
        entry = self.entries.get(IndexKey(IndexKind.SOURCE_KEY, key))
        return entry if isinstance(entry, SourceKeyEntry) else None

    def settled_input(self, input_id: InputId) -> InputEntry | None:
        """Return what became of the input."""
        entry = self.entries.get(IndexKey(IndexKind.INPUT, input_id))
        return entry if isinstance(entry, InputEntry) else None

    def input_at(self, sequence: int) -> InputId | None:
        """Return the settled input that had this sequence."""
        entry = self.entries.get(sequence_key(sequence))
        return entry.input_id if isinstance(entry, SequenceEntry) else None

    def turn(self, turn_id: TurnId) -> TurnEntry | None:
        """Return what is recorded of the turn."""
        entry = self.entries.get(IndexKey(IndexKind.TURN, turn_id))
        return entry if isinstance(entry, TurnEntry) else None

    def work_key(self, key: str) -> WorkKeyEntry | None:
        """Return which batch the source key names."""
        entry = self.entries.get(IndexKey(IndexKind.WORK_KEY, key))
        return entry if isinstance(entry, WorkKeyEntry) else None

    def finished_batch(self, batch_id: BatchId) -> BatchEntry | None:
        """Return what became of the batch, pruned or not."""
        entry = self.entries.get(IndexKey(IndexKind.BATCH, batch_id))
        return entry if isinstance(entry, BatchEntry) else None

    def frame(self, frame_id: FrameId) -> FrameEntry | None:
        """Return what is recorded of a frame; the initial one has no entry."""
        entry = self.entries.get(IndexKey(IndexKind.FRAME, frame_id))
        return entry if isinstance(entry, FrameEntry) else None

    def append(self, name: str) -> AppendEntry | None:
        """Return where messages were put on the path under this name."""
        entry = self.entries.get(IndexKey(IndexKind.APPEND, name))
        return entry if isinstance(entry, AppendEntry) else None

    def is_hidden(self, node_id: NodeId) -> bool:
        """Tell whether a message is hidden."""
        return IndexKey(IndexKind.TOMBSTONE, node_id) in self.entries


NOTHING_KNOWN = Known()


def names(  # noqa: C901, PLR0911 - a table
    command: Command,
) -> tuple[IndexKey, ...]:
    """List the keys that a decision on the command looks up."""
    match command:
        case EnqueueTurnInput():
            return _enqueued_names(command)
        case EnqueueWork():
            key = command.source_key
            return () if key is None else (IndexKey(IndexKind.WORK_KEY, key),)
        case CancelTurnInput() | CancelTurnInputs() | CancelTurnInputSuffix():
            return _cancelled_names(command)
        case BranchToNode():
            return _node_keys(node.node_id for node in command.nodes[-1:])
        case StartTurn():
            return (IndexKey(IndexKind.TURN, command.turn_id),)
        case CommitTurn():
            return _committed_names(command)
        case OpenFrame():
            return (IndexKey(IndexKind.FRAME, command.frame_id),)
        case AppendNodes():
            return (IndexKey(IndexKind.APPEND, command.name),)
        case TombstoneNodes():
            hidden = [IndexKey(IndexKind.TOMBSTONE, each) for each in command.node_ids]
            return tuple(dict.fromkeys((*_node_keys(command.node_ids), *hidden)))
        case _:
            return ()


def node_key(node_id: NodeId) -> IndexKey | None:
    """Return the key under which the index knows what holds a message, by the message's name."""
    found = owner_of_node(node_id)
    return None if found is None else IndexKey(_OWNERS[found[0]], found[1])


_OWNERS = {
    NodeOwner.TURN: IndexKind.TURN,
    NodeOwner.FRAME: IndexKind.FRAME,
    NodeOwner.APPEND: IndexKind.APPEND,
}


def nodes_at(entry: IndexEntry | None) -> Position | None:
    """Return where messages of a turn, a frame or an append are; none: nowhere."""
    match entry:
        case TurnEntry():
            return entry.ended if entry.is_committed else None
        case FrameEntry():
            return entry.opened
        case AppendEntry():
            return entry.appended
        case _:
            return None


def holds_nodes(entry: IndexEntry | None) -> bool:
    """Tell whether an entry is of something that put messages into the graph."""
    return nodes_at(entry) is not None


def _node_keys(node_ids: Iterable[NodeId]) -> tuple[IndexKey, ...]:
    return tuple(key for each in node_ids if (key := node_key(each)) is not None)


def _committed_names(command: CommitTurn) -> tuple[IndexKey, ...]:
    by_turn = IndexKey(IndexKind.TURN, command.turn_id)
    outcome = command.outcome
    if not isinstance(outcome, FrameSwitched):
        return (by_turn,)
    return (by_turn, IndexKey(IndexKind.FRAME, outcome.frame_id))


def target_key(target: CancelTarget) -> IndexKey:
    """Return the key under which the index knows a target."""
    kind = IndexKind.SOURCE_KEY if isinstance(target, SourceKey) else IndexKind.INPUT
    return IndexKey(kind, target.value)


def sequence_key(sequence: int) -> IndexKey:
    """Return the key under which the index knows which settled input had this sequence."""
    return IndexKey(IndexKind.SEQUENCE, str(sequence))


def _cancelled_names(
    command: CancelTurnInput | CancelTurnInputs | CancelTurnInputSuffix,
) -> tuple[IndexKey, ...]:
    match command:
        case CancelTurnInput():
            return (IndexKey(IndexKind.INPUT, command.input_id),)
        case CancelTurnInputs():
            return tuple(dict.fromkeys(map(target_key, command.targets)))
        case CancelTurnInputSuffix():
            return (target_key(command.anchor),)
        case _:
            assert_never(command)


def _enqueued_names(command: EnqueueTurnInput) -> tuple[IndexKey, ...]:
    """The submission's key, and the turn that it wants into: it may be over."""
    key, ingress = command.source_key, command.ingress
    by_key = () if key is None else (IndexKey(IndexKind.SOURCE_KEY, key),)
    if not isinstance(ingress, ActiveTurn):
        return by_key
    return (*by_key, IndexKey(IndexKind.TURN, ingress.turn_id))


def follows(entry: IndexEntry) -> tuple[IndexKey, ...]:
    """
    List the keys that an entry leads to: a source key's answer includes what became of its input,
    or of its batch.
    """
    if isinstance(entry, SourceKeyEntry | SequenceEntry):
        return (IndexKey(IndexKind.INPUT, entry.input_id),)
    if isinstance(entry, WorkKeyEntry):
        return (IndexKey(IndexKind.BATCH, entry.batch_id),)
    return ()


def compared_body(entry: IndexEntry) -> BodyRef | None:
    """Point at the body whose salt is needed to compare new content with the recorded one."""
    match entry:
        case SourceKeyEntry() | TurnEntry():
            return None if entry.content is None else entry.content.ref
        case InputEntry() | SequenceEntry() | WorkKeyEntry() | BatchEntry():
            return None
        case FrameEntry() | AppendEntry() | TombstoneEntry():
            return None
        case _:
            assert_never(entry)
