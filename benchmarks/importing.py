"""G14: what ``import lash_es`` costs a fresh interpreter, beside one that imports nothing."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from benchmarks.contests import Spread, spread

_PROGRAM: Final = """
import time
def most_kibibytes():
    # What getrusage says includes the process that this one was forked from.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
before = most_kibibytes()
started = time.perf_counter()
import lash_es
taken_ms = (time.perf_counter() - started) * 1e3
print(taken_ms, (most_kibibytes() - before) / 1024)
"""


def imports(rounds: int) -> Mapping[str, Spread]:
    """Import in one new interpreter after the other; the first only warms the page cache."""
    ms, mebibytes = [], []
    for _ in range(1 + rounds):
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
        )
        taken_ms, grown = map(float, done.stdout.split())
        ms.append(taken_ms)
        mebibytes.append(grown)
    figures = {"import ms": spread(ms[1:]), "import MiB": spread(mebibytes[1:])}
    return {name: figure for name, figure in figures.items() if figure is not None}
