"""eventsourcing: an application with one aggregate a session, in memory or read anew each time."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias
from uuid import UUID, uuid4, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.contests import Contender
from benchmarks.load import Json, turn, user_input
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.servers import words
from benchmarks.timing import Work

_ONE: Final = uuid5(UUID(int=0), "session")
_FILL_PER_SAVE: Final = 1_000
_Make: TypeAlias = Callable[[Application[UUID], Setting], Work]


class Session(Aggregate):
    """A queue and a history, as its documentation would write them."""

    def __init__(self) -> None:
        self.queue: list[Json] = []
        self.messages: list[Json] = []

    @staticmethod
    def create_id() -> UUID:
        """One session in one database."""
        return _ONE

    @event("Enqueued")
    def enqueue(self, payload: Json) -> None:
        self.queue.append(payload)

    @event("Claimed")
    def claim(self, owner: str) -> None:
        self.owner = owner

    @event("Completed")
    def complete(self) -> None:
        self.queue.pop(0)

    @event("TurnCommitted")
    def commit_turn(self, messages: list[Json]) -> None:
        self.messages.extend(messages)


class Many(Session):
    """One of a hundred sessions."""

    @staticmethod
    def create_id() -> UUID:
        """An id like any other."""
        return uuid4()


def environment(setting: Setting) -> dict[str, str]:
    """Say where its tables are, as its factories read it."""
    if setting.kind is StoreKind.SQLITE:
        return {
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(setting.file),
        }
    named = words(setting.where)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(named["dbname"]),
        "POSTGRES_HOST": str(named.get("host", "localhost")),
        "POSTGRES_PORT": str(named.get("port", 5432)),
        "POSTGRES_USER": str(named.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(named.get("password", "") or "none"),
    }


def _inputs(app: Application[UUID], setting: Setting) -> Work:
    sessions = [Many() for _ in range(setting.sessions)]
    locks = [threading.Lock() for _ in sessions]
    app.save(*sessions)

    def enqueue(number: int) -> None:
        place = number % len(sessions)
        with locks[place]:
            sessions[place].enqueue(user_input(number))
            app.save(sessions[place])

    async def alone(number: int) -> None:
        enqueue(number)

    async def together(number: int) -> None:
        await asyncio.to_thread(enqueue, number)

    return alone if setting.tasks == 1 else together


def _cycles(app: Application[UUID], _: Setting) -> Work:
    session = Session()
    app.save(session)

    async def work(number: int) -> None:
        session.enqueue(user_input(number))
        app.save(session)
        session.claim("w")
        app.save(session)
        session.complete()
        app.save(session)

    return work


def _held_turns(app: Application[UUID], _: Setting) -> Work:
    session: Any = app.repository.get(_ONE)

    async def work(number: int) -> None:
        session.commit_turn(turn(number))
        app.save(session)

    return work


def _read_turns(app: Application[UUID], _: Setting) -> Work:
    async def work(number: int) -> None:
        session: Any = app.repository.get(_ONE)
        session.commit_turn(turn(number))
        app.save(session)

    return work


def _reads(app: Application[UUID], _: Setting) -> Work:
    async def work(_: int) -> None:
        app.repository.get(_ONE)

    return work


async def _fill(setting: Setting) -> None:
    app: Application[UUID] = Application(environment(setting))
    session = Session()
    for number in range(setting.history):
        session.commit_turn(turn(number))
        if number % _FILL_PER_SAVE == 0:
            app.save(session)
    app.save(session)
    app.close()


async def _fill_small(setting: Setting) -> None:
    app: Application[UUID] = Application(environment(setting))
    session = Session()
    for number in range(setting.history):
        session.enqueue(user_input(number))
    app.save(session)
    app.close()


def _contender(name: str, make: _Make, *, with_history: bool = False) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        app: Application[UUID] = Application(environment(setting))
        try:
            yield make(app, setting)
        finally:
            app.close()

    return Contender(
        name=name, prepare=prepare, fill=_fill if with_history else None, note="WAL/FULL or PG"
    )


_HELD: Final = _contender("eventsourcing", _inputs)
_CYCLES: Final = _contender("eventsourcing", _cycles)
_TURNS: Final = (
    _contender("eventsourcing, held", _held_turns, with_history=True),
    _contender("eventsourcing, get and save", _read_turns, with_history=True),
)
_OPEN: Final = (_contender("eventsourcing", _reads, with_history=True),)

PEER: Final = Peer(
    name="eventsourcing",
    modules=("eventsourcing",),
    contenders={
        ("w1", StoreKind.SQLITE): (_HELD,),
        ("w1", StoreKind.POSTGRES): (_HELD,),
        ("w2", StoreKind.SQLITE): (_CYCLES,),
        ("w2", StoreKind.POSTGRES): (_CYCLES,),
        ("w3", StoreKind.SQLITE): _TURNS,
        ("w4", StoreKind.SQLITE): _OPEN,
        ("w5", StoreKind.SQLITE): (
            Contender(name="eventsourcing", prepare=_OPEN[0].prepare, fill=_fill_small),
        ),
    },
)
