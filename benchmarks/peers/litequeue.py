"""litequeue: its own default is durability ``normal``, so it is compared only there."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson

from benchmarks.contests import Contender
from benchmarks.load import user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work


def _queue(setting: Setting) -> Any:  # noqa: ANN401 - not installed here
    return importlib.import_module("litequeue").LiteQueue(str(setting.file))


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    queue = _queue(setting)

    async def work(number: int) -> None:
        queue.put(orjson.dumps(user_input(number)).decode())

    yield work
    queue.conn.close()


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    queue = _queue(setting)

    async def work(number: int) -> None:
        queue.put(orjson.dumps(user_input(number)).decode())
        queue.done(queue.pop().message_id)

    yield work
    queue.conn.close()


PEER: Final = Peer(
    name="litequeue",
    modules=("litequeue",),
    contenders={
        ("w1/normal", StoreKind.SQLITE): (
            Contender(name="litequeue", prepare=_enqueueing, note="WAL/NORMAL"),
        ),
        ("w2/normal", StoreKind.SQLITE): (
            Contender(name="litequeue", prepare=_cycling, note="WAL/NORMAL"),
        ),
    },
)
