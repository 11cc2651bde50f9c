"""The whole life of a process that follows the facts of all sessions on PostgreSQL, twice."""

import time
from itertools import pairwise
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Final

from lash_es.log.stores.postgres import FEED_START
from tests.postgres.postgres_server import Database
from tests.soak.ledgers import ledger

_PAGE: Final = 1_000
_QUIET_S: Final = 1
_BY_SEQUENCE: Final = """
    SELECT notification_id, originator_id, originator_version FROM stored_events
     WHERE notification_id > %s ORDER BY notification_id
"""


def read_feeds(database: Database, folder: Path, written: Event) -> None:
    """
    Follow by the feed, and as one does who goes by the sequence: its faults show that there was
    something to go wrong. Lines are ``feed`` or ``sequence``, session and position.
    """
    store, after, number = database.store(create=False), FEED_START, 0
    with ledger(folder / "feed") as tell, database.connect() as other:
        moved_s = time.monotonic()
        while not written.is_set() or time.monotonic() - moved_s < _QUIET_S:
            facts = store.read_feed(after, _PAGE)
            if any(one.cursor >= next_one.cursor for one, next_one in pairwise(facts)):
                raise RuntimeError("the feed goes back")
            for fact in facts:
                tell("feed", fact.stream.session_id, fact.record.position)
                after = fact.cursor
            rows = other.execute(_BY_SEQUENCE, [number]).fetchall()
            for drawn, key, position in rows:
                tell("sequence", str(key).removeprefix("default/"), int(position))
                number = int(drawn)
            if facts or rows:
                moved_s = time.monotonic()
    store.close()
