"""What any store owes of sealings and blobs; as ``conformance.py``, clause by clause."""

from collections.abc import Callable

import attrs

from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, Version
from lash_es.log.appends import Appended, Conflict, StoredBody, StreamAppend
from lash_es.log.blobs import FIRST_ADDRESS, Address, Blob, KeptBlob
from lash_es.log.errors import StoreClosed
from lash_es.log.port import Store
from tests.log.conformance import A, B, Clause, MakeStore, an_append, refused, stored_body

SEALING = "key=nobody-has-it"
BLOBS = tuple(sorted((Blob.of(bytes([n]) * n) for n in range(5)), key=lambda blob: blob.address))


def names(blob: Blob, position: int = 0, ordinal: int = 0) -> StoredBody:
    """Make a body whose content is a blob's address."""
    body = attrs.evolve(stored_body(position, "", ordinal), salt=b"", content=blob.address)
    return attrs.evolve(body, sealing=f"blob;{SEALING}")


def with_blobs(append: StreamAppend, *blobs: Blob, at_ms: int = 1_000) -> StreamAppend:
    """Let an append bring blobs."""
    return attrs.evolve(append, blobs=blobs, at_ms=at_ms)


def listed(store: Store) -> dict[Address, KeptBlob]:
    """List every blob."""
    return {kept.address: kept for kept in store.read_blob_page(FIRST_ADDRESS, 99)}


def a_sealing_is_kept_with_its_body(make_store: MakeStore) -> None:
    store = make_store()
    bodies = (
        attrs.evolve(stored_body(0, "ciphertext \x00"), salt=b"", sealing=SEALING),
        attrs.evolve(stored_body(0, "", 1), sealing=SEALING),
    )
    store.append([an_append(A, 0, bodies=bodies)])
    more = tuple(
        attrs.evolve(b, ref=BodyRef(position=Position(1), ordinal=n)) for n, b in enumerate(bodies)
    )
    store.append([an_append(A, 1, bodies=more), an_append(B, 0)])

    found = store.read_bodies(A, [body.ref for body in bodies + more])
    assert dict(found) == {body.ref: body for body in bodies + more}


def blobs_are_written_with_their_facts(make_store: MakeStore) -> None:
    store = make_store()
    assert store.read_blob_page(FIRST_ADDRESS, 9) == ()
    late = with_blobs(an_append(A, 3, bodies=(names(BLOBS[0], 3),)), BLOBS[0])
    assert isinstance(store.append([late]), Conflict)
    assert listed(store) == {}
    two = [
        with_blobs(an_append(A, 0, bodies=(names(BLOBS[0]),)), BLOBS[0]),
        with_blobs(an_append(B, 0, bodies=(names(BLOBS[0]),)), BLOBS[0], BLOBS[1]),
    ]
    assert store.append(two) == Appended(versions=(Version(1), Version(1)))

    wanted = [BLOBS[1].address, BLOBS[2].address, BLOBS[0].address]
    assert dict(store.read_blobs(wanted)) == {blob.address: blob.content for blob in BLOBS[:2]}
    assert dict(store.read_blobs([])) == {}


def blobs_are_listed_in_pages_by_address(make_store: MakeStore) -> None:
    store = make_store()
    store.append([with_blobs(an_append(A, 0), *reversed(BLOBS))])
    pages: list[KeptBlob] = []
    after = FIRST_ADDRESS
    while page := store.read_blob_page(after, 2):
        assert len(page) <= 2
        pages.extend(page)
        after = page[-1].address

    assert [kept.address for kept in pages] == [blob.address for blob in BLOBS]
    assert {kept.at_ms for kept in pages} == {1_000}


def addresses_that_bodies_name_are_listed_once(make_store: MakeStore) -> None:
    store = make_store()
    inline = attrs.evolve(stored_body(0, "", 2), content=BLOBS[3].address, sealing=SEALING)
    bodies = (names(BLOBS[2]), names(BLOBS[0], 0, 1), inline)
    store.append([with_blobs(an_append(A, 0, bodies=bodies), BLOBS[2], BLOBS[0])])
    again = names(BLOBS[0], 0)
    store.append([with_blobs(an_append(B, 0, bodies=(again,)), BLOBS[0])])

    assert store.read_blob_names(FIRST_ADDRESS, 9) == (BLOBS[0].address, BLOBS[2].address)
    assert store.read_blob_names(FIRST_ADDRESS, 1) == (BLOBS[0].address,)
    assert store.read_blob_names(BLOBS[0].address, 9) == (BLOBS[2].address,)


def a_blob_that_was_written_again_is_not_deleted(make_store: MakeStore) -> None:
    store = make_store()
    store.append([with_blobs(an_append(A, 0), *BLOBS[:3])])
    before = listed(store)
    # Whatever the clock says: it may stand still, or have been put back.
    store.append([with_blobs(an_append(A, 1), BLOBS[0], at_ms=1_000)])
    store.append([with_blobs(an_append(A, 2), BLOBS[1], at_ms=0)])

    assert store.delete_blobs([before[blob.address] for blob in BLOBS[:3]]) == 1
    assert set(listed(store)) == {blob.address for blob in BLOBS[:2]}
    assert store.delete_blobs([before[BLOBS[2].address]]) == 0
    assert store.delete_blobs([]) == 0
    assert store.delete_blobs(list(listed(store).values())) == 2


def a_closed_store_has_no_blobs(make_store: MakeStore) -> None:
    store = make_store()
    store.close()
    acts: tuple[Callable[[], object], ...] = (
        lambda: store.read_blobs([BLOBS[0].address]),
        lambda: store.read_blob_page(FIRST_ADDRESS, 1),
        lambda: store.read_blob_names(FIRST_ADDRESS, 1),
        lambda: store.delete_blobs([KeptBlob(address=BLOBS[0].address, token=1, at_ms=1)]),
    )
    for act in acts:
        refused(StoreClosed, act)


BLOB_CLAUSES: tuple[Clause, ...] = (
    a_sealing_is_kept_with_its_body,
    blobs_are_written_with_their_facts,
    blobs_are_listed_in_pages_by_address,
    addresses_that_bodies_name_are_listed_once,
    a_blob_that_was_written_again_is_not_deleted,
    a_closed_store_has_no_blobs,
)
