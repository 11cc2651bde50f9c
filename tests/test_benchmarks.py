"""The benchmark judges what it measured: who is slow is seen, who fails is named."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from benchmarks.__main__ import attempted, main
from benchmarks.compared import compared, only_compared
from benchmarks.contests import Case, Contender, Measured, Spread, contest
from benchmarks.goals import GOALS, Goal, Results
from benchmarks.peers import Peer
from benchmarks.places import Setting, StoreKind
from benchmarks.reporting import case_lines, goal_lines, goal_results
from benchmarks.timing import Timing, Work
from benchmarks.units import UNITS, Selection
from lash_es import Durability

ALONE = Setting(
    kind=StoreKind.SQLITE,
    durability=Durability.FULL,
    tasks=1,
    sessions=1,
    history=0,
    operations=3,
)
TOGETHER = Setting(
    kind=StoreKind.SQLITE,
    durability=Durability.FULL,
    tasks=8,
    sessions=100,
    history=0,
    operations=20,
)


def _contender(name: str, order: list[str], *, fails: bool = False) -> Contender:
    @asynccontextmanager
    async def prepare(setting: Setting) -> AsyncIterator[Work]:
        order.append(name)
        assert setting.where

        async def work(_: int) -> None:
            if fails:
                raise RuntimeError("it always does")
            await asyncio.sleep(0)

        yield work

    return Contender(name=name, prepare=prepare)


def _contested(
    setting: Setting, *contenders: Contender, not_installed: tuple[str, ...] = ()
) -> Measured:
    case = Case(name="w1", setting=setting, contenders=contenders, not_installed=not_installed)
    return asyncio.run(contest(case, rounds=2, seconds_max=1))


def _took(case: str, p50_us: dict[str, float]) -> Results:
    timings = {
        name: [Timing(operations=1, per_s=1e6 / us, p50_us=us, p99_us=us)] * 3
        for name, us in p50_us.items()
    }
    measured = Measured(Case(name=case, setting=ALONE, contenders=()), timings)
    return Results(cases={case: measured}, figures={})


def _goal(number: str) -> Goal:
    return next(goal for goal in GOALS if goal.number == number)


def test_everyone_works_once_a_round_and_the_order_turns() -> None:
    order: list[str] = []
    measured = _contested(ALONE, _contender("a", order), _contender("b", order))

    assert order == ["a", "b", "b", "a"]
    assert [len(each) for each in measured.timings.values()] == [2, 2]


def test_all_operations_are_done_by_however_many_tasks() -> None:
    measured = _contested(TOGETHER, _contender("a", []))

    assert [timing.operations for timing in measured.timings["a"]] == [20, 20]


def test_who_fails_is_named_and_the_others_go_on() -> None:
    order: list[str] = []
    measured = _contested(
        ALONE,
        _contender("fails", order, fails=True),
        _contender("b", order),
        not_installed=("absent",),
    )

    assert order == ["fails", "b", "b"]
    assert measured.failures == {"fails": "RuntimeError: it always does"}
    shown = "\n".join(case_lines(measured))
    assert "failed: RuntimeError: it always does" in shown
    assert "not installed" in shown


def test_a_peer_that_is_not_installed_is_known_without_importing_it() -> None:
    absent = Peer(name="absent", modules=("no_such_module.inside",), contenders={})
    present = Peer(name="present", modules=("attrs", "sqlite3"), contenders={})

    assert (absent.is_installed, present.is_installed) == (False, True)


@pytest.mark.parametrize(
    ("ours_us", "verdict"), [(129.0, "met"), (130.0, "met"), (131.0, "MISSED")]
)
def test_the_first_goal_is_met_up_to_its_bound(ours_us: float, verdict: str) -> None:
    results = _took("w1 sqlite full, 1 task", {"raw": 100.0, "lash_es": ours_us})

    (found,) = goal_results(results)
    assert (found["goal"], found["verdict"]) == ("G1", verdict)


def test_a_goal_that_wants_more_is_missed_below_its_bound() -> None:
    slow = _took("w1 sqlite full, 8 tasks", {"raw": 100.0, "lash_es": 90.0})
    found = _goal("G3").take(slow)

    assert found is not None
    assert not _goal("G3").is_met(found)
    assert _goal("G3").is_met(Spread(median=3.5, low=1.0, high=4.0))


def test_every_goal_has_its_line_measured_or_not() -> None:
    lines = list(goal_lines(Results(cases={}, figures={})))

    assert {line.split()[0] for line in lines if line.startswith("G")} == {
        f"G{number}" for number in range(1, 15)
    }
    assert sum("not measured" in line for line in lines) == len(GOALS)


def test_a_short_run_ends_with_the_goals_and_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("w2", "--store", "sqlite", "--quick", "--rounds", "1", "--no-peers")
    main([*arguments, "--seconds", "0.1", "--to", str(tmp_path)])

    (written,) = tmp_path.iterdir()
    kept = orjson.loads(written.read_bytes())
    assert {goal["goal"] for goal in kept["goals"]} == {"G4"}
    assert {"machine", "versions", "date", "commit"} <= kept.keys()
    assert "G14" in capsys.readouterr().out
    assert kept["command"].startswith("python -m benchmarks w2 --store sqlite --quick")
    assert str(tmp_path) not in written.read_text("utf-8")


def test_a_unit_that_does_not_exist_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["w9"])

    assert "unknown: w9" in capsys.readouterr().err


def test_who_is_very_slow_works_in_the_first_round_only() -> None:
    order: list[str] = []
    case = Case(name="w1", setting=ALONE, contenders=(_contender("a", order),))
    measured = asyncio.run(contest(case, rounds=3, seconds_max=1, slow_round_s=0))

    assert order == ["a"]
    assert len(measured.timings["a"]) == 1


def test_a_run_for_the_goals_measures_what_they_compare_and_nothing_else() -> None:
    found = {
        case.name: [each.name for each in case.contenders]
        for unit in UNITS.values()
        for case in only_compared(unit(Selection(kinds=[StoreKind.SQLITE], with_peers=False)))
    }

    assert found["w1 sqlite full, 1 task"] == ["raw", "lash_es"]
    assert found["w4 sqlite full, H=10"] == ["lash_es", "lash_es, cold"]
    assert "w2 sqlite normal, 1 task" not in found
    assert found.keys() == {name for name in compared() if "postgres" not in name}


def test_what_fails_in_another_process_is_shown_and_the_rest_is_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def measure() -> dict[str, Spread]:
        raise RuntimeError("it died")

    assert attempted(measure) == {}
    assert "it died" in capsys.readouterr().out
