"""
The long form: ``python -m tests.soak --seconds 60`` soaks SQLite and then PostgreSQL, prints the
verdicts and keeps them in ``tests/soak/results``, dated. ``--store sqlite`` runs one of the two.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.postgres.postgres_server import Database, new_database, server_url
from tests.soak.evidence import Evidence
from tests.soak.judging import not_as_fed, verdict
from tests.soak.plans import Plan
from tests.soak.running import InFile, scratch, soak

RESULTS: Final = Path(__file__).parent / "results"
STORES: Final = ("sqlite", "postgres")


def plan_for(store: str, seconds: float, folder: Path, seed: int) -> Plan:
    """Say how much of it there is on each database."""
    if store == "sqlite":
        return Plan(
            ground=InFile(folder / "log.db"),
            processes=4,
            sessions=50,
            seconds=seconds,
            pause_ms_max=40,
            seed=seed,
        )
    return Plan(
        ground=new_database(server_url()),
        processes=8,
        sessions=200,
        seconds=seconds,
        pause_ms_max=100,
        seed=seed,
    )


def counted(evidence: Evidence) -> dict[str, int]:
    """Count what happened, so that nobody takes an idle soak for a good one."""
    did = Counter(str(line[0]) for line in evidence.did)
    saw = Counter(str(line[0]) for line in evidence.saw)
    fed = Counter(str(line[0]) for line in evidence.feed)
    by_sequence = not_as_fed(evidence, "sequence") if evidence.feed else ()
    return {
        "sessions": len(evidence.heads),
        "facts": len(evidence.facts),
        "appends acknowledged": did["fact"],
        "appends refused": did["no"],
        "appends unknown": did["maybe"],
        "activity appends": did["activity"],
        "losses of activity": did["lose"],
        "facts seen by followers": saw["saw"],
        "activity seen by followers": saw["heard"],
        "gaps told": saw["gap"],
        "facts in the feed": fed["feed"],
        "wrong for a reader by sequence": sum(1 for _ in by_sequence),
    }


def run(store: str, seconds: float, seed: int) -> dict[str, object]:
    """Soak one store; returns what is kept of it."""
    started = time.monotonic()
    with scratch() as folder:
        plan = plan_for(store, seconds, folder, seed)
        try:
            evidence = soak(plan, folder)
        finally:
            if isinstance(plan.ground, Database):
                plan.ground.drop()
    wrong, counts = verdict(evidence), counted(evidence)
    wrong += [f"nothing: {name}" for name in must_happen(store) if counts[name] == 0]
    say(f"{store}: {counts}")
    say("\n".join(wrong) or f"{store}: all is well")
    return {
        "store": store,
        "processes": plan.processes,
        "sessions for each": plan.sessions,
        "seconds of writing": seconds,
        "seconds in all": round(time.monotonic() - started),
        "seed": seed,
        "wrong": wrong,
        "counted": counts,
    }


def must_happen(store: str) -> Sequence[str]:
    """Name what a soak has to have met."""
    everywhere = ("appends refused", "losses of activity", "gaps told", "facts")
    feed = ("facts in the feed", "wrong for a reader by sequence")
    return everywhere if store == "sqlite" else (*everywhere, *feed)


def main(arguments: Sequence[str]) -> int:
    """Soak what was asked for, and keep the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--store", choices=STORES)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**32)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    stores = STORES if asked.store is None else (asked.store,)
    runs = [run(store, asked.seconds, asked.seed) for store in stores]
    date = datetime.now(UTC).date().isoformat()
    found = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "soaks": runs,
    }
    asked.to.mkdir(exist_ok=True)
    name = "soak" if asked.store is None else f"soak-{asked.store}"
    (asked.to / f"{name}-{date}.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 1 if any(each["wrong"] for each in runs) else 0


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
