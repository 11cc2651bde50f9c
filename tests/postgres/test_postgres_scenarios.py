"""The scenarios once more, on a real PostgreSQL server, whose time passes by itself."""

import sys
from typing import Final

import pytest

from lash_es.log.port import Store
from tests.postgres.postgres_server import Database
from tests.scenarios import test_input, test_lease
from tests.scenarios.hands import Site

SUITES: Final = (test_lease, test_input)


class InDatabase:
    """A database of the server; every process has connections of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self) -> Store:
        return self._database.store()


@pytest.fixture
def site(database: Database) -> Site:
    return Site(InDatabase(database), has_own_time=True)


for _suite in SUITES:
    for _name, _test in vars(_suite).items():
        if _name.startswith("test_"):
            setattr(sys.modules[__name__], _name, _test)


def test_the_scenarios_are_here() -> None:
    assert hasattr(
        sys.modules[__name__], "test_lease_01_first_claim_then_reentry_by_the_same_incarnation"
    )
