"""
What a batch of queued work is made of: its items, and the policies by which it is taken.

An item's content is a body; the header keeps its kind only, and from that its class follows.
"""

import hashlib
import json
from collections.abc import Iterable
from enum import Enum
from typing import Final, TypeAlias

from attrs import frozen

from lash_es.core.ids import BatchId, ClaimId


class DeliveryPolicy(Enum):
    """When work may be taken: at a checkpoint of a running turn already, or between turns only."""

    EARLIEST_SAFE_BOUNDARY = "earliest_safe_boundary"
    AFTER_CURRENT_TURN_COMMIT = "after_current_turn_commit"


class SlotPolicy(Enum):
    """Whether a batch shares a claim with those right behind it."""

    JOIN = "join"
    EXCLUSIVE = "exclusive"


class WorkBoundary(Enum):
    """Where a driver stands when it asks for turn work."""

    IDLE = "idle"
    ACTIVE_TURN_CHECKPOINT = "active_turn_checkpoint"


class WorkKind(Enum):
    """What an item is."""

    PROCESS_WAKE = "process_wake"
    REFRESH_TOOL_CATALOG = "refresh_tool_catalog"
    RESET_SESSION = "reset_session"


class WorkClass(Enum):
    """Whether an item is for a turn, or for the session itself."""

    TURN_WORK = "turn_work"
    SESSION_COMMAND = "session_command"


class BatchStatus(Enum):
    """Where a batch is in its life."""

    OPEN = "open"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@frozen
class NeverMerge:
    """It shares a claim with nothing, not even with another of these."""


@frozen
class PayloadDefault:
    """It shares a claim with others that say the same."""


@frozen
class MergeGroup:
    """It shares a claim with others of the group."""

    group: str


MergeKey: TypeAlias = NeverMerge | PayloadDefault | MergeGroup

NEVER_MERGE: Final = NeverMerge()


@frozen(kw_only=True)
class ProcessWake:
    """
    A process has something to say to a session; ``input`` is what it says.

    ``wake_id`` is ``wake_name(target_scope_id, dedupe_key)``.
    """

    wake_id: str
    target_session_id: str
    target_scope_id: str
    process_id: str
    sequence: int
    event_type: str
    event_invocation: str
    process_caused_by: str | None
    dedupe_key: str
    input: str
    created_at_ms: int


@frozen(kw_only=True)
class RefreshToolCatalog:
    """The session is to look at its tools again."""

    reason: str


@frozen(kw_only=True)
class ResetSession:
    """The session is to begin anew, under its policy of that moment."""

    reason: str


WorkItem: TypeAlias = ProcessWake | RefreshToolCatalog | ResetSession

_CLASSES: Final = {
    WorkKind.PROCESS_WAKE: WorkClass.TURN_WORK,
    WorkKind.REFRESH_TOOL_CATALOG: WorkClass.SESSION_COMMAND,
    WorkKind.RESET_SESSION: WorkClass.SESSION_COMMAND,
}


@frozen(kw_only=True)
class WorkCompletion:
    """
    What a commit says it has done: the claim, and exactly the batches that it still holds.
    """

    claim_id: ClaimId
    token: str
    batch_ids: tuple[BatchId, ...]


def classes_of(kinds: Iterable[WorkKind]) -> tuple[WorkClass, ...]:
    """List the classes of some items, each once, in the order of the enumeration."""
    found = {_CLASSES[kind] for kind in kinds}
    return tuple(each for each in WorkClass if each in found)


def wake_name(target_scope_id: str, dedupe_key: str) -> str:
    """Name a wake: the same scope and key, the same wake."""
    named = json.dumps([target_scope_id, dedupe_key], separators=(",", ":"))
    return f"wake:{hashlib.sha256(named.encode()).hexdigest()}"


def wake_source_key(process_id: str, sequence: int) -> str:
    """Name the submission of a wake, so that one event of a process wakes at most once."""
    return f"process:{process_id}:event:{sequence}:wake"
