"""
One connection to a server: how it is set, whether it is alive, and what the server calls it.

Each statement is a transaction (autocommit) and stays prepared.
"""

import time
from threading import Lock
from typing import Final

import psycopg
from attrs import frozen
from psycopg import Connection, Cursor
from psycopg.pq import TransactionStatus

from lash_es.log.errors import StoreBusy, StoreDisconnected
from lash_es.log.stores.postgres_arrays import register
from lash_es.log.stores.postgres_reads import Row
from lash_es.log.stores.postgres_servers import Server

_STATEMENT_MS_MAX: Final = 30_000

# One statement, so that a new connection costs one round trip more. Plans are generic and go by
# index: otherwise those that were made while the tables were small would outlive that, and a
# statement with so many parts would be planned again and again at the price of its execution.
_SETTINGS: Final = """
    SELECT set_config('search_path', quote_ident(%s), false),
           set_config('lock_timeout', %s, false),
           set_config('statement_timeout', %s, false),
           set_config('default_transaction_isolation', 'read committed', false),
           set_config('synchronous_commit', CASE current_setting('synchronous_commit')
               WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false),
           set_config('plan_cache_mode', 'force_generic_plan', false),
           set_config('enable_seqscan', 'off', false),
           set_config('jit', 'off', false)
"""
_SESSION: Final = """
    SELECT pid, extract(epoch FROM backend_start)::text FROM pg_stat_activity
     WHERE pid = pg_backend_pid()
"""
_END_SESSION: Final = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE pid = %s AND extract(epoch FROM backend_start)::text = %s
"""
_PAUSE_S: Final = 0.002


def connected(server: Server) -> Connection:
    """
    Open a connection.

    Raises:
        StoreDisconnected: the server cannot be reached, or does not let us in.
    """
    waits = (str(server.lock_wait_ms), str(max(_STATEMENT_MS_MAX, server.lock_wait_ms)))
    connection: Connection | None = None
    try:
        connection = psycopg.connect(server.conninfo, autocommit=True)
        connection.execute(_SETTINGS, (server.schema, *waits))
    except psycopg.Error as cause:
        if connection is not None:
            connection.close()
        # Its cause is left out: what libpq says of a URL may hold parts of it.
        reason = server.redacted(cause)
        raise StoreDisconnected(where=server.where, reason=reason) from None
    register(connection)
    connection.prepare_threshold = 0
    return connection


@frozen
class Session:
    """A connection as the server knows it; a process number alone would be used again."""

    pid: int
    began_at: str

    def end(self, cursor: Cursor[Row], server: Server) -> None:
        """
        End it from another connection, and wait until it is gone.

        Raises:
            StoreBusy: it is still there.
        """
        deadline_s = time.monotonic() + server.lock_wait_ms / 1_000
        while cursor.execute(_END_SESSION, (self.pid, self.began_at)).fetchone():
            if time.monotonic() > deadline_s:
                raise StoreBusy(where=server.where, waited_ms=server.lock_wait_ms)
            time.sleep(_PAUSE_S)


class Pinned:
    """
    One connection that is kept, and replaced where it is found dead before it is used.

    Its one cursor is kept, too: what it knows of its parameters' types costs 30 us to find out.
    So whoever uses it holds ``turn`` until the rows are read.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._cursor: Cursor[Row] | None = None
        self.turn = Lock()
        self.session = Session(0, "")
        self.uses_count = 0

    def cursor(self) -> Cursor[Row]:
        """Return the connection's cursor if that is alive, otherwise a new one's."""
        self.uses_count += 1
        if self._cursor is None or not _is_usable(self._cursor.connection):
            self.close()
            self.session = Session(0, "")
            self._cursor = connected(self._server).cursor(binary=True)
            ((pid, began_at),) = self._cursor.execute(_SESSION)
            self.session = Session(pid, began_at)
        return self._cursor

    def close(self) -> None:
        """Close it, if there is one."""
        if self._cursor is not None:
            self._cursor.connection.close()


def _is_usable(connection: Connection) -> bool:
    """
    Look whether the server has hung up, at the price of two system calls and no round trip.

    The first may find why it did, and only the second that it did.
    """
    try:
        connection.pgconn.consume_input()
        connection.pgconn.consume_input()
    except psycopg.Error:
        return False
    return connection.pgconn.transaction_status == TransactionStatus.IDLE
