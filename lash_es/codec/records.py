"""
Record formats 1 and 2: a fact as it is stored (ADRs 0003, 0023).

1. A *header* is canonical JSON: who, where, when, why, the control payload, and for each body a
   commitment.
2. A record's digest is SHA-256(``lash-es/1`` + the digest before + header bytes); the first one's
   before is zeros.
3. On load the stored bytes are hashed, never re-encoded.
4. ``state`` of a stored event is digest + header, so that a changed byte is found at its own
   position.
5. Format 2 is format 1 with one event more, ``history.trimmed``.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from lash_es.codec.canonical import canonical_bytes, plain_values
from lash_es.codec.errors import (
    CorruptHistory,
    StoredDataError,
    UndecodableValue,
    UnencodableValue,
    WrittenByNewerVersion,
)
from lash_es.codec.mirrors import NOT_READ
from lash_es.codec.readers import Envelope, commitment, read_envelope, reader
from lash_es.codec.shapes import from_plain, to_plain
from lash_es.codec.streams import StreamId
from lash_es.codec.upcast import upcast
from lash_es.codec.wire_names import EVENT_CLASSES, EVENT_NAMES
from lash_es.core.bodies import Commitment
from lash_es.core.events import Event
from lash_es.core.ids import AppendId, Generation, Position, SessionId
from lash_es.core.makers import maker

RECORD_FORMAT: Final = 2
"""The newest that is known here. What a database is written in, it says itself."""

FORMAT_OF_TRIMS: Final = 2
"""The first in which a session may be trimmed."""

DIGEST_BYTES: Final = 32
GENESIS: Final = bytes(DIGEST_BYTES)
_CHAIN: Final = b"lash-es/1"
_NOWHERE: Final = StreamId("default", SessionId(""))


@frozen(kw_only=True)
class Record:
    """A fact on its way into a store, or out of it. ``name`` is the wire name."""

    position: Position
    name: str
    digest: bytes
    header: bytes

    @property
    def stored(self) -> bytes:
        """What the store keeps: digest and header in one."""
        return self.digest + self.header


@frozen(kw_only=True)
class Header:
    """
    A header, read.

    ``recorded_at_ms`` never falls; ``generation`` is the owner's, none if no owner wrote it.
    """

    stream: StreamId
    position: Position
    name: str
    schema_version: int
    recorded_at_ms: int
    append_id: AppendId
    cause: Position | None
    generation: Generation | None
    bodies: tuple[Commitment, ...]
    data: dict[str, object]


_header = maker(Header)


@frozen(kw_only=True)
class Caused:
    """A fact to be recorded, and the position of the fact that led to it."""

    event: Event
    cause: Position | None


def chain_digest(before: bytes, header: bytes) -> bytes:
    """Return the digest of a record from the one before it and its header's bytes."""
    return hashlib.sha256(_CHAIN + before + header).digest()


def encode_records(
    stream: StreamId, first: Position, before: bytes, append_id: AppendId, facts: Sequence[Caused]
) -> tuple[Record, ...]:
    """
    Encode facts that follow the record with digest ``before``; the first gets position ``first``.

    Each is read back, since a fact that nobody can read would end its session for ever.

    Raises:
        UnencodableValue: one cannot be written, or not be read again.
    """
    records: list[Record] = []
    for position, fact in enumerate(facts, start=first):
        name, _ = EVENT_NAMES[type(fact.event)]
        header = _header_bytes(stream, Position(position), append_id, fact)
        before = chain_digest(before, header)
        record = Record(position=Position(position), name=name, digest=before, header=header)
        _require_readable(stream, record)
        records.append(record)
    return tuple(records)


def require_recordable(event: Event) -> None:
    """
    Refuse, before it is decided upon, an event that could not be recorded.

    Raises:
        UnencodableValue: as ``encode_records``.
    """
    encode_records(_NOWHERE, Position(0), GENESIS, AppendId(""), [Caused(event=event, cause=None)])


def _require_readable(stream: StreamId, record: Record) -> None:
    try:
        read_event(stream, record)
    except StoredDataError as cause:
        reason = str(cause.fields.get("reason", ""))[:300]
        raise UnencodableValue(what=record.name, reason=reason) from cause


def _header_bytes(
    stream: StreamId, position: Position, append_id: AppendId, fact: Caused
) -> bytes:
    name, schema_version = EVENT_NAMES[type(fact.event)]
    data = to_plain(fact.event)
    plain = {
        "append": append_id,
        "at": data.pop("at_ms"),
        "bodies": data.pop("bodies", []),
        "cause": fact.cause,
        "data": data,
        "gen": data.pop("generation", None),
        "name": name,
        "ns": stream.namespace,
        "pos": position,
        "session": stream.session_id,
        "v": schema_version,
    }
    return canonical_bytes(plain, f"{name} at position {position}")


@frozen(kw_only=True)
class _StoredHeader:
    append: AppendId
    at: int
    bodies: tuple[Commitment, ...]
    cause: Position | None
    data: dict[str, object]
    gen: Generation | None
    name: str
    ns: str
    pos: Position
    session: str
    v: int


