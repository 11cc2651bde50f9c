"""A database for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.postgres.postgres_server import Database, Relay, new_database, server_url


@pytest.fixture
def database() -> Iterator[Database]:
    made = new_database(server_url())
    yield made
    made.drop()


@pytest.fixture
def relay(database: Database) -> Iterator[Relay]:
    with Relay(database) as made:
        yield made
