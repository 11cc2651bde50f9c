"""
The demo, as a newcomer runs it: real directories, real processes, a real SIGKILL.

What it answers is compared with ``find`` and ``grep``, what happened with the rows of the
database, read by SQL and JSON alone.
"""

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from lash_es.cli.demo_worker import Task
from lash_es.cli.places import default_db, demo_db, own_name
from tests.cli.running import Said, begin, begin_worker, end, environment, invoke, run

FIRST: Mapping[str, str] = {
    "README.md": "# Harbour\n\nBoats rest in the harbour. TODO: paint the harbour wall.\n",
    "src/cranes.py": "def lift(load):\n    return load  # the harbour master decides\n\n" * 9,
    "src/boats.py": "class Boat:\n    pass\n",
    ".env": "HARBOUR=secret\n",
    # Where the demo is started, it must not import what it finds there.
    "json.py": "raise SystemExit('the harbour was imported')\n",
}
SECOND: Mapping[str, str] = {
    "notes.txt": "moss grows slowly\nmoss rests, lichen rests\n",
    "deep/er/lichen.txt": "lichen and moss\n" * 7,
}
BYTEWISE = {"LC_ALL": "C", "PATH": os.environ["PATH"]}


@frozen(kw_only=True)
class Shown:
    """A demo that was run: where, what it said, and its log."""

    root: Path
    said: Said
    db: Path

    @property
    def document(self) -> dict[str, Any]:
        """What it said, if that is JSON."""
        found = json.loads(self.said.out)
        assert isinstance(found, dict)
        return found

    def headers(self) -> list[dict[str, Any]]:
        """Read every header by SQL; the first 32 bytes of a stored fact are its digest."""
        connection = sqlite3.connect(self.db)
        rows = connection.execute("SELECT state FROM stored_events ORDER BY originator_version")
        headers = [json.loads(bytes(state)[32:]) for (state,) in rows]
        connection.close()
        return headers

    def answers(self) -> list[str]:
        """Take what the model said last in each turn from the transcript."""
        shown = json.loads(invoke("show", "demo", "--db", self.db, "--json").stdout)
        finals: list[str] = []
        for message in shown["transcript"]:
            kinds = {part["kind"] for part in message["parts"]}
            if message["role"] == "assistant" and "tool_call" not in kinds:
                finals.append("".join(part["text"] for part in message["parts"]))
        assert len(finals) == 3
        return finals


@frozen(kw_only=True)
class Runs:
    """All demos of this module, run side by side, since each waits for a lease to run out."""

    harbour: Shown
    """Told as JSON."""
    woods: Shown
    """Told as people are told."""
    unkilled: Said
    silent: Said


