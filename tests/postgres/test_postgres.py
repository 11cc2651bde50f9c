"""The PostgreSQL store keeps every clause, in the table that the library's recorder knows."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder

from lash_es.codec.errors import UndecodableValue
from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position, SessionId, Version
from lash_es.log.appends import Appended, AppendResult, Conflict, IndexRow, StreamAppend, Unknown
from lash_es.log.errors import (
    StoreBusy,
    StoreFailed,
    StoreFormatNewer,
    StoreFull,
    StoreReadOnly,
    StoreTablesOlder,
    StoreUnavailable,
)
from lash_es.log.stores import postgres_groups, postgres_schema
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.postgres import PostgresStore
from lash_es.log.stores.postgres_arrays import Texts
from lash_es.log.stores.postgres_reads import ask
from lash_es.log.stores.postgres_steps import STEPS, TABLES_STEP
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import (
    CLAUSES,
    NOTHING,
    A,
    B,
    Clause,
    MakeStore,
    add_activity,
    an_append,
    everything,
    head_after,
    record,
    refused,
    row,
    stored_body,
)
from tests.log.tapes import STREAM, play
from tests.log.threads import threads_take_turns
from tests.postgres.postgres_recorders import stock_recorder
from tests.postgres.postgres_server import Database, Relay, drop_all, new_database, server_url

C = StreamId("default", SessionId("c"))

_CREATE_HEAD = """
    INSERT INTO lash_es_heads (stream, version, digest, generation, status, at_ms, activity_seq)
    VALUES (%s, 1, '', 0, 'open', 0, 0)
