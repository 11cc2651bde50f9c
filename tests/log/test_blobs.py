"""Every store keeps the clauses of blobs, and the layer that seals keeps those of every store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.log.appends import AppendResult, StoredBody, StreamAppend
from lash_es.log.blobs import Address, KeptBlob
from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log import blob_clauses as suite
from tests.log.blob_clauses import BLOB_CLAUSES
from tests.log.conformance import Clause, MakeStore
from tests.log.sealed_stores import SEALED_CLAUSES, sealed


def _maker(tmp_path: Path, kind: str, made: list[Store]) -> MakeStore:
    backend, _, way = kind.partition("-")

    def make() -> Store:
        number = len(made)
        path = tmp_path / f"{number}.db"
        store: Store = (
            MemoryStore() if backend == "memory" else SQLiteStore.open(path, create=True)
        )
        if way:
            folder = tmp_path / f"{number}.blobs" if way.endswith("+folder") else None
            store = sealed(store, way.removesuffix("+folder"), folder)
        made.append(store)
        return store

    return make


def _made(tmp_path: Path, kind: str) -> Iterator[MakeStore]:
    made: list[Store] = []
    yield _maker(tmp_path, kind, made)
    for store in made:
        store.close()


@pytest.fixture(params=["memory", "sqlite", "sqlite-all+folder"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    yield from _made(tmp_path, request.param)


SEALED = ("memory-compressed", "memory-all+folder", "sqlite-all")


@pytest.fixture(params=SEALED)
def make_sealed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    yield from _made(tmp_path, request.param)


@pytest.mark.parametrize("clause", BLOB_CLAUSES, ids=lambda clause: clause.__name__)
def test_every_store_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


@pytest.mark.parametrize("clause", SEALED_CLAUSES, ids=lambda clause: clause.__name__)
def test_the_layer_that_seals_keeps(clause: Clause, make_sealed: MakeStore) -> None:
    clause(make_sealed)


# Planted faults


class ForgetsTheSealing(MemoryStore):
    def read_bodies(
        self, stream: StreamId, refs: Sequence[BodyRef]
    ) -> Mapping[BodyRef, StoredBody]:
        found = super().read_bodies(stream, refs)
        return {ref: attrs.evolve(body, sealing="") for ref, body in found.items()}


class WritesBlobsBeforeItCompares(MemoryStore):
    def append(self, appends: Sequence[StreamAppend]) -> AppendResult:
        for append in appends:
            self._blobs.write(append.blobs, append.at_ms)
        return super().append(appends)


class ListsBackwards(MemoryStore):
    def read_blob_page(self, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
        return super().read_blob_page(after, blobs_max)[::-1]


class NamesEverything(MemoryStore):
    def read_blob_names(self, after: Address, names_max: int) -> tuple[Address, ...]:
        bodies = (body for kept in self._streams.values() for body in kept.bodies.values())
        named = sorted(body.content for body in bodies if body.sealing and body.content > after)
        return tuple(Address(name) for name in named)[:names_max]


class DeletesWhatItIsTold(MemoryStore):
    def delete_blobs(self, kept: Sequence[KeptBlob]) -> int:
        now = {each.address: each for each in suite.listed(self).values()}
        return super().delete_blobs([now[each.address] for each in kept if each.address in now])


class NeverCloses(MemoryStore):
    def close(self) -> None:
        pass


CAUGHT: tuple[tuple[type[MemoryStore], Clause], ...] = (
    (ForgetsTheSealing, suite.a_sealing_is_kept_with_its_body),
    (WritesBlobsBeforeItCompares, suite.blobs_are_written_with_their_facts),
    (ListsBackwards, suite.blobs_are_listed_in_pages_by_address),
    (NamesEverything, suite.addresses_that_bodies_name_are_listed_once),
    (DeletesWhatItIsTold, suite.a_blob_that_was_written_again_is_not_deleted),
    (NeverCloses, suite.a_closed_store_has_no_blobs),
)


@pytest.mark.parametrize(
    ("faulty", "clause"), CAUGHT, ids=lambda each: getattr(each, "__name__", None)
)
def test_the_clauses_catch_a_store_that(faulty: Callable[[], Store], clause: Clause) -> None:
    with pytest.raises(AssertionError):
        clause(faulty)


def test_every_clause_catches_a_fault() -> None:
    assert {clause for _, clause in CAUGHT} == set(BLOB_CLAUSES)
