"""The anchors of the server's clock: a row for each boot of each machine that uses the log."""

from typing import Final

from psycopg import Cursor

from lash_es.log.steadiness import TOLERANCE_MS, ClockAnchor
from lash_es.log.stores.postgres_arrays import int8
from lash_es.log.stores.postgres_reads import Row, ask

_READ: Final = "SELECT offset_ms, since_ms FROM lash_es_clock WHERE boot_id = %b"
_KEEP: Final = """
    INSERT INTO lash_es_clock AS kept (boot_id, offset_ms, since_ms) VALUES (%b, %b, %b)
    ON CONFLICT (boot_id) DO UPDATE
       SET (offset_ms, since_ms) = (
           SELECT offset_ms, since_ms
             FROM (VALUES (false, kept.offset_ms, kept.since_ms), (true, excluded.offset_ms, %b))
               AS one (is_other, offset_ms, since_ms)
            WHERE is_other = (abs(kept.offset_ms - excluded.offset_ms) > %b))
    RETURNING offset_ms, since_ms
"""


def read(cursor: Cursor[Row], boot_id: str) -> ClockAnchor | None:
    """Read the anchor of a boot."""
    row = ask(cursor, _READ, [boot_id]).fetchone()
    return None if row is None else _anchor(boot_id, row)


def keep(cursor: Cursor[Row], seen: ClockAnchor, running_ms: int) -> ClockAnchor:
    """Write what counts by now, as ``settled`` says, in one statement."""
    parameters = [seen.boot_id, int8(seen.offset_ms), int8(seen.since_ms)]
    (row,) = ask(cursor, _KEEP, [*parameters, int8(running_ms), int8(TOLERANCE_MS)])
    return _anchor(seen.boot_id, row)


def _anchor(boot_id: str, row: Row) -> ClockAnchor:
    offset_ms, since_ms = row
    return ClockAnchor(boot_id=boot_id, offset_ms=int(offset_ms), since_ms=int(since_ms))
