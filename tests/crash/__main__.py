"""
The long lane: every script killed at every place, SQLite and PostgreSQL, and a log torn at every
byte. ``python -m tests.crash`` writes what it counted to ``tests/crash/results``, dated.
"""

import json
import platform
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.crash.in_postgres import InPostgres
from tests.crash.scripts import ALL
from tests.crash.sites import Fate
from tests.crash.sweeping import InFile, Sweep, emptied, sweep, sweep_answers, warm
from tests.crash.torn import make_run, wrong_at
from tests.postgres.postgres_server import new_database, server_url

RESULTS: Final = Path(__file__).parent / "results"
MEMORY: Final = Path("/dev/shm")
CHUNK: Final = 512


def on_sqlite(folder: Path, pool: Executor) -> Iterator[tuple[str, Sweep]]:
    """Sweep every script, also before what only reads; then lose the answer to every COMMIT."""
    thorough = Fate(is_thorough=True)
    for name, script in ALL.items():
        made = emptied(folder)
        ground = InFile(folder) if name == "creating" else made
        yield f"sqlite {name}", sweep(ground, script, thorough, pool=pool)
        aside = emptied(folder, is_in_order=False)
        yield f"sqlite on a thread {name}", sweep(aside, script, Fate(), pool=pool)
        yield f"sqlite answers {name}", sweep_answers(made, script, Fate(), pool=pool)


def on_postgres() -> Iterator[tuple[str, Sweep]]:
    """Sweep every script, one process at a time."""
    ground = InPostgres(new_database(server_url()))
    for name, script in ALL.items():
        yield f"postgres {name}", sweep(ground, script, Fate())


def at_every_byte(folder: Path, pool: Executor) -> tuple[int, list[str]]:
    """Tear the last append's frames at every byte."""
    run = make_run(folder)
    places = run.last_frames
    chunks = [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]
    return len(places), list(chain.from_iterable(pool.map(partial(wrong_at, folder, run), chunks)))


def main() -> int:
    """Run everything, print a line each, and keep the result so far."""
    started, rows, problems = time.monotonic(), dict[str, object](), list[str]()
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.sweeping"])
    with (
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as name,
        ProcessPoolExecutor(2, context, warm, tuple(ALL.values())) as pool,
    ):
        warm(*ALL.values())
        for what, swept in chain(on_sqlite(Path(name), pool), on_postgres()):
            places = Counter(case.place or "to the end" for case in swept.cases)
            rows[what] = {"tried": len(swept.cases), "facts": swept.facts, **places}
            problems += swept.wrong
            say(f"{what}: {len(swept.cases)} tried, {len(swept.wrong)} wrong")
            write(rows, problems, started)
        bytes_count, wrong = at_every_byte(Path(name), pool)
        rows["sqlite torn"] = {"bytes cut off at, and changed": bytes_count}
        problems += wrong
        say(f"sqlite torn: {bytes_count} bytes, {len(wrong)} wrong")
    write(rows, problems, started, is_complete=True)
    say("\n".join(problems) or "all is well")
    return 1 if problems else 0


def write(
    rows: dict[str, object], problems: list[str], started: float, *, is_complete: bool = False
) -> None:
    """Keep what was found, by date."""
    date = datetime.now(UTC).date().isoformat()
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    found = {
        "date": date,
        "machine": f"{machine}, SQLite {sqlite3.sqlite_version}",
        "is_complete": is_complete,
        "seconds": round(time.monotonic() - started),
        "wrong": problems,
        "counted": rows,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"crashes-{date}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