def read_event(stream: StreamId, record: Record) -> Event:
    """
    Read a record's event: what ``decode_event`` makes of ``decode_header``, ten times as fast.

    Raises:
        CorruptHistory, WrittenByNewerVersion: as those two.
    """
    read = reader(record.name)
    if read is not None:
        try:
            event = read(record.header, stream.namespace, stream.session_id, record.position)
        except NOT_READ:
            event = None
        if event is not None:
            return event
    return decode_event(decode_header(stream, record))


def decode_header(stream: StreamId, record: Record) -> Header:
    """
    Read a header, fast if it is as it is written today, and check that it belongs where it was
    found.

    Raises:
        CorruptHistory: it is not a header, or it is another stream's, or of another position.
    """
    header = _read_header(stream, record)
    return _decode_header(stream, record) if header is None else header


def decode_commitments(stream: StreamId, record: Record) -> tuple[Commitment, ...]:
    """
    Read what a fact commits to: the bodies of ``decode_header``, without looking at its payload.

    Raises:
        CorruptHistory: as ``decode_header``, of what is read.
    """
    stored = _read_envelope(stream, record)
    return decode_header(stream, record).bodies if stored is None else _commitments(stored)


def _decode_header(stream: StreamId, record: Record) -> Header:
    """Decode by cattrs, which says what is wrong."""
    what = f"header at position {record.position}"
    try:
        stored = from_plain(plain_values(record.header, what), _StoredHeader, what)
    except UndecodableValue as cause:
        raise _corrupt(stream, record, cause.reason) from cause
    found = (stored.ns, stored.session, stored.pos, stored.name)
    if found != (stream.namespace, stream.session_id, record.position, record.name):
        raise _corrupt(stream, record, f"the header is of {stored.name} at position {stored.pos}")
    return Header(
        stream=stream,
        position=stored.pos,
        name=stored.name,
        schema_version=stored.v,
        recorded_at_ms=stored.at,
        append_id=stored.append,
        cause=stored.cause,
        generation=stored.gen,
        bodies=stored.bodies,
        data=stored.data,
    )


def _read_envelope(stream: StreamId, record: Record) -> Envelope | None:
    """Read what is written today and lies where it belongs; the rest is left to cattrs."""
    try:
        stored = read_envelope(record.header)
    except NOT_READ:
        return None
    found = (stored.ns, stored.session, stored.pos, stored.name)
    expected = (stream.namespace, stream.session_id, record.position, record.name)
    return stored if found == expected else None


def _commitments(stored: Envelope) -> tuple[Commitment, ...]:
    return tuple(
        [
            commitment(
                digest=each.digest, bytes_count=each.bytes_count, media_type=each.media_type
            )
            for each in stored.bodies
        ]
    )


def _read_header(stream: StreamId, record: Record) -> Header | None:
    stored = _read_envelope(stream, record)
    if stored is None:
        return None
    try:
        data = plain_values(memoryview(stored.data), "data")
    except UndecodableValue:
        return None
    return _header(
        stream=stream,
        position=Position(stored.pos),
        name=stored.name,
        schema_version=stored.v,
        recorded_at_ms=stored.at,
        append_id=AppendId(stored.append),
        cause=None if stored.cause is None else Position(stored.cause),
        generation=None if stored.gen is None else Generation(stored.gen),
        bodies=_commitments(stored),
        data=data,
    )


def decode_event(header: Header) -> Event:
    """
    Read the event of a header, upcast to today's shape.

    Raises:
        WrittenByNewerVersion: the name or its version is not known here.
        CorruptHistory: the payload does not have the shape of its name.
    """
    event_class = EVENT_CLASSES.get(header.name)
    current = 0 if event_class is None else EVENT_NAMES[event_class][1]
    if event_class is None or header.schema_version > current:
        raise WrittenByNewerVersion(
            session_id=header.stream.session_id,
            position=header.position,
            name=header.name,
            schema_version=header.schema_version,
        )
    try:
        data = upcast(header.name, header.schema_version, dict(header.data), current=current)
        return _event(event_class, data, header)
    except UndecodableValue as cause:
        raise CorruptHistory(
            session_id=header.stream.session_id, position=header.position, reason=cause.reason
        ) from cause


def _event(event_class: type[Event], data: dict[str, object], header: Header) -> Event:
    """Put back what the header holds for every event."""
    data["at_ms"] = header.recorded_at_ms
    if header.generation is not None:
        data["generation"] = header.generation
    if has_bodies(event_class):
        data["bodies"] = [to_plain(body) for body in header.bodies]
    return from_plain(data, event_class, f"{header.name} at position {header.position}")


def has_bodies(event_class: type[Event]) -> bool:
    """Tell whether events of this class commit to bodies."""
    return "bodies" in event_class.__annotations__


def _corrupt(stream: StreamId, record: Record, reason: str) -> CorruptHistory:
    return CorruptHistory(session_id=stream.session_id, position=record.position, reason=reason)
