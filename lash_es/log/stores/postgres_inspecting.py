"""A PostgreSQL store, as whoever runs it looks at it."""

from collections.abc import Mapping
from typing import Final

from psycopg import Cursor

from lash_es.codec.streams import StreamId
from lash_es.core.bodies import BodyRef
from lash_es.core.ids import Position
from lash_es.log.inspecting import Inventory, SessionRows
from lash_es.log.stores.postgres_arrays import int8
from lash_es.log.stores.postgres_connections import Connections
from lash_es.log.stores.postgres_reads import Row, ask

OF_STREAMS: Final = ("lash_es_bodies", "lash_es_index", "lash_es_activity", "lash_es_snapshots")
"""The tables whose rows belong to a stream."""

_FIRST: Final = -(2**63)
_STATUSES: Final = "SELECT status, count(*) FROM lash_es_heads GROUP BY status ORDER BY status"
# Each facts' count is a difference of two numbers in a head row: no fact is looked at.
_HEADS: Final = """
    SELECT count(DISTINCT split_part(stream, '/', 1)), count(*) FILTER (WHERE oldest > 0),
           coalesce(sum(version - oldest), 0)::bigint, coalesce(sum(oldest), 0)::bigint,
           coalesce(max(version - greatest(oldest, (
               SELECT max(s.version) FROM lash_es_snapshots AS s
                WHERE s.stream_no = h.stream_no AND s.version <= h.version))), 0)
      FROM lash_es_heads AS h
"""
_ROWS: Final = """
    SELECT (SELECT count(*) FROM lash_es_snapshots), (SELECT count(*) FROM lash_es_bodies),
           (SELECT count(*) FROM lash_es_index), (SELECT count(*) FROM lash_es_activity),
           (SELECT coalesce(min(at_ms), 0) FROM lash_es_activity),
           (SELECT count(*) FROM lash_es_blobs),
           (SELECT coalesce(sum(length(content)), 0)::bigint FROM lash_es_blobs)
"""
_FORMAT: Final = "SELECT reads_from, writes, tables FROM lash_es_format"
_SERVER: Final = """
    SELECT current_setting('server_version'), current_setting('synchronous_commit'),
           current_setting('fsync')
"""
_SIZE: Final = """
    SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = %b AND c.relkind = 'r'
           AND (c.relname = 'stored_events' OR starts_with(c.relname, 'lash_es_'))
"""
_STREAMS: Final = """
    WITH RECURSIVE found (key, number) AS (
        SELECT min(originator_id), 1::bigint FROM stored_events WHERE originator_id > %b
        UNION ALL
        SELECT (SELECT min(originator_id) FROM stored_events WHERE originator_id > key), number + 1
          FROM found WHERE key IS NOT NULL AND number < %b)
    SELECT key FROM found WHERE key IS NOT NULL
    UNION
    (SELECT stream FROM lash_es_heads WHERE stream > %b ORDER BY stream LIMIT %b)
     ORDER BY 1 LIMIT %b
"""
"""From one key to the next by the primary key: the facts of a stream are stepped over."""
_SESSION: Final = """
    SELECT (SELECT count(*) FROM lash_es_bodies AS b WHERE b.stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_index AS i WHERE i.stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_activity AS a WHERE a.stream_no = h.stream_no),
           (SELECT count(*) FROM lash_es_snapshots AS s WHERE s.stream_no = h.stream_no),
           (SELECT coalesce(max(s.version), 0) FROM lash_es_snapshots AS s
             WHERE s.stream_no = h.stream_no AND s.version <= h.version)
      FROM lash_es_heads AS h WHERE stream = %b
"""
_BODY_REFS: Final = """
    SELECT position, ordinal FROM lash_es_bodies JOIN lash_es_heads USING (stream_no)
     WHERE stream = %b AND (position, ordinal) > (%b, %b) ORDER BY position, ordinal LIMIT %b
"""


class PostgresInspection:
    """An ``Inspection`` of a schema in a PostgreSQL database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def inventory(self) -> Inventory:
        """Count what is there."""
        return self._connections.read(self._inventory)

    def _inventory(self, cursor: Cursor[Row]) -> Inventory:
        def row(statement: str, *parameters: object) -> Row:
            return ask(cursor, statement, parameters).fetchone() or ()

        version, synchronous_commit, fsync = row(_SERVER)
        reads_from, writes, tables = row(_FORMAT)
        namespaces, trimmed, facts, facts_trimmed, lag = row(_HEADS)
        snapshots, bodies, index_rows, activities, since, blobs, blobs_bytes = row(_ROWS)
        (size,) = row(_SIZE, self._connections.server.schema)
        return Inventory(
            backend=f"PostgreSQL {version}",
            durability=f"synchronous_commit {synchronous_commit}, fsync {fsync}",
            size_bytes=size,
            reads_from=reads_from,
            writes=writes,
            tables=tables,
            namespaces_count=namespaces,
            sessions=dict(ask(cursor, _STATUSES).fetchall()),
            trimmed_count=trimmed,
            facts_count=facts,
            facts_trimmed_count=facts_trimmed,
            snapshot_lag_max=lag,
            snapshots_count=snapshots,
            bodies_count=bodies,
            index_rows_count=index_rows,
            activities_count=activities,
            activity_since_ms=since,
            blobs_count=blobs,
            blobs_bytes=blobs_bytes,
        )

    def streams(self, after: str, streams_max: int) -> tuple[str, ...]:
        """List keys of streams, from one to the next."""
        many = int8(streams_max)
        parameters = (after, many, after, many, many)
        return self._connections.read(
            lambda cursor: tuple(key for (key,) in ask(cursor, _STREAMS, parameters))
        )

    def session_rows(self, stream: StreamId) -> SessionRows:
        """Count what lies beside a stream's facts."""
        row = self._connections.read(lambda cursor: ask(cursor, _SESSION, [stream.key]).fetchone())
        bodies, index_rows, activities, snapshots, newest = row or (0, 0, 0, 0, 0)
        return SessionRows(
            bodies_count=bodies,
            index_rows_count=index_rows,
            activities_count=activities,
            snapshots_count=snapshots,
            snapshot_version=newest,
        )

    def body_refs(
        self, stream: StreamId, after: BodyRef | None, refs_max: int
    ) -> tuple[BodyRef, ...]:
        """List which bodies a stream has."""
        bound = (_FIRST, 0) if after is None else (after.position, after.ordinal)
        parameters = (stream.key, *map(int8, (*bound, refs_max)))
        rows = self._connections.read(
            lambda cursor: ask(cursor, _BODY_REFS, parameters).fetchall()
        )
        return tuple(BodyRef(position=Position(place), ordinal=ordinal) for place, ordinal in rows)

    def orphans(self) -> Mapping[str, int]:
        """Count rows without a head row, by table."""
        return self._connections.read(_orphans)


def _orphans(cursor: Cursor[Row]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for table in OF_STREAMS:
        statement = (
            f"SELECT count(*) FROM {table} AS t"  # noqa: S608 - one of four names of our own
            " WHERE NOT EXISTS"
            " (SELECT 1 FROM lash_es_heads AS h WHERE h.stream_no = t.stream_no)"
        )
        ((count,),) = ask(cursor, statement).fetchall()
        if count:
            found[table] = count
    return found
