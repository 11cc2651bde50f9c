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
from lash_es.log.errors import StoreFormatNewer, StoreUnavailable
from lash_es.log.stores.postgres_servers import Server

TABLES_STEP: Final = 1
_SERVER_VERSION_MIN: Final = 130_000  # 13 has xid8, by which the feed goes.

_TABLES: Final = (
    """
    CREATE TABLE stored_events (
        originator_id text COLLATE "C" NOT NULL, originator_version bigint NOT NULL,
        topic text, state bytea, notification_id bigserial,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (originator_id, originator_version))
    """,
    "CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id)",
    "CREATE INDEX lash_es_feed ON stored_events (xid, notification_id)",
    """
    CREATE TABLE lash_es_heads (
        stream_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text COLLATE "C" NOT NULL CONSTRAINT lash_es_heads_stream UNIQUE,
        version bigint NOT NULL, digest bytea NOT NULL, generation bigint NOT NULL,
        status text NOT NULL, at_ms bigint NOT NULL, activity_seq bigint NOT NULL)
        WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE lash_es_bodies (
        stream_no bigint, position bigint, ordinal bigint,
        media_type text NOT NULL, salt bytea NOT NULL, content bytea NOT NULL,
        PRIMARY KEY (stream_no, position, ordinal))
    """,
    """
    CREATE TABLE lash_es_index (
        stream_no bigint, kind text COLLATE "C", key bytea, value bytea NOT NULL,
        PRIMARY KEY (stream_no, kind, key))
    """,
    """
    CREATE TABLE lash_es_activity (
        stream_no bigint, version bigint, seq bigint,
        at_ms bigint NOT NULL, payload bytea NOT NULL,
        PRIMARY KEY (stream_no, version, seq))
    """,
    """
    CREATE TABLE lash_es_format (
        reads_from bigint NOT NULL, writes bigint NOT NULL, tables bigint NOT NULL)
    """,
)


def prepare(connection: Connection, server: Server, *, create: bool) -> None:
    """
    Make the tables if there are none and that is wanted; refuse what is no log of ours.

    Raises:
        StoreUnavailable: there is no log, or another program's tables, or no server for one.
        StoreFormatNewer: it is in a format that this version does not know.
    """
    _require_server(connection, server)
    if create and not _has_table(connection, server, "lash_es_format"):
        _make_tables(connection, server)
    _require_format(connection, server)


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
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO lash_es_format VALUES (%s, %s, %s)",
            (RECORD_FORMAT, RECORD_FORMAT, TABLES_STEP),
        )


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


def _require_format(connection: Connection, server: Server) -> None:
    if not _has_table(connection, server, "lash_es_format"):
        raise StoreUnavailable(where=server.where, reason="it holds no log")
    row = connection.execute("SELECT writes, tables FROM lash_es_format").fetchone()
    writes, tables = row or (0, 0)
    if writes > RECORD_FORMAT or tables > TABLES_STEP:
        raise StoreFormatNewer(
            where=server.where, found=(writes, tables), known=(RECORD_FORMAT, TABLES_STEP)
        )
