"""
Goal: the checks of the lanes can fail.

Method: hand each one something that is wrong, and demand that it says so.
"""

import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import pytest

from tests import check

# One line for each contract that a module of the lowest floor could break.
CHEATS = """
import lash_es.runtime
from lash_es import __version__
import time
import eventsourcing
import psycopg
import pydantic
import rich
import hypothesis
import cattrs
import lash_es.core.cheats_again
"""


def test_a_command_that_fails_is_reported_with_what_it_printed() -> None:
    problem = check.command(sys.executable, "-c", "print('witness'); raise SystemExit(3)")()

    assert "witness" in problem
    assert "exit status 3" in problem
    assert check.command(sys.executable, "-c", "print('fine')")() == ""


def test_a_lane_runs_every_check_and_fails_if_one_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checks = {"first": lambda: "broken", "second": lambda: ""}
    monkeypatch.setattr(
        check, "LANES", {"mixed": ("", [[checks]]), "good": ("", [[{"one": lambda: ""}] * 2])}
    )

    assert check.main(["mixed"]) == 1
    assert re.search(r"FAILED .* first\nbroken\nok .* second\n", capsys.readouterr().out)
    assert check.main(["good"]) == 0


def test_tests_write_into_memory_where_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check.in_memory(tmp_path / "nowhere") == {}
    monkeypatch.setattr(check, "SCRATCH_BYTES_MIN", 1)
    written = check.in_memory(tmp_path)
    assert written == {"PYTEST_DEBUG_TEMPROOT": str(tmp_path)}
    monkeypatch.setattr(check, "SCRATCH_BYTES_MIN", 2**62)
    assert check.in_memory(tmp_path) == {}

    (tmp_path / "test_it.py").write_text(
        f"def test_it(tmp_path): assert str(tmp_path).startswith({str(tmp_path)!r})", "utf-8"
    )
    pytest_here = (sys.executable, "-m", "pytest", "-q", "test_it.py")
    assert check.run(*pytest_here, cwd=tmp_path, environment=written).returncode == 0
    assert check.run(*pytest_here, cwd=tmp_path).returncode == 1


def test_an_unknown_lane_is_refused_and_no_lane_lists_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert check.main(["no-such-lane"]) == 2
    assert check.main([]) == 0
    assert "ci " in capsys.readouterr().out


def lines(covered: int, missing: int, branches: tuple[int, int] = (0, 0)) -> check.Measured:
    return {
        "summary": {
            "covered_lines": covered,
            "num_statements": covered + missing,
            "covered_branches": branches[0],
            "num_branches": sum(branches),
        }
    }


def test_a_pure_floor_with_one_gap_is_too_low() -> None:
    gap = {"lash_es/core/a.py": lines(999, 1), "lash_es/core/b.py": lines(1000, 0)}

    assert check.floors_too_low(gap) == ["core: 99.95 % covered, expected 100 %"]


def test_other_floors_may_have_some_gaps() -> None:
    assert check.floors_too_low({"lash_es/cli/a.py": lines(90, 10)}) == []
    assert check.floors_too_low({"lash_es/cli/a.py": lines(89, 11)}) != []


def test_floors_do_not_lend_coverage_to_each_other() -> None:
    files = {"lash_es/cli/a.py": lines(8, 2), "lash_es/session/a.py": lines(1000, 0)}

    assert check.floors_too_low(files) == ["cli: 80.00 % covered, expected 90 %"]


def test_a_branch_that_was_never_taken_counts() -> None:
    assert check.floors_too_low({"lash_es/log/a.py": lines(10, 0, branches=(4, 0))}) == []
    assert check.floors_too_low({"lash_es/log/a.py": lines(10, 0, branches=(3, 1))}) != []


MARKED = {"lash_es/log/a.py": "if x | y:  # pragma: no cover\n    pass\n"}
ENTRY = "lash_es/log/a.py | if x | y:  # pragma: no cover | the disk is full"


def test_a_mark_with_a_listed_reason_is_fine() -> None:
    assert check.mark_problems(MARKED, "# a comment\n\n" + ENTRY) == []


def test_a_mark_without_a_listed_reason_is_caught() -> None:
    assert check.mark_problems(MARKED, "") == [
        "no reason listed: lash_es/log/a.py | if x | y:  # pragma: no cover"
    ]


def test_a_listed_mark_that_is_gone_is_caught() -> None:
    assert len(check.mark_problems({}, ENTRY)) == 1


def test_a_mark_in_the_core_is_caught_even_if_listed() -> None:
    marked = {"lash_es/core/a.py": "x = 1  # pragma: no branch"}

    (problem,) = check.mark_problems(
        marked, "lash_es/core/a.py | x = 1  # pragma: no branch | for a reason"
    )

    assert problem.startswith("none in the core")


def test_an_optional_library_that_gets_loaded_is_named() -> None:
    assert "rich" in check.optional_libraries_loaded("import rich.table")


def test_floors_are_read_from_the_pins() -> None:
    floors = check.floor_versions()

    assert all(re.fullmatch(r"[\w-]+==[\d.]+", floor) for floor in floors)
    assert any(floor.startswith("attrs==") for floor in floors)


def test_a_version_without_wheels_is_caught() -> None:
    assert check.wheels_for("2.7")() != ""


def test_every_import_contract_can_break(tmp_path: Path) -> None:
    shutil.copytree(check.ROOT / "lash_es", tmp_path / "lash_es")
    shutil.copy(check.ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "lash_es" / "core" / "cheats.py").write_text(CHEATS, "utf-8")
    (tmp_path / "lash_es" / "core" / "cheats_again.py").write_text("import lash_es.core.cheats\n")
    contracts = tomllib.loads((tmp_path / "pyproject.toml").read_text("utf-8"))["tool"]

    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    broken = len(contracts["importlinter"]["contracts"])
    assert f"Contracts: 0 kept, {broken} broken." in done.stdout


def test_the_parts_of_the_tests_are_all_of_them() -> None:
    parts = {
        check.CORE_TESTS,
        *check.PURE_TESTS,
        check.LOG_TESTS,
        check.POSTGRES_TESTS,
        *check.WAITING_TESTS,
        *(path.name for path in check.other_tests()),
    }
    here = {
        path.relative_to(check.ROOT / "tests").parts[0]
        for path in (check.ROOT / "tests").rglob("test_*.py")
    }

    assert here <= parts
    assert not [name for name in check.PURE_TESTS if not (check.ROOT / "tests" / name).is_dir()]


def test_what_is_started_may_keep_what_it_has_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = (sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    assert check.run(*shown).stdout == "False\n"
    assert check.run(*shown, environment={"PYTHONDONTWRITEBYTECODE": "1"}).stdout == "True\n"


def test_tracks_run_side_by_side_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "TRACKS_AT_ONCE", 2)
    running, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def track() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        both.wait(60)
        with lock:
            running -= 1
        return ""

    assert check.run_phase([{str(number): track} for number in range(4)]) == []
    assert most == 2
