"""procrastinate on PostgreSQL: defer, fetch, finish."""

import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import Json, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work


@asynccontextmanager
async def _app(setting: Setting) -> AsyncIterator[tuple[Any, Any]]:
    procrastinate = importlib.import_module("procrastinate")
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=setting.where))

    async def work(payload: Json) -> None:
        del payload

    task = app.task(name="work")(work)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        yield app, task


@asynccontextmanager
async def _enqueueing(setting: Setting) -> AsyncIterator[Work]:
    async with _app(setting) as (_, task):

        async def work(number: int) -> None:
            await task.defer_async(payload=user_input(number))

        yield work


@asynccontextmanager
async def _cycling(setting: Setting) -> AsyncIterator[Work]:
    jobs = importlib.import_module("procrastinate").jobs
    async with _app(setting) as (app, task):
        manager = app.job_manager
        worker = await manager.register_worker()

        async def work(number: int) -> None:
            await task.defer_async(payload=user_input(number))
            job = await manager.fetch_job(None, worker)
            await manager.finish_job(job, jobs.Status.SUCCEEDED, delete_job=False)

        yield work


PEER: Final = Peer(
    name="procrastinate",
    modules=("procrastinate",),
    contenders={
        ("w1", StoreKind.POSTGRES): (Contender(name="procrastinate", prepare=_enqueueing),),
        ("w2", StoreKind.POSTGRES): (Contender(name="procrastinate", prepare=_cycling),),
    },
)
