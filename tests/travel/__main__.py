"""
The long form: ``python -m tests.travel`` builds a session of 1,000,000 facts, asks every question
about its past, and keeps what each folded, read and took in ``tests/travel/results``, dated.

Point questions may fold no more than two stretches between snapshots that stay.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from lash_es.log import snapshots
from lash_es.log.stores.sqlite import Durability
from lash_es.timetravel.past import StoredHistory
from tests.travel.asking import Asking, CountingStore, points, searches
from tests.travel.building import STREAM, build

RESULTS: Final = Path(__file__).parent / "results"
STRETCHES_MAX: Final = 2


def main(arguments: Sequence[str]) -> int:
    """Build, ask, keep, and say whether a point question folded too much."""
    parser = argparse.ArgumentParser(prog="python -m tests.travel", description=__doc__)
    parser.add_argument("--facts", type=int, default=1_000_000)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="travel-") as folder:
        path = Path(folder) / "long.db"
        opened = CountingStore.open(path, create=True, durability=Durability.NORMAL)
        assert isinstance(opened, CountingStore)
        with closing(opened) as store:
            build(store, asked.facts)
            asking = Asking(store, StoredHistory.of(store, STREAM))
            folded_max = STRETCHES_MAX * snapshots.FACTS_PER_MILESTONE
            wrong = [each.question for each in points(asking) if each.folded > folded_max]
            for answer in searches(asking):
                sys.stdout.write(f"{answer}\n")
        size_bytes = path.stat().st_size
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "facts": asking.past.version,
        "size_bytes": size_bytes,
        "folded_max": folded_max,
        "wrong": wrong,
        "answers": [attrs.asdict(answer) for answer in asking.answers],
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"travel-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
