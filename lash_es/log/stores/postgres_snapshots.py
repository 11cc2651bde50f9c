"""
What of a PostgreSQL store can be rebuilt from facts: snapshots and index rows, written anew.

Each function is one statement. A snapshot that comes with facts is part of their statement:
``WITH_FACTS``, after a ``snapshot`` with the number of its stream. It sees only the snapshots that
were there before it, so those that go are told by version.
"""

from collections.abc import Sequence
from typing import Final

from psycopg import Cursor
from psycopg.types.numeric import Int8

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.core.known import IndexKey
from lash_es.log.appends import IndexRow, StoredSnapshot
from lash_es.log.stores.postgres_arrays import Blobs, Texts, int8
from lash_es.log.stores.postgres_reads import Row, ask

_REPLACED: Final = """
        ON CONFLICT (stream_no, version) DO UPDATE
           SET fingerprint = excluded.fingerprint, digest = excluded.digest,
               content = excluded.content, is_kept = s.is_kept OR excluded.is_kept
"""
_WITH_FACTS: Final = """
    , new_snapshot AS (
        INSERT INTO lash_es_snapshots AS s
               (stream_no, version, fingerprint, digest, content, is_kept)
        SELECT stream_no, version, fingerprint, digest, content, is_kept
          FROM snapshot {replaced}),
    forgotten AS (
        DELETE FROM lash_es_snapshots AS old USING snapshot AS new
         WHERE old.stream_no = new.stream_no AND NOT old.is_kept AND old.version <> new.version
           AND old.version <> coalesce((
               SELECT max(s.version) FROM lash_es_snapshots AS s
                WHERE s.stream_no = new.stream_no AND NOT s.is_kept AND s.version < new.version
               ), new.version))
"""
WITH_FACTS: Final = _WITH_FACTS.format(replaced=_REPLACED)
_READ: Final = """
    SELECT s.version, s.fingerprint, s.digest, s.content, s.is_kept
      FROM lash_es_heads AS h CROSS JOIN LATERAL (
           SELECT * FROM lash_es_snapshots AS each
            WHERE each.stream_no = h.stream_no AND each.version <= least(h.version, %b)
            ORDER BY each.version DESC LIMIT 1) AS s
     WHERE h.stream = %b
"""
_KEEP: Final = """
    INSERT INTO lash_es_snapshots AS s
           (stream_no, version, fingerprint, digest, content, is_kept)
    SELECT stream_no, new.* FROM lash_es_heads, (VALUES (%b, %b, %b, %b, %b)) AS new
     WHERE stream = %b AND lash_es_heads.version >= %b {replaced} RETURNING 1
"""
# The row lock comes first and shows the newest version: what is rewritten cannot be newer.
_REWRITE: Final = """
    WITH head AS MATERIALIZED (
        SELECT stream_no FROM lash_es_heads
         WHERE stream = %b AND version = %b FOR NO KEY UPDATE),
    gone AS (
        DELETE FROM lash_es_index AS i USING head, unnest(%b, %b) AS old (kind, key)
         WHERE i.stream_no = head.stream_no AND (i.kind, i.key) = (old.kind, old.key)),
    written AS (
        INSERT INTO lash_es_index (stream_no, kind, key, value)
        SELECT stream_no, new.* FROM head, unnest(%b, %b, %b) AS new
        ON CONFLICT (stream_no, kind, key) DO UPDATE SET value = excluded.value)
    SELECT 1 FROM head
"""


def read(cursor: Cursor[Row], stream: StreamId, version_max: Version) -> StoredSnapshot | None:
    """Read the newest snapshot of at most that version."""
    row = ask(cursor, _READ, [int8(version_max), stream.key]).fetchone()
    if row is None:
        return None
    version, fingerprint, digest, content, is_kept = row
    return StoredSnapshot(
        version=Version(version),
        fingerprint=fingerprint,
        digest=digest,
        content=content,
        is_kept=is_kept,
    )


def keep(cursor: Cursor[Row], stream: StreamId, snapshot: StoredSnapshot) -> bool:
    """Write a snapshot of a version that the stream has."""
    version = Int8(snapshot.version)
    parameters = (*parameters_of(snapshot), stream.key, version)
    return ask(cursor, _KEEP.format(replaced=_REPLACED), parameters).fetchone() is not None


def parameters_of(snapshot: StoredSnapshot) -> tuple[object, ...]:
    """Return version, fingerprint, digest, content, and whether it is kept."""
    return (
        Int8(snapshot.version),
        snapshot.fingerprint,
        snapshot.digest,
        snapshot.content,
        snapshot.is_kept,
    )


def rewrite_index(
    cursor: Cursor[Row],
    stream: StreamId,
    version: Version,
    rows: Sequence[IndexRow],
    gone: Sequence[IndexKey],
) -> bool:
    """Replace and remove index rows of a stream that has not moved on."""
    parameters = (
        stream.key,
        int8(version),
        Texts([key.kind.value for key in gone]),
        Blobs([key.key.encode() for key in gone]),
        Texts([row.key.kind.value for row in rows]),
        Blobs([row.key.key.encode() for row in rows]),
        Blobs([row.value for row in rows]),
    )
    return ask(cursor, _REWRITE, parameters).fetchone() is not None
