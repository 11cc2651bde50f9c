"""Blobs in a PostgreSQL store: a table beside the others, written in the facts' statement."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from psycopg import Cursor

from lash_es.log.appends import StreamAppend
from lash_es.log.blobs import Address, KeptBlob
from lash_es.log.stores.postgres_arrays import Blobs, Integers, int8
from lash_es.log.stores.postgres_reads import Row, ask

# The token moves on whatever the clock says: a sweep that listed the blob before leaves it alone.
# In the order of addresses, so that no two appends wait for each other.
WRITE_BLOBS: Final = """
    blobs AS (
        INSERT INTO lash_es_blobs (address, content, at_ms)
        SELECT DISTINCT ON (address) address, content, at_ms
          FROM written JOIN unnest(%b, %b, %b, %b) AS new (no, address, content, at_ms) USING (no)
         ORDER BY address, at_ms DESC
        ON CONFLICT (address) DO UPDATE
           SET at_ms = greatest(lash_es_blobs.at_ms + 1, excluded.at_ms))
"""
"""A part of the statement that appends; ``written`` is what it has written so far."""

_READ: Final = "SELECT address, content FROM lash_es_blobs WHERE address = ANY(%b)"
_PAGE: Final = """
    SELECT address, at_ms FROM lash_es_blobs WHERE address > %b ORDER BY address LIMIT %b
"""
_NAMES: Final = """
    SELECT DISTINCT content FROM lash_es_bodies
     WHERE left(sealing, 4) = 'blob' AND content > %b ORDER BY content LIMIT %b
"""
# What an append holds is about to be named: it is passed by, and its lock is not waited for.
_DELETE: Final = """
    DELETE FROM lash_es_blobs USING (
        SELECT address FROM lash_es_blobs
          JOIN unnest(%b, %b) AS listed (address, token) USING (address)
         WHERE at_ms = token FOR UPDATE OF lash_es_blobs SKIP LOCKED) AS unchanged
     WHERE lash_es_blobs.address = unchanged.address
"""


def blob_parameters(appends: Iterable[tuple[int, StreamAppend]]) -> Iterator[object]:
    """Yield the parameters of ``WRITE_BLOBS``, for numbered appends."""
    blobs = [(no, each.at_ms, blob) for no, each in appends for blob in each.blobs]
    yield Integers([no for no, _, _ in blobs])
    yield Blobs([blob.address for _, _, blob in blobs])
    yield Blobs([blob.content for _, _, blob in blobs])
    yield Integers([at_ms for _, at_ms, _ in blobs])


def read(cursor: Cursor[Row], addresses: Sequence[Address]) -> Mapping[Address, bytes]:
    """Read blobs."""
    return {
        Address(address): content for address, content in ask(cursor, _READ, [Blobs(addresses)])
    }


def page(cursor: Cursor[Row], after: Address, blobs_max: int) -> tuple[KeptBlob, ...]:
    """List blobs, ordered by address; their time is their token."""
    return tuple(
        KeptBlob(address=Address(address), token=at_ms, at_ms=at_ms)
        for address, at_ms in ask(cursor, _PAGE, [after, int8(blobs_max)])
    )


def names(cursor: Cursor[Row], after: Address, names_max: int) -> tuple[Address, ...]:
    """List the addresses that bodies name."""
    return tuple(Address(name) for (name,) in ask(cursor, _NAMES, [after, int8(names_max)]))


def delete(cursor: Cursor[Row], kept: Sequence[KeptBlob]) -> int:
    """Delete blobs whose token is unchanged, and that nobody is writing."""
    addresses = Blobs([each.address for each in kept])
    return ask(cursor, _DELETE, [addresses, Integers([each.token for each in kept])]).rowcount
