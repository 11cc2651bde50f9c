"""Many processes on one database: one wins, order holds, and the feed shows everything once."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from lash_es.core.ids import Position, Version
from lash_es.log.stores.postgres import FEED_START, FeedFact, PostgresStore
from tests.log.conformance import A, an_append
from tests.postgres import postgres_processes as processes
from tests.postgres.postgres_server import Database


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.postgres.postgres_processes"])
    with ProcessPoolExecutor(8, mp_context=context) as made:
        yield made


def test_eight_first_opens_of_one_database_all_succeed(
    database: Database, pool: ProcessPoolExecutor
) -> None:
    futures = [pool.submit(processes.open_and_append, database, n) for n in range(8)]
    results = [future.result() for future in futures]
    store = database.store(create=False)
    heads = store.heads("default", after="", heads_max=99)
    store.close()

    assert results == ["Appended"] * 8
    assert len(heads) == 8


def test_one_writer_wins_each_version_while_another_streams(
    database: Database, pool: ProcessPoolExecutor
) -> None:
    store = database.store()
    racing = [pool.submit(processes.race, database, number, 25) for number in range(4)]
    streaming = [pool.submit(processes.stream_activity, database, 25) for _ in range(2)]
    won = [future.result() for future in racing]
    streamed = [place for future in streaming for place in future.result()]
    records = store.read(A, Position(0), 999)
    index = store.read_index_page(A, None, 999)
    activity = store.read_activity(A, after=(Version(0), 0), activities_max=9_999)
    store.close()

    assert sorted(version for mine in won for version in mine) == list(range(100))
    assert len(records) == 100
    for number, mine in enumerate(won):
        for version in mine:
            assert records[version] == an_append(A, version, text=f"by {number}").records[0]
    assert {int(each.key.key) for each in index if each.key.key != "k"} == set(range(100))
    places = [(each.version, each.seq) for each in activity]
    assert set(streamed) <= set(places)
    assert len(set(streamed)) == 50
    assert all(seq == 1 or (version, seq - 1) in places for version, seq in places)


def _feed(store: PostgresStore, seen: list[FeedFact]) -> bool:
    page = store.read_feed(seen[-1].cursor if seen else FEED_START, 100)
    seen += page
    return bool(page)


def test_groups_of_many_processes_keep_order_and_the_feed_shows_each_fact_once(
    database: Database, pool: ProcessPoolExecutor
) -> None:
    store = database.store()
    writing = [pool.submit(processes.append_groups, database, seed, 60) for seed in range(8)]
    seen: list[FeedFact] = []
    while not all(future.done() for future in writing):
        _feed(store, seen)
    acknowledged = [place for future in writing for place in future.result()]
    while _feed(store, seen):
        pass
    places = [(fact.stream.key, int(fact.record.position)) for fact in seen]
    stored = database.sql("SELECT originator_id, originator_version FROM stored_events")
    store.close()

    assert sorted(acknowledged) == sorted(places) == sorted(stored)
    assert len(set(places)) == len(places) > 100
    for stream in processes.STREAMS:
        positions = [position for key, position in places if key == stream.key]
        assert positions == list(range(len(positions)))
