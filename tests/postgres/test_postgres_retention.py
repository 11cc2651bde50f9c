"""Retention on PostgreSQL: the same clauses, the same bytes, and new places in the feed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from lash_es.core.errors import TrimHeldBack
from lash_es.core.ids import Position, Version
from lash_es.core.retention import Pin
from lash_es.core.state import Open
from lash_es.log.archiving import FolderArchive, export_streams
from lash_es.log.contents import read_nodes
from lash_es.log.errors import StoreDisconnected, StoreFailed
from lash_es.log.formats import FormatTooOld, upgrade
from lash_es.log.loading import load, refold
from lash_es.log.port import Store
from lash_es.log.reindexing import compare_index
from lash_es.log.restoring import restore
from lash_es.log.retaining import PinOutOfRange, RecordFormats
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.postgres import FEED_START, PostgresStore
from tests.log.conformance import A, Clause, MakeStore, everything
from tests.log.retention_clauses import REFS, RETENTION_CLAUSES, filled, removal
from tests.log.sealed_trims import a_trim_through_the_seal
from tests.log.tapes import STREAM
from tests.log.trims import over, trimming
from tests.postgres.postgres_server import Cut, Database, Relay, drop_all, new_database, server_url


@pytest.fixture
def make_store() -> Iterator[MakeStore]:
    databases: list[Database] = []
    stores: list[PostgresStore] = []

    def make() -> PostgresStore:
        databases.append(new_database(server_url()))
        stores.append(databases[-1].store())
        return stores[-1]

    yield make
    for store in stores:
        store.close()
    drop_all(databases)


def _same(store: PostgresStore) -> PostgresStore:
    return store


@pytest.mark.parametrize("clause", RETENTION_CLAUSES, ids=lambda clause: clause.__name__)
def test_postgres_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


def test_trims_make_the_same_bytes_as_in_memory(make_store: MakeStore) -> None:
    stores: tuple[Store, Store] = (make_store(), MemoryStore())
    for store in stores:
        over(store)
        trimming(store, page_bytes_max=300).trim(STREAM, Version(9))
        trimming(store).trim(STREAM)

    first, second = (everything(store, STREAM)[:4] for store in stores)
    assert first == second
    for store in stores:
        state = load(store, STREAM).state
        assert isinstance(state, Open)
        assert refold(store, STREAM) == load(store, STREAM)
        assert len(read_nodes(store, STREAM, state.head.leaf)) == 4
        assert compare_index(store, STREAM).different == ()


def test_an_archive_of_one_store_is_restored_in_the_other(
    make_store: MakeStore, tmp_path: Path
) -> None:
    source, target = MemoryStore(), make_store()
    over(source)
    trimming(source, FolderArchive(tmp_path)).trim(STREAM, Version(9))
    whole, (part,) = tmp_path / "whole.gz", tmp_path.glob("*.jsonl.gz")
    export_streams(source, [STREAM], whole)
    restore(target, whole)
    restore(target, part)
    restore(source, part)

    assert everything(target, STREAM)[:4] == everything(source, STREAM)[:4]
    again = tmp_path / "again.gz"
    export_streams(target, [STREAM], again)
    other = tmp_path / "other.gz"
    export_streams(source, [STREAM], other)
    assert again.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("way", ["encrypted", "all"])
def test_a_sealed_log_is_trimmed_moved_and_checked_without_its_key(
    make_store: MakeStore, way: str, tmp_path: Path
) -> None:
    a_trim_through_the_seal(make_store, way, tmp_path)


def test_facts_that_come_back_are_new_in_the_feed_and_those_that_stay_are_not(
    database: Database, tmp_path: Path
) -> None:
    with closing(database.store()) as store:
        over(store)
        before = store.read_feed(FEED_START, 99)
        trimming(store, FolderArchive(tmp_path)).trim(STREAM, Version(9))
        (archive,) = tmp_path.iterdir()
        last = store.read_feed(FEED_START, 99)[-1].cursor
        assert restore(store, archive).facts_count == 9

        came = store.read_feed(last, 99)
        assert [fact.record for fact in came] == [fact.record for fact in before[:9]]
        assert min(fact.cursor for fact in came) > last
        whole = store.read_feed(FEED_START, 99)
        assert sorted(fact.record.position for fact in whole) == list(range(29))


def test_a_database_that_old_processes_write_is_upgraded_first(database: Database) -> None:
    with closing(database.store()) as store:
        over(store)
        database.sql("UPDATE lash_es_format SET reads_from = 1, writes = 1")
        with pytest.raises(FormatTooOld, match="lash-es db upgrade"):
            trimming(store).trim(STREAM)
        assert upgrade(store) == RecordFormats(reads_from=1, writes=1)
        assert store.raise_format(1) == RecordFormats(reads_from=1, writes=2)
        assert trimming(store).trim(STREAM).is_new


def test_a_pin_and_a_removal_at_once_take_turns(database: Database) -> None:
    for attempt in range(10):
        with closing(database.store()) as store, closing(database.store()) as other:
            database.sql("TRUNCATE stored_events, lash_es_heads, lash_es_bodies, lash_es_pins")
            filled(partial(_same, store))
            pin = Pin(name=f"p{attempt}", version=Version(1))
            with ThreadPoolExecutor(2) as pool:
                pinned = pool.submit(other.pin, A, pin, 1)
                removed = pool.submit(store.remove_facts, removal(3))
            errors = {type(each.exception()) for each in (pinned, removed)}
            # Exactly one of the two comes first, and the other one is told.
            assert errors in ({type(None), PinOutOfRange}, {type(None), TrimHeldBack})


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.SENT])
@pytest.mark.parametrize("statements_before", range(8))
def test_a_removal_whose_answer_is_lost_is_said_and_may_be_asked_for_again(
    relay: Relay, cut: Cut, statements_before: int
) -> None:
    with closing(relay.database.store()) as store:
        filled(lambda: store)
        relay.cut_after = statements_before
        relay.cut_next = cut
        with pytest.raises((StoreFailed, StoreDisconnected)):
            store.remove_facts(removal(2, REFS[0]))
        store.remove_facts(removal(2, REFS[0]))
        assert [each.position for each in store.read(A, Position(0), 9)] == [2, 3, 4, 5]
        assert set(store.read_bodies(A, REFS)) == set(REFS[1:])
