"""
What a store is asked to write, and what it answers.

An append is all or nothing over all its streams. ``Unknown`` means that it may have happened:
whoever appended reads from the expected version on and looks for its ``append_id``, before
deciding again.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from attrs import field, frozen

from lash_es.codec.errors import UnencodableValue
from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import AppendId, Generation, Version
from lash_es.core.known import IndexKey
from lash_es.log.blobs import Blob
from lash_es.log.errors import MalformedAppend, RepeatedStream


@frozen(kw_only=True)
class StoredBody:
    """
    A body as a store keeps it. Without its salt and content it has been erased.

    ``sealing`` says how ``content`` came from salt and plaintext (``sealing.py``); where it says
    nothing, ``content`` is the plaintext.
    """

    ref: BodyRef
    media_type: str
    salt: bytes = field(repr=False)
    content: bytes = field(repr=False)
    sealing: str = ""


@frozen(kw_only=True)
class IndexRow:
    """
    An index entry as a store keeps it: ``value`` is canonical JSON; a later row of the same key
    replaces it.
    """

    key: IndexKey
    value: bytes


@frozen(kw_only=True)
class StoredSnapshot:
    """
    A folded state as a store keeps it. ``digest`` is the last folded fact's; one that ``is_kept``
    was asked for by name, and stays when newer ones are written.
    """

    version: Version
    fingerprint: str
    digest: bytes
    content: bytes = field(repr=False)
    is_kept: bool = False


@frozen(kw_only=True)
class StreamAppend:
    """
    Facts to add after the last one of a stream, with all that is written beside them.

    ``records`` are at least one, dense from ``expected_version`` on (0: the stream is new).
    ``generation`` and ``status`` are those of the state after the last record, kept in the head
    row. ``is_after_loss``: activity in front of them could not be written (see ``NewActivity``).
    ``blobs`` are what bodies name by address, each once; one that is kept already gets a new
    token. A ``snapshot``, of the version afterwards, replaces all but the newest one before it.
    """

    stream: StreamId
    expected_version: Version
    append_id: AppendId
    records: tuple[Record, ...]
    bodies: tuple[StoredBody, ...]
    index: tuple[IndexRow, ...]
    generation: Generation
    status: str
    at_ms: int
    is_after_loss: bool = False
    blobs: tuple[Blob, ...] = ()
    snapshot: StoredSnapshot | None = None

    @property
    def version(self) -> Version:
        """The stream's version afterwards."""
        return Version(self.expected_version + len(self.records))

    @property
    def digest(self) -> bytes:
        """The last record's digest."""
        return self.records[-1].digest

    def require_dense(self) -> None:
        """Refuse a gap: positions go on from the expected version, one by one."""
        positions = tuple(record.position for record in self.records)
        if not positions or positions != tuple(range(self.expected_version, self.version)):
            raise MalformedAppend(
                session_id=self.stream.session_id,
                expected_version=self.expected_version,
                positions=positions[:10],
            )


def require_appendable(appends: Sequence[StreamAppend]) -> None:
    """
    Refuse what no store may write, before it looks at anything.

    Raises:
        MalformedAppend: a gap, or no record.
        RepeatedStream: two appends to one stream.
        UnencodableValue: an index key that is no text.
    """
    seen: set[StreamId] = set()
    for append in appends:
        append.require_dense()
        require_text(row.key for row in append.index)
        if append.stream in seen:
            raise RepeatedStream(session_id=append.stream.session_id)
        seen.add(append.stream)


def require_text(keys: Iterable[IndexKey]) -> None:
    """Refuse keys that are no text: whoever asks for one could not have stored it."""
    for key in keys:
        try:
            key.key.encode()
        except UnicodeEncodeError as cause:
            raise UnencodableValue(
                what=f"{key.kind.value} {key.key!r}", reason=cause.reason
            ) from cause


@frozen(kw_only=True)
class Appended:
    """
    It is written: the streams' new versions, in the order of the appends.

    ``seqs`` say where each stream had ended before: at the activity of this number after its last
    fact, 0 without one. A store need not say it; then they are left out.
    """

    versions: tuple[Version, ...]
    seqs: tuple[int, ...] = field(default=(), eq=False)


@frozen(kw_only=True)
class Conflict:
    """A stream holds another version than expected; nothing was written."""

    stream: StreamId
    expected: Version
    found: Version


@frozen(kw_only=True)
class Unknown:
    """The answer was lost: it may be written, or not."""

    reason: str


AppendResult: TypeAlias = Appended | Conflict | Unknown


@frozen(kw_only=True)
class ActivityAppended:
    """
    Activity is written, after the fact at ``version - 1``; ``seq`` is the last one's, counted from
    1.
    """

    version: Version
    seq: int


@frozen(kw_only=True)
class ActivityRefused:
    """Another generation holds the session, or a fact came in between; nothing was written."""

    version: Version
    generation: Generation


ActivityResult: TypeAlias = ActivityAppended | ActivityRefused


@frozen(kw_only=True)
class Activity:
    """A piece of activity: text as it streams, a tool's progress. Pruned freely, never folded."""

    version: Version
    seq: int
    at_ms: int
    payload: bytes
