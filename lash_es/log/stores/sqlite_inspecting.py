"""A SQLite store, as whoever runs it looks at it."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position
from lash_es.log.inspecting import Inventory, SessionRows
from lash_es.log.stores.sqlite_connections import Connections

OF_STREAMS: Final = ("lash_es_bodies", "lash_es_index", "lash_es_activity", "lash_es_snapshots")
"""The tables whose rows belong to a stream."""

_FIRST: Final = -(2**63)
_STATUSES: Final = "SELECT status, count(*) FROM lash_es_heads GROUP BY status ORDER BY status"
# Each facts' count is a difference of two numbers in a head row: no fact is looked at.
_HEADS: Final = """
    SELECT count(DISTINCT substr(stream, 1, instr(stream, '/'))) AS namespaces_count,
           coalesce(sum(oldest > 0), 0) AS trimmed_count,
           coalesce(sum(version - oldest), 0) AS facts_count,
           coalesce(sum(oldest), 0) AS facts_trimmed_count,
           coalesce(max(version - max(oldest, coalesce((
               SELECT max(s.version) FROM lash_es_snapshots AS s
                WHERE s.stream_no = h.stream_no AND s.version <= h.version), 0))), 0)
               AS snapshot_lag_max
      FROM lash_es_heads AS h
"""
_ROWS: Final = """
    SELECT (SELECT count(*) FROM lash_es_snapshots) AS snapshots_count,
           (SELECT count(*) FROM lash_es_bodies) AS bodies_count,
           (SELECT count(*) FROM lash_es_index) AS index_rows_count,
           (SELECT count(*) FROM lash_es_activity) AS activities_count,
           (SELECT coalesce(min(at_ms), 0) FROM lash_es_activity) AS activity_since_ms,
           (SELECT count(*) FROM lash_es_blobs) AS blobs_count,
           (SELECT coalesce(sum(length(content)), 0) FROM lash_es_blobs) AS blobs_bytes
"""
_FORMAT: Final = "SELECT reads_from, writes, tables FROM lash_es_format"
_STREAMS: Final = """
    WITH RECURSIVE found (key, number) AS (
        SELECT min(originator_id), 1 FROM stored_events WHERE originator_id > :after
        UNION ALL
        SELECT (SELECT min(originator_id) FROM stored_events WHERE originator_id > key), number + 1
          FROM found WHERE key IS NOT NULL AND number < :many)
    SELECT key FROM found WHERE key IS NOT NULL
    UNION
    SELECT stream FROM (SELECT stream FROM lash_es_heads
                         WHERE stream > :after ORDER BY stream LIMIT :many)
     ORDER BY 1 LIMIT :many
"""
"""From one key to the next by the primary key: the facts of a stream are stepped over."""
_SESSION: Final = """
    SELECT (SELECT count(*) FROM lash_es_bodies WHERE stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_index WHERE stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_activity WHERE stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_snapshots WHERE stream_no = h.stream_no),
           (SELECT coalesce(max(version), 0) FROM lash_es_snapshots
             WHERE stream_no = h.stream_no AND version <= h.version)
      FROM lash_es_heads AS h WHERE stream = ?
"""
_BODY_REFS: Final = """
    SELECT position, ordinal FROM lash_es_bodies JOIN lash_es_heads USING (stream_no)
     WHERE stream = ? AND (position, ordinal) > (?, ?) ORDER BY position, ordinal LIMIT ?
"""


class SQLiteInspection:
    """An ``Inspection`` of a SQLite file."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def inventory(self) -> Inventory:
        """Count what is there."""
        return self._connections.read(self._inventory)

    def _inventory(self, connection: sqlite3.Connection) -> Inventory:
        def number(pragma: str) -> int:
            ((found,),) = connection.execute(f"PRAGMA {pragma}")
            return int(found)

        place = self._connections.place
        ((journal,),) = connection.execute("PRAGMA journal_mode")
        beside = Path(f"{place.path}-wal")
        beside_bytes = beside.stat().st_size if beside.exists() else 0
        return Inventory(
            backend=f"SQLite {sqlite3.sqlite_version}",
            durability=f"{place.durability.value}, unless opened otherwise; journal {journal}",
            size_bytes=number("page_count") * number("page_size") + beside_bytes,
            sessions=dict(connection.execute(_STATUSES).fetchall()),
            **connection.execute(_FORMAT).fetchone(),
            **connection.execute(_HEADS).fetchone(),
            **connection.execute(_ROWS).fetchone(),
        )

    def streams(self, after: str, streams_max: int) -> tuple[str, ...]:
        """List keys of streams, from one to the next."""
        parameters = {"after": after, "many": streams_max}
        return self._connections.read(
            lambda connection: tuple(key for (key,) in connection.execute(_STREAMS, parameters))
        )

    def session_rows(self, stream: StreamId) -> SessionRows:
        """Count what lies beside a stream's facts."""
        return self._connections.read(lambda connection: _session_rows(connection, stream))

    def body_refs(
        self, stream: StreamId, after: BodyRef | None, refs_max: int
    ) -> tuple[BodyRef, ...]:
        """List which bodies a stream has."""
        bound = (_FIRST, 0) if after is None else (after.position, after.ordinal)
        rows = self._connections.read(
            lambda connection: connection.execute(
                _BODY_REFS, (stream.key, *bound, refs_max)
            ).fetchall()
        )
        return tuple(BodyRef(position=Position(place), ordinal=ordinal) for place, ordinal in rows)

    def orphans(self) -> Mapping[str, int]:
        """Count rows without a head row, by table."""
        return self._connections.read(_orphans)


def _session_rows(connection: sqlite3.Connection, stream: StreamId) -> SessionRows:
    row = connection.execute(_SESSION, (stream.key,)).fetchone()
    bodies, index_rows, activities, snapshots, newest = (0, 0, 0, 0, 0) if row is None else row
    return SessionRows(
        bodies_count=bodies,
        index_rows_count=index_rows,
        activities_count=activities,
        snapshots_count=snapshots,
        snapshot_version=newest,
    )


def _orphans(connection: sqlite3.Connection) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for table in OF_STREAMS:
        ((count,),) = connection.execute(
            f"SELECT count(*) FROM {table}"  # noqa: S608 - one of four names of our own
            " WHERE stream_no NOT IN (SELECT stream_no FROM lash_es_heads)"
        )
        if count:
            found[table] = count
    return found
