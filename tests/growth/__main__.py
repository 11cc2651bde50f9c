"""
The long form: ``python -m tests.growth`` builds 1,000,000 facts over 1,000 sessions, and then in
one, and times what a host does there beside a database that is as good as empty, in turns. The
ratios, and what a process takes in memory, are kept in ``tests/growth/results``, dated.
"""

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.growth.building import FACTS_PER_APPEND, Shape
from tests.growth.measuring import measure
from tests.growth.operations import SESSIONS_PER_PAGE

RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> int:
    """Measure both shapes, and keep the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.growth", description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=500)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    found: list[dict[str, object]] = []
    for sessions, few in ((asked.sessions, min(asked.sessions, SESSIONS_PER_PAGE)), (1, 1)):
        large = Shape(sessions=sessions, appends=-(-asked.facts // sessions // FACTS_PER_APPEND))
        with tempfile.TemporaryDirectory(prefix="growth-") as folder:
            small = Shape(sessions=few, appends=1)
            found.append(measure(Path(folder), small, large, asked.rounds))
        sys.stdout.write(f"{json.dumps(found[-1])}\n")
        sys.stdout.flush()
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "durability": "normal",
        "rounds": asked.rounds,
        "grown": found,
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"growth-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return 1 if any(each["wrong"] for each in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
