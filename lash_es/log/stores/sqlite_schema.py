"""
Our tables beside the library's ``stored_events``, and the row that says in which format they are.

1. ``lash_es_heads``: one row a stream, the target of every compare-and-set. ``stream_no`` stands
   for its key in our other tables, which would otherwise repeat the text in every row.
2. ``lash_es_bodies``, ``lash_es_index``, ``lash_es_activity``: by stream, written with the facts.
3. ``lash_es_format``: the oldest record format in the database (``reads_from``), the one that is
   written (``writes``), and the number of the last step that our tables were brought to.
"""

import sqlite3
import time
from typing import Final

from lash_es.codec.records import RECORD_FORMAT
from lash_es.log.errors import StoreFormatNewer, StoreUnavailable

APPLICATION_ID: Final = 0x6C657331
"""``les1``, in the file's header: a database of another program is left alone."""

TABLES_STEP: Final = 1
_PAUSE_S: Final = 0.002

_TABLES: Final = (
    """
    CREATE TABLE stored_events (
        originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB,
        PRIMARY KEY (originator_id, originator_version))
    """,
    """
    CREATE TABLE lash_es_heads (
        stream_no INTEGER PRIMARY KEY, stream TEXT NOT NULL UNIQUE,
        version INTEGER NOT NULL, digest BLOB NOT NULL, generation INTEGER NOT NULL,
        status TEXT NOT NULL, at_ms INTEGER NOT NULL, activity_seq INTEGER NOT NULL)
    """,
    """
    CREATE TABLE lash_es_bodies (
        stream_no INTEGER NOT NULL, position INTEGER NOT NULL, ordinal INTEGER NOT NULL,
        media_type TEXT NOT NULL, salt BLOB NOT NULL, content BLOB NOT NULL,
        PRIMARY KEY (stream_no, position, ordinal))
    """,
    """
    CREATE TABLE lash_es_index (
        stream_no INTEGER NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (stream_no, kind, key)) WITHOUT ROWID
    """,
    """
    CREATE TABLE lash_es_activity (
        stream_no INTEGER NOT NULL, version INTEGER NOT NULL, seq INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, payload BLOB NOT NULL,
        PRIMARY KEY (stream_no, version, seq)) WITHOUT ROWID
    """,
    "CREATE TABLE lash_es_format (reads_from INTEGER, writes INTEGER, tables INTEGER)",
)


def prepare(
    connection: sqlite3.Connection, where: str, *, create: bool, busy_wait_ms: int
) -> None:
    """
    Make the tables if the database is empty and that is wanted; refuse what is no log of ours.

    Raises:
        StoreUnavailable: it is empty, or another program's, or does not say its format.
        StoreFormatNewer: it is in a format that this version does not know.
    """
    if create and _is_empty(connection):
        _use_write_ahead_log(connection, busy_wait_ms)
        _make_tables(connection)
    _require_tables(connection, where)


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):
        for statement in _TABLES:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO lash_es_format VALUES (?, ?, ?)",
            (RECORD_FORMAT, RECORD_FORMAT, TABLES_STEP),
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _require_tables(connection: sqlite3.Connection, where: str) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        reason = "it holds no log" if _is_empty(connection) else "it is another program's database"
        raise StoreUnavailable(where=where, reason=reason)
    writes, tables = _stated_format(connection, where)
    if writes > RECORD_FORMAT or tables > TABLES_STEP:
        raise StoreFormatNewer(
            where=where, found=(writes, tables), known=(RECORD_FORMAT, TABLES_STEP)
        )


def _stated_format(connection: sqlite3.Connection, where: str) -> tuple[int, int]:
    row = connection.execute("SELECT writes, tables FROM lash_es_format").fetchone()
    writes, tables = row or (None, None)
    if isinstance(writes, int) and isinstance(tables, int):
        return writes, tables
    found = "no numbers" if row else "nothing"
    reason = f"it is damaged: lash_es_format, which tells the format, holds {found}"
    raise StoreUnavailable(where=where, reason=reason)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _use_write_ahead_log(connection: sqlite3.Connection, busy_wait_ms: int) -> None:
    """Switch to WAL. Where two processes switch at once SQLite does not wait, so we do."""
    deadline_s = time.monotonic() + busy_wait_ms / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as cause:
            if (
                cause.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY
                or time.monotonic() > deadline_s
            ):
                raise
            time.sleep(_PAUSE_S)
        else:
            return
