"""Every scenario runs on memory and SQLite here, and on PostgreSQL from ``tests/postgres``."""

from pathlib import Path

import pytest

from tests.scenarios.hands import Site
from tests.session.stores import InFile, InMemory, Place


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return InMemory() if request.param == "memory" else InFile(tmp_path / "log.db")


@pytest.fixture
def site(place: Place) -> Site:
    return Site(place)
