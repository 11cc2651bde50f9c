"""openai-agents: ``SQLiteSession``, which keeps items and no queue."""

import importlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import Json, turn, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work

_FILL_PER_CALL: Final = 1_000


def _session(setting: Setting, name: str = "session") -> Any:  # noqa: ANN401 - not installed here
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    module = importlib.import_module("agents.memory.sqlite_session")
    return module.SQLiteSession(name, str(setting.file))


def _items(messages: list[Json]) -> list[Json]:
    asked, calls, found, answer = messages
    call = calls["tool_calls"][0]
    return [
        asked,
        {
            "type": "function_call",
            "call_id": call["id"],
            "name": call["name"],
            "arguments": json.dumps(call["args"]),
        },
        {
            "type": "function_call_output",
            "call_id": call["id"],
            "output": found["content"],
        },
        answer,
    ]


@asynccontextmanager
async def _inputs(setting: Setting) -> AsyncIterator[Work]:
    sessions = [_session(setting, f"session/{n}") for n in range(setting.sessions)]

    async def work(number: int) -> None:
        await sessions[number % len(sessions)].add_items([user_input(number)])

    yield work
    for session in sessions:
        session.close()


async def _fill(setting: Setting) -> None:
    session = _session(setting)
    for first in range(0, setting.history, _FILL_PER_CALL):
        numbers = range(first, min(setting.history, first + _FILL_PER_CALL))
        await session.add_items([item for n in numbers for item in _items(turn(n))])
    session.close()


@asynccontextmanager
async def _turns(setting: Setting) -> AsyncIterator[Work]:
    session = _session(setting)

    async def work(number: int) -> None:
        await session.add_items(_items(turn(number)))

    yield work
    session.close()


@asynccontextmanager
async def _reads(setting: Setting) -> AsyncIterator[Work]:
    kept = _session(setting)

    async def work(_: int) -> None:
        session = _session(setting)
        await session.get_items()
        session.close()

    yield work
    kept.close()


PEER: Final = Peer(
    name="openai-agents",
    modules=("agents.memory",),
    contenders={
        ("w1", StoreKind.SQLITE): (
            Contender(name="openai-agents", prepare=_inputs, note="WAL/FULL"),
        ),
        ("w3", StoreKind.SQLITE): (
            Contender(name="openai-agents", prepare=_turns, fill=_fill, note="WAL/FULL"),
        ),
        ("w4", StoreKind.SQLITE): (Contender(name="openai-agents", prepare=_reads, fill=_fill),),
    },
)
