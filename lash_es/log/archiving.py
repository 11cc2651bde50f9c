"""
Writing archives: of what a trim lets go of, and of whole streams.

Bodies are written as they lie, sealed if they are sealed: an archive holds no more secrets than
the store that it came from, and needs no key. What a body names as a blob goes in front of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from lash_es.codec.records import GENESIS
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.log.appends import StoredBody
from lash_es.log.archive_files import LineWriter, archive_file
from lash_es.log.archive_lines import PinLine, StreamLine, blob_line, body_line, fact_line
from lash_es.log.blobs import Address, Blob
from lash_es.log.commitments import body_refs
from lash_es.log.errors import StoreUnavailable
from lash_es.log.loading import (
    Begun,
    Fact,
    begin,
    load_facts,
)
from lash_es.log.port import Store
from lash_es.log.removing import Going
from lash_es.log.sealed_bodies import blob_named
from lash_es.log.sealing_errors import SealBroken
from lash_es.log.trims import KeptHistory

BODIES_PER_PAGE: Final = 64
HEADS_PER_PAGE: Final = 256


class FolderArchive:
    """
    An ``Archive`` that writes a file for each trim into a folder.

    A file is named by namespace, session and the positions that it holds: a trim that was cut off
    and goes on writes what is left under a name of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, going: Going) -> None:
        """
        Write a file, and have it on the disk.

        Raises:
            OSError: it cannot be written.
            SealBroken: a blob that a body names is missing.
        """
        with archive_file(self._folder / archive_name(going)) as writer:
            _write_part(writer, going)


def archive_name(going: Going) -> str:
    """Name the file of what goes; a session id may be any text, so its digest stands for it."""
    session = hashlib.sha256(going.stream.session_id.encode()).hexdigest()[:16]
    return f"{going.stream.namespace}-{session}-{going.first}-{going.below}.jsonl.gz"


def _write_part(writer: LineWriter, going: Going) -> None:
    bodies = _Bodies(writer, going.store, going.stream)
    writer.write(
        StreamLine(
            namespace=going.stream.namespace,
            session=going.stream.session_id,
            is_whole=False,
            first=going.first,
            end=going.below,
            trim=None,
            before=GENESIS.hex() if going.first == 0 else "",
            digest=going.digest.hex(),
        )
    )
    for record, gone in going.parts():
        bodies.write(gone)
        if record is not None:
            writer.write(fact_line(record))


def export_streams(
    store: Store,
    streams: Iterable[StreamId],
    path: Path,
    on_fact: Callable[[], object] = lambda: None,
) -> None:
    """
    Write all that is kept of streams to a file: facts, bodies, blobs and pins.

    Index and snapshots are left out: they follow from the facts. Others may append meanwhile; a
    stream is written as it was when its turn came.

    Args:
        store: where they are.
        streams: each is written whole, or nothing is.
        path: the file, which appears when all of it is written.
        on_fact: called after each fact.

    Raises:
        CorruptHistory, CorruptBody, WrittenByNewerVersion, SealBroken: a stream cannot be read.
        StoreUnavailable: there is no such stream.
        OSError: the file cannot be written.

    Cost: reads everything twice: a stream is checked before it is written.
    """
    with archive_file(path) as writer:
        for stream in streams:
            _export(writer, store, stream, on_fact)


def all_streams(store: Store, namespace: str) -> Iterator[StreamId]:
    """List the streams of a namespace, ordered by key."""
    after = ""
    while heads := store.heads(namespace, after=after, heads_max=HEADS_PER_PAGE):
        yield from (head.stream for head in heads)
        after = heads[-1].stream.key


def _export(
    writer: LineWriter, store: Store, stream: StreamId, on_fact: Callable[[], object]
) -> None:
    begun = begin(store, stream)
    last: Fact | None = None
    for fact, _ in load_facts(store, begun.folded, begun.trim):
        last = fact
    if last is None:
        raise StoreUnavailable(where=store.where, reason=f"no session {stream.session_id!r}")
    writer.write(_stream_line(begun, last))
    for pin in store.pins(stream):
        writer.write(PinLine(name=pin.name, version=pin.version))
    bodies = _Bodies(writer, store, stream)
    if begun.trim is not None:
        bodies.read_and_write(body_refs(begun.trim.header))
        bodies.read_and_write(KeptHistory(store=store, fact=begun.trim).bodies())
    count = last.position - begun.folded.version + 1
    for fact, _ in islice(load_facts(store, begun.folded, begun.trim), count):
        if begun.trim is None or fact.position != begun.trim.position:
            bodies.read_and_write(body_refs(fact.header))
        writer.write(fact_line(fact.record))
        on_fact()


def _stream_line(begun: Begun, last: Fact) -> StreamLine:
    return StreamLine(
        namespace=last.stream.namespace,
        session=last.stream.session_id,
        is_whole=True,
        first=begun.folded.version,
        end=last.position + 1,
        trim=None if begun.trim is None else begun.trim.position,
        before=begun.folded.digest.hex(),
        digest=last.digest.hex(),
    )


class _Bodies:
    """Writes a stream's bodies, each with its blob in front of it."""

    def __init__(self, writer: LineWriter, store: Store, stream: StreamId) -> None:
        self._writer = writer
        self._store = store
        self._stream = stream

    def read_and_write(self, refs: Iterable[BodyRef]) -> None:
        """Read bodies as they lie, and write them in order; what was erased is left out."""
        wanted = iter(refs)
        while page := tuple(islice(wanted, BODIES_PER_PAGE)):
            found = self._store.as_stored.read_bodies(self._stream, page)
            self.write(found[ref] for ref in page if ref in found)

    def write(self, bodies: Iterable[StoredBody]) -> None:
        """Write bodies."""
        for body in bodies:
            address = blob_named(self._stream, body)
            if address is not None:
                self._writer.write(blob_line(self._blob(body, address)))
            self._writer.write(body_line(body))

    def _blob(self, body: StoredBody, address: Address) -> Blob:
        content = self._store.read_named_blobs((address,)).get(address)
        if content is None:
            raise SealBroken(
                session_id=self._stream.session_id,
                position=body.ref.position,
                ordinal=body.ref.ordinal,
                reason="its blob is missing",
            )
        return Blob(address=address, content=content)
