"""
Goal: a change that no test notices is reported, and so is a list that is out of date.

Method: plant a small module with tests that leave out something, and have it judged; weigh
verdicts that are made up.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutation.__main__ import LISTED, RANDOMLY, RESULTS, files
from tests.mutation.judging import ENDLESS, KILLED, SURVIVED, UNREACHED, Verdict
from tests.mutation.mutants import mutants_of, places, put
from tests.mutation.weighing import Judged, problems, read_listed

ROOT = Path(__file__).parent.parent.parent

PLANTED = """
class Clock:
    @property
    def hours(self):
        return self.minutes // 60

    minutes = 600


def is_over(now, end):
    return not now < end


def counted_down(count):
    steps = 0
    while count > 0:
        count = count - 1
        steps += 1
    return steps


def unheard(name):
    raise LookupError(f"no such thing: {name}", "in words")


def unasked():
    return 1
"""

TESTS = """
import functools
import pytest
from planted import Clock, counted_down, is_over, unheard

@functools.cache
def remembered():
    return is_over(2, 1)

def test_long_over():
    assert remembered()

def test_hours():
    assert Clock().hours == 10

def test_counting():
    assert counted_down(2) == 2

def test_unheard():
    with pytest.raises(LookupError):
        unheard("it")
"""

JUDGED = """
import json
import sys
from pathlib import Path
import pytest
from tests.mutation import judging
from tests.mutation.mutants import mutants_of

judging.SECONDS_MIN = 0.1
path = Path(sys.argv[1]) / "planted.py"
judge = judging.Judge(
    mutants_of("planted", path.read_text()),
    {"planted": path},
    is_random=lambda item: item.name == "test_hours",
    is_for_random=lambda mutant: mutant.function == "Clock.hours",
    last={},
    tell=lambda mutant, verdict: None,
    children_max=2,
)
assert pytest.main(["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--import-mode=importlib",
    "--rootdir", sys.argv[1], "-c", "/dev/null", sys.argv[1]], plugins=[judge]) in (0, 5)
for verdicts in (judge.by_examples, judge.by_random):
    print("VERDICTS", json.dumps({n: [v.status, v.killer] for n, v in verdicts.items()}))
