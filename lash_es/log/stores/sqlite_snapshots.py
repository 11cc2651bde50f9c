"""Snapshots in a SQLite store: two of each stream that come and go, and those that are kept."""

import sqlite3
from typing import Final

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.appends import StoredSnapshot
from lash_es.log.stores.sqlite_reads import INTEGER_MAX

# An edited column is read as the type it should have: whoever reads it finds out.
_READ: Final = """
    SELECT s.version, CAST(fingerprint AS BLOB), CAST(s.digest AS BLOB), CAST(content AS BLOB),
           is_kept
      FROM lash_es_heads AS h JOIN lash_es_snapshots AS s USING (stream_no)
     WHERE stream = ? AND s.version <= ? AND s.version <= h.version
     ORDER BY s.version DESC LIMIT 1
"""
_WRITE: Final = """
    INSERT INTO lash_es_snapshots (stream_no, version, fingerprint, digest, content, is_kept)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (stream_no, version) DO UPDATE
       SET fingerprint = excluded.fingerprint, digest = excluded.digest,
           content = excluded.content, is_kept = max(is_kept, excluded.is_kept)
"""
_FORGET: Final = """
    DELETE FROM lash_es_snapshots
     WHERE stream_no = :stream_no AND NOT is_kept AND version <> :version
       AND version <> coalesce((
           SELECT max(version) FROM lash_es_snapshots
            WHERE stream_no = :stream_no AND NOT is_kept AND version < :version), :version)
"""
_STREAM: Final = "SELECT stream_no FROM lash_es_heads WHERE stream = ? AND version >= ?"


def read(
    connection: sqlite3.Connection, stream: StreamId, version_max: Version
) -> StoredSnapshot | None:
    """Read the newest snapshot of at most that version."""
    row = connection.execute(_READ, (stream.key, min(version_max, INTEGER_MAX))).fetchone()
    if row is None:
        return None
    version, fingerprint, digest, content, is_kept = row
    return StoredSnapshot(
        version=Version(version),
        fingerprint=fingerprint.decode(errors="replace"),
        digest=digest,
        content=content,
        is_kept=bool(is_kept),
    )


def replace(connection: sqlite3.Connection, stream_no: int, snapshot: StoredSnapshot) -> None:
    """Write a snapshot, and remove all but the newest one before it, and what is kept."""
    _write(connection, stream_no, snapshot)
    connection.execute(_FORGET, {"stream_no": stream_no, "version": snapshot.version})


def keep(connection: sqlite3.Connection, stream: StreamId, snapshot: StoredSnapshot) -> bool:
    """Write a snapshot of a version that the stream has."""
    row = connection.execute(_STREAM, (stream.key, snapshot.version)).fetchone()
    if row is None:
        return False
    _write(connection, row["stream_no"], snapshot)
    return True


def _write(connection: sqlite3.Connection, stream_no: int, snapshot: StoredSnapshot) -> None:
    connection.execute(
        _WRITE,
        (
            stream_no,
            snapshot.version,
            snapshot.fingerprint,
            snapshot.digest,
            snapshot.content,
            snapshot.is_kept,
        ),
    )
