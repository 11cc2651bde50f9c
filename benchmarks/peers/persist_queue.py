"""persist-queue: ``SQLiteAckQueue``, which takes and acknowledges."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work


def _queue(setting: Setting) -> Any:  # noqa: ANN401 - not installed here
    return importlib.import_module("persistqueue").SQLiteAckQueue(
        setting.where,
        multithreading=True,
        auto_commit=True,
        serializer=importlib.import_module("persistqueue.serializers.json"),
        db_file_name=setting.file.name,
    )


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    queue = _queue(setting)

    async def work(number: int) -> None:
        queue.put(user_input(number))

    yield work
    queue.close()


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    queue = _queue(setting)

    async def work(number: int) -> None:
        queue.put(user_input(number))
        taken = queue.get(raw=True)
        queue.ack(id=taken["pqid"])

    yield work
    queue.close()


PEER: Final = Peer(
    name="persist-queue",
    modules=("persistqueue",),
    contenders={
        ("w1/alone", StoreKind.SQLITE): (
            Contender(name="persist-queue", prepare=_enqueueing, note="WAL/FULL"),
        ),
        ("w2", StoreKind.SQLITE): (
            Contender(name="persist-queue", prepare=_cycling, note="WAL/FULL"),
        ),
    },
)
