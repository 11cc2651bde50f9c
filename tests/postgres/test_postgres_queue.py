"""Every scenario of queued work, on a real server."""

from collections.abc import Callable
from typing import Final

import pytest

from lash_es.log.port import Store
from tests.postgres.postgres_server import Database, new_database, server_url
from tests.scenarios import test_queue
from tests.session.stores import Place

SCENARIOS: Final[dict[str, Callable[[Place], None]]] = {
    name: scenario for name, scenario in vars(test_queue).items() if name.startswith("test_queue_")
}


class OnServer:
    """A schema of a server; every core has its own connections."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self) -> Store:
        return self._database.store()

    def another(self) -> "OnServer":
        return OnServer(new_database(server_url()))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_of_queued_work_holds_on_a_server(name: str, database: Database) -> None:
    SCENARIOS[name](OnServer(database))


def test_every_scenario_is_run() -> None:
    assert len(SCENARIOS) > 20
