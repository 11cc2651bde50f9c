"""A run on the terminal and as JSON: medians of every case, and the goals."""

import platform
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks.contests import Measured, Spread
from benchmarks.goals import GOALS, Goal, Results
from benchmarks.measuring import Result

_PACKAGES: Final = (
    "attrs",
    "cattrs",
    "orjson",
    "psycopg",
    "eventsourcing",
    "openai-agents",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",
    "google-adk",
    "dbos",
    "huey",
    "persist-queue",
    "litequeue",
    "procrastinate",
)


def case_lines(measured: Measured) -> Iterator[str]:
    """Show a case: a line for everyone, the floor first."""
    yield f"\n{measured.case.name}"
    for name in measured.timings:
        rate, p50, p99 = (
            measured.figure(figure, name) for figure in ("per_s", "p50_us", "p99_us")
        )
        if rate is not None and p50 is not None and p99 is not None:
            yield (
                f"  {name:32}{rate.median:>12,.0f}/s  p50 {p50.median:>11,.1f} us"
                f"  [{p50.low:,.1f}..{p50.high:,.1f}]  p99 {p99.median:>11,.1f} us"
            )
    for name, reason in measured.failures.items():
        yield f"  {name:32}failed: {reason}"
    for name in measured.case.not_installed:
        yield f"  {name:32}not installed"


def goal_lines(results: Results) -> Iterator[str]:
    """Show the goals: the bound, what was measured, and the verdict."""
    yield f"\n{'goal':5}{'what':62}{'wanted':>12}  measured [min..max]"
    for goal in GOALS:
        found = goal.take(results)
        verdict = "not measured" if found is None else f"{found}  {_verdict(goal, found)}"
        yield f"{goal.number:5}{goal.says:62}{_wanted(goal):>12}  {verdict}"


def goal_results(results: Results) -> list[Result]:
    """Return the goals that were measured, to be kept."""
    return [
        {
            "goal": goal.number,
            "what": goal.says,
            "wanted": _wanted(goal),
            "measured": _rounded(found.median),
            "min": _rounded(found.low),
            "max": _rounded(found.high),
            "verdict": _verdict(goal, found),
        }
        for goal in GOALS
        for found in [goal.take(results)]
        if found is not None
    ]


def _wanted(goal: Goal) -> str:
    return f"{'<=' if goal.at_most else '>='} {goal.bound:,g}"


def _verdict(goal: Goal, found: Spread) -> str:
    return "met" if goal.is_met(found) else "MISSED"


def _rounded(value: float) -> float:
    return round(value, 3)


def versions() -> Result:
    """Name the versions of everything that took part."""
    return {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: found for name in _PACKAGES if (found := _version(name)) is not None},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def git_commit() -> str:
    """Name the commit that was measured; ``+`` says that files were changed since."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return f"{head}+" if _git("status", "--porcelain", "--", "lash_es") else head


def _git(*words: str) -> str:
    done = subprocess.run(
        ["git", *words],
        cwd=Path(__file__).parent,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def show(lines: Iterable[str]) -> None:
    """Print, at once."""
    for line in lines:
        print(line, flush=True)
