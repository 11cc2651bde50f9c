"""
The same sweeps on a PostgreSQL server: a client dies before a statement, with it sent, and after.

Each statement is a transaction. When the client is dead the server may still be at its last one,
so whoever looks waits until the dead client's sessions are gone. One sweep at a time on a server.
"""

import time
from collections.abc import Callable, Generator
from typing import Any, Final

import psycopg
from attrs import define, frozen
from psycopg.waiting import Wait

from lash_es.log.port import Store
from tests.crash.ledgers import Ledger, ledger_of, read_by
from tests.crash.processes import Tell, die
from tests.crash.sites import Fate
from tests.postgres.postgres_server import Database, new_database
from tests.session.stores import Shared

_SESSIONS: Final = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lash_es'"
_WRITES: Final = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER")
GONE_S_MAX: Final = 30


@frozen
class InPostgres:
    """A schema on a server, with tables; ``strike`` is what happens at the place to die at."""

    database: Database
    strike: Callable[[], object] = die

    @property
    def is_in_order(self) -> bool:
        # Statements wait for the network on a thread, and who is done first is anybody's guess.
        return False

    def fresh(self) -> "InPostgres":
        made = InPostgres(new_database(self.database.url), self.strike)
        made.store().close()
        return made

    def store(self) -> Store:
        return _OnHostTime(self.database.store())

    def ledger(self) -> Ledger:
        deadline_s = time.monotonic() + GONE_S_MAX
        while self.database.sql(_SESSIONS) != [(0,)]:
            assert time.monotonic() < deadline_s, "a dead client's statement does not end"
            time.sleep(0.002)
        try:
            return read_by(self.database.sql)
        except psycopg.errors.UndefinedTable:
            return ledger_of((), ())

    def watch(self, fate: Fate, tell: Tell) -> Callable[[], tuple[int, int]]:
        statements = _Statements(fate, tell, self.strike)
        statements.watch()
        return lambda: (statements.passed, statements.writes)

    def clear(self) -> None:
        self.database.drop()


class _OnHostTime(Shared):
    """Has no time of its own: lives that are compared are lived at the same times."""

    def clock(self) -> None:
        pass

    def close(self) -> None:
        self.inner.close()


@define
class _Statements:
    """The writing statements so far, with three places each: before, sent, after."""

    fate: Fate
    tell: Tell
    strike: Callable[[], object]
    passed: int = 0
    writes: int = 0
    is_sending: bool = False

    def watch(self) -> None:
        """Watch every connection of this process from now on; never undone."""
        execute, wait = psycopg.Cursor.execute, psycopg.Connection.wait

        def executed(cursor: Any, query: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
            if not any(word in str(query).upper() for word in _WRITES):
                return execute(cursor, query, *rest, **more)
            self.writes += 1
            self._come_by("before a statement")
            self.is_sending = True
            done = execute(cursor, query, *rest, **more)
            self.is_sending = False
            self._come_by("after a statement")
            return done

        def waited(connection: Any, steps: Any, *rest: Any, **more: Any) -> Any:  # noqa: ANN401
            return wait(connection, self._sent(steps), *rest, **more)

        psycopg.Cursor.execute = executed  # type: ignore[method-assign,assignment]
        psycopg.Connection.wait = waited  # type: ignore[method-assign,assignment]

    def _sent(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """Pass on what waits; the first time that it only waits to read, all is sent."""
        answer: Any = None
        try:
            step = next(steps)
            while True:
                if self.is_sending and step == Wait.R:
                    self.is_sending = False
                    self._come_by("with a statement sent")
                answer = yield step
                step = steps.send(answer)
        except StopIteration as end:
            return end.value

    def _come_by(self, name: str) -> None:
        self.passed += 1
        if self.passed == self.fate.die_at:
            self.tell(("died", name))
            self.strike()
