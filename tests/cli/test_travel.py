"""
The verbs that look at the past say what is so, in two forms, and refuse what they cannot answer.

What they find is tried in ``tests/timetravel``; here it is how they are asked and how they say it.
"""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from lash_es import LashCore, ProsePart, SQLiteStore
from lash_es.cli import log_verb
from lash_es.cli.addressing import Opening
from lash_es.cli.log_verb import Wanted, print_log
from lash_es.core.commands import DeleteSession
from lash_es.log.snapshotting import write_snapshot
from tests.cli.running import invoke, run
from tests.cli.sessions import Scripted, call, edit, make_hostile_session, make_session, reply
from tests.log.tapes import STREAM, Player
from tests.log.trims import lived, over, trimming

COMMIT = 11
"""Where the turn of ``make_session`` is committed; ``test_verbs.py`` lists its facts."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    db = make_session(tmp_path_factory.mktemp("log") / "a.db")
    usual = [reply(call("add", '{"a": 2, "b": 4}')), reply(ProsePart(text="6"))]
    make_session(db, "other", usual, queued="")
    return db


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("hostile") / "a.db"
    return path, make_hostile_session(path)


def document(*words: str | Path, status: int = 0) -> dict[str, Any]:
    said = invoke(*words, "--json")
    assert said.exit_code == status, said.stderr
    found = json.loads(said.stdout)
    assert isinstance(found, dict)
    return found


def positions(*words: str | Path) -> list[int]:
    return [fact["position"] for fact in document("log", *words)["facts"]]


# Which moment


def test_a_moment_is_a_position_a_time_or_a_turn(made: Path) -> None:
    facts = document("log", "s", "--db", made)["facts"]
    at = datetime.fromtimestamp(facts[-1]["at_ms"] / 1000 + 1, UTC).isoformat()

    def shown(address: str) -> object:
        return document("show", address, "--db", made)["position"]

    assert shown("s@t1") == COMMIT
    assert shown("s@t1^") == 1
    assert shown(f"s@{at}") == len(facts) - 1
    assert shown(f"s@{at.replace('+00:00', 'Z')}") == len(facts) - 1
    early = invoke("show", "s@1999-01-01", "--db", made)
    assert early.exit_code == 1
    assert "session 's' had no fact at 915" in early.stderr


@pytest.mark.parametrize("when", ["t9", "2026-13-45", "t9^", "9999999-99-99"])
def test_what_is_no_moment_is_refused(made: Path, when: str) -> None:
    said = invoke("show", f"s@{when}", "--db", made)

    assert said.exit_code == 2
    assert "is no position" in said.stderr


def test_what_was_trimmed_is_said_to_be_gone(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    with closing(SQLiteStore.open(db, create=True)) as store:
        over(store)
        trimming(store).trim(STREAM, 9)  # type: ignore[arg-type]
    for words in (
        ("show", "taped@3"),
        ("blame", "taped@7", "lease"),
        ("diff", "taped@3", "taped"),
    ):
        said = invoke(*words, "--db", db)
        assert said.exit_code == 1
        assert "keeps its facts from position 9 on" in said.stderr
    assert document("show", "taped@9", "--db", db)["position"] == 9
    assert positions("taped", "--db", db)[0] == 9


def test_a_past_state_needs_only_what_lies_behind_its_snapshot(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")
    with closing(SQLiteStore.open(db, create=False)) as store:
        (head,) = store.heads("default", after="", heads_max=1)
        assert write_snapshot(store, head.stream, 8) is not None
    before = document("show", "s@9", "--db", db)
    edit(db, "DELETE FROM stored_events WHERE originator_version = 3")

    assert document("show", "s@9", "--db", db) == before
    assert "position 3" in invoke("show", "s@5", "--db", db).stderr


# log


def test_the_log_is_filtered_by_what_facts_name(made: Path) -> None:
    db = ("--db", made)

    assert positions("s", *db, "--kind", "lease") == [1, 12]
    assert positions("s", *db, "--kind", "turn.committed") == [COMMIT]
    assert positions("s", *db, "--turn", "t1") == [*range(2, 12)]
    assert positions("s", *db, "--generation", "1", "--kind", "effect.settled") == [4, 7, 8, 10]
    assert positions("s", *db, "--last", "3") == [11, 12, 13]
    assert positions("s", *db, "--claim", "nobody") == []
    (waiting,) = document("show", "s", *db)["pending"]
    assert positions("s", *db, "--input", waiting["input_id"]) == [13]
    said = invoke("log", "s", *db, "--kind", "effect.settled").stdout
    assert said.startswith("those asked for among 14 facts of s in")
    assert "#2 add returned: 5" in said  # Who returned it is told by a fact that is not.
    assert invoke("log", "s", *db, "--kind", "no").stdout == f"no such fact of s in {made}\n"


def test_the_last_facts_know_what_was_asked_before(made: Path) -> None:
    said = invoke("log", "s", "--db", made, "--last", "7").stdout

    assert said.startswith("7 facts of s in")
    assert "#2 add returned: 5" in said


def test_a_long_log_is_laid_out_in_pieces(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = invoke("log", "s", "--db", made).stdout
    monkeypatch.setattr(log_verb, "LINES_PER_TABLE", 5)
    pieces = invoke("log", "s", "--db", made).stdout

    assert pieces.count("what happened") == 1
    assert [line.split() for line in pieces.splitlines()] == [
        line.split() for line in whole.splitlines()
    ]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_is_followed_until_its_session_is_deleted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    db = tmp_path / "a.db"
    store = SQLiteStore.open(db, create=True)
    player: Player = lived(store)
    waits: list[int] = []

    def wait() -> None:
        waits.append(len(capsys.readouterr().out.splitlines()))
        if len(waits) == 2:
            player.send(DeleteSession(now_ms=9_000))

    wanted = Wanted(is_followed=True, wait=wait)
    print_log(Opening(db=db), "default", "taped", as_json=as_json, wanted=wanted)
    store.close()
    last = capsys.readouterr().out.splitlines()

    titles = 0 if as_json else 1
    assert waits == [27 + titles, 0]
    assert len(last) == 1
    assert "session.tombstoned" in last[0]
    if as_json:
        assert json.loads(last[0])["position"] == 27


# diff, blame, watch


def test_two_moments_are_told_apart_by_path(made: Path) -> None:
    found = document("diff", "s@t1^", "s@t1", "--db", made)["differences"]
    by_path = {each["path"]: each for each in found}

    assert by_path["head.revision"] == {"path": "head.revision", "before": 0, "after": 1}
    assert by_path["version"] == {"path": "version", "before": 2, "after": 12}
    assert "before" not in by_path["ledger.rows.turn/m"]
    said = invoke("diff", "s@t1^", "s@t1", "--db", made).stdout
    assert "differences between s@1 and s@11" in said
    assert "  head.revision\n    - 0\n    + 1\n" in said
    assert "no difference between s@5 and s@5" in invoke("diff", "s@5", "s@5", "--db", made).stdout


def test_blame_names_the_fact_and_what_led_to_it(made: Path) -> None:
    found = document("blame", "s", "head.revision", "--db", made)
    said = invoke("blame", "s", "head.revision", "--db", made).stdout

    assert (found["value"], found["change"]["before"]) == (1, 0)
    assert found["change"]["fact"]["position"] == COMMIT
    assert [each["position"] for each in found["causes"]] == [10, 9, 8, 6, 5, 4, 3, 2, 1]
    assert said.splitlines()[0] == "head.revision of s@13 is"
    assert "since 11 turn.committed t1 finished: revision 1" in said
    assert "because of 10 effect.settled #4 model said: It is 5. ..." in said


def test_what_never_was_has_nobody_to_blame(made: Path) -> None:
    said = invoke("blame", "s@3", "head.leaf.node_id", "--db", made)

    assert said.exit_code == 3
    assert "it was never anything else" in said.stdout
    found = document("blame", "s@3", "head.leaf.node_id", "--db", made, status=3)
    assert (found["is_there"], found["change"]) == (False, None)


def test_every_value_is_told_with_its_fact(made: Path) -> None:
    found = document("watch", "s", "turn.kind", "--db", made)
    said = invoke("watch", "s", "turn.kind", "--db", made).stdout

    values = [(each["fact"]["position"], each["after"]) for each in found["changes"]]
    assert values == [(0, "no_turn"), (2, "open_turn"), (COMMIT, "no_turn")]
    assert said.startswith("turn.kind of s, 3 changes:\n")
    assert '  "open_turn"\n    by 2 turn.started t1 starts: "What is 2 and 3?"\n' in said


def test_a_trimmed_session_says_what_was_so_before(tmp_path: Path) -> None:
    db = tmp_path / "a.db"
    with closing(SQLiteStore.open(db, create=True)) as store:
        over(store)
        trimming(store).trim(STREAM, 9)  # type: ignore[arg-type]

    said = invoke("blame", "taped", "opened_at_ms", "--db", db)
    assert (said.exit_code, "it was so before position 9" in said.stdout) == (3, True)
    assert "first 10" in invoke("watch", "taped", "opened_at_ms", "--db", db).stdout


# bisect


def test_the_first_fact_is_found_by_a_condition(made: Path) -> None:
    when = ("--when", "head.revision == 1")
    said = invoke("bisect", "s", *when, "--db", made)

    assert said.exit_code == 0
    assert "11 turn.committed" in said.stdout
    assert "is the first after which head.revision == 1" in said.stdout
    assert document("bisect", "s", *when, "--db", made)["first"]["position"] == COMMIT
    never = invoke("bisect", "s@10", *when, "--db", made)
    assert (never.exit_code, never.stdout) == (3, "never: head.revision == 1\n")
    later = ("--when", 'event.name == "effect.settled"', "--good", "5", "--bad", "9")
    assert document("bisect", "s", *later, "--db", made)["first"]["position"] == 7


JUDGE = "import json, os, sys; state = json.load(sys.stdin); position = state['version'] - 1; "
JUDGE += "assert os.environ['LASH_ES_AT'] == f's@{position}'; "


def judged(made: Path, code: str, *words: str) -> Result:
    command = f'{sys.executable} -c "{JUDGE}{code}"'
    return invoke("bisect", "s", "--run", command, "--db", made, *words)


def test_the_fact_that_turned_good_into_bad_is_found_by_a_program(made: Path) -> None:
    said = judged(made, "sys.exit(position >= 8)")
    assert said.exit_code == 0
    assert "8 effect.settled #3 add failed" in said.stdout
    assert "turned good into bad (6 states judged)" in said.stdout
    assert "s@0 good\ns@13 bad\n" in said.stdout

    unsure = judged(made, "sys.exit(125 if 5 < position < 9 else position >= 8)", "--json")
    assert unsure.exit_code == 3
    found = json.loads(unsure.stdout)
    assert (found["first"], found["position"], found["is_exact"]) == (6, 9, False)
    assert {"position": 7, "judgement": "skip"} in found["probes"]
    told = judged(made, "sys.exit(125 if 5 < position < 9 else position >= 8)").stdout
    assert "or one of the 4 facts from 6 on turned good into bad" in told


def test_a_program_that_does_not_judge_is_said_to_have_failed(made: Path) -> None:
    for run_, reason in (
        ("no-such-program", "No such file"),
        ("", "did not judge"),
        (f"{sys.executable} -c 'import os; os.kill(os.getpid(), 9)'", "exit status -9"),
    ):
        said = invoke("bisect", "s", "--run", run_, "--db", made)
        assert said.exit_code == 1
        assert reason in said.stderr
    alike = judged(made, "sys.exit(0)")
    assert alike.exit_code == 1
    assert "nothing to search: version 14 is judged good, expected bad" in alike.stderr


# whatif


def test_without_an_edit_nothing_would_be_different(made: Path) -> None:
    assert "nothing would be different in s@13" in invoke("whatif", "s", "--db", made).stdout
    assert document("whatif", "s", "--db", made)["is_as_it_was"] is True


def test_what_would_be_different_is_told_with_what_could_not_be(made: Path) -> None:
    found = document("whatif", "s", "--drop", "10", "--db", made)
    assert [each["position"] for each in found["illegal"]] == []
    dropped = document("whatif", "s", "--drop", "2", "--db", made)
    assert [each["position"] for each in dropped["illegal"]] == [*range(3, 12)]
    assert {"path": "head.revision", "before": 1, "after": 0} in dropped["differences"]
    said = invoke("whatif", "s", "--drop", "2", "--db", made).stdout
    assert "9 events could not have happened:" in said
    assert "  11 turn.committed TurnCommitted cannot follow" in said


def test_facts_are_edited_and_inserted(made: Path) -> None:
    edits = ("--edit", "11:usage.input_tokens=1000", "--edit", "11:outcome.kind=finished")
    found = document("whatif", "s", *edits, "--db", made)["differences"]
    assert [each["path"] for each in found] == [
        "head.last_usage.input_tokens",
        "ledger.rows.turn/m.input_tokens",
    ]
    parked = document("whatif", "s", "--insert", "14:session.parked", "--db", made)
    assert parked["differences"] == [{"path": "is_parked", "before": False, "after": True}]
    late = document("whatif", "s@5", "--insert", '3:lease.renewed:{"ttl_ms": 1}', "--db", made)
    assert late["illegal"] == []
    many = invoke(
        "whatif", "s", *(f"--insert=3:{'lease.released'}" for _ in range(25)), "--db", made
    )
    assert "and 14 more" in many.stdout


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--drop", "14"), 1, "cannot edit position 14: there is none, they are 0 to 13"),
        (("--edit", "14:at_ms=1"), 1, "cannot edit position 14"),
        (("--edit", "2:turn=1"), 1, "no field 'turn'; there are"),
        (("--edit", "2:turn_id=1"), 1, "turn.started"),
        (("--edit", "2"), 2, "expected POSITION:FIELD=VALUE"),
        (("--edit", "x:y=z"), 2, "expected POSITION:FIELD=VALUE"),
        (("--insert", "2:nothing"), 1, "no event 'nothing'; there are"),
        (("--insert", "99:session.parked"), 1, "cannot edit position 99"),
        (("--insert", "session.parked"), 2, "expected POSITION:KIND"),
        (("--insert", "2:session.parked:[1]"), 2, "is no JSON object"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused(
    made: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    said = invoke("whatif", "s", *words, "--db", made)

    assert said.exit_code == status
    assert message in said.stderr
    assert said.stdout == ""


# lint, compare, refold, testcase


def test_a_sound_session_has_no_anomaly(made: Path) -> None:
    assert "✓ no anomaly in 14 facts of s" in invoke("lint", "s", "--db", made).stdout
    assert document("lint", "s", "--db", made)["findings"] == []


def test_an_anomaly_is_named_with_its_fact(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lash_es.cli import judging_verbs
    from lash_es.timetravel.linting import Anomaly, Finding

    planted = Finding(anomaly=Anomaly.LOST_INPUT, position=3, because="it is gone")  # type: ignore[arg-type]
    monkeypatch.setattr(judging_verbs, "lint", lambda *_: iter([planted]))
    said = invoke("lint", "s", "--db", made)

    assert said.exit_code == 3
    assert "✗ anomalies: 1 in 14 facts of s\n  3 lost input: it is gone" in said.stdout
    (found,) = document("lint", "s", "--db", made, status=3)["findings"]
    assert found == {"anomaly": "lost input", "position": 3, "because": "it is gone"}


def test_sessions_are_compared_by_what_they_did(made: Path) -> None:
    same = invoke("compare", "s", "s", "--db", made)
    assert (same.exit_code, same.stdout) == (0, "✓ the same: 3 deeds\n")
    parted = invoke("compare", "s", "other", "--db", made)
    assert parted.exit_code == 3
    assert "✗ they part after 1 deed that are the same" in parted.stdout
    assert '  s 5 called add({"a": 2, "b": 3})\n' in parted.stdout
    assert '  other 5 called add({"a": 2, "b": 4})\n' in parted.stdout
    found = document("compare", "s", "other", "--db", made, status=3)
    assert found["divergence"]["other"]["arguments"] == '{"a": 2, "b": 4}'
    ended = document("compare", "s@3", "s", "--db", made, status=3)
    assert ended["divergence"]["one"] is None
    assert "s did nothing more" in invoke("compare", "s@3", "s", "--db", made).stdout
    begun = document("compare", "s@1", "s", "--db", made, status=3)["divergence"]["other"]
    assert begun == {"kind": "input", "position": 2, "text": "What is 2 and 3?"}


def test_stored_states_are_folded_again(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")
    with closing(SQLiteStore.open(db, create=False)) as store:
        (head,) = store.heads("default", after="", heads_max=1)
        assert write_snapshot(store, head.stream, 8) is not None
    said = invoke("refold", "s", "--db", db)

    assert (said.exit_code, said.stdout) == (0, "✓ 1 stored state as of old of s, 14 facts\n")
    edit(db, "UPDATE lash_es_snapshots SET content = replace(content, 't1', 't2')")
    differs = document("refold", "s", "--db", db, status=3)
    assert (differs["agrees_at_version"], differs["differs_at_version"]) == (0, 8)
    said = invoke("refold", "s", "--db", db)
    assert "✗ the state after position 7 is another one" in said.stdout
    assert "look at positions 0 to 7" in said.stdout
    edit(db, "UPDATE lash_es_snapshots SET fingerprint = 'of another day'")
    assert ", 1 of other shapes" in invoke("refold", "s", "--db", db).stdout


def test_a_test_is_written_that_fails_for_the_reason(made: Path, tmp_path: Path) -> None:
    to, when = tmp_path / "test_it.py", ("--when", "head.revision == 1")
    said = invoke("testcase", "s", *when, "--to", to, "--db", made)

    assert re.fullmatch(rf"4 facts of 12 are left, in {re.escape(str(to))}\n", said.stdout)
    assert invoke("testcase", "s", *when, "--db", made).stdout == to.read_text()
    assert document("testcase", "s", *when, "--db", made)["test"] == to.read_text()
    again = invoke("testcase", "s", *when, "--to", to, "--db", made)
    assert (again.exit_code, "File exists" in again.stderr) == (1, True)
    done = subprocess.run(
        [sys.executable, "-c", f"exec({to.read_text()!r}); test_it_is_not_so()"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "AssertionError: head.revision == 1" in done.stderr


# fork


async def go_on(db: Path, session: str) -> None:
    provider = Scripted([reply(ProsePart(text="And that is 6."))])
    core = LashCore(model="m", provider=provider, store=db)
    async with core, core.session(session).open() as opened:
        output = await opened.turn("And 4?").turn_id("t2")
    assert output.result.assistant_message == "And that is 6."


def test_a_fork_goes_on_from_there_by_itself(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")
    said = invoke("fork", "s@t1", "--as", "s2", "--db", db)

    assert said.stdout == "s2 begins where s@11 stood, with 5 contents of its transcript\n"
    parent, child = (document("show", name, "--db", db) for name in ("s", "s2"))
    assert child["transcript"] == parent["transcript"]
    assert (child["pending"], child["usage"]["total_tokens"]) == ([], 0)
    assert (child["version"], child["lease"]["generation"]) == (13, 0)
    assert child["fact"]["what"] == "forked from s at version 12"
    asyncio.run(go_on(db, "s2"))
    went_on = document("show", "s2", "--db", db)
    assert [each["role"] for each in went_on["transcript"]] == ["user", "assistant"] * 3
    assert went_on["head"]["revision"] == 2
    for name in ("s", "s2"):
        assert document("verify", name, "--db", db)["is_sound"] is True
        assert document("lint", name, "--db", db)["findings"] == []
    asked = document("diff", "s@t1", "s2@12", "--db", db)["differences"]
    assert {each["path"].partition(".")[0] for each in asked} == {
        *("version", "at_ms", "opened_at_ms", "session_id", "lease", "ledger", "trim"),
    }


def test_a_fork_is_told_as_json_and_refused_in_a_line(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")
    found = document("fork", "s@13", "--as", "s3", "--db", db)
    assert (found["parent"], found["position"]) == ("s@13", 14)
    for words, reason in (
        (("s@t1", "--as", "s"), "cannot fork to session 's': it exists already"),
        (("s@5", "--as", "s4"), "cannot fork the session here: turn 't1' is open"),
        (("s@99", "--as", "s4"), "has no position 99"),
        (("nobody", "--as", "s4"), "no session 'nobody'"),
        (("s", "--as", ""), "session_id"),
    ):
        said = invoke("fork", *words, "--db", db)
        assert (said.exit_code, said.stdout) == (1, "")
        assert reason in said.stderr


# How they refuse, and how they say it


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("diff", "s"), 2, "Missing argument"),
        (("diff", "s", "nobody"), 1, "no session 'nobody'"),
        (("diff", "s@99", "s"), 1, "has no position 99"),
        (("blame", "s", "leese"), 1, "no path 'leese': found 'leese', expected at_ms"),
        (("watch", "s", "lease.x"), 1, "no path 'lease.x'"),
        (("bisect", "s"), 2, "expected one of --when CONDITION and --run COMMAND"),
        (("bisect", "s", "--when", "1 +"), 1, "no condition '1 +': at column 3"),
        (("bisect", "s", "--when", "x", "--run", "y"), 2, "expected one of"),
        (("bisect", "s", "--when", "lease", "--good", "99"), 1, "has 14 facts, asked for"),
        (("lint", "nobody"), 1, "no session 'nobody'"),
        (("compare", "s", "nobody"), 1, "no session 'nobody'"),
        (("refold", "nobody"), 1, "no session 'nobody'"),
        (("testcase", "s"), 2, "Missing option"),
        (("testcase", "s", "--when", "at_ms < 0"), 1, "'at_ms < 0' never holds in its 14 facts"),
        (("log", "s", "--last", "0"), 2, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_line(
    made: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    said = invoke(*words, "--db", made)

    assert said.exit_code == status
    assert message in said.stderr
    assert said.stdout == ""


@pytest.mark.parametrize(
    "verb",
    [
        ("diff", "{s}@1", "{s}"),
        ("blame", "{s}", "head.leaf"),
        ("watch", "{s}", "turn"),
        ("bisect", "{s}", "--when", "head.revision == 1"),
        ("whatif", "{s}", "--drop", "2"),
        ("lint", "{s}"),
        ("compare", "{s}", "{s}@2"),
        ("refold", "{s}"),
        ("testcase", "{s}", "--when", "head.revision == 1"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_hostile_text_steers_no_terminal(
    hostile: tuple[Path, str], verb: tuple[str, ...], form: tuple[str, ...]
) -> None:
    path, session = hostile
    said = invoke(*(word.replace("{s}", session) for word in verb), "--db", path, *form)

    assert said.exit_code in {0, 3}
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said.stdout + said.stderr) == []


def test_looking_at_the_past_writes_nothing(tmp_path: Path) -> None:
    db = make_session(tmp_path / "a.db")
    before = db.read_bytes()
    for words in (
        ("diff", "s@1", "s"),
        ("blame", "s", "lease"),
        ("whatif", "s", "--drop", "1"),
        ("bisect", "s", "--when", "turn"),
    ):
        invoke(*words, "--db", db)

    assert db.read_bytes() == before
    assert run("blame", "s", "lease", "--db", db).status == 0
