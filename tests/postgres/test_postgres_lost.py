"""
What is known when the line is cut: before a statement, after it, and after its commit.

A relay of ours stands between the store and the server. *Unknown* is looked up by the append's id,
so that nothing is lost and nothing happens twice.
"""

import asyncio
import pickle
import socket
import threading
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from psycopg.conninfo import make_conninfo

from lash_es.codec.contents import encode_content
from lash_es.codec.streams import StreamId
from lash_es.core.commands import EnqueueTurnInput, OpenSession
from lash_es.core.ids import InputId, Position, SessionId, Version
from lash_es.core.ingress import NextTurn
from lash_es.core.limits import DEFAULT_LIMITS
from lash_es.core.messages import TurnInput
from lash_es.core.state import Open
from lash_es.log.appends import Appended, Unknown
from lash_es.log.errors import StoreBusy, StoreClosed, StoreFailed, StoreUnavailable
from lash_es.log.log import StoreLog
from lash_es.log.stores import postgres_sessions
from lash_es.log.stores.postgres import PostgresStore, StoreDisconnected
from lash_es.runtime.committing import Lane
from lash_es.runtime.world import World
from tests.log.conformance import (
    A,
    B,
    a_snapshot,
    activity_of,
    add_activity,
    an_append,
    everything,
    head_after,
    refused,
    row,
    snapshots_of,
)
from tests.log.tapes import POLICY
from tests.postgres.postgres_server import (
    Cut,
    Database,
    OwnServer,
    Relay,
    new_database,
    start_server,
    stop_server,
)

STREAM = StreamId("default", SessionId("lost"))
SECRET = "s3cret/word"


@pytest.fixture
def store(relay: Relay) -> Iterator[PostgresStore]:
    made = relay.database.store()
    yield made
    made.close()


@pytest.mark.parametrize("cut", Cut)
def test_an_append_whose_answer_is_lost_is_unknown(
    relay: Relay, store: PostgresStore, cut: Cut
) -> None:
    store.append([an_append(A, 0)])
    relay.cut_next = cut
    result = store.append([an_append(A, 1)])
    store.append([])  # Now there is a connection again.
    relay.cut_next = cut
    results = store.append_each([[an_append(B, 0)], [an_append(STREAM, 0)]])

    assert isinstance(result, Unknown)
    assert [type(each) for each in results] == [Unknown, Unknown]
    # The server may still be at it, but no longer when somebody looks.
    again = store.append([an_append(A, 1)]), store.append([an_append(B, 0), an_append(STREAM, 0)])
    are_written = [isinstance(each, Appended) for each in again]
    assert are_written == [cut is Cut.BEFORE] * 2
    assert everything(store, A)[0] == head_after(an_append(A, 1))
    assert everything(store, A)[1] == an_append(A, 0, 2).records


@pytest.mark.parametrize("cut", Cut)
def test_what_is_unknown_is_looked_up_and_neither_lost_nor_doubled(
    relay: Relay, store: PostgresStore, cut: Cut
) -> None:
    lane = Lane(StoreLog(store, lambda: 1), STREAM, World(), DEFAULT_LIMITS)

    async def live() -> None:
        await lane.execute(OpenSession(now_ms=1, session_id=STREAM.session_id, policy=POLICY))
        for number in range(4):
            if number % 2:
                relay.cut_next = cut
            await lane.execute(
                EnqueueTurnInput(
                    now_ms=2 + number,
                    input_id=InputId(f"i{number}"),
                    source_key=None,
                    ingress=NextTurn(),
                    body=encode_content(TurnInput.of_text("hello"), b"salt" * 4),
                )
            )
            assert relay.cut_next is None

    asyncio.run(live())
    state = asyncio.run(lane.catch_up())

    assert isinstance(state, Open)
    assert state.version == 5
    assert list(state.inputs.pending) == ["i0", "i1", "i2", "i3"]


@pytest.mark.parametrize("cut", Cut)
def test_activity_whose_answer_is_lost_has_failed(
    relay: Relay, store: PostgresStore, cut: Cut
) -> None:
    store.append([an_append(A, 0)])
    relay.cut_next = cut

    refused(StoreFailed, lambda: add_activity(store, 1, b"x"))
    add_activity(store, 1, b"y")
    found = [each.payload for each in activity_of(store)]
    assert found == ([b"y"] if cut is Cut.BEFORE else [b"x", b"y"])


