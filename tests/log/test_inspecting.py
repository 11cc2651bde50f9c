"""What a database says of itself as a whole, and which rows belong to nothing."""

from contextlib import closing
from pathlib import Path

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Position, SessionId
from lash_es.log.stores.sqlite import SQLiteStore
from tests.cli.sessions import edit
from tests.log.conformance import A, an_append, stored_body
from tests.log.tapes import STREAM, play

ELSEWHERE = StreamId("other", SessionId("x"))


def keys(store: SQLiteStore, page: int) -> list[str]:
    found: list[str] = []
    after = ""
    while some := store.inspection().streams(after, page):
        assert len(some) <= page
        found.extend(some)
        after = some[-1]
    return found


def test_an_empty_log_holds_nothing(tmp_path: Path) -> None:
    with closing(SQLiteStore.open(tmp_path / "a.db", create=True)) as store:
        found = store.inspection().inventory()

        assert (found.sessions_count, found.facts_count, found.bodies_count) == (0, 0, 0)
        assert (found.namespaces_count, found.snapshot_lag_max, found.blobs_bytes) == (0, 0, 0)
        assert found.size_bytes > 0
        assert found.backend.startswith("SQLite ")
        assert store.inspection().streams("", 10) == ()
        assert store.inspection().orphans() == {}
        assert store.inspection().body_refs(A, None, 10) == ()
        assert store.inspection().session_rows(A).bodies_count == 0


def test_what_is_there_is_counted(tmp_path: Path) -> None:
    with closing(SQLiteStore.open(tmp_path / "a.db", create=True)) as store:
        play(store)
        version = len(store.read(STREAM, Position(0), 1_000))
        store.append([an_append(ELSEWHERE, 0, bodies=(stored_body(0, "hello"),))])
        found = store.inspection().inventory()
        rows = store.inspection().session_rows(ELSEWHERE)

        assert found.facts_count == version + 1
        assert (found.sessions_count, found.namespaces_count) == (2, 2)
        assert (
            found.snapshot_lag_max
            == version - store.inspection().session_rows(STREAM).snapshot_version
        )
        assert (rows.bodies_count, rows.snapshots_count) == (1, 0)
        assert keys(store, 1) == keys(store, 10) == sorted([STREAM.key, ELSEWHERE.key])


@pytest.mark.parametrize("page", [1, 2, 100])
def test_facts_without_a_head_row_are_listed_and_rows_without_one_counted(
    tmp_path: Path, page: int
) -> None:
    path = tmp_path / "a.db"
    with closing(SQLiteStore.open(path, create=True)) as store:
        play(store)
        store.append([an_append(ELSEWHERE, 0, bodies=(stored_body(0, "hello"),))])
        edit(path, "DELETE FROM lash_es_heads WHERE stream = 'other/x'")
        edit(path, "INSERT INTO stored_events VALUES ('a', 0, 'x', x'00')")

        assert keys(store, page) == sorted(["a", STREAM.key, ELSEWHERE.key])
        assert store.inspection().orphans()["lash_es_bodies"] == 1


def test_bodies_are_listed_in_pages(tmp_path: Path) -> None:
    with closing(SQLiteStore.open(tmp_path / "a.db", create=True)) as store:
        play(store)
        inspection = store.inspection()
        whole = inspection.body_refs(STREAM, None, 1_000)
        paged = list(inspection.body_refs(STREAM, None, 1))
        while some := inspection.body_refs(STREAM, paged[-1], 2):
            paged.extend(some)

        assert tuple(paged) == whole
        assert len(whole) == inspection.inventory().bodies_count > 3
