"""Both stores keep every clause, and make the same bytes of the same tape."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lash_es.log.port import Store
from lash_es.log.stores.memory import MemoryStore
from lash_es.log.stores.sqlite import SQLiteStore
from tests.log.conformance import CLAUSES, Clause, MakeStore, everything
from tests.log.tapes import STREAM, play


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    made: list[Store] = []

    def make() -> Store:
        if request.param == "memory":
            made.append(MemoryStore())
        else:
            path = tmp_path / f"{len(made)}.db"
            made.append(SQLiteStore.open(path, create=True))
        return made[-1]

    yield make
    for store in made:
        store.close()


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.__name__)
def test_every_store_keeps(clause: Clause, make_store: MakeStore) -> None:
    clause(make_store)


def test_the_same_tape_makes_the_same_bytes_on_every_store(tmp_path: Path) -> None:
    memory, sqlite = MemoryStore(), SQLiteStore.open(tmp_path / "log.db", create=True)
    with closing(sqlite):
        play(memory)
        play(sqlite)

        assert everything(sqlite, STREAM) == everything(memory, STREAM)
        assert memory.heads("default", after="", heads_max=9) == sqlite.heads(
            "default", after="", heads_max=9
        )
