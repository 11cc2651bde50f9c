"""The tables of a SQLite store, step by step; see ``steps.py``."""

from typing import Final

from lash_es.log.stores.steps import Step

_FIRST: Final = (
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
    "INSERT INTO lash_es_format VALUES (1, 1, 1)",
)
_SECOND: Final = (
    "ALTER TABLE lash_es_format ADD COLUMN tables_work_for INTEGER",
    "ALTER TABLE lash_es_heads ADD COLUMN oldest INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE lash_es_heads ADD COLUMN trim_position INTEGER",
    "ALTER TABLE lash_es_heads ADD COLUMN low_version INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE lash_es_heads ADD COLUMN low_seq INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE lash_es_bodies ADD COLUMN sealing TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE lash_es_blobs (
        address BLOB PRIMARY KEY, content BLOB NOT NULL, at_ms INTEGER NOT NULL)
    """,
    """
    CREATE INDEX lash_es_blob_names ON lash_es_bodies (content)
        WHERE sealing >= 'blob' AND sealing < 'bloc'
    """,
    """
    CREATE TABLE lash_es_snapshots (
        stream_no INTEGER NOT NULL, version INTEGER NOT NULL, fingerprint TEXT NOT NULL,
        digest BLOB NOT NULL, content BLOB NOT NULL, PRIMARY KEY (stream_no, version))
    """,
    """
    CREATE TABLE lash_es_pins (
        stream_no INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, PRIMARY KEY (stream_no, name)) WITHOUT ROWID
    """,
)
"""Low-water, snapshots, blobs, pins. The first step's code wrote rows without naming columns."""

_THIRD: Final = ("ALTER TABLE lash_es_snapshots ADD COLUMN is_kept INTEGER NOT NULL DEFAULT 0",)
"""Snapshots that were asked for stay. The code of the second step wrote none."""

_FOURTH: Final = (
    """
    CREATE TABLE lash_es_clock (
        boot_id TEXT PRIMARY KEY, offset_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL)
        WITHOUT ROWID
    """,
)
"""How the log's time runs beside the boot-time clock of a machine."""

_FIFTH: Final = (
    """
    CREATE INDEX lash_es_snapshots_fleeting ON lash_es_snapshots (stream_no, version)
        WHERE NOT is_kept
    """,
)
"""
Snapshots that come and go are found without those that stay, of which a long session has hundreds.
"""

STEPS: Final = (
    Step(number=1, works_for=1, statements=_FIRST),
    Step(number=2, works_for=2, statements=_SECOND),
    Step(number=3, works_for=2, statements=_THIRD),
    Step(number=4, works_for=2, statements=_FOURTH),
    Step(number=5, works_for=2, statements=_FIFTH),
)
TABLES_STEP: Final = STEPS[-1].number
