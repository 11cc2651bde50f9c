"""
The long form: ``python -m tests.growth`` builds 1,000,000 facts over 1,000 sessions, and then in
one, and times what a host does there beside a database that is as good as empty, in turns. The
ratios, and what a process takes in memory, are kept in ``tests/growth/results``, dated.

``--store postgres`` does it on a server, with 100,000 facts over 100 sessions unless more are
asked for: a million take it an hour.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.growth.building import FACTS_PER_APPEND, Shape
from tests.growth.grounds import File, Ground, Schema
from tests.growth.measuring import measure
from tests.growth.operations import SESSIONS_PER_PAGE
from tests.postgres.postgres_server import new_database, server_url

RESULTS: Final = Path(__file__).parent / "results"
FACTS: Final = {"sqlite": 1_000_000, "postgres": 100_000}
FACTS_PER_SESSION: Final = 1_000


@contextmanager
def two_grounds(store: str) -> Iterator[tuple[Ground, Ground]]:
    """Make places for a small and a large database, and remove them afterwards."""
    if store == "postgres":
        databases = (new_database(server_url()), new_database(server_url()))
        try:
            yield Schema(databases[0]), Schema(databases[1])
        finally:
            for database in databases:
                database.drop()
        return
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        yield File(Path(folder) / "small.db"), File(Path(folder) / "large.db")


def main(arguments: Sequence[str]) -> int:
    """Measure both shapes, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.add_argument("--store", choices=FACTS, default="sqlite")
    parser.add_argument("--facts", type=int)
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    facts = asked.facts or FACTS[asked.store]
    many = asked.sessions or facts // FACTS_PER_SESSION
    found: list[dict[str, object]] = []
    for sessions, few in ((many, min(many, SESSIONS_PER_PAGE)), (1, 1)):
        large = Shape(sessions=sessions, appends=-(-facts // sessions // FACTS_PER_APPEND))
        with two_grounds(asked.store) as grounds:
            small = Shape(sessions=few, appends=1)
            found.append(measure(grounds, small, large, asked.rounds))
        sys.stdout.write(f"{json.dumps(found[-1])}\n")
        sys.stdout.flush()
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "store": asked.store,
        "durability": "normal" if asked.store == "sqlite" else "as the server is set up",
        "rounds": asked.rounds,
        "grown": found,
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"growth-{asked.store}-{date}.json").write_text(
        json.dumps(kept, indent=1) + "\n", "utf-8"
    )
    return 1 if any(each["wrong"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
