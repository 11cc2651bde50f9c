"""
Where folding begins: at the first fact, or at the state that a trim has committed to.

The trim is read ahead of its turn. Its place in the chain is checked when folding comes to it, and
it has to be the same fact then.
"""

from functools import cached_property

from attrs import frozen

from lash_es.codec.errors import CorruptHistory, StoredDataError, UndecodableValue
from lash_es.codec.records import Header, Record, decode_header, read_event
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import decode_trim_content
from lash_es.core.events import Event, HistoryTrimmed, body_ref
from lash_es.core.ids import Position
from lash_es.core.trims import KeptState
from lash_es.log.bodies import corrupt_body, require_body
from lash_es.log.encoding import Folded, nothing_folded
from lash_es.log.port import Store, StreamHead


@frozen(kw_only=True)
class Fact:
    """A fact as it was read: its record, and the event that it holds."""

    stream: StreamId
    record: Record
    event: Event

    @property
    def position(self) -> Position:
        """Where it is in its stream."""
        return self.record.position

    @property
    def digest(self) -> bytes:
        """The digest of its record."""
        return self.record.digest

    @cached_property
    def header(self) -> Header:
        """Who wrote it, when and why. Folding does without, so it is read when it is asked for."""
        return decode_header(self.stream, self.record)


@frozen(kw_only=True)
class Begun:
    """Where folding begins, and the trim that said so; none where nothing was trimmed."""

    folded: Folded
    trim: Fact | None = None


def begin(store: Store, stream: StreamId) -> Begun:
    """
    Say where a stream can be folded from: its first fact, or the state at its last trim.

    Raises:
        CorruptHistory: the head row points at no trim.
        CorruptBody: the state is not the one that was committed to.
        WrittenByNewerVersion: the trim is of a kind that this version does not know.

    Cost: the head row; where facts were trimmed, a record and a body more.
    """
    while True:
        head = store.head(stream)
        if head is None or head.trim_position is None or head.oldest == 0:
            return Begun(folded=nothing_folded(stream))
        try:
            trim = read_trim(store, head, head.trim_position)
            return Begun(folded=_folded_at(store, trim), trim=trim)
        except StoredDataError:
            if not was_trimmed_since(store, head):
                raise


def was_trimmed_since(store: Store, head: StreamHead) -> bool:
    """Tell whether facts went since a head row was read: what is missing may be among them."""
    later = store.head(head.stream)
    return later is not None and later.oldest > head.oldest


def read_trim(store: Store, head: StreamHead, position: Position) -> Fact:
    """
    Read a trim that reading may begin at; its place in the chain is checked when it is met.

    Raises:
        CorruptHistory: there is none.
    """
    records = store.read(head.stream, position, 1)
    if not 0 <= position < head.version or not records or records[0].position != position:
        raise corrupt(head.stream, position, "the head row points at a trim that is not there")
    event = read_event(head.stream, records[0])
    if not isinstance(event, HistoryTrimmed) or not head.oldest <= event.below <= position:
        raise corrupt(head.stream, position, "the head row points at something else than a trim")
    return Fact(stream=head.stream, record=records[0], event=event)


def trim_event(fact: Fact) -> HistoryTrimmed:
    """Return the event of a fact that ``read_trim`` has read."""
    assert isinstance(fact.event, HistoryTrimmed)
    return fact.event


def _folded_at(store: Store, trim: Fact) -> Folded:
    """Read the state that a trim has committed to."""
    stream, event, ref = trim.stream, trim_event(trim), body_ref(trim.position)
    if not event.bodies:
        raise corrupt(stream, trim.position, "the trim has no state")
    body = require_body(trim.header, 0, store.read_bodies(stream, (ref,)).get(ref))
    try:
        kept = decode_trim_content(body.content, body.media_type)
        digest = bytes.fromhex(event.digest)
    except (UndecodableValue, ValueError) as cause:
        raise corrupt_body(stream, ref, f"it holds no state: {cause}") from cause
    if not isinstance(kept, KeptState) or kept.state.version != event.below:
        raise corrupt_body(stream, ref, f"it holds no state of version {event.below}")
    return Folded(stream=stream, state=kept.state, digest=digest)


def corrupt(stream: StreamId, position: Position, reason: str) -> CorruptHistory:
    """Say what is wrong with a fact."""
    return CorruptHistory(session_id=stream.session_id, position=position, reason=reason)
