"""eventsourcing's recorders alone, without an application: the least that its table costs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import orjson
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from benchmarks.contests import Contender
from benchmarks.load import user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.servers import words
from benchmarks.timing import Work


def _sqlite(setting: Setting) -> tuple[SQLiteDatastore, SQLiteApplicationRecorder]:
    datastore = SQLiteDatastore(str(setting.file), originator_id_type="text")
    return datastore, SQLiteApplicationRecorder(datastore)


def postgres(where: str) -> tuple[PostgresDatastore, PostgresApplicationRecorder]:
    """Make the stock recorder, as it is without database functions."""
    named = words(where)
    datastore = PostgresDatastore(
        str(named["dbname"]),
        str(named.get("host", "localhost")),
        str(named.get("port", 5432)),
        str(named.get("user", "postgres")),
        str(named.get("password", "") or "none"),
        originator_id_type="text",
    )
    return datastore, PostgresApplicationRecorder(datastore)


@asynccontextmanager
async def _recording(setting: Setting) -> AsyncIterator[Work]:
    sqlite = setting.kind is StoreKind.SQLITE
    datastore, recorder = _sqlite(setting) if sqlite else postgres(setting.where)
    recorder.create_table()

    async def work(number: int) -> None:
        stored = StoredEvent(
            originator_id="session/1",
            originator_version=number + 1,
            topic="Enqueued",
            state=orjson.dumps(user_input(number)),
        )
        recorder.insert_events([stored])

    try:
        yield work
    finally:
        datastore.close()


_RECORDER: Final = Contender(
    name="eventsourcing recorder", prepare=_recording, note="one session, whatever the tasks"
)
PEER: Final = Peer(
    name="eventsourcing recorder",
    modules=("eventsourcing",),
    contenders={
        ("w1/alone", StoreKind.SQLITE): (_RECORDER,),
        ("w1/alone", StoreKind.POSTGRES): (_RECORDER,),
    },
)
