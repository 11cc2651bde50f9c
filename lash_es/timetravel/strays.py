"""
What lies in a database and follows from no session's facts: bodies that no fact names, facts in
front of the first, activity after the end, blobs that no body names.

Each is found by going through what is there in pages, and asking the facts.
"""

from collections.abc import Iterator
from typing import Final

from lash_es.codec.errors import StoredDataError
from lash_es.codec.records import decode_header
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position
from lash_es.log.blobs import FIRST_ADDRESS, Address, Blobs, KeptBlob, address_of
from lash_es.log.commitments import body_refs
from lash_es.log.inspecting import Inspection
from lash_es.log.port import Store
from lash_es.log.sealed_bodies import blob_named
from lash_es.log.sweeping import GRACE_MS, Roots
from lash_es.log.trims import KeptHistory, from_kept

ROWS_PER_PAGE: Final = 256
BODIES_PER_PAGE: Final = 64
"""How many bodies are held at once, each at most as large as may lie beside the facts."""
_IN_FRONT_OF_ALL: Final = Position(-(2**63))


def facts_in_front(store: Store, stream: StreamId) -> Iterator[Position]:
    """Find facts in front of the first that is kept. Cost: two statements a page of them."""
    first = _IN_FRONT_OF_ALL
    while True:
        head = store.head(stream)
        oldest = 0 if head is None else head.oldest
        page = store.read(stream, first, ROWS_PER_PAGE)
        found = [record.position for record in page if record.position < oldest]
        yield from found
        if len(found) < ROWS_PER_PAGE:
            return
        first = Position(found[-1] + 1)


def stray_bodies(store: Store, inspection: Inspection, stream: StreamId) -> Iterator[BodyRef]:
    """
    Find bodies that no fact names, and no trim has kept.

    Raises:
        StoredDataError: what a trim has kept cannot be read, so nobody can say.

    Cost: reads the stream's facts once, from its first body's to its last body's, in pages.
    """
    after: BodyRef | None = None
    while page := inspection.body_refs(stream, after, ROWS_PER_PAGE):
        unnamed = set(page) - _named_among(store, stream, page)
        if unnamed:
            unnamed -= set(from_kept(store, stream, KeptHistory.bodies) or ())
        yield from (ref for ref in page if ref in unnamed)
        after = page[-1]


def _named_among(store: Store, stream: StreamId, refs: tuple[BodyRef, ...]) -> set[BodyRef]:
    """Return those of the refs, which are in order, that a fact names."""
    asked, named = set(refs), set[BodyRef]()
    first, last = refs[0].position, refs[-1].position
    while first <= last:
        page = store.read(stream, first, ROWS_PER_PAGE)
        for record in page:
            try:
                named.update(asked.intersection(body_refs(decode_header(stream, record))))
            except StoredDataError:
                # What a damaged fact named is not known; that it is damaged is told elsewhere.
                named.update(ref for ref in refs if ref.position == record.position)
        if len(page) < ROWS_PER_PAGE:
            break
        first = Position(page[-1].position + 1)
    return named


def damaged_blobs(
    store: Store, inspection: Inspection, stream: StreamId
) -> Iterator[tuple[BodyRef, str]]:
    """
    Find bodies whose blob is missing, or is another one. It needs no key: a blob is named by its
    bytes as they lie.

    Cost: reads every blob that the stream names, one at a time.
    """
    after: BodyRef | None = None
    while page := inspection.body_refs(stream, after, BODIES_PER_PAGE):
        for ref, body in store.as_stored.read_bodies(stream, page).items():
            address = blob_named(stream, body) if body.sealing else None
            if address is None:
                continue
            content = store.read_named_blobs((address,)).get(address)
            if content is None:
                yield ref, "its blob is missing"
            elif address_of(content) != address:
                yield ref, "its blob's bytes are not those that it is named by"
        after = page[-1]


def activity_after_end(store: Store, stream: StreamId) -> tuple[int, int] | None:
    """Find the first activity that the head row does not count, as ``(version, seq)``."""
    head = store.head(stream)
    if head is None:
        return None
    end = (head.version, head.activity_seq)
    found = store.read_activity(stream, after=end, activities_max=1)
    later = store.head(stream)
    if not found or later is None:
        return None
    place = (found[0].version, found[0].seq)
    # What was written since is counted by now.
    return place if place > (later.version, later.activity_seq) else None


def unnamed_blobs(blobs: Blobs, roots: Roots, *, now_ms: int) -> Iterator[KeptBlob]:
    """
    Find blobs that nothing names, for longer than a sweep waits. Both are read in order, once.
    """
    names = iter(roots())
    name: Address | None = next(names, None)
    after = FIRST_ADDRESS
    while page := blobs.page(after, ROWS_PER_PAGE):
        for kept in page:
            while name is not None and name < kept.address:
                name = next(names, None)
            if name != kept.address and kept.at_ms < now_ms - GRACE_MS:
                yield kept
        after = page[-1].address
