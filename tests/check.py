"""
The lanes: what is checked, in which order, and what it has to reach.

``python -m tests.check`` lists them; ``python -m tests.check ci`` is what every change must pass.
A check is a function that answers with nothing, or with what is wrong. A lane runs all of its
checks, also after one has failed, since whoever repairs wants the whole list.

Standard library only: it also judges an environment in which nothing else is installed.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path, PurePath
from typing import Final, TypeAlias

Check: TypeAlias = Callable[[], str]
Measured: TypeAlias = Mapping[str, Mapping[str, int]]
"""What coverage says of one file; only its ``summary`` is read."""

ROOT: Final = Path(__file__).parent.parent
PYTHON: Final = sys.executable
SOURCES: Final = [n for n in ("lash_es", "tests", "benchmarks", "examples") if (ROOT / n).exists()]
LATER_PYTHONS: Final = ("3.12", "3.13", "3.14")
# Read as the newest: what a version between has not, the oldest or the newest has not either.
NEWEST_PYTHON: Final = LATER_PYTHONS[-1]

# One more than the two cores that CI has, since nearly every track also waits for something.
TRACKS_AT_ONCE: Final = (os.cpu_count() or 2) + 1

# Here every line and branch is a rule. Elsewhere some only answer to other people's weather.
WHOLLY_COVERED: Final = {"core", "codec", "turns", "projections", "log"}
PERCENT_ELSEWHERE_MIN: Final = 90

# These compute; the others also wait, for disks and for other processes.
CORE_TESTS: Final = "core"
PURE_TESTS: Final = ("codec", "turns", "projections", "timetravel", "verify")

# As many as all others together.
LOG_TESTS: Final = "log"

# They kill processes, and wait for real clocks. No verdict depends on how long something takes.
WAITING_TESTS: Final = ("crash", "clocks")

# Run in ci and not counted: a few of its lines answer to other servers.
POSTGRES_TESTS: Final = "postgres"
POSTGRES_FILES: Final = "lash_es/log/stores/postgres"

# What leans on the oldest versions of what a base install brings, and needs nothing else.
BASE_TESTS: Final = (
    "tests/core",
    "--ignore=tests/core/test_session_machine.py",
    "--ignore=tests/core/test_laws.py",
    "tests/codec",
    "tests/log/test_conformance.py",
    "tests/log/test_recorders.py",
    "tests/session/test_inputs.py",
)

# What those tests ask for and no extra has: an independent reading of canonical JSON.
BASE_TOOLS: Final = ("rfc8785",)

# What a user may leave out, so what `import lash_es` may not need.
OPTIONAL: Final = ("pydantic", "pydantic_ai", "typer", "rich", "psycopg", "hypothesis", "pytest")

# What is written by tests, in bytes, with room to spare.
SCRATCH_BYTES_MIN: Final = 2 * 1024**3

ENVIRONMENT: Final[Mapping[str, str]] = {
    # Otherwise pyright asks the network whether a newer pyright exists.
    "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",
    # Hundreds of processes are started. Where Python may not keep what it has compiled, as in many
    # containers, each of them compiles the whole library: a third of what it does.
    "PYTHONDONTWRITEBYTECODE": "",
}


def run(
    *words: str | Path, cwd: Path = ROOT, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command and keep what it prints, on whichever stream."""
    return subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=os.environ | ENVIRONMENT | dict(environment or {}),
        check=False,
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def command(*words: str | Path, cwd: Path = ROOT) -> Check:
    """Make a check of a command: what it printed is what is wrong, if its exit status says so."""

    def check() -> str:
        done = run(*words, cwd=cwd)
        if done.returncode == 0:
            return ""
        return f"$ {shlex.join(map(str, words))}\n{done.stdout}exit status {done.returncode}"

    return check


def module(name: str, *words: str | Path) -> Check:
    """Make a check of a tool that is installed beside this interpreter."""
    return command(PYTHON, "-m", name, *words)


def in_memory(place: Path = Path("/dev/shm")) -> Mapping[str, str]:
    """
    Have pytest put its folders into memory, where there is room for them.

    They wait for no disk there, and assert the same: a process that is killed leaves in memory
    what it leaves in the system's cache, and that the power fails is what no test here can show.
    """
    if not os.access(place, os.W_OK) or shutil.disk_usage(place).free < SCRATCH_BYTES_MIN:
        return {}
    return {"PYTEST_DEBUG_TEMPROOT": str(place)}


