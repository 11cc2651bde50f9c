"""Blobs in a SQLite store: a table beside the others, written in the facts' transaction."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from lash_es.log.appends import StreamAppend
from lash_es.log.blobs import Address, KeptBlob

# The token moves on whatever the clock says: a sweep that listed the blob before leaves it alone.
_WRITE: Final = """
    INSERT INTO lash_es_blobs (address, content, at_ms) VALUES (?, ?, ?)
    ON CONFLICT (address) DO UPDATE SET at_ms = max(at_ms + 1, excluded.at_ms)
"""
_READ: Final = "SELECT CAST(content AS BLOB) FROM lash_es_blobs WHERE address = ?"
_PAGE: Final = """
    SELECT address, at_ms FROM lash_es_blobs WHERE address > ? ORDER BY address LIMIT ?
"""
_NAMES: Final = """
    SELECT DISTINCT content FROM lash_es_bodies
     WHERE sealing >= 'blob' AND sealing < 'bloc' AND content > ? ORDER BY content LIMIT ?
"""
_DELETE: Final = "DELETE FROM lash_es_blobs WHERE address = ? AND at_ms = ?"


def write_blobs(connection: sqlite3.Connection, appends: Iterable[StreamAppend]) -> None:
    """Keep the blobs of appends; one that is there already gets a new token."""
    rows = [(blob.address, blob.content, each.at_ms) for each in appends for blob in each.blobs]
    if rows:
        connection.executemany(_WRITE, rows)


def read(connection: sqlite3.Connection, addresses: Sequence[Address]) -> Mapping[Address, bytes]:
    """Read blobs."""
    return {
        address: content
        for address in addresses
        for (content,) in connection.execute(_READ, (address,))
    }


def page(connection: sqlite3.Connection, after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
    """List blobs, ordered by address; their time is their token."""
    rows = connection.execute(_PAGE, (after, blobs_max))
    return tuple(
        KeptBlob(address=Address(address), token=at_ms, at_ms=at_ms) for address, at_ms in rows
    )


def names(connection: sqlite3.Connection, after: Address, names_max: int) -> tuple[Address, ...]:
    """List the addresses that bodies name."""
    return tuple(Address(name) for (name,) in connection.execute(_NAMES, (after, names_max)))


def delete(connection: sqlite3.Connection, kept: Sequence[KeptBlob]) -> int:
    """Delete blobs whose token is unchanged."""
    return sum(connection.execute(_DELETE, (each.address, each.token)).rowcount for each in kept)
