"""
How a SQLite log is followed: what tells of commits by any process, and a page of a stream.

``PRAGMA data_version`` differs whenever another connection has committed, so it is asked on one
that never writes. It costs some microseconds and reads no table.
"""

import sqlite3
from collections.abc import Collection
from typing import Final

import orjson

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.changes import Ends, Pace
from lash_es.log.errors import StoreClosed
from lash_es.log.pages import Offset, Page
from lash_es.log.stores.page_rows import page_of_rows
from lash_es.log.stores.sqlite_connections import Place, typed_errors
from lash_es.log.stores.sqlite_reads import INTEGER_MAX

_ENDS: Final = """
    SELECT stream, version, activity_seq FROM json_each(?) AS wanted
           JOIN lash_es_heads ON stream = wanted.value
"""
# One statement sees one state: the head row, then facts, then activity, in columns they share.
_PAGE: Final = """
    SELECT 0 AS kind, version, activity_seq, oldest, low_version, low_seq, '' AS name, x'' AS bytes
      FROM lash_es_heads WHERE stream = :stream
    UNION ALL SELECT * FROM (
        SELECT 1, originator_version, 0, 0, 0, 0, topic, state FROM stored_events
         WHERE originator_id = :stream AND originator_version >= :version
         ORDER BY originator_version LIMIT :items_max)
    UNION ALL SELECT * FROM (
        SELECT 2, a.version, a.seq, a.at_ms, 0, 0, '', a.payload
          FROM lash_es_activity AS a JOIN lash_es_heads USING (stream_no)
         WHERE stream = :stream AND (a.version, a.seq) > (:version, :seq)
         ORDER BY a.version, a.seq LIMIT :items_max)
"""

_PACE: Final = Pace(busy_ms=1, busy_for_ms=2_000, idle_ms=50)


class SQLiteChanges:
    """Tells of commits by any connection but its own; it opens one."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._connection: sqlite3.Connection | None = sqlite3.connect(
            f"{place.path.absolute().as_uri()}?mode=rw",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=place.busy_wait_ms / 1_000,
        )
        self._ends = Ends()
        self._seen = -1

    @property
    def pace(self) -> Pace:
        """Say how often it is worth looking."""
        return _PACE

    def fileno(self) -> None:
        """Say that nothing becomes readable."""

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        """Ask whether anything was committed, and only then where these streams end."""
        if self._connection is None:
            raise StoreClosed(where=self._place.where)
        with typed_errors(self._place):
            (found,) = self._connection.execute("PRAGMA data_version").fetchone()
            if found == self._seen and self._ends.know_all(watched):
                return ()
            by_key = {stream.key: stream for stream in watched}
            rows = self._connection.execute(_ENDS, (orjson.dumps(list(by_key)).decode(),))
            ends = {by_key[key]: (Version(version), seq) for key, version, seq in rows}
        self._seen = found
        return self._ends.moved(ends)

    def close(self) -> None:
        """Close the connection; twice is once."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def read_page(
    connection: sqlite3.Connection, stream: StreamId, after: Offset, items_max: int
) -> Page:
    """Read facts and activity after an offset."""
    version, seq = (min(number, INTEGER_MAX) for number in after)
    asked = {"stream": stream.key, "version": version, "seq": seq, "items_max": items_max}
    return page_of_rows(connection.execute(_PAGE, asked))
