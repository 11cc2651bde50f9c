"""
Counts on PostgreSQL, by what the server reports of its tables: rows read by either kind of scan,
rows written, and how often the store asked.

A store tells the planner to go by indexes, so that a small table is read as a large one is.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from benchmarks.long_sessions import Builder
from lash_es.codec.streams import StreamId
from lash_es.log.stores.postgres import PostgresStore
from tests.flat.counting import Cost, Measured, costs, opened, size_of
from tests.postgres.postgres_server import Database

_ROWS: Final = (
    "SELECT coalesce(sum(seq_tup_read), 0)::bigint, coalesce(sum(idx_tup_fetch), 0)::bigint,"
    " coalesce(sum(n_tup_ins), 0)::bigint, coalesce(sum(n_tup_upd), 0)::bigint,"
    " coalesce(sum(n_tup_del), 0)::bigint"
    " FROM pg_stat_user_tables WHERE schemaname = %s"
)
_TABLES: Final = (
    "stored_events",
    "lash_es_heads",
    "lash_es_index",
    "lash_es_bodies",
    "lash_es_snapshots",
)
_NAMES: Final = ("rows scanned", "rows fetched", "inserted", "updated", "deleted")


class Silent(PostgresStore):
    """Sends no hints: how many there are is up to the time that passes."""

    def announce(self, streams: Iterable[StreamId]) -> None:
        assert list(streams)


def postgres_costs(
    database: Database, rounds: int, kind: type[PostgresStore] = Silent
) -> dict[str, Cost]:
    """Build a session with so long a past, and count what everything costs on it."""
    store = database.store()
    Builder(store).build(size_of(rounds))
    store.close()
    # What autovacuum does sooner or later; until then a plan may be made for rows that are gone.
    database.sql(f"VACUUM (ANALYZE) {', '.join(_TABLES)}")
    return asyncio.run(_costs(database, kind))


async def _costs(database: Database, kind: type[PostgresStore]) -> dict[str, Cost]:
    store = kind.open(database.url, create=False, schema=database.schema)
    log, reading = opened(store), database.store(create=False)

    async def measure(work: Callable[[], Awaitable[object]]) -> Measured:
        before, asked = _rows(database, store), store._connections.statements_count
        await work()
        asked = store._connections.statements_count - asked
        after = _rows(database, store)
        rows = {name: after[name] - before[name] for name in _NAMES}
        return {"statements": asked, **rows}

    try:
        return await costs(log, reading, measure)
    finally:
        reading.close()
        await log.aclose()


def _rows(database: Database, store: PostgresStore) -> dict[str, int]:
    """Read the server's counters, after the store's connections have told theirs."""
    for ask in (store._connections.write, store._connections.read):
        ask(lambda cursor: cursor.execute("SELECT pg_stat_force_next_flush()"))
    (found,) = database.sql(_ROWS, database.schema)
    return dict(zip(_NAMES, map(int, found), strict=True))
