"""
The lines of an archive: one JSON object each, that says by ``kind`` what it is.

::

    archive   the first line: the version of this format
    stream    whose facts follow, from where to where, and how they begin
    blob      bytes that the next body names
    body      as it lies in the store, sealed if it is sealed
    fact      one record
    pin       a version that is held
    end       the last line: counts, and the digest of all lines before it

Bytes are base64, digests hexadecimal. Keys are sorted and nothing is optional, so that the same
facts make the same lines.
"""

import base64
from collections.abc import Mapping
from typing import Final, TypeAlias

import orjson
from attrs import frozen

from lash_es.codec.canonical import plain_values
from lash_es.codec.errors import UndecodableValue
from lash_es.codec.records import Record
from lash_es.codec.shapes import from_plain
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.log.appends import StoredBody
from lash_es.log.blobs import Address, Blob

ARCHIVE_VERSION: Final = 1


@frozen(kw_only=True)
class ArchiveLine:
    """The first line."""

    version: int


@frozen(kw_only=True)
class StreamLine:
    """
    A stream's facts from ``first`` up to ``end``.

    ``is_whole``: it is all that is kept of the stream, and ``before`` the digest in front of the
    first; otherwise it is what a trim let go of, and ``before`` is empty. ``trim`` is the position
    of the trim that the first fact follows, none if it follows nothing. ``digest`` is the last
    fact's.
    """

    namespace: str
    session: str
    is_whole: bool
    first: int
    end: int
    trim: int | None
    before: str
    digest: str


@frozen(kw_only=True)
class FactLine:
    """A record."""

    position: int
    name: str
    digest: str
    header: str

    @property
    def record(self) -> Record:
        """The record that it holds."""
        return Record(
            position=Position(self.position),
            name=self.name,
            digest=bytes.fromhex(self.digest),
            header=_bytes(self.header),
        )


@frozen(kw_only=True)
class BodyLine:
    """A body as it lies in the store."""

    position: int
    ordinal: int
    media_type: str
    salt: str
    content: str
    sealing: str

    @property
    def body(self) -> StoredBody:
        """The body that it holds."""
        return StoredBody(
            ref=BodyRef(position=Position(self.position), ordinal=self.ordinal),
            media_type=self.media_type,
            salt=_bytes(self.salt),
            content=_bytes(self.content),
            sealing=self.sealing,
        )


@frozen(kw_only=True)
class BlobLine:
    """The blob that the next body names."""

    address: str
    content: str

    @property
    def blob(self) -> Blob:
        """The blob that it holds, under the address that it says."""
        address = Address(bytes.fromhex(self.address))
        return Blob(address=address, content=_bytes(self.content))


@frozen(kw_only=True)
class PinLine:
    """A pin of the stream."""

    name: str
    version: Version


@frozen(kw_only=True)
class EndLine:
    """The last line: how much there was, and SHA-256 over all lines in front of it."""

    streams: int
    facts: int
    bodies: int
    blobs: int
    sha256: str


Line: TypeAlias = ArchiveLine | StreamLine | FactLine | BodyLine | BlobLine | PinLine | EndLine

_KINDS: Final[Mapping[str, type[Line]]] = {
    "archive": ArchiveLine,
    "stream": StreamLine,
    "fact": FactLine,
    "body": BodyLine,
    "blob": BlobLine,
    "pin": PinLine,
    "end": EndLine,
}
_NAMES: Final[Mapping[type[Line], str]] = {kind: name for name, kind in _KINDS.items()}


def fact_line(record: Record) -> FactLine:
    """Write a record down."""
    return FactLine(
        position=record.position,
        name=record.name,
        digest=record.digest.hex(),
        header=_text(record.header),
    )


def body_line(body: StoredBody) -> BodyLine:
    """Write a body down."""
    return BodyLine(
        position=body.ref.position,
        ordinal=body.ref.ordinal,
        media_type=body.media_type,
        salt=_text(body.salt),
        content=_text(body.content),
        sealing=body.sealing,
    )


def blob_line(blob: Blob) -> BlobLine:
    """Write a blob down."""
    return BlobLine(address=blob.address.hex(), content=_text(blob.content))


def encode_line(line: Line) -> bytes:
    """Encode a line, with its end."""
    plain = {name: getattr(line, name) for name in type(line).__annotations__}
    plain["kind"] = _NAMES[type(line)]
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def decode_line(encoded: bytes) -> Line:
    """
    Decode a line.

    Raises:
        UndecodableValue: it is none that this version knows.
    """
    plain = plain_values(encoded, "line")
    kind = plain.pop("kind", None)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UndecodableValue(what="line", reason=f"no kind {kind!r}"[:200])
    return from_plain(plain, _KINDS[kind], f"{kind} line")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
