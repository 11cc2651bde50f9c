"""The floor on SQLite: plain ``sqlite3`` at the same durability, and no more than it takes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, closing
from typing import Final, TypeAlias

import orjson

from benchmarks.contests import Contender
from benchmarks.load import turn, user_input
from benchmarks.places import Setting
from benchmarks.timing import Work

_Rows: TypeAlias = Iterable[tuple[str, tuple[object, ...]]]
_Make: TypeAlias = Callable[[sqlite3.Connection, Setting], Callable[[int], Awaitable[object]]]

_TABLES: Final = """
    CREATE TABLE facts (
        position INTEGER PRIMARY KEY, session INTEGER, version INTEGER, topic INTEGER, state BLOB,
        UNIQUE (session, version));
    CREATE TABLE queue (
        item INTEGER PRIMARY KEY, session INTEGER, status INTEGER, owner TEXT, body BLOB);
    CREATE TABLE heads (session INTEGER PRIMARY KEY, version INTEGER, meta BLOB);
"""
_FACT: Final = "INSERT INTO facts (session, version, topic, state) VALUES (?, ?, 1, ?)"
_ENQUEUE: Final = "INSERT INTO queue (item, session, status, body) VALUES (?, ?, 0, ?)"
_CLAIM: Final = "UPDATE queue SET status = 1, owner = 'w' WHERE item = ? AND status = 0"
_COMPLETE: Final = "DELETE FROM queue WHERE item = ?"
_HEAD: Final = """
    INSERT INTO heads VALUES (?, ?, ?)
    ON CONFLICT (session) DO UPDATE SET version = excluded.version, meta = excluded.meta
"""
_META: Final = b"m" * 300
_TAIL: Final = "SELECT state FROM facts WHERE session = 1 ORDER BY version DESC LIMIT 50"
_ALL: Final = "SELECT state FROM facts WHERE session = 1 ORDER BY version"


def _connect(setting: Setting) -> sqlite3.Connection:
    is_new = not setting.file.exists()
    connection = sqlite3.connect(setting.file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={setting.durability.value}")
    if is_new:
        connection.executescript(_TABLES)
    return connection


def _commit(connection: sqlite3.Connection, rows: _Rows) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement, parameters in rows:
        connection.execute(statement, parameters)
    connection.execute("COMMIT")


def _enqueued(setting: Setting, number: int, version: int) -> _Rows:
    body, session = orjson.dumps(user_input(number)), number % setting.sessions
    yield _FACT, (session, version, body)
    yield _ENQUEUE, (number, session, number)


def _inputs(connection: sqlite3.Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        _commit(connection, _enqueued(setting, number, number))

    return work


def _grouped(connection: sqlite3.Connection, setting: Setting) -> Work:
    """Commit what the tasks of one turn of the event loop have asked for, all at once."""
    waiting: list[tuple[int, asyncio.Future[None]]] = []

    def flush() -> None:
        group = waiting.copy()
        waiting.clear()
        _commit(connection, [row for n, _ in group for row in _enqueued(setting, n, n)])
        for _, done in group:
            done.set_result(None)

    async def work(number: int) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        if not waiting:
            loop.call_soon(flush)
        waiting.append((number, done))
        await done

    return work


def _cycles(connection: sqlite3.Connection, setting: Setting) -> Work:
    """Enqueue, claim, complete: three commits, each an event and what became of the queue."""

    async def work(number: int) -> None:
        session = number % setting.sessions
        _commit(connection, _enqueued(setting, number, 3 * number))
        _commit(connection, [(_FACT, (session, 3 * number + 1, b"{}")), (_CLAIM, (number,))])
        _commit(connection, [(_FACT, (session, 3 * number + 2, b"{}")), (_COMPLETE, (number,))])

    return work


def _turns(connection: sqlite3.Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        version = setting.history + number
        _commit(connection, [(_FACT, (1, version, orjson.dumps(turn(version))))])

    return work


def _whole_turns(connection: sqlite3.Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        version = setting.history + number
        row = (_FACT, (1, version, orjson.dumps(turn(version))))
        _commit(connection, [row, (_COMPLETE, (version,)), (_HEAD, (1, version, _META))])

    return work


async def fill(setting: Setting) -> None:
    """Write a history of turns, in one commit."""
    with closing(_connect(setting)) as connection:
        rows = ((_FACT, (1, n, orjson.dumps(turn(n)))) for n in range(setting.history))
        _commit(connection, rows)


def _reader(statement: str) -> Callable[[Setting], Work]:
    def make(setting: Setting) -> Work:
        async def work(_: int) -> None:
            with closing(sqlite3.connect(setting.file, isolation_level=None)) as connection:
                for (state,) in connection.execute(statement):
                    orjson.loads(state)

        return work

    return make


def _writing(name: str, make: _Make, *, with_history: bool = False) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        with closing(_connect(setting)) as connection:
            yield make(connection, setting)

    return Contender(name=name, prepare=prepare, fill=fill if with_history else None)


def _opening(name: str, statement: str) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        with closing(_connect(setting)):  # Kept open, so that the log outlives each reader.
            yield _reader(statement)(setting)

    return Contender(name=name, prepare=prepare, fill=fill)


INPUTS: Final = _writing("raw", _inputs)
GROUPED: Final = _writing("raw, grouped", _grouped)
CYCLES: Final = _writing("raw", _cycles)
TURNS: Final = _writing("raw row", _turns, with_history=True)
WHOLE_TURNS: Final = _writing("raw row, queue and head", _whole_turns, with_history=True)
TAIL: Final = _opening("raw tail of 50", _TAIL)
ALL: Final = _opening("raw, all rows decoded", _ALL)
