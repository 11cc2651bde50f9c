"""``log``, ``show`` and ``verify`` say what is in the log, and refuse what they cannot answer."""

import asyncio
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lash_es import LashCore, SQLiteStore
from lash_es.cli.refusing import internal_error
from tests.cli.running import COMMAND, environment, invoke, run
from tests.cli.sessions import edit, make_hostile_session, make_session
from tests.log.sealed_stores import NEW, sealed
from tests.log.tapes import play

FACTS = 14
"""How many facts ``make_session`` makes; the table in the first test lists them."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_session(tmp_path_factory.mktemp("log") / "a.db")


@pytest.fixture
def db(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path / "copy.db"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("hostile") / "a.db"
    return path, make_hostile_session(path)


def document(*words: str | Path) -> dict[str, Any]:
    found = json.loads(invoke(*words, "--json").stdout)
    assert isinstance(found, dict)
    return found


# What lies encrypted.


def test_without_its_key_a_log_tells_all_but_the_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "sealed.db", tmp_path / "blobs"
    store = SQLiteStore.open(path, create=True)
    with closing(sealed(store, "all", folder)) as layer:
        play(layer)
    monkeypatch.setenv("THE_KEYS", f"new:{NEW}")
    with_key = ("--key-env", "THE_KEYS", "--blobs", folder)

    assert '"this is i1"' in invoke("log", "taped", "--db", path, *with_key).stdout
    without = invoke("log", "taped", "--db", path).stdout
    assert "(sealed: its key is not here)" in without
    assert "this is i1" not in without
    seen, blind = (
        document("verify", "taped", "--db", path, *words) for words in (with_key, ("--db", path))
    )
    assert (seen["bodies_count"], seen["bodies_sealed_count"]) == (8, 0)
    assert (blind["bodies_count"], blind["bodies_sealed_count"]) == (0, 8)
    assert "8 contents not checked" in invoke("verify", "taped", "--db", path).stdout


# What they say.


def test_the_log_is_a_table_with_a_line_for_each_fact(made: Path) -> None:
    lines = invoke("log", "s", "--db", made).stdout.splitlines()

    told = [line[lines[1].index("what happened") :] for line in lines[2:]]
    assert lines[0].startswith(f"{FACTS} facts of s in {made}, ")
    assert lines[1].split() == ["pos", "time", "gen", "cause", "kind", "what", "happened"]
    assert [int(line.split()[0]) for line in lines[2:]] == list(range(FACTS))
    assert told[1:] == [
        "the owner takes the lease, 30000 ms",
        't1 starts: "What is 2 and 3?"',
        "#1 model call 1",
        "#1 model wants 2 calls: add, add",
        "#2 add(a=2, b=3)",
        '#3 add(a="no")',
        "#2 add returned: 5",
        told[8],
        "#4 model call 2",
        "#4 model said: It is 5. ...",
        "t1 finished: revision 1, 4 messages, 18 tokens",
        "released",
        'an input for the next turn: "And 4?"',
    ]
    assert told[8].startswith("#3 add failed (invalid_arguments): The arguments do not fit: ")


def test_the_log_as_json_holds_what_is_stored(made: Path) -> None:
    found = document("log", "s", "--db", made)

    connection = sqlite3.connect(made)
    (stored,) = connection.execute("SELECT count(*) FROM stored_events").fetchone()
    names = [name for (name,) in connection.execute("SELECT topic FROM stored_events")]
    connection.close()
    assert found["version"] == len(found["facts"]) == stored
    assert [fact["name"] for fact in found["facts"]] == names
    settled = [fact for fact in found["facts"] if fact["name"] == "effect.settled"]
    assert [fact["cause"] for fact in settled] == [
        fact["position"] for fact in found["facts"] if fact["name"] == "effect.requested"
    ]


def test_a_state_is_shown_as_of_a_position(made: Path) -> None:
    at_7 = document("show", "s@7", "--db", made)

    assert (at_7["position"], at_7["version"], at_7["status"]) == (7, 8, "open")
    assert [(each["tool"], each["position"]) for each in at_7["agenda"]] == [("add", 6)]
    assert at_7["turn"]["turn_id"] == "t1"
    assert at_7["lease"]["holder"]["owner_id"] == "the owner"
    assert at_7["head"] == {"revision": 0, "turn_index": 0, "leaf": None, "commit": None}
    assert at_7["pending"] == []
    assert "transcript" not in at_7


def test_the_newest_state_is_shown_with_the_transcript(made: Path) -> None:
    newest = document("show", "s", "--db", made)

    assert (newest["agenda"], newest["turn"], newest["lease"]["holder"]) == ([], None, None)
    assert newest["head"]["revision"] == 1
    assert [each["status"] for each in newest["pending"]] == ["deferred_next_turn"]
    assert newest["usage"]["total_tokens"] == 18
    assert [message["role"] for message in newest["transcript"]] == [
        *("user", "assistant"),
        *("user", "assistant"),
    ]
    assert newest["transcript"][-1]["parts"][0]["text"].startswith("It is 5.")


def test_people_are_shown_the_same(made: Path) -> None:
    at_7 = invoke("show", "s@7", "--db", made).stdout
    newest = invoke("show", "s", "--db", made).stdout

    assert re.search(r'agenda +#3 add\(a="no"\) +requested at 6, attempt 1', at_7)
    assert re.search(r"lease +generation 1, the owner, until \S+ \(30000 ms left\)", at_7)
    assert re.search(r"head +revision 0, no message yet", at_7)
    assert re.search(r"lease +free; the last generation was 1", newest)
    assert re.search(r'pending +deferred_next_turn: ti:\w+ "And 4\?"', newest)
    assert "user: What is 2 and 3?\n  → add(a=2, b=3)" in newest
    assert "  It is 5.\n\n  The other sum was none." in newest


def test_a_sound_session_is_said_to_be_sound(made: Path) -> None:
    said = invoke("verify", "s", "--db", made)

    assert said.exit_code == 0
    assert "✓ sound" in said.stdout
    assert document("verify", "s", "--db", made)["is_sound"] is True


def test_a_deleted_session_is_still_told(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")

    async def delete() -> None:
        async with LashCore(model="m", store=db) as core:
            await core.delete_session("s")

    asyncio.run(delete())

    assert "deleted: its id is used up" in invoke("show", "s", "--db", db).stdout
    assert document("show", "s", "--db", db)["status"] == "deleted"
    assert "deleted for ever" in invoke("log", "s", "--db", db).stdout


def test_a_session_whose_name_holds_an_at_sign_can_be_named(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db", "me@example.com")

    assert document("show", "me@example.com", "--db", db)["session"] == "me@example.com"
    assert document("show", "me@example.com@2", "--db", db)["position"] == 2


def test_looking_writes_nothing(made: Path) -> None:
    before = document("log", "s", "--db", made)
    for words in (("show", "s"), ("show", "s@3"), ("verify", "s")):
        invoke(*words, "--db", made)

    assert document("log", "s", "--db", made) == before


# What they refuse.


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("log", "nobody"), 1, "no session 'nobody' in {db}; it holds 's'"),
        (("show", "nobody"), 1, "no session 'nobody' in {db}; it holds 's'"),
        (("show", "nobody@3"), 1, "no session 'nobody' in {db}; it holds 's'"),
        (("verify", "nobody"), 1, "no session 'nobody' in {db}; it holds 's'"),
        (("show", "s@14"), 1, "has no position 14; it has 14 facts, at positions 0 to 13"),
        (("show", "s@999999999999999999"), 1, "has no position 999999999999999999"),
        (("show", "s@99999999999999999999999"), 1, "has no position 99999999999999999999999"),
        (("show", "s@last"), 2, "'last' in 's@last' is no position: expected a whole number"),
        (("show", "s@-1"), 2, "'-1' in 's@-1' is no position: expected a whole number"),
        (("show", "s@"), 2, "'' in 's@' is no position"),
        (("show", "s@٣"), 2, "is no position"),
        (("log", "s", "--namespace", "other"), 1, "no session 's' in {db}; it holds none"),
        (("log", "s", "--namespace", "No/Such"), 1, "expected 1 to 63 of a-z 0-9 _ -"),
        (("log",), 2, "Missing argument"),
        (("frobnicate",), 2, "No such command"),
        (("log", "s", "--frobnicate"), 2, "No such option"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_line(
    made: Path, words: tuple[str, ...], status: int, expected: str
) -> None:
    db = () if words == ("frobnicate",) else ("--db", made)
    said = invoke(*words, *db)

    assert said.exit_code == status
    assert expected.format(db=made) in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize("verb", ["log", "show", "verify"])
def test_a_file_that_is_no_log_is_refused(tmp_path: Path, verb: str) -> None:
    text = tmp_path / "text.db"
    text.write_text("this is no database, however long it is" * 100)
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("CREATE TABLE mine (a)").connection.close()

    for path, reason in (
        (tmp_path / "nowhere.db", "there is no such file"),
        (tmp_path, "it is a directory"),
        (text, "file is not a database"),
        (other, "it is another program's database"),
    ):
        said = invoke(verb, "s", "--db", path)
        assert said.exit_code == 1
        assert f"cannot open the log at {path}: {reason}" in said.stderr


def test_a_refusal_of_a_real_process_is_on_standard_error_only(made: Path) -> None:
    said = run("show", "s@99", "--db", made)

    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("lash-es: session 's' has no position 99; ")
    assert said.err.count("\n") == 1


FACT = "stored_events WHERE originator_version"
ALTERED = "CAST(replace(CAST(state AS TEXT), 'add', 'ado') AS BLOB)"
COPIED = f"SELECT originator_id, 14, topic, state FROM {FACT} = 13"
DAMAGE = {
    "one byte of one fact": (
        5,
        f"UPDATE stored_events SET state = {ALTERED} WHERE originator_version = 5",
    ),
    "a fact removed": (6, f"DELETE FROM {FACT} = 6"),
    "the last one cut off": (13, f"DELETE FROM {FACT} = 13"),
    "one inserted at the end": (14, f"INSERT INTO stored_events {COPIED}"),
    "the head row removed": (0, "DELETE FROM lash_es_heads"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_log_is_refused_with_the_position(db: Path, kind: str) -> None:
    position, statement = DAMAGE[kind]
    edit(db, statement)

    for verb in ("log", "show"):
        said = invoke(verb, "s", "--db", db)
        assert said.exit_code == 1
        assert f"corrupt history: session 's', position {position}: " in said.stderr
        assert said.stdout == ""
    verdict = invoke("verify", "s", "--db", db)
    assert verdict.exit_code == 1
    assert f"position {position}:" in verdict.stdout
    assert "✗ damaged" in verdict.stdout
    assert document("verify", "s", "--db", db)["problems"][0]["position"] == position


def test_two_facts_that_changed_places_are_refused_with_the_position(db: Path) -> None:
    edit(
        db,
        *(
            f"UPDATE stored_events SET originator_version = {new} WHERE originator_version = {old}"
            for old, new in ((5, 99), (6, 5), (99, 6))
        ),
    )

    assert "position 5: " in invoke("show", "s", "--db", db).stderr
    assert "position 5:" in invoke("verify", "s", "--db", db).stdout


def test_words_that_were_altered_are_refused_with_the_position(db: Path) -> None:
    edit(db, "UPDATE lash_es_bodies SET content = replace(content, '5', '6') WHERE position = 7")

    assert "corrupt body: session 's', position 7, body 0" in invoke("log", "s", "--db", db).stderr
    assert "position 7:" in invoke("verify", "s", "--db", db).stdout
    assert invoke("show", "s", "--db", db).exit_code == 1


def test_a_bug_of_ours_is_reported_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError) as planted:
        dict[str, int]()["\x1b[31mplanted"]
    status = internal_error(planted.value)

    first, second = capsys.readouterr().err.splitlines()
    assert status == 1
    assert first == "lash-es: internal error: KeyError: '\\x1b[31mplanted'"
    assert "test_verbs.py" in second


# How they say it.


@pytest.mark.parametrize("verb", ["log", "show", "show@9", "verify"])
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_hostile_text_steers_no_terminal(
    hostile: tuple[Path, str], verb: str, form: tuple[str, ...]
) -> None:
    path, session = hostile
    verb, _, position = verb.partition("@")
    address = f"{session}@{position}" if position else session
    said = invoke(verb, address, "--db", path, *form)

    assert said.exit_code == 0
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.stdout + said.stderr) == []
    if verb != "verify":
        assert "[bold]loud[/bold]" in said.stdout
    if form:
        assert json.loads(said.stdout)["session"] == session


def test_hostile_arguments_steer_no_terminal(made: Path) -> None:
    for words in (("log", "\x1b[31m\u202e"), ("show", "s@\x1b[31m"), ("\x1b[31m",)):
        said = invoke(*words, *(("--db", made) if len(words) > 1 else ()))
        assert said.exit_code in {1, 2}
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.stderr)


def test_a_pipe_gets_whole_lines_without_colours(made: Path) -> None:
    said = run("log", "s", "--db", made)

    assert said.status == 0
    assert "\x1b" not in said.out
    assert [line for line in said.out.splitlines() if line != line.rstrip()] == []
    assert any(len(line) > 100 for line in said.out.splitlines())


def test_a_terminal_without_our_letters_gets_others(made: Path) -> None:
    said = run("show", "s", "--db", made, PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert said.status == 0
    assert "  -> add(a=2, b=3)" in said.out


def test_a_reader_that_has_seen_enough_is_no_error(made: Path) -> None:
    words = " ".join((*COMMAND, "log", "s", "--db", str(made)))
    done = subprocess.run(
        ["sh", "-c", f"{words} | head -1"],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith(f"{FACTS} facts of s")
    assert done.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_output_that_takes_nothing_is_told_in_a_line(made: Path, form: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "log", "s", "--db", str(made), *form],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "lash-es: cannot write the output: No space left on device\n"


def test_an_empty_name_of_a_log_is_refused() -> None:
    said = invoke("log", "s", "--db", "")

    assert said.exit_code == 2
    assert "it is empty: expected the path of a SQLite file" in said.stderr


@pytest.mark.parametrize(
    "statement", ["DELETE FROM lash_es_format", "UPDATE lash_es_format SET writes = 'new'"]
)
def test_a_log_that_does_not_say_its_format_is_refused(db: Path, statement: str) -> None:
    edit(db, statement)
    said = invoke("log", "s", "--db", db)

    assert said.exit_code == 1
    assert f"cannot open the log at {db}: it is damaged: lash_es_format" in said.stderr


def test_the_usage_is_of_all_turns_so_far(made: Path) -> None:
    assert re.search(r"usage +18 tokens .* used so far", invoke("show", "s", "--db", made).stdout)


def test_without_its_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; import lash_es.cli.__main__ as m; m.main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert (
        done.stderr == "lash-es: typer is not installed; run: pip install 'lash-es[cli,models]'\n"
    )


def test_help_and_version_need_no_log() -> None:
    helped, version = invoke("--help"), invoke("--version")

    assert (helped.exit_code, version.exit_code) == (0, 0)
    assert all(verb in helped.stdout for verb in ("demo", "log", "show", "verify"))
    assert re.fullmatch(r"lash-es \d+\.\d+\.\d+\S*\n", version.stdout)


def test_the_log_is_found_by_the_environment(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASH_ES_DB", str(made))

    assert invoke("verify", "s").exit_code == 0


def test_a_log_that_is_open_elsewhere_can_be_read(made: Path) -> None:
    store = SQLiteStore.open(made, create=False)
    try:
        assert invoke("verify", "s", "--db", made).exit_code == 0
    finally:
        store.close()
