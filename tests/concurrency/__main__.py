"""
The long form: ``python -m tests.concurrency`` lets eight processes ask twelve thousand things of
two sessions on one database, judges what they were told, and keeps the figures in
``tests/concurrency/results``, dated. ``--store postgres`` for PostgreSQL; without it, both.

The exit status is 1 if something cannot have been, or if something rare never happened.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.concurrency.running import Found, run
from tests.growth.grounds import File, Ground, Schema
from tests.postgres.postgres_server import new_database, server_url

RESULTS: Final = Path(__file__).parent / "results"
STORES: Final = ("sqlite", "postgres")


def main(arguments: Sequence[str]) -> int:
    """Run, judge, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.concurrency", description=__doc__)
    parser.add_argument("--store", choices=STORES, help="one store only")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--steps", type=int, default=1_500, help="what each client asks")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    stores = STORES if asked.store is None else (asked.store,)
    return max(_kept(store, asked) for store in stores)


def _kept(store: str, asked: argparse.Namespace) -> int:
    started = time.monotonic()
    found = _found(store, asked)
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "store": store,
        "clients": asked.clients,
        "seed": asked.seed,
        "receipts": len(found.entries),
        "facts": sum(len(entry.facts) for entry in found.entries),
        "seconds": round(time.monotonic() - started),
        "happened": dict(sorted(found.happened.items())),
        "never happened": found.never,
        "wrong": list(found.wrong),
    }
    asked.to.mkdir(exist_ok=True)
    text = json.dumps(kept, indent=1) + "\n"
    (asked.to / f"concurrency-{store}-{date}.json").write_text(text, "utf-8")
    sys.stdout.write(text)
    return 1 if found.wrong or found.never else 0


def _found(store: str, asked: argparse.Namespace) -> Found:
    if store == "sqlite":
        with tempfile.TemporaryDirectory(prefix="concurrency-") as folder:
            return _ran(File(Path(folder) / "log.db"), asked)
    database = new_database(server_url())
    try:
        return _ran(Schema(database), asked)
    finally:
        database.drop()


def _ran(ground: Ground, asked: argparse.Namespace) -> Found:
    return run(ground, clients=asked.clients, steps=asked.steps, seed=asked.seed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