"""


def verdicts(folder: Path, tests: str = TESTS) -> list[dict[str, list[str]]]:
    (folder / "planted.py").write_text(PLANTED)
    (folder / "test_planted.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-c", JUDGED, str(folder)],
        env={"PYTHONPATH": f"{ROOT}:{folder}"},
        cwd=ROOT,  # There mutmut finds its configuration.
        check=False,
        capture_output=True,
        text=True,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("VERDICTS ")]
    assert lines, done.stdout + done.stderr
    return [json.loads(line.removeprefix("VERDICTS ")) for line in lines]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[str]]]:
    return verdicts(tmp_path_factory.mktemp("planted"))


def became(found: dict[str, list[str]], change: str) -> list[str]:
    return next(verdict for name, verdict in found.items() if change in name)


def test_a_change_that_a_test_notices_is_killed_and_one_that_none_notices_survives(
    planted: list[dict[str, list[str]]],
) -> None:
    found, _ = planted

    assert became(found, "-> return not now <= end") == [SURVIVED, None]
    # Though the answer was remembered from the original.
    assert became(found, "-> return now < end") == [KILLED, "test_planted.py::test_long_over"]


def test_a_change_that_no_test_reaches_and_one_that_never_ends_have_survived(
    planted: list[dict[str, list[str]]],
) -> None:
    found, _ = planted

    assert became(found, "unasked: return 1 -> return 2") == [UNREACHED, None]
    assert became(found, "-> count = count + 1") == [ENDLESS, None]


def test_each_kind_of_tests_judges_by_itself(planted: list[dict[str, list[str]]]) -> None:
    by_examples, by_random = planted

    assert became(by_random, "minutes // 60 -> return self.minutes // 61")[0] == KILLED
    assert became(by_examples, "minutes // 60 -> return self.minutes // 61")[0] == UNREACHED
    assert {name.partition(":")[0] for name in by_random} == {"planted.Clock.hours"}


def test_tests_that_fail_on_the_original_judge_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="they fail on the original"):
        verdicts(tmp_path, TESTS.replace("== 10", "== 11"))


def test_what_only_changes_words_is_told_from_the_rest() -> None:
    wordings = {m.change for m in mutants_of("planted", PLANTED) if m.is_wording}

    assert wordings
    assert all("no such thing" in change for change in wordings)


def test_changes_that_look_alike_have_names_of_their_own() -> None:
    source = "def twice(x):\n    y = f(x)\n    y = f(x)\n    return y\n"

    names = [mutant.name for mutant in mutants_of("planted", source)]

    assert "planted.twice: y = f(x) -> y = None" in names
    assert "planted.twice: y = f(x) -> y = None (2)" in names
    assert len(set(names)) == len(names)


def test_a_mutant_reaches_whoever_imported_the_function() -> None:
    where = places([__name__])
    imported = rounded

    (mutant,) = (m for m in mutants_of(__name__, ROUNDED) if m.change.endswith("x + 2"))
    with put(mutant, where):
        assert imported(1) == 3

    assert imported(1) == 2


ROUNDED = "def rounded(x: int) -> int:\n    return x + 1\n"


def rounded(x: int) -> int:
    return x + 1


def judged(
    changed: dict[str, str] | None = None,
    *,
    count: int = 40,
    wordings: frozenset[str] = frozenset(),
    random: str = KILLED,
) -> Judged:
    statuses = {f"m{number}": KILLED for number in range(count)} | (changed or {})
    return Judged(
        modules=dict.fromkeys(statuses, "core.planted"),
        wordings=wordings,
        by_examples={name: Verdict(status=status) for name, status in statuses.items()},
        by_random={name: Verdict(status=random) for name in statuses},
    )


def test_a_survivor_with_a_reason_is_fine() -> None:
    listed = read_listed("# a comment\n\nm1\n    no input tells them apart,\n    since a | b\n")

    assert listed == {"m1": "no input tells them apart, since a | b"}
    assert problems(judged({"m1": SURVIVED}), listed) == []


@pytest.mark.parametrize("status", [SURVIVED, ENDLESS, UNREACHED])
def test_a_survivor_without_a_reason_is_caught(status: str) -> None:
    assert problems(judged({"m1": status}), {}) == [f"survived: m1 ({status})"]


def test_a_list_that_is_out_of_date_is_caught() -> None:
    assert problems(judged(), {"m1": "a reason"}) == ["no longer survives: m1"]
    assert problems(judged({"m1": SURVIVED}), {"m1": ""}) == ["an empty reason: m1"]


def test_too_many_survivors_are_caught_though_each_has_a_reason() -> None:
    few = {f"m{number}": SURVIVED for number in range(3)}

    assert problems(judged(few), dict.fromkeys(few, "a reason")) == [
        "3 of 40 survived, at most 5 % may"
    ]


def test_wordings_need_no_reason_and_count_for_nothing() -> None:
    few = {f"m{number}": SURVIVED for number in range(3)}

    assert problems(judged(few, wordings=frozenset(few)), {}) == []
    assert problems(
        judged({"m1": SURVIVED}, count=20, wordings=frozenset(["m2"])), {"m1": "so"}
    ) == ["1 of 19 survived, at most 5 % may"]


def test_random_tests_that_kill_too_few_are_caught() -> None:
    assert problems(judged(random=SURVIVED), {}) == [
        "without examples 0 of 40 were killed, at least 60 % must be"
    ]


def test_a_run_that_mutated_nothing_is_caught() -> None:
    assert problems(judged(count=0), {}) == ["nothing was mutated"]


def test_every_module_of_the_core_is_mutated_and_leases_inputs_and_work_at_random_too() -> None:
    assert len(files("")) == len(list((ROOT / "lash_es" / "core").rglob("*.py")))
    slices = {f"lash_es.core.{name}" for name in ("leases", "inputs", "work")}
    rules = {f"lash_es.core.rules.{name}" for name in ("leases", "inputs", "cancels", "work")}
    assert {name for name in files("") if RANDOMLY.fullmatch(name)} == slices | rules


def test_the_committed_list_can_be_read_and_the_result_has_no_more() -> None:
    assert all(read_listed(LISTED.read_text("utf-8")).values())
    results = list(RESULTS.glob("mutation-*.json"))
    assert results
    for result in results:
        assert json.loads(result.read_text("utf-8"))["wrong"] == []
