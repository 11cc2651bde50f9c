"""
The long form: ``python -m tests.explore`` tries every move up to its bounds and keeps what it
found in ``tests/explore/results``, dated.

The spaces are those of ``spaces.py``; ``--space wide`` is that one alone, beside what the day's
file has of the others. Every bound is an option that holds for all that are searched: ``--space
wide --inputs 4`` is a larger space, ``--plain`` goes through it a world at a time. A
counterexample is printed as a test, and the exit status is 1; so it is if a frontier is not empty
at the end.
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
from typing import Final, cast

import attrs

from lash_es.verify.alphabet import Bounds
from lash_es.verify.exhaust import exhaust
from lash_es.verify.explore import explore
from lash_es.verify.worlds import begin
from tests.explore.spaces import SPACES, Space

RESULTS: Final = Path(__file__).parent / "results"
NAMES: Final = ("alice", "bob", "carol")
STATES_MAX: Final = 1_000_000_000

Found = dict[str, object]


def searched(name: str, space: Space, *, is_plain: bool = False) -> Found:
    """Search a space, and say what it was and what was found."""
    started = time.process_time()
    start = begin(*NAMES[: space.bounds.owners], limits=space.limits)
    search = explore if is_plain else exhaust
    report = search(start, space.bounds, alphabet=space.alphabet)
    return {
        "space": name,
        "because": space.because,
        "bounds": attrs.asdict(space.bounds),
        "letters": [letter.__name__ for letter in space.alphabet],
        "drain_attempts_max": space.limits.drain_attempts_max,
        "states": report.states,
        "transitions": report.transitions,
        "depth": report.depth,
        "frontier is empty": report.is_exhausted,
        "seconds of processor": round(time.process_time() - started),
        "broken": None if report.counterexample is None else report.counterexample.text,
        "never happened": list(report.never),
        "arms not taken": list(report.arms_missing),
        "decided": report.decided,
        "evolved": report.evolved,
    }


def kept(to: Path, spaces: dict[str, Found]) -> Found:
    """Write the day's file: these spaces, and what it has of others."""
    date = datetime.now(UTC).date().isoformat()
    file = to / f"explore-{date}.json"
    if file.exists():
        others = json.loads(file.read_text("utf-8"))["spaces"]
        spaces = {**{each["space"]: each for each in others}, **spaces}
    result: Found = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "not searched to its end": _everywhere_not(spaces),
        "never happened": _in_all(spaces, "never happened"),
        "arms not taken": _in_all(spaces, "arms not taken"),
        "spaces": [spaces[name] for name in SPACES if name in spaces],
    }
    to.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return result


def _in_all(spaces: dict[str, Found], what: str) -> list[str]:
    named = (set(cast("list[str]", found[what])) for found in spaces.values())
    return sorted(set[str].intersection(*named))


def _everywhere_not(spaces: dict[str, Found]) -> list[str]:
    missing = [name for name in SPACES if name not in spaces]
    return missing + [name for name, found in spaces.items() if not found["frontier is empty"]]


def main(arguments: Sequence[str]) -> int:
    """Search, print what was found, and keep it."""
    parser = argparse.ArgumentParser(prog="python -m tests.explore", description=__doc__)
    for field in attrs.fields(Bounds):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=int)
    parser.add_argument("--space", action="append", choices=list(SPACES), help="only this one")
    parser.add_argument("--plain", action="store_true", help="a world at a time")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = vars(parser.parse_args(arguments))
    to, names, is_plain = asked.pop("to"), asked.pop("space") or [*SPACES], asked.pop("plain")
    changed = {name: number for name, number in asked.items() if number is not None}
    result: Found = {}
    for name in names:
        bounds = attrs.evolve(SPACES[name].bounds, **{"states_max": STATES_MAX, **changed})
        space = attrs.evolve(SPACES[name], bounds=bounds)
        found = searched(name, space, is_plain=is_plain)
        sys.stdout.write(json.dumps({k: v for k, v in found.items() if k != "broken"}) + "\n")
        sys.stdout.write(str(found["broken"] or "") + "\n")
        sys.stdout.flush()
        # Each is kept when it is found: a long command may be ended.
        result = kept(to, {name: found})
    return 0 if not result["not searched to its end"] and not result["never happened"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
