"""``lash-es db``: what each verb says and does, and what it refuses."""

import json
import os
import shutil
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lash_es.codec.streams import StreamId
from lash_es.core.ids import Version
from lash_es.core.known import IndexKey
from lash_es.log.appends import IndexRow
from lash_es.log.stores import sqlite_reindexing
from tests.cli.running import invoke
from tests.cli.sessions import HOSTILE, edit, make_hostile_session, make_session

FACTS = 14
"""How many facts ``make_session`` makes."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with one session; not to be changed."""
    return make_session(tmp_path_factory.mktemp("db") / "a.db")


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copy(made, tmp_path / "a.db"))


def document(*words: str | Path) -> dict[str, Any]:
    result = invoke("db", *words, "--json")
    assert result.exit_code in {0, 1}, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*words: str | Path) -> str:
    result = invoke("db", *words)
    assert result.exit_code == 1
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def add_activity(db: Path, count: int, at_ms: int = 0) -> None:
    """Write activity after the last fact, as its owner would have."""
    last = FACTS
    connection = sqlite3.connect(db)
    with connection:
        connection.execute("UPDATE lash_es_heads SET activity_seq = activity_seq + ?", (count,))
        rows = [(1, last, 1_000 + seq, at_ms, b"{}") for seq in range(count)]
        connection.executemany("INSERT INTO lash_es_activity VALUES (?, ?, ?, ?, ?)", rows)
    connection.close()


# init and info


def test_a_log_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new.db"

    first, second = document("init", "--db", path), document("init", "--db", path)

    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["sessions_count"] == 0
    assert "made a log" in invoke("db", "init", "--db", tmp_path / "newer.db").stdout
    assert "there is a log already" in invoke("db", "init", "--db", path).stdout


def test_info_counts_what_is_there(made: Path) -> None:
    found = document("info", "--db", made)

    assert found["backend"].startswith("SQLite ")
    assert found["durability"].startswith("full")
    assert found["size_bytes"] > 10_000
    assert (found["sessions"], found["sessions_count"]) == ({"open": 1}, 1)
    assert (found["facts_count"], found["trimmed_count"]) == (FACTS, 0)
    assert found["reads_from"] <= found["writes"]
    assert found["snapshot_lag_max"] == FACTS
    said = invoke("db", "info", "--db", made).stdout
    assert f"{FACTS} kept, all from position 0 on" in said
    assert "1 session in 1 namespace: 1 open" in said


def test_info_of_a_session_says_what_is_kept_of_it(db: Path) -> None:
    found = document("info", "s", "--db", db)

    assert (found["version"], found["oldest"], found["status"]) == (FACTS, 0, "open")
    assert f"{FACTS} kept, positions 0 to 13" in invoke("db", "info", "s", "--db", db).stdout
    edit(db, "DELETE FROM lash_es_heads")
    assert document("info", "s", "--db", db)["status"] is None
    assert "no head row" in invoke("db", "info", "s", "--db", db).stdout


@pytest.mark.parametrize("verb", ["info", "check", "retain", "reindex", "snapshot"])
def test_a_session_that_is_not_there_is_refused(made: Path, verb: str) -> None:
    assert refused(verb, "nobody", "--db", made).startswith("lash-es: no session 'nobody' in ")


@pytest.mark.parametrize("verb", ["info", "check", "retain", "reindex", "snapshot", "upgrade"])
def test_a_log_that_is_not_there_is_refused(tmp_path: Path, verb: str) -> None:
    assert "there is no such file" in refused(verb, "--db", tmp_path / "none.db")


def test_what_is_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database, and long enough for a header of one " * 20, "utf-8")

    assert "not a database" in refused("info", "--db", path)
    assert "not a database" in refused("init", "--db", path)
    bad = invoke("db", "info", "--db", "")
    assert bad.exit_code == 2
    assert "it is empty" in bad.stderr


def test_the_address_may_be_a_url_and_its_password_is_never_said() -> None:
    said = refused("info", "--db", "postgresql://u:secret@127.0.0.1:1/x")

    assert "PostgreSQL host=127.0.0.1 port=1 dbname=x user=u schema=public" in said
    assert "secret" not in said


def test_the_address_may_be_a_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASH_ES_DB", "postgresql://u:secret@127.0.0.1:1/x")

    assert "PostgreSQL host=127.0.0.1" in refused("info")


def test_names_cannot_steer_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    session = make_hostile_session(path)

    for words in (("snapshot",), ("info", session), ("retain", "--dry-run"), ("check", session)):
        result = invoke("db", *words, "--db", path)
        assert result.exit_code == 0
        assert not set(result.output) & set(HOSTILE) & {"\x1b", "\x07", "\x9b", "\u202e", "\x7f"}


