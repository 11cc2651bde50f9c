"""Every scenario runs on memory and SQLite here, and on PostgreSQL from ``tests/postgres``."""

import pytest

from tests.scenarios.hands import Site
from tests.session.conftest import place
from tests.session.stores import Place

__all__ = ["place"]


@pytest.fixture
def site(place: Place) -> Site:
    return Site(place)
