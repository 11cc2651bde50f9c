"""Every scenario runs on memory and on a SQLite file; ``tests/postgres`` runs them once more."""

from pathlib import Path

import pytest

from tests.scenarios.hands import Site
from tests.session.stores import InFile, InMemory


@pytest.fixture(params=["memory", "sqlite"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Site:
    return Site(InMemory() if request.param == "memory" else InFile(tmp_path / "log.db"))
