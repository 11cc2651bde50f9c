"""On PostgreSQL a session is forked with the same bytes, and its past is asked by its URL."""

from contextlib import closing

from lash_es.log.loading import load
from lash_es.log.stores.memory import MemoryStore
from lash_es.timetravel.blaming import blame
from lash_es.timetravel.history import open_history, open_state
from lash_es.timetravel.moments import versions_of_turn
from lash_es.timetravel.past import open_past
from lash_es.timetravel.paths import StatePath
from tests.cli.running import invoke
from tests.log.conformance import everything
from tests.log.tapes import SESSION, STREAM
from tests.log.test_forking import CHILD, COMMITTED, forking, transcript
from tests.log.trims import lived
from tests.postgres.postgres_server import Database


def test_a_fork_has_the_same_bytes_as_in_memory(database: Database) -> None:
    memory = MemoryStore()
    with closing(database.store()) as store:
        for each in (store, memory):
            lived(each)
            forking(each).fork(STREAM, COMMITTED, CHILD)

        assert everything(store, CHILD) == everything(memory, CHILD)
        assert load(store, CHILD) == load(memory, CHILD)
        assert transcript(store, CHILD) == transcript(store, STREAM)


def test_a_past_is_opened_by_its_url(database: Database) -> None:
    with closing(database.store()) as store:
        player = lived(store)

    url, schema = database.url, database.schema
    assert open_history(url, SESSION, schema=schema).events == tuple(player.events)
    assert open_state(url, SESSION, 27, schema=schema) == player.folded.state
    with open_past(url, SESSION, schema=schema) as past:
        assert versions_of_turn(past, "t2") == (23, 25)
        change = blame(past, StatePath.parse("head.revision")).change
        assert change is not None
        assert change.position == COMMITTED - 1
    said = invoke("blame", SESSION, "head.revision", "--db", url, "--schema", schema)
    assert (said.exit_code, "since 21 turn.committed" in said.stdout) == (0, True)