def tests(*paths: str | Path) -> Check:
    """Make a check of tests under coverage; their closing line stands in the output."""
    pytest = ("pytest", "-o", "tmp_path_retention_policy=failed")

    def check() -> str:
        words = (PYTHON, "-m", "coverage", "run", "-m", *pytest, *paths)
        done = run(*words, environment=in_memory())
        if done.returncode != 0:
            return f"{done.stdout}exit status {done.returncode}"
        print(done.stdout.rstrip().rpartition("\n")[2], flush=True)
        return ""

    return check


def other_tests() -> list[Path]:
    """List the test folders and files that are not of the pure floors, so that none is missed."""
    tests_here = sorted((ROOT / "tests").glob("test_*.py"))
    folders = sorted(path.parent for path in (ROOT / "tests").glob("*/__init__.py"))
    elsewhere = {CORE_TESTS, *PURE_TESTS, *WAITING_TESTS, LOG_TESTS, POSTGRES_TESTS}
    return [path for path in (*folders, *tests_here) if path.name not in elsewhere]


def first_problem(*checks: Check) -> str:
    """Run checks that build on each other, as far as they hold."""
    return next(filter(None, (check() for check in checks)), "")


def coverage_floors() -> str:
    """Put together what all processes of the tests have run, and compare it floor by floor."""
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch) / "coverage.json"
        problem = first_problem(
            module("coverage", "combine"), module("coverage", "json", "-o", written)
        )
        if problem:
            return problem
        problems = floors_too_low(json.loads(written.read_text("utf-8"))["files"])
    if problems:
        problems.append(run(PYTHON, "-m", "coverage", "report").stdout)
    return "\n".join(problems)


def floors_too_low(files: Mapping[str, Measured]) -> list[str]:
    """Say which floor is below its threshold; floors do not lend each other coverage."""
    covered, counted = Counter[str](), Counter[str]()
    for path, file in files.items():
        if path.startswith(POSTGRES_FILES):
            continue
        inside = PurePath(path).parts[1:]
        floor = inside[0] if len(inside) > 1 else "top"
        summary = file["summary"]
        covered[floor] += summary["covered_lines"] + summary["covered_branches"]
        counted[floor] += summary["num_statements"] + summary["num_branches"]
    return [
        f"{floor}: {100 * covered[floor] / counted[floor]:.2f} % covered, expected {expected} %"
        for floor in sorted(counted)
        if 100 * covered[floor] < counted[floor] * (expected := percent_min(floor))
    ]


def percent_min(floor: str) -> int:
    return 100 if floor in WHOLLY_COVERED else PERCENT_ELSEWHERE_MIN


def no_cover_marks() -> str:
    """Compare the marks in the package with the list of those that have a reason."""
    listed = (ROOT / "tests" / "no_cover.txt").read_text("utf-8")
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted((ROOT / "lash_es").rglob("*.py"))
    }
    return "\n".join(mark_problems(sources, listed))


def mark_problems(sources: Mapping[str, str], listed: str) -> list[str]:
    """Say which marks are not listed, which entries have no mark, which are where none may be."""
    reasons: dict[tuple[str, str], str] = {}
    for entry in listed.splitlines():
        if entry.strip() and not entry.startswith("#"):
            # The line between may itself hold a bar, so it is what both ends leave over.
            path, rest = entry.split(" | ", 1)
            line, reason = rest.rsplit(" | ", 1)
            reasons[path, line] = reason.strip()
    marked = {
        (path, line.strip())
        for path, source in sources.items()
        for line in source.splitlines()
        if re.search(r"#\s*pragma:\s*no\s*(cover|branch)", line)
    }
    return [
        *(f"no reason listed: {path} | {line}" for path, line in sorted(marked - reasons.keys())),
        *(f"no longer marked: {path} | {line}" for path, line in sorted(reasons.keys() - marked)),
        *(
            f"none in the core: {path} | {line}"
            for path, line in sorted(marked)
            if "/core/" in path
        ),
        *(f"an empty reason: {path} | {line}" for (path, line), why in reasons.items() if not why),
    ]


def optional_libraries_loaded(statement: str = "import lash_es") -> str:
    """Run a statement where the optional libraries *are* installed; name those it loads."""
    answer = f"' '.join(name for name in {OPTIONAL} if name in sys.modules) or None"
    return command(PYTHON, "-c", f"{statement}\nimport sys\nsys.exit({answer})")()


