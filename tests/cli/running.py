"""Running the command line as a user does: in a process, with what it says and its status."""

import os
import subprocess
import sys
from pathlib import Path

from attrs import frozen
from typer.testing import CliRunner, Result

from lash_es.cli.app import app

ROOT = Path(__file__).parent.parent.parent
COMMAND = (sys.executable, "-P", "-m", "lash_es.cli")
PATIENCE_S = 120


@frozen(kw_only=True)
class Said:
    """What a command said, and how it ended."""

    out: str
    err: str
    status: int


def environment(**more: str) -> dict[str, str]:
    """The tests' own environment without what would change the output, or reach a real model."""
    unwanted = ("LASH_ES_DB", "FORCE_COLOR", "COLUMNS", "OPENAI_API_KEY", "PYTHONIOENCODING")
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return kept | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | more


def begin(*words: str | Path, cwd: Path | None = None, **more: str) -> "subprocess.Popen[str]":
    """Start a command; several may run at once."""
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=cwd,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def end(process: "subprocess.Popen[str]") -> Said:
    """Wait for it. Whatever it was, it did not end in a traceback."""
    process.wait(PATIENCE_S)  # Standard input stays open so long: a worker ends with its parent.
    out, err = process.communicate()
    assert "Traceback" not in out + err
    return Said(out=out, err=err, status=process.returncode)


def run(*words: str | Path, **more: str) -> Said:
    """Run a command to its end."""
    return end(begin(*words, cwd=None, **more))


def invoke(*words: str | Path) -> Result:
    """Run a verb in this process; an error that is no ``SystemExit`` fails the test."""
    return CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)


def begin_worker(task: str) -> "subprocess.Popen[str]":
    """Start a worker of the demo; ``end`` it, and its parent will have lived on so long."""
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "lash_es.cli.demo_worker", task],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
