"""
All facts of all streams, in an order that follows commits and has no holes.

A number from a sequence is drawn before the commit, so that a reader who goes by it passes over
what commits later under a lower number. Here the order is by transaction and then by number, and
only transactions are shown below which none is still running. Whoever saw a fact before appending
another has it in front of that one; so a stream's facts are in their order.

What it costs: a transaction that writes for long, anywhere on the server, holds the feed back.
"""

from typing import Final

from attrs import frozen
from psycopg import Cursor

from lash_es.codec.records import Record
from lash_es.codec.streams import StreamId
from lash_es.log.stores.facts import row_record
from lash_es.log.stores.postgres_arrays import int8
from lash_es.log.stores.postgres_reads import Row, ask

_FEED: Final = """
    SELECT xid::text::bigint, notification_id, originator_id, originator_version, topic, state
      FROM stored_events
     WHERE (xid, notification_id) > (%b::text::xid8, %b)
           AND xid < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY xid, notification_id LIMIT %b
"""


@frozen(order=True)
class FeedCursor:
    """After which fact to read on. It means nothing in another database."""

    transaction: int
    number: int


FEED_START: Final = FeedCursor(0, 0)


@frozen(kw_only=True)
class FeedFact:
    """A fact of some stream, and the cursor after it."""

    stream: StreamId
    record: Record
    cursor: FeedCursor


def read_feed(cursor: Cursor[Row], after: FeedCursor, facts_max: int) -> tuple[FeedFact, ...]:
    """Read facts after a cursor."""
    parameters = (str(after.transaction), int8(after.number), int8(facts_max))
    return tuple(_fact(row) for row in ask(cursor, _FEED, parameters))


def _fact(row: Row) -> FeedFact:
    transaction, number, key, position, topic, state = row
    return FeedFact(
        stream=StreamId.of_key(key),
        record=row_record(position, topic, state),
        cursor=FeedCursor(transaction, number),
    )
