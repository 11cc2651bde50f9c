"""The clock's anchor in a SQLite file: one row, of the boot in which the file is used."""

import sqlite3
from typing import Final

import attrs

from lash_es.log.steadiness import SINCE_BOOT, ClockAnchor, settled

_READ: Final = "SELECT offset_ms, since_ms FROM lash_es_clock WHERE boot_id = ?"
_FORGET: Final = "DELETE FROM lash_es_clock"
_WRITE: Final = "INSERT INTO lash_es_clock (boot_id, offset_ms, since_ms) VALUES (?, ?, ?)"


def read(connection: sqlite3.Connection, boot_id: str) -> ClockAnchor | None:
    """Read the anchor, if it is of that boot."""
    row = connection.execute(_READ, (boot_id,)).fetchone()
    if row is None:
        return None
    offset_ms, since_ms = row
    return ClockAnchor(boot_id=boot_id, offset_ms=offset_ms, since_ms=since_ms)


def keep(connection: sqlite3.Connection, seen: ClockAnchor, running_ms: int) -> ClockAnchor:
    """Write what counts by now in place of what was there."""
    kept = read(connection, seen.boot_id)
    was_of_another_boot = connection.execute(_FORGET).rowcount > 0 and kept is None
    if was_of_another_boot:
        seen = attrs.evolve(seen, since_ms=SINCE_BOOT)
    anchor = settled(kept, seen, running_ms)
    connection.execute(_WRITE, (anchor.boot_id, anchor.offset_ms, anchor.since_ms))
    return anchor
