"""
Places where a process that writes to SQLite can die, numbered as it comes by.

They are found below the product, in the connection that it is given: before every statement
that writes (which is after the one before it; each row of an ``executemany`` is one, and so is
COMMIT), in the middle of COMMIT's writing, and after COMMIT, before anybody is told. How many
statements the product makes of an append is its own business. A thorough fate also knows the
places before BEGIN and before what reads in a transaction, where the file is what it was at the
place before.

In the middle of COMMIT the kernel kills: the file may grow by so many bytes and no more, so what
is left is half a page.
"""

import asyncio
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from attrs import Factory, define, frozen

from tests.crash.processes import Tell, die

_R = TypeVar("_R")

_PAGE_BYTES: Final = 4_096
_FRAME_BYTES: Final = 24 + _PAGE_BYTES

TORN: Final = (_PAGE_BYTES // 2,)
"""How far COMMIT may come, in bytes: into its first page."""
TORN_LONG: Final = (10, _PAGE_BYTES // 2, _FRAME_BYTES + 10, 2 * _FRAME_BYTES)
"""Into the first frame's header, its page, the second frame's header, and between two frames."""


_READING: Final = {"SELECT", "PRAGMA"}
"""What writes nothing outside a transaction, but for the one that switches to WAL."""
_WRITING: Final = {"COMMIT", "CREATE", "ALTER", "INSERT", "REPLACE", "UPDATE", "DELETE"}


class Lost(Enum):
    """What happened to a COMMIT whose answer is lost, while the process lives on."""

    BEFORE = "it did not happen"
    AFTER = "it happened"


class Fault(Enum):
    """What somebody could get wrong; each has to be noticed."""

    TWO_TRANSACTIONS = "facts and head row are committed one after the other"
    TOLD_TOO_EARLY = "an append is acknowledged, and committed later"


@frozen(kw_only=True)
class Fate:
    """
    What becomes of a process.

    It dies at place number ``die_at``, or loses the answer to COMMIT number ``lose_at`` (both
    from 1 on).
    """

    die_at: int | None = None
    lose_at: int | None = None
    lost: Lost = Lost.AFTER
    is_thorough: bool = False
    """Whether it may also die before what only reads, and at more places of a COMMIT."""
    fault: Fault | None = None


@define
class Places:
    """The places that were passed so far, and what happens at them."""

    fate: Fate
    tell: Tell
    path: Path
    passed: int = 0
    commits: int = 0
    owed: "list[Watched]" = Factory(list)
    """Connections whose COMMIT was put off, by ``TOLD_TOO_EARLY``."""

    def come_by(self, name: str) -> None:
        """Pass a place, or die there."""
        if self._is_here(name):
            die()

    def _is_here(self, name: str) -> bool:
        self.passed += 1
        if self.passed != self.fate.die_at:
            return False
        self.tell(("died", name))
        return True

    def run(self, connection: "Watched", sql: str, run: Callable[[], _R]) -> _R | None:
        """Run a statement, and pass the places of a COMMIT on the way; plant what is wrong."""
        verb = _verb(sql)
        if self.fate.fault is Fault.TOLD_TOO_EARLY:
            if verb == "COMMIT":
                self._put_off(connection)
                return None
            if verb == "BEGIN":
                self.pay()
        if self.fate.fault is Fault.TWO_TRANSACTIONS and _is_of_head(sql):
            connection.plainly("COMMIT")
            connection.plainly("BEGIN IMMEDIATE")
        return self._commit(run) if verb == "COMMIT" else run()

    def _commit(self, commit: Callable[[], _R]) -> _R:
        self.commits += 1
        for size in TORN_LONG if self.fate.is_thorough else TORN:
            if self._is_here(f"in COMMIT after {size} bytes"):
                self._die_torn(size, commit)
        if self.commits == self.fate.lose_at:
            _lose(commit, self.fate.lost)
        result = commit()
        self.come_by("after COMMIT")
        return result

    def _die_torn(self, size: int, commit: Callable[[], object]) -> NoReturn:
        log = self.path.with_name(f"{self.path.name}-wal")
        limit = (log.stat().st_size if log.exists() else 0) + size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        commit()
        # It wrote over what was there, and did not grow: nothing was acknowledged all the same.
        die()

    def _put_off(self, connection: "Watched") -> None:
        self.owed.append(connection)
        with suppress(RuntimeError):  # On a thread without a loop the next BEGIN will do.
            asyncio.get_running_loop().call_soon(self.pay)

    def pay(self) -> None:
        """Commit what was put off."""
        while self.owed:
            self.owed.pop().plainly("COMMIT")


def _lose(commit: Callable[[], object], lost: Lost) -> NoReturn:
    if lost is Lost.AFTER:
        commit()
    error = sqlite3.OperationalError("disk I/O error, on purpose")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


class _Cursor(sqlite3.Cursor):
    """What the library uses; the product uses the connection's own methods."""

    connection: "Watched"

    def execute(self, sql: str, parameters: Any = (), /) -> "_Cursor":  # noqa: ANN401 - as sqlite3
        self.connection.places.run(self.connection, sql, partial(super().execute, sql, parameters))
        return self


class Watched(sqlite3.Connection):
    """A connection on which a process may die."""

    places: Places

    def cursor(self, factory: Any = None) -> Any:  # noqa: ANN401, ARG002 - as sqlite3
        return super().cursor(_Cursor)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:  # noqa: ANN401 - as sqlite3
        return self.places.run(self, sql, partial(super().execute, sql, parameters))

    def executemany(self, sql: str, parameters: Any, /) -> Any:  # noqa: ANN401 - as sqlite3
        return self.places.run(self, sql, partial(super().executemany, sql, parameters))

    def commit(self) -> None:
        self.places.run(self, "COMMIT", super().commit)

    def plainly(self, sql: str) -> None:
        """Run a statement of a fault's own, at which nothing else happens."""
        super().cursor(sqlite3.Cursor).execute(sql)

    def rollback(self) -> None:
        if self not in self.places.owed:
            super().rollback()

    def traced(self, statement: str) -> None:
        """SQLite is about to run a statement."""
        verb = _verb(statement)
        if self.places.fate.is_thorough:
            is_place = self.in_transaction or verb not in _READING
        else:
            is_place = verb in _WRITING or (self.in_transaction and verb == "PRAGMA")
        if is_place or "journal_mode" in statement:
            self.places.come_by(f"before {verb}")


def _is_of_head(sql: str) -> bool:
    return _verb(sql) in {"INSERT", "UPDATE"} and "lash_es_heads" in sql


def _verb(statement: str) -> str:
    return statement.split(maxsplit=1)[0].upper()


def watch(fate: Fate, tell: Tell, path: Path) -> Places:
    """Watch every connection that this process opens from now on; never undone."""
    places = Places(fate, tell, path)
    # Python ignores it, and then a file that may not grow is only an error.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    connect = sqlite3.connect

    def connected(*arguments: Any, **keywords: Any) -> Watched:  # noqa: ANN401 - as sqlite3
        asked = keywords.pop("factory", sqlite3.Connection)
        factory = type("WatchedConnection", (Watched, asked), {})
        made: Watched = connect(*arguments, **keywords, factory=factory)
        made.places = places
        made.set_trace_callback(made.traced)
        return made

    sqlite3.connect = connected  # type: ignore[assignment]
    return places
