"""google-adk: its two session services on SQLite, which keep the rollback journal."""

import importlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks.contests import Contender
from benchmarks.load import user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.timing import Work

_APP: Final = {"app_name": "bench", "user_id": "u"}


def _database_service(setting: Setting) -> Any:  # noqa: ANN401 - not installed here
    module = importlib.import_module("google.adk.sessions.database_session_service")
    return module.DatabaseSessionService(f"sqlite+aiosqlite:///{setting.file}")


def _sqlite_service(setting: Setting) -> Any:  # noqa: ANN401 - not installed here
    module = importlib.import_module("google.adk.sessions.sqlite_session_service")
    return module.SqliteSessionService(str(setting.file))


def _event(text: str) -> Any:  # noqa: ANN401 - not installed here
    types = importlib.import_module("google.genai.types")
    content = types.Content(role="user", parts=[types.Part(text=text)])
    events = importlib.import_module("google.adk.events")
    return events.Event(author="user", invocation_id="bench", content=content)


def _contender(name: str, make: Callable[[Setting], Any]) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        logging.getLogger("google_adk").setLevel(logging.ERROR)
        service = make(setting)
        sessions = [await service.create_session(**_APP) for _ in range(setting.sessions)]

        async def work(number: int) -> None:
            event = _event(user_input(number)["content"])
            await service.append_event(sessions[number % len(sessions)], event)

        yield work
        await service.close()

    return Contender(name=name, prepare=prepare, note="DELETE/FULL")


PEER: Final = Peer(
    name="google-adk",
    modules=("google.adk.sessions", "aiosqlite", "sqlalchemy"),
    contenders={
        ("w1", StoreKind.SQLITE): (
            _contender("google-adk database", _database_service),
            _contender("google-adk sqlite", _sqlite_service),
        ),
    },
)
