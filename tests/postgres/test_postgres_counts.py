"""What each operation costs on PostgreSQL, in round trips and transactions: small and flat."""

import asyncio
from collections.abc import Iterable

import pytest
from attrs import frozen

from benchmarks.counts import filled, operations
from lash_es.codec.streams import StreamId
from lash_es.log.log import StoreLog
from tests.postgres.postgres_server import Database, Relay
from tests.session.stores import Shared

NOW_MS = 1_800_000_000_000


@frozen
class Cost:
    """``commits`` are the transactions that wrote the operation's facts."""

    round_trips: int
    commits: int


class _Silent(Shared):
    """Sends no hints: how many there are is up to the time that passes."""

    def announce(self, streams: Iterable[StreamId]) -> None:
        pass

    def close(self) -> None:
        self.inner.close()


def _costs(relay: Relay, database: Database, history: int) -> dict[str, Cost]:
    return asyncio.run(_counted(relay, database, history))


async def _counted(relay: Relay, database: Database, history: int) -> dict[str, Cost]:
    log = StoreLog(_Silent(relay.database.store()), lambda: NOW_MS)
    costs = {}
    try:
        owned = await filled(log, history)
        for operation in operations(owned).values():
            await operation()  # The first of its kind prepares its statement.
        for name, operation in operations(owned).items():
            before, version = relay.round_trips, owned.lane.folded.version
            await operation()
            round_trips = relay.round_trips - before
            ((commits,),) = database.sql(
                "SELECT count(DISTINCT xmin::text) FROM stored_events "
                "WHERE originator_version >= %s",
                version,
            )
            costs[name] = Cost(round_trips, commits)
    finally:
        await log.aclose()
    return costs


def test_an_operation_costs_so_many_round_trips(relay: Relay, database: Database) -> None:
    assert _costs(relay, database, 10) == {
        "enqueue": Cost(1, 1),
        "claim": Cost(1, 1),
        "complete": Cost(2, 1),  # The turn's id is looked up first: it may have been used.
        "turn": Cost(2, 1),
        "open": Cost(6, 0),
    }


@pytest.mark.parametrize("operation", ["enqueue", "claim", "complete", "turn"])
def test_a_longer_history_costs_no_further_round_trip(
    relay: Relay, database: Database, operation: str
) -> None:
    short = _costs(relay, database, 1)[operation]
    database.drop()

    assert _costs(relay, database, 40)[operation] == short


def test_a_round_trip_too_many_is_counted(relay: Relay) -> None:
    async def twice() -> tuple[int, int]:
        log = StoreLog(_Silent(relay.database.store()), lambda: NOW_MS)
        owned = await filled(log, 0)
        before = relay.round_trips
        await owned.enqueue(0)
        once = relay.round_trips - before
        await owned.enqueue(1)
        await owned.lane.catch_up()
        both = relay.round_trips - before
        await log.aclose()
        return once, both

    once, both = asyncio.run(twice())

    assert both > 2 * once
