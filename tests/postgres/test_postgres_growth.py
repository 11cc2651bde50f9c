"""The long form of growth runs on a server; that statements do not grow there is counted."""

import asyncio
from collections.abc import Iterable

from lash_es.codec.streams import StreamId
from lash_es.log.log import StoreLog
from tests.growth.__main__ import two_grounds
from tests.growth.building import FACTS_PER_APPEND, Shape, build
from tests.growth.grounds import Ground, Schema
from tests.growth.measuring import measure
from tests.growth.operations import NOW_MS, Host
from tests.postgres.postgres_server import Database
from tests.session.stores import Shared


class Unannounced(Shared):
    """Tells nobody: hints go out at times of their own, and belong to no operation."""

    def announce(self, streams: Iterable[StreamId]) -> None:
        pass

    def close(self) -> None:
        self.inner.close()


def statements(ground: Ground, shape: Shape) -> dict[str, int]:
    """Build a database, and count the statements of what is done on its last session."""

    async def count_them() -> dict[str, int]:
        store = Unannounced(ground.store(create=False))
        log, found = StoreLog(store, lambda: NOW_MS), dict[str, int]()
        for name, work in Host(log, shape, 1).operations.items():
            before = store.statistics().statements
            await work(shape.sessions - 1)
            found[name] = store.statistics().statements - before
        await log.aclose()
        return found

    build(ground, shape)
    return asyncio.run(count_them())


def test_statements_do_not_grow_with_facts_nor_sessions(database: Database) -> None:
    small = statements(Schema(database), Shape(sessions=1, appends=1))
    with two_grounds("postgres") as (many, long):
        assert statements(long, Shape(sessions=1, appends=6)) == small
        assert statements(many, Shape(sessions=5, appends=1)) == small
    assert min(small.values()) > 0


def test_the_long_form_measures_a_server() -> None:
    small, large = (Shape(sessions=1, appends=appends) for appends in (1, 2))
    with two_grounds("postgres") as grounds:
        found = measure(grounds, small, large, rounds=2)

    assert found["facts"] == 2 * FACTS_PER_APPEND
    assert found["MiB"] != 0
