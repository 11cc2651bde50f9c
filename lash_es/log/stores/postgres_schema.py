"""
Our tables beside the library's ``stored_events``, and the row that says in which format they are.

1. ``stored_events`` is the table that the library's recorder makes for text ids, so that its
   stock recorder reads it, with one column more: ``xid``, the transaction that wrote a fact, by
   which the feed follows commits. A default fills it: the recorder does not have to know it.
2. ``lash_es_heads``: one row a stream, the target of every compare-and-set. Nothing that an append
   changes is indexed and half of each page is free, so that an update stays on its page.
3. ``lash_es_bodies``, ``lash_es_index``, ``lash_es_activity``: by stream, written with the facts.
   An index key is ``bytea``, as a source key may hold the NUL that the server's ``text`` may not.
4. ``lash_es_format``: as on SQLite.

Text is compared byte by byte (``COLLATE "C"``): in UTF-8 that is the order of code points, on
every server, and no update of a locale can break an index.
"""

from typing import Final

from psycopg import Connection
from psycopg.sql import SQL, Identifier

from lash_es.codec.records import RECORD_FORMAT
from lash_es.log.errors import StoreUnavailable
from lash_es.log.stores.postgres_servers import Server
from lash_es.log.stores.postgres_steps import STEPS, TABLES_STEP
from lash_es.log.stores.steps import Stated

_SERVER_VERSION_MIN: Final = 130_000  # 13 has xid8, by which the feed goes.


def prepare(
    connection: Connection, server: Server, *, create: bool, for_reading: bool = False
) -> None:
    """
    Make the tables if there are none and that is wanted; refuse what is no log of ours.

    Raises:
        StoreUnavailable: there is no log, or another program's tables, or no server for one.
        StoreFormatNewer: it is in a format that this version does not know.
        StoreTablesOlder: tables would have to be brought forward, and this is ``for_reading``.
    """
    _require_server(connection, server)
    if create and not _has_table(connection, server, "lash_es_format"):
        _make_tables(connection, server)
    _require_format(connection, server, for_reading=for_reading)


def _require_server(connection: Connection, server: Server) -> None:
    version = connection.info.server_version
    if version < _SERVER_VERSION_MIN:
        reason = f"expected PostgreSQL 13 or newer, found {version // 10_000}"
        raise StoreUnavailable(where=server.where, reason=reason)
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        reason = f"expected a database in UTF8, found {encoding}"
        raise StoreUnavailable(where=server.where, reason=reason)


def _make_tables(connection: Connection, server: Server) -> None:
    """Make the tables, unless another process was faster."""
    with connection.transaction():
        # CREATE ... IF NOT EXISTS fails where two processes run it at once, so they take turns.
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [server.schema]
        )
        if _has_table(connection, server, "lash_es_format"):
            return
        if _has_table(connection, server, "stored_events"):
            raise StoreUnavailable(where=server.where, reason="it holds another program's events")
        if not _has_schema(connection, server):
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(server.schema)))
        _take_steps(connection, after=0)
        connection.execute(
            "UPDATE lash_es_format SET reads_from = %s, writes = %s",
            (RECORD_FORMAT, RECORD_FORMAT),
        )


def _take_steps(connection: Connection, *, after: int) -> None:
    for step in STEPS[after:]:
        for statement in step.statements:
            connection.execute(statement.encode())
    if after < TABLES_STEP:
        connection.execute(
            "UPDATE lash_es_format SET tables = %s, tables_work_for = %s",
            (TABLES_STEP, max(step.works_for for step in STEPS)),
        )


def _bring_forward(connection: Connection) -> Stated:
    """Take the steps that are missing, in one transaction, unless another process was faster."""
    with connection.transaction():
        connection.execute("LOCK TABLE lash_es_format IN ACCESS EXCLUSIVE MODE")
        _take_steps(connection, after=_stated_format(connection).tables)
        return _stated_format(connection)


def _stated_format(connection: Connection) -> Stated:
    row = connection.execute("SELECT * FROM lash_es_format").fetchone()
    return Stated.of_row(row or (0, 0, 0))


def _has_schema(connection: Connection, server: Server) -> bool:
    statement = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
    return connection.execute(statement, [server.schema]).fetchone() is not None


def _has_table(connection: Connection, server: Server, name: str) -> bool:
    """
    Look into the catalogue as into any table: what others have committed is seen.

    The shorter ``to_regclass`` goes by a cache, which may be older than the lock we waited for.
    """
    statement = "SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s"
    return connection.execute(statement, [server.schema, name]).fetchone() is not None


def _require_format(connection: Connection, server: Server, *, for_reading: bool) -> None:
    if not _has_table(connection, server, "lash_es_format"):
        raise StoreUnavailable(where=server.where, reason="it holds no log")
    stated = _stated_format(connection)
    if for_reading:
        stated.require_step(server.where, TABLES_STEP)
    if stated.tables < TABLES_STEP:
        stated = _bring_forward(connection)
    stated.require_known(server.where, TABLES_STEP)
