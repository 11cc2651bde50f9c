"""
What is keyed by the past, and arrives beside a command.

State holds what is open. What became of an input, which input a source key names, how a turn
ended: these are *index entries*, written with the facts that make them and read by the runtime
when a command names them. They are valid because the append expects the version they were read at.
"""

from collections.abc import Mapping
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
from lash_es.core.ids import BatchId, InputId, Position, Revision, TurnId
from lash_es.core.ingress import ActiveTurn, TurnInputIngress
from lash_es.core.limits import DEFAULT_LIMITS, Limits
from lash_es.core.outcomes import InputStatus
from lash_es.core.targets import CancelTarget, SourceKey
from lash_es.core.transcripts import turn_of_node
from lash_es.core.work_commands import EnqueueWork


class IndexKind(Enum):
    """What an index key names."""

    SOURCE_KEY = "source_key"
    INPUT = "input"
    SEQUENCE = "sequence"
    TURN = "turn"
    WORK_KEY = "work_key"
    BATCH = "batch"


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


IndexEntry: TypeAlias = (
    SourceKeyEntry | InputEntry | SequenceEntry | TurnEntry | WorkKeyEntry | BatchEntry
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


NOTHING_KNOWN = Known()


def names(command: Command) -> tuple[IndexKey, ...]:
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
            nodes = command.nodes[-1:]
            return tuple(IndexKey(IndexKind.TURN, turn_of_node(node.node_id)) for node in nodes)
        case StartTurn() | CommitTurn():
            return (IndexKey(IndexKind.TURN, command.turn_id),)
        case _:
            return ()


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
        case _:
            assert_never(entry)
