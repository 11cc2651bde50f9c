"""``lash-es db`` and what it stands on, on a real server."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from lash_es.log.stores.sqlite import SQLiteStore
from tests.cli.running import invoke
from tests.log.conformance import A, an_append, stored_body
from tests.log.tapes import STREAM, play
from tests.postgres.postgres_server import Database


def document(database: Database, verb: str, *words: str) -> tuple[int, dict[str, Any]]:
    where = ("--db", database.url, "--schema", database.schema)
    result = invoke("db", verb, *words, *where, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_the_same_is_counted_as_on_sqlite(database: Database, tmp_path: Path) -> None:
    counts = []
    for store in (database.store(), SQLiteStore.open(tmp_path / "a.db", create=True)):
        with closing(store):
            play(store)
            store.append([an_append(A, 0, bodies=(stored_body(0, "hello"),))])
            found = store.inspection().inventory()
            refs = store.inspection().body_refs(STREAM, None, 1_000)
            rows = store.inspection().session_rows(STREAM)
            pages = store.inspection().streams("", 1), store.inspection().streams("", 9)
            assert found.size_bytes > 0
            counts.append(
                (
                    *(found.sessions.items(), found.facts_count, found.bodies_count),
                    *(found.index_rows_count, found.activities_count, found.snapshot_lag_max),
                    *(found.reads_from, found.writes, found.tables, found.namespaces_count),
                    *(refs, refs[3:5] == store.inspection().body_refs(STREAM, refs[2], 2)),
                    *(rows, pages, store.inspection().orphans()),
                )
            )

    assert list(map(str, counts[0])) == list(map(str, counts[1]))


def test_every_verb_works_on_a_server(database: Database) -> None:
    status, made = document(database, "init")
    assert (status, made["is_new"]) == (0, True)
    assert document(database, "init")[1]["is_new"] is False
    with closing(database.store()) as store:
        play(store)

    _, info = document(database, "info")
    assert info["backend"].startswith("PostgreSQL ")
    assert info["durability"].startswith("synchronous_commit ")
    assert info["sessions_count"] == 1
    status, checked = document(database, "check")
    assert (status, checked["is_sound"], checked["facts_count"]) == (0, True, info["facts_count"])
    assert document(database, "snapshot")[1]["snapshots_count"] in {0, 1}
    database.sql("DELETE FROM lash_es_index")
    assert document(database, "check")[0] == 1
    assert document(database, "reindex")[1]["rows_count"] == info["index_rows_count"]
    foretold = document(database, "retain", "--keep-facts", "3", "--dry-run")[1]["facts"]["count"]
    gone = document(database, "retain", "--keep-facts", "3", "--discard")[1]["facts"]["count"]
    assert gone == foretold > 3
    assert document(database, "info")[1]["facts_trimmed_count"] == gone
    assert document(database, "upgrade")[0] == 0
    assert document(database, "check")[0] == 0


def test_a_log_goes_from_a_file_to_a_server_and_back(database: Database, tmp_path: Path) -> None:
    path, there, back = (tmp_path / name for name in ("a.db", "there.gz", "back.gz"))
    with closing(SQLiteStore.open(path, create=True)) as store:
        play(store)
    archive = str(tmp_path / "archive")
    assert invoke("db", "export", there, "--db", path).exit_code == 0
    assert document(database, "init")[0] == 0

    imported = document(database, "import", str(there))[1]["facts_count"]
    assert imported > 10
    assert document(database, "check")[1]["facts_count"] == imported
    assert document(database, "export", str(back))[1]["facts_count"] == imported
    assert back.read_bytes() == there.read_bytes()
    words = ("retain", "--keep-facts", "3", "--archive", archive)
    gone = document(database, *words)[1]["facts"]["count"]
    (file,) = (tmp_path / "archive").iterdir()
    assert document(database, "import", str(file))[1]["facts_count"] == gone > 3
    assert document(database, "check")[1]["is_sound"]


def test_what_is_planted_is_found(database: Database) -> None:
    with closing(database.store()) as store:
        play(store)
    database.sql(
        "INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)"
        " SELECT stream_no, p, 77, 'x', '', '' FROM lash_es_heads, unnest(ARRAY[-2, 4]) AS p"
    )
    database.sql("INSERT INTO lash_es_activity VALUES (99, 1, 1, 0, '')")
    database.sql("INSERT INTO stored_events VALUES ('default/lost', 0, 'x', '')")
    database.sql("INSERT INTO stored_events VALUES (%s, -3, 'x', '')", STREAM.key)

    status, found = document(database, "check")

    assert status == 1
    places = {(each["check"], each["session"], each["position"]) for each in found["findings"]}
    assert {
        ("bodies", "taped", -2),
        ("bodies", "taped", 4),
        ("chain", "taped", -3),
        ("head", "lost", None),
        ("orphans", "", None),
    } <= places
