"""
Checking what an archive says of a stream, fact by fact: chain, place, bodies, fold.

What is sealed with a key can only be checked as far as its blob's address goes. A body that is
left out has been erased, or stayed in the store that the archive came from.
"""

from attrs import Factory, define, field, frozen

from lash_es.codec.records import Header, Record, chain_digest, decode_event, decode_header
from lash_es.codec.streams import StreamId
from lash_es.codec.trims import decode_trim_content
from lash_es.core.bodies import BodyRef, Commitment, RecordedBody, salted_digest
from lash_es.core.errors import ImpossibleEvent
from lash_es.core.events import Event, HistoryTrimmed
from lash_es.core.evolve import evolve
from lash_es.core.fork_events import SessionForked
from lash_es.core.ids import Position, SessionId
from lash_es.core.index import index_rows
from lash_es.core.state import NOT_OPENED, State
from lash_es.core.trims import BodyPage, IndexPage, KeptState
from lash_es.log.appends import IndexRow, StoredBody
from lash_es.log.archive_lines import BodyLine, FactLine, Line, StreamLine
from lash_es.log.blobs import Blob
from lash_es.log.encoding import encode_index_row
from lash_es.log.sealed_bodies import blob_named, open_body
from lash_es.log.sealing import AtRest
from lash_es.log.trims import kept_key

_CLEAR = AtRest()
"""Opens what is compressed, and nothing that is encrypted."""


class Unsound(Exception):
    """Why a line cannot be what it says, in words."""


@frozen(kw_only=True)
class CheckedFact:
    """A record that belongs where it is, the state after it if that is known, and its index."""

    record: Record
    at_ms: int
    state: State
    index: tuple[IndexRow, ...]


@define
class StreamCheck:
    """
    What has been seen of a stream; ``start`` is the state that its first fact follows. What a
    trim let go of is not folded.
    """

    line: StreamLine
    stream: StreamId
    position: Position
    digest: bytes | None
    state: State = NOT_OPENED
    start: State = NOT_OPENED
    kept_index: list[IndexRow] = Factory(list[IndexRow])
    _seen: dict[BodyRef, Commitment | None] = field(factory=dict[BodyRef, Commitment | None])
    _kept: dict[BodyRef, RecordedBody] = field(factory=dict[BodyRef, RecordedBody])

    @classmethod
    def of(cls, line: StreamLine) -> "StreamCheck":
        """Begin with a stream's line."""
        is_begun = line.trim is not None
        if not 0 <= line.first < line.end or is_begun != (line.is_whole and line.first > 0):
            raise Unsound("it says of itself what cannot be")
        if line.is_whole and not line.before:
            raise Unsound("it does not say what its first fact follows")
        return cls(
            line=line,
            stream=StreamId(line.namespace, SessionId(line.session)),
            position=Position(line.first),
            digest=_digest(line.before) if line.before else None,
        )

    def body(self, body: StoredBody, blob: Blob | None) -> None:
        """Take note of a body, which comes in front of its fact."""
        address = blob_named(self.stream, body)
        if (None if blob is None else blob.address) != address:
            raise Unsound("a body and the blob in front of it do not belong together")
        opened = open_body(_CLEAR, self.stream, body, None if blob is None else blob.content)
        if body.ref in self._seen:
            raise Unsound("a body is there twice")
        self._seen[body.ref] = None if opened.sealing else _commitment(opened)
        if self.line.is_whole and body.ref.position == self.line.trim:
            self._page(body)

    def _page(self, body: StoredBody) -> None:
        """Read a body of the trim that the stream begins at."""
        if body.sealing:
            raise Unsound("a body of a trim is sealed")
        page = decode_trim_content(body.content, body.media_type)
        if isinstance(page, KeptState):
            if page.state.version != self.line.first:
                raise Unsound("the state is not the one that the first fact follows")
            self.state = self.start = page.state
        elif isinstance(page, IndexPage):
            self.kept_index.extend(
                encode_index_row(kept_key(each), each.entry) for each in page.entries
            )
        elif isinstance(page, BodyPage):
            self._kept.update((each.ref, each) for each in page.bodies)

    def fact(self, record: Record) -> CheckedFact:
        """Check the next fact."""
        if record.position != self.position or record.position >= self.line.end:
            raise Unsound(f"expected the fact at position {self.position}")
        if self.line.trim is not None and self.start == NOT_OPENED:
            raise Unsound("the state that the first fact follows is missing")
        if self.digest is not None and chain_digest(self.digest, record.header) != record.digest:
            raise Unsound("the fact's digest does not match its bytes")
        header = decode_header(self.stream, record)
        self._bodies(header)
        event = decode_event(header)
        if record.position == self.line.trim:
            self._trim(event)
        index = self._fold(event) if self.line.is_whole else ()
        self.position = Position(self.position + 1)
        self.digest = record.digest
        return CheckedFact(
            record=record, at_ms=header.recorded_at_ms, state=self.state, index=index
        )

    def _fold(self, event: Event) -> tuple[IndexRow, ...]:
        try:
            after = evolve(self.state, event)
        except ImpossibleEvent as cause:
            raise Unsound(cause.summary()) from cause
        rows = index_rows(self.state, event)
        self.state = after
        return tuple(encode_index_row(key, entry) for key, entry in rows)

    def _bodies(self, header: Header) -> None:
        for ordinal, commitment in enumerate(header.bodies):
            self._compare(BodyRef(position=header.position, ordinal=ordinal), commitment)

    def _compare(self, ref: BodyRef, commitment: Commitment) -> None:
        found = self._seen.pop(ref, None)
        if found is not None and found != commitment:
            raise Unsound(f"body {ref.ordinal} of position {ref.position} is another one")

    def _trim(self, event: Event) -> None:
        """Compare the trim with what was taken on trust until it came."""
        if not isinstance(event, HistoryTrimmed | SessionForked):
            raise Unsound("the trim that the stream begins at is none")
        if (event.below, event.digest) != (self.line.first, self.line.before):
            raise Unsound("the trim that the stream begins at is another one")
        for body in self._kept.values():
            self._compare(body.ref, body.commitment)

    def end(self) -> None:
        """Check that nothing is missing, and nothing left over."""
        if self.position != self.line.end or self.digest != _digest(self.line.digest):
            raise Unsound(f"it ends in front of position {self.position}, not as it says")
        left = [ref for ref in self._seen if self.line.is_whole or ref.position >= self.line.first]
        if left:
            raise Unsound(f"a body of position {left[0].position} belongs to no fact")


def take(check: StreamCheck, line: Line, blob: Blob | None) -> CheckedFact | None:
    """Check one line of a stream; ``blob`` is the line in front of it, if that was one."""
    if isinstance(line, BodyLine):
        check.body(line.body, blob)
        return None
    if blob is not None:
        raise Unsound("a blob is named by no body")
    return check.fact(line.record) if isinstance(line, FactLine) else None


def _commitment(body: StoredBody) -> Commitment:
    return Commitment(
        digest=salted_digest(body.salt, body.content),
        bytes_count=len(body.content),
        media_type=body.media_type,
    )


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as cause:
        raise Unsound("a digest is no hexadecimal") from cause
