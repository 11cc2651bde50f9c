"""Every test that asks for a ``place`` runs on memory and on a SQLite file."""

from pathlib import Path

import pytest

from tests.session.stores import InFile, InMemory, Place


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return InMemory() if request.param == "memory" else InFile(tmp_path / "log.db")
