"""``lash-es db export`` and ``import``: everything comes back, and nothing that is damaged."""

import gzip
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lash_es import SQLiteStore
from tests.cli.running import invoke
from tests.cli.sessions import edit, make_session
from tests.log.sealed_stores import NEW, sealed
from tests.log.tapes import play

FACTS = 14
"""How many facts ``make_session`` makes."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two sessions; not to be changed."""
    db = make_session(tmp_path_factory.mktemp("db") / "a.db")
    make_session(db, "other")
    return db


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copy(made, tmp_path / "a.db"))


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A new log."""
    path = tmp_path / "new.db"
    assert invoke("db", "init", "--db", path).exit_code == 0
    return path


def document(*words: str | Path) -> dict[str, Any]:
    result = invoke("db", *words, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def refused(*words: str | Path) -> str:
    result = invoke("db", *words)
    assert result.exit_code == 1
    assert result.stdout == ""
    return " ".join(result.stderr.split())


def shown(db: Path, session: str) -> str:
    return invoke("show", session, "--db", db).stdout.replace(str(db), "DB")


def test_a_log_comes_back_as_it_was(made: Path, empty: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl.gz"

    assert document("export", file, "--db", made)["facts_count"] == 2 * FACTS
    found = document("import", file, "--db", empty)
    assert (found["sessions_count"], found["facts_count"]) == (2, 2 * FACTS)
    assert document("check", "--db", empty)["is_sound"]
    assert [shown(empty, each) for each in ("s", "other")] == [
        shown(made, each) for each in ("s", "other")
    ]
    assert document("import", file, "--db", empty)["facts_count"] == 0
    again = tmp_path / "again.jsonl.gz"
    said = invoke("db", "export", again, "--db", empty).stdout
    assert f"{2 * FACTS} facts exported" in said
    assert again.read_bytes() == file.read_bytes()
    assert "stays as it is" in invoke("db", "import", again, "--db", empty).stdout


def test_one_session_is_exported_alone_and_goes_on(
    made: Path, empty: Path, tmp_path: Path
) -> None:
    file = tmp_path / "one.jsonl.gz"

    assert document("export", file, "s", "--db", made)["facts_count"] == FACTS
    assert document("import", file, "--db", empty)["sessions_count"] == 1
    make_session(empty, inputs=(), queued="Here, too?")
    assert document("check", "--db", empty)["is_sound"]
    assert "no session 'nobody'" in refused("export", tmp_path / "b", "nobody", "--db", made)
    assert not (tmp_path / "b").exists()


def test_a_file_is_never_overwritten(made: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine"
    file.write_text("mine", "utf-8")

    assert "there is such a file already" in refused("export", file, "--db", made)
    assert file.read_text("utf-8") == "mine"
    assert "No such file" in refused("export", tmp_path / "none" / "x", "--db", made)


def test_what_is_damaged_is_not_exported(db: Path, tmp_path: Path) -> None:
    edit(db, "UPDATE stored_events SET state = zeroblob(40) WHERE originator_version = 4")

    assert "position 4" in refused("export", tmp_path / "x", "--db", db)
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith((".x", "x"))] == []


def test_damage_is_refused_with_its_line_and_nothing_is_written(
    made: Path, empty: Path, tmp_path: Path
) -> None:
    file = tmp_path / "all.jsonl.gz"
    assert invoke("db", "export", file, "--db", made).exit_code == 0
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    fact = next(i for i, line in enumerate(lines) if b'"kind":"fact"' in line and i > 20)
    altered = [*lines[:fact], lines[fact].replace(b'"digest":"', b'"digest":"00', 1)]
    damages = {
        fact + 1: altered + lines[fact + 1 :],
        len(lines): lines[:-1],
        len(lines) + 1: [*lines, lines[-1]],
        1: lines[1:],
    }
    for number, damaged in damages.items():
        file.write_bytes(gzip.compress(b"".join(damaged)))
        assert f"refused at line {number}:" in refused("import", file, "--db", empty)
    file.write_bytes(b"no gzip")
    assert "it is no sound gzip" in refused("import", file, "--db", empty)
    assert "No such file" in refused("import", tmp_path / "none", "--db", empty)
    assert document("info", "--db", empty)["sessions_count"] == 0


def test_a_file_that_is_larger_than_it_may_be_is_refused(
    made: Path, empty: Path, tmp_path: Path
) -> None:
    file = tmp_path / "all.jsonl.gz"
    assert invoke("db", "export", file, "--db", made).exit_code == 0

    said = refused("import", file, "--db", empty, "--bytes-max", "2000")
    assert "it is longer than 2000 bytes" in said


def test_facts_are_archived_before_they_go_and_come_back(db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    words = ("retain", "s", "--keep-facts", "2", "--db", db, "--archive")

    (tmp_path / "file").touch()
    assert "cannot archive to" in refused(*words, tmp_path / "file" / "x")
    assert "cannot archive to" in refused(*words, tmp_path / "file")
    assert document("info", "--db", db)["facts_trimmed_count"] == 0
    gone = document(*words, folder)["facts"]["count"]
    (file,) = folder.iterdir()
    assert document("info", "--db", db)["facts_trimmed_count"] == gone > 5
    assert document("import", file, "--db", db)["facts_count"] == gone
    assert document("info", "--db", db)["facts_trimmed_count"] == 0
    assert document("check", "--db", db)["is_sound"]


def test_a_trimmed_log_comes_back_trimmed(db: Path, empty: Path, tmp_path: Path) -> None:
    trim = ("retain", "--keep-facts", "2", "--discard", "--db", db)
    file = tmp_path / "all.jsonl.gz"
    gone = document(*trim)["facts"]["count"]

    exported = document("export", file, "--db", db)["facts_count"]
    assert document("import", file, "--db", empty)["facts_count"] == exported
    assert document("info", "--db", empty)["facts_trimmed_count"] == gone
    assert document("check", "--db", empty)["is_sound"]


def test_what_is_encrypted_stays_so_and_needs_no_key(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "sealed.db", tmp_path / "blobs"
    store = SQLiteStore.open(path, create=True)
    with closing(sealed(store, "all", folder)) as layer:
        play(layer)
    monkeypatch.setenv("THE_KEYS", f"new:{NEW}")
    file = tmp_path / "all.jsonl.gz"

    assert "blob" in refused("export", file, "--db", path)
    assert document("export", file, "--db", path, "--blobs", folder)["facts_count"] > 0
    assert b"this is i1" not in gzip.decompress(file.read_bytes())
    document("import", file, "--db", empty)
    found = document("check", "--db", empty, "--key-env", "THE_KEYS")
    assert (found["is_sound"], found["bodies_sealed_count"]) == (True, 0)


def test_the_bar_knows_how_many_facts_there_are(
    made: Path, empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # It takes standard error for a terminal.

    file = tmp_path / "all.jsonl.gz"
    for words in (("s",), ()):
        file.unlink(missing_ok=True)
        result = invoke("db", "export", file, *words, "--db", made)
        facts = FACTS if words else 2 * FACTS
        assert f"/{facts}" in result.stderr
    assert "━" in invoke("db", "import", file, "--db", empty).stderr
    assert "━" not in invoke("db", "import", file, "--db", empty, "-q").stderr


def test_an_interrupted_export_leaves_no_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lash_es.log.archiving.fact_line", interrupted)
    result = invoke("db", "export", tmp_path / "x", "--db", made)

    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []
