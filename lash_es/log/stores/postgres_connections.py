"""
Two connections to one server, and what is known when one of them is lost.

1. One connection writes and is pinned, so that its statements stay prepared; the other only reads,
   so that a commit on a thread of its own never keeps a reader waiting.
2. A connection that is found dead *before* a statement is replaced, since nothing was sent.
3. A connection that is lost *after* a statement was sent leaves its outcome unknown, unless it
   only read. Nothing is sent again here: whoever appended looks for its ``append_id``.
4. The server may still be at that statement, or not have begun it. So the next call, whatever it
   is, first ends that session and waits until it is gone: what is then read is the outcome.
5. A statement is a transaction (autocommit): an error on a connection that lives on is its answer,
   and means that nothing was written.
6. Who comes to a connection from another thread waits for its turn: on the wire a statement that
   overtakes another one would take its rows.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from psycopg import Cursor

from lash_es.log.appends import Unknown
from lash_es.log.errors import StoreClosed, StoreDisconnected, StoreUnavailable
from lash_es.log.stores.postgres_reads import Row
from lash_es.log.stores.postgres_schema import prepare
from lash_es.log.stores.postgres_servers import Server, typed_errors
from lash_es.log.stores.postgres_sessions import Pinned, Session

_R = TypeVar("_R")


class Connections:
    """The two connections of a store."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._writer = Pinned(server)
        self._reader = Pinned(server)
        self._unsettled: Session | None = None
        self._is_closed = False

    def write(self, work: Callable[[Cursor[Row]], _R]) -> _R | Unknown:
        """
        Run ``work``, of which each statement is a transaction and only the last one writes.

        Returns:
            What ``work`` returned; or ``Unknown`` if the connection was lost under way.
        """
        with self._cursor(self._writer) as cursor:
            try:
                return work(cursor)
            except psycopg.Error as cause:
                if not cursor.connection.closed:
                    raise
                return Unknown(reason=f"the connection was lost: {self.server.redacted(cause)}")
            finally:
                if cursor.connection.closed:
                    self._unsettled = self._writer.session

    def read(self, work: Callable[[Cursor[Row]], _R]) -> _R:
        """Run ``work``, one statement of which sees one state of the database."""
        with self._cursor(self._reader) as cursor:
            return work(cursor)

    def prepare(self, *, create: bool, for_reading: bool) -> None:
        """Make the tables if they are missing and wanted; refuse what is no log of ours."""
        with self._cursor(self._writer) as cursor:
            prepare(cursor.connection, self.server, create=create, for_reading=for_reading)

    @contextmanager
    def _cursor(self, pinned: Pinned) -> Generator[Cursor[Row]]:
        self.require_open()
        with pinned.turn, typed_errors(self.server):
            cursor: Cursor[Row] | None = None
            try:
                cursor = pinned.cursor()
                self._settle(cursor)
                yield cursor
            except psycopg.Error as cause:
                if cursor is not None and not cursor.connection.closed:
                    raise
                reason = self.server.redacted(cause)
                raise StoreDisconnected(where=self.server.where, reason=reason) from cause

    def _settle(self, cursor: Cursor[Row]) -> None:
        """End the session whose outcome is unknown; two threads may do so, and end it once."""
        unsettled = self._unsettled
        if unsettled is not None:
            unsettled.end(cursor, self.server)
            if self._unsettled is unsettled:
                self._unsettled = None

    @property
    def statements_count(self) -> int:
        """How often one of both was used, each time for one statement as a rule."""
        return self._writer.uses_count + self._reader.uses_count

    def close(self) -> None:
        """Close both; twice is once."""
        self._is_closed = True
        self._writer.close()
        self._reader.close()

    def require_open(self) -> None:
        """Refuse to work after ``close``."""
        if self._is_closed:
            raise StoreClosed(where=self.server.where)


def connect(server: Server, *, create: bool, for_reading: bool = False) -> Connections:
    """
    Open the writing connection, and make the tables if the database is new.

    Raises:
        StoreUnavailable: there is no server, or no log, and none could be made.
        StoreTablesOlder: its tables are old, and it is opened for reading.
    """
    connections = Connections(server)
    try:
        connections.prepare(create=create, for_reading=for_reading)
    except StoreDisconnected as cause:
        connections.close()
        raise StoreUnavailable(where=cause.where, reason=cause.reason) from None
    except BaseException:
        connections.close()
        raise
    return connections
