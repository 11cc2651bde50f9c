"""The floor on PostgreSQL: one prepared statement a commit, on one psycopg connection."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from typing import Any, Final, LiteralString, TypeAlias

import orjson
import psycopg

from benchmarks.contests import Contender
from benchmarks.load import turn, user_input
from benchmarks.places import Setting
from benchmarks.timing import Work

_Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
_Make: TypeAlias = Callable[[_Connection, Setting], Work]

_TABLES: Final[tuple[LiteralString, ...]] = (
    """
    CREATE TABLE IF NOT EXISTS facts (
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        session int, version int, topic int, state bytea, UNIQUE (session, version))
    """,
    """
    CREATE TABLE IF NOT EXISTS queue (
        session int, item int, status int NOT NULL, owner text, PRIMARY KEY (session, item))
    """,
    "CREATE TABLE IF NOT EXISTS heads (session int PRIMARY KEY, version int, meta bytea)",
)
_FACT: Final = """
    WITH fact AS (
        INSERT INTO facts (session, version, topic, state) VALUES (%s, %s, 1, %s)
        RETURNING position)
"""
_ENQUEUE: Final = (
    _FACT + ", beside AS (INSERT INTO queue VALUES (%s, %s, 0, NULL)) SELECT position FROM fact"
)
_CLAIM: Final = (
    _FACT
    + """, beside AS (
        UPDATE queue SET status = 1, owner = 'w' WHERE session = %s AND item = %s AND status = 0)
    SELECT position FROM fact"""
)
_COMPLETE: Final = (
    _FACT
    + """, beside AS (DELETE FROM queue WHERE session = %s AND item = %s)
    SELECT position FROM fact"""
)
_TURN: Final = (
    _FACT
    + """, beside AS (DELETE FROM queue WHERE session = %s AND item = %s),
    head AS (
        INSERT INTO heads VALUES (%s, %s, %s)
        ON CONFLICT (session) DO UPDATE SET version = excluded.version, meta = excluded.meta)
    SELECT position FROM fact"""
)
_ROW: Final = "INSERT INTO facts (session, version, topic, state) VALUES (%s, %s, 1, %s)"
_GROUPED: Final = """
    WITH rows AS (
        SELECT * FROM unnest(%s::int[], %s::int[], %s::bytea[]) AS rows (session, item, state)),
    fact AS (
        INSERT INTO facts (session, version, topic, state)
        SELECT session, item, 1, state FROM rows)
    INSERT INTO queue SELECT session, item, 0, NULL FROM rows
"""
_ALL: Final = "SELECT state FROM facts WHERE session = 1 ORDER BY version"
_TAIL: Final = "SELECT state FROM facts WHERE session = 1 ORDER BY version DESC LIMIT 50"


def _connect(setting: Setting) -> _Connection:
    connection = psycopg.connect(setting.where, autocommit=True, prepare_threshold=0)
    for table in _TABLES:
        connection.execute(table)
    return connection


def _run(connection: _Connection, statement: LiteralString, *parameters: object) -> None:
    connection.execute(statement, parameters, prepare=True, binary=True)


def _inputs(connection: _Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        session = number % setting.sessions
        body = orjson.dumps(user_input(number))
        _run(connection, _ENQUEUE, session, number, body, session, number)

    return work


def _cycles(connection: _Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        session, version = number % setting.sessions, 3 * number
        body = orjson.dumps(user_input(number))
        _run(connection, _ENQUEUE, session, version, body, session, number)
        _run(connection, _CLAIM, session, version + 1, b"{}", session, number)
        _run(connection, _COMPLETE, session, version + 2, b"{}", session, number)

    return work


def _turns(connection: _Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        version = setting.history + number
        _run(connection, _ROW, 1, version, orjson.dumps(turn(version)))

    return work


def _whole_turns(connection: _Connection, setting: Setting) -> Work:
    async def work(number: int) -> None:
        version = setting.history + number
        body = orjson.dumps(turn(version))
        _run(connection, _TURN, 1, version, body, 1, version, 1, version, b"m" * 300)

    return work


class _Grouping:
    """A thread that writes, in one statement, whatever has gathered while it wrote before."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[int, int, bytes, asyncio.Future[None]]] = []
        self._is_over = False
        self._wanted = threading.Condition()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def add(self, session: int, number: int) -> asyncio.Future[None]:
        done = self._loop.create_future()
        with self._wanted:
            self._waiting.append((session, number, orjson.dumps(user_input(number)), done))
            self._wanted.notify()
        return done

    def stop(self) -> None:
        with self._wanted:
            self._is_over = True
            self._wanted.notify()
        self._thread.join()

    def _write(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._waiting or self._is_over)
                group, self._waiting = self._waiting, []
            if not group:
                return
            sessions, items, bodies = (
                list(column) for column in list(zip(*group, strict=True))[:3]
            )
            _run(self._connection, _GROUPED, sessions, items, bodies)
            self._loop.call_soon_threadsafe(_settle, [each[3] for each in group])


def _settle(futures: list[asyncio.Future[None]]) -> None:
    for done in futures:
        done.set_result(None)


@asynccontextmanager
async def _grouped(setting: Setting) -> AsyncIterator[Work]:
    with closing(_connect(setting)) as connection:
        grouping = _Grouping(connection)

        async def work(number: int) -> None:
            await grouping.add(number % setting.sessions, number)

        try:
            yield work
        finally:
            grouping.stop()


async def fill(setting: Setting) -> None:
    """Write a history of turns."""
    with closing(_connect(setting)) as connection, connection.transaction():
        connection.cursor().executemany(
            _ROW, [(1, n, orjson.dumps(turn(n))) for n in range(setting.history)]
        )


def _writing(name: str, make: _Make, *, with_history: bool = False) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        with closing(_connect(setting)) as connection:
            yield make(connection, setting)

    return Contender(name=name, prepare=prepare, fill=fill if with_history else None)


def _opening(name: str, statement: LiteralString) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        async def work(_: int) -> None:
            with closing(psycopg.connect(setting.where, autocommit=True)) as connection:
                for (state,) in connection.execute(statement, binary=True):
                    orjson.loads(state)

        yield work

    return Contender(name=name, prepare=prepare, fill=fill)


INPUTS: Final = _writing("raw", _inputs)
GROUPED: Final = Contender(name="raw, grouped", prepare=_grouped)
CYCLES: Final = _writing("raw", _cycles)
TURNS: Final = _writing("raw row", _turns, with_history=True)
WHOLE_TURNS: Final = _writing("raw row, queue and head", _whole_turns, with_history=True)
TAIL: Final = _opening("raw tail of 50", _TAIL)
ALL: Final = _opening("raw, all rows decoded", _ALL)
