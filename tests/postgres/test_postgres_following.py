"""Activity's retention and subscriptions on PostgreSQL: clauses, hints, lost hints, lost lines."""

import asyncio
import multiprocessing
import select
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import SessionId, Version
from lash_es.log.errors import StorageError
from lash_es.log.loading import Fact
from lash_es.log.log import StoreLog
from lash_es.log.pages import Offset
from lash_es.log.stores.postgres import PostgresStore
from lash_es.log.stores.postgres_changes import PostgresChanges
from lash_es.log.subscribing import Item, subscribe
from tests.log.activity_clauses import (
    ACTIVITY_CLAUSES,
    a_trim_keeps_the_newest_records_of_the_window,
    window,
)
from tests.log.conformance import A, B, Clause, MakeStore, add_activity, an_append
from tests.log.following import require_no_silent_hole
from tests.log.tapes import STREAM as TAPED
from tests.log.tapes import play
from tests.postgres import postgres_processes as processes
from tests.postgres.postgres_server import Database, drop_all, new_database, server_url


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


@pytest.mark.parametrize("clause", ACTIVITY_CLAUSES, ids=lambda clause: clause.__name__)
def test_postgres_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


def test_a_fault_in_the_server_turns_a_clause_red(
    database: Database,
) -> None:
    store = database.store()
    database.sql(
        "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF OLD.seq = 1 THEN RETURN NULL; END IF; RETURN OLD; END $$"
    )
    database.sql(
        "CREATE TRIGGER fault BEFORE DELETE ON lash_es_activity "
        "FOR EACH ROW EXECUTE FUNCTION fault()"
    )
    with pytest.raises(AssertionError):
        a_trim_keeps_the_newest_records_of_the_window(lambda: store)
    store.close()


def test_pruning_is_one_statement_of_its_write(database: Database) -> None:
    store = database.store()
    store.append([an_append(A, 0)])
    add_activity(store, 1, b"x")
    before = store.statistics()
    add_activity(store, 1, b"y", window=window(records_max=1), is_after_loss=True)
    after = store.statistics()
    assert after.statements - before.statements == 1
    store.close()


# Changes


def _moved(changes: PostgresChanges) -> set[object]:
    return set(changes.moved({A}))


def test_a_hint_is_looked_up_for_what_it_names_however_many_are_watched(
    database: Database,
) -> None:
    store, other = database.store(), database.store()
    watched = [StreamId("default", SessionId(f"s{number}")) for number in range(1_000)]
    absent, late = (StreamId("default", SessionId(name)) for name in ("absent", "late"))
    store.append([an_append(stream, 0) for stream in (*watched, late)])
    looks: list[int] = []

    def ends(streams: Collection[StreamId]) -> Mapping[StreamId, Offset]:
        looks.append(len(streams))
        return store._ends(streams)

    def moved(*streams: StreamId) -> set[object]:
        asyncio.run(asyncio.sleep(0.05))
        return set(changes.moved([*watched, absent, *streams]))

    changes = PostgresChanges(store.listen, ends, lambda: 0.0)
    assert moved() == set(watched)
    other.append([an_append(watched[7], 1)])
    other.announce([watched[7], B])
    assert moved() == {watched[7]}
    other.announce([B])
    assert moved() == set()
    other.announce([watched[7]])
    assert moved() == set()  # It was told before.
    other.append([an_append(absent, 0)])
    other.announce([absent])
    assert moved(late) == {absent, late}
    other.announce([late])
    assert moved() == set()  # Nobody watches it any more.
    other.append([an_append(watched[8], 1)])
    other.announce([StreamId("default", SessionId(f"x{number}")) for number in range(300)])
    assert moved() == {watched[8]}
    assert looks == [1_001, 1, 1, 2, 1_001]
    changes.close()
    for each in (store, other):
        each.close()


