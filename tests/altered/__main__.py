"""
``python -m tests.altered`` samples twenty tests of sharp edges and scenarios by a seed, alters in
each what it expects, in one place and in a copy of the project, and demands that it goes red. What
came of it is kept in ``tests/altered/results``, dated; ``--seed`` samples others.

Unaltered, the same tests have to be green in the same copy. The exit status is 1 if they are not,
or if an altered one is.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.altered.judging import copy, green, why_red
from tests.altered.sampling import Altered, everything, sample

RESULTS: Final = Path(__file__).parent / "results"


def main(arguments: Sequence[str]) -> int:
    """Sample, alter, run, and keep what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.altered", description=__doc__)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    chosen = sample(asked.count, asked.seed)
    with tempfile.TemporaryDirectory(prefix="altered-") as folder:
        copy(Path(folder))
        problem = green(Path(folder), [each.test for each in chosen])
        told = [_told(each, why_red(Path(folder), each)) for each in chosen]
    stayed_green = [each["test"] for each in told if not each["failed with"]]
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "versions": f"Python {platform.python_version()}",
        "seed": asked.seed,
        "of": len(everything()),
        "unaltered": problem or "green",
        "stayed green": stayed_green,
        "literals": sum(each.alteration.is_literal for each in chosen),
        "altered": told,
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"altered-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    red = len(told) - len(stayed_green)
    sys.stdout.write(f"{red} of {len(told)} went red; green: {stayed_green} {problem}\n")
    return 1 if stayed_green or problem else 0


def _told(changed: Altered, failure: str) -> dict[str, str | int]:
    alteration = changed.alteration
    return {
        "test": str(changed.test),
        "line": alteration.line,
        "expected": alteration.before,
        "altered": alteration.after,
        "failed with": failure,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
