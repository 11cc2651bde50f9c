"""DBOS: a client that enqueues, and a workflow with one step, called directly."""

import importlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import Json, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.servers import words
from benchmarks.timing import Work

_PARKED: Final = "nobody takes from it"
_POLL_S: Final = 0.01


def _url(setting: Setting) -> str:
    if setting.kind is StoreKind.SQLITE:
        return f"sqlite:///{setting.file}"
    named = words(setting.where)
    user = named.get("user", "postgres")
    host, port = named.get("host", "localhost"), named.get("port", 5432)
    return f"postgresql://{user}@/{named['dbname']}?host={host}&port={port}"


@contextmanager
def _launched(setting: Setting) -> Iterator[tuple[Any, Any]]:
    dbos = importlib.import_module("dbos")
    dbos.DBOS(
        config={
            "name": "bench",
            "system_database_url": _url(setting),
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": _POLL_S,
        }
    )

    def step(payload: Json) -> int:
        return len(payload)

    recorded = dbos.DBOS.step()(step)

    def workflow(payload: Json) -> int:
        answer: int = recorded(payload)
        return answer

    work = dbos.DBOS.workflow()(workflow)
    dbos.DBOS.launch()
    try:
        yield dbos, work
    finally:
        dbos.DBOS.destroy(destroy_registry=True)


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    with _launched(setting) as (dbos, workflow):
        client = dbos.DBOSClient(system_database_url=_url(setting))
        options = {"queue_name": _PARKED, "workflow_name": workflow.__qualname__}

        async def alone(number: int) -> None:
            client.enqueue(options, user_input(number))

        async def together(number: int) -> None:
            await client.enqueue_async(options, user_input(number))

        yield alone if setting.tasks == 1 else together
        client.destroy()


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    with _launched(setting) as (_, workflow):

        async def work(number: int) -> None:
            workflow(user_input(number))

        yield work


_ENQUEUE: Final = (Contender(name="DBOS", prepare=_enqueueing, note="DELETE/FULL or PG"),)
_CYCLE: Final = (
    Contender(name="DBOS", prepare=_cycling, note="direct workflow, one step: no queue poll"),
)
PEER: Final = Peer(
    name="DBOS",
    modules=("dbos",),
    contenders={
        ("w1", StoreKind.SQLITE): _ENQUEUE,
        ("w1", StoreKind.POSTGRES): _ENQUEUE,
        ("w2", StoreKind.SQLITE): _CYCLE,
        ("w2", StoreKind.POSTGRES): _CYCLE,
    },
)
