"""Observations, events, cursors and gaps, on the wire."""

from enum import Enum
from typing import TypeAlias

from attrs import field, frozen

from lash_es.codec.cursors import SessionCursor
from lash_es.remote.constraints import (
    FLAT,
    PROTOCOL_VERSION,
    Count,
    Name,
    ProtocolVersion,
)
from lash_es.remote.converting import tagged
from lash_es.remote.turn_activities import RemoteTurnActivity
from lash_es.remote.usage import RemoteUsage


@frozen(kw_only=True)
class RemoteSessionCursor:
    """A place in a session; clients keep it and never look into it."""

    protocol_version: ProtocolVersion
    cursor: Name


@frozen(kw_only=True)
class RemoteSessionObservation:
    """Where a session stands, and the cursor after it; ``usage`` is of the last turn."""

    protocol_version: ProtocolVersion
    session_id: Name
    cursor: Name
    turn_index: Count
    usage: RemoteUsage


class RemoteQueueChange(Enum):
    """What happened to entries of a queue."""

    ENQUEUED = "enqueued"
    CANCELLED = "cancelled"


class RemoteProcessChange(Enum):
    """What happened to processes."""

    STARTED = "started"
    CANCELLED = "cancelled"


@tagged("turn_activity")
@frozen(kw_only=True)
class RemoteActivityShown:
    """A turn shows something."""

    activity: RemoteTurnActivity


@tagged("committed")
@frozen(kw_only=True)
class RemoteCommitted:
    """What was streamed is superseded: ask for the view again."""


@tagged("agent_frame_switched")
@frozen(kw_only=True)
class RemoteAgentFrameSwitched:
    """Another frame is the current one."""

    frame_id: Name


@tagged("queue_changed")
@frozen(kw_only=True)
class RemoteQueueChanged:
    """Inputs or batches of these ids came or went: ask for both lists again."""

    kind: RemoteQueueChange
    batch_ids: tuple[Name, ...]


@tagged("process_changed")
@frozen(kw_only=True)
class RemoteProcessChanged:
    """Processes of these ids were started or cancelled: ask for their list again."""

    kind: RemoteProcessChange
    process_ids: tuple[Name, ...]


RemoteObservationPayload: TypeAlias = (
    RemoteActivityShown
    | RemoteCommitted
    | RemoteAgentFrameSwitched
    | RemoteQueueChanged
    | RemoteProcessChanged
)


@frozen(kw_only=True)
class RemoteSessionObservationEvent:
    """One thing that happened; ``cursor`` is the place after it. The payload stands beside."""

    protocol_version: ProtocolVersion
    session_id: Name
    revision: Count
    cursor: Name
    payload: RemoteObservationPayload = field(metadata={FLAT: True})


class RemoteGapReason(Enum):
    """Why a cursor cannot be gone on from."""

    TRIMMED = "trimmed"
    UNAVAILABLE = "unavailable"


@frozen(kw_only=True)
class RemoteLiveReplayGap:
    """Something after a cursor is gone; ``latest_cursor`` is the observation's."""

    protocol_version: ProtocolVersion
    session_id: Name
    requested_cursor: Name
    latest_cursor: Name
    latest_revision: Count
    reason: RemoteGapReason


def remote_cursor(cursor: SessionCursor) -> RemoteSessionCursor:
    """Write a cursor for the wire."""
    return RemoteSessionCursor(protocol_version=PROTOCOL_VERSION, cursor=str(cursor))


def cursor_from_remote(cursor: RemoteSessionCursor) -> SessionCursor:
    """
    Read a cursor from the wire.

    Raises:
        MalformedCursor: it is none.
    """
    return SessionCursor.parse(cursor.cursor)
