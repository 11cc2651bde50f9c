"""Sealings and blobs in PostgreSQL: the clauses, the layer that seals, and two at one blob."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lash_es.log.appends import Appended, Unknown
from lash_es.log.blobs import FIRST_ADDRESS
from lash_es.log.errors import StoreFailed
from lash_es.log.port import Store
from lash_es.log.stores.postgres import PostgresStore
from lash_es.log.sweeping import Swept, TableBlobs, body_roots, sweep
from tests.log.blob_clauses import BLOB_CLAUSES, BLOBS, listed, names, with_blobs
from tests.log.conformance import (
    A,
    B,
    Clause,
    MakeStore,
    add_activity,
    an_append,
    refused,
    stored_body,
)
from tests.log.sealed_stores import SEALED_CLAUSES, body_of, sealed
from tests.log.tapes import play
from tests.postgres.postgres_server import Database, drop_all, new_database, server_url


@pytest.fixture(params=["bare", "all", "folder"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    databases: list[Database] = []
    stores: list[Store] = []

    def make() -> Store:
        databases.append(new_database(server_url()))
        store: Store = databases[-1].store()
        if request.param != "bare":
            folder = tmp_path / f"{len(stores)}" if request.param == "folder" else None
            store = sealed(store, "all", folder)
        stores.append(store)
        return store

    yield make
    for store in stores:
        store.close()
    drop_all(databases)


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    made = database.store()
    yield made
    made.close()


@pytest.mark.parametrize("clause", BLOB_CLAUSES, ids=lambda clause: clause.__name__)
def test_postgres_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


@pytest.mark.parametrize("clause", SEALED_CLAUSES, ids=lambda clause: clause.__name__)
@pytest.mark.parametrize("make_store", ["all"], indirect=True)
def test_the_layer_that_seals_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


def test_one_blob_of_many_appends_is_written_once(store: PostgresStore) -> None:
    batches = [
        [with_blobs(an_append(each, 0, bodies=(names(BLOBS[0]),)), BLOBS[0], at_ms=at_ms)]
        for each, at_ms in ((A, 5), (B, 7))
    ]
    results = store.append_each(batches)

    assert [type(result) for result in results] == [Appended, Appended]
    assert [kept.token for kept in listed(store).values()] == [7]


def _is_waited_for(database: Database) -> bool:
    return bool(database.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0])


def test_a_blob_that_an_append_holds_is_passed_by(
    database: Database, store: PostgresStore
) -> None:
    store.append([with_blobs(an_append(A, 0), *BLOBS[:2])])
    kept = list(listed(store).values())
    with database.connect() as rival, rival.transaction():
        rival.execute(
            "UPDATE lash_es_blobs SET at_ms = at_ms + 1 WHERE address = %s", [BLOBS[0].address]
        )
        assert store.delete_blobs(kept) == 1

    assert set(listed(store)) == {BLOBS[0].address}


def test_an_append_that_waits_for_a_deletion_writes_the_blob_again(
    database: Database, store: PostgresStore
) -> None:
    store.append([with_blobs(an_append(A, 0), BLOBS[0])])
    append = with_blobs(an_append(B, 0, bodies=(names(BLOBS[0]),)), BLOBS[0])
    with ThreadPoolExecutor(1) as pool:
        with database.connect() as rival, rival.transaction():
            rival.execute("DELETE FROM lash_es_blobs")
            waiting = pool.submit(store.append, [append])
            while not _is_waited_for(database):
                pass
        assert isinstance(waiting.result(), Appended)

    assert set(listed(store)) == {BLOBS[0].address}


def test_a_sweep_of_a_whole_life(store: PostgresStore) -> None:
    play(sealed(store, "all"))
    swept = sweep(TableBlobs(store), [body_roots(store)], now_ms=10**15)
    assert swept == Swept(roots_count=8, retained_count=8, deleted_count=0)

    store.append([with_blobs(an_append(A, 0), *BLOBS)])
    swept = sweep(TableBlobs(store), [body_roots(store)], now_ms=10**15)
    assert swept == Swept(roots_count=8, retained_count=8, deleted_count=5)


def test_no_canary_reaches_the_server(database: Database, store: PostgresStore) -> None:
    """Every table is read as text; what the server's files hold is what it was sent."""
    secret = "canary in the mine"
    layer = sealed(store, "encrypted")
    layer.append([an_append(A, 0, bodies=(stored_body(0, secret), stored_body(0, "y" * 9, 1)))])
    large = sealed(store, "all")
    large.append([an_append(A, 1, bodies=(stored_body(1, secret),))])
    add_activity(layer, 2, secret.encode())
    store.append([an_append(B, 0, bodies=(stored_body(0, "seen " + secret),))])

    def dump(table: str) -> str:
        # As text, in which PostgreSQL writes bytes in hexadecimal.
        return str(database.sql(f"SELECT coalesce(string_agg(t::text, ' '), '') FROM {table} t"))

    hexadecimal = secret.encode().hex()
    tables = ("stored_events", "lash_es_bodies", "lash_es_blobs", "lash_es_activity")
    seen = {table: dump(table).count(hexadecimal) for table in tables}
    assert seen == {table: int(table == "lash_es_bodies") for table in tables}
    assert body_of(large, 1) == stored_body(1, secret)


def test_a_deletion_whose_answer_is_lost_is_an_error(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(work: Callable[[object], object]) -> Unknown:
        del work
        return Unknown(reason="lost")

    monkeypatch.setattr(store._connections, "write", lost)

    refused(StoreFailed, lambda: store.delete_blobs([]))
    monkeypatch.undo()
    assert store.read_blob_page(FIRST_ADDRESS, 1) == ()
