"""Goal and method as in ``tests/flat/test_flat.py``, on PostgreSQL."""

from collections.abc import Iterator

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.log.appends import StoredSnapshot
from tests.flat.counting import grown
from tests.postgres.flat_costs import Silent, postgres_costs
from tests.postgres.postgres_server import Database, new_database, server_url

SMALL, LARGE = 10, 1_000


class NoSnapshots(Silent):
    """Folds everything, each time."""

    def read_snapshot(self, stream: StreamId, version_max: Version) -> StoredSnapshot | None:
        assert stream.key
        assert version_max >= 0
        return None


@pytest.fixture
def other() -> Iterator[Database]:
    made = new_database(server_url())
    yield made
    made.drop()


def test_no_command_costs_more_after_a_thousand_turns(database: Database, other: Database) -> None:
    small, large = postgres_costs(database, SMALL), postgres_costs(other, LARGE)

    assert grown(small, large) == []
    assert large["commit"].measured["inserted"] > 0
    assert large["enqueue under the first key"].measured["rows fetched"] > 0


def test_a_store_that_reads_the_past_is_caught(database: Database, other: Database) -> None:
    small, large = postgres_costs(database, SMALL), postgres_costs(other, 40, NoSnapshots)

    assert any(each.startswith("open from the log: measured") for each in grown(small, large))