@pytest.mark.parametrize("cut", Cut)
def test_what_can_be_written_again_has_failed_if_its_answer_is_lost(
    relay: Relay, store: PostgresStore, cut: Cut
) -> None:
    store.append([an_append(A, 0)])
    rows = (row("k", "v"),)

    relay.cut_next = cut
    refused(StoreFailed, lambda: store.write_snapshot(A, a_snapshot(1)))
    assert store.write_snapshot(A, a_snapshot(1))
    relay.cut_next = cut
    refused(StoreFailed, lambda: store.rewrite_index(A, version=Version(1), rows=rows, gone=()))
    assert store.rewrite_index(A, version=Version(1), rows=rows, gone=())
    assert snapshots_of(store, A) == (a_snapshot(1),)
    assert store.read_index_page(A, None, 9) == rows


def test_a_connection_that_was_lost_between_calls_is_replaced_unseen(
    relay: Relay, store: PostgresStore
) -> None:
    for expected in range(3):
        assert isinstance(store.append([an_append(A, expected)]), Appended)
        assert store.head(A) == head_after(an_append(A, expected))
        relay.hang_up()

    assert len(relay.database.sql("SELECT 1 FROM stored_events")) == 3


def _dismiss(database: Database) -> None:
    """Let the server end every connection to this schema but ours, as a restart does."""
    database.sql(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'lash_es' AND pid <> pg_backend_pid()"
    )


def test_a_connection_that_the_server_ended_is_replaced_unseen(database: Database) -> None:
    store = database.store()
    for expected in range(3):
        assert isinstance(store.append([an_append(A, expected)]), Appended)
        assert store.head(A) == head_after(an_append(A, expected))
        _dismiss(database)
    store.close()


def test_a_connection_that_somebody_left_in_a_transaction_is_replaced(database: Database) -> None:
    store = database.store()
    store._connections.write(lambda connection: connection.execute("BEGIN"))
    store.append([an_append(A, 0)])

    assert database.sql("SELECT stream FROM lash_es_heads") == [(A.key,)]
    store.close()


@pytest.mark.parametrize("cut", Cut)
def test_a_read_whose_answer_is_lost_may_be_asked_again(
    relay: Relay, store: PostgresStore, cut: Cut
) -> None:
    store.append([an_append(A, 0)])
    relay.cut_next = cut

    error = refused(StoreDisconnected, lambda: store.head(A))
    assert error.is_retryable
    assert "no connection" in error.summary()
    assert store.head(A) == head_after(an_append(A, 0))


def test_a_server_that_is_away_is_no_unknown(relay: Relay, store: PostgresStore) -> None:
    store.append([an_append(A, 0)])
    relay.__exit__(None, None, None)

    for act in (lambda: store.append([an_append(A, 1)]), lambda: store.head(A)):
        assert refused(StoreDisconnected, act).is_retryable
    behind = relay.behind.store()
    assert everything(behind, A)[1] == an_append(A, 0).records
    behind.close()


def test_a_closed_store_opens_nothing_again(store: PostgresStore) -> None:
    store.close()

    refused(StoreClosed, store.listen)
    refused(StoreClosed, lambda: store.notify([A]))
    refused(StoreClosed, lambda: store.append_each([[an_append(A, 0)]]))


def test_a_statement_that_is_still_waiting_is_ended_before_anything_is_looked_up(
    database: Database, relay: Relay, store: PostgresStore
) -> None:
    store.append([an_append(A, 0)])
    assert store.head(A) == head_after(an_append(A, 0))
    with database.connect() as other, other.transaction():
        other.execute("SELECT 1 FROM lash_es_heads FOR UPDATE")
        relay.cut_next = Cut.SENT
        assert isinstance(store.append([an_append(A, 1)]), Unknown)

        assert everything(store, A)[0] == head_after(an_append(A, 0))
    assert everything(store, A)[1] == an_append(A, 0).records