def test_hints_about_others_are_not_looked_up_until_it_is_time(database: Database) -> None:
    store, other = database.store(), database.store()
    store.append([an_append(A, 0), an_append(B, 0)])
    now_s, looks = [0.0], list[int]()

    def ends(streams: Collection[StreamId]) -> dict[StreamId, Offset]:
        looks.append(len(streams))
        return {A: (Version(len(looks)), 0)}

    changes = PostgresChanges(store.listen, ends, lambda: now_s[0])
    assert _moved(changes) == {A}
    other.announce([B])
    asyncio.run(asyncio.sleep(0.05))
    assert (_moved(changes), len(looks)) == (set(), 1)
    other.announce([A])
    asyncio.run(asyncio.sleep(0.05))
    assert (_moved(changes), len(looks)) == ({A}, 2)
    now_s[0] = 1.0
    other.announce([B])
    asyncio.run(asyncio.sleep(0.05))
    assert (_moved(changes), len(looks)) == ({A}, 3)
    # Nothing was heard, so it is called because it is time.
    assert (_moved(changes), len(looks)) == ({A}, 4)
    changes.close()
    store.close()
    other.close()


def test_a_lost_listener_is_opened_again_and_nothing_is_missed(database: Database) -> None:
    store = database.store()
    store.append([an_append(A, 0)])
    changes = store.changes()
    assert _moved(changes) == {A}
    database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'"
    )
    store.append([an_append(A, 1)])
    assert _moved(changes) == {A}
    while (fileno := changes.fileno()) is not None:
        # The line says first why it ends, and then that it has.
        assert select.select([fileno], [], [], 5)[0]
        assert _moved(changes) == set()
    store.append([an_append(A, 2)])
    assert _moved(changes) == {A}
    assert changes.fileno() is not None
    store.announce([A])
    store.append([an_append(A, 3)])
    assert _moved(changes) == {A}
    changes.close()
    changes.close()
    store.close()


# Whole


def _follow(database: Database, write: Callable[[PostgresStore, StoreLog], None]) -> list[Item]:
    """Follow a taped session while another process of its own log writes; returns all of it."""
    seen: list[Item] = []

    async def scene() -> None:
        mine, other = StoreLog(database.store(), lambda: 1), database.store()
        second = StoreLog(database.store(), lambda: 1)
        async with subscribe(mine, TAPED) as subscription, asyncio.timeout(30):
            first = asyncio.ensure_future(anext(subscription))
            await asyncio.sleep(0.1)
            write(other, second)
            seen.append(await first)
            while subscription.cursor != (28, 0):
                seen.append(await anext(subscription))
        await mine.aclose()
        await second.aclose()
        other.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())
    return seen


def test_hints_wake_a_follower_in_another_process(database: Database) -> None:
    def write(other: PostgresStore, second: StoreLog) -> None:
        play(other)
        second.wakes.wake([TAPED])

    assert [type(each) for each in _follow(database, write)] == [Fact] * 28


def test_without_any_hint_polling_is_the_truth(database: Database) -> None:
    def write(other: PostgresStore, _: StoreLog) -> None:
        play(other)

    assert len(_follow(database, write)) == 28


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.postgres.postgres_processes"])
    with ProcessPoolExecutor(4, mp_context=context) as made:
        yield made


def test_followers_in_several_processes_see_every_fact_once_while_activity_is_pruned(
    database: Database, pool: ProcessPoolExecutor
) -> None:
    database.store().close()
    following = [pool.submit(processes.follow, database, 60) for _ in range(3)]
    written = pool.submit(processes.write_and_prune_one, database, 60).result()
    for future in following:
        items = future.result()
        facts = [item for item in items if isinstance(item, Fact)]
        assert [fact.position for fact in facts] == list(range(60))
        require_no_silent_hole(items, written)


def test_errors_of_a_closed_store_are_typed(database: Database) -> None:
    store = database.store()
    changes = store.changes()
    store.close()
    with pytest.raises(StorageError):
        changes.moved({A})
    changes.close()
