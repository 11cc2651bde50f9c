"""G13: eight processes enqueue on one PostgreSQL, beside eight with the stock recorder."""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson
from eventsourcing.persistence import StoredEvent

from benchmarks.contests import Spread, spread
from benchmarks.load import input_text, user_input
from benchmarks.ours import core_on
from benchmarks.peers.eventsourcing_recorder import postgres
from benchmarks.places import Setting, StoreKind, place
from lash_es import Durability

PROCESSES: Final = 8
SESSIONS: Final = 10
_SECONDS: Final = 2.0
_ANSWER_WAIT_S: Final = 120


def processes(rounds: int) -> Mapping[str, Spread]:
    """Compare rates, round by round, in turned order."""
    ratios = []
    for number in range(rounds):
        order = (_ours, _recorder) if number % 2 else (_recorder, _ours)
        rates = {work: _rate(work) for work in order}
        ratios.append(rates[_ours] / rates[_recorder])
    found = spread(ratios)
    return {} if found is None else {"w1 postgres 8 processes over recorder": found}


def _rate(work: Callable[[Setting, int], int]) -> float:
    setting = Setting(
        kind=StoreKind.POSTGRES,
        durability=Durability.FULL,
        tasks=1,
        sessions=SESSIONS,
        history=0,
        operations=0,
    )
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as scratch, place(setting, Path(scratch)) as here:
        work(here, -1)  # Makes the tables, so that eight processes need not agree on who does.
        with context.Pool(PROCESSES) as pool:
            asked = [pool.apply_async(work, (here, number)) for number in range(PROCESSES)]
            return sum(each.get(_ANSWER_WAIT_S) for each in asked) / _SECONDS


def _ours(setting: Setting, process: int) -> int:
    return asyncio.run(_enqueue(setting, process))


async def _enqueue(setting: Setting, process: int) -> int:
    async with core_on(setting) as core:
        names = [f"p{process}/{number}" for number in range(SESSIONS)]
        sessions = [await core.session(name) for name in names]
        done, until = 0, time.monotonic() + (_SECONDS if process >= 0 else 0)
        while time.monotonic() < until:
            await sessions[done % SESSIONS].enqueue(input_text(done))
            done += 1
    return done


def _recorder(setting: Setting, process: int) -> int:
    datastore, recorder = postgres(setting.where)
    with closing(datastore):
        if process < 0:
            recorder.create_table()
            return 0
        done, until = 0, time.monotonic() + _SECONDS
        while time.monotonic() < until:
            stored = StoredEvent(
                originator_id=f"p{process}/{done % SESSIONS}",
                originator_version=done // SESSIONS,
                topic="Enqueued",
                state=orjson.dumps(user_input(done)),
            )
            recorder.insert_events([stored])
            done += 1
    return done
