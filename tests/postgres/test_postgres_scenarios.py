"""
The scenarios of ``tests/scenarios``, on PostgreSQL: the same functions, another ``place``.

A module of scenarios that is not listed here is missed by a test beside them.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from lash_es.log.port import Store
from tests.postgres.postgres_server import Database, new_database, server_url
from tests.scenarios import (
    test_commit,
    test_drain,
    test_edges,
    test_enclosures,
    test_fault,
    test_graph,
    test_input,
    test_lease,
    test_obs,
    test_open,
    test_park,
    test_queue,
    test_queue_edges,
    test_remote,
)
from tests.scenarios.hands import Site

MODULES: Final = (
    test_commit,
    test_drain,
    test_edges,
    test_enclosures,
    test_fault,
    test_graph,
    test_input,
    test_lease,
    test_obs,
    test_open,
    test_park,
    test_queue,
    test_queue_edges,
    test_remote,
)


class InDatabase:
    """One schema of a server; every core has its own connections, closed at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._opened: list[Store] = []
        self._others: list[InDatabase] = []

    def store(self) -> Store:
        self._opened.append(self._database.store())
        return self._opened[-1]

    def another(self) -> "InDatabase":
        self._others.append(InDatabase(new_database(server_url())))
        return self._others[-1]

    def close(self) -> None:
        for store in self._opened:
            store.close()
        for other in self._others:
            other.close()
            other._database.drop()


@pytest.fixture
def place(database: Database) -> Iterator[InDatabase]:
    made = InDatabase(database)
    yield made
    made.close()


@pytest.fixture
def site(place: InDatabase) -> Site:
    return Site(place, has_own_time=True)


for _module in MODULES:
    globals().update({name: each for name, each in vars(_module).items() if name[:5] == "test_"})
