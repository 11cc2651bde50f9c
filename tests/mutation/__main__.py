"""
``python -m tests.mutation`` changes rules of the core, one place at a time, and runs its tests on
each change: one that none of them notices has survived.

Survivors are listed in ``tests/mutants.txt``, each with the input that would tell it apart or the
reason that none does. One that is not listed fails, and so does an entry that no longer survives.
What is mutated and with which tests is said in ``pyproject.toml`` (mutmut); the work is done in a
copy, and what came of it is kept in ``tests/mutation/results``, dated.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
LISTED: Final = ROOT / "tests" / "mutants.txt"
RESULTS: Final = Path(__file__).parent / "results"
COPIED: Final = ("lash_es", "tests", "pyproject.toml", "README.md", "LICENSE")
SURVIVORS_PERCENT_MAX: Final = 5


def read_results(text: str) -> dict[str, str]:
    """Read what mutmut says of every mutant: its name and what became of it."""
    return dict(re.findall(r"^\s+(\S+): (.+)$", text, flags=re.MULTILINE))


def read_listed(text: str) -> dict[str, str]:
    """Read the reasons: ``name | reason``."""
    entries = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name.strip(): reason.strip() for name, reason in (e.split("|", 1) for e in entries)}


def problems(found: Mapping[str, str], listed: Mapping[str, str]) -> list[str]:
    """Say which survivors have no reason, which reasons no survivor, and if it is too many."""
    survivors = {name for name, status in found.items() if status != "killed"}
    return [
        *(f"survived: {name} ({found[name]})" for name in sorted(survivors - listed.keys())),
        *(f"no longer survives: {name}" for name in sorted(listed.keys() - survivors)),
        *(f"an empty reason: {name}" for name in sorted(listed) if not listed[name]),
        *_too_many(len(survivors), len(found)),
    ]


def _too_many(survivors: int, mutants: int) -> Iterable[str]:
    if not mutants:
        yield "nothing was mutated"
    elif 100 * survivors > SURVIVORS_PERCENT_MAX * mutants:
        yield f"{survivors} of {mutants} survived, at most {SURVIVORS_PERCENT_MAX} % may"


def mutated(folder: Path, children: int) -> dict[str, str]:
    """Run mutmut on a copy of the project."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    tool = Path(sys.executable).with_name("mutmut")
    # The tests have to meet the copy, and not the package that is installed.
    environment = os.environ | {"PYTHONPATH": "."}
    done = subprocess.run(
        [tool, "run", "--max-children", str(children)],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.stdout.write(f"{done.stdout[-4_000:]}{done.stderr[-4_000:]}\n")
    listed = subprocess.run(
        [tool, "results", "--all", "true"],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return read_results(listed.stdout)


def main(arguments: Sequence[str]) -> int:
    """Mutate, compare with the list, and keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--children", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the result is written")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        found = mutated(Path(folder), asked.children)
    wrong = problems(found, read_listed(LISTED.read_text("utf-8")))
    modules = Counter(name.partition(".x")[0] for name in found)
    date = datetime.now(UTC).date().isoformat()
    kept = {
        "date": date,
        "machine": f"{os.cpu_count()} cores of {platform.machine()}, shared with other work",
        "versions": f"Python {platform.python_version()}",
        "mutants of": dict(sorted(modules.items())),
        "became": dict(Counter(found.values())),
        "wrong": wrong,
    }
    asked.to.mkdir(exist_ok=True)
    (asked.to / f"mutation-{date}.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    sys.stdout.write("\n".join([json.dumps(kept), *wrong]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
