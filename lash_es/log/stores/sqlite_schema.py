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
from lash_es.log.errors import StoreUnavailable
from lash_es.log.stores.sqlite_steps import STEPS, TABLES_STEP
from lash_es.log.stores.steps import Stated

APPLICATION_ID: Final = 0x6C657331
"""``les1``, in the file's header: a database of another program is left alone."""

_PAUSE_S: Final = 0.002


def prepare(
    connection: sqlite3.Connection,
    where: str,
    *,
    create: bool,
    busy_wait_ms: int,
    for_reading: bool = False,
) -> None:
    """
    Make the tables if the database is empty and that is wanted; refuse what is no log of ours.

    Raises:
        StoreUnavailable: it is empty, or another program's, or does not say its format.
        StoreFormatNewer: it is in a format that this version does not know.
        StoreTablesOlder: tables would have to be brought forward, and this is ``for_reading``.
    """
    if create and _is_empty(connection):
        _use_write_ahead_log(connection, busy_wait_ms)
        _make_tables(connection)
    _require_tables(connection, where, for_reading=for_reading)


def _make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    if _is_empty(connection):
        _take_steps(connection, after=0)
        connection.execute(
            "UPDATE lash_es_format SET reads_from = ?, writes = ?", (RECORD_FORMAT, RECORD_FORMAT)
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _require_tables(connection: sqlite3.Connection, where: str, *, for_reading: bool) -> None:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    if application_id != APPLICATION_ID:
        reason = "it holds no log" if _is_empty(connection) else "it is another program's database"
        raise StoreUnavailable(where=where, reason=reason)
    stated = _stated_format(connection, where)
    if for_reading:
        stated.require_step(where, TABLES_STEP)
    if stated.tables < TABLES_STEP:
        stated = _bring_forward(connection, where)
    stated.require_known(where, TABLES_STEP)


def _bring_forward(connection: sqlite3.Connection, where: str) -> Stated:
    """Take the steps that are missing, in one transaction, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        _take_steps(connection, after=_stated_format(connection, where).tables)
        connection.execute("COMMIT")
    finally:
        connection.rollback()
    return _stated_format(connection, where)


def _take_steps(connection: sqlite3.Connection, *, after: int) -> None:
    for step in STEPS[after:]:
        for statement in step.statements:
            connection.execute(statement)
    if after < TABLES_STEP:
        connection.execute(
            "UPDATE lash_es_format SET tables = ?, tables_work_for = ?",
            (TABLES_STEP, max(step.works_for for step in STEPS)),
        )


def _stated_format(connection: sqlite3.Connection, where: str) -> Stated:
    row = connection.execute("SELECT * FROM lash_es_format").fetchone()
    if row is not None and all(type(number) is int for number in row):
        return Stated.of_row(tuple(row))
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
