"""
The tables, step by step: a database is brought forward by the steps that it has not seen.

As ``sqlite_steps.py``, and in step with it: the same number means the same tables.
"""

from typing import Final

from lash_es.log.stores.steps import Step

_FIRST: Final = (
    """
    CREATE TABLE stored_events (
        originator_id text COLLATE "C" NOT NULL, originator_version bigint NOT NULL,
        topic text, state bytea, notification_id bigserial,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (originator_id, originator_version))
    """,
    "CREATE UNIQUE INDEX stored_events_notification_id_idx ON stored_events (notification_id)",
    "CREATE INDEX lash_es_feed ON stored_events (xid, notification_id)",
    """
    CREATE TABLE lash_es_heads (
        stream_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        stream text COLLATE "C" NOT NULL CONSTRAINT lash_es_heads_stream UNIQUE,
        version bigint NOT NULL, digest bytea NOT NULL, generation bigint NOT NULL,
        status text NOT NULL, at_ms bigint NOT NULL, activity_seq bigint NOT NULL)
        WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE lash_es_bodies (
        stream_no bigint, position bigint, ordinal bigint,
        media_type text NOT NULL, salt bytea NOT NULL, content bytea NOT NULL,
        PRIMARY KEY (stream_no, position, ordinal))
    """,
    """
    CREATE TABLE lash_es_index (
        stream_no bigint, kind text COLLATE "C", key bytea, value bytea NOT NULL,
        PRIMARY KEY (stream_no, kind, key))
    """,
    """
    CREATE TABLE lash_es_activity (
        stream_no bigint, version bigint, seq bigint,
        at_ms bigint NOT NULL, payload bytea NOT NULL,
        PRIMARY KEY (stream_no, version, seq))
    """,
    """
    CREATE TABLE lash_es_format (
        reads_from bigint NOT NULL, writes bigint NOT NULL, tables bigint NOT NULL)
    """,
    "INSERT INTO lash_es_format VALUES (1, 1, 1)",
)
_SECOND: Final = (
    "ALTER TABLE lash_es_format ADD COLUMN tables_work_for bigint",
    """
    ALTER TABLE lash_es_heads
        ADD COLUMN oldest bigint NOT NULL DEFAULT 0, ADD COLUMN trim_position bigint,
        ADD COLUMN low_version bigint NOT NULL DEFAULT 0,
        ADD COLUMN low_seq bigint NOT NULL DEFAULT 0
    """,
    "ALTER TABLE lash_es_bodies ADD COLUMN sealing text NOT NULL DEFAULT ''",
    """
    CREATE TABLE lash_es_blobs (
        address bytea PRIMARY KEY, content bytea NOT NULL, at_ms bigint NOT NULL)
    """,
    """
    CREATE INDEX lash_es_blob_names ON lash_es_bodies (content)
        WHERE left(sealing, 4) = 'blob'
    """,
    """
    CREATE TABLE lash_es_snapshots (
        stream_no bigint, version bigint, fingerprint text NOT NULL,
        digest bytea NOT NULL, content bytea NOT NULL, PRIMARY KEY (stream_no, version))
    """,
    """
    CREATE TABLE lash_es_pins (
        stream_no bigint, name text COLLATE "C", version bigint NOT NULL,
        at_ms bigint NOT NULL, PRIMARY KEY (stream_no, name))
    """,
)
"""Low-water, snapshots, blobs and pins."""

_THIRD: Final = (
    "ALTER TABLE lash_es_snapshots ADD COLUMN is_kept boolean NOT NULL DEFAULT false",
)
"""Snapshots that were asked for stay. The code of the second step wrote none."""

_FOURTH: Final = (
    """
    CREATE TABLE lash_es_clock (
        boot_id text COLLATE "C" PRIMARY KEY, offset_ms bigint NOT NULL, since_ms bigint NOT NULL)
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