def test_while_a_lost_statement_cannot_be_ended_nothing_is_told(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = relay.database.store(lock_wait_ms=50)
    with monkeypatch.context() as patched:
        still_there = "SELECT 1 WHERE %s > 0 AND %s <> ''"
        patched.setattr(postgres_sessions, "_END_SESSION", still_there)
        relay.cut_next = Cut.ANSWERED
        assert isinstance(store.append([an_append(A, 0)]), Unknown)

        refused(StoreBusy, lambda: store.head(A))
        refused(StoreBusy, lambda: store.append([an_append(A, 0)]))
    assert store.head(A) == head_after(an_append(A, 0))
    store.close()


def test_batches_after_the_one_that_was_lost_are_unknown_too(
    relay: Relay, store: PostgresStore
) -> None:
    store.append_each([[an_append(A, 0)]])
    relay.cut_after = 1
    relay.cut_next = Cut.ANSWERED
    results = store.append_each([[an_append(A, 1)], [an_append(A, 2)], [an_append(A, 3)]])

    assert [type(each) for each in results] == [Appended, Unknown, Unknown]
    assert everything(store, A)[1] == an_append(A, 0, 3).records


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    server = start_server()
    yield server
    server.ensure_postgres_running()
    server.cleanup()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_the_server_loses_nothing(own_server: OwnServer, mode: str) -> None:
    store = new_database(own_server.get_uri()).store()
    listener = store.listen()
    store.append([an_append(A, 0)])
    stop_server(own_server, mode)

    refused(StoreDisconnected, lambda: store.append([an_append(A, 1)]))
    refused(StoreDisconnected, lambda: store.head(A))
    refused(StoreDisconnected, lambda: listener.heard(wait_s=1))
    own_server.ensure_postgres_running()
    assert isinstance(store.append([an_append(A, 1)]), Appended)
    assert everything(store, A)[1] == an_append(A, 0, 2).records
    store.close()
    listener.close()


def test_appends_go_on_through_a_restart_in_the_middle_of_them(
    own_server: OwnServer,
) -> None:
    store = new_database(own_server.get_uri()).store()

    def restart() -> None:
        stop_server(own_server, "immediate")
        own_server.ensure_postgres_running()

    restarting = threading.Thread(target=restart)
    version, happened = 0, set[str]()
    while version < 50 or restarting.is_alive():
        if version == 10 and not restarting.ident:
            restarting.start()
        try:
            result = store.append([an_append(A, version)])
            happened.add(type(result).__name__)
            head = store.head(A)
        except StoreDisconnected:
            happened.add("StoreDisconnected")
            continue
        assert head is not None
        assert head.version == version + 1 or isinstance(result, Unknown)
        version = head.version
    restarting.join()

    assert store.read(A, Position(0), 10**6) == an_append(A, 0, version).records
    assert {"Appended", "StoreDisconnected"} <= happened
    store.close()


# What nobody may read


def _told(error: BaseException) -> str:
    """All that an error shows, its causes and the variables on its way included."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    fields = getattr(error, "fields", {})
    return "".join(trace.format()) + repr(error) + repr(fields) + str(pickle.dumps(error))


class _Talker:
    """A server that repeats what it was told, the password included."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()
        self.port = self._listening.getsockname()[1]

    def _answer(self) -> None:
        client, _ = self._listening.accept()
        with client:
            client.recv(65_536)
            said = f"SFATAL\0C28P01\0Mwrong: {SECRET} or {quote(SECRET, safe='')}\0\0".encode()
            client.sendall(b"E" + (len(said) + 4).to_bytes(4, "big") + said)

    def close(self) -> None:
        self._thread.join()
        self._listening.close()


def test_a_password_is_in_no_message_and_no_repr(database: Database) -> None:
    talker = _Talker()
    words = {"host": "127.0.0.1", "sslmode": "disable", "gssencmode": "disable"}
    url = make_conninfo("", **words, port=talker.port, user="alice", password=SECRET)
    error = refused(StoreUnavailable, lambda: PostgresStore.open(url, create=True))
    talker.close()

    assert "wrong: *** or ***" in error.reason
    assert "user=alice" in error.where
    assert error.__cause__ is None

    store = Database(make_conninfo(database.url, password=SECRET), database.schema).store()
    told = [store.where, repr(store._connections.server), repr(store), str(vars(store))]
    store.close()
    told += [_told(refused(StoreClosed, lambda: store.head(A))), str(error), repr(error)]
    for shown in (SECRET, quote(SECRET, safe="")):
        assert all(shown not in each for each in told)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://alice:{SECRET} word@localhost/db",
        f"postgresql://alice@localhost/db?passwort={SECRET}",
        f"host=localhost passwort={SECRET}",
        f"host=localhost password='{SECRET}",
        f"postgresql://alice:{SECRET}",
    ],
)
def test_a_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    error = refused(StoreUnavailable, lambda: PostgresStore.open(url, create=True))

    told = (str(error), repr(error), repr(error.__cause__))
    assert all(part not in each for each in told for part in SECRET.split("/"))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    url = "postgresql://127.0.0.1:1/nothing?connect_timeout=2"
    error = refused(StoreUnavailable, lambda: PostgresStore.open(url, create=True))

    assert "127.0.0.1" in error.where
    assert error.is_terminal


def test_a_connection_that_is_lost_while_a_log_is_opened_is_unavailable(relay: Relay) -> None:
    relay.database.store().close()
    for cut in Cut:
        relay.cut_next = cut
        error = refused(StoreUnavailable, lambda: relay.database.store(create=False))
        assert relay.behind.schema in error.where
    relay.cut_after = 1
    relay.cut_next = Cut.ANSWERED
    refused(StoreUnavailable, lambda: relay.database.store(create=False))
