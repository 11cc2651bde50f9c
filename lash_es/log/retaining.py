"""
What a store owes to retention: facts go and come back in front of the oldest, pins hold them.

No call here is on the path of a session's commands. Each is one transaction, and each may be made
again: what is done already is not done twice.
"""

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

from attrs import define, frozen

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.errors import TrimHeldBack
from lash_es.core.ids import Position, Version
from lash_es.core.retention import Pin
from lash_es.core.rules.bounds import require_name, require_within
from lash_es.log.appends import StoredBody
from lash_es.log.blobs import Blob
from lash_es.log.errors import StorageError

PINS_MAX: Final = 256
"""How many pins a stream may have."""

PIN_NAME_CHARS_MAX: Final = 256


@frozen(kw_only=True)
class RecordFormats:
    """The oldest record format in a database, and the one that is written."""

    reads_from: int
    writes: int


@frozen(kw_only=True)
class Removal:
    """
    Facts that go: those in front of ``below``, and bodies of facts that are gone, or go now.

    ``trim`` is where the fact is that tells of it: from then on reading begins there.
    """

    stream: StreamId
    below: Version
    trim: Position
    bodies: tuple[BodyRef, ...]


@frozen(kw_only=True)
class Return:
    """
    What comes back: bodies as they lay, the blobs that those name, and facts, dense, up to the
    oldest that is kept; or no facts.
    """

    stream: StreamId
    records: tuple[Record, ...]
    bodies: tuple[StoredBody, ...]
    blobs: tuple[Blob, ...]
    at_ms: int

    def oldest_after(self, oldest: Position) -> Position | None:
        """Say what is the oldest afterwards; none if the facts do not end in front of it."""
        if not self.records:
            return oldest
        return self.records[0].position if self.records[-1].position + 1 == oldest else None


@frozen(kw_only=True)
class SnapshotsForgotten:
    """How many snapshots of a stream are left, and how many went."""

    retained_count: int
    deleted_count: int


@frozen(kw_only=True)
class Beginning:
    """
    The head row of a stream whose first facts were trimmed before it came here.

    Facts are appended from ``version`` on; until the one at ``trim`` is among them, the stream
    cannot be read.
    """

    stream: StreamId
    version: Version
    digest: bytes
    trim: Position
    at_ms: int


@define(kw_only=True)
class PinOutOfRange(StorageError):
    """A pin names a version that is kept; there is none before the first fact."""

    session_id: str
    name: str
    pinned: Version
    oldest: Position
    version: Version
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return (
            f"cannot pin version {self.pinned} of session {self.session_id!r} as {self.name!r}: "
            f"expected one from {self.oldest} to {self.version}"
        )


@define(kw_only=True)
class StreamDiffers(StorageError):
    """The store holds something else of a stream than what is to be put there."""

    session_id: str
    position: Position
    reason: str
    terminal_by_kind: ClassVar[bool] = True

    def _summary(self) -> str:
        return f"session {self.session_id!r} differs at position {self.position}: {self.reason}"


class Retaining(Protocol):
    """The part of a ``Store`` that retention uses."""

    def remove_facts(self, removal: Removal) -> None:
        """
        Delete facts, bodies and snapshots, and move the head row's oldest to ``below``; it never
        moves back.

        Raises:
            TrimHeldBack: a pin was set meanwhile; nothing was deleted.
            StorageError: as ``append``; it may have happened, and may be asked for again.

        Cost: one transaction; keep it short by few facts a call.
        """
        ...

    def forget_snapshots(self, stream: StreamId) -> SnapshotsForgotten:
        """
        Delete the snapshots of a stream that a newer one supersedes, but for those that somebody
        asked for. No fact goes: the state at any version can be folded.

        Cost: one transaction.
        """
        ...

    def return_facts(self, back: Return) -> bool:
        """
        Put bodies back, and facts in front of the oldest, which moves to the first of them. A
        body that is there stays as it is.

        Returns:
            False: the oldest is not where they end, or there is no stream; nothing was written.
        """
        ...

    def begin_trimmed(self, beginning: Beginning) -> bool:
        """Make the head row of a stream that begins later; False: the stream exists."""
        ...

    def pins(self, stream: StreamId) -> tuple[Pin, ...]:
        """List the pins of a stream, ordered by name."""
        ...

    def pin(self, stream: StreamId, pin: Pin, at_ms: int) -> None:
        """
        Keep a version foldable until it is unpinned; a pin of the same name is moved.

        Raises:
            PinOutOfRange: the version is gone, or has never been.
            LimitExceeded: too many pins, or too long a name. BlankValue: no name.
        """
        ...

    def unpin(self, stream: StreamId, name: str) -> bool:
        """Remove a pin; False: there is none of that name."""
        ...

    def record_formats(self) -> RecordFormats:
        """Read which format is written now."""
        ...

    def raise_format(self, writes: int) -> RecordFormats:
        """Write a newer format from now on, never an older one; returns what was before."""
        ...


def require_unpinned(removal: Removal, pins: Sequence[Pin]) -> None:
    """
    Refuse to delete what a pin needs: the store's own check, in the transaction that deletes.

    Raises:
        TrimHeldBack: with the pin that holds most back.
    """
    holding = min(pins, key=lambda pin: pin.version, default=None)
    if holding is not None and removal.below > holding.version:
        raise TrimHeldBack(
            session_id=removal.stream.session_id,
            below=removal.below,
            allowed=holding.version,
            held_back_by=f"the pin {holding.name!r}",
        )


def require_pinnable(
    stream: StreamId, pin: Pin, others: Sequence[Pin], oldest: Position, version: Version
) -> None:
    """
    Refuse a pin that cannot be kept.

    Raises:
        As ``Retaining.pin``.
    """
    require_name("pin_name", pin.name, PIN_NAME_CHARS_MAX)
    names = {pin.name, *(other.name for other in others)}
    require_within("pins_max", len(names), PINS_MAX)
    if not oldest <= pin.version <= version or version == 0:
        raise PinOutOfRange(
            session_id=stream.session_id,
            name=pin.name,
            pinned=pin.version,
            oldest=oldest,
            version=version,
        )
