"""
The long form: ``python -m tests.explore`` tries every move up to its bounds and keeps what it
found in ``tests/explore/results``, dated.

Two spaces, since together they would be too large: ``queue`` has many inputs and turns that ask
for nothing, ``turn`` has one input and a turn with its effects. Every bound is an option that
holds for both: ``--inputs 4 --jumps 2`` are larger spaces. A counterexample is printed as a test,
and the exit status is 1; so it is if a frontier is not empty at the end.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs

from lash_es.core.limits import Limits
from lash_es.verify.alphabet import ALPHABET, Bounds
from lash_es.verify.explore import Report, explore
from lash_es.verify.worlds import begin

RESULTS: Final = Path(__file__).parent / "results"
NAMES: Final = ("alice", "bob", "carol")
SPACES: Final = {
    "queue": Bounds(inputs=3, turns=1, model_calls_per_turn=0, source_keys=0),
    "turn": Bounds(inputs=1, turns=1, source_keys=0),
}
LIMITS: Final = Limits(drain_attempts_max=0)
"""An input fails at its first end without a commit: how often it may come back is a number."""


def searched(name: str, bounds: Bounds) -> tuple[dict[str, object], Report]:
    """Search a space, and say what it was and what was found."""
    started = time.process_time()
    report = explore(begin(*NAMES[: bounds.owners], limits=LIMITS), bounds)
    found: dict[str, object] = {
        "space": name,
        "bounds": attrs.asdict(bounds),
        "states": report.states,
        "transitions": report.transitions,
        "depth": report.depth,
        "frontier is empty": report.is_exhausted,
        "seconds of processor": round(time.process_time() - started),
        "broken": None if report.counterexample is None else report.counterexample.text,
        "never happened": list(report.never),
        "arms not taken": list(report.arms_missing),
        "decided": {name: dict(report.decided[name]) for name in sorted(report.decided)},
        "evolved": {name: report.evolved[name] for name in sorted(report.evolved)},
    }
    return found, report


def main(arguments: Sequence[str]) -> int:
    """Search, print what was found, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    for field in attrs.fields(Bounds):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = vars(parser.parse_args(arguments))
    to = asked.pop("to")
    changed = {name: number for name, number in asked.items() if number is not None}
    spaces: list[dict[str, object]] = []
    reports: list[Report] = []
    for name, bounds in SPACES.items():
        found, report = searched(name, attrs.evolve(bounds, **changed))
        sys.stdout.write(json.dumps({k: v for k, v in found.items() if k != "broken"}) + "\n")
        sys.stdout.write(str(found["broken"] or "") + "\n")
        sys.stdout.flush()
        spaces.append(found)
        reports.append(report)
    never = set[str].intersection(*(set(report.never) for report in reports))
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "letters": [letter.__name__ for letter in ALPHABET],
        "never happened": sorted(never),
        "arms not taken": sorted(
            set[str].intersection(*(set(report.arms_missing) for report in reports))
        ),
        "spaces": spaces,
    }
    to.mkdir(exist_ok=True)
    (to / f"explore-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return 0 if not never and all(report.is_exhausted for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