"""


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


@pytest.fixture
def store(database: Database) -> Iterator[PostgresStore]:
    made = database.store()
    yield made
    made.close()


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_postgres_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


def test_threads_that_share_a_store_take_turns(store: PostgresStore) -> None:
    threads_take_turns(store)


def _same(store: PostgresStore) -> PostgresStore:
    return store


FAULTS = {
    "none": ("stored_events", ""),
    "drops a fact": ("stored_events", "IF NEW.originator_version = 2 THEN RETURN NULL; END IF;"),
    "swaps bytes": ("stored_events", "NEW.state := reverse(NEW.state::text)::bytea;"),
    "forgets bodies": ("lash_es_bodies", "RETURN NULL;"),
    "cuts keys at NUL": ("lash_es_index", "NEW.key := split_part(NEW.key::text, '00', 1)::bytea;"),
    "numbers anew": ("lash_es_activity", "NEW.seq := NEW.seq + 1;"),
    "counts wrong": ("lash_es_heads", "NEW.version := NEW.version + 1;"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_only_a_fault_that_is_planted_in_the_server_turns_clauses_red(
    database: Database, fault: str
) -> None:
    database.store().close()
    table, body = FAULTS[fault]
    database.sql(
        f"CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {body} RETURN NEW; END $$"
    )
    database.sql(
        f"CREATE TRIGGER fault BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fault()"
    )
    red = 0
    for clause in CLAUSES:
        database.sql("TRUNCATE stored_events, lash_es_heads, lash_es_bodies, lash_es_index")
        database.sql("TRUNCATE lash_es_activity")
        store = database.store()
        try:
            clause(partial(_same, store))
        except Exception:  # noqa: BLE001 - a clause may fail in any way
            red += 1
        store.close()

    assert (red > 0) == (fault != "none")


# The same bytes as everywhere


def test_the_same_tape_makes_the_same_bytes_as_on_the_other_stores(
    store: PostgresStore, tmp_path: Path
) -> None:
    memory, sqlite = MemoryStore(), SQLiteStore.open(tmp_path / "log.db", create=True)
    for each in (memory, sqlite, store):
        play(each)

    assert everything(store, STREAM) == everything(memory, STREAM) == everything(sqlite, STREAM)
    listed = store.heads("default", after="", heads_max=9)
    assert listed == memory.heads("default", after="", heads_max=9)
    sqlite.close()


@pytest.fixture
def stock(database: Database) -> Iterator[PostgresApplicationRecorder]:
    database.store().close()
    recorder = stock_recorder(database)
    yield recorder
    recorder.datastore.close()


def test_the_stock_recorder_reads_our_facts(
    store: PostgresStore, stock: PostgresApplicationRecorder
) -> None:
    player = play(store)
    records = [each for append in player.appends for each in append.records]

    events = stock.select_events(STREAM.key)
    assert [(e.originator_version, e.topic, bytes(e.state)) for e in events] == [
        (each.position, each.name, each.stored) for each in records
    ]
    noted = stock.select_notifications(start=None, limit=999)
    assert [each.originator_version for each in noted] == [each.position for each in records]


def test_we_read_what_the_stock_recorder_writes(
    store: PostgresStore, stock: PostgresApplicationRecorder
) -> None:
    events = [StoredEvent(A.key, p, record(p).name, record(p).stored) for p in range(3)]
    stock.insert_events(events)

    assert store.read(A, Position(0), 9) == tuple(record(p) for p in range(3))


# One statement


def _round_trips(relay: Relay, act: Callable[[], object]) -> int:
    before = relay.round_trips
    act()
    return relay.round_trips - before


def _append_of(stream: StreamId, expected: int, rows: int) -> StreamAppend:
    bodies = tuple(stored_body(expected, "body", ordinal) for ordinal in range(rows))
    index = tuple(row(str(number), "value") for number in range(rows))
    return an_append(stream, expected, rows, bodies=bodies, index=index)


def test_an_append_is_one_round_trip(relay: Relay) -> None:
    store = relay.database.store()
    for expected in (0, 2):  # The first of each kind is prepared, at the price of a round trip.
        store.append([_append_of(A, expected, 2)])
        store.append([_append_of(B, expected, 2), _append_of(C, expected, 2)])
    add_activity(store, 4, b"x")

    few = partial(store.append, [_append_of(A, 4, 2)])
    several = partial(store.append, [_append_of(C, 4, 2), _append_of(B, 4, 2)])
    many = partial(store.append, [_append_of(A, 6, 200)])
    late = partial(store.append, [_append_of(A, 6, 2)])
    group = partial(store.append_each, [[_append_of(A, 206, 2)], [_append_of(B, 6, 2)]])
    activity = partial(add_activity, store, 208, b"x", b"y")
    acts: dict[Callable[[], object], int] = {
        few: 1,
        several: 1,
        many: 1,
        late: 2,
        group: 1,
        activity: 1,
    }
    assert {act: _round_trips(relay, act) for act in acts} == acts
    head = store.head(A)
    store.close()

    assert head is not None
    assert (head.version, head.activity_seq) == (208, 2)


def test_rows_of_any_number_are_written_alike(make_store: MakeStore) -> None:
    for rows in (1, 2, 3, 4, 5, 40):
        store, memory = make_store(), MemoryStore()
        for each in (store, memory):
            assert each.append([_append_of(A, 0, rows)]) == Appended(versions=(Version(rows),))
            assert each.append([an_append(A, rows)]) == Appended(versions=(Version(rows + 1),))

        assert everything(store, A) == everything(memory, A)


def test_of_two_index_rows_of_one_append_the_later_counts(store: PostgresStore) -> None:
    twice = (row("k", "1"), row("k", "2"))
    store.append([an_append(A, 0, index=twice)])
    store.append([an_append(A, 1, index=twice), an_append(B, 0, index=twice)])

    for stream in (A, B):
        assert store.read_index_page(stream, None, 9) == (row("k", "2"),)


# Group commit


def test_a_conflict_fails_only_its_own_batch(store: PostgresStore) -> None:
    store.append([an_append(A, 0, 2), an_append(B, 0, 3)])
    bad_index: tuple[IndexRow, ...] = (row("k", "v"),)
    results = store.append_each(
        [
            [an_append(A, 2)],
            [an_append(C, 0), an_append(B, 2, index=bad_index)],
            [an_append(STREAM, 0, 2)],
            [],
        ]
    )

    assert results == (
        Appended(versions=(Version(3),)),
        Conflict(stream=B, expected=Version(2), found=Version(3)),
        Appended(versions=(Version(2),)),
        Appended(versions=()),
    )
    assert everything(store, C) == NOTHING
    assert everything(store, B)[0] == head_after(an_append(B, 0, 3))
    assert store.read_index_page(B, None, 9) == ()
    assert store.append_each([]) == ()
    assert store.append([]) == Appended(versions=())


def test_batches_that_share_a_stream_take_turns(store: PostgresStore) -> None:
    results = store.append_each(
        [[an_append(A, 0)], [an_append(A, 1), an_append(B, 0)], [an_append(A, 1)]]
    )

    assert results == (
        Appended(versions=(Version(1),)),
        Appended(versions=(Version(2), Version(1))),
        Conflict(stream=A, expected=Version(1), found=Version(2)),
    )


def _plant(database: Database, state: str, table: str = "stored_events") -> None:
    """Let the server fail with a state whenever a row is called ``bad``."""
    database.sql(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF position('bad'::bytea IN NEW.state) > 0 THEN "
        f"RAISE EXCEPTION 'planted' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
    )
    database.sql(
        f"CREATE TRIGGER fail BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fail()"
    )


def test_an_error_before_anything_was_written_is_raised(
    database: Database, store: PostgresStore
) -> None:
    _plant(database, "disk_full")
    bad = an_append(B, 0, text="bad")

    refused(StoreFull, lambda: store.append_each([[an_append(A, 0)], [bad]]))
    assert everything(store, A) == NOTHING


def test_an_error_after_others_were_written_leaves_the_rest_unknown(
    database: Database, store: PostgresStore
) -> None:
    _plant(database, "disk_full")
    bad = [an_append(A, 1, text="bad")]
    results: tuple[AppendResult, ...] = store.append_each(
        [[an_append(A, 0)], bad, [an_append(B, 0)]]
    )

    assert results[0] == Appended(versions=(Version(1),))
    assert isinstance(results[1], Unknown)
    assert isinstance(results[2], Unknown)
    assert everything(store, B) == NOTHING


def test_a_stream_that_is_created_meanwhile_is_a_conflict(
    database: Database, store: PostgresStore
) -> None:
    other = database.store()
    with database.connect() as rival, rival.transaction():
        # A rival who has not committed holds the group up, and then it finds the stream there.
        rival.execute(_CREATE_HEAD, [B.key])
        pool = ThreadPoolExecutor(2)
        group = pool.submit(store.append_each, [[an_append(A, 0)], [an_append(B, 0)]])
        alone = pool.submit(other.append, [an_append(B, 0)])
        _wait_for_waiters(database, 2)
    late = Conflict(stream=B, expected=Version(0), found=Version(1))

    assert group.result() == (Appended(versions=(Version(1),)), late)
    assert alone.result() == late
    pool.shutdown()
    other.close()


def _wait_for_waiters(database: Database, count: int) -> None:
    while database.sql("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0] < count:
        pass


def test_a_group_that_a_deadlock_breaks_runs_again_and_finds_what_was_created(
    database: Database,
) -> None:
    # The group cannot see C when it begins. Once it has created B, it waits for C's next writer,
    # who waits for B: nobody's order is wrong, and the server breaks one of both.
    patient = psycopg.conninfo.make_conninfo(database.url, options="-c deadlock_timeout=2s")
    store = PostgresStore.open(patient, create=True, schema=database.schema, lock_wait_ms=20_000)
    assert isinstance(store.append([an_append(A, 0)]), Appended)
    pool = ThreadPoolExecutor(2)
    with database.connect() as holder, database.connect() as rival:
        rival.execute("SET deadlock_timeout = '1min'")  # So the group is the one that is broken.
        holder.execute("BEGIN")
        holder.execute("SELECT FROM lash_es_heads WHERE stream = %s FOR UPDATE", [A.key])
        batches = [[an_append(A, 1)], [an_append(B, 0)], [an_append(C, 0)]]
        group = pool.submit(store.append_each, batches)
        _wait_for_waiters(database, 1)
        rival.execute(_CREATE_HEAD, [C.key])
        rival.execute("BEGIN")
        rival.execute("UPDATE lash_es_heads SET version = 2 WHERE stream = %s", [C.key])
        holder.execute("COMMIT")
        _wait_for_waiters(database, 1)
        rival.execute(_CREATE_HEAD, [B.key])
        rival.execute("COMMIT")

    assert group.result() == (
        Appended(versions=(Version(2),)),
        Conflict(stream=B, expected=Version(0), found=Version(1)),
        Conflict(stream=C, expected=Version(0), found=Version(2)),
    )
    pool.shutdown()
    store.close()


def test_a_fact_that_no_head_row_counts_is_not_taken_for_a_race(
    database: Database, store: PostgresStore
) -> None:
    database.sql("INSERT INTO stored_events VALUES (%s, 0, 't', '')", A.key)
    before = everything(store, A)

    refused(StoreFailed, lambda: store.append([an_append(A, 0)]))
    refused(StoreFailed, lambda: store.append([an_append(A, 0), an_append(B, 0)]))
    assert everything(store, A) == before


def test_a_row_that_was_judged_and_not_written_is_not_called_written() -> None:
    rows = [(1, 0, True, True), (2, 0, True, False)]
    result = postgres_groups._result([an_append(A, 0), an_append(B, 0)], rows)

    assert isinstance(result, Unknown)


# What can be wrong


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("disk_full", StoreFull),
        ("deadlock_detected", StoreBusy),
        ("query_canceled", StoreBusy),
        ("out_of_memory", StoreFailed),
    ],
)
def test_what_the_server_says_has_a_type(
    database: Database, store: PostgresStore, state: str, kind: type[Exception]
) -> None:
    _plant(database, state)
    refused(kind, lambda: store.append([an_append(A, 0, text="bad")]))

    assert everything(store, A) == NOTHING
    assert isinstance(store.append([an_append(A, 0)]), Appended)


def test_a_server_that_may_only_be_read_says_so(database: Database, store: PostgresStore) -> None:
    store.append([an_append(A, 0)])
    url = psycopg.conninfo.make_conninfo(
        database.url, options="-c default_transaction_read_only=on"
    )
    read_only = Database(url, database.schema).store()

    refused(StoreReadOnly, lambda: read_only.append([an_append(A, 1)]))
    assert everything(read_only, A) == everything(store, A)
    read_only.close()
    refused(StoreReadOnly, Database(url, database.schema + "2").store)


def test_a_lock_that_is_held_too_long_is_busy(database: Database, store: PostgresStore) -> None:
    store.append([an_append(A, 0)])
    hasty = database.store(lock_wait_ms=30)
    with database.connect() as other, other.transaction():
        other.execute("SELECT 1 FROM lash_es_heads FOR UPDATE")
        error = refused(StoreBusy, lambda: hasty.append([an_append(A, 1)]))
        refused(StoreBusy, lambda: add_activity(hasty, 1, b"x"))
        assert hasty.head(A) == head_after(an_append(A, 0))

    assert error.waited_ms == 30
    assert isinstance(hasty.append([an_append(A, 1)]), Appended)
    hasty.close()


def test_a_nul_in_text_does_not_reach_the_server(store: PostgresStore) -> None:
    refused(StoreFailed, lambda: store.heads("default", after="e\0", heads_max=1))
    texts = Texts(["a", "b\0"])
    refused(
        StoreFailed,
        lambda: store._connections.read(lambda c: ask(c, "SELECT %b::text[]", [texts])),
    )


def test_an_index_row_of_another_kind_says_so(database: Database, store: PostgresStore) -> None:
    store.append([an_append(A, 0, index=(row("k", "v"),))])
    for change in ("kind = 'other'", r"kind = 'turn', key = '\xff'"):
        database.sql(f"UPDATE lash_es_index SET {change}")
        refused(UndecodableValue, lambda: store.read_index_page(A, None, 9))


def test_an_edited_row_is_read_as_it_is(database: Database, store: PostgresStore) -> None:
    store.append([an_append(A, 0)])
    database.sql("UPDATE stored_events SET state = NULL, topic = 't'")

    (read,) = store.read(A, Position(0), 9)
    assert (read.digest, read.header) == (b"", b"")
    assert dict(store.read_bodies(A, [BodyRef(position=Position(2**62), ordinal=0)])) == {}


# Opening


def test_a_log_that_is_not_there_is_not_made_unasked(database: Database) -> None:
    error = refused(StoreUnavailable, lambda: database.store(create=False))
    assert "it holds no log" in error.summary()
    assert database.schema in error.summary()

    database.store().close()
    database.store(create=False).close()
    database.store().close()


@pytest.mark.parametrize("schema", ["", "x" * 64, "a\0b", "\u00e9" * 32])
def test_no_schema_can_have_that_name(database: Database, schema: str) -> None:
    refused(StoreUnavailable, Database(database.url, schema).store)


def test_a_schema_may_have_any_other_name(database: Database) -> None:
    odd = Database(database.url, f'A "b".c; -- \u00e9{database.schema[:30]}')
    store = odd.store()
    store.append([an_append(A, 0)])
    store.close()
    again = odd.store(create=False)

    assert again.head(A) == head_after(an_append(A, 0))
    again.close()
    odd.drop()


def test_a_schema_that_exists_is_used(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {database.schema}".encode())
    database.store().close()


def test_another_programs_events_are_left_alone(database: Database) -> None:
    database.store().close()
    database.sql("DROP TABLE lash_es_format")

    error = refused(StoreUnavailable, database.store)
    assert "another program" in error.summary()


def test_a_newer_record_format_is_opened(database: Database) -> None:
    database.store().close()
    database.sql("UPDATE lash_es_format SET writes = 99")
    database.store().close()


def test_tables_for_newer_code_are_refused(database: Database) -> None:
    database.store().close()
    database.sql("UPDATE lash_es_format SET tables_work_for = 99, tables = 99")

    error = refused(StoreFormatNewer, database.store)
    assert 99 in error.found


def test_old_tables_are_brought_forward(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {database.schema}".encode())
        connection.execute(f"SET search_path TO {database.schema}".encode())
        for statement in STEPS[0].statements:
            connection.execute(statement.encode())

    with contextlib.closing(database.store()) as store:
        play(store)
        assert database.sql("SELECT * FROM lash_es_format") == [(1, 1, TABLES_STEP, 2)]


def test_who_only_reads_brings_no_tables_forward_and_writes_nothing(database: Database) -> None:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {database.schema}".encode())
        connection.execute(f"SET search_path TO {database.schema}".encode())
        for statement in STEPS[0].statements:
            connection.execute(statement.encode())
    before = database.sql("SELECT * FROM lash_es_format")
    reading = partial(
        PostgresStore.open, database.url, create=False, schema=database.schema, for_reading=True
    )

    error = refused(StoreTablesOlder, reading)
    assert (error.found, error.needed) == (1, TABLES_STEP)
    assert database.sql("SELECT * FROM lash_es_format") == before

    database.store().close()
    with contextlib.closing(reading()) as store:
        assert store.head(A) is None
        refused(StoreReadOnly, lambda: store.append([an_append(A, 0)]))
        assert store.head(A) is None


def test_a_database_in_another_encoding_is_refused(database: Database) -> None:
    name = f"d{database.schema}"
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute(
            f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' "
            "TEMPLATE template0".encode()
        )
        url = psycopg.conninfo.make_conninfo(database.url, dbname=name)
        error = refused(StoreUnavailable, Database(url, "public").store)
        connection.execute(f"DROP DATABASE {name}".encode())

    assert "LATIN1" in error.summary()


def test_a_server_that_is_too_old_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_schema, "_SERVER_VERSION_MIN", 9_999_999)

    refused(StoreUnavailable, database.store)


def test_an_acknowledged_append_is_on_disk_whatever_the_server_is_set_to(
    database: Database,
) -> None:
    settings = {"off": "on", "local": "local"}
    for found, expected in settings.items():
        url = psycopg.conninfo.make_conninfo(
            database.url, options=f"-c synchronous_commit={found}"
        )
        store = Database(url, database.schema).store()
        asked = store._connections.write(
            lambda c: ask(c, "SELECT current_setting('synchronous_commit')").fetchall()
        )
        store.close()
        assert asked == [(expected,)]
