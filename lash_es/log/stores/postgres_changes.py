"""
How a PostgreSQL log is followed: hints, with slow polling as the truth, and a page of a stream.

A hint that is heard is looked up in the head rows. Where none comes, they are looked up all the
same, every ``idle_ms``; so a lost hint costs time and nothing else. A connection that was lost is
opened again at the next look but one, and until then everything may have moved.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeAlias

from psycopg import Cursor

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.changes import Ends, Pace
from lash_es.log.errors import StorageError
from lash_es.log.pages import Offset, Page
from lash_es.log.stores.page_rows import page_of_rows
from lash_es.log.stores.postgres_arrays import Texts, int8
from lash_es.log.stores.postgres_hints import ANY_STREAM, Hint, Listener, hint
from lash_es.log.stores.postgres_reads import Row, ask

ReadEnds: TypeAlias = Callable[[Collection[StreamId]], Mapping[StreamId, Offset]]

_ENDS: Final = "SELECT stream, version, activity_seq FROM lash_es_heads WHERE stream = ANY(%b)"
_PAGE: Final = """
    SELECT 0, version, activity_seq, oldest, low_version, low_seq, '', ''::bytea
      FROM lash_es_heads WHERE stream = %b
    UNION ALL (
        SELECT 1, originator_version, 0, 0, 0, 0, topic, state FROM stored_events
         WHERE originator_id = %b AND originator_version >= %b
         ORDER BY originator_version LIMIT %b)
    UNION ALL (
        SELECT 2, a.version, a.seq, a.at_ms, 0, 0, '', a.payload
          FROM lash_es_activity AS a JOIN lash_es_heads USING (stream_no)
         WHERE stream = %b AND (a.version, a.seq) > (%b, %b)
         ORDER BY a.version, a.seq LIMIT %b)
"""

_PACE: Final = Pace(busy_ms=1_000, busy_for_ms=0, idle_ms=1_000)


class PostgresChanges:
    """Tells of commits by any process of any machine."""

    def __init__(
        self,
        listen: Callable[[], Listener],
        read_ends: ReadEnds,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listen = listen
        self._read_ends = read_ends
        self._monotonic_s = monotonic_s
        self._listener: Listener | None = listen()
        self._ends = Ends()
        self._looked_up_s = float("-inf")

    @property
    def pace(self) -> Pace:
        """Say how often it is worth looking."""
        return _PACE

    def fileno(self) -> int | None:
        """Return what becomes readable when a hint has come."""
        return None if self._listener is None else self._listener.fileno()

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        """Look these streams up if a hint is about one of them, or if it is time again."""
        heard = self._heard()
        is_about_others = bool(heard) and heard.isdisjoint({ANY_STREAM, *map(hint, watched)})
        now_s = self._monotonic_s()
        is_time = now_s - self._looked_up_s >= _PACE.idle_ms / 1_000
        if is_about_others and not is_time and self._ends.know_all(watched):
            return ()
        moved = self._ends.moved(self._read_ends(watched))
        self._looked_up_s = now_s
        return moved

    def _heard(self) -> frozenset[Hint]:
        """Listen; without a connection nothing is heard and everything is looked up."""
        if self._listener is None:
            self._listener = self._listen()
            return frozenset()
        try:
            return self._listener.heard()
        except StorageError:
            self._listener.close()
            self._listener = None
            return frozenset()

    def close(self) -> None:
        """Hear no more; twice is once."""
        if self._listener is not None:
            self._listener.close()
        self._listener = None


def ends(cursor: Cursor[Row], streams: Collection[StreamId]) -> Mapping[StreamId, Offset]:
    """Read where streams end; one that does not exist is left out."""
    by_key = {stream.key: stream for stream in streams}
    rows = ask(cursor, _ENDS, [Texts(list(by_key))])
    return {by_key[key]: (Version(version), seq) for key, version, seq in rows}


def read_page(cursor: Cursor[Row], stream: StreamId, after: Offset, items_max: int) -> Page:
    """Read facts and activity after an offset."""
    key, version, seq, most = stream.key, int8(after[0]), int8(after[1]), int8(items_max)
    parameters = (key, key, version, most, key, version, seq, most)
    return page_of_rows(ask(cursor, _PAGE, parameters))