def write(root: Path, files: Mapping[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    scratch = tmp_path_factory.mktemp("demo")
    harbour, woods = write(scratch / "harbour", FIRST), write(scratch / "it's woods", SECOND)
    db = {name: scratch / name / "a.db" for name in ("first", "second", "third", "fourth")}
    begun = [
        begin("demo", "--db", db["first"], "--json", cwd=harbour),
        begin("demo", woods, "--db", db["second"]),
        begin("demo", woods, "--db", db["third"], "--model", "test:dummy"),
        begin("demo", woods, "--db", db["fourth"], "--model", "offline:silent", "--json"),
    ]
    first, second, unkilled, silent = map(end, begun)
    assert (first.err, second.err, first.status, second.status) == ("", "", 0, 0)
    return Runs(
        harbour=Shown(root=harbour, said=first, db=db["first"]),
        woods=Shown(root=woods, said=second, db=db["second"]),
        unkilled=unkilled,
        silent=silent,
    )


@pytest.fixture(params=["harbour", "woods"])
def shown(request: pytest.FixtureRequest, runs: Runs) -> Shown:
    found = getattr(runs, request.param)
    assert isinstance(found, Shown)
    return found


def lines_of(root: Path, *command: str) -> list[str]:
    done = subprocess.run(
        command, cwd=root, env=BYTEWISE, capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def test_the_first_answer_counts_what_find_counts(shown: Shown) -> None:
    files = lines_of(shown.root, "find", ".", "-type", "f", "-not", "-name", ".env")
    folders = lines_of(shown.root, "find", ".", "-mindepth", "1", "-type", "d")

    counts = re.search(r"It holds (\d+) files? and (\d+) folders?\.", shown.answers()[0])
    assert counts
    assert [int(count) for count in counts.groups()] == [len(files), len(folders)]


def test_the_second_answer_names_the_largest_file_and_what_grep_finds(shown: Shown) -> None:
    sized = lines_of(
        shown.root, "find", ".", "-type", "f", "-not", "-name", ".env", "-printf", "%s %P\n"
    )
    size, largest = max((int(row.split()[0]), row.split()[1]) for row in sized)
    todos = lines_of(shown.root, "grep", "-rFn", "--exclude=.env", "TODO", ".")

    assert f"The largest text file is {largest}, {size} bytes." in shown.answers()[1]
    is_all = not (shown.root / ".env").exists()
    nothing = f'Nothing{"" if is_all else " that was searched"} says "TODO".'
    expected = f'"TODO" is on {len(todos)} line of 1 file.' if todos else nothing
    assert expected in shown.answers()[1]


def test_the_third_answer_counts_what_grep_counts(shown: Shown) -> None:
    found = re.match(r'"(\w+)" is on (\d+) lines? of (\d+) files?', shown.answers()[2])
    assert found
    word, line_count, file_count = found.groups()
    matches = lines_of(shown.root, "grep", "-rFn", "--exclude=.env", word, ".")

    assert f'he word that stands out in it is "{word}".' in shown.answers()[1]
    assert int(line_count) == len(matches)
    assert int(file_count) == len({match.split(":")[0] for match in matches})


def test_another_directory_gets_other_answers(runs: Runs) -> None:
    pairs = zip(runs.harbour.answers(), runs.woods.answers(), strict=True)

    assert all(one != other for one, other in pairs)
    assert "secret" not in json.dumps(runs.harbour.document)


def test_every_effect_has_one_outcome_and_none_has_two(shown: Shown) -> None:
    headers = shown.headers()
    requested = [h["data"]["effect_id"] for h in headers if h["name"] == "effect.requested"]
    settled = [h["data"]["effect_id"] for h in headers if h["name"] == "effect.settled"]

    assert sorted(settled) == sorted(requested)
    assert set(Counter(settled).values()) == {1}


def test_the_demo_counts_them_itself(runs: Runs) -> None:
    names = Counter(header["name"] for header in runs.harbour.headers())

    assert runs.harbour.document["effects"] == {
        "requested": names["effect.requested"],
        "settled": names["effect.settled"],
        "settled_twice": 0,
    }


def test_the_process_was_killed_between_two_tool_calls_of_the_second_turn(runs: Runs) -> None:
    shown = runs.harbour
    kill, headers = shown.document["kill"], shown.headers()
    tool_calls = {
        header["data"]["effect_id"]: header["pos"]
        for header in headers[: kill["position"] + 1]
        if header["name"] == "effect.requested"
        and header["data"]["request"]["kind"] == "tool_call"
    }
    settled = {
        header["data"]["effect_id"]
        for header in headers[: kill["position"] + 1]
        if header["name"] == "effect.settled"
    }
    of_turn_2 = {each for each in tool_calls if each.startswith("turn-2/")}

    assert of_turn_2 & settled
    assert of_turn_2 - settled
    assert len(kill["settled"]) == len(of_turn_2 & settled)
    assert len(kill["in_flight"]) == len(of_turn_2 - settled)
    assert [each["effect_id"] for each in kill["state"]["agenda"]] == sorted(of_turn_2 - settled)
    assert not is_alive(kill["pid"])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_another_process_took_the_lease_over_and_continued_the_turn(runs: Runs) -> None:
    shown = runs.harbour
    kill, headers = shown.document["kill"], shown.headers()
    after = headers[kill["position"] + 1 :]
    leases = [h["data"]["owner"] for h in headers if h["name"] == "lease.acquired"]

    assert [header["name"] for header in after[:2]] == ["lease.acquired", "turn.continued"]
    assert kill["taken_over"]["pid"] != kill["pid"]
    assert sorted(owner["owner_id"] for owner in leases) == [owner["owner_id"] for owner in leases]
    assert {owner["incarnation_id"] for owner in leases} == {
        f"worker-A-{kill['pid']}",
        f"worker-B-{kill['taken_over']['pid']}",
    }
    assert shown.document["turns"][1]["takeovers"] >= 1


def test_no_tool_whose_outcome_was_recorded_ran_again(runs: Runs) -> None:
    shown = runs.harbour
    for counts in shown.document["tools"].values():
        assert counts["returned"] == counts["settled"]
    began = sum(counts["began"] for counts in shown.document["tools"].values())
    returned = sum(counts["returned"] for counts in shown.document["tools"].values())

    assert began - returned == len(shown.document["kill"]["in_flight"])


def test_the_log_is_sound_after_it_all(shown: Shown) -> None:
    verdict = json.loads(invoke("verify", "demo", "--db", shown.db, "--json").stdout)

    assert verdict["is_sound"] is True
    assert verdict["version"] == len(shown.headers())


def test_the_commands_that_it_names_work_as_they_are(runs: Runs) -> None:
    for command in runs.harbour.document["commands"]:
        python, *called, verb, session = shlex.split(command)[:5]
        assert (Path(sys.executable).name, ["-m", "lash_es.cli"]) == (python, called)
        assert invoke(verb, session, *shlex.split(command)[5:]).exit_code == 0


def test_a_command_is_named_as_it_was_called(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "lash-es"
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script), "demo"])

    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_name() == ("lash-es",)

    monkeypatch.setenv("PATH", "")
    assert own_name() == (str(script),)


def test_a_worker_that_comes_when_all_is_done_runs_nothing_and_an_altered_log_is_refused(
    runs: Runs, tmp_path: Path
) -> None:
    before = runs.woods.headers()
    source, copy = sqlite3.connect(runs.woods.db), sqlite3.connect(tmp_path / "copy.db")
    source.backup(copy)
    copy.execute("DELETE FROM stored_events WHERE originator_version = 9")
    copy.commit()
    source.close()
    copy.close()
    begun = [
        begin_worker(task(runs.woods.root, db)) for db in (runs.woods.db, tmp_path / "copy.db")
    ]
    on_whole, on_altered = map(end, begun)

    assert (on_whole.status, on_whole.out, on_whole.err) == (0, "", "")
    assert runs.woods.headers() == before
    assert (on_altered.status, on_altered.err) == (1, "")
    assert "corrupt history: session 'demo', position 9" in json.loads(on_altered.out)["stopped"]


def task(root: Path, db: Path) -> str:
    return Task(
        name="worker-C",
        db=str(db),
        session="demo",
        directory=str(root),
        model="offline:script",
        holds=False,
    ).written()


def test_a_worker_ends_with_its_parent() -> None:
    code = "import lash_es.cli.demo_worker as w, time; w.follow_parent(); time.sleep(60)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), stdin=subprocess.DEVNULL, check=False
    )

    assert done.returncode == 1


