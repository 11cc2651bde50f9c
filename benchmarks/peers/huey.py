"""huey on SQLite: taking a task deletes it, so that a crash loses it."""

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import Json, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work


def _queue(setting: Setting) -> tuple[Any, Any]:
    huey = importlib.import_module("huey").SqliteHuey(filename=str(setting.file), results=False)

    def work(payload: Json) -> None:
        del payload

    return huey, huey.task()(work)


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    _, task = _queue(setting)

    async def alone(number: int) -> None:
        task(user_input(number))

    async def together(number: int) -> None:
        await asyncio.to_thread(task, user_input(number))

    yield alone if setting.tasks == 1 else together


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    huey, task = _queue(setting)

    async def work(number: int) -> None:
        task(user_input(number))
        huey.execute(huey.dequeue())

    yield work


PEER: Final = Peer(
    name="huey",
    modules=("huey",),
    contenders={
        ("w1", StoreKind.SQLITE): (Contender(name="huey", prepare=_enqueueing, note="WAL/FULL"),),
        ("w2", StoreKind.SQLITE): (
            Contender(name="huey", prepare=_cycling, note="WAL/FULL, at most once, 2 commits"),
        ),
    },
)
