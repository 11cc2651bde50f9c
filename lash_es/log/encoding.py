"""
From facts to an append: records, bodies, index rows and head, computed by one pure function.

The same commands on the same state make the same bytes, whatever the store.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, assert_never

from attrs import field, frozen

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.records import GENESIS, Caused, encode_records
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef, Commitment, NewBody
from lash_es.core.causes import cause
from lash_es.core.events import Event, commitments
from lash_es.core.evolve import evolve
from lash_es.core.ids import AppendId, Generation, Position, Version
from lash_es.core.index import index_rows
from lash_es.core.known import (
    AppendEntry,
    BatchEntry,
    FrameEntry,
    IndexEntry,
    IndexKey,
    IndexKind,
    InputEntry,
    SequenceEntry,
    SourceKeyEntry,
    TombstoneEntry,
    TurnEntry,
    WorkKeyEntry,
)
from lash_es.core.state import NOT_OPENED, Deleted, NotOpened, Open, State
from lash_es.log.appends import IndexRow, StoredBody, StreamAppend
from lash_es.log.snapshots import FACTS_PER_SNAPSHOT, is_due, is_milestone, snapshot_of

_ENTRY_CLASSES: Final[Mapping[IndexKind, type[IndexEntry]]] = {
    IndexKind.SOURCE_KEY: SourceKeyEntry,
    IndexKind.INPUT: InputEntry,
    IndexKind.SEQUENCE: SequenceEntry,
    IndexKind.TURN: TurnEntry,
    IndexKind.WORK_KEY: WorkKeyEntry,
    IndexKind.BATCH: BatchEntry,
    IndexKind.FRAME: FrameEntry,
    IndexKind.APPEND: AppendEntry,
    IndexKind.TOMBSTONE: TombstoneEntry,
}


@frozen(kw_only=True)
class Folded:
    """
    A stream as far as it was read: its state, and the digest that the next record is chained to.

    ``is_overdue``: it took more facts than a snapshot is for, so the next append brings one.
    """

    stream: StreamId
    state: State
    digest: bytes
    is_overdue: bool = field(default=False, eq=False)

    @property
    def version(self) -> Version:
        """How many facts were folded."""
        return Version(0) if isinstance(self.state, NotOpened) else self.state.version


def nothing_folded(stream: StreamId) -> Folded:
    """Return the beginning of every stream."""
    return Folded(stream=stream, state=NOT_OPENED, digest=GENESIS)


def encode_append(
    before: Folded,
    events: Sequence[Event],
    bodies: Iterable[NewBody],
    append_id: AppendId,
    *,
    states: Sequence[State] | None = None,
    facts_per_snapshot: int = FACTS_PER_SNAPSHOT,
) -> tuple[StreamAppend, Folded]:
    """
    Encode facts that follow ``before``; returns the append and the stream as it will be
    afterwards. A snapshot comes with them when it is due. ``states`` are those after each fact,
    if whoever decided them has folded them already.
    """
    after = _states(before.state, events) if states is None else states
    content = {body.commitment.digest: body for body in bodies}
    state = before.state
    facts: list[Caused] = []
    index: dict[IndexKey, IndexEntry] = {}
    stored: list[StoredBody] = []
    for position, (event, next_state) in enumerate(
        zip(events, after, strict=True), start=before.version
    ):
        facts.append(Caused(event=event, cause=cause(state, event)))
        index.update(index_rows(state, event))
        stored.extend(_bodies(Position(position), commitments(event), content))
        state = next_state
    records = encode_records(
        before.stream, Position(before.version), before.digest, append_id, facts
    )
    digest = records[-1].digest
    wants_snapshot = before.is_overdue or is_due(before.version, events, facts_per_snapshot)
    version = Version(before.version + len(events))
    is_kept = is_milestone(before.version, version)
    snapshot = snapshot_of(state, digest, is_kept=is_kept) if wants_snapshot else None
    append = StreamAppend(
        stream=before.stream,
        expected_version=before.version,
        append_id=append_id,
        records=records,
        bodies=tuple(stored),
        index=tuple(encode_index_row(key, entry) for key, entry in index.items()),
        generation=generation(state),
        status=status(state),
        at_ms=events[-1].at_ms,
        snapshot=snapshot,
    )
    return append, Folded(stream=before.stream, state=state, digest=digest)


def _states(state: State, events: Iterable[Event]) -> Sequence[State]:
    """Fold facts, and keep the state after each."""
    states: list[State] = []
    for event in events:
        state = evolve(state, event)
        states.append(state)
    return states


def encode_index_row(key: IndexKey, entry: IndexEntry) -> IndexRow:
    """Encode an index entry, tagged with its kind."""
    value = canonical_bytes(to_plain(entry) | {"kind": key.kind.value}, f"index entry {key.key!r}")
    return IndexRow(key=key, value=value)


def decode_index_entry(key: IndexKey, value: bytes) -> IndexEntry:
    """Decode a stored index entry; its key says what it must be."""
    what = f"index entry {key.key!r}"
    plain = plain_values(value, what)
    if plain.pop("kind", None) != key.kind.value:
        raise UndecodableValue(what=what, reason=f"expected the kind {key.kind.value!r}")
    return from_plain(plain, _ENTRY_CLASSES[key.kind], what)


def _bodies(
    position: Position, committed: tuple[Commitment, ...], content: dict[str, NewBody]
) -> Iterable[StoredBody]:
    for ordinal, commitment in enumerate(committed):
        body = content[commitment.digest]
        yield StoredBody(
            ref=BodyRef(position=position, ordinal=ordinal),
            media_type=body.media_type,
            salt=body.salt,
            content=body.content,
        )


def generation(state: State) -> Generation:
    """Return the generation of the last lease, for the head row."""
    match state:
        case Open():
            return state.lease.generation
        case Deleted():
            return state.generation
        case NotOpened():
            return Generation(0)
        case _:
            assert_never(state)


def status(state: State) -> str:
    """Say in one word how a session stands, for the list of sessions."""
    match state:
        case NotOpened():
            return "not opened"
        case Deleted():
            return "deleted"
        case Open():
            return "parked" if state.is_parked else "open"
        case _:
            assert_never(state)