def test_people_are_told_the_story(runs: Runs) -> None:
    told = runs.woods.said.out

    assert "\x1b" not in told
    for section in ("Usage", "The log: ", "The state as of the kill", "Checks", "Look for your"):
        assert f"── {section}" in told
    assert re.search(
        r"✗ SIGKILL to worker-A \(pid \d+\), and the log ends at position \d+\n", told
    )
    assert re.search(r"  settled +#2 read_file returned: .*\(position \d+\)\n", told)
    assert re.search(r"  in flight +#3 .*, requested at position \d+\n", told)
    assert "● worker-B: turn-2 goes on; what is settled stays settled" in told
    assert "✗ here worker-A was killed" in told
    assert 'turn-3  "Where is the word that stood out mentioned' in told
    assert "settled twice: 0" in told


def test_a_model_without_two_calls_is_no_reason_to_claim_a_kill(runs: Runs) -> None:
    assert (runs.unkilled.status, runs.unkilled.err) == (0, "")
    assert "── Nobody was killed" in runs.unkilled.out
    assert "No turn after the first made two tool calls" in runs.unkilled.out
    assert "SIGKILL" not in runs.unkilled.out


def test_a_model_that_answers_nothing_is_said_to_have_done_so(runs: Runs) -> None:
    document = json.loads(runs.silent.out)

    assert runs.silent.status == 1
    assert (
        "turn 1 came to no answer: empty_response: the model answered nothing" in runs.silent.err
    )
    assert document["failure"] in runs.silent.err
    assert document["turns"][0]["reason"] == "provider_error"
    assert document["verdict"]["is_sound"] is True
    assert [turn["outcome"] for turn in document["turns"]] == ["stopped", None, None]


@pytest.mark.parametrize(
    ("words", "status", "expected"),
    [
        (("{here}/nowhere",), 1, "cannot use '{here}/nowhere' as the directory: there is no such"),
        (("{here}/file",), 1, "cannot use '{here}/file' as the directory: it is not a directory"),
        (("{here}", "--model", "openai:gpt-5"), 1, "set OPENAI_API_KEY in the environment"),
        (("{here}", "--model", "nonsense:x"), 1, "unknown model 'x' of provider 'nonsense'"),
        (("{here}", "--model", "offline:x"), 1, "unknown model 'x' of provider 'offline'"),
        (("{here}", "--model", "gpt-5"), 2, "'gpt-5' is no model: expected PROVIDER:NAME"),
        (("{here}", "--db", "{here}/file/a.db"), 1, "its folder cannot be made"),
        (("{here}", "--db", "{here}/text.db"), 1, "file is not a database"),
    ],
)
def test_bad_input_is_refused_and_writes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    expected: str,
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "text.db").write_text("no database" * 500)
    before = sorted(path.name for path in tmp_path.iterdir())
    state = tmp_path.parent / f"{tmp_path.name}-state"
    monkeypatch.delenv("LASH_ES_DB", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(state))
    said = invoke("demo", *(word.format(here=tmp_path) for word in words))

    assert said.exit_code == status
    assert expected.format(here=tmp_path) in said.stderr
    assert said.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not state.exists()


def test_a_refused_demo_of_a_real_process_says_so_in_a_line(tmp_path: Path) -> None:
    said = run("demo", tmp_path / "nowhere")

    assert (said.status, said.out, said.err.count("\n")) == (1, "", 1)


def test_the_log_is_kept_where_the_user_keeps_such_things(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LASH_ES_DB", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_db() == tmp_path / "lash-es" / "lash-es.db"

    monkeypatch.setenv("LASH_ES_DB", str(tmp_path / "mine.db"))
    assert default_db() == tmp_path / "mine.db"


def test_the_log_is_not_kept_in_the_directory_that_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LASH_ES_DB", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home" / "state"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert not demo_db(None, tmp_path / "home").is_relative_to(tmp_path / "home")
    assert demo_db(None, tmp_path / "project") == default_db()
    named = tmp_path / "project" / "a.db"
    assert demo_db(named, tmp_path / "project") == named
