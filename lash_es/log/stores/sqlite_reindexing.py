"""Index rows of a SQLite store, written anew: by whoever has compared them with the facts."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.core.known import IndexKey
from lash_es.log.appends import IndexRow
from lash_es.log.stores.sqlite_writes import INDEX_ROW

_STREAM: Final = "SELECT stream_no FROM lash_es_heads WHERE stream = ? AND version = ?"
_GONE: Final = "DELETE FROM lash_es_index WHERE stream_no = ? AND kind = ? AND key = ?"


def rewrite(
    connection: sqlite3.Connection,
    stream: StreamId,
    version: Version,
    rows: Sequence[IndexRow],
    gone: Sequence[IndexKey],
) -> bool:
    """Replace and remove rows, under the write lock, of a stream that has not moved on."""
    found = connection.execute(_STREAM, (stream.key, version)).fetchone()
    if found is None:
        return False
    (stream_no,) = found
    connection.executemany(_GONE, [(stream_no, key.kind.value, key.key) for key in gone])
    connection.executemany(
        INDEX_ROW, [(stream_no, row.key.kind.value, row.key.key, row.value) for row in rows]
    )
    return True