@pytest.mark.parametrize(
    "verb",
    [
        *("init", "info", "check", "retain", "snapshot", "reindex", "upgrade"),
        *("export", "import"),
    ],
)
def test_every_verb_says_its_exit_statuses(verb: str) -> None:
    said = " ".join(invoke("db", verb, "--help").stdout.split())

    assert "Exit status: 0 done" in said
    assert "130 interrupted" in said


# snapshot


def test_snapshots_are_written_where_there_are_facts_behind_them(db: Path) -> None:
    assert document("snapshot", "--dry-run", "--db", db)["snapshots_count"] == 1
    assert document("info", "--db", db)["snapshots_count"] == 0

    assert document("snapshot", "--db", db)["snapshots_count"] == 1
    assert document("snapshot", "--db", db)["snapshots_count"] == 0
    found = document("info", "--db", db)
    assert (found["snapshots_count"], found["snapshot_lag_max"]) == (1, 0)
    assert "1 snapshot written" in invoke("db", "snapshot", "s@4", "--db", db).stdout
    assert document("info", "s", "--db", db)["snapshots_count"] == 2
    assert document("check", "--db", db)["is_sound"]


def test_a_snapshot_of_no_position_is_refused(db: Path) -> None:
    assert "has no position 99; it has 14 facts" in refused("snapshot", "s@99", "--db", db)
    assert invoke("db", "snapshot", "s@x", "--db", db).exit_code == 2


def test_a_session_that_cannot_be_read_does_not_keep_others_from_it(db: Path) -> None:
    make_session(db, "t")
    edit(db, "UPDATE stored_events SET topic = 'x' WHERE originator_id = 'default/s'")

    result = invoke("db", "snapshot", "--db", db)

    assert result.exit_code == 1
    assert "1 snapshot written of 2 sessions" in result.stdout
    assert "1 session left as found" in result.stdout


