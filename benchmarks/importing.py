"""
G14: what ``import lash_es`` costs a fresh interpreter, beside one that imports nothing; and what a
process costs that does something: it opens a session in a new file and enqueues one input.

The second is what a user waits for. A name is loaded when it is first asked for, so the first says
only that nobody pays for what he does not use (ADR 0044).
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.contests import Spread, spread

_PROGRAM: Final = """
import sys, time
def most_kibibytes():
    # What getrusage says includes the process that this one was forked from.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = most_kibibytes()
started, began = time.perf_counter(), time.process_time()
{work}
taken_ms, computed_ms = time.perf_counter() - started, time.process_time() - began
print(taken_ms * 1e3, computed_ms * 1e3, (most_kibibytes() - before) / 1024)
"""
_FIRST_INPUT: Final = """
import asyncio
from lash_es import LashCore
async def enqueue():
    async with LashCore(model="m", store=sys.argv[1]) as core, core.session("s").open() as session:
        await session.enqueue("hello", id="greeting")
asyncio.run(enqueue())
"""
_WORKS: Final = {"import": "import lash_es", "first input": _FIRST_INPUT}


def imports(rounds: int) -> Mapping[str, Spread]:
    """
    Run in one new interpreter after the other; the first of each kind only warms the page cache,
    and compiles: who installs the library has it compiled, whatever is said in our environment.
    """
    figures: dict[str, Spread | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in _WORKS.items():
            found = [_run(work, Path(folder), f"{name} {n}.db") for n in range(1 + rounds)][1:]
            taken_ms, computed_ms, mebibytes = (list(each) for each in zip(*found, strict=True))
            figures[f"{name} ms"] = spread(taken_ms)
            figures[f"{name}, ms of processor time"] = spread(computed_ms)
            figures[f"{name} MiB"] = spread(mebibytes)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _run(work: str, folder: Path, database: str) -> tuple[float, ...]:
    compiled = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM.replace("{work}", work), folder / database],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | compiled,
    )
    return tuple(map(float, done.stdout.split()))
