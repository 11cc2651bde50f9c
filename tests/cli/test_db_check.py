"""``lash-es db check``: it finds what is planted, says where, and calls nothing else wrong."""

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

PLANTED = {
    "an altered fact": (
        (
            "UPDATE stored_events SET state = zeroblob(40)"
            " WHERE originator_id = 'default/s' AND originator_version = 4"
        ),
        ("chain", "s", 4),
    ),
    "a fact that was removed": (
        "DELETE FROM stored_events WHERE originator_id = 'default/s' AND originator_version = 7",
        ("chain", "s", 7),
    ),
    "a tail that was cut off": (
        "DELETE FROM stored_events WHERE originator_id = 'default/s' AND originator_version = 13",
        ("chain", "s", 13),
    ),
    "a fact in front of the first": (
        "INSERT INTO stored_events VALUES ('default/s', -3, 'x', x'00')",
        ("chain", "s", -3),
    ),
    "facts without a head row": (
        "INSERT INTO stored_events VALUES ('default/lost', 0, 'x', x'00')",
        ("head", "lost", None),
    ),
    "a key that names no session": (
        "INSERT INTO stored_events VALUES ('No Namespace', 0, 'x', x'00')",
        ("sessions", "", None),
    ),
    "a head row that was altered": (
        "UPDATE lash_es_heads SET status = 'deleted' WHERE stream = 'default/s'",
        ("head", "s", 13),
    ),
    "a body that was altered": (
        (
            "UPDATE lash_es_bodies SET content = x'00' WHERE rowid ="
            " (SELECT min(rowid) FROM lash_es_bodies WHERE stream_no = 1)"
        ),
        ("bodies", "s", 2),
    ),
    "a body that was removed": (
        (
            "DELETE FROM lash_es_bodies WHERE rowid ="
            " (SELECT min(rowid) FROM lash_es_bodies WHERE stream_no = 1)"
        ),
        ("bodies", "s", 2),
    ),
    "a body too many": (
        (
            "INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)"
            " VALUES (1, 4, 77, 'x', x'00', x'00')"
        ),
        ("bodies", "s", 4),
    ),
    "a body in front of the first fact": (
        (
            "INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)"
            " VALUES (1, -9, 0, 'x', x'00', x'00')"
        ),
        ("bodies", "s", -9),
    ),
    "a body after the last fact": (
        (
            "INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)"
            " VALUES (1, 900, 0, 'x', x'00', x'00')"
        ),
        ("bodies", "s", 900),
    ),
    "an index row that was altered": (
        (
            "UPDATE lash_es_index SET value = x'7b7d' WHERE (stream_no, kind, key) ="
            " (SELECT stream_no, kind, key FROM lash_es_index WHERE stream_no = 1 LIMIT 1)"
        ),
        ("index", "s", None),
    ),
    "a snapshot that says something else": (
        (
            "INSERT INTO lash_es_snapshots (stream_no, version, fingerprint, digest, content)"
            " VALUES (1, 5, 'x', x'00', x'00')"
        ),
        ("snapshots", "s", 4),
    ),
    "activity after the end": (
        "INSERT INTO lash_es_activity VALUES (1, 14, 9999, 0, x'00')",
        ("activity", "s", None),
    ),
    "rows of no session": (
        "INSERT INTO lash_es_activity VALUES (99, 1, 1, 0, x'00')",
        ("orphans", "", None),
    ),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with two sessions, one in another namespace; not to be changed."""
    db = make_session(tmp_path_factory.mktemp("db") / "a.db")
    make_session(db, "other", queued="")
    return db


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    """A copy, to be damaged."""
    return Path(shutil.copy(made, tmp_path / "a.db"))


def check(db: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
    result = invoke("db", "check", "--db", db, *words, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_a_sound_log_is_sound(made: Path) -> None:
    status, found = check(made)

    assert (status, found["is_sound"], found["findings"], found["notes"]) == (0, True, [], [])
    assert found["sessions_count"] == 2
    assert found["facts_count"] > 20
    assert "✓ sound  2 sessions" in invoke("db", "check", "--db", made).stdout


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found_where_it_is(db: Path, what: str) -> None:
    statement, expected = PLANTED[what]
    edit(db, statement)

    status, found = check(db)

    assert (status, found["is_sound"]) == (1, False)
    places = {(each["check"], each["session"], each["position"]) for each in found["findings"]}
    assert expected in places
    # The other session is as sound as before.
    assert not any(each["session"] == "other" for each in found["findings"])


def test_a_finding_names_session_and_position_for_people(db: Path) -> None:
    statement, _ = PLANTED["a body too many"]
    edit(db, statement)

    result = invoke("db", "check", "--db", db)

    assert result.exit_code == 1
    assert "✗ bodies s@4: content 77 is of no fact" in result.stdout
    assert "✗ damaged: 1 finding" in result.stdout


def test_one_session_is_checked_alone(db: Path) -> None:
    statement, _ = PLANTED["an altered fact"]
    edit(db, statement)

    assert check(db, "other")[0] == 0
    assert check(db, "s")[0] == 1
    assert check(db, "--namespace", "default")[1]["sessions_count"] == 2
    assert check(db, "--namespace", "defaul")[1]["sessions_count"] == 0
    refused = invoke("db", "check", "--db", db, "--namespace", "No Name")
    assert refused.exit_code == 1
    assert "expected 1 to 63 of a-z 0-9 _ -" in refused.stderr


def test_findings_that_are_too_many_are_counted(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lash_es.cli.db_check.FINDINGS_NAMED_MAX", 2)
    edit(db, "DELETE FROM lash_es_bodies WHERE stream_no = 1")

    _, found = check(db)

    assert len(found["findings"]) == 2
    assert found["findings_count"] > 2
    more = found["findings_count"] - 2
    assert f"and {more} more" in invoke("db", "check", "--db", db).stdout


def make_sealed(path: Path, folder: Path | None) -> None:
    store = SQLiteStore.open(path, create=True)
    with closing(sealed(store, "all", folder)) as layer:
        play(layer)


def test_a_blob_that_is_missing_is_damage_and_one_too_many_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sealed.db"
    make_sealed(path, None)
    monkeypatch.setenv("THE_KEYS", f"new:{NEW}")
    edit(path, "INSERT INTO lash_es_blobs VALUES (zeroblob(32), x'00', 0)")

    status, found = check(path, "--key-env", "THE_KEYS")
    assert (status, found["bodies_sealed_count"]) == (0, 0)
    assert [each["check"] for each in found["notes"]] == ["blobs"]
    assert "1 blob that no content names" in invoke("db", "check", "--db", path).stdout

    retained = json.loads(invoke("db", "retain", "--db", path, "--dry-run", "--json").stdout)
    assert retained["blobs_count"] == 1
    retained = json.loads(invoke("db", "retain", "--db", path, "--json").stdout)
    assert retained["blobs_count"] == 1
    assert check(path, "--key-env", "THE_KEYS")[1]["notes"] == []

    edit(path, "DELETE FROM lash_es_blobs WHERE rowid = (SELECT min(rowid) FROM lash_es_blobs)")
    for words in (("--key-env", "THE_KEYS"), ()):
        status, found = check(path, *words)
        assert status == 1
        (finding,) = found["findings"]
        assert (finding["check"], finding["session"]) == ("bodies", "taped")
        assert finding["position"] is not None


def test_a_folder_of_blobs_is_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "sealed.db", tmp_path / "blobs"
    make_sealed(path, folder)
    monkeypatch.setenv("THE_KEYS", f"new:{NEW}")
    words = ("--key-env", "THE_KEYS", "--blobs", folder)

    assert check(path, *words)[0] == 0
    without_key = invoke("db", "check", "--db", path, "--blobs", folder)
    assert without_key.exit_code == 0
    assert "not checked: the key is not here" in without_key.stdout
    blobs = sorted(each for each in folder.iterdir() if len(each.name) == 64)
    blobs[0].write_bytes(b"damaged")
    for damaged in (words, ("--blobs", folder)):
        status, found = check(path, *damaged)
        assert (status, found["findings"][0]["check"]) == (1, "bodies")
    missing = invoke("db", "check", "--db", path, "--blobs", tmp_path / "none")
    assert missing.exit_code == 1
    assert "no folder of blobs" in missing.stderr


def test_what_a_trim_has_kept_is_no_stray_and_what_it_left_is(db: Path) -> None:
    trim = ("db", "retain", "--keep-facts", "2", "--discard", "--db", db)
    assert invoke(*trim).exit_code == 0
    assert check(db)[0] == 0

    edit(
        db,
        "INSERT INTO lash_es_bodies (stream_no, position, ordinal, media_type, salt, content)"
        " VALUES (1, 1, 5, 'x', x'00', x'00')",
        "INSERT INTO stored_events VALUES ('default/s', 2, 'x', x'00')",
    )
    _, found = check(db)
    places = {(each["check"], each["position"]) for each in found["findings"]}
    assert places == {("bodies", 1), ("chain", 2)}