def base_install() -> str:
    """
    Install without extras, at the oldest versions we allow, and run there what leans on them.

    Every dependency is met: attrs in the rules, the encoders in the codec, the recorders in the
    stores, all together in sessions. What only our own code can change is not run again.
    """
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        venv.create(scratch / "venv")
        python = scratch / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        (scratch / "floors.txt").write_text("\n".join(floor_versions()), "utf-8")
        # The tests are copied away from the package, so that they meet the installed one.
        shutil.copytree(ROOT / "tests", scratch / "away" / "tests")
        shutil.copy(ROOT / "pyproject.toml", scratch / "away")
        pip = (PYTHON, "-m", "pip", "--python", python)
        install = (*pip, "install", "--quiet", "--constraint", scratch / "floors.txt")
        return first_problem(
            command(*install, str(ROOT)),
            command(python, "-c", "import lash_es", cwd=scratch),
            command(*install, f"{ROOT}[verify]", *BASE_TOOLS),
            command(python, "-m", "pytest", *BASE_TESTS, cwd=scratch / "away"),
        )


def floor_versions() -> list[str]:
    """Turn each ``name>=floor,<ceiling`` of a base install and the kit into ``name==floor``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pins = [*project["dependencies"], *project["optional-dependencies"]["verify"]]
    return [re.sub(r">=([\w.]+),.*", r"==\1", pin) for pin in pins]


def wheels_for(version: str) -> Check:
    """Make a check that every dependency has a wheel for a Python that is not run here."""
    words = ("install", "--dry-run", "--ignore-installed", "--only-binary=:all:", "--quiet")
    # Nothing is written to the target; pip asks for one because the version is not its own.
    return module("pip", *words, "--python-version", version, "--target", "unused", ".[dev]")


STATIC: Final[Mapping[str, Check]] = {
    "format": module("ruff", "format", "--check", "."),
    "ruff": module("ruff", "check", "--output-format", "concise", "."),
    "imports": command(Path(PYTHON).with_name("lint-imports"), "--no-logo"),
    "mypy": module("mypy", *SOURCES),
    # The project is named, since pyright would prefer a pyrightconfig.json of any folder above.
    "pyright": module("pyright", "--project", "pyproject.toml", "--pythonpath", PYTHON),
}
TYPES_LATER: Final[Mapping[str, Check]] = {
    f"mypy {NEWEST_PYTHON}": module("mypy", "--python-version", NEWEST_PYTHON, "lash_es")
}
FAST: Final[Mapping[str, Check]] = {"core tests": module("pytest", "tests/core")}
TESTS_POSTGRES: Final[Mapping[str, Check]] = {
    "postgres tests": module("pytest", ROOT / "tests" / POSTGRES_TESTS)
}
FORGET: Final[Mapping[str, Check]] = {"forget old coverage": module("coverage", "erase")}
RANDOM_MACHINE: Final = ROOT / "tests" / CORE_TESTS / "test_session_machine.py"
TESTS_CORE: Final[Mapping[str, Check]] = {
    "tests of the core": tests(ROOT / "tests" / CORE_TESTS, f"--ignore={RANDOM_MACHINE}")
}
UNWATCHED: Final[Mapping[str, Check]] = {
    # Every line is reached without them, and being watched makes them three times as slow.
    "searches": module("pytest", ROOT / "tests" / "verify", "-m", "search"),
    "random machine": module("pytest", RANDOM_MACHINE),
}
TESTS_PURE: Final[Mapping[str, Check]] = {
    "tests of the other pure floors": tests(
        *(ROOT / "tests" / name for name in PURE_TESTS), "-m", "not search"
    )
}
TESTS_LOG: Final[Mapping[str, Check]] = {"tests of the log": tests(ROOT / "tests" / LOG_TESTS)}
TESTS_WAITING: Final[Mapping[str, Check]] = {
    "tests that wait": tests(*(ROOT / "tests" / name for name in WAITING_TESTS))
}
TESTS_OTHER: Final[Mapping[str, Check]] = {"all other tests": tests(*other_tests())}
COVERAGE: Final[Mapping[str, Check]] = {"coverage": coverage_floors, "no cover": no_cover_marks}
BASE: Final[Mapping[str, Check]] = {
    "loads nothing optional": optional_libraries_loaded,
    "base install": base_install,
}
WHEELS: Final[Mapping[str, Check]] = {f"wheels {v}": wheels_for(v) for v in LATER_PYTHONS}

Phases: TypeAlias = Sequence[Sequence[Mapping[str, Check]]]
"""
One phase after the other. The tracks of a phase run side by side, ``TRACKS_AT_ONCE`` of them, and
the next one begins when one ends, so the long ones stand first; a track's checks run in order.
"""

LANES: Final[Mapping[str, tuple[str, Phases]]] = {
    "static": ("format, lint, floors and types", [[STATIC]]),
    "fast": ("the rules of the core, in seconds", [[FAST]]),
    "base": ("an install without extras, at the oldest versions we allow", [[BASE]]),
    "wheels": ("every dependency has wheels for later Pythons", [[WHEELS]]),
    "postgres": (
        "the PostgreSQL store, on a real server",
        [[TESTS_POSTGRES]],
    ),
    "crashes": (
        "long: every script killed at every place on both databases, a log torn at every byte",
        [[{"crashes": module("tests.crash")}]],
    ),
    "explore": (
        "long: every order of commands, crashes and clock jumps, up to named bounds",
        [[{"explore": module("tests.explore")}]],
    ),
    "sim": (
        "long: seeds of the simulation; `sim SEED` runs one, `replay SEED` makes it small",
        [
            [
                {
                    "sim in memory": module("tests.sim", "--profile", "full"),
                    "sim on SQLite": module("tests.sim", "--store", "sqlite"),
                }
            ]
        ],
    ),
    "concurrency": (
        "long: eight processes ask the same sessions; their receipts are held against the facts",
        [[{"concurrency": module("tests.concurrency")}]],
    ),
    "flat": (
        "long: what every command costs after ten turns and after 100 000, counted",
        [[{"flat": module("tests.flat")}]],
    ),
    "altered": (
        "long: twenty sampled tests are altered in what they expect, and have to go red",
        [[{"altered": module("tests.altered")}]],
    ),
    "mutate": (
        "long: the core changed one place at a time, judged by examples and by random lives",
        [[{"mutate": module("tests.mutation")}]],
    ),
    "soak": (
        "long: processes write, follow and lose activity for a minute on each database",
        [[{"soak": module("tests.soak", "--seconds", "60")}]],
    ),
    "growth": (
        "long: a million facts, over a thousand sessions and in one, beside an empty database",
        [[{"growth": module("tests.growth")}]],
    ),
    "travel": (
        "long: every question about the past of a session of a million facts",
        [[{"travel": module("tests.travel")}]],
    ),
    "rolling": (
        "long: old code and new code on one database, while processes are replaced",
        [[{"rolling restart": module("tests.rolling")}]],
    ),
    "ci": (
        "what every change has to pass",
        [
            [FORGET],
            [
                TESTS_LOG,
                TESTS_OTHER,
                TESTS_PURE,
                TESTS_POSTGRES,
                STATIC,
                UNWATCHED,
                TESTS_WAITING,
                BASE,
                TESTS_CORE,
                TYPES_LATER,
                WHEELS,
            ],
            [COVERAGE],
        ],
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Run the lane that is named, or list them."""
    match arguments:
        case ["sim" | "replay" as word, seed, *words]:
            what = "run" if word == "sim" else word
            return subprocess.call([PYTHON, "-m", "tests.sim", what, seed, *words], cwd=ROOT)
        case [lane] if lane in LANES:
            failed = [name for tracks in LANES[lane][1] for name in run_phase(tracks)]
            print(f"{lane}: " + (f"FAILED: {', '.join(failed)}" if failed else "all is well"))
            return 1 if failed else 0
        case _:
            for lane, (purpose, phases) in LANES.items():
                names = chain.from_iterable(chain.from_iterable(phases))
                print(f"{lane:9}{purpose}: {', '.join(names)}")
            return 2 if arguments else 0


def run_phase(tracks: Sequence[Mapping[str, Check]]) -> list[str]:
    """Run tracks side by side; returns the names of the checks that fail."""
    with ThreadPoolExecutor(max_workers=TRACKS_AT_ONCE) as pool:
        return [name for failures in pool.map(run_track, tracks) for name in failures]


def run_track(checks: Mapping[str, Check]) -> list[str]:
    """Run checks in their order; returns the names of those that fail."""
    return [name for name, check in checks.items() if not passes(name, check)]


def passes(name: str, check: Check) -> bool:
    """Run one check and give it its line."""
    started = time.monotonic()
    problem = check()
    verdict = "FAILED" if problem else "ok"
    print(f"{verdict:7}{time.monotonic() - started:7.1f} s  {name}", flush=True)
    if problem:
        print(problem, flush=True)
    return not problem


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