def test_of_many_sessions_a_few_are_named(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_es.cli.db_sessions.SHOWN_MAX", 1)
    make_session(db, "t")
    make_session(db, "u")

    said = invoke("db", "snapshot", "--dry-run", "--db", db).stdout.split("\n")
    assert said[1:3] == ["  s  1 snapshot", "  and 2 more"]


# reindex


def test_an_index_is_rebuilt_where_it_differs(db: Path) -> None:
    edit(db, "DELETE FROM lash_es_index")
    rows_count = document("reindex", "--dry-run", "--db", db)["rows_count"]

    assert rows_count > 0
    assert "dry run" in invoke("db", "reindex", "--dry-run", "--db", db).stdout
    assert not document("check", "--db", db)["is_sound"]
    assert document("reindex", "--db", db)["rows_count"] == rows_count
    assert document("reindex", "--db", db)["rows_count"] == 0
    assert document("check", "--db", db)["is_sound"]


# retain


def test_activity_goes_by_age_and_by_count_as_the_dry_run_says(db: Path) -> None:
    add_activity(db, 10)
    many = ("retain", "--activity-age", "9999999999", "--activity-records", "4", "--db", db)

    there = document("info", "--db", db)["activities_count"]
    assert there >= 10
    foretold = document(*many, "--dry-run")["activity"]["count"]
    assert document("info", "--db", db)["activities_count"] == there
    assert document(*many)["activity"]["count"] == foretold == there - 4
    foretold = document("retain", "--dry-run", "--db", db)["activity"]["count"]
    assert document("retain", "--db", db)["activity"]["count"] == foretold == 4
    assert document("check", "--db", db)["is_sound"]


def test_facts_go_only_when_that_is_said(db: Path) -> None:
    assert "expected --archive FOLDER" in refused("retain", "--keep-facts", "5", "--db", db)
    assert "expected SESSION" in refused("retain", "--below", "5", "--discard", "--db", db)
    assert document("retain", "--db", db)["facts"]["count"] == 0
    assert document("info", "--db", db)["facts_count"] == FACTS


def test_the_newest_facts_stay_and_the_session_goes_on(db: Path) -> None:
    edit(db, "DELETE FROM lash_es_index")
    assert document("reindex", "--db", db)["rows_count"] > 0
    words = ("retain", "--keep-facts", "2", "--db", db)

    foretold = document(*words, "--dry-run")["facts"]["count"]
    assert document("info", "--db", db)["facts_count"] == FACTS
    assert document(*words, "--discard")["facts"]["count"] == foretold > 5
    assert document(*words, "--discard")["facts"]["count"] == 0
    found = document("info", "--db", db)
    assert (found["trimmed_count"], found["facts_trimmed_count"]) == (1, foretold)
    assert f"{foretold} facts trimmed of 1 session" in invoke("db", "info", "--db", db).stdout
    checked = document("check", "--db", db)
    assert checked["is_sound"]
    assert checked["facts_count"] == FACTS + 1 - foretold
    assert document("snapshot", "--db", db)["snapshots_count"] == 1
    assert "keeps its facts from position" in refused("snapshot", "s@0", "--db", db)
    make_session(db, inputs=(), queued="Still there?")
    assert document("check", "--db", db)["is_sound"]


def test_facts_below_a_version_go_as_far_as_open_work_allows(db: Path) -> None:
    words = ("retain", "s", "--discard", "--db", db, "--below")

    assert "expected one from 0 to 14" in refused(*words, "99")
    assert "the pending input" in refused(*words, "14")
    assert document(*words, "3")["facts"]["count"] == 3
    assert document(*words, "3")["facts"]["count"] == 0


def test_a_dry_run_of_a_trim_that_would_be_refused_is_refused(db: Path) -> None:
    words = ("retain", "s", "--dry-run", "--db", db, "--below")

    assert "expected one from 0 to 14" in refused(*words, "99")
    assert "the pending input" in refused(*words, "14")
    assert document(*words, "3")["facts"]["count"] == 3


# upgrade


def test_an_old_format_is_upgraded_once(db: Path) -> None:
    newest = document("info", "--db", db)["writes"]
    edit(db, "UPDATE lash_es_format SET reads_from = 1, writes = 1")

    assert "lash-es db upgrade" in refused("retain", "--keep-facts", "2", "--discard", "--db", db)
    foretold = document("upgrade", "--dry-run", "--db", db)
    assert (foretold["before"], foretold["after"]) == (1, newest)
    assert document("info", "--db", db)["writes"] == 1
    assert "from now on" in invoke("db", "upgrade", "--db", db).stdout
    assert document("info", "--db", db)["writes"] == newest
    assert "is written already" in invoke("db", "upgrade", "--db", db).stdout


# The bar, and what interrupts it


def test_a_terminal_gets_a_bar_unless_it_wants_none(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert invoke("db", "check", "--db", db).stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # It takes standard error for a terminal.
    for verb in ("check", "retain", "snapshot", "reindex"):
        assert "━" in invoke("db", verb, "--db", db).stderr
        assert invoke("db", verb, "--quiet", "--db", db).stderr == ""


def test_an_interruption_is_told_and_does_no_harm(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does, between the statements of a transaction."""
    edit(db, "DELETE FROM lash_es_index")
    rewrite = sqlite_reindexing.rewrite
    # Whoever runs the tests in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupted(
        connection: sqlite3.Connection,
        stream: StreamId,
        version: Version,
        rows: Sequence[IndexRow],
        gone: Sequence[IndexKey],
    ) -> bool:
        rewrite(connection, stream, version, rows, gone)
        os.kill(os.getpid(), signal.SIGINT)
        return True

    with monkeypatch.context() as patched:
        patched.setattr(sqlite_reindexing, "rewrite", interrupted)
        result = invoke("db", "reindex", "--db", db)
    signal.signal(signal.SIGINT, before)

    assert result.exit_code == 130
    assert "interrupted" in result.stderr
    # What was rewritten in the transaction that was interrupted is not there: the same goes on.
    assert document("reindex", "--db", db)["rows_count"] > 0
    assert document("check", "--db", db)["is_sound"]


# Tables that an older release made


def test_a_verb_that_reads_changes_no_old_tables_and_upgrade_does(
    db: Path, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("DROP INDEX lash_es_snapshots_fleeting")
        connection.execute("DROP TABLE lash_es_clock")
        connection.execute("UPDATE lash_es_format SET tables = 3")
    before = db.read_bytes()
    reading: tuple[tuple[str | Path, ...], ...] = (
        ("show", "s"),
        ("log", "s"),
        ("verify", "s"),
        ("db", "info"),
        ("db", "info", "s"),
        ("db", "check"),
        ("db", "export", tmp_path / "out.gz"),
        ("db", "retain", "--dry-run"),
        ("db", "snapshot", "--dry-run"),
        ("db", "reindex", "--dry-run"),
        ("db", "upgrade", "--dry-run"),
    )
    for words in reading:
        result = invoke(*words, "--db", db)
        assert result.exit_code == 1, words
        assert "lash-es db upgrade" in " ".join(result.stderr.split()), words
    assert db.read_bytes() == before
    assert not (tmp_path / "out.gz").exists()

    assert invoke("db", "upgrade", "--db", db).exit_code == 0
    for words in reading:
        assert invoke(*words, "--db", db).exit_code == 0, words
