"""Runs tests in a copy of the project, as they are and altered."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.altered.sampling import Altered, Test

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("lash_es", "tests", "benchmarks", "pyproject.toml", "README.md", "LICENSE")
TESTS_FAILED: Final = 1
"""
What pytest's exit status is when tests ran and one failed; any other number is another thing.
"""

_FAILURE: Final = re.compile(r"^E +(.*)$", re.MULTILINE)


def copy(folder: Path, root: Path = ROOT) -> None:
    """Copy what tests need."""
    for name in COPIED:
        source = root / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        elif source.exists():
            shutil.copy(source, folder)


def run(folder: Path, tests: Sequence[Test]) -> "subprocess.CompletedProcess[str]":
    """Run tests of a copy, as they are there."""
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*words, *(f"tests/{test}" for test in tests)],
        cwd=folder,
        # The tests have to meet the copy, and not the package that is installed.
        env=os.environ | {"PYTHONPATH": "."},
        check=False,
        capture_output=True,
        text=True,
    )


def green(folder: Path, tests: Sequence[Test]) -> str:
    """Say what is wrong with tests that should all succeed; nothing if they do."""
    done = run(folder, tests)
    return "" if done.returncode == 0 else done.stdout[-4_000:]


def why_red(folder: Path, changed: Altered) -> str:
    """
    Run an altered test, and put its file back.

    Returns:
        What it failed with; nothing if it did not fail, or did not even run.
    """
    path = folder / "tests" / changed.test.file
    original = path.read_text("utf-8")
    path.write_text(changed.source, "utf-8")
    try:
        done = run(folder, [changed.test])
    finally:
        path.write_text(original, "utf-8")
    if done.returncode != TESTS_FAILED:
        return ""
    failure = _FAILURE.search(done.stdout)
    return failure[1] if failure else "it failed"
