"""
How a PostgreSQL log is followed: hints, with slow polling as the truth, and a page of a stream.

The streams that a hint names are looked up in the head rows, and no others. Where none comes, all
are looked up all the same, every ``idle_ms``; so a lost hint costs time and nothing else. A
connection that was lost is opened again at the next look but one, and until then everything may
have moved.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
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
        self._hints: dict[Hint, set[StreamId]] = {}
        self._hinted: set[StreamId] = set()
        self._looked_up_s = float("-inf")

    @property
    def pace(self) -> Pace:
        """Say how often it is worth looking."""
        return _PACE

    def fileno(self) -> int | None:
        """Return what becomes readable when a hint has come."""
        return None if self._listener is None else self._listener.fileno()

    def moved(self, watched: Collection[StreamId]) -> Collection[StreamId]:
        """
        Look up those that a hint is about and those that are new; all of them if it is time again.
        """
        heard = self._heard()
        now_s = self._monotonic_s()
        is_time = now_s - self._looked_up_s >= _PACE.idle_ms / 1_000
        if heard and ANY_STREAM not in heard and not is_time:
            told_of = self._told_of(heard, watched)
            return self._ends.moved_among(self._read_ends(told_of)) if told_of else ()
        self._hints.clear()
        self._hinted.clear()
        self._expect(watched)
        moved = self._ends.moved(self._read_ends(watched))
        self._looked_up_s = now_s
        return moved

    def _told_of(self, heard: Iterable[Hint], watched: Collection[StreamId]) -> set[StreamId]:
        """Pick those that hints name, and those that nobody has looked up so far."""
        asked = set(watched)
        new = asked - self._hinted
        self._expect(new)
        hinted = (self._hints.get(each, ()) for each in heard)
        return new.union(*hinted) & asked

    def _expect(self, streams: Iterable[StreamId]) -> None:
        """Remember by which hint each of these will be named."""
        for stream in streams:
            self._hints.setdefault(hint(stream), set()).add(stream)
            self._hinted.add(stream)

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
