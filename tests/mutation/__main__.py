"""
``python -m tests.mutation`` changes every function of the core, one place at a time, and runs the
core's tests on each change: one that none of them notices has survived.

Twice: all of the core is judged by examples and laws, without the random machine and the explorer,
which would hide what the examples leave out; and leases, inputs and queued work are judged by
those two alone. Survivors of the first are listed in ``tests/mutants.txt``, each with the input
that would tell it apart or the reason that none does. One that is not listed fails, and so does an
entry that no longer survives. What came of it is kept in ``tests/mutation/results``, dated.
"""

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from tests.mutation.judging import KILLED, Judge, Verdict
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.weighing import Judged, figures, problems, read_listed, survivors

ROOT: Final = Path(__file__).parent.parent.parent
LISTED: Final = ROOT / "tests" / "mutants.txt"
RESULTS: Final = Path(__file__).parent / "results"

EXAMPLES: Final = (
    "tests/core",
    "--ignore=tests/core/test_session_machine.py",
    "--ignore=tests/core/test_laws.py",
    "--ignore=tests/core/test_purity.py",
    # It draws random lives too.
    (
        "--deselect=tests/core/test_unions.py"
        "::test_every_fact_is_applied_or_impossible_in_every_state"
    ),
)
"""By these, all of the core is judged."""

RANDOM: Final = "tests/mutation/random_judges.py"
RANDOMLY: Final = re.compile(r"lash_es\.core\.(rules\.)?(leases|inputs|cancels|work)")
"""What is judged by the random machine and the explorer alone; a cancel is one of inputs."""

PYTEST: Final = (
    "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--assert=plain", "--tb=native",
    # Children compute in their own time, and are ended by a limit of that.
    "-o", "faulthandler_timeout=0",
)  # fmt: skip


def files(only: str) -> dict[str, Path]:
    """Find the modules of the core by name."""
    found: dict[str, Path] = {}
    for path in sorted((ROOT / "lash_es" / "core").rglob("*.py"), reverse=True):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if re.search(only, module):
            found[module] = path
    return found


def read_last(path: Path | None) -> dict[str, str]:
    """Read which test told each mutant apart in earlier runs."""
    if path is None or not path.exists():
        return {}
    return dict(json.loads(line) for line in path.read_text("utf-8").splitlines())


class Teller:
    """Tells of each survivor at once, and notes what killed the others, for the next time."""

    def __init__(self, to: Path | None, last: Mapping[str, str], mutants_count: int) -> None:
        self.to = to
        self.last = last
        self.mutants_count = mutants_count
        self.count = 0

    def __call__(self, mutant: Mutant, verdict: Verdict) -> None:
        """Take the verdict on a mutant."""
        self.count += 1
        if verdict.status != KILLED:
            sys.stderr.write(f"{verdict.status}: {mutant.name}\n")
        if self.count % 100 == 0:
            sys.stderr.write(f"{self.count} of {self.mutants_count}\n")
        sys.stderr.flush()
        if self.to is not None and verdict.killer not in (None, self.last.get(mutant.name)):
            with self.to.open("a", encoding="utf-8") as file:
                file.write(json.dumps([mutant.name, verdict.killer]) + "\n")


def judged(asked: argparse.Namespace) -> Judged:
    """Make the mutants, and judge them by every test that reaches them."""
    modules = files(asked.only)
    sources = [path.read_text("utf-8") for path in modules.values()]
    with ProcessPoolExecutor(asked.children) as pool:
        mutants = [m for made in pool.map(mutants_of, modules, sources) for m in made]
    sys.stderr.write(f"{len(mutants)} mutants of {len(modules)} modules\n")
    last = read_last(asked.last)
    judge = Judge(
        mutants,
        modules,
        is_random=lambda item: item.path == ROOT / RANDOM,
        is_for_random=lambda mutant: (
            RANDOMLY.fullmatch(mutant.module) is not None and not mutant.is_wording
        ),
        random_one_of=asked.sample,
        last=last,
        keeps=asked.keep,
        tell=Teller(asked.last, last, len(mutants)),
        children_max=asked.children,
    )
    examples = tuple(asked.tests or EXAMPLES)
    selection = {"examples": examples, "random": (RANDOM,), "both": (*examples, RANDOM)}[asked.by]
    if pytest.main([*PYTEST, *selection], plugins=[judge]) not in (0, 5):
        raise SystemExit("the tests do not hold on the original")
    return Judged(
        modules={mutant.name: mutant.module for mutant in mutants},
        wordings=frozenset(mutant.name for mutant in mutants if mutant.is_wording),
        by_examples=judge.by_examples,
        by_random=judge.by_random,
    )


def kept(
    found: Judged, wrong: Sequence[str], listed: Mapping[str, str], asked: argparse.Namespace
) -> dict[str, object]:
    """Say what is committed of a run."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "at random, one of": asked.sample,
        "believed what an earlier run had killed": asked.keep,
        **figures(found),
        "survivors with a reason": len(listed),
        "survivors": sorted(survivors(found.meant(found.by_examples))),
        "random survivors": sorted(survivors(found.meant(found.by_random))),
        "wrong": list(wrong),
    }


def main(arguments: Sequence[str]) -> int:
    """Mutate, compare with the list, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--only", default="", help="modules whose name holds this pattern")
    parser.add_argument("--by", choices=["examples", "random", "both"], default="both")
    parser.add_argument("--sample", type=int, default=1, help="at random, one of so many only")
    parser.add_argument("--last", type=Path, help="what killed each the last time: tried first")
    parser.add_argument("--tests", action="append", help="instead of all examples")
    parser.add_argument("--keep", action="store_true", help="do not try again what was killed")
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    found = judged(asked)
    listed = read_listed(LISTED.read_text("utf-8"))
    if asked.only or asked.by == "random":
        listed = {name: why for name, why in listed.items() if name in found.by_examples}
    wrong = problems(found, listed)
    result = kept(found, wrong, listed, asked)
    asked.to.mkdir(exist_ok=True)
    kind = "mutation" if asked.by == "both" else f"mutation-by-{asked.by}"
    written = asked.to / f"{kind}-{result['date']}.json"
    written.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    sys.stdout.write("\n".join([str(written), *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
