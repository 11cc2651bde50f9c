"""
The long form: ``python -m tests.flat`` asks every command of a session with ten turns and of one
with a hundred thousand (200 000 finished inputs and batches), counts what each costs on SQLite and
on PostgreSQL, and keeps it in ``tests/flat/results``, dated. The exit status is 1 if something
grew.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from tests.flat.counting import Cost, grown
from tests.flat.in_sqlite import sqlite_costs
from tests.postgres.flat_costs import postgres_costs
from tests.postgres.postgres_server import new_database, server_url

RESULTS: Final = Path(__file__).parent / "results"
STORES: Final = ("sqlite", "postgres")


def main(arguments: Sequence[str]) -> int:
    """Count, compare, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.flat", description=__doc__)
    parser.add_argument("--store", choices=STORES, help="one store only")
    parser.add_argument("--small", type=int, default=10)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    stores = STORES if asked.store is None else (asked.store,)
    return max(_kept(store, asked) for store in stores)


def _kept(store: str, asked: argparse.Namespace) -> int:
    started = time.monotonic()
    small, large = (_costs(store, rounds) for rounds in (asked.small, asked.large))
    wrong = grown(small, large)
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "store": store,
        "turns": [asked.small, asked.large],
        "seconds": round(time.monotonic() - started),
        "grown": wrong,
        "costs": {name: attrs.asdict(cost) for name, cost in large.items()},
    }
    asked.to.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=1) + "\n"
    (asked.to / f"flat-{store}-{date}.json").write_text(text, "utf-8")
    sys.stdout.write(f"{store}: {len(large)} costs, grown: {wrong}\n")
    return 1 if wrong else 0


def _costs(store: str, rounds: int) -> Mapping[str, Cost]:
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="flat-") as folder:
            return sqlite_costs(Path(folder) / "log.db", rounds)
    database = new_database(server_url())
    try:
        return postgres_costs(database, rounds)
    finally:
        database.drop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
