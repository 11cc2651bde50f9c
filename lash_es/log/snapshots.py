"""
When a snapshot is due, and what is checked before one is used.

A snapshot is a cache: whoever cannot use one folds the facts (ADR 0020).
"""

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from lash_es.codec.errors import UndecodableValue, UnencodableValue
from lash_es.codec.snapshots import SnapshotState, decode_snapshot, encode_snapshot
from lash_es.codec.state_shapes import fingerprint
from lash_es.codec.streams import StreamId
from lash_es.core.events import Event, SessionParked
from lash_es.core.ids import Version
from lash_es.core.state import NotOpened, State
from lash_es.log.appends import StoredSnapshot

FACTS_PER_SNAPSHOT: Final = 64
"""How many facts are folded at most behind a snapshot; measured (ADR 0020)."""

FACTS_PER_MILESTONE: Final = 4_096
"""
How many facts are folded at most in front of any version: one snapshot in so many stays for good
(ADR 0049).
"""

SNAPSHOTS_TRIED_MAX: Final = 4
"""How many unusable ones are looked at before all facts are folded."""


@frozen(kw_only=True)
class Ignored:
    """A snapshot that was there and could not be used, and why."""

    version: Version
    reason: str


def is_due(before: Version, events: Sequence[Event], facts_per_snapshot: int) -> bool:
    """
    Tell whether an append brings a snapshot: once in so many facts, and when a session is parked.
    """
    after = before + len(events)
    is_next = after // facts_per_snapshot > before // facts_per_snapshot
    return is_next or any(isinstance(event, SessionParked) for event in events)


def is_milestone(before: Version, after: Version) -> bool:
    """Tell whether the snapshot that an append brings is one that stays."""
    return after // FACTS_PER_MILESTONE > before // FACTS_PER_MILESTONE


def snapshot_of(state: State, digest: bytes, *, is_kept: bool = False) -> StoredSnapshot | None:
    """
    Encode a state and the digest of its last fact; none of what is empty or cannot be encoded.
    """
    if isinstance(state, NotOpened):
        return None
    try:
        content = encode_snapshot(state, digest)
    except UnencodableValue:
        return None  # The facts can be stored, and that is what matters.
    return StoredSnapshot(
        version=state.version,
        fingerprint=fingerprint(),
        digest=digest,
        content=content,
        is_kept=is_kept,
    )


def state_of(stream: StreamId, stored: StoredSnapshot) -> SnapshotState:
    """
    Decode a snapshot that this code wrote of this stream at this version.

    That ``digest`` is the chain's is for the facts to say: those after it, or the head row.

    Raises:
        UndecodableValue: it is foreign, or damaged.
    """
    what = f"snapshot of version {stored.version}"
    if stored.fingerprint != fingerprint():
        raise UndecodableValue(what=what, reason="another version of lash_es wrote it")
    state = decode_snapshot(stored.content, stored.digest)
    if (state.session_id, state.version) != (stream.session_id, stored.version):
        raise UndecodableValue(what=what, reason=f"it is of version {state.version}")
    return state
