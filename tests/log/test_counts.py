"""
What each operation costs on SQLite, in commits, statements, pages and steps: small and flat.

The numbers are exact. Whoever makes an operation dearer has to say so here.
"""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from benchmarks.counts import Counts, Watch, run_turn_counts, sqlite_counts
from benchmarks.volumes import message_bytes, still_volume

SHORT, LONG = 10, 60
WARM_TURN_STATEMENTS = 43
"""Of a turn with one tool call, as a host runs it, from catching up to its result."""
MESSAGE_BYTES_TIMES_MAX = 3.2  # The goal of the benchmark (G12) is 1.25.


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counts]:
    return sqlite_counts(tmp_path_factory.mktemp("short") / "log.db", SHORT)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counts]:
    return sqlite_counts(tmp_path_factory.mktemp("long") / "log.db", LONG)


@pytest.mark.parametrize(
    ("operation", "commits", "statements", "pages"),
    [
        ("enqueue", 1, 4, 5),  # head, fact, head row, body
        ("claim", 1, 3, 3),
        ("complete", 1, 8, 7),  # an input that is settled has two entries
        ("turn", 1, 16, 12),  # 8 facts, 4 bodies
        ("open", 0, 6, 0),
    ],
)
def test_an_operation_costs_so_much(
    short: dict[str, Counts], operation: str, commits: int, statements: int, pages: int
) -> None:
    found = short[operation]

    assert (found.commits, found.statements, found.pages) == (commits, statements, pages)


@pytest.mark.parametrize("operation", ["enqueue", "claim", "complete", "turn"])
def test_a_longer_history_costs_no_further_row(
    short: dict[str, Counts], long: dict[str, Counts], operation: str
) -> None:
    assert long[operation].statements == short[operation].statements
    assert long[operation].steps == short[operation].steps


def test_a_turn_costs_the_same_after_ten_turns_and_after_a_thousand(tmp_path: Path) -> None:
    cold, *warm = run_turn_counts(tmp_path / "short.db", 10)
    long_cold, *long_warm = run_turn_counts(tmp_path / "long.db", 1_000)

    # Four appends: begin and ask; ask for the tool; ask again; commit and release.
    assert {(each.commits, each.statements) for each in warm} == {(4, WARM_TURN_STATEMENTS)}
    assert {(each.statements, each.steps) for each in long_warm} == {
        (each.statements, each.steps) for each in warm
    }
    # Who has read nothing yet reads the history once: its facts, twice, and its bodies, in pages.
    facts, bodies = 1_000 * 8, 1_000 * 4
    # The first owner of a boot also keeps how the clock runs, in a transaction of six.
    assert cold.statements <= WARM_TURN_STATEMENTS + 9
    assert long_cold.statements <= WARM_TURN_STATEMENTS + 9 + (2 * facts + bodies) / 256 + 1


def test_counts_are_the_same_every_time(short: dict[str, Counts], tmp_path: Path) -> None:
    assert sqlite_counts(tmp_path / "log.db", SHORT) == short


def test_a_turn_keeps_so_many_times_its_messages_and_a_later_one_no_more(
    tmp_path: Path,
) -> None:
    first, second = still_volume(tmp_path / "log.db", turns=40)

    assert max(first, second) < MESSAGE_BYTES_TIMES_MAX * message_bytes(40)
    assert abs(second - first) < 0.1 * first


# What the counting itself is worth


async def _scan(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT count(*) FROM stored_events WHERE topic = ''").fetchone()


def _watched(path: Path) -> tuple[Watch, sqlite3.Connection]:
    watch = Watch(path)
    with watch.watching():
        connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE stored_events (topic TEXT)")
    return watch, connection


def test_a_commit_too_many_is_counted(tmp_path: Path) -> None:
    watch, connection = _watched(tmp_path / "log.db")

    async def twice() -> None:
        for _ in range(2):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO stored_events VALUES ('t')")
            connection.execute("COMMIT")

    found = asyncio.run(watch.counted(twice))
    connection.close()

    assert (found.commits, found.statements, found.pages) == (2, 2, 2)


def test_a_scan_shows_in_the_steps(tmp_path: Path) -> None:
    watch, connection = _watched(tmp_path / "log.db")
    steps = []
    for _ in range(2):
        connection.executemany("INSERT INTO stored_events VALUES (?)", [("t",)] * 50)
        steps.append(asyncio.run(watch.counted(lambda: _scan(connection))).steps)
    connection.close()

    assert steps[1] > 1.5 * steps[0]
